"""All faults by name, and the names of groups of them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from tripleo_ha.chaos.faults import clock, disk, load, network, outages, power, processes
from tripleo_ha.chaos.faults.model import Fault
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import UsageError


def _catalogue() -> Mapping[str, Fault]:
    makers = (processes, power, network, disk, clock, load, outages)
    return MappingProxyType({fault.name: fault for fault in chain.from_iterable(each.faults() for each in makers)})


ALL: Mapping[str, Fault] = _catalogue()
"""Every fault by its name."""


def groups() -> Mapping[str, tuple[str, ...]]:
    """Return the faults' names by the names of the groups that they are in."""
    names = sorted({group for fault in ALL.values() for group in fault.groups})
    return {name: tuple(fault.name for fault in ALL.values() if name in fault.groups) for name in names}


def fitting(bed: Bed, faults: Iterable[Fault] = ALL.values()) -> tuple[Fault, ...]:
    """Return those faults that make sense on a bed."""
    return tuple(fault for fault in faults if fault.scale <= len(bed.nodes) and fault.fits(bed))


def select(names: Sequence[str]) -> tuple[Fault, ...]:
    """Return the faults of these names and groups, each once, in the order in which they are named.

    :raises UsageError: a name is neither.
    """
    known = groups()
    chosen: dict[str, Fault] = {}
    for name in names:
        if name not in ALL and name not in known:
            raise UsageError(f"no fault or group of faults {name!r}", f"groups: {', '.join(known)}")
        for each in known.get(name, (name,)):
            chosen[each] = ALL[each]
    return tuple(chosen.values())
