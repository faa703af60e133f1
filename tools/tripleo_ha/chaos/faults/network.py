"""Nodes that cannot hear each other, cannot be heard, or only now and then; packets are lost outside of the nodes."""

import time
from collections.abc import Callable, Iterator

from tripleo_ha.chaos.faults import choice
from tripleo_ha.chaos.faults.healing import heal, last
from tripleo_ha.chaos.faults.model import Fault, Field, nothing
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest import severing

APART_S = 15.0
"""How long a cut lasts at least: longer than any engine takes to give the other side up, which is Erlang's 10 s."""
SPLIT_S = 30.0
FLAPPING_S = 60.0
FLAP_S = (1.0, 5.0)
"""Each time that the cables are in or out."""


def faults() -> Iterator[Fault]:
    """Yield cuts of the network."""
    for name, choose, prepare in (("serving", choice.serving, choice.gather), ("other", choice.other, nothing)):
        who = choice.WHO[name]
        kind = Kind.CUT_OFF if name == "serving" else Kind.OTHER
        cuts: tuple[tuple[str, str, Callable[[Field], None]], ...] = (
            ("cut-off", "both cables are pulled", _isolate),
            ("cut-from-peers", "cut from the other nodes, and not from clients", _from_peers),
            ("lose-in", "everything sent to it is lost, and nothing that it sends", _lose_in),
            ("lose-out", "everything that it sends is lost, and nothing sent to it", _lose_out),
        )
        for what, text, inject in cuts:
            yield Fault(
                f"{what}-{name}",
                kind,
                f"{who}: {text}",
                choose,
                inject,
                heal,
                prepare=prepare,
                hold=APART_S,
                groups=("network", "cut-off", "node"),
                cost=90.0,
                minority=True,
                scale=3,
            )
        yield Fault(
            f"flapping-{name}",
            Kind.OTHER,
            f"{who}: cables out and in every few seconds, for a minute",
            choose,
            _flap,
            heal,
            groups=("network", "flapping"),
            scale=3,
        )
    yield Fault(
        "split",
        Kind.OTHER,
        "no node reaches another; clients reach them all",
        choice.everyone,
        _split,
        heal,
        hold=SPLIT_S,
        served=False,
        groups=("network", "split"),
        cost=65.0,
        minority=True,
        scale=3,
    )


def _isolate(field: Field) -> None:
    for node in field.nodes:
        field.bed.isolate(node)


def _from_peers(field: Field) -> None:
    bed = field.bed
    bed.sever(severing.between([bed.node(name) for name in field.nodes], bed.nodes))


def _split(field: Field) -> None:
    field.bed.sever(severing.between(field.bed.nodes, field.bed.nodes))


def _lose_in(field: Field) -> None:
    bed = field.bed
    bed.sever([way for name in field.nodes for way in severing.to(bed.node(name), bed.nodes)])


def _lose_out(field: Field) -> None:
    bed = field.bed
    bed.sever([way for name in field.nodes for way in severing.out_of(bed.node(name), bed.nodes)])


def _flap(field: Field) -> None:
    (node,) = field.nodes
    end = time.monotonic() + FLAPPING_S
    flaps = 0
    while time.monotonic() < end:
        field.bed.isolate(node)
        last(field.random.uniform(*FLAP_S))
        field.bed.rejoin(node)
        last(field.random.uniform(*FLAP_S))
        flaps += 1
    field.note("times", flaps)
