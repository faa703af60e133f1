"""Every service of the full profile, by its row: what it is given, and what of it ends up in its own files."""

import configparser
import re
from dataclasses import replace

import pytest

from tripleo_ha import cluster, paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import generate, messaging
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import image, preview
from tripleo_ha.table import Row
from tripleo_ha.templates.render import Rendered
from tripleo_ha.topology import wsgi

FULL = generate.profile("full")
ROWS = {row.service: row for row in table.load()}
APIS = [row for row in ROWS.values() if any(unit.wsgi for unit in row.units)]
NAMES = [row.service for row in APIS]
ELEMENTS = {table.load_row(file).service: file.parent for file in paths.elements().glob("*/service.yaml")}


def made(**overrides: object) -> dict[str, object]:
    description = Description(numbered(3), services=FULL, overrides=overrides)
    (document, *_) = generate.generate(description, Passwords({}).completed(FULL)).values()
    return preview.accepted(document, tuple(ROWS.values()))


METADATA = made()
FILES = preview.files(paths.elements(), METADATA, tuple(ROWS.values()))


def parsed(file: Rendered) -> dict[str, dict[str, str]]:
    """What oslo.config sees: a section that stands twice is one."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, default_section="")
    parser.read_string(file.body.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_image_of_a_controller_has_every_row() -> None:
    wanted = (paths.elements() / "ha-controller/element-deps").read_text().split()
    assert {directory.name for directory in ELEMENTS.values()} <= set(wanted)


@pytest.mark.parametrize("row", APIS, ids=NAMES)
def test_an_api_has_all_that_it_needs(row: Row) -> None:
    assert {"haproxy", "mariadb-galera", "memcached"} <= set(row.after)
    for unit in row.units:
        if not unit.wsgi:
            continue
        assert unit.files[-1] == table.uwsgi_file(unit.name)
        ini = parsed(FILES[unit.files[-1]])["uwsgi"]
        (listener,) = [each for each in row.balanced if each.name == unit.wsgi.listener]
        assert ini["http-socket"] == f"192.0.2.11:{listener.port}"
        assert ini["processes"] == "1"
        assert listener.balance
        assert listener.balance.check.path == "/healthcheck"
    assert row.catalogue
    assert all("alembic" in work.evidence for work in row.once if "local_databases" in str(work.env))


@pytest.mark.parametrize("row", [row for row in ROWS.values() if image.made_units([row])], ids=lambda row: row.service)
def test_a_unit_is_made_that_replaces_the_packaged_one(row: Row) -> None:
    for name, text in image.made_units([row]).items():
        unit = next(unit for unit in row.units if unit.name == name)
        if unit.wsgi:
            assert f"ExecStart=/usr/bin/uwsgi_python3 --ini {table.uwsgi_file(name)}\n" in text
            assert f"User={unit.wsgi.user}\n" in text
        else:
            assert unit.program
            assert f"ExecStart={' '.join(unit.program.command)}\n" in text
            assert f"User={unit.program.user}\n" in text
            assert ("\nKillMode=process\n" in text) == unit.program.keeps_children
        assert f"Environment=OS_OSLO_MESSAGING_RABBIT__PROCESSNAME={name.removesuffix('.service')}\n" in text
        assert all(f"Environment={each}={value}\n" in text for each, value in unit.environment.items())
        assert ("\nRestart=" in text, "[Install]" in text) == (row.manager == "systemd",) * 2
        assert "Wants=" not in re.sub("^#.*", "", text, flags=re.MULTILINE)
        assert not list(ELEMENTS[row.service].glob(f"static/etc/systemd/system/{name}"))


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.oslo], ids=lambda row: row.service)
def test_a_services_file_is_private_and_says_how_things_are_reached(row: Row) -> None:
    assert row.oslo
    file = FILES[row.oslo.file]
    assert (file.mode, file.owner) == (0o640, "root")
    found = parsed(file)
    for database in row.databases:
        assert f"@192.0.2.10:3306/{database.name}?" in found[database.section]["connection"]
        assert found[database.section]["max_retries"] == "-1"
    if row.broker:
        assert found["DEFAULT"]["transport_url"].startswith(f"rabbit://{row.broker.user}-")
        assert messaging.RABBIT.items() <= found["oslo_messaging_rabbit"].items()
    if row.identity:
        (section,) = {"keystone_authtoken", "service_credentials"} & set(found)
        assert found[section]["username"] == row.identity.user
        assert found[section]["auth_url"] == "http://192.0.2.10:5000/v3"
        assert "admin" not in row.identity.roles or row.service == "ceilometer-agent-central"
    if "keystone_authtoken" in found:
        assert found["keystone_authtoken"]["memcached_servers"].count(":11211") == 3
        assert found["keystone_authtoken"]["memcache_pool_dead_retry"] == "30"


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.oslo], ids=lambda row: row.service)
def test_extra_settings_end_up_in_the_services_file(row: Row) -> None:
    assert row.oslo
    metadata = made(**{row.metadata: {"debug": True, "extra": {"some_section": {"some_option": 7}}}})
    found = parsed(preview.files(paths.elements(), metadata, tuple(ROWS.values()))[row.oslo.file])
    assert found["some_section"] == {"some_option": "7"}
    assert found["DEFAULT"]["debug"] == "true"


def test_placement_is_offered_to_services_only() -> None:
    haproxy = FILES["/etc/haproxy/haproxy.cfg"].body.decode()
    section = haproxy.partition("\nlisten placement\n")[2].partition("\nlisten ")[0]
    assert re.findall(r"bind (\S+)", section) == ["192.0.2.10:8778"]
    ini = FILES["/etc/tripleo-ha/uwsgi/placement-api.ini"].body.decode()
    asked, draining, rewritten = [line for line in ini.splitlines() if line.startswith("route")]
    assert asked.endswith("/healthcheck last:")
    assert draining.endswith("/draining/placement break:404 Draining")
    assert rewritten == "route-run = setpathinfo:/"


def test_glance_keeps_images_where_it_is_told() -> None:
    found = parsed(FILES["/etc/glance/glance-api.conf"])
    assert found["DEFAULT"]["enabled_backends"] == "images:swift"
    assert found["paste_deploy"]["flavor"] == "keystone"
    reference = found["images"]["default_swift_reference"]
    swift = parsed(FILES[found["images"]["swift_store_config_file"]])[reference]
    assert swift["user"] == f"service:{found['keystone_authtoken']['username']}"
    assert swift["key"] == found["keystone_authtoken"]["password"]
    ini = parsed(FILES["/etc/tripleo-ha/uwsgi/glance-api.ini"])["uwsgi"]
    assert "harakiri" not in ini
    assert ini["socket-timeout"] == "60"


def test_workers_are_one_value_of_the_metadata() -> None:
    metadata = made(**{row.metadata: {"workers": 3} for row in APIS})
    found = preview.files(paths.elements(), metadata, tuple(ROWS.values()))
    served = [unit for row in APIS for unit in row.units if unit.wsgi]
    names = [unit.files[-1] for unit in served]
    assert {parsed(found[name])["uwsgi"]["processes"] for name in names} == {"3"}
    before, after = ({name: files[name] for name in names} for files in (FILES, found))
    touched = preview.touched(before, after, APIS)
    assert touched == {unit.name: "restart" for unit in served}


def test_a_unit_that_serves_no_listener_of_its_row_is_told() -> None:
    row = replace(ROWS["placement"], listeners=())
    with pytest.raises(Failure, match=r"placement-api\.service has no balanced listener placement"):
        wsgi.configurations(row, cluster.from_metadata(METADATA), METADATA)
