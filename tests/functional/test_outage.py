"""All controllers go down, in every order, and the same cluster comes back by itself with all that was acknowledged."""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from availability import Watch, watching
from beds import Summary, assert_good, target_of

from tripleo_ha.devtest import disk
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

SERVED_S = 180.0
CONVERGED_S = 300.0
STARTED_S = 180.0
FIRST_START_S = 10.0
"""Within this time after an engine's first process power is cut: its first start takes about as long."""
WRITES_BETWEEN_S = 60.0
STEADY = 10
DIED_AT_ONCE = "power cut of all at once"
DIED_IN_TURN = "power cut one after another"
STOPPED = "graceful stop in order"
STOPPED_BACKWARDS = "graceful stop in reverse order"


def at_once(what: Callable[[str], object], names: Sequence[str]) -> None:
    """Do something to several nodes at the same moment."""
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(what, names))


def one_by_one(what: Callable[[str], object], names: Sequence[str], watch: Watch) -> None:
    """Do something to one node after the other, with writes in between as long as a majority is there to take them."""
    for place, name in enumerate(names):
        at = time.monotonic()
        what(name)
        if place == 0:
            watch.wait_working(at, WRITES_BETWEEN_S, STEADY)


@pytest.mark.parametrize("how", [DIED_AT_ONCE, DIED_IN_TURN, STOPPED, STOPPED_BACKWARDS])
def test_all_controllers_go_down_and_come_back(how: str, target: Target, bed: Bed, summary: Summary) -> None:
    names = [node.name for node in bed.nodes]
    with watching(target) as watch:
        if how == DIED_AT_ONCE:
            at_once(bed.power_off, names)
        elif how == DIED_IN_TURN:
            one_by_one(bed.power_off, names, watch)
        else:
            one_by_one(bed.stop, names if how == STOPPED else names[::-1], watch)
        began = time.monotonic()
        at_once(bed.power_on, names)
        watch.wait_working(began, SERVED_S, STEADY)
        served = time.monotonic() - began
        bed.wait_converged(timeout=CONVERGED_S)
        lost = watch.lost()
    assert_good(target)
    summary.tell(f"full outage, {how}", f"{served:.0f} s from power on to served")
    assert lost == {}, "acknowledged, and not there"


def test_a_node_that_stays_away_is_waited_for_by_name_and_one_command_goes_on(
    target: Target, bed: Bed, summary: Summary
) -> None:
    """The second of three wrote last, beside the third; without it nothing proves that the third has all."""
    first, second, third = (node.name for node in bed.nodes)
    with watching(target) as watch:
        one_by_one(bed.power_off, [first, second, third], watch)
        at_once(bed.power_on, [first, third])
        told = wait_for(
            f"the others to say that they wait for {second}",
            lambda: text if f"{second} silent" in (text := decision(bed, third)) else None,
            timeout=SERVED_S,
            why=lambda: decision(bed, third),
        )
        assert "wait" in told
        bed.exec(third, ["tripleo-ha-node", "galera", "recover", "--accept-loss-of", second], timeout=60)
        began = time.monotonic()
        watch.wait_working(began, SERVED_S, STEADY)
        served = time.monotonic() - began
        bed.power_on(second)
        bed.wait_converged(timeout=CONVERGED_S)
        lost = watch.lost()
    assert_good(target)
    summary.tell("full outage, one stays away: after galera recover", f"{served:.0f} s to served")
    assert lost == {}, "acknowledged, and not there"


@pytest.mark.long
@pytest.mark.parametrize("engine", ["mariadb.service", "rabbitmq-server.service"])
def test_all_lose_their_power_during_the_very_first_bootstrap(engine: str, bed: Bed, summary: Summary) -> None:
    names = [node.name for node in bed.nodes]
    seed = secrets.randbelow(100_000)
    after = Random(seed).uniform(0, FIRST_START_S)
    at_once(bed.power_off, names)
    for node in bed.nodes:
        disk.empty(node, disk.PARTS)
    at_once(bed.power_on, names)
    wait_for(
        f"a node to start {engine}",
        lambda: any(bed.processes(name, engine) for name in names),
        timeout=STARTED_S,
        interval=0.05,
    )
    time.sleep(after)  # the moment is what is tried
    too_late = [name for name in names if bed.converged(name)[0]]
    at_once(bed.power_off, names)
    what = f"first bootstrap, power cut {after:.1f} s after {engine}"
    summary.tell(what, f"seed {seed}")
    assert too_late == [], "it had converged before"
    began = time.monotonic()
    at_once(bed.power_on, names)
    bed.wait_converged(timeout=CONVERGED_S)
    assert_good(target_of(bed))
    summary.tell(what, f"{time.monotonic() - began:.0f} s to good")


def decision(bed: Bed, node: str) -> str:
    """Return what a node says about Galera and what it would do."""
    done = bed.exec(node, ["tripleo-ha-node", "galera", "status"], timeout=60, check=False)
    return done.stdout.strip().rpartition("\n")[2] or done.stderr
