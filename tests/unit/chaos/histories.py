"""Small histories made by hand."""

from typing import Any

from tripleo_ha.chaos.model import Kind, Operation, Outcome, Strike, Workload


def ok(workload: Workload, ended: float, process: int = 0, began: float | None = None, value: Any = None) -> Operation:
    """Return an attempt that was acknowledged, half a tenth of a second after it began unless told."""
    return Operation(workload, process, ended - 0.05 if began is None else began, ended, Outcome.OK, value)


def bad(
    workload: Workload,
    ended: float,
    process: int = 0,
    began: float | None = None,
    outcome: Outcome = Outcome.FAIL,
    error: str = "refused",
) -> Operation:
    """Return an attempt without success."""
    return Operation(workload, process, ended - 0.05 if began is None else began, ended, outcome, None, error)


def strike(
    injected: float = 10.0,
    healed: float = 20.0,
    redundant: float | None = 30.0,
    kind: Kind = Kind.POWER_CUT,
    number: int = 1,
    fault: str = "power-cut",
    serving: bool = True,
    powered: float | None = None,
) -> Strike:
    """Return a strike on the node ``a``."""
    return Strike(number, fault, kind, ("a",), serving, injected, healed, redundant, powered)


def steady(workload: Workload, *spans: tuple[int, int], process: int = 0) -> list[Operation]:
    """Return a success at each whole second from the first to the last of each span."""
    return [ok(workload, float(at), process) for first, last in spans for at in range(first, last + 1)]
