"""When a node that is not well asks for a converge run of its own accord."""

from dataclasses import dataclass
from enum import Enum

FIRST_AFTER = 20.0
"""Seconds for which something is unwell before the first run: what the engines mend by themselves takes less."""
LONGEST_PAUSE = 600.0
"""Seconds between two requests at most; each pause is twice the one before."""


class Cause(Enum):
    """What a converge run can do about something that is unwell."""

    MENDABLE = "a converge run can mend it"
    PASSING = "systemd starts or stops it"
    NO_ROOM = "its disk has no room"
    OTHER = "a converge run cannot mend it"


@dataclass(frozen=True)
class Condition:
    """What is known when the question is asked.

    :param seconds: for which it has been unwell.
    :param asked: number of requests since the node was last well for as long as the pause after them.
    :param asked_ago: seconds since the last of them.
    :param converged: a run has ended, however, since the node booted.
    :param converging: a run is under way, or asked for and not begun.
    :param draining: clients are to leave this node, which is about to stop or to restart something.
    """

    cause: Cause
    seconds: float
    asked: int = 0
    asked_ago: float = 0.0
    converged: bool = True
    converging: bool = False
    draining: bool = False


@dataclass(frozen=True)
class Answer:
    """Whether to ask for a run now, and why, or why not."""

    ask: bool
    reason: str


def pause(asked: int) -> float:
    """Return the seconds to leave between a request and the next, after so many."""
    # The exponent is bounded, as a float is.
    return min(FIRST_AFTER * 2.0 ** min(asked, 10), LONGEST_PAUSE)


def answer(now: Condition) -> Answer:
    """Say whether this node asks for a converge run."""
    if now.cause is not Cause.MENDABLE:
        return Answer(False, now.cause.value)
    if not now.converged:
        return Answer(False, "the first converge run of this boot has not ended")
    if now.converging:
        return Answer(False, "a converge run is under way")
    if now.draining:
        return Answer(False, "clients are leaving this node")
    if now.seconds < FIRST_AFTER:
        return Answer(False, f"it may mend by itself for another {FIRST_AFTER - now.seconds:.0f} s")
    if now.asked and now.asked_ago < pause(now.asked):
        return Answer(False, f"asked {now.asked} times, again in {pause(now.asked) - now.asked_ago:.0f} s")
    return Answer(True, f"for {now.seconds:.0f} s")
