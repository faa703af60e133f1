"""One node loses its power or is rebooted; the others and the clients go on."""

from collections.abc import Iterator

from tripleo_ha.chaos.faults import choice
from tripleo_ha.chaos.faults.healing import heal, last
from tripleo_ha.chaos.faults.model import Fault, Field, nothing
from tripleo_ha.chaos.model import Kind
from tripleo_ha.waiting import wait_for

STOP_S = 180.0
REJOINING_S = 120.0
AGAIN_S = (0.0, 12.0)
"""When power is cut again: between these seconds after the node's own services began to come up."""


def faults() -> Iterator[Fault]:
    """Yield power cuts and reboots."""
    for name, choose, prepare in (("serving", choice.serving, choice.gather), ("other", choice.other, nothing)):
        serves = name == "serving"
        who = choice.WHO[name]
        yield Fault(
            f"power-cut-{name}",
            Kind.POWER_CUT if serves else Kind.OTHER,
            f"{who} loses its power, and gets it back later",
            choose,
            _cut,
            heal,
            prepare=prepare,
            groups=("power", "power-cut", "node"),
            cost=75.0,
            scale=3,
        )
        yield Fault(
            f"reboot-{name}",
            Kind.STOPPED if serves else Kind.OTHER,
            f"{who} is shut down in order, and booted again",
            choose,
            _stop,
            heal,
            prepare=prepare,
            groups=("power", "stop", "node"),
            cost=90.0,
            scale=3,
        )
    yield Fault(
        "power-cut-rejoining",
        Kind.OTHER,
        "a node loses its power, and again while it comes back",
        choice.anyone,
        _cut_twice,
        heal,
        groups=("power", "node"),
        scale=3,
    )


def _cut(field: Field) -> None:
    for node in field.nodes:
        field.bed.power_off(node)


def _stop(field: Field) -> None:
    for node in field.nodes:
        field.bed.stop(node, STOP_S)


def _cut_twice(field: Field) -> None:
    (node,) = field.nodes
    bed = field.bed
    bed.power_off(node)
    field.wait_served(REJOINING_S)
    bed.power_on(node)
    wait_for(
        f"{node} to start its services again",
        lambda: bed.processes(node, "mariadb.service") or bed.processes(node, "rabbitmq-server.service"),
        timeout=REJOINING_S,
    )
    after = field.random.uniform(*AGAIN_S)
    field.note("cut again after (s)", round(after, 1))
    last(after)
    bed.power_off(node)
