"""No interleaving loses a commit or leaves the cluster stuck; and rules known to be wrong are found out."""

import pytest
from cluster_model import Cluster
from decision_tables import first_loss
from hypothesis import Phase, settings
from mutants import MUTANTS, Mutant, votes_for_me
from recovery_machine import STEPS, Recovering, RecoveringFive, check

from tripleo_ha.topology import galera

BOUND = settings(STEPS, max_examples=1500, phases=[Phase.generate])
"""Within that many sequences of events each wrong rule is found."""


@pytest.mark.parametrize("machine", [Recovering, RecoveringFive])
def test_no_interleaving_loses_an_acknowledged_commit_or_gets_stuck(machine: type[Recovering]) -> None:
    check(machine)


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.in_tables], ids=str)
def test_the_tables_find_a_wrong_rule(mutant: Mutant) -> None:
    assert first_loss(mutant.rule, 3) is not None


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.in_machine], ids=str)
def test_the_machine_finds_a_wrong_rule(mutant: Mutant) -> None:
    wrong = type("Wrong", (Recovering,), {"decide": staticmethod(mutant.rule), "model": mutant.model})
    with pytest.raises(AssertionError):
        check(wrong, BOUND)


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
        two_that_know_different_answers(Cluster(3, votes_for_me))
    two_that_know_different_answers(Cluster(3, galera.decide))
