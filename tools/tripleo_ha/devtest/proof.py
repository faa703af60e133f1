"""Having a bed verified."""

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure


def verify(bed: Bed, progress: Progress) -> int:
    """Run the verifier on a bed, print its table, and return 0 when every check holds, otherwise 1."""
    # The verifier builds on the bed, so it is known here only once it is called.
    from tripleo_ha.verify.live import verify_bed

    progress.say("verify")
    with progress.step("verify"):
        return verify_bed(bed)


def require_spare(bed: Bed, name: str) -> None:
    """See that the cluster can spare a node: that every check holds but that of one image on all nodes.

    Each has the time in which a cluster comes to rest.

    :raises Failure: naming the checks that do not hold, with their evidence.
    """
    from tripleo_ha.verify.live import spares_one

    if failed := spares_one(bed):
        lines = [f"  {result.name}: {result.evidence}" for result in failed]
        told = "\n".join([f"{len(failed)} checks failed before {name} is shut down:", *lines])
        raise Failure(told, "once they hold, the same command goes on from there")
