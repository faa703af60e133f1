"""The figures of a campaign, from its strikes and what its clients did. Pure.

A gap of a client is the time between two times that one process was served at one workload, less its usual gap. The
figure of a service for a strike is the longest gap, over all processes of its workloads, that has a part in the time
from the strike's injection to full redundancy. An outage of all nodes counts from the start of the last node's agents.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from statistics import median

from tripleo_ha.chaos.gaps import Gap, Track, merged, tracks
from tripleo_ha.chaos.model import Kind, Operation, Outcome, Service, Strike, Workload

ENOUGH_RUNS = 5
"""A median of fewer says little."""
SETTLED_S = 3.0
"""After an outage a service counts as served from when on no gap longer than this comes before full redundancy."""

_SQL, _PUBLISH, _DECLARE, _RPC, _TOKEN = tuple(Service)
LIMITS: Mapping[Kind, Mapping[Service, float]] = {
    Kind.KILLED: {_SQL: 2.0, _PUBLISH: 1.0, _DECLARE: 2.0, _RPC: 4.0, _TOKEN: 0.5},
    Kind.STOPPED: {_SQL: 0.5, _PUBLISH: 0.5, _DECLARE: 1.0, _RPC: 2.0, _TOKEN: 0.3},
    Kind.POWER_CUT: {_SQL: 4.5, _PUBLISH: 4.5, _DECLARE: 8.0, _RPC: 15.0, _TOKEN: 4.0},
    Kind.CUT_OFF: {_SQL: 6.0, _PUBLISH: 6.0, _DECLARE: 10.0, _RPC: 15.0, _TOKEN: 5.0},
    Kind.OUTAGE: {_SQL: 30.0, _PUBLISH: 30.0, _DECLARE: 30.0, _RPC: 30.0, _TOKEN: 30.0},
}
"""Seconds that a client may be without a success; for an outage, from the start of the last node's agents."""


@dataclass(frozen=True)
class Seen:
    """What the clients of one service, or of one workload, saw of one strike.

    ``unavailable``: seconds in which at least one of them saw an outage. ``errors``: kind of error to how many
    attempts it refused (``fail``) or left unknown (``info``). ``successes``: attempts acknowledged meanwhile.
    ``conflicts``: attempts that were answered with a conflict, which is no error.
    ``served``: of an outage only, seconds from the start of the last node's agents until it was served again.
    """

    longest: Gap
    unavailable: float
    errors: Mapping[str, Mapping[str, int]]
    successes: int
    served: float | None = None
    conflicts: int = 0


@dataclass(frozen=True)
class StrikeFigures:
    """One strike and what each service's and workload's clients saw of it; a service without clients is not there."""

    strike: Strike
    services: Mapping[Service, Seen]
    workloads: Mapping[Workload, Seen]

    @property
    def from_injection(self) -> float | None:
        """Seconds from the injection to full redundancy, None where that was not reached."""
        return None if self.strike.redundant is None else self.strike.redundant - self.strike.injected

    @property
    def from_heal(self) -> float | None:
        """Seconds from the end of the cause to full redundancy, None where that was not reached."""
        return None if self.strike.redundant is None else self.strike.redundant - self.strike.healed

    def figure(self, seen: Seen) -> float:
        """Return what is compared with the limit, in seconds; infinite where that is not known: see :meth:`least`."""
        if seen.longest.open:
            return inf
        if self.strike.kind is Kind.OUTAGE:
            return inf if seen.served is None else seen.served
        return seen.longest.seconds

    def least(self, seen: Seen) -> float | None:
        """Return what a figure is at least, in seconds, where a gap was still open; else None."""
        return seen.longest.seconds if seen.longest.open else None


@dataclass(frozen=True)
class Cell:
    """All runs of one kind (or one fault) for one service: the figure of each, in seconds.

    ``least``: of those figures that are infinite, what they are at least, where that is known.
    """

    values: tuple[float, ...]
    limit: float | None = None
    least: tuple[float, ...] = ()

    @property
    def runs(self) -> int:
        """How often it was measured."""
        return len(self.values)

    @property
    def few(self) -> bool:
        """Whether the runs are too few to build on."""
        return self.runs < ENOUGH_RUNS

    @property
    def median(self) -> float | None:
        """The median, None without a run."""
        return median(self.values) if self.values else None

    @property
    def worst(self) -> float | None:
        """The longest, None without a run."""
        return max(self.values, default=None)

    @property
    def at_least(self) -> float | None:
        """What the longest is at least, None where all are known, or nothing is known of those that are not."""
        return max(self.least, default=None)

    @property
    def reached(self) -> bool | None:
        """Whether the worst is within the limit; None without a run or a limit."""
        return None if self.worst is None or self.limit is None else self.worst <= self.limit


@dataclass(frozen=True)
class FaultFigures:
    """All strikes of one fault: the figures of each service, and the seconds to full redundancy of each strike.

    ``unavailable``: seconds, all strikes together. ``not_redundant``: strikes after which that was not reached.
    """

    fault: str
    kind: Kind
    services: Mapping[Service, Cell]
    unavailable: Mapping[Service, float]
    errors: Mapping[Service, Mapping[str, Mapping[str, int]]]
    from_injection: Cell
    from_heal: Cell
    not_redundant: int


@dataclass(frozen=True)
class Figures:
    """The figures of one campaign, or of several together.

    ``cells``: what is compared with the limits. ``types``: the same for each workload of the service ``declare``.
    ``outside``: the longest gap of each service that no strike had a part in. ``outcomes``: attempts by how they ended.
    """

    strikes: tuple[StrikeFigures, ...]
    cells: Mapping[Kind, Mapping[Service, Cell]]
    types: Mapping[Kind, Mapping[Workload, Cell]]
    faults: tuple[FaultFigures, ...]
    outside: Mapping[Service, Gap]
    outcomes: Mapping[Workload, Mapping[Outcome, int]]


def of(strikes: Sequence[Strike], operations: Iterable[Operation]) -> Figures:
    """Return the figures of one campaign."""
    done = list(operations)
    every = [track for track in tracks(done) if track.workload.service]
    ordered = sorted(strikes, key=lambda strike: strike.injected)
    following = [*(strike.injected for strike in ordered[1:]), inf][: len(ordered)]
    windows = [(strike.injected, _end(strike, until)) for strike, until in zip(ordered, following, strict=True)]
    struck = [_struck(strike, end, every) for strike, (_, end) in zip(ordered, windows, strict=True)]
    counts: dict[Workload, dict[Outcome, int]] = {}
    for (workload, outcome), count in sorted(Counter((each.workload, each.outcome) for each in done).items()):
        counts.setdefault(workload, {})[outcome] = count
    return _summed(struck, _outside(every, windows), counts)


def combined(campaigns: Sequence[Figures]) -> Figures:
    """Return the figures of several campaigns together; their clocks have nothing to do with each other."""
    outside: dict[Service, Gap] = {}
    counts: dict[Workload, dict[Outcome, int]] = {}
    for campaign in campaigns:
        for service, gap in campaign.outside.items():
            outside[service] = max(outside.get(service, gap), gap, key=lambda each: each.seconds)
        for workload, outcomes in campaign.outcomes.items():
            added = Counter(counts.get(workload, {}))
            added.update(outcomes)
            counts[workload] = dict(added)
    return _summed(list(chain.from_iterable(each.strikes for each in campaigns)), outside, counts)


def _end(strike: Strike, following: float) -> float:
    """Return when a strike's time is over: what comes after full redundancy, or after the next strike, is not its."""
    return following if strike.redundant is None else strike.redundant


def _struck(strike: Strike, end: float, every: Sequence[Track]) -> StrikeFigures:
    by_service: dict[Service, list[Track]] = {}
    by_workload: dict[Workload, list[Track]] = {}
    for track in every:
        if track.workload.service:
            by_service.setdefault(track.workload.service, []).append(track)
            by_workload.setdefault(track.workload, []).append(track)
    services = {service: seen for service, mine in by_service.items() if (seen := _seen(strike, end, mine))}
    workloads = {workload: seen for workload, mine in by_workload.items() if (seen := _seen(strike, end, mine))}
    return StrikeFigures(strike, services, workloads)


def _seen(strike: Strike, end: float, mine: Sequence[Track]) -> Seen | None:
    gaps = [gap for track in mine for gap in track.overlapping(strike.injected, end)]
    if not gaps:
        return None
    errors: dict[str, dict[str, int]] = {}
    for operation in chain.from_iterable(track.failed for track in mine):
        if operation.began < end and operation.ended > strike.injected:
            kind = errors.setdefault(operation.error or "without a reason", {})
            kind[operation.outcome.value] = kind.get(operation.outcome.value, 0) + 1
    return Seen(
        longest=max(gaps, key=lambda gap: (gap.open, gap.seconds)),
        unavailable=sum(
            until - since for since, until in merged((g.ended - g.seconds, g.ended) for g in gaps if g.broken)
        ),
        errors=errors,
        successes=sum(track.succeeded(strike.injected, end) for track in mine),
        served=_served(strike, gaps),
        conflicts=sum(track.refused(strike.injected, end) for track in mine),
    )


def _served(strike: Strike, gaps: Sequence[Gap]) -> float | None:
    powered = strike.powered
    if strike.kind is not Kind.OUTAGE or powered is None:
        return None
    ends = [
        gap.ended
        for gap in gaps
        if gap.ended > powered and (gap.began <= powered or gap.seconds > SETTLED_S) and gap.broken
    ]
    return max(ends, default=powered) - powered


def _outside(every: Sequence[Track], windows: Sequence[tuple[float, float]]) -> dict[Service, Gap]:
    """Return the longest gap of each service with no part in any strike's time: what the machine itself costs."""
    longest: dict[Service, Gap] = {}
    for track in every:
        struck = {gap for began, ended in windows for gap in track.overlapping(began, ended)}
        service = track.workload.service
        for gap in track.gaps:
            if service and gap not in struck and gap.seconds > (longest[service].seconds if service in longest else -1):
                longest[service] = gap
    return longest


def _counts(figures: StrikeFigures) -> bool:
    """Whether a strike belongs to its kind's row: all nodes down concern everybody, others who serves."""
    return figures.strike.kind is Kind.OUTAGE or figures.strike.serving


def _summed(
    struck: Sequence[StrikeFigures],
    outside: Mapping[Service, Gap],
    outcomes: Mapping[Workload, Mapping[Outcome, int]],
) -> Figures:
    cells = {}
    types = {}
    declares = [workload for workload in Workload if workload.service is Service.DECLARE]
    for kind, limits in LIMITS.items():
        rows = [each for each in struck if each.strike.kind is kind and _counts(each)]
        cells[kind] = {service: _cell(rows, service, limit) for service, limit in limits.items()}
        types[kind] = {each: _cell(rows, each, limits[Service.DECLARE]) for each in declares}
    names = dict.fromkeys((each.strike.kind, each.strike.fault) for each in struck)
    faults = [
        _fault(name, kind, [each for each in struck if (each.strike.kind, each.strike.fault) == (kind, name)])
        for kind, name in sorted(names, key=lambda name: (list(Kind).index(name[0]), name[1]))
    ]
    return Figures(tuple(struck), cells, types, tuple(faults), outside, outcomes)


def _cell(rows: Sequence[StrikeFigures], what: Service | Workload, limit: float | None) -> Cell:
    found = [(row, row.services.get(what) if isinstance(what, Service) else row.workloads.get(what)) for row in rows]
    values = [(row.figure(seen), row.least(seen)) for row, seen in found if seen]
    return Cell(tuple(value for value, _ in values), limit, tuple(least for _, least in values if least is not None))


def _fault(name: str, kind: Kind, rows: Sequence[StrikeFigures]) -> FaultFigures:
    limits = LIMITS.get(kind, {})
    errors: dict[Service, dict[str, dict[str, int]]] = {}
    for service, seen in ((service, seen) for row in rows for service, seen in row.services.items()):
        for error, outcomes in seen.errors.items():
            total = errors.setdefault(service, {}).setdefault(error, {})
            for outcome, count in outcomes.items():
                total[outcome] = total.get(outcome, 0) + count
    return FaultFigures(
        fault=name,
        kind=kind,
        services={service: _cell(rows, service, limits.get(service)) for service in Service},
        unavailable={
            service: sum(row.services[service].unavailable for row in rows if service in row.services)
            for service in Service
        },
        errors=errors,
        from_injection=Cell(tuple(row.from_injection for row in rows if row.from_injection is not None)),
        from_heal=Cell(tuple(row.from_heal for row in rows if row.from_heal is not None)),
        not_redundant=sum(row.from_injection is None for row in rows),
    )
