"""Having a bed verified."""

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress


def verify(bed: Bed, progress: Progress) -> int:
    """Run the verifier on a bed, print its table, and return 0 when every check holds, otherwise 1."""
    # The verifier builds on the bed, so it is known here only once it is called.
    from tripleo_ha.verify.live import verify_bed

    progress.say("verify")
    with progress.step("verify"):
        return verify_bed(bed)
