"""What a fault is: whom it strikes, how the cause is put there and taken away, and what it may use for that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest.bed import Bed

POWERED = "powered"
"""The key under which an outage notes when the agents of the last node that came back had started (seconds of
``time.monotonic()``)."""


@dataclass(frozen=True)
class Roles:
    """Who does what in a cluster at one moment.

    ``nodes`` are all, in the cluster's order; ``writer`` takes the SQL writes; ``holders`` is the node by virtual IP
    (``control``, ``public``), ``singletons`` the node by service. A role that nobody has is left out; the writer is
    then an empty string.
    """

    nodes: tuple[str, ...]
    writer: str
    holders: Mapping[str, str] = field(default_factory=dict)
    singletons: Mapping[str, str] = field(default_factory=dict)

    def serving(self, node: str) -> bool:
        """Whether clients notice when this node goes: it is the writer or holds a virtual IP."""
        return node == self.writer or node in self.holders.values()

    def weight(self, node: str) -> int:
        """Return how many of the roles that clients notice a node has."""
        return [self.writer, *self.holders.values()].count(node)


FAMILIES: Mapping[str, frozenset[str]] = {
    "outage": frozenset({"outage"}),
    "processes": frozenset({"process"}),
    "power": frozenset({"power"}),
    "disk and load": frozenset({"disk", "load", "clock"}),
    "network": frozenset({"network", "cut-off"}),
}
"""What faults are about, each of one family: the first that has one of its groups."""


class Field(Protocol):
    """Where one strike happens; a session provides it."""

    @property
    def bed(self) -> Bed:
        """The test bed."""

    @property
    def roles(self) -> Roles:
        """Who did what just before the strike; after ``Fault.prepare``, who does it then."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes to strike, as ``Fault.choose`` or the user named them, in order."""

    @property
    def random(self) -> Random:
        """The strike's own source of chance, seeded."""

    def note(self, key: str, value: object) -> None:
        """Keep something about this strike; see ``POWERED``. Later values of a key replace earlier ones."""

    def wait_served(self, timeout: float) -> None:
        """Wait until every client has succeeded again, several times in a row, with operations begun from now on.

        :param timeout: seconds.
        :raises TimedOut: naming those that have not.
        """


def nothing(field: Field) -> None:
    """Do nothing: what most faults need to prepare."""


def anywhere(bed: Bed) -> bool:
    """Return true: what most faults need, every bed has."""
    return True


@dataclass(frozen=True)
class Fault:
    """One thing that happens to a cluster.

    ``choose`` picks whom it strikes. ``prepare`` makes the case that the fault is about (a virtual IP moved to the
    writer, say) before the strike begins; clients may notice it, and it does not count. ``inject`` puts the cause
    there, and returns when it is there; a fault that lasts a fixed time in itself (flapping, a load) returns when that
    is over. ``heal`` takes the cause away from all nodes of the bed, whoever was struck and however far ``inject``
    came, and boots what is off; it may be called again at any time. All are bounded, and raise ``Failure``.

    ``served``: clients can be served while the cause lasts, so that a session waits for that before it heals.
    ``hold``: seconds for which the cause lasts at least after ``inject``. ``groups`` are the names by which it can be
    asked for together with others.
    """

    name: str
    kind: Kind
    summary: str
    choose: Callable[[Roles, Random], tuple[str, ...]]
    inject: Callable[[Field], None]
    heal: Callable[[Field], None]
    prepare: Callable[[Field], None] = nothing
    hold: float = 0.0
    served: bool = True
    groups: tuple[str, ...] = ()
    timeout: float = 300.0
    """Seconds after the heal within which every node must be whole again."""
    minority: bool = False
    """The struck nodes are cut from a majority: while it lasts they serve no write and hold no virtual IP."""
    scale: int = 1
    """The smallest number of nodes for which it makes sense."""
    fits: Callable[[Bed], bool] = anywhere
    """Whether a bed has what it needs, such as disks that can get full."""
    cost: float = 120.0
    """About so many seconds a strike takes until the cluster is whole again, on a bed of three nodes on two cores."""

    @property
    def family(self) -> str:
        """Which of :data:`FAMILIES` it belongs to."""
        return next(name for name, groups in FAMILIES.items() if groups.intersection(self.groups))
