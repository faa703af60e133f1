"""Who starts Galera, and how: the decision after a first boot, an outage of one node, or an outage of all.

Facts come from every node that answers; the decision is a pure function of them and of the ordered node list. The
rules are those of ENGINES: a state's UUID is compared before its seqno, a null UUID or a state transfer that was cut
short is never eligible, ``safe_to_bootstrap`` is believed only beside a valid position.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

NULL_UUID = "00000000-0000-0000-0000-000000000000"
NOWHERE = (NULL_UUID, -1)
"""The position of data that is worth nothing: a server started there takes a whole copy before it looks at its own."""


class Phase(Enum):
    """What a node's server is doing; of a node that does not answer at all nothing is known."""

    BLANK = "blank"
    """Does not run, and its disk never held data of a cluster."""
    DOWN = "down"
    """Does not run, and holds data, whole or not."""
    STARTING = "starting"
    """Was started by a decision of its own and does not answer queries yet."""
    LEFT = "left the group"
    """Answers queries, but closed its connection to the group, which the engine never opens again.

    What it holds is known once it has ended and its position is recovered from its disk.
    """
    NON_PRIMARY = "non-primary"
    """Runs, but outside any Primary component."""
    PRIMARY = "primary"
    """Runs as a member of a Primary component."""


@dataclass(frozen=True)
class View:
    """The last Primary view that a node stored (gvwstate.dat): its id, and its members by their group ids."""

    id: str
    members: frozenset[str]


@dataclass(frozen=True)
class Facts:
    """What one node says about its own state.

    ``uuid`` and ``seqno`` are its position, after the recovery of its redo log where it had crashed. ``aborted``: a
    state transfer to it was cut short. ``behind``: it has entered its last view and is not known to have caught up
    with the others in it, so that the view says nothing about what it holds. ``member`` is its own group id in
    ``view``. ``vote`` names the node that it would have bootstrap, as it last decided. ``history`` holds the state
    UUIDs that its state left behind: each time a cluster goes on without what a silent node might have held, its
    state gets a new one. ``generation`` identifies the configuration that told the node who its cluster is.
    """

    phase: Phase
    uuid: str = NULL_UUID
    seqno: int = -1
    safe_to_bootstrap: bool = False
    aborted: bool = False
    behind: bool = False
    member: str = ""
    view: View | None = None
    vote: str = ""
    history: tuple[str, ...] = ()
    generation: str = ""

    @property
    def position(self) -> tuple[str, int] | None:
        """State UUID and seqno of what a server that does not run has, None where only its redo log tells them.

        What was left of a first start or of a transfer that was cut short may have no redo log that could be read.
        """
        if self.phase is Phase.BLANK or self.aborted:
            return NOWHERE
        return (self.uuid, self.seqno) if self.phase is Phase.DOWN and self.seqno >= 0 else None

    @property
    def eligible(self) -> bool:
        """Whether a cluster may be bootstrapped from this node's data."""
        return (
            self.phase in (Phase.DOWN, Phase.NON_PRIMARY)
            and self.uuid not in ("", NULL_UUID)
            and self.seqno >= 0
            and not self.aborted
        )


class Action(Enum):
    """What a node does now."""

    KEEP = "keep"
    """It runs in a Primary component."""
    CREATE = "create"
    """Initialise an empty database and bootstrap it: a new cluster."""
    BOOTSTRAP = "bootstrap"
    """Start a Primary component from the data on this node."""
    PROMOTE = "promote"
    """Turn the running non-Primary server into a Primary component."""
    JOIN = "join"
    """Start, and join the others."""
    END = "end"
    """End the running server, keeping what tells of its last view; the next decision finds it down."""
    WAIT = "wait"
    """Ask again later."""
    REFUSE = "refuse"
    """No rule leads on from here without losing data: a person must say so."""


@dataclass(frozen=True)
class Decision:
    """An action, why, and the node that this one would have bootstrap (published as its vote).

    ``gives_up``: what is founded goes on without commits that a silent node may hold, so it must get a state UUID of
    its own. A node that returns with such commits is then given a whole copy; under the old UUID the engine would
    send it what it lacks by number, and leave it with rows that no other has.
    """

    action: Action
    reason: str
    vote: str = ""
    gives_up: bool = False


@dataclass(frozen=True)
class Proof:
    """Why a Primary component may be founded; ``gives_up`` when that is somebody's word and no proof."""

    reason: str
    gives_up: bool = False


class Recovery(Enum):
    """``mysql.recovery`` of the metadata: what to do while a node stays silent that might hold later commits."""

    SAFETY = "safety"
    AVAILABILITY = "availability"


@dataclass(frozen=True)
class Situation:
    """All that one node knows: the ordered names of the cluster, who it is, and the facts of those that answered.

    ``lost`` are nodes that an operator named as lost; what only they held is given up.

    Invariant of :func:`decide`: *no node bootstraps unless every node that could hold a later committed transaction
    has answered, or an operator named it as lost* (or the metadata states that a majority may go on without). That
    nobody silent is ahead is proven by one of

    - every node of the cluster has answered;
    - one view was the last Primary view of all its members and all of them have answered: a later Primary
      component would have had one of them as a member;
    - one node alone left last and gracefully (``safe_to_bootstrap``), and nobody that answered contradicts it.

    Where it is not proven, and an operator or the policy goes on all the same, the state gets a new UUID and keeps the
    old one in its history. From then on, data with the old one founds nothing while such a history answers.

    Two nodes that know different answers may choose differently, so a node bootstraps only while every node that
    answered and does not run votes for it. A vote is published before the votes of others are read: of two
    candidates, at least one reads the other's earlier vote. Nodes that were told of different clusters may take
    different answers for all of them, so nobody bootstraps before those that answered have one configuration. Nor
    does anybody beside a server that left the group: it has not told what its disk holds before it has ended.
    """

    nodes: Sequence[str]
    me: str
    facts: Mapping[str, Facts]
    lost: frozenset[str] = frozenset()
    recovery: Recovery = Recovery.SAFETY

    @property
    def mine(self) -> Facts:
        """This node's own facts."""
        return self.facts[self.me]

    @property
    def silent(self) -> tuple[str, ...]:
        """Nodes that neither answered nor are lost."""
        return tuple(name for name in self.nodes if name not in self.facts and name not in self.lost)

    @property
    def given_up(self) -> tuple[str, ...]:
        """Nodes that an operator named as lost and that have not answered."""
        return tuple(name for name in self.nodes if name in self.lost and name not in self.facts)

    def those(self, *phases: Phase) -> tuple[str, ...]:
        """Return the nodes that answered with one of these phases, in the cluster's order."""
        return tuple(name for name in self.nodes if name in self.facts and self.facts[name].phase in phases)


def decide(now: Situation) -> Decision:
    """Say what this node does now; see :class:`Situation` for the invariant."""
    if now.mine.phase is Phase.PRIMARY:
        return Decision(Action.KEEP, "runs in the Primary component")
    if now.mine.phase is Phase.LEFT:
        return Decision(Action.END, "its server left the group, and the engine never has it join again")
    if primary := now.those(Phase.PRIMARY):
        if now.mine.phase is Phase.NON_PRIMARY:
            return Decision(Action.WAIT, f"the engine joins this node to {_words(primary)} by itself")
        return Decision(Action.JOIN, f"{_words(primary)} {_are(primary)} in the Primary component")
    if reforming(now):
        return Decision(Action.JOIN, "all members of the last Primary view are back, and form it again")
    others_starting = [name for name in now.those(Phase.STARTING) if name != now.me]
    if others_starting:
        return Decision(Action.WAIT, f"{_words(others_starting)} {_are(others_starting)} starting")
    if left := now.those(Phase.LEFT):
        return Decision(Action.WAIT, f"{_words(left)} left the group, and must end before it tells what it holds")
    if not now.silent and set(now.those(Phase.BLANK)) == set(now.facts):
        first = now.those(Phase.BLANK)[0]
        return _elect(now, first, Action.CREATE, Proof("no node ever held data"))
    return _after_outage(now)


def reforming(now: Situation) -> bool:
    """Tell whether starting this node completes the last Primary view beside members that still run.

    Such members hold the view in memory; Galera (pc.recovery) forms it again when all of its members are connected.
    One that was started waits for the others as well, but not for long. A member that runs and has not told its last
    view yet is taken to hold the same.
    """
    view = now.mine.view
    if now.mine.phase is not Phase.DOWN or view is None or now.mine.behind:
        return False
    there = {fact.member: fact.phase for fact in now.facts.values() if _takes_part(fact, view)}
    waiting = [there[name] for name in view.members if there.get(name) in (Phase.NON_PRIMARY, Phase.STARTING)]
    return bool(waiting) and view.members <= set(there)


def _takes_part(fact: Facts, view: View) -> bool:
    if fact.phase is Phase.NON_PRIMARY:
        return fact.view in (None, view)
    return fact.phase in (Phase.STARTING, Phase.DOWN) and fact.view == view and not fact.behind


def _after_outage(now: Situation) -> Decision:
    whole = [name for name in now.nodes if name in now.facts and now.facts[name].eligible]
    if not whole:
        return _without_data(now, "no node that answered has whole data")
    left_behind = {uuid for fact in now.facts.values() for uuid in fact.history}
    eligible = [name for name in whole if now.facts[name].uuid not in left_behind]
    if not eligible:
        return _without_data(now, f"{_words(whole)} hold a state that the cluster went on without")
    if len({now.facts[name].uuid for name in eligible}) > 1:
        told = ", ".join(f"{name} {now.facts[name].uuid}" for name in eligible)
        return Decision(Action.REFUSE, f"the nodes hold states of different clusters: {told}")
    best = max(eligible, key=lambda name: _rank(now, name))
    proof = nobody_silent_is_ahead(now, eligible, best)
    if proof is None:
        return Decision(Action.WAIT, f"{_words(now.silent)} silent and may hold later commits than {best}")
    # A running server keeps its state's UUID, so one that gives something up is stopped and bootstraps.
    running = now.facts[best].phase is Phase.NON_PRIMARY and not proof.gives_up
    action = Action.PROMOTE if running else Action.BOOTSTRAP
    reason = f"{best} is the most advanced (seqno {now.facts[best].seqno}); {proof.reason}"
    return _elect(now, best, action, Proof(reason, proof.gives_up))


def _without_data(now: Situation, reason: str) -> Decision:
    if now.silent:
        return Decision(Action.WAIT, f"{reason}; {_words(now.silent)} silent")
    return Decision(Action.REFUSE, f"{reason}: every state transfer was cut short, or every copy is gone")


def _rank(now: Situation, name: str) -> tuple[int, bool, bool, int]:
    facts = now.facts[name]
    return (facts.seqno, facts.safe_to_bootstrap, facts.phase is Phase.NON_PRIMARY, -now.nodes.index(name))


def nobody_silent_is_ahead(now: Situation, eligible: Collection[str], best: str) -> Proof | None:
    """Return why this node may go on from ``best`` without those that are silent, or None when it may not."""
    if not now.silent and not now.given_up:
        return Proof("every node has answered")
    if whole_view(now, best):
        return Proof("all members of the last Primary view have answered")
    holders = [name for name in eligible if now.facts[name].safe_to_bootstrap]
    if holders == [best]:
        return Proof(f"{best} left last and gracefully")
    if not now.silent:
        return Proof(f"an operator named {_words(now.given_up)} as lost", gives_up=True)
    if now.recovery is Recovery.AVAILABILITY and 2 * len(eligible) > len(now.nodes):
        return Proof("mysql.recovery is availability and a majority has answered", gives_up=True)
    return None


def whole_view(now: Situation, best: str) -> bool:
    """Tell whether ``best``'s last view is the last view of all its members, and all of them have answered.

    One of them at least must have caught up while it was a member: where the last that held everything stopped in the
    middle of sending it, the last view is one of members that lack what came last.
    """
    view = now.facts[best].view
    if view is None:
        return False
    outside = (Phase.BLANK, Phase.DOWN, Phase.NON_PRIMARY)
    stored = [fact for fact in now.facts.values() if fact.view == view and fact.phase in outside]
    agreeing = {fact.member: fact for fact in stored if fact.member in view.members}
    return set(agreeing) == view.members and any(fact.eligible and not fact.behind for fact in agreeing.values())


def _elect(now: Situation, chosen: str, action: Action, proof: Proof) -> Decision:
    mine = now.mine.generation
    if other := [name for name in now.facts if mine and now.facts[name].generation not in ("", mine)]:
        return Decision(Action.WAIT, f"{_words(other)} {_are(other)} configured for another list of controllers")
    if chosen != now.me:
        return Decision(Action.WAIT, f"{chosen} is to {action.value}: {proof.reason}", chosen)
    voters = [name for name in now.those(Phase.BLANK, Phase.DOWN) if name != now.me]
    against = [name for name in voters if now.facts[name].vote != now.me]
    against += [name for name in now.those(Phase.NON_PRIMARY) if now.facts[name].vote not in ("", now.me)]
    if against:
        return Decision(Action.WAIT, f"{_words(against)} must agree that {now.me} is to {action.value}", chosen)
    return Decision(action, proof.reason, chosen, gives_up=proof.gives_up)


def _words(names: Sequence[str]) -> str:
    return ", ".join(names)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
