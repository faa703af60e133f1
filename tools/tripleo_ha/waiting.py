"""Bounded waiting: every wait has a limit and says what it waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

from tripleo_ha.errors import TimedOut

T = TypeVar("T")
LEAST_REST_S = 1.0


def wait_for(
    what: str,
    probe: Callable[[], T | None],
    *,
    timeout: float,
    interval: float = 0.5,
    why: Callable[[], str] = lambda: "",
) -> T:
    """Call ``probe`` until it returns something true, and return that.

    :param what: what is waited for, as it stands in the failure ("Galera on controller-1 to be Synced").
    :param timeout: seconds in all; the probe is called at least once.
    :param interval: seconds between two calls.
    :param why: asked once when time runs out, for what was seen last.
    :raises TimedOut: the time ran out.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            reason = why()
            raise TimedOut(f"waited {timeout:g} s for {what}" + (f": {reason}" if reason else ""))
        time.sleep(interval)


def rest_after(took: float) -> float:
    """Return the seconds to leave before another try of what took so long, that it takes half of the time at most.

    What costs seconds of processor time, and is tried while others need that, must not be what it waits for.
    """
    return max(LEAST_REST_S, took)
