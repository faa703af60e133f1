"""When clients were not served: the gaps of each client process, from its operations alone. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median_low

from tripleo_ha.chaos.model import Operation, Outcome, Workload

SLOW_S = 1.0
PACES = 3
"""A gap without an error is an outage when it is longer than this, and than so many of its client's usual gaps."""


@dataclass(frozen=True)
class Gap:
    """A time (monotonic seconds) in which one process at one workload was not served.

    ``usual`` is how long (seconds) its usual gap is: its own pause between two operations, and what one takes.
    ``errors``: attempts that ended in it without being served. ``open``: it was not served any more; ``ended`` is then
    the last moment that was observed, so the length is a lower bound. ``broken``: a client calls it an outage, and not
    its own pace.
    """

    workload: Workload
    process: int
    began: float
    ended: float
    usual: float = 0.0
    errors: int = 0
    open: bool = False
    broken: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasted beyond the usual: an outage of this length at least, and of one usual gap more at most."""
        return max(0.0, self.ended - self.began - self.usual)


@dataclass(frozen=True)
class Track:
    """One process at one workload: its gaps in order, one between every two answers, and what was not served."""

    workload: Workload
    process: int
    gaps: tuple[Gap, ...]
    failed: tuple[Operation, ...]
    successes: tuple[float, ...]
    """When each success was acknowledged, in order."""
    conflicts: tuple[float, ...] = ()
    """When each conflict was answered, in order."""

    def succeeded(self, began: float, ended: float) -> int:
        """Return how many successes were acknowledged in a window."""
        return _within(self.successes, began, ended)

    def refused(self, began: float, ended: float) -> int:
        """Return how many conflicts were answered in a window."""
        return _within(self.conflicts, began, ended)

    def overlapping(self, began: float, ended: float) -> Iterator[Gap]:
        """Yield the gaps that have a part in a window."""
        first = bisect_right(self.gaps, began, key=lambda gap: gap.ended)
        for gap in self.gaps[first:]:
            if gap.began >= ended:
                return
            yield gap


def tracks(operations: Iterable[Operation]) -> tuple[Track, ...]:
    """Return what each process did at each of its workloads; of no service are those that only account.

    What counts as a success of a writing service is a write: a read succeeds on a server that takes no writes. A
    process that never tries to write has no track.
    """
    ordered = sorted(operations, key=lambda each: (each.workload, each.process, each.ended))
    # What only accounts goes on when the others have ended: a consumer takes what is left.
    until = max((each.ended for each in ordered if each.workload.service), default=0.0)
    found = []
    for (workload, process), group in groupby(ordered, key=lambda each: (each.workload, each.process)):
        attempts = list(group)
        mine = [each for each in attempts if writes(each)]
        if mine:
            failed = tuple(each for each in attempts if not each.served)
            successes = tuple(each.ended for each in mine if each.outcome is Outcome.OK)
            conflicts = tuple(each.ended for each in attempts if each.conflict)
            found.append(Track(workload, process, tuple(_gaps(mine, until)), failed, successes, conflicts))
    return tuple(found)


def writes(operation: Operation) -> bool:
    """Whether an operation asks for a change, where its workload has some that do not."""
    value = operation.value
    if operation.workload is Workload.BANK:
        return not (isinstance(value, Sequence) and bool(value) and value[0] == "read")
    if operation.workload is Workload.LIST_APPEND and isinstance(value, Sequence) and value:
        return any(step[0] != "r" for step in value)
    return True


def merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the union of intervals, in order, without overlaps."""
    union: list[tuple[float, float]] = []
    for began, ended in sorted(intervals):
        if union and began <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], ended))
        else:
            union.append((began, ended))
    return union


def _within(times: Sequence[float], began: float, ended: float) -> int:
    return bisect_right(times, ended) - bisect_right(times, began)


def _gaps(mine: Sequence[Operation], until: float) -> Iterator[Gap]:
    workload, process = mine[0].workload, mine[0].process
    between = [after.ended - before.ended for before, after in pairwise(each for each in mine if each.served)]
    usual = median_low(between) if between else 0.0
    slow = max(SLOW_S, PACES * usual)
    # Nothing is known of the time before the first attempt.
    last, errors = min(each.began for each in mine), 0
    for operation in mine:
        if operation.served:
            broken = errors > 0 or operation.ended - last > slow
            yield Gap(workload, process, last, operation.ended, usual, errors, broken=broken)
            last, errors = operation.ended, 0
        else:
            errors += 1
    # Every client's history ends a little before the last one's does.
    if errors or until - last > slow:
        yield Gap(workload, process, last, until, usual, errors, open=True, broken=True)
