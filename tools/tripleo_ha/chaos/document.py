"""A campaign's report as one JSON document; docs/chaos.rst describes every key. Pure.

Seconds are rounded to milliseconds; a number that is not known, or that would be infinite, is null.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isinf
from typing import Any

from tripleo_ha.chaos.figures import Cell, FaultFigures, Figures, Seen, StrikeFigures
from tripleo_ha.chaos.model import Overlap, Verdict

FORMAT = "tripleo-ha-chaos-report"
VERSION = 1
ABOUT = ("command", "seed", "begin", "end", "image", "scale", "versions", "settings")
"""What a report repeats of ``campaign.json``."""


@dataclass(frozen=True)
class Campaign:
    """What the directory of one campaign holds beside its histories.

    ``about`` is its ``campaign.json``; ``verdicts`` is None when its histories were not judged; ``zero`` is the moment
    (monotonic seconds) from which its report counts.
    """

    name: str
    figures: Figures
    about: Mapping[str, Any] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] | None = None
    overlaps: tuple[Overlap, ...] = ()
    zero: float = 0.0


def document(campaigns: Sequence[Campaign], figures: Figures) -> dict[str, Any]:
    """Return the report on campaigns, whose figures together are ``figures``."""
    strikes = [_strike(each, campaign) for campaign in campaigns for each in campaign.figures.strikes]
    told = [_campaign(campaign) for campaign in campaigns]
    whole = all(strike["redundant"] and not strike["trouble"] for strike in strikes)
    return {
        "format": FORMAT,
        "version": VERSION,
        "ok": bool(told) and whole and all(each["ok"] for each in told),
        "limits_reached": _all_reached(figures),
        "campaigns": told,
        "table": [
            {"kind": kind.value, "service": service.value, **_cell(cell)}
            for kind, cells in figures.cells.items()
            for service, cell in cells.items()
        ],
        "declares": [
            {"kind": kind.value, "workload": workload.value, **_cell(cell)}
            for kind, cells in figures.types.items()
            for workload, cell in cells.items()
        ],
        "faults": [_fault(fault) for fault in figures.faults],
        "strikes": strikes,
        "outside": {service.value: _number(gap.seconds) for service, gap in figures.outside.items()},
        "outcomes": {
            workload.value: {outcome.value: count for outcome, count in outcomes.items()}
            for workload, outcomes in figures.outcomes.items()
        },
    }


def _all_reached(figures: Figures) -> bool | None:
    """Whether every figure that was measured is within its limit; None when nothing was."""
    reached = [cell.reached for cells in figures.cells.values() for cell in cells.values() if cell.runs]
    return all(reached) if reached else None


def _campaign(campaign: Campaign) -> dict[str, Any]:
    verdicts = campaign.verdicts
    return {
        "name": campaign.name,
        "ok": verdicts is not None and all(verdict.ok for verdict in verdicts),
        **{key: campaign.about.get(key) for key in ABOUT},
        "verdicts": None if verdicts is None else [{"ok": verdict.ok, **asdict(verdict)} for verdict in verdicts],
        "overlaps": [
            {
                "what": overlap.what,
                "nodes": list(overlap.nodes),
                "at": _number(overlap.began - campaign.zero),
                "seconds": _number(overlap.ended - overlap.began),
            }
            for overlap in campaign.overlaps
        ],
    }


def _strike(each: StrikeFigures, campaign: Campaign) -> dict[str, Any]:
    strike = each.strike
    return {
        "campaign": campaign.name,
        "number": strike.number,
        "fault": strike.fault,
        "kind": strike.kind.value,
        "nodes": list(strike.nodes),
        "serving": strike.serving,
        "at": _number(strike.injected - campaign.zero),
        "healed_after": _number(strike.healed - strike.injected),
        "redundant": strike.redundant is not None,
        "redundant_from_injection": _number(each.from_injection),
        "redundant_from_heal": _number(each.from_heal),
        "powered_after": _number(None if strike.powered is None else strike.powered - strike.injected),
        "trouble": strike.trouble,
        "services": {service.value: _seen(seen, each) for service, seen in each.services.items()},
        "workloads": {workload.value: _seen(seen, each) for workload, seen in each.workloads.items()},
    }


def _seen(seen: Seen, each: StrikeFigures) -> dict[str, Any]:
    return {
        "figure": _number(each.figure(seen)),
        "longest_gap": _number(seen.longest.seconds),
        "open": seen.longest.open,
        "served": _number(seen.served),
        "unavailable": _number(seen.unavailable),
        "errors": {error: dict(outcomes) for error, outcomes in sorted(seen.errors.items())},
        "successes": seen.successes,
        "conflicts": seen.conflicts,
    }


def _fault(fault: FaultFigures) -> dict[str, Any]:
    return {
        "fault": fault.fault,
        "kind": fault.kind.value,
        "strikes": fault.from_injection.runs + fault.not_redundant,
        "not_redundant": fault.not_redundant,
        "redundant_from_injection": _cell(fault.from_injection),
        "redundant_from_heal": _cell(fault.from_heal),
        "services": {
            service.value: {
                **_cell(cell),
                "unavailable": _number(fault.unavailable[service]),
                "errors": fault.errors.get(service, {}),
            }
            for service, cell in fault.services.items()
        },
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "runs": cell.runs,
        "few": cell.few,
        "median": _number(cell.median),
        "worst": _number(cell.worst),
        "open": any(isinf(value) for value in cell.values),
        "at_least": _number(cell.at_least),
        "limit": cell.limit,
        "reached": cell.reached,
    }


def _number(seconds: float | None) -> float | None:
    return None if seconds is None or isinf(seconds) else round(seconds, 3)
