"""Taking the cause of any fault away, and letting one last."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tripleo_ha.chaos.faults.model import Field
from tripleo_ha.devtest import clock, disk
from tripleo_ha.devtest.bed import Bed


def together(do: Callable[[str], object], nodes: Sequence[str]) -> None:
    """Do something to several nodes at the same moment."""
    with ThreadPoolExecutor(max(len(nodes), 1)) as pool:
        list(pool.map(do, nodes))


def last(seconds: float) -> None:
    """Let a cause last, for its own sake and not to wait for anything; Ctrl-C ends it."""
    time.sleep(seconds)


def heal(field: Field) -> None:
    """Take away what lies on nodes, network and power, wherever it is."""
    restore(field.bed)


def restore(bed: Bed) -> None:
    """Take away whatever any fault may have put there, on every node of a bed, and boot what is off; may be repeated.

    :raises Failure: a node does not boot.
    """
    bed.mend()
    for node in bed.nodes:
        bed.thaw(node.name)
        bed.rejoin(node.name)
        if bed.running(node.name):
            leader = bed.leader(node.name)
            disk.relieve(node, leader)
            clock.clear(leader)
    together(bed.power_on, [node.name for node in bed.nodes if not bed.running(node.name)])
