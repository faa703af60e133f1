"""Judge for how long something that must be once was on several nodes.

Singletons. With fencing, Pacemaker starts one elsewhere only after the node that it was on is proved off, so that any
overlap is a finding. Without fencing nothing can prove that: a node that is cut off stops its singleton when it has
noticed that it is without quorum, about when the others start theirs. What lasts longer than ``TOLERATED_S`` is a
finding then too; a frozen node cannot stop anything, and only fencing prevents its overlap.

Virtual IPs. An overlap is a finding above ``TOLERATED_S``, with and without fencing. Below, it is a node that has not
yet noticed that it is cut off: a client that still reaches it is not served wrongly, only not at all, since the engines
behind the address need a quorum of their own for every write; so it costs availability, which is measured by itself.
Above, the node should have given the address up and did not, and clients that keep its answer would stay with it.
"""

from collections.abc import Iterable

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Overlap, Verdict

NAME = "once"
VIRTUAL_IP = "vip"
"""The first word of an overlap's name, where it is an address; anything else is a singleton."""
TOLERATED_S = 5.0
"""Corosync's membership (token 1 s, consensus 1.2 s) is settled on both sides within this of each other, and what has
to stop has stopped."""
TWO_SINGLETONS, TWO_ADDRESSES, UNDECIDED = "two copies of a singleton", "address on two nodes", "cannot be judged"


def check(overlaps: Iterable[Overlap], fencing: bool, *, tolerated: float = TOLERATED_S) -> Verdict:
    """Judge the overlaps of a campaign.

    :param overlaps: named ``vip NAME`` or ``singleton NAME``.
    :param tolerated: seconds; see above.
    """
    tally = Tally(NAME)
    lengths: dict[bool, list[float]] = {False: [], True: []}
    for overlap in overlaps:
        address = overlap.what.split(" ")[0] == VIRTUAL_IP
        length = overlap.ended - overlap.began
        lengths[address].append(length)
        told = f"{overlap.what} on {' and '.join(overlap.nodes)} for {length:.2f} s from {overlap.began:.3f}"
        if length < 0:
            tally.find(UNDECIDED, f"{told}: ended before it began")
        elif (fencing and not address) or length > tolerated:
            tally.find(TWO_ADDRESSES if address else TWO_SINGLETONS, told)
    for address, name in ((False, "singleton"), (True, "address")):
        tally.count(
            **{
                f"{name}_overlaps": len(lengths[address]),
                f"{name}_overlap_longest_s": round(max(lengths[address], default=0.0), 3),
                f"{name}_overlap_total_s": round(sum(lengths[address]), 3),
            }
        )
    return tally.verdict()
