"""A small model of Galera's commit rule, of what a crash leaves on a disk, and of converge runs that see a part of it.

What the model takes from the engine (and what was seen of it on three real nodes): a transaction is acknowledged once
its writer has it on disk and every member of the view has received it; a member that crashes loses what it had only
received. Survivors go on as a Primary component when they are more than half of the last one, or when the others left
gracefully. The view is stored when it is formed, before anything commits in it, also by a joiner whose transfer has
not begun; a graceful stop of a Primary member removes it, and the last to leave is safe to bootstrap.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tripleo_ha.topology.galera import NULL_UUID, Action, Decision, Facts, Phase, Recovery, Situation, View

Decide = Callable[[Situation], Decision]


@dataclass
class Node:
    """One controller. ``disk`` holds transactions in their order; ``received`` are those only in memory."""

    name: str
    powered: bool = False
    running: bool = False
    primary: bool = False
    joining: bool = False
    uuid: str = NULL_UUID
    disk: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    position: int = -1
    safe: bool = False
    elected: bool = False
    aborted: bool = False
    member: str = ""
    view: View | None = None
    published: Facts | None = None
    vote: str = ""
    decision: Decision | None = None

    @property
    def facts(self) -> Facts:
        """What this node would say of itself now."""
        if self.running:
            phase = Phase.STARTING if self.joining else Phase.PRIMARY if self.primary else Phase.NON_PRIMARY
            return Facts(phase, self.uuid, len(self.disk) + len(self.received), member=self.member, vote=self.vote)
        if self.uuid == NULL_UUID and not self.aborted:
            return Facts(Phase.BLANK, member=self.member, view=self.view, vote=self.vote)
        safe = self.safe and self.position >= 0 and not self.elected
        return Facts(
            Phase.DOWN, self.uuid, len(self.disk), safe, self.aborted, self.member, self.view, self.vote
        )


class Cluster:
    """Nodes, what clients were told is committed, and the assertion that no component is founded without it."""

    def __init__(self, size: int, decide: Decide, recovery: Recovery = Recovery.SAFETY) -> None:
        self.nodes = {f"n{index}": Node(f"n{index}") for index in range(size)}
        self.decide = decide
        self.recovery = recovery
        self.acknowledged: set[int] = set()
        self.forgiven: set[int] = set()
        self.lost: set[str] = set()
        self.counter = 0

    @property
    def component(self) -> list[Node]:
        """The members of the Primary component."""
        return [node for node in self.nodes.values() if node.running and node.primary]

    def next(self) -> int:
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

    def crash(self, names: set[str]) -> None:
        """Cut the power of some nodes at once."""
        before = self.component
        for node in (self.nodes[name] for name in names):
            node.powered = node.running = node.primary = False
            node.aborted = node.aborted or node.joining
            node.joining = False
            node.received, node.published, node.vote, node.decision = [], None, "", None
            node.position = -1 if node.position == -1 or node.name in {n.name for n in before} else node.position
        survivors = [node for node in before if node.name not in names]
        if survivors and len(survivors) < len(before):
            self.reform(survivors, 2 * len(survivors) > len(before))

    def reform(self, members: list[Node], primary: bool) -> None:
        """Give the survivors a new view when they are a Primary component, else leave them without one."""
        for node in members:
            self.flush(node)
            node.primary = primary
        if primary:
            self.new_view(members)

    def new_view(self, members: list[Node]) -> None:
        view = View(str(self.next()), frozenset(node.member for node in members))
        for node in members:
            node.view = view
            node.safe = False

    def stop(self, node: Node) -> None:
        """Stop a server gracefully: the rest goes on whatever their number."""
        was_primary, rest = node.primary, [other for other in self.component if other is not node]
        self.flush(node)
        node.running = node.primary = False
        node.published = node.decision = None
        if not was_primary:
            node.position, node.safe = -1, False
            return
        node.position, node.safe, node.view, node.member = len(node.disk), not rest, None, ""
        if rest:
            self.reform(rest, True)

    def found(self, node: Node) -> None:
        """Found a Primary component from one node's data."""
        assert not self.component, f"{node.name} founds a second Primary component beside {self.component}"
        missing = self.acknowledged - self.forgiven - set(node.disk)
        assert not missing, f"{node.name} founds a component without acknowledged {sorted(missing)}"
        if node.uuid == NULL_UUID:
            node.uuid = f"uuid-{self.next()}"
        node.running = node.primary = True
        node.aborted = node.joining = node.elected = False
        node.position = -1
        node.member = f"member-{self.next()}"
        self.acknowledged -= self.forgiven
        self.new_view([node])
        self.lost = set()

    def join(self, node: Node, whole: bool) -> None:
        """Start plainly: enter the component and receive a state, all of it when ``whole``; else try the last view."""
        if component := [member for member in self.component if not member.joining]:
            donor = component[0]
            self.flush(donor)
            node.running = node.primary = node.joining = True
            node.position, node.elected = -1, False
            node.member = f"member-{self.next()}"
            if whole or donor.disk[: len(node.disk)] != node.disk or node.uuid != donor.uuid:
                node.disk, node.aborted = [], True
            node.uuid = donor.uuid
            node.received = []
            self.new_view(self.component)
            return
        together = [other for other in self.nodes.values() if other.running and not other.primary] + [node]
        if node.view and node.view.members <= {member.member for member in together if member.view == node.view}:
            node.running = True
            members = [member for member in together if member.view == node.view]
            assert not self.acknowledged - self.forgiven - {t for member in members for t in member.disk}
            longest = max((member.disk for member in members), key=len)
            for member in members:
                member.primary, member.disk = True, list(longest)
            self.new_view(members)

    def finish_join(self, node: Node) -> None:
        """Complete a state transfer."""
        donors = [member for member in self.component if not member.joining]
        if donors:
            self.flush(donors[0])
            node.disk, node.received, node.joining, node.aborted = list(donors[0].disk), [], False, False

    def look(self, node: Node, visible: set[str]) -> None:
        """A poll of a converge run: publish, read those peers that answer, decide, and publish a new vote first."""
        node.published = node.facts
        facts = {node.name: node.facts}
        for other in self.nodes.values():
            if other.name in visible and other is not node and other.powered:
                told = other.facts if other.running else other.published
                if told:
                    facts[other.name] = told
        now = Situation(list(self.nodes), node.name, facts, frozenset(self.lost), self.recovery)
        decision = self.decide(now)
        node.decision = None
        if decision.vote != node.vote:
            node.vote = decision.vote
            node.published = node.facts
            return
        node.decision = decision

    def act(self, node: Node, whole: bool) -> None:
        """Carry out what was decided, maybe some time ago."""
        decision, node.decision = node.decision, None
        if decision is None:
            return
        if decision.vote not in ("", node.name) and node.facts.safe_to_bootstrap:
            node.safe = False
        if decision.action in (Action.CREATE, Action.BOOTSTRAP, Action.PROMOTE):
            node.elected, node.safe = True, True
            self.found(node)
        elif decision.action is Action.JOIN and not node.running:
            self.join(node, whole)
        node.published = replace(node.facts)

    def wipe(self, node: Node) -> None:
        """Replace the disk of a node that is off; what only it held is lost without anybody's decision."""
        self.forgive(node)
        self.nodes[node.name] = Node(node.name)

    def forgive(self, node: Node) -> None:
        kept = {t for other in self.nodes.values() if other is not node for t in (*other.disk, *other.received)}
        self.forgiven |= set(node.disk) - kept
