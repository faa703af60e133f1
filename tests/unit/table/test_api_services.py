"""Every service of the full profile, by its row: what it is given, and what of it ends up in its own files."""

import configparser
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tripleo_ha import cluster, paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import authority, generate, messaging
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import image, preview
from tripleo_ha.table import Row
from tripleo_ha.templates.render import Rendered
from tripleo_ha.topology import rabbitmq, wsgi

FULL = generate.profile("full")
ROWS = {row.service: row for row in table.load()}
APIS = [row for row in ROWS.values() if any(unit.wsgi for unit in row.units)]
NAMES = [row.service for row in APIS]
ASK_AS_ADMIN = ("ceilometer-agent-central", "cinder", "neutron", "nova")
"""They ask other services for what those let nobody else do."""
ELEMENTS = {table.load_row(file).service: file.parent for file in paths.elements().glob("*/service.yaml")}


OUTSIDE = {
    "pacemaker": {"fencing": {"devices": {node.name: {"agent": "fence_x"} for node in numbered(3)}}},
    "ceph": {"fsid": "6e0a5d3c-1f3b-4c53-9a6e-2f7f6f0c9b11", "mon_host": ["192.0.2.50", "192.0.2.51:6790"]},
    "cinder_volume": {"rbd": {"key": "A" * 38 + "=="}, "nfs": {"shares": ["192.0.2.50:/volumes"]}},
}
"""What no profile has, because only a deployer can know it."""


def made(**overrides: object) -> dict[str, object]:
    description = Description(numbered(3), services=FULL, overrides=generate.merged(OUTSIDE, overrides))
    (document, *_) = generate.generate(description, Passwords({}).completed(FULL)).values()
    return preview.accepted(document, tuple(ROWS.values()))


METADATA = made()
FILES = preview.files(paths.elements(), METADATA, tuple(ROWS.values()))


def parsed(file: Rendered) -> dict[str, dict[str, str]]:
    """What oslo.config sees: a section that stands twice is one."""
    return read(file.body.decode())


def read(text: str) -> dict[str, dict[str, str]]:
    """As :func:`parsed`, of a text."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, default_section="")
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_image_of_a_controller_has_every_row() -> None:
    wanted = (paths.elements() / "ha-controller/element-deps").read_text().split()
    assert {directory.name for directory in ELEMENTS.values()} <= set(wanted)


@pytest.mark.parametrize("row", APIS, ids=NAMES)
def test_an_api_has_all_that_it_needs(row: Row) -> None:
    assert {"haproxy", "mariadb-galera"} <= set(row.after)
    assert "memcached" in row.after or not row.catalogue
    for unit in row.units:
        if not unit.wsgi:
            continue
        assert unit.files[-1] == table.uwsgi_file(unit.name)
        ini = parsed(FILES[unit.files[-1]])["uwsgi"]
        (listener,) = [each for each in row.balanced if each.name == unit.wsgi.listener]
        assert ini["http-socket"] == f"192.0.2.11:{listener.port}"
        assert ini["add-header"] == "Connection: close"
        assert ini["processes"] == "1"
        assert listener.balance
        assert listener.balance.check.path == "/healthcheck"
    assert row.catalogue or row.service == "horizon"
    assert all("alembic" in work.evidence for work in row.once if "local_databases" in str(work.env))


@pytest.mark.parametrize("row", APIS, ids=NAMES)
def test_an_api_is_served_by_what_loads_its_policy_first(row: Row) -> None:
    assert "ha-agents" in (ELEMENTS[row.service] / "element-deps").read_text().split()
    for unit in row.units:
        if not unit.wsgi:
            continue
        file = FILES[table.uwsgi_file(unit.name)]
        loader = parsed(file)["uwsgi"]["wsgi-file"]
        assert (paths.elements() / f"ha-agents/static{loader}").is_file()
        told = dict(re.findall(r"^env = (\w+)=(.*)$", file.body.decode(), flags=re.MULTILINE))
        assert told["TRIPLEO_HA_APPLICATION"] == unit.wsgi.application
        assert told["TRIPLEO_HA_PREPARE"].split() == list(unit.wsgi.prepare)
        assert json.loads(told.get("TRIPLEO_HA_FIRST", "null")) == unit.wsgi.first


@pytest.mark.parametrize("row", [row for row in ROWS.values() if image.made_units([row])], ids=lambda row: row.service)
def test_a_unit_is_made_that_replaces_the_packaged_one(row: Row) -> None:
    for name, text in image.made_units([row]).items():
        if name.endswith(".timer"):
            assert FILES[table.timer_file(name)].body.decode() == text
            continue
        unit = next(unit for unit in row.units if unit.process == name)
        if unit.wsgi:
            assert f"ExecStart=/usr/bin/uwsgi_python3 --ini {table.uwsgi_file(name)}\n" in text
            assert f"User={unit.wsgi.user}\n" in text
        else:
            assert unit.program
            assert f"ExecStart={'-' * bool(unit.timer)}{' '.join(unit.program.command)}\n" in text
            assert (f"\nPartOf={unit.name}\n" in text, "\nType=oneshot\n" in text) == (bool(unit.timer),) * 2
            assert f"User={unit.program.user}\n" in text
            kill = "process" if unit.program.keeps_children else "mixed"
            assert f"\nKillMode={kill}\n" in text
            assert f"\nTimeoutStopSec={unit.program.stop_s}\n" in text
        assert f"\nEnvironment=OS_OSLO_MESSAGING_RABBIT__PROCESSNAME={name.removesuffix('.service')}\n" in text
        assert all(f"\nEnvironment={each}={value}\n" in text for each, value in unit.environment.items())
        stays = row.manager == "systemd" and not unit.timer
        assert ("\nRestart=" in text, "[Install]" in text) == (stays,) * 2
        assert "Wants=" not in re.sub("^#.*", "", text, flags=re.MULTILINE)
        assert not list(ELEMENTS[row.service].glob(f"static/etc/systemd/system/{name}"))


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.oslo], ids=lambda row: row.service)
def test_a_services_file_is_private_and_says_how_things_are_reached(row: Row) -> None:
    assert row.oslo
    file = FILES[row.oslo.file]
    assert (file.mode, file.owner) == (0o640, "root")
    found = parsed(file)
    for database in (each for each in row.databases if each.section):
        assert f"@192.0.2.10:3306/{database.name}?" in found[database.section]["connection"]
        assert found[database.section].items() >= {"max_retries": "-1", "retry_interval": "1"}.items()
    if row.broker:
        assert found["DEFAULT"]["transport_url"].startswith(f"rabbit://{row.broker.user}-")
        assert messaging.RABBIT.items() <= found["oslo_messaging_rabbit"].items()
    if row.identity:
        sections = {"keystone_authtoken", "service_credentials"} & set(found)
        assert sections
        for section in sections:
            assert found[section]["username"] == row.identity.user
            assert found[section]["auth_url"] == "http://192.0.2.10:5000/v3"
        assert "admin" not in row.identity.roles or row.service in ASK_AS_ADMIN
        for group in row.oslo.credentials:
            assert found[group]["password"] == found[section]["password"]
            assert found[group]["auth_type"] == "password"
    if "keystone_authtoken" in found:
        assert found["keystone_authtoken"]["memcached_servers"].count(":11211") == 3
        assert found["keystone_authtoken"]["memcache_pool_dead_retry"] == "30"
        assert found["keystone_authtoken"]["memcache_security_strategy"] == "ENCRYPT"
        assert found["keystone_authtoken"]["memcache_secret_key"] == found["keystone_authtoken"]["password"]


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.oslo], ids=lambda row: row.service)
def test_extra_settings_end_up_in_the_services_file(row: Row) -> None:
    assert row.oslo
    metadata = made(**{row.metadata: {"debug": True, "extra": {"some_section": {"some_option": 7}}}})
    found = parsed(preview.files(paths.elements(), metadata, tuple(ROWS.values()))[row.oslo.file])
    assert found["some_section"] == {"some_option": "7"}
    assert found["DEFAULT"]["debug"] == "true"


@pytest.mark.parametrize("row", APIS, ids=NAMES)
def test_whoever_judges_requests_by_rules_has_those_of_the_metadata(row: Row) -> None:
    if row.service == "horizon":
        return
    assert row.oslo
    rules = {"create metric": """role:admin or 'x':"%(a)s" \\""", "a:b": "!"}
    metadata = made(**{row.metadata: {"policy": rules}})
    files = preview.files(paths.elements(), metadata, tuple(ROWS.values()))
    path = parsed(files[row.oslo.file])["oslo_policy"]["policy_file"]
    assert Path(path).parent == Path(row.oslo.file).parent
    assert yaml.safe_load(files[path].body) == rules
    assert yaml.safe_load(FILES[path].body) is None
    assert (files[path].mode, files[path].group) == (0o640, files[row.oslo.file].group)
    # JSON is warned of, in each process.
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(files[path].body)
    judging = [unit for unit in row.units if unit.wsgi and unit.name != "nova-api-metadata.service"]
    assert judging
    assert all(path in unit.files for unit in judging)


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


def test_heat_gives_stacks_users_of_their_own_and_tells_servers_what_they_reach() -> None:
    found = parsed(FILES["/etc/heat/heat.conf"])
    settings, trustee, token = found["DEFAULT"], found["trustee"], found["keystone_authtoken"]
    identity = ROWS["heat"].identity
    assert identity
    assert identity.domain
    assert (settings["stack_user_domain_name"], settings["stack_domain_admin"]) == (
        identity.domain.name,
        identity.domain.user,
    )
    assert settings["stack_domain_admin_password"] != token["password"]
    assert settings["heat_stack_user_role"] in identity.known_roles
    assert len(settings["auth_encryption_key"]) == 32
    assert (trustee["username"], trustee["password"]) == (token["username"], token["password"])
    # The trust brings the project; with one of its own Keystone would refuse.
    assert not [name for name in trustee if name.startswith("project")]
    assert settings["heat_metadata_server_url"].startswith("http://198.51.100.10:8000")
    assert found["clients"]["endpoint_type"] == "internalURL"
    assert found["clients_keystone"]["auth_uri"] == "http://192.0.2.10:5000"
    more = preview.files(paths.elements(), made(heat={"workers": 3}), tuple(ROWS.values()))
    assert parsed(more["/etc/heat/heat.conf"])["DEFAULT"]["num_engine_workers"] == "3"


HEATS = [
    "heat",
    "engine",
    "engine.0f3c",
    "engine_fanout",
    "engine_worker.0f3c",
    "heat-engine-listener.0f3c",
    "reply_overcloud-controller-0:heat-api-cfn:1",
]
OTHERS = ["", "neutron", "engines", "reply_overcloud-controller-0:nova-api:1", "reply_n:heat-api:1:x"]


def test_heat_may_touch_its_own_queues_alone() -> None:
    rights = rabbitmq.permission(ROWS["heat"])
    for pattern in (rights.configure, rights.write, rights.read):
        assert [name for name in HEATS if not re.search(pattern, name)] == []
        assert [name for name in OTHERS if re.search(pattern, name)] == []
    assert re.search(rights.write, "amq.default")


def dashboard(**overrides: object) -> dict[str, object]:
    """Return the settings that Django would see."""
    found: dict[str, object] = {}
    files = preview.files(paths.elements(), made(**overrides), tuple(ROWS.values()))
    file = files["/etc/openstack-dashboard/local_settings.py"]
    assert (file.mode, file.owner) == (0o640, "root")
    exec(file.body.decode(), found)
    return found


def test_horizon_keeps_sessions_where_no_controller_takes_them_along() -> None:
    found: dict[str, Any] = dashboard(horizon={"secret_key": "0123456789abcdef" * 3})
    database = found["DATABASES"]["default"]
    assert found["SESSION_ENGINE"].endswith(".db")
    assert (database["HOST"], database["NAME"], database["USER"]) == ("192.0.2.10", "horizon", "horizon")
    assert found["SECRET_KEY"] == "0123456789abcdef" * 3
    assert found["OPENSTACK_KEYSTONE_URL"] == "http://192.0.2.10:5000/v3"
    assert found["ALLOWED_HOSTS"] == ["192.0.2.10", "198.51.100.10", "192.0.2.11"]


def test_horizon_takes_settings_of_the_deployer_and_the_name_of_its_certificate() -> None:
    extra = {"settings": {"SITE_BRANDING": "'Example'", "SESSION_TIMEOUT": 7200}}
    tls = yaml.safe_load((Path(__file__).parents[2] / "corpus/good-tls.yaml").read_text())["tls"]
    tls["public"] |= {"enabled": False, "name": "cloud.example.com"}
    found: dict[str, Any] = dashboard(horizon={"extra": extra, "debug": True}, tls=tls)
    assert (found["SITE_BRANDING"], found["SESSION_TIMEOUT"]) == ("Example", 7200)
    assert "cloud.example.com" in found["ALLOWED_HOSTS"]
    assert found["LOGGING"]["loggers"]["horizon"]["level"] == "DEBUG"


NOW = datetime(2030, 5, 1, tzinfo=UTC)
KNOWN = authority.certified(Passwords({}).completed(FULL), Description(numbered(3), services=FULL), NOW)


def encrypted(**control: object) -> dict[str, str]:
    """Return what is in the files of a node whose cloud has certificates for both virtual IPs, or without ``control``
    for the public one only.
    """
    given = generate.merged(OUTSIDE, {"tls": {"control": control}})
    description = Description(numbered(3), services=FULL, overrides=given)
    known = authority.certified(KNOWN, description, NOW)
    (document, *_) = generate.generate(description, known).values()
    if not control:
        del document["tls"]["control"]
    files = preview.files(paths.elements(), preview.accepted(document, tuple(ROWS.values())), tuple(ROWS.values()))
    return {name: file.body.decode(errors="replace") for name, file in files.items()}


def test_a_certificate_for_the_inside_changes_nothing_before_it_is_switched_on() -> None:
    without, waiting = encrypted(), encrypted(enabled=False)
    assert waiting == without
    assert "nova_metadata_host = 192.0.2.10\nmetadata_proxy" in without["/etc/neutron/neutron.conf"]


def test_nothing_is_asked_in_plain_http_inside_once_it_is_switched_on() -> None:
    on = encrypted(enabled=True, name="internal.example.com")
    asked = {name: re.findall(r"\S*http://\S*", text) for name, text in on.items()}
    assert {name: urls for name, urls in asked.items() if urls} == {}
    for service in ("nova", "glance-api", "cinder", "neutron", "heat"):
        directory = service.partition("-")[0]
        found = read(on[f"/etc/{directory}/{service}.conf"])
        assert found["keystone_authtoken"]["auth_url"] == "https://internal.example.com:5000/v3", service
    assert "\n192.0.2.10 internal.example.com\n" in on["/etc/hosts"]
    neutron = read(on["/etc/neutron/neutron.conf"])["DEFAULT"]
    assert (neutron["nova_metadata_host"], neutron["nova_metadata_protocol"]) == ("internal.example.com", "https")


def test_the_dashboard_which_would_trust_anybody_as_glance_is_told_whom_to_trust() -> None:
    on, off = encrypted(enabled=True, name="internal.example.com"), encrypted(enabled=False)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    django: dict[str, object] = {}
    exec(on["/etc/openstack-dashboard/local_settings.py"], django)
    assert django["OPENSTACK_SSL_CACERT"] == bundle
    assert "internal.example.com" in django["ALLOWED_HOSTS"]  # type: ignore[operator]
    assert bundle not in off["/etc/openstack-dashboard/local_settings.py"]


def test_whoever_asks_an_api_inside_waits_until_the_node_trusts_its_authority() -> None:
    def before(service: str) -> set[str]:
        known = set(ROWS[service].after)
        return known.union(*map(before, known))

    askers = [row.service for row in ROWS.values() if row.identity]
    assert askers
    assert [name for name in askers if "ha-trust" not in before(name)] == []


def test_horizon_is_found_where_a_browser_looks() -> None:
    haproxy = FILES["/etc/haproxy/haproxy.cfg"].body.decode()
    section = haproxy.partition("\nlisten horizon\n")[2].partition("\nlisten ")[0]
    assert re.findall(r"bind (\S+)", section) == ["192.0.2.10:80", "198.51.100.10:80"]
    ini = parsed(FILES["/etc/tripleo-ha/uwsgi/horizon.ini"])["uwsgi"]
    assert ini["static-map"] == "/static=/var/lib/openstack-dashboard/static"
    assert ini["http-socket"] == "192.0.2.11:8880"


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
