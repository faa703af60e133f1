"""Histories of a model database are accepted; after one mutation they are not; and a weakened checker is found out."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from list_append_database import Database, Isolation, State, programs
from list_append_given import findings

from tripleo_ha.chaos.checkers import control, dependencies, list_append, versions
from tripleo_ha.chaos.checkers.anomalies import Anomaly
from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome

A = Anomaly
Final = dict[str, State]
QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
UNSHRUNK = settings(QUICK, phases=[Phase.generate])
SOUND = st.sampled_from([Isolation.SERIAL, Isolation.SNAPSHOT])


def recorded(isolation: Isolation, seed: int, number: int = 25) -> tuple[list[Operation], Final]:
    chance = Random(seed)
    database = Database(isolation)
    database.run(programs(chance, number), chance)
    return database.history, database.final()


@QUICK
@given(SOUND, st.integers(0, 10**6))
def test_what_a_sound_database_does_is_accepted(isolation: Isolation, seed: int) -> None:
    operations, final = recorded(isolation, seed)
    assert list_append.check(operations, final).findings == ()


@QUICK
@given(st.integers(0, 10**6))
def test_nothing_at_all_is_counted_of_a_serial_history(seed: int) -> None:
    operations, final = recorded(Isolation.SERIAL, seed)
    counts = list_append.check(operations, final, findings=frozenset(Anomaly)).counts
    assert not set(map(str, Anomaly)) & counts.keys()


@QUICK
@given(SOUND, st.integers(0, 10**6), st.data())
def test_answers_that_got_lost_change_nothing(isolation: Isolation, seed: int, data: st.DataObject) -> None:
    operations, final = recorded(isolation, seed)
    unsure = data.draw(st.sets(st.integers(0, len(operations) - 1), max_size=len(operations) - 1))
    blurred = [
        replace(each, outcome=Outcome.INFO) if index in unsure and each.outcome is Outcome.OK else each
        for index, each in enumerate(operations)
    ]
    assume(any(each.outcome is Outcome.OK for each in blurred))
    assert list_append.check(blurred, final).findings == ()


# Mutations: each changes a history and its end in place, and returns the names of which one at least must be found.
Mutation = Callable[[list[Operation], Final, Random], set[Anomaly]]


def _some_append(operations: list[Operation], chance: Random) -> tuple[int, str, int]:
    """Choose an acknowledged append: the number of its operation, its key and its value."""
    return chance.choice(
        [
            (index, step[1], step[2])
            for index, operation in enumerate(operations)
            if operation.outcome is Outcome.OK
            for step in operation.value
            if step[0] == "append"
        ]
    )


def lose_on_one_node(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    _, key, value = _some_append(operations, chance)
    final[chance.choice("abc")][key].remove(value)
    return {A.LOST_COMMIT}


def lose_everywhere(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    _, key, value = _some_append(operations, chance)
    for lists in final.values():
        lists[key].remove(value)
    return {A.LOST_COMMIT}


def lose_a_key(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    _, key, _ = _some_append(operations, chance)
    del final["b"][key]
    return {A.LOST_COMMIT}


def swap_on_one_node(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    long = [key for key, values in final["c"].items() if len(values) > 1]
    assume(long)
    values = final["c"][chance.choice(long)]
    values[-2:] = values[:-3:-1]
    return {A.DIVERGENCE}


def apply_twice(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    _, key, value = _some_append(operations, chance)
    for lists in final.values():
        lists[key].append(value)
    return {A.DUPLICATE}


def invent(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    _, key, _ = _some_append(operations, chance)
    for lists in final.values():
        lists[key].append(10**9)
    return {A.PHANTOM}


def forget_who_did_it(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    assume(len([each for each in operations if each.outcome is Outcome.OK]) > 1)
    del operations[_some_append(operations, chance)[0]]
    return {A.PHANTOM}


def show_what_was_refused(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    index, _, _ = _some_append(operations, chance)
    operations[index] = replace(operations[index], outcome=Outcome.FAIL)
    assume(any(each.outcome is Outcome.OK for each in operations))
    return {A.G1A}


def _reads(operations: list[Operation], before_append: bool) -> list[list[Any]]:
    """Return first reads of non-empty lists, of transactions that append to the key, or do not."""
    found = []
    for operation in operations:
        firsts: dict[str, list[Any]] = {}
        appended = {step[1] for step in operation.value if step[0] == "append"}
        for step in operation.value:
            if step[0] == "r":
                firsts.setdefault(step[1], step)
        if operation.outcome is Outcome.OK:
            found += [step for key, step in firsts.items() if step[2] and (key in appended) is before_append]
    return found


def append_to_an_older_version(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    reads = _reads(operations, before_append=True)
    assume(reads)
    step = chance.choice(reads)
    step[2] = step[2][:-1]
    return {A.LOST_UPDATE, A.G_SINGLE, A.INTERNAL}


def read_out_of_the_middle(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    reads = [step for each in (True, False) for step in _reads(operations, before_append=each) if len(step[2]) > 1]
    assume(reads)
    del chance.choice(reads)[2][0]
    return {A.INCOMPATIBLE}


def lose_half_of_what_was_unsure(operations: list[Operation], final: Final, chance: Random) -> set[Anomaly]:
    several = [
        index
        for index, each in enumerate(operations)
        if each.outcome is Outcome.OK and sum(step[0] == "append" for step in each.value) > 1
    ]
    assume(several)
    index = chance.choice(several)
    operations[index] = replace(operations[index], outcome=Outcome.INFO)
    assume(any(each.outcome is Outcome.OK for each in operations))
    key, value = next(step[1:] for step in operations[index].value[::-1] if step[0] == "append")
    for lists in final.values():
        lists[key].remove(value)
    return {A.SEEN_AND_LOST}


MUTATIONS: list[Mutation] = [
    lose_on_one_node,
    lose_everywhere,
    lose_a_key,
    swap_on_one_node,
    apply_twice,
    invent,
    forget_who_did_it,
    show_what_was_refused,
    append_to_an_older_version,
    read_out_of_the_middle,
    lose_half_of_what_was_unsure,
]


def catches(mutate: Mutation, how: settings = QUICK) -> None:
    """Assert that the checker finds a mutation, whatever the history."""

    @how
    @given(SOUND, st.integers(0, 10**6))
    def caught(isolation: Isolation, seed: int) -> None:
        operations, final = recorded(isolation, seed)
        assume(any(step[0] == "append" for each in operations if each.outcome is Outcome.OK for step in each.value))
        expected = mutate(operations, final, Random(seed))
        assert findings(list_append.check(operations, final)) & expected

    caught()


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_is_caught(mutate: Mutation) -> None:
    catches(mutate)


# The same, with a rule of the checker weakened: then the test above must fail, or it proves nothing.


def _final_of_the_first_node(history: Any, seen: Any, final: Final, tally: Tally) -> None:
    versions.judge_final(history, seen, dict(list(final.items())[:1]), tally)


def _nothing(*_: Any) -> None:
    pass


def _never(_: Any) -> str:
    return ""


WEAKER: dict[str, tuple[Any, str, Any, list[Mutation]]] = {
    "one node's final state is believed": (
        list_append,
        "judge_final",
        _final_of_the_first_node,
        [lose_on_one_node, lose_a_key],
    ),
    "single states are not looked at": (
        list_append,
        "judge_states",
        _nothing,
        [apply_twice, invent, forget_who_did_it, show_what_was_refused, read_out_of_the_middle],
    ),
    "an unknown end excuses everything": (versions, "_commit", _nothing, [lose_half_of_what_was_unsure]),
}


@pytest.mark.parametrize("rule", WEAKER)
def test_a_weakened_rule_lets_a_mutation_through(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, weak, mutations = WEAKER[rule]
    monkeypatch.setattr(module, name, weak)
    for mutate in mutations:
        with pytest.raises(AssertionError):
            catches(mutate, UNSHRUNK)


def test_without_its_three_witnesses_an_old_version_goes_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_append, "contradiction", _never)
    monkeypatch.setattr(list_append, "judge_reads", _nothing)
    catches(append_to_an_older_version)  # the cycle is left
    monkeypatch.setattr(dependencies, "RW", 0)
    with pytest.raises(AssertionError):
        catches(append_to_an_older_version, UNSHRUNK)


# READ COMMITTED, with reads and writes on the client's side.


@QUICK
@given(st.integers(0, 10**6))
def test_every_overwritten_update_under_read_committed_is_found(seed: int) -> None:
    operations, final = recorded(Isolation.READ_COMMITTED, seed)
    acknowledged = {step[2] for each in operations for step in each.value if step[0] == "append"}
    lost = acknowledged - {value for values in final["a"].values() for value in values}
    verdict = list_append.check(operations, final)
    assert verdict.counts.get(A.LOST_COMMIT, 0) == len(lost)
    if lost:
        assert A.LOST_UPDATE in findings(verdict) or A.INTERNAL in findings(verdict)


def test_the_positive_control_says_whether_the_checker_sees_lost_updates() -> None:
    verdict = control.check(*recorded(Isolation.READ_COMMITTED, 1, 200))
    assert verdict.ok
    assert verdict.counts[A.LOST_UPDATE] > 10
    blind = control.check(*recorded(Isolation.SNAPSHOT, 1, 200))
    assert [finding.what for finding in blind.findings] == [control.SILENT]


# Time.


@pytest.mark.parametrize("isolation", [Isolation.SNAPSHOT, Isolation.READ_COMMITTED])
def test_ten_times_the_operations_take_about_ten_times_as_long(isolation: Isolation) -> None:
    few, many = (_seconds(isolation, number) for number in (1000, 10000))
    # A hundred times would be the square; ten times as much no longer fits into a processor's cache.
    assert many <= 30 * max(few, 0.02)


def _seconds(isolation: Isolation, number: int) -> float:
    """Return the least processor time of three judgements."""
    operations, final = recorded(isolation, 1, number)
    return min(_once(operations, final) for _ in range(3))


def _once(operations: list[Operation], final: Final) -> float:
    gc.collect()
    gc.disable()  # what other tests left on the heap is not what is measured
    try:
        began = time.process_time()
        list_append.check(operations, final)
        return time.process_time() - began
    finally:
        gc.enable()
