"""All nodes go down, in some order, and come back; nobody is called."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from tripleo_ha.chaos.faults import choice, writes
from tripleo_ha.chaos.faults.healing import restore, together
from tripleo_ha.chaos.faults.model import POWERED, Fault, Field, Roles
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest.bed import AGENT, Bed
from tripleo_ha.errors import Failure
from tripleo_ha.waiting import wait_for

STOP_S = 180.0
BETWEEN_S = 90.0
"""Within this time after a node has gone the others must take writes again."""
SERVED_S = 180.0
AGENTS_S = 60.0
TRANSFER_S = 120.0
SECOND = 1e6
"""In the unit of systemd's timestamps."""

Down = Callable[[Bed, str], None]


def _cut(bed: Bed, node: str) -> None:
    bed.power_off(node)


def _stop(bed: Bed, node: str) -> None:
    bed.stop(node, STOP_S)


def faults() -> Iterator[Fault]:
    """Yield full outages."""
    one_after_another: tuple[tuple[str, str, Callable[[Field], None]], ...] = (
        ("outage-at-once", "all lose their power at once", _at_once),
        ("outage-in-turn", "one after another loses its power, with writes in between", partial(_in_turn, how=[_cut])),
        ("outage-stopped", "all are shut down, one after another", partial(_in_turn, how=[_stop])),
        ("outage-stopped-reversed", "all are shut down, the last first", partial(_in_turn, how=[_stop], step=-1)),
        ("outage-mixed", "some are shut down and some lose their power", partial(_in_turn, how=[_stop, _cut])),
        ("outage-mixed-reversed", "some lose their power and some are shut down", partial(_in_turn, how=[_cut, _stop])),
    )
    for name, text, inject in one_after_another:
        yield _outage(name, text, inject, choice.everyone, cost=100.0 if inject is _at_once else 150.0)
    yield _outage(
        "outage-first-late",
        "one after another loses its power; the first to go comes back when the others serve again",
        partial(_in_turn, how=[_cut]),
        choice.shuffled,
        back=_first_late,
    )
    yield _outage(
        "outage-missed-writes",
        "as outage-in-turn, and the first to go has missed more writes than the others keep",
        _missed,
        choice.shuffled,
        cost=240.0,
    )
    yield _outage(
        "outage-in-transfer",
        "all lose their power while one gets its state from another",
        _in_transfer,
        choice.shuffled,
    )


def _outage(
    name: str,
    summary: str,
    inject: Callable[[Field], None],
    choose: Callable[[Roles, Random], tuple[str, ...]],
    back: Callable[[Field], None] | None = None,
    cost: float = 180.0,
) -> Fault:
    return Fault(
        name,
        Kind.OUTAGE,
        summary,
        choose,
        inject,
        back or _all_back,
        served=False,
        groups=("outage",),
        timeout=420,
        cost=cost,
    )


def _at_once(field: Field) -> None:
    together(field.bed.power_off, field.nodes)


def _in_turn(field: Field, how: list[Down], step: int = 1) -> None:
    """Take the nodes down one by one; after each that leaves a majority, the clients go on first."""
    nodes = field.nodes[::step]
    for place, node in enumerate(nodes):
        how[place % len(how)](field.bed, node)
        if 2 * (len(nodes) - place - 1) > len(nodes):
            field.wait_served(BETWEEN_S)
    field.note("order", nodes)


def _missed(field: Field) -> None:
    first, second, *_ = field.nodes
    field.bed.power_off(first)
    field.wait_served(BETWEEN_S)
    field.note("written (MB)", writes.more_than_kept(field.bed, second))
    for node in field.nodes[1:]:
        field.bed.power_off(node)


def _in_transfer(field: Field) -> None:
    joiner = field.nodes[0]
    field.bed.power_off(joiner)
    field.wait_served(BETWEEN_S)
    field.bed.wipe(joiner)
    field.bed.power_on(joiner)
    wait_for(
        f"{joiner} to receive a state transfer",
        lambda: field.bed.processes(joiner, "mariadb.service", "mbstream"),
        timeout=TRANSFER_S,
        interval=0.02,
    )
    together(field.bed.power_off, field.nodes)


def _all_back(field: Field) -> None:
    restore(field.bed)
    field.note(POWERED, powered(field.bed, tuple(node.name for node in field.bed.nodes)))


def _first_late(field: Field) -> None:
    """Boot all but the first, and that one once they serve; each step is left out where it has been done."""
    bed, (first, *others) = field.bed, field.nodes
    bed.mend()
    if not bed.running(first):
        together(bed.power_on, [node for node in others if not bed.running(node)])
        field.note(POWERED, powered(bed, tuple(others)))
        try:
            field.wait_served(SERVED_S)
        finally:
            restore(bed)
    restore(bed)


def powered(bed: Bed, nodes: tuple[str, ...]) -> float:
    """Return when the agent of the last of these nodes had started (seconds of the monotonic clock, which is one for
    all that runs on this machine's kernel).

    :raises TimedOut: an agent does not start.
    """

    def started() -> float | None:
        moments = []
        for node in nodes:
            argv = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", AGENT]
            done = bed.exec(node, argv, timeout=10, check=False)
            moments.append(float(done.stdout.strip() or 0) / SECOND)
        return max(moments) if all(moments) else None

    def soon() -> float | None:
        try:
            return started()
        except Failure:
            return None

    last = wait_for(f"the agents of {', '.join(nodes)} to start", soon, timeout=AGENTS_S, interval=0.2)
    return min(last, time.monotonic())
