"""The figures of campaigns as tables for a terminal: readable from 80 columns on, with more of it from 120 on."""

import textwrap
from collections.abc import Iterator, Mapping
from math import isinf

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tripleo_ha.chaos.figures import Cell, FaultFigures, Figures, StrikeFigures
from tripleo_ha.chaos.model import Kind, Service, Workload

WIDE = 120
"""Columns from which on a terminal gets what the others have to look up in the other reports."""
NAME = 10
"""Columns for a kind of fault: its longest word."""
NOTE = (
    "seconds, median/worst of the longest gap a client saw (all nodes down: from the last node's agents to served); "
    "≥: still open"
)


def show(figures: Figures, on: Console, *, strikes: bool = True) -> None:
    """Print the table of figures against the limits, one row a fault, and where wanted one row a strike."""
    for table in (limits(figures), declares(figures.types), faults(figures, wide=on.width >= WIDE)):
        on.print(table)
        on.print()
    if strikes:
        on.print(each_strike(figures, wide=on.width >= WIDE))
        on.print()
        for line in told(figures, on.width):
            on.print(Text(line), soft_wrap=True)
    outside = ", ".join(f"{service} {gap.seconds:.2f} s" for service, gap in figures.outside.items())
    on.print(Text(f"longest gap outside of any strike: {outside or 'none'}"))


def limits(figures: Figures) -> Table:
    """Return the table of figures: a row a kind of fault, a column a service."""
    table = _grid("fault", *Service, caption=NOTE)
    for kind, cells in figures.cells.items():
        table.add_row(kind.value, *(_against(cells[service]) for service in Service))
    return table


def declares(types: Mapping[Kind, Mapping[Workload, Cell]]) -> Table:
    """Return the figures of declaring each type of queue; the row above has the worst."""
    names = list(next(iter(types.values()), {}))
    table = _grid("queue. declare", *(name.removeprefix("declare-") for name in names))
    for kind, cells in types.items():
        table.add_row(kind.value, *(_against(cells[name]) for name in names))
    return table


def faults(figures: Figures, *, wide: bool = False) -> Table:
    """Return a row for each fault: the worst gap of each service, and the time to full redundancy.

    :param wide: with unavailability, and with the time from the heal.
    """
    whole = ("whole", "from heal") if wide else ("whole",)
    caption = "seconds: worst gap; from injection to full redundancy, median/worst; not: so often it was not reached"
    table = _table("fault", "n", *Service, *whole, "not", caption=caption + "; (unavailable in all)" * wide)
    for fault in figures.faults:
        services = [_worst(fault, service, wide=wide) for service in Service]
        times = [_pair(fault.from_injection), *([_pair(fault.from_heal)] if wide else [])]
        strikes = str(fault.from_injection.runs + fault.not_redundant)
        table.add_row(fault.fault, strikes, *services, *times, str(fault.not_redundant or ""))
    return table


def each_strike(figures: Figures, *, wide: bool = False) -> Table:
    """Return a row for each strike: the longest gap of each service, and the time to full redundancy."""
    whole = ("whole", "from heal") if wide else ("whole",)
    table = _table("#", "fault", "nodes", *Service, *whole)
    for strike in figures.strikes:
        gaps = [_gap(strike, service) for service in Service]
        nodes = ",".join(name.rpartition("-")[2] for name in strike.strike.nodes)
        times = [_seconds(strike.from_injection), *([_seconds(strike.from_heal)] if wide else [])]
        table.add_row(str(strike.strike.number), strike.strike.fault, nodes, *gaps, *times)
    return table


def told(figures: Figures, width: int) -> Iterator[str]:
    """Yield lines of at most ``width`` columns on what went wrong in each strike: errors by kind, and trouble."""
    for strike in figures.strikes:
        name = f"{strike.strike.number:>3} {strike.strike.fault}"
        trouble = [f"TROUBLE: {strike.strike.trouble}"] if strike.strike.trouble else []
        for text in [*trouble, *errors(strike)]:
            yield from textwrap.wrap(
                f"{name}  {text}", width, subsequent_indent=" " * 6, break_on_hyphens=False, drop_whitespace=True
            )


def errors(strike: StrikeFigures) -> Iterator[str]:
    """Yield, for each service, its attempts without success by kind of error, the most frequent first."""
    for service, seen in strike.services.items():
        counts = sorted(((sum(by.values()), error) for error, by in seen.errors.items()), key=lambda each: -each[0])
        words = [f"{count} × {error}" for count, error in counts]
        if seen.conflicts:
            words.append(f"({seen.conflicts} conflicts)")
        if words:
            yield f"{service}: {', '.join(words)}"


def _against(cell: Cell) -> Text:
    if cell.reached is None:
        return Text("not run" + (f"\n≤ {cell.limit:g}" if cell.limit is not None else ""), "dim")
    runs = f"{cell.runs} run{'s' * (cell.runs != 1)}" + ", few" * cell.few
    verdict = "ok" if cell.reached else "OVER"
    return Text(f"{_pair(cell)}\n{verdict} ≤ {cell.limit:g}\n{runs}", "green" if cell.reached else "bold red")


def _worst(fault: FaultFigures, service: Service, *, wide: bool) -> str:
    cell = fault.services[service]
    if not cell.runs:
        return "–"
    return _most(cell) + (f" ({fault.unavailable[service]:.0f})" if wide else "")


def _gap(strike: StrikeFigures, service: Service) -> str:
    seen = strike.services.get(service)
    if seen is None:
        return "–"
    least = strike.least(seen)
    return _seconds(strike.figure(seen)) if least is None else f"≥{_seconds(least)}"


def _pair(cell: Cell) -> str:
    return f"{_seconds(cell.median)}/{_most(cell)}" if cell.runs else "–"


def _most(cell: Cell) -> str:
    unknown = cell.worst is not None and isinf(cell.worst)
    return f"≥{_seconds(cell.at_least)}" if unknown and cell.at_least is not None else _seconds(cell.worst)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if isinf(value):
        return "?"
    return f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _table(*columns: str, caption: str = "") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), caption=caption or None, caption_justify="left")
    for column in columns:
        table.add_column(str(column), no_wrap=True)
    return table


def _grid(first: str, *columns: str, caption: str = "") -> Table:
    """Return a table whose cells have several lines; only what the rows are called is wrapped."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 1, 0), caption=caption or None, caption_justify="left")
    table.add_column(first, width=NAME)
    for column in columns:
        table.add_column(str(column), no_wrap=True, min_width=NAME)
    return table
