"""Having a bed verified."""

from importlib import import_module

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress


def verify(bed: Bed, progress: Progress) -> int:
    """Run the verifier on a bed, print its table, and return 0 when every check holds, otherwise 1."""
    progress.say("verify")
    with progress.step("verify"):
        return int(import_module("tripleo_ha.verify.live").verify_bed(bed))
