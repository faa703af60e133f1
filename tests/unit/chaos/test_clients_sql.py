"""SQL clients: which transactions they make, and what they say about those that did not end well."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.chaos.clients import sql, worker
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.sql import Appender, Auditor, Keys, Teller
from tripleo_ha.chaos.model import Operation, Outcome
from tripleo_ha.verify.client import Account

SETTINGS = Settings(Account("tripleo_ha_chaos_00000000", "p" * 16), "192.0.2.10", "198.51.100.10", "secret", seed=3)


class Database:
    """The two tables, and a connection to them that fails where it is told to."""

    def __init__(self) -> None:
        self.lists: dict[str, str] = {}
        self.bank = {str(number): 100 for number in range(8)}
        self.fail: dict[str, Exception] = {}
        self.said: Counter[str] = Counter()
        self._answer: list[Any] = []
        self._undo: Any = None

    def execute(self, text: str, arguments: tuple[Any, ...] = ()) -> None:
        word = text.split()[0]
        self.said[word] += 1
        if word in self.fail:
            raise self.fail[word]
        if word == "START":
            self._undo = (dict(self.lists), dict(self.bank))
        elif word == "SELECT" and "lists" in text:
            self._answer = [(self.lists[key],) for key in arguments if key in self.lists]
        elif word == "SELECT" and "IN" in text:
            self._answer = [(key, self.bank[key]) for key in arguments]
        elif word == "SELECT":
            self._answer = [(key, value) for key, value in self.bank.items() if arguments[0] <= key < arguments[1]]
        else:
            table: dict[str, Any] = self.lists if "lists" in text else self.bank
            assert (arguments[1] in table) == (word == "UPDATE")
            table[arguments[1]] = arguments[0]

    def fetchone(self) -> Any:
        return self._answer[0] if self._answer else None

    def fetchall(self) -> Any:
        return self._answer

    def commit(self) -> None:
        self.said["COMMIT"] += 1
        if "COMMIT" in self.fail:
            raise self.fail["COMMIT"]

    def rollback(self) -> None:
        self.said["ROLLBACK"] += 1
        self.lists, self.bank = self._undo

    def close(self) -> None:
        self.said["CLOSE"] += 1

    def cursor(self) -> "Database":
        return self

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(sql, "_connect", lambda _settings: made)
    return made


def appends(operation: Operation) -> list[tuple[str, int]]:
    return [(key, value) for what, key, value in operation.value if what == "append"]


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_transactions_are_short_on_few_lists_with_values_used_once(seed: int, count: int) -> None:
    keys = Keys(seed)
    plans = [keys.transaction() for _ in range(count)]
    assert all(1 <= len(plan) <= 4 for plan in plans)
    assert all(any(what == "append" for what, _, _ in plan) for plan in plans)
    added = [(key, value) for plan in plans for what, key, value in plan if what == "append"]
    assert len({value for _, value in added}) == len(added)
    lengths = Counter(key for key, _ in added)
    assert max(lengths.values(), default=0) <= 100
    full = [key for key, length in lengths.items() if length == sql.APPENDS_A_KEY]
    assert len({key for plan in plans for _, key, _ in plan}) <= sql.HOT_KEYS + len(full)


def test_a_list_that_is_long_enough_is_never_touched_again() -> None:
    keys = Keys(1)
    steps = [step for _ in range(3000) for step in keys.transaction()]
    done: Counter[str] = Counter()
    for what, key, _ in steps:
        assert done[key] < sql.APPENDS_A_KEY
        done[key] += what == "append"
    assert sum(count == sql.APPENDS_A_KEY for count in done.values()) > 20


def test_appends_are_in_the_lists_in_order_and_reads_tell_them(database: Database) -> None:
    appender = Appender(0, SETTINGS, Keys(5))
    operations = [worker.attempt(appender) for _ in range(300)]
    assert {operation.outcome for operation in operations} == {Outcome.OK}
    model: dict[str, list[int]] = {}
    for operation in operations:
        for what, key, value in operation.value:
            if what == "append":
                model.setdefault(key, []).append(value)
            else:
                assert value == model.get(key)
    assert {key: json.loads(items) for key, items in database.lists.items()} == model


@pytest.mark.parametrize(
    "where, error, outcome, kept",
    [
        ("START", pymysql.OperationalError(2013, "Lost connection to 192.0.2.10"), Outcome.FAIL, False),
        ("SELECT", pymysql.OperationalError(2013, "Lost connection"), Outcome.FAIL, False),
        ("SELECT", pymysql.OperationalError(1047, "WSREP has not yet prepared node"), Outcome.FAIL, False),
        ("SELECT", pymysql.OperationalError(1213, "Deadlock found"), Outcome.FAIL, True),
        ("SELECT", pymysql.OperationalError(1020, "Record has changed"), Outcome.FAIL, True),
        ("COMMIT", pymysql.OperationalError(1213, "Deadlock found"), Outcome.FAIL, True),
        ("COMMIT", pymysql.OperationalError(1205, "Lock wait timeout"), Outcome.FAIL, True),
        ("COMMIT", pymysql.OperationalError(1047, "WSREP has not yet prepared node"), Outcome.FAIL, False),
        ("COMMIT", pymysql.OperationalError(2013, "Lost connection"), Outcome.INFO, False),
        ("COMMIT", pymysql.OperationalError(2006, "Server has gone away"), Outcome.INFO, False),
        ("COMMIT", pymysql.OperationalError(1180, "Got error during COMMIT"), Outcome.INFO, False),
        ("COMMIT", TimeoutError("timed out"), Outcome.INFO, False),
    ],
)
def test_a_transaction_is_doubtful_only_from_its_commit_on(
    database: Database, where: str, error: Exception, outcome: Outcome, kept: bool
) -> None:
    database.fail[where] = error
    appender = Appender(0, SETTINGS, Keys(2))
    operation = worker.attempt(appender)
    code = f" {error.args[0]}" if isinstance(error.args[0], int) else ""
    assert (operation.outcome, operation.error) == (outcome, f"{type(error).__name__}{code}")
    assert all(value is None for what, _, value in operation.value if what == "r")
    assert (database.said["ROLLBACK"], database.said["CLOSE"]) == ((1, 0) if kept else (0, 1))
    before = appends(operation)
    database.fail.clear()
    again = worker.attempt(appender)
    assert again.outcome is Outcome.OK
    assert not set(before) & set(appends(again))


def test_money_is_moved_and_none_is_made(database: Database) -> None:
    teller = Teller(50, SETTINGS)
    operations = [worker.attempt(teller) for _ in range(400)]
    assert sum(database.bank.values()) == 800
    assert min(database.bank.values()) >= 0
    assert {operation.outcome for operation in operations} == {Outcome.OK}
    auditor = Auditor(52, SETTINGS)
    reads = [worker.attempt(auditor).value[1] for _ in range(5)]
    assert all(sum(balances.values()) == 800 and sorted(balances) == list("01234567") for balances in reads)


def test_who_cannot_pay_pays_nothing(database: Database) -> None:
    database.bank = dict.fromkeys(database.bank, 0)
    teller = Teller(50, SETTINGS)
    operations = [worker.attempt(teller) for _ in range(30)]
    assert {(operation.outcome, operation.error) for operation in operations} == {(Outcome.FAIL, "ShortOfMoney")}
    assert set(database.bank.values()) == {0}
    assert database.said["CLOSE"] == 0


def test_a_read_that_was_not_committed_tells_no_balances(database: Database) -> None:
    database.fail["COMMIT"] = pymysql.OperationalError(2013, "Lost connection")
    operation = worker.attempt(Auditor(52, SETTINGS))
    assert (operation.value, operation.outcome) == (["read", None], Outcome.INFO)


def test_processes_have_numbers_of_their_own() -> None:
    numbers = [each.process for each in sql.workers(SETTINGS)]
    assert len(set(numbers)) == len(numbers) == SETTINGS.appenders + SETTINGS.tellers + 1


def test_the_pace_is_that_of_the_settings_and_none_keeps_step_with_another() -> None:
    periods = [each.period for each in sql.workers(SETTINGS)]
    assert len(set(periods)) == len(periods)
    assert 20 <= sum(1 / period for period in periods) <= 30
    assert max(periods[:-1]) <= 0.2
    assert [each.period for each in sql.workers(replace(SETTINGS, pace=2.0))] == [period / 2 for period in periods]
