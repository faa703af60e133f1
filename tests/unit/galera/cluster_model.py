"""A small model of Galera's commit rule, of what a crash leaves on a disk, and of converge runs that see a part of it.

What the model takes from the engine (its source, and what was seen of it on three real nodes): a transaction is
acknowledged once its writer has it on disk and every member of the view has received it; a member that crashes loses
what it had only received. Survivors go on as a Primary component when they are more than half of the last one, or when
the others left gracefully; else they run on without one, until all members of the latest Primary view among them are
connected again. A member may also close its connection to the group while its server runs on: with a word, like one
that stops, or without one, like one that crashes. The view is stored when it is formed, before anything commits in
it, also by a joiner whose transfer has not begun; a graceful stop of a Primary member removes it, and the last to
leave is safe to bootstrap. Who joins with the component's state UUID is sent the transactions that follow its own
number; any other gets a whole copy.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tripleo_ha.topology.galera import NULL_UUID, Action, Decision, Facts, Phase, Recovery, Situation, View

PATIENCE = 2
"""Rounds of polls after which a started server that finds no component ends."""

Decide = Callable[[Situation], Decision]


@dataclass
class Node:
    """One controller. ``disk`` holds transactions in their order; ``received`` are those only in memory.

    ``left``: its server runs on, but not in the group, and never will (``running`` is about the group).
    ``waiting``: its server was started, found no component, and ends after that many rounds. ``side`` tells the parts
    of a broken network apart; ``age`` orders views, as the engine's own view ids do.
    """

    name: str
    powered: bool = False
    running: bool = False
    primary: bool = False
    joining: bool = False
    left: bool = False
    waiting: int = 0
    side: int = 0
    uuid: str = NULL_UUID
    history: tuple[str, ...] = ()
    disk: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    position: int = -1
    safe: bool = False
    elected: bool = False
    aborted: bool = False
    behind: bool = False
    member: str = ""
    view: View | None = None
    age: int = 0
    published: Facts | None = None
    vote: str = ""
    decision: Decision | None = None

    @property
    def facts(self) -> Facts:
        """What this node would say of itself now."""
        common = {
            "member": self.member,
            "view": self.view,
            "vote": self.vote,
            "history": self.history,
            "behind": self.behind,
        }
        if self.running:
            starting = self.joining or (self.waiting and not self.primary)
            phase = Phase.STARTING if starting else Phase.PRIMARY if self.primary else Phase.NON_PRIMARY
            return Facts(phase, self.uuid, len(self.disk) + len(self.received), **common)
        if self.left:
            # What it answers says nothing about its disk.
            return Facts(Phase.LEFT, self.uuid, 10**6, **common)
        if self.uuid == NULL_UUID and not self.aborted:
            return Facts(Phase.BLANK, **common)
        safe = self.safe and self.position >= 0 and not self.elected
        # What is half copied may have any number.
        seqno = 10**6 if self.aborted else len(self.disk)
        return Facts(Phase.DOWN, self.uuid, seqno, safe, self.aborted, **common)

    @property
    def told(self) -> Facts | None:
        """What its peers are told: a running server speaks for itself, but its last view only a converge run knows."""
        if self.left:
            return replace(self.facts, view=None)
        if not self.running:
            started = self.published and self.published.phase in (Phase.PRIMARY, Phase.NON_PRIMARY)
            return replace(self.published, phase=Phase.STARTING) if started else self.published
        known = self.published and self.published.phase is Phase.NON_PRIMARY and self.published.member == self.member
        return self.facts if known or self.waiting else replace(self.facts, view=None, vote="")


class Cluster:
    """Nodes, what clients were told is committed, and the assertion that no component is founded without it.

    The switches make the code around the decision wrong, for tests of the tests.
    """

    clears_flags = True
    renames_state = True

    def __init__(self, size: int, decide: Decide, recovery: Recovery = Recovery.SAFETY) -> None:
        self.nodes = {f"n{index}": Node(f"n{index}") for index in range(size)}
        self.decide = decide
        self.recovery = recovery
        self.acknowledged: set[int] = set()
        self.lost: set[str] = set()
        self.counter = 0

    @property
    def component(self) -> list[Node]:
        """The members of the Primary component."""
        return [node for node in self.nodes.values() if node.running and node.primary]

    def next(self) -> int:
        """Return a number that was not used before."""
        self.counter += 1
        return self.counter

    def write(self, writer: Node, flushed: set[str]) -> None:
        """Commit one transaction through ``writer``; the members in ``flushed`` also have it on disk at once."""
        transaction = self.next()
        for node in self.component:
            node.received.append(transaction)
            if node.name == writer.name or node.name in flushed:
                self.flush(node)
        self.acknowledged.add(transaction)

    @staticmethod
    def flush(node: Node) -> None:
        """Write what was received to the disk; an unfinished joiner keeps it in its queue."""
        if not node.joining:
            node.disk += node.received
            node.received = []

    def crash(self, names: set[str], powered: bool = False) -> None:
        """Cut the power of some nodes at once, or with ``powered`` only kill their servers."""
        for node in (self.nodes[name] for name in names):
            if node.running:
                node.position = -1
            node.running = False
            if not powered:
                node.powered, node.published, node.vote, node.decision = False, None, "", None
            node.aborted = node.aborted or node.joining
            node.joining, node.left, node.waiting, node.received = False, False, 0, []
        self.settle(gone={name for name in names if self.nodes[name].primary})

    def split(self, sides: dict[str, int]) -> None:
        """Break the network into parts, or mend it with all on one side."""
        for name, side in sides.items():
            self.nodes[name].side = side
        self.settle(gone=set())

    def settle(self, gone: set[str]) -> None:
        """Do what the engine does by itself once ``gone`` left the component without a word, or the network changed."""
        size = len(self.component) + len(gone)
        for name in gone:
            self.nodes[name].primary = False
        members = self.component
        for side in {node.side for node in members}:
            part = [node for node in members if node.side == side]
            if 2 * len(part) <= size:
                self.lose(part)
            elif len(part) < size:
                self.form(part)
            if all(node.joining for node in part):
                self.lose(part)
        self.merge()

    def lose(self, part: list[Node]) -> None:
        """Leave members without a Primary component; a joiner's transfer ends with it, and so does its server."""
        for node in part:
            self.flush(node)
            node.primary = False
            if node.joining:
                node.running, node.joining, node.position, node.received = False, False, -1, []

    def merge(self) -> None:
        """Connect what runs outside: to the component, or to a new one where all of the latest last view are there."""
        for side in {node.side for node in self.nodes.values()}:
            here = [node for node in self.nodes.values() if node.running and node.side == side]
            outside = [node for node in here if not node.primary]
            inside = [node for node in here if node.primary]
            if not outside:
                continue
            if not inside:
                latest = max(outside, key=lambda node: node.age).view
                inside = [node for node in outside if node.view == latest and latest]
                if not latest or not latest.members <= {node.member for node in inside}:
                    continue
                whole = [node for node in inside if not node.aborted and node.uuid != NULL_UUID]
                self.assert_may_found(whole)
                longest = max((node.disk for node in whole), key=len)
                for node in whole:
                    node.primary, node.waiting, node.disk = True, 0, list(longest)
                    node.behind = False
            donor = next((node for node in inside if not node.joining), None)
            if donor:
                for node in outside:
                    if not node.primary:
                        self.receive(node, donor)
                self.form(self.component)

    def form(self, members: list[Node]) -> None:
        """Give the members of a Primary component a view, which each stores before anything commits in it."""
        number = self.next()
        view = View(str(number), frozenset(node.member for node in members))
        for node in members:
            self.flush(node)
            node.view, node.age, node.safe = view, number, False

    def stop(self, node: Node) -> None:
        """Stop a server gracefully: the rest goes on whatever their number."""
        was_primary, rest = node.primary, [other for other in self.component if other is not node]
        self.flush(node)
        node.running = node.primary = False
        if not was_primary:
            node.position, node.safe = -1, False
            return
        node.position, node.safe, node.view, node.age, node.member = len(node.disk), not rest, None, 0, ""
        if rest:
            self.form(rest)
            if all(other.joining for other in rest):
                # Nobody is left to send them what they lack, but they were the last Primary view.
                self.lose(rest)

    def leave(self, node: Node, graceful: bool) -> None:
        """Close the connection to the group in the middle of whatever it did, and run on."""
        if graceful:
            self.stop(node)
            node.joining, node.waiting, node.received = False, 0, []
        else:
            self.crash({node.name}, powered=True)
        node.left = True

    def assert_may_found(self, members: list[Node]) -> None:
        """Fail where a Primary component appears beside another, or without an acknowledged transaction."""
        names = [node.name for node in members]
        assert not self.component, f"{names} founds a second Primary component beside {self.component}"
        missing = self.acknowledged - {transaction for node in members for transaction in node.disk}
        assert not missing, f"{names} founds a component without acknowledged {sorted(missing)}"

    def found(self, node: Node, gives_up: bool) -> None:
        """Found a Primary component from one node's data; with ``gives_up`` under a new name of its state."""
        if gives_up:
            # What a node holds that was named as lost is given up, if no other has it.
            kept = {t for other in self.nodes.values() if other.name not in self.lost for t in other.disk}
            self.acknowledged &= kept
        self.flush(node)
        self.assert_may_found([node])
        if node.uuid == NULL_UUID or (gives_up and self.renames_state):
            node.history += (node.uuid,) if node.uuid != NULL_UUID else ()
            node.uuid = f"uuid-{self.next()}"
        node.running = node.primary = True
        node.aborted = node.joining = node.elected = node.behind = False
        node.position, self.lost = -1, set()
        node.member = node.member or f"member-{self.next()}"
        self.form([node])
        self.merge()

    def join(self, node: Node, whole: bool) -> None:
        """Start plainly: enter the component and receive a state, all of it when ``whole``; else try the last view."""
        node.running, node.elected, node.position = True, False, -1
        if node.behind:
            # What was started and never caught up must not take part in forming its last view again.
            node.view, node.age = None, 0
        if not node.view:
            node.member = f"member-{self.next()}"
        component = [member for member in self.component if not member.joining and member.side == node.side]
        if component:
            self.receive(node, component[0], whole)
            self.form(self.component)
            return
        self.merge()
        node.waiting = 0 if node.primary else PATIENCE

    def wait(self, node: Node) -> None:
        """Let a started server wait for a component a little longer, or end."""
        node.waiting -= 1
        if not node.waiting:
            node.running = False

    def receive(self, node: Node, donor: Node, whole: bool = False) -> None:
        """Begin a state transfer: a whole copy, or what follows the joiner's own number."""
        self.flush(donor)
        node.primary = node.joining = node.behind = True
        node.waiting = 0
        if whole or node.uuid != donor.uuid or node.aborted:
            node.disk, node.aborted = [], True
        else:
            assert donor.disk[: len(node.disk)] == node.disk, f"{node.name} joins with rows that no other has"
        node.uuid, node.history, node.received = donor.uuid, donor.history, []

    def finish_join(self, node: Node) -> None:
        """Complete a state transfer."""
        donor = next(member for member in self.component if not member.joining)
        self.flush(donor)
        node.disk, node.received = list(donor.disk), []
        node.joining = node.aborted = node.behind = False

    def look(self, node: Node, visible: set[str]) -> None:
        """A poll of a converge run: publish, read those peers that answer, decide, and publish a new vote first."""
        seen = [other for other in self.nodes.values() if other.name in visible and other.side == node.side]
        gone_on = [other for other in self.nodes.values() if node.uuid in other.history]
        if gone_on and not any(other in seen and other.powered for other in gone_on):
            # What was named as lost is switched on beside those that went on without it, as the operator was told.
            return
        node.published = node.facts
        facts = {node.name: node.facts}
        for other in self.nodes.values():
            if other.name in visible and other is not node and other.powered and other.side == node.side and other.told:
                facts[other.name] = other.told
        now = Situation(list(self.nodes), node.name, facts, frozenset(self.lost), self.recovery)
        decision = self.decide(now)
        node.decision = None
        if decision.vote != node.vote:
            node.vote = decision.vote
            node.published = node.facts
            return
        node.vote, node.decision = decision.vote, decision

    def act(self, node: Node, whole: bool) -> None:
        """Carry out what was decided, maybe some time ago."""
        decision, node.decision = node.decision, None
        if decision is None or node.primary:
            return
        if decision.vote not in ("", node.name) and node.facts.safe_to_bootstrap and self.clears_flags:
            node.safe = False
        if node.waiting:
            return
        if decision.action is Action.END:
            # It says what its disk holds when it looks again.
            node.left = False
            return
        if decision.action is Action.PROMOTE and node.running:
            self.found(node, gives_up=False)
        elif decision.action in (Action.CREATE, Action.BOOTSTRAP):
            node.elected, node.safe, node.member = True, True, ""
            self.found(node, decision.gives_up)
        elif decision.action is Action.JOIN and not node.running:
            self.join(node, whole)
        node.published = replace(node.facts)

    def wipe(self, node: Node) -> None:
        """Replace the disk of a node that is off; what only it held is lost without anybody's decision."""
        kept = {t for other in self.nodes.values() if other is not node for t in (*other.disk, *other.received)}
        self.acknowledged -= set(node.disk) - kept
        self.nodes[node.name] = Node(node.name, side=node.side)
