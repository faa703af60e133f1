"""The figures of campaigns against their limits, as the table of docs/chaos.rst. Pure."""

from collections.abc import Iterator, Mapping
from math import isinf

from tripleo_ha.chaos.figures import Cell, Figures
from tripleo_ha.chaos.model import Kind, Service

COLUMNS: Mapping[Service, str] = {
    Service.SQL: "SQL write",
    Service.PUBLISH: "publish",
    Service.DECLARE: "queue.declare",
    Service.RPC: "RPC call",
    Service.TOKEN: "token",
}
ROWS: Mapping[Kind, str] = {
    Kind.KILLED: "process of the serving node killed (``kill-*``)",
    Kind.STOPPED: "serving node stopped gracefully (``reboot-serving``)",
    Kind.POWER_CUT: "VIP holder and writer, power cut (``power-cut-serving``)",
    Kind.CUT_OFF: "VIP holder and writer, cut off (``cut-off-serving``, ``cut-from-peers-serving``, "
    "``lose-in-serving``, ``lose-out-serving``), or frozen (``freeze-node-serving``, and ``freeze-*`` of one process)",
    Kind.OUTAGE: "all nodes down (``outage-*``): from when the last node's agents start, to served",
}
"""What a row of the table of figures is about, and the faults that count for it."""


def limits(figures: Figures) -> str:
    """Return the table, a row a kind of fault: median / worst (runs), and the limit; bold where that is not kept."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: Figures) -> Iterator[str]:
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield ""
    yield from _row(["Fault", *COLUMNS.values()])
    for kind, cells in figures.cells.items():
        yield from _row([ROWS[kind], *(_told(cells[service]) for service in COLUMNS)])


def _row(cells: list[str]) -> Iterator[str]:
    for place, cell in enumerate(cells):
        yield f"   {'  ' if place else '* '}- {cell}"


def _told(cell: Cell) -> str:
    limit = f"≤ {cell.limit:g}"
    if cell.median is None or cell.worst is None:
        return f"{limit}, not run"
    most = f"≥ {cell.at_least:.1f}" if isinf(cell.worst) and cell.at_least is not None else _seconds(cell.worst)
    found = f"{_seconds(cell.median)} / {most}"
    return f"{limit}, seen {found if cell.reached else f'**{found}**'} ({cell.runs})"


def _seconds(value: float) -> str:
    return "never" if isinf(value) else f"{value:.1f}"
