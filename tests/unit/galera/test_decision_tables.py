"""decide() over every table of facts: what it may never do, told independently of how it decides."""

from itertools import product

import pytest

from tripleo_ha.topology.galera import Action, Decision, Facts, Phase, Recovery, Situation, View, decide

UUID = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
FOUNDING = (Action.CREATE, Action.BOOTSTRAP, Action.PROMOTE)


def view(size: int, *members: int) -> View:
    return View(f"view-{size}-{members}", frozenset(f"m{index}" for index in members))


def options(size: int) -> list[Facts | None]:
    """What a node may say; its own group id is put in later."""
    everybody = view(size, *range(size))
    first_two = view(size, *range(min(2, size)))
    return [
        None,
        Facts(Phase.BLANK),
        Facts(Phase.STARTING),
        Facts(Phase.PRIMARY, UUID, 9),
        Facts(Phase.NON_PRIMARY, UUID, 5),
        Facts(Phase.DOWN, UUID, 5, view=everybody),
        Facts(Phase.DOWN, UUID, 6, view=everybody),
        Facts(Phase.DOWN, UUID, 6, view=first_two),
        Facts(Phase.DOWN, UUID, 6),
        Facts(Phase.DOWN, UUID, 6, safe_to_bootstrap=True),
        Facts(Phase.DOWN, UUID, 6, aborted=True, view=everybody),
        Facts(Phase.DOWN, OTHER, 7, view=everybody),
    ]


def situations(size: int, choices: list[Facts | None], agree: bool = True):
    names = [f"n{index}" for index in range(size)]
    for table in product(choices, repeat=size):
        for me in names:
            facts = {}
            for index, fact in enumerate(table):
                if fact is not None:
                    vote = me if agree else ""
                    member = f"m{index}" if fact.phase is not Phase.STARTING else ""
                    facts[names[index]] = Facts(
                        fact.phase, fact.uuid, fact.seqno, fact.safe_to_bootstrap, fact.aborted, member, fact.view, vote
                    )
            if me in facts:
                yield Situation(names, me, facts)


def may_found(now: Situation) -> bool:
    """The oracle: founding here can lose nothing, whoever is silent."""
    mine, silent = now.mine, set(now.nodes) - set(now.facts)
    if any(fact.phase in (Phase.PRIMARY, Phase.STARTING) for fact in now.facts.values()):
        return False
    if all(fact.phase is Phase.BLANK for fact in now.facts.values()):
        return not silent
    if mine.phase not in (Phase.DOWN, Phase.NON_PRIMARY) or mine.aborted or mine.seqno < 0:
        return False
    for fact in now.facts.values():
        whole = fact.phase in (Phase.DOWN, Phase.NON_PRIMARY) and not fact.aborted
        if whole and (fact.uuid != mine.uuid or fact.seqno > mine.seqno):
            return False
    if not silent:
        return True
    if mine.view and not silent & {f"n{member[1:]}" for member in mine.view.members}:
        return all(now.facts[f"n{member[1:]}"].view == mine.view for member in mine.view.members)
    others = [fact for name, fact in now.facts.items() if name != now.me and not fact.aborted]
    return mine.safe_to_bootstrap and not any(fact.safe_to_bootstrap for fact in others)


@pytest.mark.parametrize("size", [1, 3])
def test_nobody_founds_a_component_that_could_lose_a_commit(size: int) -> None:
    founded = 0
    for now in situations(size, options(size)):
        decision = decide(now)
        if decision.action in FOUNDING:
            founded += 1
            assert may_found(now), now
    assert founded > 0


def test_nobody_founds_a_component_that_could_lose_a_commit_among_five() -> None:
    few = [options(5)[index] for index in (0, 1, 4, 5, 6, 7, 9)]
    for now in situations(5, few):
        if decide(now).action in FOUNDING:
            assert may_found(now), now


@pytest.mark.parametrize("size", [1, 3])
def test_where_founding_is_safe_exactly_one_node_is_named(size: int) -> None:
    """Progress: all nodes that see the same facts name the same node, and that one founds."""
    for now in situations(size, options(size), agree=False):
        if not may_found(now):
            continue
        decisions = {name: decide(Situation(now.nodes, name, now.facts)) for name in now.facts}
        reforms = any(decision.action is Action.JOIN for decision in decisions.values())
        votes = {decision.vote for decision in decisions.values()}
        assert reforms or (len(votes) == 1 and votes != {""}), (now, decisions)


@pytest.mark.parametrize("size", [1, 3])
def test_a_member_of_a_primary_component_is_left_alone_and_the_others_join_it(size: int) -> None:
    for now in situations(size, options(size)):
        decision = decide(now)
        if now.mine.phase is Phase.PRIMARY:
            assert decision.action is Action.KEEP
        elif now.those(Phase.PRIMARY):
            assert decision.action is (Action.WAIT if now.mine.phase is Phase.NON_PRIMARY else Action.JOIN)


def test_every_decision_has_a_reason() -> None:
    assert all(decide(now).reason for now in situations(3, options(3)))


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


def test_members_that_return_to_a_running_non_primary_one_start_plainly() -> None:
    facts = {"a": Facts(Phase.NON_PRIMARY, UUID, 8, member="ma"), "b": down(7, "mb", AB)}
    assert three("b", facts).action is Action.JOIN
    facts["b"] = down(7, "mb", ABC)
    assert three("b", facts).action is Action.WAIT
