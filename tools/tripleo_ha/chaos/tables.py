"""The figures of campaigns as tables for a terminal."""

from collections.abc import Iterator, Mapping
from math import isinf

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tripleo_ha.chaos.figures import Cell, FaultFigures, Figures, StrikeFigures
from tripleo_ha.chaos.model import Kind, Service, Verdict, Workload

NOTE = (
    "seconds: median / worst of the longest gap a client saw (all nodes down: from the last node's agents to served), "
    "limit, runs"
)


def show(figures: Figures, on: Console, *, strikes: bool = True) -> None:
    """Print the table of figures against the limits, one row a fault, and where wanted one row a strike."""
    on.print(limits(figures))
    on.print(declares(figures.types))
    on.print(faults(figures))
    if strikes:
        on.print(each_strike(figures))
    outside = ", ".join(f"{service} {gap.seconds:.2f} s" for service, gap in figures.outside.items())
    on.print(f"longest gap outside of any strike: {outside or 'none'}", soft_wrap=True)


def show_verdicts(verdicts: tuple[Verdict, ...], on: Console) -> None:
    """Print what the checkers say, findings first."""
    for verdict in sorted(verdicts, key=lambda verdict: verdict.ok):
        counts = ", ".join(f"{name} {number:g}" for name, number in verdict.counts.items())
        word = Text("good", "green") if verdict.ok else Text(f"{len(verdict.findings)} found", "bold red")
        on.print(Text.assemble(f"{verdict.checker}: ", word, f"  {counts}"), soft_wrap=True)
        for finding in verdict.findings:
            on.print(Text(f"    {finding.what}: {finding.detail}".rstrip(": ")), soft_wrap=True)


def limits(figures: Figures) -> Table:
    """Return the table of figures: a row a kind of fault, a column a service."""
    table = _table("fault", *Service, caption=NOTE)
    for kind, cells in figures.cells.items():
        table.add_row(kind.value, *(_against(cells[service]) for service in Service))
    return table


def declares(types: Mapping[Kind, Mapping[Workload, Cell]]) -> Table:
    """Return the figures of declaring each type of queue; the row above has the worst."""
    names = list(next(iter(types.values()), {}))
    table = _table("queue.declare", *(name.removeprefix("declare-") for name in names))
    for kind, cells in types.items():
        table.add_row(kind.value, *(_against(cells[name]) for name in names))
    return table


def faults(figures: Figures) -> Table:
    """Return a row for each fault: worst gap and unavailability of each service, and time to full redundancy."""
    caption = "seconds: worst gap, unavailable in all; to full redundancy from injection and from heal, median / worst"
    table = _table("fault", "n", *Service, "redundant", "from heal", "not", caption=caption)
    for fault in figures.faults:
        services = [_worst(fault, service) for service in Service]
        table.add_row(
            fault.fault,
            str(fault.from_injection.runs + fault.not_redundant),
            *services,
            _pair(fault.from_injection),
            _pair(fault.from_heal),
            str(fault.not_redundant or ""),
        )
    return table


def each_strike(figures: Figures) -> Table:
    """Return a row for each strike: the longest gap of each service, its errors, time to full redundancy, trouble."""
    table = _table("#", "fault", "nodes", *Service, "redundant", "from heal", "errors and trouble")
    for strike in figures.strikes:
        gaps = [_gap(strike, service) for service in Service]
        nodes = ",".join(name.rpartition("-")[2] for name in strike.strike.nodes)
        told = "; ".join([*errors(strike), *([strike.strike.trouble] if strike.strike.trouble else [])])
        whole = (_seconds(strike.from_injection), _seconds(strike.from_heal))
        table.add_row(str(strike.strike.number), strike.strike.fault, nodes, *gaps, *whole, told)
    return table


def errors(strike: StrikeFigures) -> Iterator[str]:
    """Yield, for each service, its attempts without success by kind of error."""
    for service, seen in strike.services.items():
        if seen.errors:
            counts = ", ".join(f"{sum(by.values())} {error}" for error, by in sorted(seen.errors.items()))
            yield f"{service}: {counts}"


def _against(cell: Cell) -> Text:
    if cell.reached is None:
        return Text(f"not run (≤ {cell.limit:g})" if cell.limit is not None else "not run", "dim")
    few = f"{cell.runs}, few" if cell.few else str(cell.runs)
    sign = "≤" if cell.reached else ">"
    return Text(f"{_pair(cell)} {sign} {cell.limit:g}  ({few})", "green" if cell.reached else "bold red")


def _worst(fault: FaultFigures, service: Service) -> str:
    cell = fault.services[service]
    return f"{_seconds(cell.worst)}, {fault.unavailable[service]:.1f}" if cell.runs else "–"


def _gap(strike: StrikeFigures, service: Service) -> str:
    seen = strike.services.get(service)
    if seen is None:
        return "–"
    return f"≥ {seen.longest.seconds:.2f}" if seen.longest.open else _seconds(strike.figure(seen))


def _pair(cell: Cell) -> str:
    return f"{_seconds(cell.median)} / {_seconds(cell.worst)}" if cell.runs else "–"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return "never" if isinf(value) else f"{value:.2f}"


def _table(*columns: str, caption: str = "") -> Table:
    table = Table(box=None, pad_edge=False, caption=caption or None, caption_justify="left")
    for column in columns:
        table.add_column(str(column), overflow="fold")
    return table
