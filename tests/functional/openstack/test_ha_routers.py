"""Routers that are on every controller and give their addresses to one of them by VRRP: ``neutron.l3: ha``."""

import copy
import time
from collections.abc import Iterator

import pytest
from availability import Loop, Loops, Operation, describe
from beds import Summary, assert_good, singletons, target_of
from clouds import RESUME_S, STEADY, Echo, WhoHas, needs, until
from openstack.connection import Connection
from test_networks import ACTIVE_S, L3_AGENT, ROUTER_GAP_S, Routed, routed  # noqa: F401
from test_rolling import ROLLED_S, Document, hand

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target


@pytest.fixture
def target(target: Target, bed: Bed) -> Iterator[Target]:
    """The cluster with one L3 agent a controller, until the test is over."""
    needs(bed, "neutron")
    good = {node.name: copy.deepcopy(bed.metadata(node.name)) for node in bed.nodes}

    def change(document: Document) -> None:
        document.setdefault("neutron", {})["l3"] = "ha"

    try:
        hand(bed, change)
        bed.wait_converged(timeout=ROLLED_S)
        changed = target_of(bed)
        assert_good(changed)
        yield changed
    finally:
        for node in bed.nodes:
            bed.power_on(node.name)
        for name, document in good.items():
            bed.push(name, document)
        bed.wait_converged(timeout=ROLLED_S)
    assert_good(target)
    assert L3_AGENT in singletons(target)


def test_a_router_moves_within_30_s_of_the_loss_of_the_controller_that_is_its_own(
    target: Target,
    bed: Bed,
    cloud: Connection,
    routed: Routed,  # noqa: F811
    summary: Summary,
) -> None:
    assert L3_AGENT not in singletons(target)

    def hosts() -> dict[str, str]:
        found = cloud.network.routers_hosting_l3_agents(routed.router)
        return {agent.host: agent.ha_state for agent in found}

    until(
        "every controller to have the router, and one of them its addresses",
        hosts,
        lambda told: sorted(told.values()) == ["active", *["standby"] * (len(bed.nodes) - 1)],
        timeout=ACTIVE_S,
    )
    (node,) = [host for host, state in hosts().items() if state == "active"]
    owners = {name: WhoHas(address, routed.interface, routed.own) for name, address in addresses(routed).items()}
    asked: dict[str, Operation] = {"gateway": Echo(routed.gateway)}
    asked |= {f"owner of the {name}": each for name, each in owners.items()}
    loops = Loops(tuple(Loop(name, each, 0.2, target.transport.enter) for name, each in asked.items()))
    with loops.at_work(ACTIVE_S):
        at = time.monotonic()
        bed.power_off(node)
        loops.wait_working(at, RESUME_S, STEADY)
        gaps = loops.gaps(at)
    summary.tell(f"{node} (active for a router by VRRP) power cut", describe(gaps))
    assert {name: each.answers for name, each in owners.items() if max(each.answers) > 1} == {}, "two gateways at once"
    assert {name: gap.seconds for name, gap in gaps.items() if gap.seconds > ROUTER_GAP_S} == {}


def addresses(routed: Routed) -> dict[str, str]:  # noqa: F811
    """Return the router's addresses on the network outside, by name."""
    return {"gateway": routed.gateway, "floating IP": routed.floating}
