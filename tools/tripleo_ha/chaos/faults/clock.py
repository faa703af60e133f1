"""A node's wall clock jumps by an hour, and back: its engines must not care, for what they time is monotonic."""

from collections.abc import Iterator
from functools import partial

from tripleo_ha import table
from tripleo_ha.chaos.faults import choice
from tripleo_ha.chaos.faults.healing import heal
from tripleo_ha.chaos.faults.model import Fault, Field
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest import clock
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.waiting import wait_for

HOUR_S = 3600
LASTING_S = 15.0
"""Longer than any engine's timer runs."""
RESTART_S = 300.0
SEEN_S = 20.0
ENGINES = ("mariadb-galera", "rabbitmq-cluster", "memcached", "pacemaker")
"""The services whose clock is stepped: those that keep state or agree on something. With the library that does it,
HAProxy does not start, and Python's ``time.sleep(0)`` fails; both time by the monotonic clock anyway."""


def faults() -> Iterator[Fault]:
    """Yield the steps."""
    for name, seconds in (("ahead", HOUR_S), ("back", -HOUR_S)):
        yield Fault(
            f"clock-{name}",
            Kind.OTHER,
            f"the clock of a node is stepped by {seconds:+d} s, and back",
            choice.anyone,
            partial(_step, seconds=seconds),
            heal,
            prepare=_restart_with_own_clock,
            hold=LASTING_S,
            cost=105.0,
            groups=("clock",),
        )


def units() -> tuple[str, ...]:
    """Return the units of the engines."""
    return tuple(unit.process for row in table.load() if row.service in ENGINES for unit in row.units)


def _restart_with_own_clock(field: Field) -> None:
    """Have the engines of the struck nodes see a clock of their own, which is right so far."""
    bed = field.bed
    for node in field.nodes:
        clock.furnish(bed.leader(node), units())
        bed.exec(node, ["systemctl", "daemon-reload"], timeout=60)
        bed.exec(node, ["systemctl", "try-restart", *units()], timeout=RESTART_S)
        bed.wait_converged([node], timeout=RESTART_S)
    field.wait_served(RESTART_S)


def _step(field: Field, seconds: int) -> None:
    for node in field.nodes:
        clock.step(field.bed.leader(node), seconds)
    wait_for(
        f"MariaDB on {', '.join(field.nodes)} to see the step",
        lambda: all(abs(_off(field.bed, node) - seconds) < HOUR_S / 2 for node in field.nodes),
        timeout=SEEN_S,
    )


def _off(bed: Bed, node: str) -> float:
    ask = "SELECT UNIX_TIMESTAMP(SYSDATE())"
    try:
        told = bed.exec(node, ["mariadb", "--batch", "--skip-column-names", "--execute", ask], timeout=15).stdout
        here = bed.exec(node, ["date", "+%s"], timeout=15).stdout
        return float(told) - float(here)
    except Failure:
        return 0.0
