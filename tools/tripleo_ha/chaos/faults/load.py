"""Nodes that are there and slow: a joiner, its donor, a member that limps, a transaction that is large."""

import signal
import time
from collections.abc import Iterator

from tripleo_ha.chaos.faults import choice, writes
from tripleo_ha.chaos.faults.healing import heal, last
from tripleo_ha.chaos.faults.model import Fault, Field
from tripleo_ha.chaos.model import Kind
from tripleo_ha.waiting import wait_for

REJOINING_S = 120.0
SLOW_MBIT = 40
"""The joiner's cable: a state transfer of 150 MB takes half a minute."""
BALLAST_MB = 100
LARGE_MB = 64
LIMPING_S = 20.0
STOPPED_S, RUNNING_S = 0.6, 0.3
"""A limping server's steps; stopped for less than its peers take it for dead after."""
SERVED_S = 60.0
DATABASE = "mariadb.service"


def faults() -> Iterator[Fault]:
    """Yield loads; each is over when it has been injected."""
    yield Fault(
        "slow-joiner",
        Kind.OTHER,
        "a node whose disk was wiped joins through a slow cable; its donor is busy all the while",
        choice.other,
        _slow_joiner,
        _unload,
        prepare=_ballast,
        groups=("load", "donor"),
        timeout=420,
        cost=200.0,
        scale=3,
    )
    yield Fault(
        "large-write-set",
        Kind.OTHER,
        f"one transaction of {LARGE_MB} MB on the writer",
        choice.serving,
        _large,
        heal,
        groups=("load",),
        cost=25.0,
    )
    yield Fault(
        "limping-member",
        Kind.OTHER,
        "a member's mariadbd stands still most of the time, too briefly to be taken for dead: flow control",
        choice.other,
        _limp,
        heal,
        groups=("load",),
        cost=40.0,
        scale=3,
    )


def _ballast(field: Field) -> None:
    writes.bulk(field.bed, field.roles.writer, BALLAST_MB, BALLAST_MB, keep=True)


def _unload(field: Field) -> None:
    heal(field)
    writes.drop(field.bed, field.roles.writer)


def _slow_joiner(field: Field) -> None:
    (node,) = field.nodes
    bed = field.bed
    bed.power_off(node)
    field.wait_served(SERVED_S)
    bed.wipe(node)
    bed.power_on(node)
    bed.throttle(node, SLOW_MBIT)
    wait_for(
        f"{node} to receive a state transfer",
        lambda: bed.processes(node, DATABASE, "mbstream"),
        timeout=REJOINING_S,
        interval=0.05,
    )
    began = time.monotonic()
    wait_for(
        f"{node} to have received its state",
        lambda: not bed.processes(node, DATABASE, "mbstream"),
        timeout=2 * REJOINING_S,
        interval=0.2,
    )
    field.note("transfer (s)", round(time.monotonic() - began, 1))


def _large(field: Field) -> None:
    (node,) = field.nodes
    began = time.monotonic()
    writes.bulk(field.bed, node, LARGE_MB)
    field.note("took (s)", round(time.monotonic() - began, 1))


def _limp(field: Field) -> None:
    (node,) = field.nodes
    end = time.monotonic() + LIMPING_S
    while time.monotonic() < end:
        field.bed.signal(node, signal.SIGSTOP, DATABASE, "mariadbd")
        last(STOPPED_S)
        field.bed.signal(node, signal.SIGCONT, DATABASE, "mariadbd")
        last(RUNNING_S)
