"""What comes next for this node's broker, in words for an operator, and whether to join anew would help."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tripleo_ha.topology.rabbitmq import Membership, forgotten_by, held_back, remembered_by, stands_alone


class Step(Enum):
    """What follows."""

    KEEP = "keep"
    """It runs with a majority."""
    START = "start"
    """A converge run starts it."""
    REJOIN = "rejoin"
    """A converge run has it join as a new member; it holds nothing that the others know of."""
    WAIT = "wait"
    """Something else must happen first; then it goes on by itself."""
    RECOVER = "recover"
    """A person must agree that what only this node holds is lost."""


@dataclass(frozen=True)
class Outlook:
    """What follows, and why."""

    step: Step
    reason: str


def outlook(
    me: str,
    order: Sequence[str],
    mine: Membership | None,
    told: Mapping[str, Membership],
    joined: Mapping[str, bool],
    *,
    begun: bool = False,
) -> Outlook:
    """Say what follows for this node's broker.

    :param mine: what it says of its cluster, or None when it does not answer.
    :param told: what each reachable peer's broker says of its own.
    :param joined: of this node and each peer that says so, whether its disk's broker was ever a member.
    :param begun: whether a first start was begun on this node's disk.
    """
    if mine is None or me not in mine.running:
        return _down(me, order, told, joined, begun=begun)
    if peer := stands_alone(order, mine, told):
        return Outlook(Step.RECOVER, f"it is in a cluster of {_words(mine.members)}, apart from that of {peer}")
    if not mine.has_majority:
        return Outlook(Step.WAIT, f"without a majority it serves nobody; down: {_words(mine.members - mine.running)}")
    if missing := set(order) - mine.members:
        return Outlook(Step.KEEP, f"it runs with a majority; still to join: {_words(missing)}")
    return Outlook(Step.KEEP, "it runs with a majority")


def _down(
    me: str, order: Sequence[str], told: Mapping[str, Membership], joined: Mapping[str, bool], *, begun: bool
) -> Outlook:
    if joined.get(me):
        if peer := forgotten_by(me, order, told):
            return Outlook(Step.REJOIN, f"{peer} knows it no longer, so that its data is dropped and it joins as new")
        if peer := joinable(me, told):
            return Outlook(Step.START, f"it joins {peer}, which runs with a majority")
        return Outlook(Step.WAIT, f"it serves once a majority of the members runs; of the others run: {_words(told)}")
    if reason := held_back(me, order, told, joined, begun=begun):
        return Outlook(Step.WAIT, f"it has not joined with what its disk holds, and {reason}")
    if peer := remembered_by(me, told):
        return Outlook(Step.REJOIN, f"its disk is empty, so that {peer} forgets its former self and it joins as new")
    return Outlook(Step.START, "it was never a member, and joins the others or begins the cluster with them")


def joinable(me: str, told: Mapping[str, Membership]) -> str | None:
    """Return a peer whose cluster has a majority without this node, so that it can join there as new, or None."""
    without_me = {name: Membership(seen.members, seen.running - {me}) for name, seen in sorted(told.items())}
    return next((name for name, seen in without_me.items() if seen.has_majority), None)


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
