"""Messages, calls, tokens, singletons and addresses, and agreement of nodes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripleo_ha.chaos.checkers import agreement, broker, once, rpc, tokens
from tripleo_ha.chaos.model import Operation, Outcome, Overlap, Verdict, Workload

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


def names(verdict: Verdict) -> list[str]:
    return [finding.what for finding in verdict.findings]


def did(workload: Workload, value: Any, outcome: Outcome = OK, error: str = "") -> Operation:
    return Operation(workload, 7, 1.0, 2.0, outcome, value, error)


def published(*ids: str, outcome: Outcome = OK) -> list[Operation]:
    return [did(Workload.PUBLISH, each, outcome) for each in ids]


def consumed(*ids: str, redelivered: bool = False) -> list[Operation]:
    return [did(Workload.CONSUME, {"id": each, "redelivered": redelivered}) for each in ids]


def test_every_message_that_arrives_once_is_fine() -> None:
    verdict = broker.check(published("a", "b", "c"), consumed("a", "c"), ["b"])
    assert verdict.ok
    assert verdict.counts == {
        "published": 3,
        "confirmed": 3,
        "consumed": 2,
        "drained": 1,
        "lost": 0,
        "unexpected": 0,
        "duplicated": 0,
        "recovered": 0,
        "redelivered": 0,
    }


def test_a_confirmed_message_that_is_nowhere_is_lost() -> None:
    verdict = broker.check(published("a", "b"), consumed("a"), [])
    assert names(verdict) == [broker.LOST]
    assert verdict.findings[0].detail.startswith("b, confirmed to client 7")
    assert verdict.counts["lost"] == 1


def test_a_message_that_was_never_confirmed_may_be_lost_or_recovered() -> None:
    history = [*published("a"), *published("b", "c", outcome=INFO), *published("d", "e", outcome=FAIL)]
    verdict = broker.check(history, consumed("a", "b", "d"), [])
    assert verdict.ok
    assert verdict.counts["recovered"] == 2


def test_a_message_that_nobody_published_is_a_finding() -> None:
    verdict = broker.check(published("a"), consumed("a", "x"), ["y"])
    assert names(verdict) == [broker.UNEXPECTED] * 2
    assert verdict.counts["unexpected"] == 2


def test_copies_are_counted_and_no_finding() -> None:
    again = [*consumed("a", "b"), *consumed("a", redelivered=True)]
    verdict = broker.check(published("a", "b"), again, ["b"])
    assert verdict.ok
    assert (verdict.counts["duplicated"], verdict.counts["redelivered"]) == (2, 1)


def test_what_cannot_be_judged_is_not_accepted() -> None:
    assert names(broker.check(published("a", "a"), consumed("a"), [])) == [broker.UNDECIDED]
    assert names(broker.check(published("a", outcome=INFO), [], [])) == [broker.UNDECIDED]
    assert broker.check([], [], []).ok


def test_attempts_without_a_message_and_other_operations_are_left_aside() -> None:
    history = [*published("a"), did(Workload.PUBLISH, None, FAIL), did(Workload.DECLARE_QUORUM, "q")]
    assert broker.check(history, [*consumed("a"), did(Workload.CONSUME, None, FAIL)], []).ok


def test_a_delivery_without_its_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="not a delivery"):
        broker.check(published("a"), [did(Workload.CONSUME, "a")], [])


MESSAGES = st.dictionaries(st.integers(0, 50), st.tuples(st.sampled_from(Outcome), st.integers(0, 3)), min_size=1)


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(MESSAGES)
def test_losses_are_exactly_the_confirmed_that_never_arrived(messages: dict[int, tuple[Outcome, int]]) -> None:
    sent = [each for number, (outcome, _) in messages.items() for each in published(str(number), outcome=outcome)]
    taken = [str(number) for number, (_, copies) in messages.items() for _ in range(copies)]
    counts = broker.check(sent, consumed(*taken), []).counts
    assert counts["lost"] == sum(outcome is OK and not copies for outcome, copies in messages.values())
    assert counts["recovered"] == sum(outcome is not OK and copies > 0 for outcome, copies in messages.values())
    assert counts["duplicated"] == sum(copies > 1 for _, copies in messages.values())


def test_calls_are_accounted_for() -> None:
    history = [did(Workload.RPC, "a"), did(Workload.RPC, {"id": "b", "answer": "b"}), did(Workload.RPC, "c", INFO)]
    verdict = rpc.check(history)
    assert verdict.ok
    assert (verdict.counts["calls"], verdict.counts["answered"]) == (3, 2)


def test_an_answer_of_another_call_is_a_finding() -> None:
    assert names(rpc.check([did(Workload.RPC, {"id": "b", "answer": "a"})])) == [rpc.MISTAKEN]
    assert names(rpc.check([did(Workload.RPC, {"id": "b", "answer": "a"}, FAIL, "Mistaken")])) == [rpc.MISTAKEN]
    assert names(rpc.check([did(Workload.RPC, "b", INFO, "WrongAnswer")])) == [rpc.MISTAKEN]


def test_one_call_answered_twice_is_a_finding() -> None:
    assert names(rpc.check([did(Workload.RPC, "a"), did(Workload.RPC, "a")])) == [rpc.TWICE]
    assert rpc.check([did(Workload.RPC, None, FAIL), did(Workload.RPC, None, FAIL)]).ok


def test_casts_that_did_not_reach_everybody_once_are_counted() -> None:
    casts = [did(Workload.FANOUT, {"id": str(n), "received": n, "servers": 3}) for n in (3, 1, 4)]
    unheard = did(Workload.FANOUT, {"id": "5", "received": 2, "servers": 3}, INFO, "NotHeard")
    never = did(Workload.FANOUT, {"id": "6", "received": 0, "servers": 3}, FAIL, "ConnectionRefusedError")
    verdict = rpc.check([*casts, unheard, never])
    assert verdict.ok
    assert (verdict.counts["casts"], verdict.counts["missed"], verdict.counts["doubled"]) == (4, 3, 1)


@pytest.mark.parametrize(("workload", "value"), [(Workload.RPC, None), (Workload.FANOUT, {"id": "a"})])
def test_what_is_no_call_is_refused(workload: Workload, value: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        rpc.check([did(workload, value)])


@pytest.mark.parametrize(
    ("what", "length", "fencing", "expected"),
    [
        ("singleton ceilometer-agent-central", 0.2, True, [once.TWO_SINGLETONS]),
        ("singleton ceilometer-agent-central", 0.2, False, []),
        ("singleton ceilometer-agent-central", once.TOLERATED_S + 0.1, False, [once.TWO_SINGLETONS]),
        ("vip control", 0.2, True, []),
        ("vip control", 0.2, False, []),
        ("vip control", once.TOLERATED_S + 0.1, True, [once.TWO_ADDRESSES]),
        ("vip control", once.TOLERATED_S + 0.1, False, [once.TWO_ADDRESSES]),
        ("something new", 0.2, True, [once.TWO_SINGLETONS]),
        ("vip control", -1.0, False, [once.UNDECIDED]),
    ],
)
def test_an_overlap_is_a_finding_by_what_it_is_and_how_long(
    what: str, length: float, fencing: bool, expected: list[str]
) -> None:
    assert names(once.check([Overlap(what, ("a", "b"), 10.0, 10.0 + length)], fencing)) == expected


def test_overlaps_are_counted_with_their_lengths() -> None:
    overlaps = [
        Overlap("vip control", ("a", "b"), 1.0, 1.5),
        Overlap("vip public", ("a", "b"), 1.0, 2.0),
        Overlap("singleton x", ("b", "c"), 1.0, 1.2),
    ]
    verdict = once.check(overlaps, fencing=False)
    assert verdict.ok
    assert verdict.counts["address overlaps"] == 2
    assert verdict.counts["address overlap longest s"] == 1.0
    assert verdict.counts["address overlap total s"] == 1.5
    assert verdict.counts["singleton overlap longest s"] == 0.2
    assert names(once.check(overlaps, fencing=False, tolerated=0.7)) == [once.TWO_ADDRESSES]


def test_a_token_that_is_unknown_though_issued_is_a_finding() -> None:
    history = [
        did(Workload.TOKEN_ISSUE, None),
        did(Workload.TOKEN_VALIDATE, None),
        did(Workload.TOKEN_VALIDATE, None, FAIL, "Refused 503"),
        did(Workload.TOKEN_VALIDATE, None, FAIL, "TimeoutError"),
    ]
    assert tokens.check(history).counts == {"issued": 1, "validated": 1, "authenticated": 0, "failed": 2}
    assert tokens.check(history).ok
    for status in ("401", "404"):
        lost = did(Workload.TOKEN_VALIDATE, None, FAIL, f"Refused {status}")
        assert names(tokens.check([*history, lost])) == [tokens.REFUSED_TOKEN]
    gone = did(Workload.TOKEN_ISSUE, None, FAIL, "Refused 401")
    assert names(tokens.check([gone])) == [tokens.REFUSED_TOKEN]
    for wrong in ((Workload.TOKEN_PASSWORD, "Refused 401"), (Workload.TOKEN_ISSUE, "Unauthenticated 401")):
        assert names(tokens.check([did(wrong[0], None, FAIL, wrong[1])])) == [tokens.REFUSED_PASSWORD]


def test_nodes_that_end_with_the_same_agree() -> None:
    finals = {"lists": {"a": {"x": [1]}, "b": {"x": [1]}}, "bank": {"a": {"0": 5}, "b": {"0": 5}}}
    verdict = agreement.check(finals, nodes=2)
    assert verdict.ok
    assert verdict.counts == {"states": 2, "nodes": 2}


def test_a_node_with_a_history_of_its_own_is_a_finding_that_names_the_difference() -> None:
    finals = {"lists": {"a": {"x": [1], "y": [5]}, "b": {"x": [1, 2], "y": [5]}, "c": {"x": [1], "y": [5]}}}
    verdict = agreement.check(finals)
    assert names(verdict) == [agreement.DIVERGENCE]
    assert verdict.findings[0].detail == "lists: a and c: {'x': [1]}; b: {'x': [1, 2]}"


def test_a_node_that_was_not_read_is_a_finding() -> None:
    assert names(agreement.check({"bank": {"a": 1, "b": 1}}, nodes=3)) == [agreement.UNDECIDED]
    assert names(agreement.check({"bank": {"a": 1, "b": 1}, "lists": {"a": 1}})) == [agreement.UNDECIDED]
