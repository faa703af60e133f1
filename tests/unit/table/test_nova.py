"""Nova: cells that follow the configuration, queues of its own, consoles, and how much of it runs."""

import re
import urllib.parse

import pytest
from test_api_services import FILES, METADATA, ROWS, made, parsed

from tripleo_ha import paths
from tripleo_ha.node import preview, service
from tripleo_ha.topology import rabbitmq

CONF = "/etc/nova/nova.conf"
NOVA = ROWS["nova"]
COMMANDS = {work.name: [service.fill(word, METADATA) for word in work.run] for work in NOVA.once}


def resolved(cell: str, option: str, url: str) -> str:
    """What Nova makes of a cell's template with the parts of its own URL."""
    (template,) = [word.partition("=")[2] for word in COMMANDS[cell] if word.startswith(f"--{option}=")]
    parts = urllib.parse.urlsplit(url)
    names = ("scheme", "username", "password", "hostname", "port", "query")
    return template.format(**{name: getattr(parts, name) for name in names})


def test_the_urls_of_cells_are_templates_that_follow_the_configuration() -> None:
    found = parsed(FILES[CONF])
    connection, transport = found["database"]["connection"], found["DEFAULT"]["transport_url"]
    assert resolved("cell1", "database_connection", connection) == connection
    assert resolved("cell1", "transport-url", transport) == transport
    assert resolved("cell0", "database_connection", connection) == connection.replace("/nova?", "/nova_cell0?")


def test_cells_are_entered_before_anything_starts_and_after_their_table_is_there() -> None:
    order = [work.name for work in NOVA.once if work.when == "stopped"]
    assert order.index("api-schema") < order.index("cell0") < order.index("cell1")


def test_each_schema_is_migrated_on_this_nodes_own_server() -> None:
    migrated = {work.evidence["alembic"]["database"]: work for work in NOVA.once if "alembic" in work.evidence}
    assert set(migrated) == {database.name for database in NOVA.databases}
    for name, work in migrated.items():
        assert list(work.env.values()) == [f"derived.local_databases.{name}"]


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("nova", True),
        ("conductor", True),
        ("conductor.overcloud-controller-0", True),
        ("compute_fanout", True),
        ("reply_overcloud-controller-0:nova-api:1", True),
        ("reply_overcloud-controller-0:neutron-api:1", False),
        ("neutron", False),
        ("computer", False),
        ("amq.default", False),
    ],
)
def test_only_queues_of_its_own_are_touched(name: str, allowed: bool) -> None:
    rights = rabbitmq.permission(NOVA)
    assert bool(re.search(rights.configure, name)) is bool(re.search(rights.read, name)) is allowed
    assert bool(re.search(rights.write, name)) is (allowed or name == "amq.default")


@pytest.mark.parametrize("service", ["cinder", "heat", "neutron", "nova"])
def test_notifications_may_be_sent_and_not_read(service: str) -> None:
    rights = rabbitmq.permission(ROWS[service])
    # Whoever sends first makes the queue, and binds it: that is writing to it, and reading from the exchange.
    each = (rights.configure, rights.write, rights.read)
    assert [bool(re.search(right, "notifications.info")) for right in each] == [True, True, False]
    assert re.search(rights.read, service)


def test_consoles_are_offered_where_browsers_are() -> None:
    found = parsed(FILES[CONF])["vnc"]
    urls = METADATA["derived"]["urls"]  # type: ignore[index]
    assert found["novncproxy_base_url"] == f"{urls['novncproxy']['public']}/vnc_lite.html"
    assert found["novncproxy_host"] == "192.0.2.11"


def test_instances_metadata_are_offered_to_services_only() -> None:
    haproxy = FILES["/etc/haproxy/haproxy.cfg"].body.decode()
    section = haproxy.partition("\nlisten nova-metadata\n")[2].partition("\nlisten ")[0]
    assert re.findall(r"bind (\S+)", section) == ["192.0.2.10:8775"]


def test_workers_are_those_of_the_conductor_and_scheduler_too() -> None:
    for workers in (1, 3):
        found = preview.files(paths.elements(), made(nova={"workers": workers}), tuple(ROWS.values()))
        conf = parsed(found[CONF])
        assert {conf[daemon]["workers"] for daemon in ("conductor", "scheduler")} == {str(workers)}
