"""Having a node down, in order where it can be."""

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import TimedOut

STOP_TIMEOUT = 180.0


def shut_down(bed: Bed, name: str, progress: Progress) -> None:
    """Shut a node down if it is up, and cut its power if it is not down in time; afterwards it is off in any case."""
    if bed.running(name):
        try:
            bed.stop(name, STOP_TIMEOUT)
            progress.node(name, "shut down")
        except TimedOut:
            progress.node(name, f"not down after {STOP_TIMEOUT:g} s: power cut")
    bed.power_off(name)
