"""The whole control plane, as users of a cloud see it: every API, and what they build with them, over lost controllers.

The bed is these tests' own, with the profile ``full``; ``--bed DIR`` of a bed with that profile takes that one, and
leaves it. Tests that need one controller to be off leave it off for the next such test; the others bring all back.
"""

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from beds import REPORTS, Summary, assert_good, down, holders, make, up_and_good
from clouds import Echo, Question, WhoHas, connect, endpoint, invent, of_own_server, removed, token_of, until
from openstack.connection import Connection

from tripleo_ha import table
from tripleo_ha.chaos.outside import View
from tripleo_ha.devtest import timeline
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import CLIENT_HOST, NETWORKS
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import schema
from tripleo_ha.metadata.generate import profile
from tripleo_ha.verify.availability import Loop, Loops, Operation, describe, elsewhere
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport
from tripleo_ha.waiting import wait_for

pytestmark = pytest.mark.long
FULL = "full"
MEMORY_GB = 14.0
IDLE_S = 90.0
"""The load of the last minute still has a fifth of what was before in it."""
IMAGE_BYTES = 20_000_000
SETTLE_S = 60.0
RESUME_S = 120.0
BACK_S = 300.0
STEADY = 3
"""Answers in a row that make an API answer again."""
GAP_S = 60.0
"""Longest time for which an API may not answer. How much shorter it is depends on the machine; it is told."""
ROUTER_GAP_S = 30.0
ACTIVE_S = 90.0
VOLUME_S = 180.0
STACK_S = 300.0
L3_AGENT = "neutron-l3-agent"


@pytest.fixture(scope="module")
def bed(state: Path, image_root: Path | None, no_shared_bed: None, pytestconfig: pytest.Config) -> Iterator[Bed]:
    """A bed that runs every service."""
    with suppress(UsageError):
        if (given := Bed.open(state)).record.profile == FULL:
            yield given
            return
    own = state.with_name(f"{state.name}-openstack")
    down(own)
    try:
        yield make(own, 3, image_root, REPORTS, FULL)
    finally:
        if not pytestconfig.getoption("--keep-bed"):
            down(own)


@pytest.fixture(scope="module")
def cloud(bed: Bed) -> Connection:
    """The administrator's connection to the cloud."""
    return connect(bed, BedTransport(bed).enter)


@pytest.fixture
def one_off(bed: Bed) -> str:
    """The name of a controller that has no power; the test before may have cut it."""
    off = [node.name for node in bed.nodes if not bed.powered(node.name)]
    if not off:
        off = [bed.nodes[-1].name]
        bed.power_off(off[0])
    assert len(off) == 1
    return off[0]


@pytest.fixture(scope="module")
def content() -> bytes:
    """What an image holds; no part of it is like another."""
    return random.randbytes(IMAGE_BYTES)


@pytest.fixture(scope="module")
def image(bed: Bed, cloud: Connection, content: bytes) -> Iterator[str]:
    """The id of an image that was uploaded through the public virtual IP."""
    needs(bed, "glance")
    uploaded = cloud.image.create_image(invent(), data=content, container_format="bare", disk_format="raw")
    try:
        until("the image to be active", lambda: cloud.image.get_image(uploaded.id).status, is_("active"), timeout=60)
        yield uploaded.id
    finally:
        removed("the image", lambda: cloud.image.delete_image(uploaded.id))


def needs(bed: Bed, *keys: str) -> None:
    """Skip the test where a service of one of these metadata keys does not run."""
    metadata = bed.metadata(bed.nodes[0].name)
    if missing := [key for key in keys if key not in metadata]:
        pytest.skip(f"not in this bed: {', '.join(missing)}")


def is_(*wanted: str) -> Callable[[str], bool]:
    """Return what tells whether a status is one of these."""
    return lambda status: status in wanted


# The whole


def test_every_service_is_offered_and_every_check_is_good(bed: Bed, cloud: Connection, summary: Summary) -> None:
    began = time.monotonic()
    target = up_and_good(bed)
    took = {step["step"]: step["end"] - step["start"] for step in timeline.load(bed.state / "timeline.json")}
    told = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in took.items())
    summary.tell("full profile, up", f"{told}, verified {time.monotonic() - began:.0f} s later")
    assert set(profile(FULL)) - set(target.metadata) == set()
    types = {item.type for row in table.active(table.load(), target.metadata) for item in row.catalogue}
    assert {service["type"] for service in cloud.service_catalog} == types


def test_idle_controllers_keep_within_their_memory(target: Target, bed: Bed, summary: Summary) -> None:
    before, since = busy(bed), time.monotonic()
    wait_for("a time without requests", lambda: time.monotonic() - since > IDLE_S, timeout=2 * IDLE_S, interval=5)
    seconds = time.monotonic() - since
    used = busy(bed)
    used.subtract(before)
    most = ", ".join(f"{unit} {spent / seconds / 1e4:.1f} %" for unit, spent in used.most_common(6))
    summary.tell("three idle controllers, load", f"{os.getloadavg()[0]:.2f}; of one core {most}")
    sizes = {node.name: resident(bed, node.name) for node in bed.nodes}
    totals = {name: size.total() / 1e9 for name, size in sizes.items()}
    together = sum(sizes.values(), Counter())
    largest = ", ".join(f"{unit} {size / 1e9:.2f}" for unit, size in together.most_common(8))
    each = ", ".join(f"{size:.2f}" for size in totals.values())
    summary.tell("  resident", f"{sum(totals.values()):.2f} GB ({each}); {largest}")
    assert sum(totals.values()) <= MEMORY_GB


def busy(bed: Bed) -> Counter[str]:
    """Return the microseconds of CPU that each unit has used on all nodes since their boots."""
    found: Counter[str] = Counter()
    for node in bed.nodes:
        for file in (bed.cgroup / node.name).glob("boot*/**/*.service/cpu.stat"):
            with suppress(OSError):
                told = dict(line.split() for line in file.read_text().splitlines())
                found[file.parent.name] += int(told["usage_usec"])
    return found


def resident(bed: Bed, node: str) -> Counter[str]:
    """Return the bytes that each unit of a node has in memory; what several processes map counts once in all."""
    found: Counter[str] = Counter()
    for process in bed.processes(node):
        with suppress(OSError):
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            found[process.unit] += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return found


# Images


def test_an_uploaded_image_is_the_same_on_every_controller(
    target: Target, bed: Bed, cloud: Connection, image: str, content: bytes
) -> None:
    path = f"9292/v2/images/{image}/file"
    token = token_of(cloud)
    read = {node.name: of_own_server(bed, node.name, "GET", f"http://{node.ip}:{path}", token) for node in bed.nodes}
    assert read == dict.fromkeys(read, hashlib.sha256(content).hexdigest())


# All APIs


@contextmanager
def listed(cloud: Connection, target: Target) -> Iterator[dict[str, Question]]:
    """Have something in each API's list, and give the question for each by the service's type."""
    name, token = invent(), token_of(cloud)

    def field(key: str, each: str = "name") -> Callable[[Any], list[str]]:
        return lambda body: [item[each] for item in (body[key] if key else body)]

    lists = {
        "identity": ("/projects", field("projects")),
        "image": ("/v2/images", field("images")),
        "placement": ("/resource_classes", field("resource_classes")),
        "compute": ("/flavors", field("flavors")),
        "network": ("/v2.0/networks", field("networks")),
        "block-storage": ("/types", field("volume_types")),
        "orchestration": ("/stacks", field("stacks", "stack_name")),
        "object-store": ("?format=json", field("")),
        "metric": ("/v1/archive_policy", field("")),
        "alarming": ("/v2/alarms", field("")),
    }
    offered = [item.type for row in target.rows for item in row.catalogue if item.type in lists]
    with ExitStack() as undo:
        for service in offered:
            _have_one(cloud, service, name, undo)
        questions = {}
        for service in offered:
            path, names = lists[service]
            version = "placement 1.2" if service == "placement" else ""
            question = questions[service] = Question(target, endpoint(cloud, service) + path, token, names, version)
            elsewhere(target.transport.enter, question.learn)
        yield questions


def _have_one(cloud: Connection, service: str, name: str, undo: ExitStack) -> None:
    """Make one thing, where a service has none by itself."""
    if service == "image":
        image = cloud.image.create_image(name, container_format="bare", disk_format="raw")
        undo.callback(removed, "the image", lambda: cloud.image.delete_image(image.id))
    elif service == "compute":
        flavor = cloud.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
        undo.callback(removed, "the flavor", lambda: cloud.compute.delete_flavor(flavor.id))
    elif service == "network":
        network = cloud.network.create_network(name=name)
        undo.callback(removed, "the network", lambda: cloud.network.delete_network(network.id))
    elif service == "orchestration":
        template = {"heat_template_version": "2021-04-16", "resources": {"word": {"type": "OS::Heat::RandomString"}}}
        stack = cloud.orchestration.create_stack(name=name, template=template)
        undo.callback(removed, "the stack", lambda: cloud.orchestration.delete_stack(stack.id))
    elif service == "object-store":
        cloud.object_store.create_container(name)
        undo.callback(removed, "the container", lambda: cloud.object_store.delete_container(name))
    elif service == "alarming":
        url = f"{endpoint(cloud, service)}/v2/alarms"
        alarm = cloud.session.post(url, json={"name": name, "type": "event", "event_rule": {}}).json()["alarm_id"]
        undo.callback(removed, "the alarm", lambda: cloud.session.delete(f"{url}/{alarm}"))


@pytest.mark.parametrize("index", range(3))
def test_every_api_goes_on_without_a_controller_and_takes_it_back(
    index: int, target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    node = bed.nodes[index].name
    with listed(cloud, target) as questions:
        enter = target.transport.enter
        loops = Loops(tuple(Loop(service, asked, 0.5, enter) for service, asked in questions.items()))
        held = [name for name, holder in holders(target).items() if holder == node]
        with loops.at_work(SETTLE_S):
            at = time.monotonic()
            bed.power_off(node)
            loops.wait_working(at, RESUME_S, STEADY)
            gaps, back = loops.gaps(at), time.monotonic()
            bed.power_on(node)
            bed.wait_converged([node], timeout=BACK_S)
            took = time.monotonic() - back
            loops.wait_working(time.monotonic(), RESUME_S, STEADY)
            back_gaps = loops.gaps(back)
        summary.tell(f"{node} ({', '.join(held) or 'no virtual IP'}) power cut, all APIs", describe(gaps))
        summary.tell("  it came back by itself in", f"{took:.0f} s; meanwhile {describe(back_gaps)}")
        assert {service: asked.wrong[:5] for service, asked in questions.items() if asked.wrong} == {}
        assert {name: gap.seconds for name, gap in {**gaps, **back_gaps}.items() if gap.seconds > GAP_S} == {}
        assert_good(target, BACK_S)


# Networks


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
    outside = {network.interface: network for network in NETWORKS}
    known = [each for each in target.metadata["neutron"]["physical_networks"] if each.get("interface") in outside]
    if not known:
        pytest.skip("the bed has no network outside")
    physical, place = known[0]["name"], outside[known[0]["interface"]]
    own, net = place.address(CLIENT_HOST), cloud.network
    others = [name for name in target.transport.nodes if name != _l3_node(bed, target)]
    name = invent()
    with ExitStack() as undo:
        external = net.create_network(
            name=f"{name}-outside",
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network=physical,
        )
        undo.callback(removed, "the network outside", lambda: net.delete_network(external.id))
        pool = {"start": place.address(100), "end": place.address(199)}
        net.create_subnet(
            network_id=external.id,
            ip_version=4,
            cidr=f"{place.base}.0/{place.prefix}",
            gateway_ip=own,
            allocation_pools=[pool],
            is_dhcp_enabled=False,
        )
        network = net.create_network(name=name)
        undo.callback(removed, "the network", lambda: net.delete_network(network.id))
        subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.80.0.0/24")
        router = net.create_router(name=name, external_gateway_info={"network_id": external.id})
        undo.callback(removed, "the router", lambda: net.delete_router(router.id))
        net.add_interface_to_router(router, subnet.id)
        undo.callback(_unplugged, cloud, router.id, subnet.id)
        port = net.create_port(network_id=network.id, binding_host_id=others[0], is_port_security_enabled=False)
        undo.callback(removed, "the port", lambda: net.delete_port(port.id))
        floating = net.create_ip(floating_network_id=external.id, port_id=port.id)
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


def _l3_node(bed: Bed, target: Target) -> str:
    """Return the node that runs the L3 agent, or an empty string where not exactly one does."""
    nodes = View(bed, target).singletons().get(L3_AGENT, frozenset())
    return next(iter(nodes)) if len(nodes) == 1 else ""


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


def test_a_router_answers_again_within_30_s_of_the_loss_of_its_controller(
    routed: Routed, target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    _cut_the_routers_node(routed, {"gateway": Echo(routed.gateway)}, target, bed, cloud, summary)


def test_traffic_by_a_floating_ip_goes_on_within_30_s_of_the_loss_of_the_routers_controller(
    routed: Routed, target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    with plugged(bed, routed.port, cloud.network.get_subnet(routed.port.fixed_ips[0]["subnet_id"])):
        port = routed.port.id
        until("the port to be ACTIVE", lambda: cloud.network.get_port(port).status, is_("ACTIVE"), timeout=ACTIVE_S)
        echoes = {"gateway": Echo(routed.gateway), "floating IP": Echo(routed.floating)}
        _cut_the_routers_node(routed, echoes, target, bed, cloud, summary)


def _cut_the_routers_node(
    routed: Routed, echoes: dict[str, Echo], target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    """Cut the power of the controller with the L3 agent under traffic; it stays off.

    :raises AssertionError: a gap was too long, or two gateways answered for one address.
    """
    node = _l3_node(bed, target)
    if not node:
        pytest.skip("there is no single L3 agent")
    enter = target.transport.enter
    owners = {name: WhoHas(address, routed.interface, routed.own) for name, address in _addresses(routed).items()}
    asked: dict[str, Operation] = {**echoes, **{f"owner of the {name}": each for name, each in owners.items()}}
    loops = Loops(tuple(Loop(name, each, 0.2, enter) for name, each in asked.items()))
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


def _addresses(routed: Routed) -> dict[str, str]:
    return {"gateway": routed.gateway, "floating IP": routed.floating}


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


# Volumes


def test_volumes_are_made_from_images_snapshots_and_volumes_and_deleted(
    target: Target, bed: Bed, cloud: Connection, request: pytest.FixtureRequest, summary: Summary
) -> None:
    needs(bed, "cinder", "cinder_volume")
    image = request.getfixturevalue("image")
    storage, name, began = cloud.block_storage, invent(), time.monotonic()
    made: dict[str, Any] = {}

    def volume(what: str, **of: Any) -> str:
        made[what] = storage.create_volume(name=f"{name}-{what}", size=1, **of)
        _ends(f"the volume ({what})", lambda: storage.get_volume(made[what].id).status, "available")
        return str(made[what].id)

    try:
        first = volume("empty")
        snapshot = made["snapshot"] = storage.create_snapshot(volume_id=first, name=name)
        _ends("the snapshot", lambda: storage.get_snapshot(snapshot.id).status, "available")
        volume("of a snapshot", snapshot_id=snapshot.id)
        volume("of a volume", source_volume_id=first)
        of_image = volume("of an image", image_id=image)
        assert storage.get_volume(of_image).is_bootable
    finally:
        if "snapshot" in made:
            _deleted("the snapshot", made["snapshot"].id, storage.delete_snapshot, storage.snapshots)
            del made["snapshot"]
        for what, one in made.items():
            _deleted(f"the volume ({what})", one.id, storage.delete_volume, storage.volumes)
    summary.tell("volumes: empty, of a snapshot, a volume and an image", f"{time.monotonic() - began:.0f} s")


def _ends(what: str, ask: Callable[[], str], wanted: str) -> None:
    """Wait for a status, or for one that nothing leads out of.

    :raises AssertionError: it is the latter.
    """
    assert until(f"{what} to be {wanted}", ask, is_(wanted, "error"), timeout=VOLUME_S) == wanted, what


def _deleted(what: str, identity: str, delete: Callable[[str], object], ask: Callable[[], Any]) -> None:
    removed(what, lambda: delete(identity), VOLUME_S)
    ids = f"{what} to be gone"
    until(ids, lambda: {each.id: each.status for each in ask()}, lambda found: identity not in found, timeout=VOLUME_S)


# Stacks


def test_a_stack_completes_while_a_controller_dies(
    target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    needs(bed, "heat", "neutron", "swift")
    victim = holders(target)["public"]
    orchestration, name = cloud.orchestration, invent()
    with ExitStack() as undo:
        began = time.monotonic()
        stack = orchestration.create_stack(name=name, template=_template())
        undo.callback(removed, "the stack", lambda: orchestration.delete_stack(stack.id))
        under_way = until(
            "the stack to have begun",
            lambda: [each.status for each in orchestration.resources(stack.id)],
            lambda states: "CREATE_COMPLETE" in states,
            timeout=SETTLE_S,
            interval=0.1,
        )
        bed.power_off(victim)
        open_ = sum(state != "CREATE_COMPLETE" for state in under_way)
        ended = until(
            "the stack to be complete",
            lambda: (orchestration.get_stack(stack.id).status, _resources(cloud, stack.id)),
            lambda told: not told[0].endswith("IN_PROGRESS"),
            timeout=STACK_S,
        )
        took = time.monotonic() - began
        summary.tell(f"a stack while {victim} dies", f"{ended[0]} in {took:.0f} s; {open_} resources were to be made")
        assert open_, "it was made before the power was cut"
        assert ended[0] == "CREATE_COMPLETE", ended
        assert set(ended[1].values()) == {"CREATE_COMPLETE"}
        outputs = {each["output_key"]: each["output_value"] for each in orchestration.get_stack(stack.id).outputs}
        assert len(outputs["word"]) == 32
        assert cloud.network.get_network(outputs["network"]).status == "ACTIVE"
        assert outputs["container"] in [each.name for each in cloud.object_store.containers()]


def _resources(cloud: Connection, stack: str) -> dict[str, str]:
    return {each.name: each.status for each in cloud.orchestration.resources(stack)}


def _template() -> dict[str, Any]:
    """Return a stack of resources of several services, each made after the one before it."""
    chain = [f"word-{number}" for number in range(12)]
    resources: dict[str, Any] = {word: {"type": "OS::Heat::RandomString"} for word in chain}
    for before, after in pairwise(chain):
        resources[after]["depends_on"] = before
    last = chain[-1]
    resources["network"] = {"type": "OS::Neutron::Net", "depends_on": chain[1]}
    subnet = {"network": {"get_resource": "network"}, "cidr": "10.81.0.0/24"}
    resources["subnet"] = {"type": "OS::Neutron::Subnet", "properties": subnet}
    resources["container"] = {"type": "OS::Swift::Container", "depends_on": ["subnet", last]}
    outputs = {
        "word": {"value": {"get_attr": [last, "value"]}},
        "network": {"value": {"get_resource": "network"}},
        "container": {"value": {"get_resource": "container"}},
    }
    return {"heat_template_version": "2021-04-16", "resources": resources, "outputs": outputs}


# With one controller off: the one that died last


def test_objects_are_written_and_read_through_different_controllers_with_one_off(
    one_off: str, bed: Bed, cloud: Connection
) -> None:
    needs(bed, "swift")
    store, name = cloud.object_store, invent()
    on = [node for node in bed.nodes if node.name != one_off]
    account = endpoint(cloud, "object-store").rpartition("/")[2]
    token = until("a token", lambda: token_of(cloud), timeout=RESUME_S)
    with ExitStack() as undo:
        until("a container", lambda: store.create_container(name), timeout=RESUME_S)
        undo.callback(removed, "the container", lambda: store.delete_container(name))
        for writer in on:
            body = random.randbytes(500_000).hex()
            path = f"8080/v1/{account}/{name}/{writer.name}"
            undo.callback(removed, "the object", partial(store.delete_object, writer.name, container=name))
            put = partial(of_own_server, bed, writer.name, "PUT", f"http://{writer.ip}:{path}", token, body)
            until(f"{writer.name} to take an object", put, timeout=RESUME_S)
            for reader in on:
                read = of_own_server(bed, reader.name, "GET", f"http://{reader.ip}:{path}", token)
                assert read == hashlib.sha256(body.encode()).hexdigest(), (writer.name, reader.name)


def test_an_image_is_downloaded_unchanged_with_one_controller_off(
    image: str, one_off: str, cloud: Connection, content: bytes
) -> None:
    read = until(
        "the image to be downloaded",
        lambda: cloud.image.download_image(image).content,
        lambda data: len(data) > 0,
        timeout=RESUME_S,
    )
    assert hashlib.sha256(read).hexdigest() == hashlib.sha256(content).hexdigest()


# Telemetry


def test_measures_of_the_central_agent_are_kept(bed: Bed, cloud: Connection, summary: Summary) -> None:
    needs(bed, "ceilometer", "gnocchi")
    interval = schema.with_defaults(bed.metadata(bed.nodes[0].name))["ceilometer"]["polling_interval_s"]
    base = endpoint(cloud, "metric")
    began = time.monotonic()

    def measured() -> dict[str, list[Any]]:
        ids = {str(each["name"]): each["id"] for each in cloud.session.get(f"{base}/v1/metric?limit=10").json()}
        found = {name: cloud.session.get(f"{base}/v1/metric/{metric}/measures").json() for name, metric in ids.items()}
        return {name: measures for name, measures in found.items() if measures}

    found = until("a metric with measures", measured, timeout=2 * interval + BACK_S, interval=5)
    summary.tell("metrics with measures", f"{', '.join(sorted(found))} after {time.monotonic() - began:.0f} s")
