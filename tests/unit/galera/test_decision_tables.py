"""decide() over every table of facts: what it may never do; then single cases, told in words.

There are 22 tables of one node, 10 648 of three and, but for who is called what, 12 100 of five, each as seen by every
node in it that differs from the others; of one and three nodes with three states of the votes.
"""

from itertools import product

import pytest
from decision_tables import FOUNDING, OTHER, UUID, first_loss, may_found, situations, tables

from tripleo_ha.topology.galera import Action, Decision, Facts, Phase, Recovery, Situation, View, decide


@pytest.mark.parametrize("size", [1, 3, 5])
def test_nobody_founds_a_component_that_could_lose_a_commit(size: int) -> None:
    assert first_loss(decide, size) is None


@pytest.mark.parametrize(("size", "number"), [(1, 22), (3, 10648), (5, 12100)])
def test_the_tables_are_as_many_as_told(size: int, number: int) -> None:
    assert sum(1 for _ in tables(size)) == number


@pytest.mark.parametrize("size", [1, 3, 5])
def test_where_founding_is_safe_exactly_one_node_is_named(size: int) -> None:
    """Progress: all nodes that see the same facts name the same node, and that one founds."""
    founded = 0
    for now in situations(size):
        if not may_found(now):
            continue
        decisions = {name: decide(Situation(now.nodes, name, now.facts)) for name in now.facts}
        reforms = any(decision.action is Action.JOIN for decision in decisions.values())
        votes = {decision.vote for decision in decisions.values()}
        founded += decide(now).action in FOUNDING
        assert reforms or (len(votes) == 1 and votes != {""}), (now, decisions)
    assert founded > 0


@pytest.mark.parametrize("size", [1, 3])
def test_a_member_of_a_primary_component_is_left_alone_and_the_others_join_it(size: int) -> None:
    for now in situations(size):
        decision = decide(now)
        if now.mine.phase is Phase.PRIMARY:
            assert decision.action is Action.KEEP
        elif now.mine.phase is Phase.LEFT:
            assert decision.action is Action.END
        elif now.those(Phase.PRIMARY):
            assert decision.action is (Action.WAIT if now.mine.phase is Phase.NON_PRIMARY else Action.JOIN)


def test_every_decision_has_a_reason() -> None:
    assert all(decide(now).reason for now in situations(3))


def test_what_goes_on_without_a_proof_says_so() -> None:
    """With the operator's word or the policy, whatever is not proven gets a state UUID of its own."""
    unproven = 0
    for now, recovery in product(situations(3), Recovery):
        lost = frozenset(set(now.nodes) - set(now.facts)) if recovery is Recovery.SAFETY else frozenset()
        told = Situation(now.nodes, now.me, now.facts, lost, recovery)
        decision = decide(told)
        if decision.action in (Action.BOOTSTRAP, Action.PROMOTE):
            assert decision.gives_up == (not may_found(now)), told
            assert not decision.gives_up or decision.action is Action.BOOTSTRAP
            unproven += decision.gives_up
    assert unproven > 0


def down(seqno: int, member: str, last: View | None = None, *, vote: str = "", **more: bool) -> Facts:
    return Facts(Phase.DOWN, UUID, seqno, member=member, view=last, vote=vote, **more)


def three(me: str, facts: dict[str, Facts], **more: object) -> Decision:
    return decide(Situation(("a", "b", "c"), me, facts, **more))  # type: ignore[arg-type]


AB, ABC = View("2", frozenset({"ma", "mb"})), View("1", frozenset({"ma", "mb", "mc"}))


def test_a_first_boot_waits_for_all_and_the_first_creates() -> None:
    blank = Facts(Phase.BLANK, vote="a")
    assert three("a", {"a": blank, "b": blank}).action is Action.WAIT
    assert three("a", {"a": blank, "b": blank, "c": blank}).action is Action.CREATE
    assert three("b", {"a": blank, "b": blank, "c": blank}) == Decision(
        Action.WAIT, "a is to create: no node ever held data", "a"
    )


def test_nobody_creates_a_cluster_where_one_node_has_data() -> None:
    facts = {"a": Facts(Phase.BLANK, vote="c"), "b": Facts(Phase.BLANK, vote="c"), "c": down(3, "mc", vote="c")}
    assert three("a", facts).action is Action.WAIT
    assert three("c", facts).action is Action.BOOTSTRAP


def test_two_of_three_do_not_go_on_while_the_third_may_be_ahead() -> None:
    facts = {"a": down(7, "ma", ABC, vote="a"), "b": down(6, "mb", ABC, vote="a")}
    decision = three("a", facts)
    assert decision.action is Action.WAIT
    assert "c silent" in decision.reason


def test_two_of_three_go_on_where_the_third_had_left_before() -> None:
    facts = {"a": down(7, "ma", AB, vote="a"), "b": down(6, "mb", AB, vote="a")}
    assert three("a", facts).action is Action.BOOTSTRAP


def test_a_member_that_went_on_to_another_view_proves_nothing() -> None:
    facts = {"a": down(7, "ma", AB, vote="a"), "b": down(6, "mb", View("3", frozenset({"mb", "mc"})), vote="a")}
    assert three("a", facts).action is Action.WAIT


def test_the_last_to_leave_gracefully_goes_on_alone() -> None:
    assert three("c", {"c": down(7, "", safe_to_bootstrap=True)}).action is Action.BOOTSTRAP


def test_a_flag_is_not_believed_against_a_higher_seqno_or_a_second_flag() -> None:
    stale = {"a": down(7, "", safe_to_bootstrap=True, vote="a"), "b": down(9, "mb", ABC, vote="a")}
    assert three("a", stale).action is Action.WAIT
    twice = {"a": down(7, "", safe_to_bootstrap=True, vote="a"), "b": down(7, "", safe_to_bootstrap=True, vote="a")}
    assert three("a", twice).action is Action.WAIT


def test_states_of_different_clusters_are_left_to_a_person() -> None:
    facts = {"a": down(7, "ma"), "b": down(9, "mb"), "c": Facts(Phase.DOWN, OTHER, 99)}
    assert {three(name, facts).action for name in facts} == {Action.REFUSE}


def test_an_aborted_transfer_and_a_null_uuid_are_never_bootstrapped() -> None:
    facts = {"a": down(99, "ma", aborted=True), "b": Facts(Phase.DOWN), "c": down(1, "mc")}
    assert {name for name in facts if three(name, facts).vote == "c"} == set(facts)
    hopeless = {**facts, "c": Facts(Phase.BLANK)}
    assert three("a", hopeless).action is Action.REFUSE


def test_nobody_bootstraps_before_those_that_answered_agree() -> None:
    facts = {"a": down(7, "ma", vote="a"), "b": down(7, "mb", vote="b"), "c": down(7, "mc", vote="a")}
    assert three("a", facts) == Decision(Action.WAIT, "b must agree that a is to bootstrap", "a")


def test_an_operator_or_the_stated_policy_goes_on_without_the_silent() -> None:
    facts = {"a": down(7, "ma", ABC, vote="a"), "b": down(6, "mb", ABC, vote="a")}
    assert three("a", facts, lost=frozenset({"c"})).action is Action.BOOTSTRAP
    assert three("a", facts, recovery=Recovery.AVAILABILITY).action is Action.BOOTSTRAP
    alone = {"a": facts["a"]}
    assert three("a", alone, recovery=Recovery.AVAILABILITY).action is Action.WAIT


def test_after_an_outage_one_that_left_the_group_ends_before_anything_is_decided() -> None:
    left = Facts(Phase.LEFT, UUID, 9)
    facts = {"a": down(7, "ma", ABC, vote="a"), "b": down(6, "mb", ABC, vote="a"), "c": left}
    assert three("a", facts).action is Action.WAIT
    assert three("a", facts, recovery=Recovery.AVAILABILITY).action is Action.WAIT
    assert three("c", facts).action is Action.END
    assert {three(name, dict.fromkeys("abc", left)).action for name in "abc"} == {Action.END}


def test_members_that_return_to_a_running_non_primary_one_start_plainly() -> None:
    facts = {"a": Facts(Phase.NON_PRIMARY, UUID, 8, member="ma"), "b": down(7, "mb", AB)}
    assert three("b", facts).action is Action.JOIN
    facts["b"] = down(7, "mb", ABC)
    assert three("b", facts).action is Action.WAIT
