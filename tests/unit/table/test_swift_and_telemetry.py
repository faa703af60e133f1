"""The object store and telemetry: what in their files must agree with rows, with each other and with other services."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

from tripleo_ha import paths, table
from tripleo_ha.metadata import generate, schema
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import preview
from tripleo_ha.templates.render import Rendered
from tripleo_ha.topology import rabbitmq, swift

FULL = generate.profile("full")
ROWS = {row.service: row for row in table.load()}


def rendered(count: int = 3, services: tuple[str, ...] = FULL, **overrides: object) -> dict[str, Rendered]:
    description = Description(numbered(count), services=services, overrides=overrides)
    (document, *_) = generate.generate(description, Passwords({}).completed(services)).values()
    metadata = preview.accepted(document, tuple(ROWS.values()))
    return preview.files(paths.elements(), metadata, tuple(ROWS.values()))


FILES = rendered()


def parsed(files: dict[str, Rendered], path: str) -> configparser.ConfigParser:
    """As its reader does: a section that stands twice is one for oslo.config and an error for Swift."""
    parser = configparser.ConfigParser(interpolation=None, default_section="", strict="/swift/" in path)
    parser.read_string(files[path].body.decode())
    return parser


def proxy(files: dict[str, Rendered] = FILES) -> configparser.ConfigParser:
    return parsed(files, "/etc/swift/proxy-server.conf.d/10-tripleo-ha.conf")


@pytest.mark.parametrize("kind", ["proxy", *swift.KINDS])
def test_a_server_of_swift_listens_where_its_row_says(kind: str) -> None:
    found = parsed(FILES, f"/etc/swift/{kind}-server.conf.d/10-tripleo-ha.conf")
    service, name = ("swift-proxy", "swift") if kind == "proxy" else ("swift-storage", f"swift-{kind}")
    (listener,) = [each for each in ROWS[service].listeners if each.name == name]
    assert found["DEFAULT"]["bind_port"] == str(listener.port)
    assert found["DEFAULT"]["bind_ip"] == "192.0.2.11"
    assert listener.processes == (f"swift-{kind}-server"[:15],)


def test_every_filter_of_a_pipeline_is_declared() -> None:
    for path in FILES:
        if path.startswith("/etc/swift/") and b"[pipeline:main]" in FILES[path].body:
            found = parsed(FILES, path)
            *filters, app = found["pipeline:main"]["pipeline"].split()
            assert f"app:{app}" in found
            assert {f"filter:{name}" for name in filters} <= set(found.sections()), path


def test_copies_go_where_the_controllers_rsync_writes() -> None:
    daemon = FILES["/etc/swift/rsyncd.conf"].body.decode()
    (listener,) = [each for each in ROWS["swift-storage"].listeners if each.name == "swift-rsync"]
    assert f"port = {listener.port}\n" in daemon
    (state,) = ROWS["swift-storage"].state
    devices = str(Path(f"{paths.STATE}{state.path}").parent)
    assert Path(state.path).name == swift.DEVICE
    for kind in swift.KINDS:
        found = parsed(FILES, f"/etc/swift/{kind}-server.conf.d/10-tripleo-ha.conf")
        assert found["DEFAULT"]["devices"] == devices
        assert found[f"{kind}-replicator"]["rsync_module"] == f"rsync://{{replication_ip}}:{listener.port}/{kind}"
    assert re.findall(r"path = (\S+)", daemon) == [devices] * 3
    assert re.findall(r"^\[(\w+)\]", daemon, re.MULTILINE) == list(swift.KINDS)


def test_swift_leaves_room_to_the_database_and_the_broker_on_the_same_volume() -> None:
    files = rendered(swift={"reserve_percent": 25})
    for kind in swift.KINDS:
        path = f"/etc/swift/{kind}-server.conf.d/10-tripleo-ha.conf"
        assert parsed(FILES, path)["DEFAULT"]["fallocate_reserve"] == "10%"
        assert parsed(files, path)["DEFAULT"]["fallocate_reserve"] == "25%"


def test_services_that_keep_something_in_swift_may_and_no_other_service_may() -> None:
    operators = set(proxy()["filter:keystoneauth"]["operator_roles"].split(", "))
    keepers = {
        row.identity.user for row in ROWS.values() if row.identity and operators & set(row.identity.roles) - {"admin"}
    }
    assert keepers == {"glance", "gnocchi"}
    assert ROWS["ceilometer-agent-central"].identity
    reseller = proxy()["filter:keystoneauth"]["reseller_admin_role"]
    assert reseller in ROWS["ceilometer-agent-central"].identity.roles


def test_a_proxy_that_is_left_is_asked_where_the_flag_is() -> None:
    (listener,) = ROWS["swift-proxy"].balanced
    assert proxy()["filter:healthcheck"]["disable_path"] == f"{paths.RUNTIME}/draining/{listener.name}"
    assert proxy()["filter:healthcheck"]["paste.filter_factory"] == "tripleo_ha_swift:healthcheck"
    module = paths.elements() / "swift-proxy/static/usr/lib/python3/dist-packages/tripleo_ha_swift.py"
    assert "status=404" in module.read_text()


def test_swifts_secrets_are_its_own_to_read() -> None:
    secrets = {str(value).encode() for value in Passwords({}).completed(("swift",)).of("swift").values()}
    assert len(secrets) == 3
    for path in ("/etc/swift/swift.conf", "/etc/swift/proxy-server.conf.d/10-tripleo-ha.conf"):
        assert (FILES[path].mode, FILES[path].group) == (0o640, "swift")


def test_a_unit_of_swift_restarts_for_each_file_that_it_reads() -> None:
    for row in (ROWS["swift-proxy"], ROWS["swift-storage"]):
        for unit in row.units:
            assert unit.program
            read = unit.program.command[-1].rpartition("=")[2]
            wanted = {path for path in FILES if path == read or path.startswith(f"{read}/")}
            assert wanted
            if unit.timer:
                # Each run reads them anew.
                wanted = {table.timer_file(unit.name)}
            assert wanted <= set(unit.files), unit.name
            assert set(unit.files) <= set(FILES), unit.name


def test_what_swift_does_now_and_then_runs_to_its_end_and_at_no_fixed_time() -> None:
    files = rendered(swift={"interval_s": 40, "audit_interval_s": 600})
    wanted = {
        "account-auditor": 600,
        "container-auditor": 600,
        "object-auditor": 600,
        "object-expirer": 40,
        "container-updater": 40,
        "object-updater": 40,
        "account-reaper": 3600,
    }
    timed = {unit.name: unit for unit in ROWS["swift-storage"].units if unit.timer}
    assert set(timed) == {f"swift-{name}.timer" for name in wanted}
    for name, seconds in wanted.items():
        program = timed[f"swift-{name}.timer"].program
        assert program
        assert program.command[:2] == (f"/usr/bin/swift-{name}", "--once")
        found = parsed(files, f"/etc/systemd/system/swift-{name}.timer")["Timer"]
        first, again = int(found["OnActiveSec"]), int(found["OnUnitInactiveSec"])
        assert first == again
        assert again + int(found["RandomizedDelaySec"]) / 2 == seconds


@pytest.mark.parametrize("kind", ["proxy", *swift.KINDS])
def test_extra_settings_of_swift_stand_in_their_servers_file_alone(kind: str) -> None:
    files = rendered(swift={"extra": {f"{kind}-server": {"filter:other": {"key": "of a user"}}}})
    for each in ("proxy", *swift.KINDS):
        path = f"/etc/swift/{each}-server.conf.d/90-extra.conf"
        wanted = {"filter:other": {"key": "of a user"}} if each == kind else {}
        assert {name: dict(found) for name, found in parsed(files, path).items() if name} == wanted
        # What is set may be a secret: a middleware's password.
        assert (files[path].mode, files[path].group) == (0o640, "swift")


def test_limits_of_swift_stand_where_all_its_servers_read_them() -> None:
    files = rendered(swift={"extra": {"swift": {"swift-constraints": {"max_file_size": 1 << 30}}}})
    assert parsed(files, "/etc/swift/swift.conf")["swift-constraints"]["max_file_size"] == "1073741824"
    declared = schema.read("swift")["properties"]["extra"]["properties"]["swift"]
    # A section that stands there already may not stand there again.
    assert set(declared["propertyNames"]["enum"]).isdisjoint(parsed(FILES, "/etc/swift/swift.conf").sections())


def test_gnocchi_keeps_measures_where_it_is_told() -> None:
    found = parsed(FILES, "/etc/gnocchi/gnocchi.conf")
    assert found["storage"]["driver"] == "swift"
    assert found["storage"]["swift_user"] == found["keystone_authtoken"]["username"]
    assert found["storage"]["swift_key"] == found["keystone_authtoken"]["password"]
    assert found["indexer"]["url"] == found["database"]["connection"]
    alone = parsed(rendered(1, gnocchi={"storage": "file"}), "/etc/gnocchi/gnocchi.conf")
    assert alone["storage"]["driver"] == "file"
    (state,) = ROWS["gnocchi"].state
    assert alone["storage"]["file_basepath"] == state.path


def test_the_storage_is_made_after_the_user_that_it_is_made_as() -> None:
    order = [row.service for row in table.load()]
    wanted = ["swift-storage", "swift-proxy", "gnocchi-metricd"]
    assert sorted(wanted, key=order.index) == wanted
    assert {"gnocchi", "swift-proxy"} <= set(ROWS["gnocchi-metricd"].after)
    assert "gnocchi" in ROWS["ceilometer-agent-notification"].after


SENDERS = ("cinder", "heat", "neutron", "nova")
"""Services whose notifications are taken."""


def test_the_notification_agent_is_let_do_what_it_consumes() -> None:
    text = FILES["/etc/ceilometer/ceilometer.conf"].body.decode()
    exchanges = re.findall("^notification_control_exchanges = (.+)$", text, re.MULTILINE)
    assert sorted(exchanges) == sorted(["ceilometer", *SENDERS])
    rights = rabbitmq.permission(ROWS["ceilometer-agent-central"])
    for name in (*exchanges, "notifications.sample", "notifications.info"):
        for permission in (rights.configure, rights.read):
            assert re.search(permission, name), name
    for name in ("ceilometer", "notifications.sample", "notifications.info", "alarm.all.sample"):
        assert re.search(rights.write, name), name
    assert not any(re.search(rights.write, name) for name in SENDERS)
    aodh = rabbitmq.permission(ROWS["aodh"])
    assert re.search(aodh.configure, "alarming.sample")
    assert not re.search(aodh.configure, "notifications.sample")
    assert re.search(aodh.read, "alarm.all.sample")


@pytest.mark.parametrize("service", SENDERS)
def test_notifications_are_sent_where_they_are_taken(service: str) -> None:
    def section(files: dict[str, Rendered]) -> dict[str, str]:
        found = parsed(files, f"/etc/{service}/{service}.conf")
        return dict(found["oslo_messaging_notifications"]) if "oslo_messaging_notifications" in found else {}

    sent = section(FILES)
    assert (sent["driver"], int(sent["retry"]) > 0) == ("messagingv2", True)
    without = tuple(name for name in FULL if name not in {"aodh", "ceilometer", "gnocchi"})
    assert section(rendered(services=without)) == {}


def test_events_reach_alarms_where_there_are_any() -> None:
    def publishers(files: dict[str, Rendered]) -> list[str]:
        (sink,) = yaml.safe_load(files["/etc/ceilometer/event_pipeline.yaml"].body)["sinks"]
        return list(sink["publishers"])

    assert publishers(FILES) == ["gnocchi://", "notifier://?topic=alarm.all"]
    assert publishers(rendered(services=tuple(name for name in FULL if name != "aodh"))) == ["gnocchi://"]
