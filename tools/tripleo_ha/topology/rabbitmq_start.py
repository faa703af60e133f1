"""What follows when this node's broker does not start, though the others run."""

from dataclasses import dataclass
from enum import Enum

STARTS = 3
"""Starts that end by themselves beside a majority before the disk is taken for what fails them."""


class Next(Enum):
    """What follows a start that failed."""

    AGAIN = "again"
    """It is started once more."""
    RENEW = "renew"
    """What its disk holds is put aside, and it joins the others as a new member."""
    REPORT = "report"
    """The run fails and says why; a later one starts it again."""


@dataclass(frozen=True)
class Failed:
    """The starts of one converge run, each of which failed.

    ``ended``: how often the broker ended by itself. ``beside``: the others are a majority without this node, and have
    been after each of these starts. ``joined``: its disk holds a member's data. ``renewed``: what an earlier one held
    is aside already. ``configured_anew``: it has not run with its present configuration in this boot, but with another.
    """

    ended: int
    beside: bool = True
    joined: bool = True
    renewed: bool = False
    configured_anew: bool = False


def after(failed: Failed) -> tuple[Next, str]:
    """Return what follows a start that failed, and why.

    A full disk can leave a log that the broker cannot read, which keeps it from starting for ever (``missing_key`` of
    its metadata store; issues 441 and 585 of rabbitmq/ra). A majority of the others has all that was confirmed, so that
    it may begin anew. A configuration that no broker can run with is another matter.
    """
    if not failed.beside:
        return Next.REPORT, "it starts when a majority of the members runs"
    if failed.configured_anew:
        return Next.REPORT, "it has not run with its present configuration yet"
    if not failed.joined:
        return Next.REPORT, "it has no data that could keep it from starting"
    if failed.renewed:
        return Next.REPORT, "it does not start with an empty disk either"
    if failed.ended < STARTS:
        return Next.AGAIN, f"start {failed.ended} ended by itself while the others run"
    return Next.RENEW, f"{failed.ended} starts in a row ended by themselves while the others run"
