"""Servers on the bed's compute node, which runs none of them; all before that is as in any cloud.

Nova acknowledges a request to build a server when a conductor takes it from its queue, and asks no other conductor when
that one dies. So no server is asked for that a conductor on the lost controller may have begun: the request is made
while nobody has noticed the loss yet, or it is the broker alone that is lost.
"""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from beds import Summary
from clouds import endpoint, invent, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest import beside, compute
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

ACTIVE_S = 90.0
LOST_S = 240.0
"""Messages for who has lost their power are given to others when the broker misses their heartbeats."""
GONE_S = 120.0
BROKER = "rabbitmq-server.service"
TOPIC = f"compute.{compute.NAME}"
"""The queue of what the compute node is asked to do."""
LEADERS = (
    *("env", "HOME=/var/lib/rabbitmq", "setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"),
    *("rabbitmqctl", "--quiet", "--formatter=json", "list_queues", "name", "leader"),
)


@pytest.fixture(scope="module")
def flavor(bed: Bed, cloud: Connection) -> Iterator[str]:
    """The id of a flavor."""
    needs(bed, "nova", "neutron", "glance")
    beside.check(compute.node(bed.state), bed.cgroup)
    made = cloud.compute.create_flavor(name=invent(), ram=64, vcpus=1, disk=1)
    yield made.id
    removed("the flavor", lambda: cloud.compute.delete_flavor(made.id))


@pytest.fixture(scope="module")
def network(bed: Bed, cloud: Connection) -> Iterator[str]:
    """The id of a network."""
    needs(bed, "neutron")
    net, name = cloud.network, invent()
    with ExitStack() as undo:
        made = net.create_network(name=name)
        undo.callback(removed, "the network", lambda: net.delete_network(made.id))
        net.create_subnet(name=name, network_id=made.id, ip_version=4, cidr="10.82.0.0/24")
        yield made.id


@pytest.fixture
def wanted(flavor: str, network: str, image: str) -> dict[str, Any]:
    """What a server is made of."""
    return {"flavor_id": flavor, "image_id": image, "networks": [{"uuid": network}]}


@contextmanager
def requested(cloud: Connection, wanted: dict[str, Any]) -> Iterator[str]:
    """Give the id of a server that was requested, again while that is refused, and delete it."""
    name = invent()

    def ids() -> list[str]:
        return [each.id for each in cloud.compute.servers(name=name)]

    def deleted() -> list[str]:
        for one in ids():
            cloud.compute.delete_server(one)
        return ids()

    with ExitStack() as undo:
        undo.callback(until, "the server to be gone", deleted, lambda left: not left, timeout=GONE_S)
        yield until("a request", lambda: cloud.compute.create_server(name=name, **wanted).id, timeout=ACTIVE_S)


def wait_active(cloud: Connection, server: str, timeout: float) -> Any:
    """Wait until a server is active, and return it.

    :raises AssertionError: nothing will become of it.
    """
    found = until(
        "the server to be ACTIVE",
        lambda: cloud.compute.get_server(server),
        lambda seen: seen.status in ("ACTIVE", "ERROR"),
        timeout=timeout,
    )
    assert found.status == "ACTIVE", found.fault
    assert found.compute_host == compute.NAME
    return found


def allocated(cloud: Connection, server: str) -> dict[str, int]:
    """Return what Placement has allocated to a server."""
    answer = cloud.session.get(f"{endpoint(cloud, 'placement')}/allocations/{server}")
    answer.raise_for_status()
    found: dict[str, int] = {}
    for each in answer.json()["allocations"].values():
        found |= each["resources"]
    return found


def leader(bed: Bed) -> str:
    """Return the node whose broker leads the compute node's queue."""
    queues = json.loads(bed.exec(bed.nodes[0].name, LEADERS).stdout)
    (found,) = [queue["leader"] for queue in queues if queue["name"] == TOPIC]
    return str(found).partition("@")[2]


@pytest.mark.quick
def test_a_server_becomes_active_and_leaves_nothing_behind(
    target: Target, cloud: Connection, wanted: dict[str, Any], network: str, summary: Summary
) -> None:
    began = time.monotonic()
    with requested(cloud, wanted) as server:
        wait_active(cloud, server, ACTIVE_S)
        took = time.monotonic() - began
        assert allocated(cloud, server) == {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}
        (port,) = cloud.network.ports(device_id=server)
        assert (port.network_id, port.binding_host_id, port.binding_vif_type) == (network, compute.NAME, "ovs")
        ended = time.monotonic()
    left = "the server's allocation and port to be gone"
    ports = cloud.network.ports
    until(
        left,
        lambda: (allocated(cloud, server), list(ports(device_id=server))),
        lambda found: not any(found),
        timeout=GONE_S,
    )
    summary.tell("a server", f"ACTIVE after {took:.0f} s, gone after {time.monotonic() - ended:.0f} s")


def test_a_server_becomes_active_when_a_broker_dies_that_has_its_request(
    target: Target, bed: Bed, cloud: Connection, wanted: dict[str, Any], summary: Summary
) -> None:
    victim = leader(bed)
    with requested(cloud, wanted) as server:
        killed = bed.signal(victim, signal.SIGKILL, BROKER, "beam")
        at = time.monotonic()
        assert killed
        wait_active(cloud, server, LOST_S)
        summary.tell(f"a server while {victim} (its queue's leader) loses its broker", f"{time.monotonic() - at:.0f} s")
        assert allocated(cloud, server)


def test_a_server_becomes_active_when_a_controller_loses_its_power(
    target: Target, bed: Bed, cloud: Connection, wanted: dict[str, Any], summary: Summary
) -> None:
    victim = leader(bed)
    bed.power_off(victim)
    at = time.monotonic()
    with requested(cloud, wanted) as server:
        accepted = time.monotonic() - at
        wait_active(cloud, server, LOST_S)
        took = f"accepted after {accepted:.0f} s, ACTIVE after {time.monotonic() - at:.0f} s"
        summary.tell(f"a server once {victim} (its queue's leader) has no power", took)
        assert allocated(cloud, server)
