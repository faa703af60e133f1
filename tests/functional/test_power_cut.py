"""Each controller loses its power in turn, the one that matters most first."""

import time

import pytest
from availability import AMQP, SQL, TOKEN, describe, watching
from beds import SingletonWatch, Summary, assert_good, holders, writer

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

RESUME_S = 60.0
BACK_S = 240.0
MOVE_S = 60.0
GAP_S = {SQL: 15.0, AMQP: 15.0, TOKEN: 15.0}
STEADY = 10
"""Successes in a row that make a client's work steady."""


def next_victim(target: Target, cut: set[str]) -> tuple[str, str]:
    """Return the most important node that has not been cut yet, and what it is."""
    held, writes = holders(target), writer(target)
    roles = {
        node: [f"holds {vip}" for vip, holder in held.items() if holder == node]
        + (["writer"] if node == writes else [])
        for node in target.transport.nodes
        if node not in cut
    }
    node = max(roles, key=lambda name: len(roles[name]))
    return node, ", ".join(roles[node]) or "neither writer nor holder of a virtual IP"


@pytest.fixture(scope="module")
def cut() -> set[str]:
    """The nodes whose power has been cut so far."""
    return set()


@pytest.mark.parametrize("turn", ["first", "second", "third"])
def test_power_cut(turn: str, target: Target, bed: Bed, summary: Summary, cut: set[str], rounds: int) -> None:
    node, role = next_victim(target, cut)
    cut.add(node)
    for _ in range(rounds):
        with watching(target) as watch, SingletonWatch(bed, target) as singletons:
            before = singletons.now()
            at = time.monotonic()
            bed.power_off(node)
            watch.wait_working(at, RESUME_S, STEADY)
            wait_for(
                "every singleton to run on one of the others",
                lambda: all(len(nodes) == 1 and node not in nodes for nodes in singletons.now().values()),
                timeout=MOVE_S,
                why=lambda: str(singletons.now()),
            )
            moved = time.monotonic() - at
            gaps, back_at = watch.gaps(at), time.monotonic()
            bed.power_on(node)
            bed.wait_converged([node], timeout=BACK_S)
            back = time.monotonic() - back_at
            watch.wait_working(time.monotonic(), RESUME_S, STEADY)
            back_gaps = watch.gaps(back_at)
            lost = watch.lost()
            after = singletons.now()
        assert_good(target, BACK_S)
        summary.tell(f"{node} ({role}) power cut", describe(gaps))
        if any(node in nodes for nodes in before.values()):
            summary.tell("  its singletons moved after", f"{moved:.1f} s")
        summary.tell("  it came back by itself in", f"{back:.0f} s; meanwhile {describe(back_gaps)}")
        assert lost == {}, "acknowledged, and not there"
        assert singletons.twice == [], "a singleton ran on two nodes at once"
        assert all(len(nodes) == 1 for nodes in after.values())
        assert {name: gap.seconds for name, gap in gaps.items() if gap.seconds > GAP_S[name]} == {}
