"""Money that appears, vanishes, or is elsewhere on another node."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tripleo_ha.chaos.checkers import bank
from tripleo_ha.chaos.model import Operation, Outcome, Workload

TOTAL = 30
EVEN = {"0": 10, "1": 10, "2": 10}
Balances = dict[str, int]


def did(*value: Any, outcome: Outcome = Outcome.OK) -> Operation:
    return Operation(Workload.BANK, 3, 1.0, 2.0, outcome, list(value))


def moved(payer: str, payee: str, amount: int, outcome: Outcome = Outcome.OK) -> Operation:
    return did("transfer", payer, payee, amount, outcome=outcome)


def everywhere(balances: Balances) -> dict[str, Balances]:
    return {node: dict(balances) for node in "abc"}


def found(operations: list[Operation], final: dict[str, Balances], **more: Any) -> set[str]:
    return {finding.what for finding in bank.check(operations, final, TOTAL, **more).findings}


GOOD = {
    "no transfer": ([did("read", EVEN)], EVEN),
    "acknowledged transfers": ([moved("0", "1", 4), moved("1", "2", 1)], {"0": 6, "1": 13, "2": 11}),
    "a refused one did nothing": ([moved("0", "1", 4), moved("0", "1", 5, Outcome.FAIL)], {"0": 6, "1": 14, "2": 10}),
    "one of unknown end happened": (
        [did("read", EVEN), moved("0", "1", 4, Outcome.INFO)],
        {"0": 6, "1": 14, "2": 10},
    ),
    "one of unknown end did not": ([did("read", EVEN), moved("0", "1", 4, Outcome.INFO)], EVEN),
    "a read that failed": ([did("read", EVEN), did("read", None, outcome=Outcome.FAIL)], EVEN),
}

BAD = {
    "a transfer is lost": ([moved("0", "1", 4)], EVEN, {bank.UNEXPLAINED}),
    "a transfer is done twice": ([moved("0", "1", 4)], {"0": 2, "1": 18, "2": 10}, {bank.UNEXPLAINED}),
    "a refused one is done": (
        [did("read", EVEN), moved("0", "1", 4, Outcome.FAIL)],
        {"0": 6, "1": 14, "2": 10},
        {bank.UNEXPLAINED},
    ),
    "more than unknown ones explain": (
        [did("read", EVEN), moved("0", "1", 4, Outcome.INFO)],
        {"0": 5, "1": 15, "2": 10},
        {bank.UNEXPLAINED},
    ),
    "money at the end from nowhere": ([moved("0", "1", 4)], {"0": 6, "1": 15, "2": 10}, {bank.TOTAL, bank.UNEXPLAINED}),
    "a read between two halves": ([did("read", {"0": 6, "1": 10, "2": 10})], EVEN, {bank.TOTAL}),
    "a read below zero": ([did("read", {"0": -4, "1": 24, "2": 10})], EVEN, {bank.NEGATIVE}),
    "an end below zero": ([moved("0", "1", 14)], {"0": -4, "1": 24, "2": 10}, {bank.NEGATIVE}),
    "an account is missing in a read": ([did("read", {"0": 10, "1": 20})], EVEN, {bank.ACCOUNTS}),
    "nothing was acknowledged": ([did("read", None, outcome=Outcome.INFO)], EVEN, {bank.UNDECIDED}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_transfers_explain_is_accepted(name: str) -> None:
    operations, final = GOOD[name]
    assert found(operations, everywhere(final)) == set()


@pytest.mark.parametrize("name", BAD)
def test_what_no_transfer_explains_is_found(name: str) -> None:
    operations, final, expected = BAD[name]
    assert found(operations, everywhere(final)) == expected


def test_a_node_with_other_balances_is_found() -> None:
    final = everywhere(EVEN) | {"c": {"0": 6, "1": 14, "2": 10}}
    assert found([did("read", EVEN), moved("0", "1", 4, Outcome.INFO)], final) == {bank.DIVERGENCE}


def test_without_a_final_state_nothing_is_accepted() -> None:
    assert found([did("read", EVEN)], {}) == {bank.UNDECIDED}


def test_balances_below_zero_can_be_allowed() -> None:
    final = everywhere({"0": -4, "1": 24, "2": 10})
    assert found([moved("0", "1", 14)], final, overdraft=True) == set()


def test_unequal_shares_have_to_be_told() -> None:
    begun = {"0": 25, "1": 5}
    operations = [moved("0", "1", 5)]
    assert found(operations, everywhere({"0": 20, "1": 10}), initial=begun) == set()
    assert found(operations, everywhere({"0": 10, "1": 20}), initial=begun) == {bank.UNEXPLAINED}
    with pytest.raises(ValueError, match="cannot be shared equally by 4"):
        found(operations, everywhere(dict.fromkeys("0123", 7)))


@pytest.mark.parametrize("value", [["transfer", "0", "1"], ["steal", "0", "1", 5], "text", ["read", None]])
def test_what_is_no_operation_of_a_bank_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a bank operation"):
        found([Operation(Workload.BANK, 0, 0.0, 1.0, Outcome.OK, value)], everywhere(EVEN))


OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=1, max_size=30).filter(lambda kinds: Outcome.OK in kinds)


def _played(outcomes: list[Outcome], seed: int) -> tuple[list[Operation], Balances]:
    """Transfers with these ends upon a model bank; those of unknown end happen or not."""
    chance = Random(seed)
    balances, history = dict(EVEN), []
    for outcome in outcomes:
        payer, payee = chance.sample(sorted(balances), 2)
        operation = moved(payer, payee, chance.randint(1, 3), outcome)
        happened = outcome is Outcome.OK or (outcome is Outcome.INFO and chance.random() < 0.5)
        if happened and balances[payer] >= operation.value[3]:
            balances[payer] -= operation.value[3]
            balances[payee] += operation.value[3]
        elif outcome is Outcome.OK:
            operation = replace(operation, outcome=Outcome.FAIL)
        history += [operation, did("read", dict(balances))]
    return history, balances


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(OUTCOMES, st.integers(0, 10**6))
def test_a_model_bank_is_accepted_and_a_stolen_coin_is_not(outcomes: list[Outcome], seed: int) -> None:
    history, balances = _played(outcomes, seed)
    assert found(history, everywhere(balances)) == set()
    rich = max(balances, key=lambda account: balances[account])
    assert bank.TOTAL in found(history, everywhere(balances | {rich: balances[rich] - 1}))
