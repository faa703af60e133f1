"""Crashes, stops, restarts and partial answers in any order, against a model of Galera's commit rule."""

from dataclasses import replace

import pytest
from cluster_model import Cluster, Node
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tripleo_ha.topology import galera
from tripleo_ha.topology.galera import Decision, Recovery, Situation

STEPS = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Recovering(RuleBasedStateMachine):
    """Whatever happens, a component is founded only with every acknowledged transaction, and only one."""

    size = 3

    @staticmethod
    def decide(now: Situation) -> Decision:
        return galera.decide(now)

    @initialize(formed=st.integers(0, 4))
    def start(self, formed: int) -> None:
        self.cluster = Cluster(self.size, type(self).decide)
        if formed:
            for node in self.cluster.nodes.values():
                node.powered = True
            self.converge()

    def pick(self, data: st.DataObject, nodes: list[Node]) -> Node:
        return data.draw(st.sampled_from(nodes))

    def subset(self, data: st.DataObject, nodes: list[Node], least: int = 0) -> set[str]:
        return data.draw(st.sets(st.sampled_from([node.name for node in nodes]), min_size=least))

    def those(self, **wanted: bool) -> list[Node]:
        nodes = self.cluster.nodes.values()
        return [node for node in nodes if all(getattr(node, name) is value for name, value in wanted.items())]

    @rule(data=st.data())
    def power_on(self, data: st.DataObject) -> None:
        for name in self.subset(data, list(self.cluster.nodes.values()), 1):
            self.cluster.nodes[name].powered = True

    @precondition(lambda self: self.those(powered=True))
    @rule(data=st.data())
    def cut_power(self, data: st.DataObject) -> None:
        self.cluster.crash(self.subset(data, self.those(powered=True), 1))

    @precondition(lambda self: self.those(running=True, joining=False))
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        self.cluster.stop(self.pick(data, self.those(running=True, joining=False)))

    @precondition(lambda self: self.those(primary=True, joining=False))
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        writer = self.pick(data, self.those(primary=True, joining=False))
        self.cluster.write(writer, self.subset(data, self.cluster.component))

    @precondition(lambda self: self.those(powered=True, primary=False))
    @rule(data=st.data(), all_answer=st.booleans())
    def look(self, data: st.DataObject, all_answer: bool) -> None:
        node = self.pick(data, self.those(powered=True, primary=False))
        everybody = list(self.cluster.nodes.values())
        self.cluster.look(node, set(self.cluster.nodes) if all_answer else self.subset(data, everybody))

    @precondition(lambda self: any(node.decision for node in self.cluster.nodes.values()))
    @rule(data=st.data(), whole=st.booleans())
    def act(self, data: st.DataObject, whole: bool) -> None:
        self.cluster.act(self.pick(data, [node for node in self.cluster.nodes.values() if node.decision]), whole)

    @rule(data=st.data())
    def outage(self, data: st.DataObject) -> None:
        """Lose all, in some order and with writes in between, and have some of them back at once."""
        for name in data.draw(st.permutations(list(self.cluster.nodes))):
            if members := self.those(primary=True, joining=False):
                self.cluster.write(members[0], self.subset(data, members))
            node = self.cluster.nodes[name]
            if node.running and not node.joining and data.draw(st.booleans()):
                self.cluster.stop(node)
            elif data.draw(st.booleans()):
                self.cluster.crash({name})
        self.cluster.crash(set(self.cluster.nodes))
        for name in self.subset(data, list(self.cluster.nodes.values()), 1):
            self.cluster.nodes[name].powered = True

    @rule(data=st.data())
    def poll(self, data: st.DataObject) -> None:
        """Let all poll, each seeing a part of the others, before any acts on what it saw."""
        for _ in range(3):
            waiting = self.those(powered=True, primary=False)
            for node in waiting:
                self.cluster.look(node, self.subset(data, list(self.cluster.nodes.values())))
            for node in data.draw(st.permutations(waiting)):
                self.cluster.act(node, data.draw(st.booleans()))

    @rule()
    def converge(self) -> None:
        """Let all that are powered poll and act until nothing changes: what a quiet minute does."""
        for _ in range(6):
            for node in self.those(powered=True):
                if not node.primary:
                    self.cluster.look(node, set(self.cluster.nodes))
                    self.cluster.act(node, False)
            for node in self.those(joining=True):
                self.cluster.finish_join(node)

    @precondition(lambda self: self.those(joining=True))
    @rule(data=st.data())
    def finish_join(self, data: st.DataObject) -> None:
        self.cluster.finish_join(self.pick(data, self.those(joining=True)))

    @precondition(lambda self: len(self.those(powered=False)) == 1)
    @rule()
    def wipe(self) -> None:
        self.cluster.wipe(self.those(powered=False)[0])


def check(machine: type[Recovering], steps: settings = STEPS) -> None:
    run_state_machine_as_test(machine, settings=steps)


class RecoveringFive(Recovering):
    size = 5


@pytest.mark.parametrize("machine", [Recovering, RecoveringFive])
def test_no_interleaving_loses_an_acknowledged_commit(machine: type[Recovering]) -> None:
    check(machine)


def majority_suffices(now: Situation) -> Decision:
    """The wrong rule of many scripts: the most advanced of a majority bootstraps."""
    return galera.decide(replace(now, recovery=Recovery.AVAILABILITY))


def votes_ignored(now: Situation) -> Decision:
    """A rule that lets each node trust the answers it happens to have."""
    return galera.decide(replace(now, facts={name: replace(fact, vote=now.me) for name, fact in now.facts.items()}))


LONGER = settings(STEPS, max_examples=1000, phases=[Phase.generate])


def test_the_machine_finds_what_a_wrong_rule_loses() -> None:
    machine = type("Wrong", (Recovering,), {"decide": staticmethod(majority_suffices)})
    with pytest.raises(AssertionError, match="founds a"):
        check(machine, LONGER)


def two_that_know_different_answers(cluster: Cluster) -> None:
    """n0 hears all, n1 only n2, and both may prove that they can go on; each decides before either acts."""
    n0, n1, n2 = cluster.nodes.values()
    for node in (n0, n1, n2):
        node.powered = True
    for _ in range(4):
        for node in (n0, n1, n2):
            cluster.look(node, set(cluster.nodes))
            cluster.act(node, False)
            if node.joining:
                cluster.finish_join(node)
    assert len(cluster.component) == 3
    cluster.crash({"n0"})
    cluster.crash({"n1", "n2"})
    for node in (n0, n1, n2):
        node.powered = True
    for _ in range(3):
        cluster.look(n2, {"n1"})
        cluster.look(n1, {"n2"})
        cluster.look(n0, {"n1", "n2"})
    for node in (n0, n1, n2):
        cluster.act(node, False)


def test_without_votes_two_nodes_found_two_components() -> None:
    with pytest.raises(AssertionError, match="second Primary component"):
        two_that_know_different_answers(Cluster(3, votes_ignored))
    two_that_know_different_answers(Cluster(3, galera.decide))
