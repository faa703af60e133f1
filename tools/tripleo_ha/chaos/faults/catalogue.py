"""All faults by name."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from tripleo_ha.chaos.faults import clock, disk, load, network, outages, power, processes
from tripleo_ha.chaos.faults.model import Fault
from tripleo_ha.devtest.bed import Bed

MAKERS = (processes, power, network, disk, clock, load, outages)


def _catalogue() -> Mapping[str, Fault]:
    found = tuple(chain.from_iterable(maker.faults() for maker in MAKERS))
    by_name = {fault.name: fault for fault in found}
    assert len(by_name) == len(found), "two faults have the same name"
    return MappingProxyType(by_name)


ALL: Mapping[str, Fault] = _catalogue()
"""Every fault by its name."""


def fitting(bed: Bed) -> Mapping[str, Fault]:
    """Return those faults that make sense on a bed: it has the nodes and the disks for them."""
    return {name: fault for name, fault in ALL.items() if fault.scale <= len(bed.nodes) and fault.fits(bed)}
