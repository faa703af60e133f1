"""Networks, routers and floating IPs, with the traffic of those who use them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from availability import Loop, Loops, Operation, describe
from beds import Summary, singletons
from clouds import RESUME_S, STEADY, Echo, WhoHas, invent, is_, needs, outside, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import CLIENT_HOST
from tripleo_ha.metadata import schema
from tripleo_ha.verify.runner import Target

ROUTER_GAP_S = 30.0
ACTIVE_S = 90.0
L3_AGENT = "neutron-l3-agent"


@dataclass(frozen=True)
class Routed:
    """A network of a project behind a router, whose gateway is on a network outside."""

    network: str
    gateway: str
    """The address of the router on the network outside."""
    router: str
    port: Any
    floating: str
    """The address outside that stands for the port's."""
    interface: str
    """The client's interface on the network outside, and ``own``, its address there."""
    own: str


@pytest.fixture
def routed(target: Target, bed: Bed, cloud: Connection) -> Iterator[Routed]:
    """A router that is served, on the bed's own network outside."""
    needs(bed, "neutron")
    net = cloud.network
    others = [name for name in target.transport.nodes if name != singletons(target).get(L3_AGENT)]
    name = invent()
    with ExitStack() as undo:
        external, place = undo.enter_context(outside(cloud, target.metadata))
        own = place.address(CLIENT_HOST)
        network = net.create_network(name=name)
        undo.callback(removed, "the network", lambda: net.delete_network(network.id))
        subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.80.0.0/24")
        router = net.create_router(name=name, external_gateway_info={"network_id": external})
        undo.callback(removed, "the router", lambda: net.delete_router(router.id))
        net.add_interface_to_router(router, subnet.id)
        undo.callback(_unplugged, cloud, router.id, subnet.id)
        port = net.create_port(network_id=network.id, binding_host_id=others[0], is_port_security_enabled=False)
        undo.callback(removed, "the port", lambda: net.delete_port(port.id))
        floating = net.create_ip(floating_network_id=external, port_id=port.id)
        undo.callback(removed, "the floating IP", lambda: net.delete_ip(floating.id))
        gateway = net.get_router(router.id).external_gateway_info["external_fixed_ips"][0]["ip_address"]
        yield Routed(network.id, gateway, router.id, port, floating.floating_ip_address, place.bridge, own)


def _unplugged(cloud: Connection, router: str, subnet: str) -> None:
    """Take a subnet from a router; a request whose answer was lost is not made twice."""

    def unplug() -> bool:
        if any(cloud.network.ports(device_id=router, network_id=cloud.network.get_subnet(subnet).network_id)):
            cloud.network.remove_interface_from_router(router, subnet)
        return True

    until("the router's interface to be removed", unplug, timeout=120)


@pytest.mark.quick
def test_networks_routers_and_floating_ips_become_active(cloud: Connection, target: Target, routed: Routed) -> None:
    net = cloud.network

    def states() -> dict[str, str]:
        ports = {port.device_owner: port.status for port in net.ports(device_id=routed.router)}
        found = next(iter(net.ips(floating_ip_address=routed.floating)))
        return {
            "network": net.get_network(routed.network).status,
            "router": net.get_router(routed.router).status,
            "floating IP": found.status,
            **ports,
        }

    def active(told: dict[str, str]) -> bool:
        return len(told) == 5 and set(told.values()) == {"ACTIVE"}

    until("network, router, its two ports and floating IP to be ACTIVE", states, active, timeout=ACTIVE_S)
    wanted = schema.with_defaults(target.metadata)["neutron"]["dhcp_servers"]

    def served() -> list[str]:
        ports = net.ports(network_id=routed.network, device_owner="network:dhcp")
        return [port.binding_host_id for port in ports if port.status == "ACTIVE"]

    until(
        f"{wanted} controllers to serve DHCP",
        served,
        lambda hosts: len(hosts) == len(set(hosts)) == wanted,
        timeout=ACTIVE_S,
    )
    echo = Loops((Loop("gateway", Echo(routed.gateway), 0.2, target.transport.enter),))
    with echo.at_work(ACTIVE_S):  # it has answered whoever is outside once this is entered
        pass


def test_traffic_by_a_floating_ip_goes_on_within_30_s_of_the_loss_of_the_routers_controller(
    routed: Routed, target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    node = singletons(target).get(L3_AGENT)
    if node is None:
        pytest.skip("there is no single L3 agent")
    addresses = {"gateway": routed.gateway, "floating IP": routed.floating}
    owners = {name: WhoHas(address, routed.interface, routed.own) for name, address in addresses.items()}
    asked: dict[str, Operation] = {name: Echo(address) for name, address in addresses.items()}
    asked |= {f"owner of the {name}": each for name, each in owners.items()}
    loops = Loops(tuple(Loop(name, each, 0.2, target.transport.enter) for name, each in asked.items()))
    with plugged(bed, routed.port, cloud.network.get_subnet(routed.port.fixed_ips[0]["subnet_id"])):
        port = routed.port.id
        until("the port to be ACTIVE", lambda: cloud.network.get_port(port).status, is_("ACTIVE"), timeout=ACTIVE_S)
        before = _heartbeats(cloud)
        with loops.at_work(ACTIVE_S):
            at = time.monotonic()
            bed.power_off(node)
            loops.wait_working(at, RESUME_S, STEADY)
            gaps = loops.gaps(at)
            until(
                "the L3 agent to say that it is alive",
                lambda: _heartbeats(cloud),
                lambda now: all(alive and at > before.get(host, (False, ""))[1] for host, (alive, at) in now.items()),
                timeout=RESUME_S,
            )
            alive = time.monotonic() - at
    summary.tell(f"{node} (L3 agent) power cut", f"{describe(gaps)}; the agent tells that it is alive in {alive:.0f} s")
    assert {name: each.answers for name, each in owners.items() if max(each.answers) > 1} == {}, "two gateways at once"
    assert {name: gap.seconds for name, gap in gaps.items() if gap.seconds > ROUTER_GAP_S} == {}


def _heartbeats(cloud: Connection) -> dict[str, tuple[bool, str]]:
    """Return of each L3 agent whether it is alive, and when it said so last."""
    agents = cloud.network.agents(agent_type="L3 agent")
    return {agent.host: (bool(agent.is_alive), str(agent.last_heartbeat_at)) for agent in agents}


@contextmanager
def plugged(bed: Bed, port: Any, subnet: Any) -> Iterator[None]:
    """Have a network namespace on the port's controller that is what the port is for: an endpoint, as a server's."""
    node, device = port.binding_host_id, f"tap{port.id[:11]}"
    interface = [
        "type=internal",
        f"external_ids:iface-id={port.id}",
        "external_ids:iface-status=active",
        f"external_ids:attached-mac={port.mac_address}",
    ]
    prefix = subnet.cidr.partition("/")[2]
    inside = ["ip", "-n", device]
    steps = [
        ["ovs-vsctl", "--may-exist", "add-port", "br-int", device, "--", "set", "Interface", device, *interface],
        ["ip", "netns", "add", device],
        ["ip", "link", "set", device, "netns", device],
        [*inside, "link", "set", device, "address", port.mac_address, "mtu", "1400", "up"],
        [*inside, "addr", "add", f"{port.fixed_ips[0]['ip_address']}/{prefix}", "dev", device],
        [*inside, "route", "add", "default", "via", subnet.gateway_ip],
    ]
    try:
        for step in steps:
            bed.exec(node, step)
        yield
    finally:
        if bed.powered(node):
            bed.exec(node, ["ovs-vsctl", "--if-exists", "del-port", "br-int", device], check=False)
            bed.exec(node, ["ip", "netns", "delete", device], check=False)
