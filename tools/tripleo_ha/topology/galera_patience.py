"""How long a Galera server may go on as it does before it is ended, so that the next decision starts it anew."""

from dataclasses import dataclass

from tripleo_ha.topology.galera import Phase

MUTE_FOR = 30.0
"""Seconds without an answer of a server that systemd counts as started: nothing in its service takes so long."""
OUTSIDE_FOR = 40.0
"""Seconds of a server without any Primary component; Galera itself gives up a start after 30 (pc.wait_prim_timeout)."""
STALLED_FOR = 60.0
"""Seconds in which a server that is sent what it lacks applies nothing of it; seen for good in MariaDB 11.8.6, whose
applier waited for a certification that never came."""
IDLE_FOR = 60.0
"""Seconds in which a server that founds a component, and so waits for nobody, uses no processor time worth counting."""


@dataclass(frozen=True)
class Stay:
    """What a server that runs does, which has not changed for a while.

    ``started``: systemd counts it as such, so that it had answered. ``mute``: now it answers nothing. ``receiving``: a
    copy of another's data is under way, which takes as long as it takes. ``joining``: it takes what it lacks from
    another, and has done so up to ``applied``, a seqno. ``founding``: this start is one as a Primary component, which
    waits for nobody and only recovers its data, for which it has used ``worked`` seconds of processor time; systemd's
    start after one that failed is not. ``failed``: a start came to an end by itself since the decision for it.
    ``beside_primary``: another node is in a Primary component. ``alone``: no other node's server answers.
    """

    phase: Phase
    started: bool = False
    mute: bool = False
    receiving: bool = False
    joining: bool = False
    applied: int = -1
    founding: bool = False
    worked: int = 0
    failed: bool = False
    beside_primary: bool = False
    alone: bool = False


def overdue(stay: Stay, seconds: float) -> str:
    """Return why a server that has done this for so many seconds is to be ended, or an empty string."""
    if stay.receiving:
        return ""
    if stay.phase is Phase.STARTING and stay.started and stay.mute and seconds > MUTE_FOR:
        return f"its server has answered nothing for {seconds:.0f} s"
    if stay.phase is Phase.STARTING and not stay.started and stay.alone and not stay.founding:
        # What it works before it looks for others is not waiting, so that its time alone may never come to an end.
        if stay.failed:
            return "its server ended without having found a Primary component"
        if seconds > OUTSIDE_FOR:
            return f"its server found no Primary component in {seconds:.0f} s"
    if stay.phase is Phase.STARTING and not stay.started and stay.founding and seconds > IDLE_FOR:
        return f"its server has done nothing for {seconds:.0f} s of its start"
    if stay.phase is Phase.NON_PRIMARY and stay.joining and seconds > STALLED_FOR:
        return f"its server has applied nothing of what it lacks for {seconds:.0f} s"
    if stay.phase is Phase.NON_PRIMARY and not stay.joining and stay.beside_primary and seconds > OUTSIDE_FOR:
        return f"its server stayed outside the Primary component of the others for {seconds:.0f} s"
    return ""
