"""A service's process that dies comes back by itself."""

import time
from functools import partial

import pytest
from availability import describe, watching
from beds import Summary, assert_good, facts_of, holders, writer

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.node.facts import NodeFacts
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

RECOVER_S = 120.0
GAP_S = {"mariadbd": 15.0, "beam.smp": 15.0, "haproxy": 10.0, "uwsgi": 10.0}
UNITS = {
    "mariadbd": "mariadb.service",
    "beam.smp": "rabbitmq-server.service",
    "haproxy": "haproxy.service",
    "uwsgi": "keystone.service",
}


def victim(process: str, target: Target) -> str:
    """Return the node where it hurts most: the writer, or whoever holds the virtual IPs."""
    return writer(target) if process == "mariadbd" else holders(target)["control"]


def pids(facts: NodeFacts, process: str) -> list[int]:
    return [each.pid for each in facts.processes if each.unit == UNITS[process] and each.name.startswith(process)]


def new(target: Target, node: str, process: str, killed: list[int]) -> list[int]:
    return [pid for pid in pids(target.facts(node), process) if pid not in killed]


@pytest.mark.parametrize("process", list(UNITS))
def test_a_killed_process_recovers_by_itself(
    process: str, target: Target, bed: Bed, summary: Summary, rounds: int
) -> None:
    for _ in range(rounds):
        node = victim(process, target)
        killed = pids(facts_of(target)[node], process)
        assert killed, f"no process {process} in {UNITS[process]} on {node}"
        with watching(target) as watch:
            at = time.monotonic()
            bed.exec(node, ["bash", "-c", 'kill -9 "$@"', "kill", *map(str, killed)])
            wait_for(
                f"a new {process} on {node}",
                partial(new, target, node, process, killed),
                timeout=RECOVER_S,
            )
            watch.wait_working(at, RECOVER_S)
            gaps = watch.gaps(at)
            lost = watch.lost()
        recovered = assert_good(target, RECOVER_S)
        summary.tell(f"{process} killed on {node}", f"{describe(gaps)}; all good after {recovered:.0f} s more")
        assert lost == {}
        assert max(gap.seconds for gap in gaps.values()) <= GAP_S[process]
