"""A node's disk is wiped, or has no room left."""

import time
from collections.abc import Iterator

from tripleo_ha.chaos.faults import choice
from tripleo_ha.chaos.faults.healing import heal, last
from tripleo_ha.chaos.faults.model import Fault, Field, nothing
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest import disk
from tripleo_ha.devtest.bed import Bed

SERVED_S = 120.0
FULL_S = 20.0
"""How long a disk is kept full: what its services free meanwhile is taken as well."""
REFILL_S = 0.5


def faults() -> Iterator[Fault]:
    """Yield what happens to disks."""
    yield Fault(
        "disk-wiped",
        Kind.OTHER,
        "a node loses its power, and comes back with an empty state disk",
        choice.anyone,
        _wipe,
        heal,
        groups=("disk", "node"),
        timeout=420,
        scale=3,
    )
    for name, choose, prepare in (("serving", choice.serving, choice.gather), ("other", choice.other, nothing)):
        yield Fault(
            f"disk-full-{name}",
            Kind.OTHER,
            f"no room is left on the disk of {choice.WHO[name]}",
            choose,
            _fill,
            heal,
            prepare=prepare,
            groups=("disk", "disk-full"),
            timeout=420,
            cost=190.0,
            scale=3,
            fits=_bounded,
        )


def _wipe(field: Field) -> None:
    for node in field.nodes:
        field.bed.power_off(node)
        field.wait_served(SERVED_S)
        field.bed.wipe(node)


def _bounded(bed: Bed) -> bool:
    return all(disk.image(node).exists() for node in bed.nodes)


def _fill(field: Field) -> None:
    bed = field.bed
    end = time.monotonic() + FULL_S
    while time.monotonic() < end:
        for node in field.nodes:
            if bed.running(node):
                field.note(f"taken on {node} (MB)", disk.fill(bed.node(node), bed.leader(node)) // 1024**2)
        last(REFILL_S)
