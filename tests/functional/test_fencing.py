"""A lost node is switched off by its BMC before what may run only once starts elsewhere, and comes back by itself."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from availability import describe, watching
from beds import Summary, assert_good, holders

from tripleo_ha.chaos.outside import View
from tripleo_ha.devtest import bmcs
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.metadata import passwords
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

MOVE_S = 60.0
BACK_S = 300.0
REFUSED_S = 30.0
"""Seconds for which a BMC that lets nobody in is watched."""
EVERY_S = 0.1
RESUME_S = 60.0
STEADY = 10


@dataclass(frozen=True)
class Seen:
    """The nodes on which a singleton's processes were at a moment, by this machine's process table and clock."""

    at: float
    nodes: frozenset[str]


class Trace:
    """Where a singleton runs, looked at ten times a second for the time of a ``with`` statement.

    A frozen process counts: it would go on where it stopped.
    """

    def __init__(self, view: View, service: str) -> None:
        self._view, self._service = view, service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen = [self._look()]

    def __enter__(self) -> "Trace":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def now(self) -> frozenset[str]:
        return self.seen[-1].nodes

    @property
    def twice(self) -> list[Seen]:
        return [moment for moment in self.seen if len(moment.nodes) > 1]

    def elsewhere(self, node: str) -> float | None:
        """Return when it was first seen on another node."""
        return next((moment.at for moment in self.seen if moment.nodes - {node}), None)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.seen.append(self._look())

    def _look(self) -> Seen:
        # The later of two moments would tell of a start after it was seen.
        at = time.monotonic()
        return Seen(at, frozenset(self._view.singletons()[self._service]))


@pytest.fixture
def singleton(target: Target, bed: Bed) -> Callable[[], Trace]:
    """Look at one singleton from now on."""
    service = next(row.service for row in target.rows if row.singleton_process)
    return lambda: Trace(View(bed, target), service)


@pytest.fixture(autouse=True)
def with_bmcs(bed: Bed) -> None:
    """Have a bed whose nodes can be fenced."""
    assert bed.record.fencing, "this bed has no BMCs; `devtest up --fencing` gives it some"


def switched(bed: Bed, node: str, what: str, since: float) -> list[float]:
    """Return when the node's BMC had carried out a command, by the same clock as all here."""
    lines = (bed.state / bmcs.LOG).read_text().splitlines()
    times = [float(line.split()[0]) for line in lines if f" {node}: {what} took" in line]
    return [at for at in times if at > since]


@contextmanager
def nobody_let_in(bed: Bed) -> Iterator[None]:
    """Have the BMCs refuse the password that the nodes know."""

    def changed(to: str) -> Callable[[Passwords], Passwords]:
        return lambda known: replace(
            known, values={**known.values, bmcs.SECTION: {**known.of(bmcs.SECTION), "password": to}}
        )

    right = bmcs.credentials(bed.state).password
    passwords.update(bed.passwords_file, changed("another password"))
    try:
        yield
    finally:
        passwords.update(bed.passwords_file, changed(right))


def redundant_by_itself(bed: Bed, target: Target, node: str) -> float:
    """Return the seconds until a fenced node, which nobody touches, makes the cluster whole again."""
    began = time.monotonic()
    bed.wait_converged([node], timeout=BACK_S)
    assert_good(target, BACK_S)
    return time.monotonic() - began


@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(Bed.freeze, id="frozen"),
        pytest.param(Bed.isolate, id="cut-off", marks=pytest.mark.long),
        pytest.param(Bed.power_off, id="power-cut", marks=pytest.mark.long),
    ],
)
def test_a_lost_node_is_fenced_before_its_singleton_starts_elsewhere(
    strike: Callable[[Bed, str], None],
    target: Target,
    bed: Bed,
    summary: Summary,
    singleton: Callable[[], Trace],
    rounds: int,
) -> None:
    for _ in range(rounds):
        with watching(target) as watch, singleton() as trace:
            (node,) = trace.now
            role = ", ".join(f"holds {vip}" for vip, holder in holders(target).items() if holder == node)
            at = time.monotonic()
            strike(bed, node)
            wait_for("the singleton to run elsewhere", lambda: trace.elsewhere(node), timeout=MOVE_S)  # noqa: B023
            started = trace.elsewhere(node)
            watch.wait_working(at, RESUME_S, STEADY)
            gaps = watch.gaps(at)
            # A node without power is off already, and its BMC is only asked.
            cut = [at] if strike is Bed.power_off else switched(bed, node, "bmc_off", at)
            booted = switched(bed, node, "bmc_on", at)
            if strike is Bed.isolate:
                bed.rejoin(node)
            if strike is Bed.power_off:
                bed.power_on(node)
            back = redundant_by_itself(bed, target, node)
            lost = watch.lost()
        assert started is not None and cut and booted
        assert cut[0] < started, "started before the node was off"
        assert trace.twice == [], "it was there twice"
        assert lost == {}, "acknowledged, and not there"
        name = {Bed.freeze: "frozen", Bed.isolate: "cut off"}.get(strike, "without power")
        summary.tell(f"{node} ({role or 'no virtual IP'}) {name}, with fencing", describe(gaps))
        summary.tell("  off by its BMC, singleton elsewhere", f"{cut[0] - at:.1f} s, {started - at:.1f} s")
        summary.tell("  whole again by itself after", f"{back:.0f} s")


@pytest.mark.long
def test_a_singleton_waits_while_nobody_can_fence_and_says_why(
    target: Target, bed: Bed, summary: Summary, singleton: Callable[[], Trace]
) -> None:
    with watching(target) as watch, singleton() as trace:
        (node,) = trace.now
        other = next(each.name for each in bed.nodes if each.name != node)
        with nobody_let_in(bed):
            at = time.monotonic()
            bed.freeze(node)
            wait_for("the others to say why", lambda: tells(bed, other, node), timeout=REFUSED_S)
            # The virtual IPs need no BMC.
            watch.wait_working(at, RESUME_S, STEADY)
            gaps = watch.gaps(at)
            wait_for("the time to pass", lambda: time.monotonic() > at + REFUSED_S, timeout=2 * REFUSED_S)
            assert trace.elsewhere(node) is None
            assert switched(bed, node, "bmc_off", at) == []
        let_in = time.monotonic()
        wait_for("the singleton to run elsewhere", lambda: trace.elsewhere(node), timeout=MOVE_S)
        started = trace.elsewhere(node)
        redundant_by_itself(bed, target, node)
    assert started is not None and switched(bed, node, "bmc_off", at)[0] < started
    assert trace.twice == []
    summary.tell(f"{node} frozen, its BMC lets nobody in", describe(gaps))
    summary.tell("  singleton elsewhere, after the BMC let them in", f"{started - let_in:.1f} s")


@pytest.mark.long
def test_an_operators_word_stands_for_a_bmc(target: Target, bed: Bed, singleton: Callable[[], Trace]) -> None:
    with singleton() as trace:
        (node,) = trace.now
        other = next(each.name for each in bed.nodes if each.name != node)
        with nobody_let_in(bed):
            bed.power_off(node)
            wait_for("the others to say why", lambda: tells(bed, other, node), timeout=REFUSED_S)
            bed.exec(other, ["stonith_admin", "--confirm", node], timeout=60)
            wait_for("the singleton to run elsewhere", lambda: trace.elsewhere(node), timeout=MOVE_S)
        bed.power_on(node)
        redundant_by_itself(bed, target, node)
    assert trace.twice == []


def tells(bed: Bed, node: str, lost: str) -> bool:
    """Whether a node's status says that another is lost and could not be fenced."""
    told = bed.exec(node, ["tripleo-ha-node", "status"], check=False, timeout=60).stdout
    return f"{lost} is lost and not fenced" in told


def test_no_secret_of_a_device_is_in_what_the_cluster_stores(target: Target, bed: Bed) -> None:
    password = bmcs.credentials(bed.state).password
    for node in bed.nodes:
        told = bed.exec(node.name, ["cibadmin", "--query"]).stdout + bed.exec(node.name, ["journalctl", "-b"]).stdout
        assert password not in told
        root = Path(f"/proc/{bed.leader(node.name)}/root")
        for file in root.glob("var/lib/pacemaker/*/*"):
            assert not file.is_file() or password.encode() not in file.read_bytes(), file
