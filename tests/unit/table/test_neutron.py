"""Neutron's rows and files, what is made of Open vSwitch, and that nothing of routers is left behind."""

import configparser
import importlib.util
import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tripleo_ha import paths, table
from tripleo_ha.errors import TimedOut
from tripleo_ha.metadata import generate
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import image, openvswitch, preview, routers
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Row
from tripleo_ha.topology import openvswitch as topology
from tripleo_ha.topology import rabbitmq

FULL = generate.profile("full")
ROWS = {row.service: row for row in table.load()}
TWO = [
    {"name": "external", "bridge": "br-ex", "interface": "host2", "vlans": ["100:199", "300:310"]},
    {"name": "storage", "bridge": "br-storage", "flat": False},
]


def accepted(without: tuple[str, ...] = (), **neutron: object) -> dict[str, Any]:
    services = tuple(key for key in FULL if key not in without)
    wanted = Description(numbered(3), services=services, overrides={"neutron": neutron})
    _, document, _ = generate.generate(wanted, Passwords({}).completed(services)).values()
    return preview.accepted(document, tuple(ROWS.values()))


def configuration(metadata: dict[str, Any]) -> dict[str, dict[str, str]]:
    body = preview.files(paths.elements(), metadata, tuple(ROWS.values()))["/etc/neutron/neutron.conf"].body.decode()
    parser = configparser.ConfigParser(strict=False, interpolation=None, default_section="")
    parser.read_string(body)
    return {name: dict(parser[name]) for name in parser.sections()}


def driver(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the mechanism driver, with as much of neutron-lib as it names."""
    names = {
        "constants": SimpleNamespace(
            TYPE_FLAT="flat", TYPE_VLAN="vlan", TYPE_VXLAN="vxlan", TYPE_GRE="gre", PORT_STATUS_ACTIVE="ACTIVE"
        ),
        "portbindings": SimpleNamespace(
            CONNECTIVITY_L2="l2",
            CAP_PORT_FILTER="port_filter",
            VIF_DETAILS_CONNECTIVITY="connectivity",
            VIF_TYPE_OVS="ovs",
        ),
        "api": SimpleNamespace(MechanismDriver=object, ID="id", NETWORK_TYPE="network_type"),
    }
    for name in ("neutron_lib", "neutron_lib.api.definitions", "neutron_lib.plugins.ml2"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**names))  # type: ignore[misc]
    file = paths.elements() / "neutron/static/usr/lib/python3/dist-packages/neutron_l3_singleton.py"
    spec = importlib.util.spec_from_file_location("neutron_l3_singleton", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_l3_agent_is_one_of_two_rows() -> None:
    for chosen, wanted, manager in (
        ({}, "neutron-l3-agent", "pacemaker"),
        ({"l3": "singleton"}, "neutron-l3-agent", "pacemaker"),
        ({"l3": "ha"}, "neutron-l3-agent-ha", "systemd"),
    ):
        (row,) = [each for each in table.active([*ROWS.values()], {"neutron": chosen}) if "l3" in each.service]
        assert (row.service, row.manager) == (wanted, manager)
        assert configuration(accepted(**chosen))["DEFAULT"]["l3_ha"] == str(chosen.get("l3") == "ha").lower()


def test_the_single_agent_has_the_identity_that_ports_are_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    row, module = ROWS["neutron-l3-agent"], driver(monkeypatch)
    units = image.made_units([row])
    assert f"\nEnvironment=OS_DEFAULT__HOST={module.HOST}\n" in units["neutron-l3-agent.service"]
    assert row.units[0].name not in units
    drivers = configuration(accepted())["ml2"]["mechanism_drivers"].split(",")
    points = paths.elements() / "neutron/static/usr/lib/python3/dist-packages/neutron_l3_singleton-1.0.dist-info"
    (declared,) = re.findall(r"(\w+) = neutron_l3_singleton:(\w+)", (points / "entry_points.txt").read_text())
    assert drivers == ["openvswitch", declared[0]]
    assert hasattr(module, declared[1])
    assert "OS_DEFAULT__HOST" not in image.made_units([ROWS["neutron-l3-agent-ha"]])["neutron-l3-agent-ha.service"]


def test_ports_of_that_identity_are_bound_and_active_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    module = driver(monkeypatch)
    bound: list[tuple[object, ...]] = []

    def bind(host: str, *types: str) -> list[tuple[object, ...]]:
        bound.clear()
        segments = [{"id": kind, "network_type": kind} for kind in types]
        context = SimpleNamespace(host=host, segments_to_bind=segments, set_binding=lambda *given: bound.append(given))
        module.SingletonMechanismDriver().bind_port(context)
        return bound

    details = {"port_filter": False, "connectivity": "l2"}
    assert bind(module.HOST, "geneve", "vlan", "flat") == [("vlan", "ovs", details, "ACTIVE")]
    assert bind(module.HOST, "local") == []
    assert bind("overcloud-controller-0", "vlan") == []


def test_networks_outside_and_of_projects_are_as_the_metadata_say() -> None:
    found = configuration(accepted(physical_networks=TWO, tenant_network_type="vlan", datapath="netdev"))
    assert found["ml2_type_flat"]["flat_networks"] == "external"
    assert found["ml2_type_vlan"]["network_vlan_ranges"] == "external:100:199,external:300:310,storage"
    assert found["ovs"]["bridge_mappings"] == "external:br-ex,storage:br-storage"
    assert (found["ovs"]["datapath_type"], found["agent"]["tunnel_types"]) == ("netdev", "")
    assert "local_ip" not in found["ovs"]
    tunnels = configuration(accepted(tenant_network_type="gre", tunnel_ids="7:9"))
    assert (tunnels["ovs"]["local_ip"], tunnels["agent"]["tunnel_types"]) == ("192.0.2.12", "gre")
    assert tunnels["ml2_type_gre"]["tunnel_id_ranges"] == "7:9"
    assert tunnels["DEFAULT"]["host"] == "overcloud-controller-1"


def test_nova_and_placement_are_asked_where_they_are() -> None:
    alone, both = configuration(accepted(without=("nova", "placement_api"))), configuration(accepted())
    assert alone["DEFAULT"]["notify_nova_on_port_status_changes"] == "false"
    assert both["DEFAULT"]["notify_nova_on_port_status_changes"] == "true"
    for group in ("nova", "placement"):
        assert both[group]["username"] == both["keystone_authtoken"]["username"]
        assert both[group]["endpoint_type"] == "internal"


def test_the_broker_lets_neutron_have_its_own_queues_only() -> None:
    rights = rabbitmq.permission(ROWS["neutron"])
    own = ("neutron", "q-plugin", "q-plugin_fanout", "reply_overcloud-controller-0:neutron-l3-agent:1", "l3_agent.x")
    others = ("nova", "conductor", "reply_overcloud-controller-0:nova-api:1", "ceilometer", "neutronish")
    for pattern in (rights.configure, rights.write, rights.read):
        assert all(re.search(pattern, name) for name in own)
        assert not any(re.search(pattern, name) for name in others)
    assert re.search(rights.write, "amq.default")
    assert not re.search(rights.configure, "amq.default")


def test_all_daemons_read_the_one_file() -> None:
    rows = [row for row in ROWS.values() if row.metadata == "neutron" and row.service != "openvswitch"]
    daemons = [unit for row in rows for unit in row.units if unit.program]
    assert len(daemons) == 7
    for unit in daemons:
        assert unit.program
        assert unit.program.command[1:] == ("--config-file", "/etc/neutron/neutron.conf")
        assert unit.files == ("/etc/neutron/neutron.conf",)


def test_bridges_are_made_and_completed_and_what_others_added_stays() -> None:
    section = accepted(physical_networks=TWO, datapath="netdev", tenant_network_type="vlan")["neutron"]
    wanted = topology.wanted(section)
    first = [change.arguments for change in topology.changes(wanted, {})]
    assert first == [
        ("--may-exist", "add-br", "br-ex"),
        ("set", "Bridge", "br-ex", "datapath_type=netdev"),
        ("--may-exist", "add-port", "br-ex", "host2"),
        ("--may-exist", "add-br", "br-storage"),
        ("set", "Bridge", "br-storage", "datapath_type=netdev"),
    ]
    there = {
        "br-ex": topology.Bridge("br-ex", "netdev", frozenset({"host2", "phy-br-ex"})),
        "br-storage": topology.Bridge("br-storage", "system", frozenset()),
    }
    (left,) = topology.changes(wanted, there)
    assert left.arguments == ("set", "Bridge", "br-storage", "datapath_type=netdev")


def test_bridges_in_place_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(argv: list[str], **_: object) -> SimpleNamespace:
        line = " ".join(argv)
        asked.append(line)
        told = '{"data": [["br-ex", "netdev"], ["br-int", ""]]}' if "list Bridge" in line else ""
        return SimpleNamespace(stdout="host2\n" if line.endswith("list-ports br-ex") else told)

    monkeypatch.setattr(openvswitch, "run", run)
    monkeypatch.setattr(openvswitch.service, "converge", lambda context, row: None)
    metadata = accepted(physical_networks=TWO[:1], datapath="netdev", tenant_network_type="vlan")
    context = Context(metadata, None, ())  # type: ignore[arg-type]
    openvswitch.converge(context, ROWS["openvswitch"])
    assert context.changes == []
    assert not any("add-" in line or " set " in line for line in asked[:-1])
    assert asked[-1] == "ip link set dev host2 up"


class Node:
    """What of Open vSwitch and of namespaces a command may find, and what is done to it."""

    def __init__(self) -> None:
        self.ports = {"qr-1", "qg-1", "tap9", "br-int", "patch-tun"}
        self.namespaces = {"qrouter-1": [41, 42], "qdhcp-9": [43]}
        self.killed: list[int] = []
        self.stubborn = False
        self.database = True

    def run(self, argv: list[str], **_: object) -> SimpleNamespace:
        if argv[0] == "ovs-vsctl":
            if not self.database:
                raise CommandFailed(argv, "failed with exit status 1")
            self.ports -= set(argv) if not self.stubborn else set()
            return SimpleNamespace(stdout="\n".join(sorted(self.ports)))
        told = {
            "list": "".join(f"{name} (id: {number})\n" for number, name in enumerate(self.namespaces)),
            "pids": "\n".join(map(str, self.namespaces.get(argv[-1], []))),
        }
        if argv[2] == "delete":
            del self.namespaces[argv[3]]
        return SimpleNamespace(stdout=told.get(argv[2], ""))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node()
    monkeypatch.setattr(routers, "run", made.run)
    monkeypatch.setattr(routers.os, "kill", lambda pid, _: made.killed.append(pid))
    monkeypatch.setattr(routers, "TIMEOUT_S", 0.5)
    yield made


def test_routers_are_removed_and_what_dhcp_has_stays(node: Node) -> None:
    routers.clear()
    assert node.ports == {"tap9", "br-int", "patch-tun"}
    assert set(node.namespaces) == {"qdhcp-9"}
    assert node.killed == [41, 42]
    routers.clear()
    assert node.killed == [41, 42]


def test_namespaces_go_where_the_switch_does_not_answer(node: Node) -> None:
    node.database = False
    routers.clear()
    assert set(node.namespaces) == {"qdhcp-9"}


def test_what_stays_is_named(node: Node) -> None:
    node.stubborn = True
    with pytest.raises(TimedOut, match=r"qg-1, qr-1"):
        routers.clear()


def test_the_units_that_clear_do_so_before_and_after() -> None:
    for service in ("neutron-l3-agent", "neutron-l3-agent-ha"):
        row: Row = ROWS[service]
        name = row.units[0].name
        text = (paths.elements() / service / "static/etc/systemd/system" / name).read_text()
        for moment in ("ExecStart", "ExecStop"):
            assert f"\n{moment}=/usr/local/bin/tripleo-ha-node clear-routers\n" in text
        assert "RemainAfterExit=yes" in text
        assert row.units[-1].program
        assert row.units[-1].program.keeps_children
