"""What a timeline shows, reduced to as much as a picture can: lanes of successes, gaps and errors. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from tripleo_ha.chaos.gaps import merged, tracks
from tripleo_ha.chaos.model import Operation, Outcome, Workload

BIN_S, BINS = 2.0, 600
"""A lane is divided into times of this length at least, so that a client's pace does not show, and into so many at
most: what a screen shows of an hour, and what keeps a picture small."""


@dataclass(frozen=True)
class Lane:
    """One workload, over all its processes. Times are seconds since the timeline's zero.

    ``density``: successes of each bin, as a share of the fullest. ``gaps``: when at least one process saw an outage.
    ``refused`` and ``unknown``: attempts that failed, or whose end nobody knows; the first one of each bin.
    """

    workload: Workload
    density: tuple[float, ...]
    gaps: tuple[tuple[float, float], ...]
    refused: tuple[float, ...]
    unknown: tuple[float, ...]


def lanes(operations: Iterable[Operation], zero: float, span: float) -> tuple[Lane, ...]:
    """Return a lane for each workload that has operations, in the order of the workloads.

    :param zero: monotonic seconds from which the timeline counts; ``span`` is its length in seconds.
    """
    places = {workload: place for place, workload in enumerate(Workload)}
    ordered = sorted(operations, key=lambda each: places[each.workload])
    bins = min(BINS, max(1, int(span / BIN_S)))
    width = max(span, 1e-9) / bins
    return tuple(
        _lane(workload, list(group), zero, width, bins)
        for workload, group in groupby(ordered, key=lambda each: each.workload)
    )


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Return positions in the same order, each as near to the wanted one as leaves them ``apart``.

    Neighbours that are too close form a block around the middle of what its members want.
    """
    blocks: list[tuple[float, int]] = []  # the sum of (wanted - own offset in the block), and how many
    for position in wanted:
        blocks.append((position, 1))
        while len(blocks) > 1 and _start(blocks[-2]) + blocks[-2][1] * apart > _start(blocks[-1]):
            (right, many), (left, few) = blocks.pop(), blocks.pop()
            blocks.append((left + right - many * few * apart, few + many))
    return [_start(block) + place * apart for block in blocks for place in range(block[1])]


def _start(block: tuple[float, int]) -> float:
    return block[0] / block[1]


def _lane(workload: Workload, mine: Sequence[Operation], zero: float, width: float, bins: int) -> Lane:
    counts = [0] * bins
    marks: dict[Outcome, dict[int, float]] = {Outcome.FAIL: {}, Outcome.INFO: {}}
    for operation in sorted(mine, key=lambda each: each.ended):
        place = min(bins - 1, max(0, int((operation.ended - zero) / width)))
        if operation.outcome is Outcome.OK:
            counts[place] += 1
        elif not operation.served:
            marks[operation.outcome].setdefault(place, operation.ended - zero)
    most = max(counts) or 1
    # Those that only account have nothing to do while nobody publishes; a pause of theirs is no outage.
    found = [gap for track in tracks(mine) for gap in track.gaps if gap.broken] if workload.service else []
    gaps = merged((gap.began - zero, gap.ended - zero) for gap in found)
    refused, unknown = (tuple(each.values()) for each in marks.values())
    return Lane(workload, tuple(count / most for count in counts), tuple(gaps), refused, unknown)
