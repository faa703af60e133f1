"""Crashes, stops, kills, restarts, broken networks, operators and partial answers in any order, on the model."""

from copy import deepcopy

from cluster_model import Cluster, Node
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tripleo_ha.topology import galera
from tripleo_ha.topology.galera import Decision, Situation

ROUNDS = 12
"""Polls of every node within which a cluster all of whose nodes answer must serve again."""
BITS = st.integers(0, 2**5 - 1)

STEPS = settings(
    max_examples=60,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Stuck(AssertionError):
    """All nodes answer, whole data is there, and nobody founds a component."""


class Recovering(RuleBasedStateMachine):
    """Whatever happens, a component is founded only with every acknowledged transaction, and only one."""

    size = 3
    model = Cluster

    @staticmethod
    def decide(now: Situation) -> Decision:
        return galera.decide(now)

    @initialize(seen=st.lists(BITS, min_size=5, max_size=5), formed=st.booleans())
    def start(self, seen: list[int], formed: bool) -> None:
        self.cluster = self.model(self.size, type(self).decide)
        for node in self.cluster.nodes.values():
            node.powered = True
        if formed:
            self.quiet()
        else:
            self.poll_alike(seen)

    def some(self, bits: int, nodes: list[Node]) -> list[Node]:
        """Return those of ``nodes`` whose bit is set, at least one."""
        chosen = [node for index, node in enumerate(nodes) if bits >> index & 1]
        return chosen or nodes[:1]

    def those(self, **wanted: bool) -> list[Node]:
        nodes = self.cluster.nodes.values()
        return [node for node in nodes if all(getattr(node, name) is value for name, value in wanted.items())]

    def names(self, bits: int) -> set[str]:
        return {name for index, name in enumerate(self.cluster.nodes) if bits >> index & 1}

    def write_some(self, bits: int) -> None:
        if members := self.those(primary=True, running=True, joining=False):
            self.cluster.write(members[bits % len(members)], self.names(bits))

    @rule(bits=BITS)
    def power_on(self, bits: int) -> None:
        for node in self.some(bits, self.those(powered=False)):
            node.powered = True

    @rule(bits=BITS, powered=st.booleans())
    def crash(self, bits: int, powered: bool) -> None:
        self.write_some(bits)
        if running := self.those(powered=True):
            self.cluster.crash({node.name for node in self.some(bits, running)}, powered)

    @rule(bits=BITS)
    def stop(self, bits: int) -> None:
        if running := self.those(running=True, joining=False):
            self.cluster.stop(running[bits % len(running)])
            self.write_some(bits)

    @rule(bits=BITS, graceful=st.booleans())
    def leave(self, bits: int, graceful: bool) -> None:
        """A server closes its connection to the group, as one does that cannot apply what it was sent."""
        self.write_some(bits)
        if running := self.those(running=True):
            self.cluster.leave(running[bits % len(running)], graceful)
            self.write_some(bits)

    @rule(bits=BITS, more=BITS)
    def split(self, bits: int, more: int) -> None:
        """Break the network into two or three parts."""
        names = list(self.cluster.nodes)
        self.cluster.split({name: (bits >> i & 1) + (bits & more) * (more >> i & 1) for i, name in enumerate(names)})
        self.write_some(more)

    @rule()
    def mend(self) -> None:
        self.cluster.split(dict.fromkeys(self.cluster.nodes, 0))

    @rule(bits=BITS)
    def write(self, bits: int) -> None:
        self.write_some(bits)

    @rule(order=st.permutations(range(5)), how=st.lists(st.integers(0, 2), min_size=5, max_size=5), back=BITS)
    def outage(self, order: list[int], how: list[int], back: int) -> None:
        """Lose all, one by one or at once, with writes in between, and have some of them back."""
        nodes = list(self.cluster.nodes.values())
        for turn in (turn for turn in order if turn < len(nodes)):
            self.write_some(back + turn)
            if how[turn] == 1:
                self.cluster.crash({nodes[turn].name})
            elif how[turn] == 2 and nodes[turn].running and not nodes[turn].joining:
                self.cluster.stop(nodes[turn])
        self.cluster.crash(set(self.cluster.nodes))
        for node in self.some(back, nodes):
            node.powered = True

    @rule(bits=BITS, back=st.sampled_from(("joiner", "others", "all")), whole=st.booleans(), graceful=st.booleans())
    def outage_in_a_transfer(self, bits: int, back: str, whole: bool, graceful: bool) -> None:
        """Let one come back, and lose all the others before it has received everything."""
        if len(members := self.those(primary=True, running=True, joining=False)) < 2:
            return
        joiner = members[bits % len(members)]
        self.cluster.crash({joiner.name})
        self.write_some(bits)
        joiner.powered = True
        for _ in range(2):
            self.cluster.look(joiner, set(self.cluster.nodes))
        self.cluster.act(joiner, whole)
        for node in self.those(primary=True, running=True, joining=False):
            if graceful:
                self.cluster.stop(node)
            self.cluster.crash({node.name})
        if bits & 1:
            self.cluster.crash({joiner.name})
        for node in self.cluster.nodes.values():
            node.powered = node.powered or back == "all" or (node is joiner) == (back == "joiner")
        for _ in range(3):
            for node in self.those(powered=True, running=False):
                self.cluster.look(node, set(self.cluster.nodes))
                self.cluster.act(node, False)

    @rule(seen=st.lists(BITS, min_size=15, max_size=15), whole=st.booleans(), rounds=st.integers(1, 3))
    def poll(self, seen: list[int], whole: bool, rounds: int) -> None:
        """Let all poll, each seeing a part of the others, before any acts on what it saw."""
        masks = iter(seen)
        for _ in range(rounds):
            waiting = [node for node in self.those(powered=True) if not (node.running and node.primary)]
            for node in waiting:
                self.cluster.look(node, self.names(next(masks)))
            for node in waiting if whole else reversed(waiting):
                self.cluster.act(node, whole)

    @rule(seen=st.lists(BITS, min_size=5, max_size=5), first=st.integers(0, 4))
    def race(self, seen: list[int], first: int) -> None:
        """After an outage that one did not see the end of, let all decide, each from a part, before any acts."""
        self.write_some(first)
        self.cluster.crash({f"n{first % self.size}"})
        self.cluster.crash(set(self.cluster.nodes))
        for node in self.cluster.nodes.values():
            node.powered = True
        self.poll_alike(seen)

    def poll_alike(self, seen: list[int]) -> None:
        """Let each see the same part of the others again and again, then act."""
        for _ in range(3):
            for node, mask in zip(self.cluster.nodes.values(), seen, strict=False):
                if not (node.running and node.primary):
                    self.cluster.look(node, self.names(mask))
        for node in self.cluster.nodes.values():
            self.cluster.act(node, False)

    @rule(bits=BITS, pick=st.integers(0, 4), acts=st.booleans())
    def lone_poll(self, bits: int, pick: int, acts: bool) -> None:
        """Let one poll, and act now or only after others did something."""
        nodes = [node for node in self.those(powered=True) if not (node.running and node.primary)]
        if nodes:
            node = nodes[pick % len(nodes)]
            self.cluster.look(node, self.names(bits))
            if acts:
                self.cluster.act(node, False)

    @rule(bits=BITS)
    def act_late(self, bits: int) -> None:
        if deciding := [node for node in self.cluster.nodes.values() if node.decision and node.powered]:
            self.cluster.act(deciding[bits % len(deciding)], bool(bits & 1))

    @rule(bits=BITS)
    def restart(self, bits: int) -> None:
        """systemd starts a server again that ended by itself."""
        ended = [node for node in self.those(powered=True, running=False, left=False) if node.published]
        if ended:
            self.cluster.join(ended[bits % len(ended)], False)

    @rule(bits=BITS)
    def end_waiting(self, bits: int) -> None:
        if waiting := [node for node in self.cluster.nodes.values() if node.waiting]:
            self.cluster.wait(waiting[bits % len(waiting)])

    @rule(bits=BITS)
    def finish_join(self, bits: int) -> None:
        for node in self.some(bits, self.those(joining=True)) if self.those(joining=True) else ():
            self.cluster.finish_join(node)

    @precondition(lambda self: len(self.those(powered=False)) == 1)
    @rule()
    def wipe(self) -> None:
        self.cluster.wipe(self.those(powered=False)[0])

    @rule(bits=BITS, again=st.booleans())
    def give_up(self, bits: int, again: bool) -> None:
        """After an outage an operator names those that stay away as lost; then there may be another outage."""
        for _ in range(2):
            self.write_some(~bits & 31)
        self.cluster.crash(set(self.cluster.nodes))
        for node in self.some(bits, list(self.cluster.nodes.values())):
            node.powered = True
        off, on = self.those(powered=False), self.those(powered=True)
        if any(node.uuid != galera.NULL_UUID and not node.aborted for node in on):
            self.cluster.split(dict.fromkeys(self.cluster.nodes, 0))
            self.cluster.lost = {node.name for node in off}
            self.quiet()
            self.cluster.lost = set()
        if again:
            self.cluster.crash(set(self.cluster.nodes))
        for node in self.cluster.nodes.values():
            node.powered = True

    @rule()
    def quiet(self) -> None:
        """What a quiet minute does: those that are on and connected poll, act and finish until nothing changes."""
        self.converge()
        self.write_some(self.cluster.counter)

    def converge(self) -> None:
        for _ in range(ROUNDS):
            outside = [node for node in self.those(powered=True) if not (node.running and node.primary)]
            for node in outside:
                self.cluster.look(node, set(self.cluster.nodes))
                self.cluster.act(node, False)
            for node in self.those(joining=True):
                self.cluster.finish_join(node)
            for node in outside:
                if node.waiting:
                    self.cluster.wait(node)
            if not outside:
                break

    def teardown(self) -> None:
        """From wherever this ended: with all nodes back and connected, the cluster serves without an operator."""
        if not hasattr(self, "cluster"):
            return
        self.cluster = deepcopy(self.cluster)
        for node in self.cluster.nodes.values():
            node.powered, node.decision = True, None
        self.cluster.split(dict.fromkeys(self.cluster.nodes, 0))
        whole = [node for node in self.cluster.nodes.values() if node.uuid != galera.NULL_UUID and not node.aborted]
        blank = all(node.facts.phase is galera.Phase.BLANK for node in self.cluster.nodes.values())
        self.converge()
        if (whole or blank) and len(self.cluster.component) < self.size:
            raise Stuck({node.name: (node.facts, node.decision) for node in self.cluster.nodes.values()})


class RecoveringFive(Recovering):
    """The same with five."""

    size = 5


def check(machine: type[Recovering], steps: settings = STEPS) -> None:
    """Run a machine.

    :raises AssertionError: it found a sequence of events that the rule does not stand.
    """
    run_state_machine_as_test(machine, settings=steps)
