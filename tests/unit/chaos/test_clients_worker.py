"""A client's process: how its operations end, and that each is on disk at once and tells no secret."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.chaos.clients import worker
from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.worker import Crew, Worker
from tripleo_ha.chaos.model import Operation, Outcome, Workload, read_operations


class Script(Worker):
    """Does what it is told: an exception before or after the request was sent, or nothing."""

    workload = Workload.PUBLISH
    period = 0.0

    def __init__(self, *steps: tuple[bool, Exception | None]) -> None:
        super().__init__(7)
        self.steps = list(steps)
        self.closed = 0
        self.tidied = 0
        self.trouble: Exception | None = None

    def once(self) -> None:
        sent, error = self.steps.pop(0)
        self.value = len(self.steps)
        self.sent = sent
        if error:
            raise error

    def refused(self, error: Exception) -> bool:
        return isinstance(error, PermissionError)

    def tidy(self) -> None:
        self.tidied += 1
        if self.trouble:
            raise self.trouble

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    "sent, error, outcome, word",
    [
        (True, None, Outcome.OK, ""),
        (False, ConnectionRefusedError(111, "192.0.2.10"), Outcome.FAIL, "ConnectionRefusedError 111"),
        (True, ConnectionResetError(104, "192.0.2.10"), Outcome.INFO, "ConnectionResetError 104"),
        (True, PermissionError("no"), Outcome.FAIL, "PermissionError"),
        (True, TimeoutError("timed out"), Outcome.INFO, "TimeoutError"),
        (True, AttributeError("'NoneType' object has no attribute 'send'"), Outcome.INFO, "AttributeError"),
    ],
)
def test_an_outcome_follows_from_what_was_sent_and_said(
    sent: bool, error: Exception | None, outcome: Outcome, word: str
) -> None:
    script = Script((sent, error))
    operation = worker.attempt(script)
    assert (operation.outcome, operation.error, operation.process, operation.value) == (outcome, word, 7, 0)
    assert operation.began <= operation.ended
    assert (script.tidied, script.closed) == ((1, 0) if error is None else (0, 1))


def test_trouble_after_an_operation_costs_the_connection_and_not_the_operation() -> None:
    script = Script((True, None))
    script.trouble = OSError(32, "broken pipe")
    assert worker.attempt(script).outcome is Outcome.OK
    assert script.closed == 1


@given(
    st.sampled_from([OSError, ValueError, TimeoutError, RuntimeError]),
    st.lists(st.one_of(st.text(), st.integers(), st.binary(), st.none()), max_size=3),
)
def test_an_error_is_told_without_what_it_says(type_: type[Exception], arguments: list[Any]) -> None:
    assert re.fullmatch(r"[A-Za-z]+( -?\d+)?", worker.kind(type_(*arguments)))


def test_every_operation_is_on_disk_when_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    seen: list[int] = []

    class Looking(Script):
        def once(self) -> None:
            seen.append(len(list(read_operations([path]))))
            super().once()

    script = Looking((True, None), (True, OSError(5, "input")), (False, None), (False, None))
    stop = threading.Event()
    with History(path) as history:
        script.tidy = lambda: stop.set() if not script.steps else None  # type: ignore[method-assign]
        worker.work(script, history, stop)
    assert seen == [0, 1, 2, 3]
    assert [operation.outcome for operation in read_operations([path])] == ["ok", "info", "ok", "ok"]
    assert script.closed == 2


def test_who_records_what_succeeded_itself_is_recorded_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    stop = threading.Event()
    script = Script((False, None), (False, OSError(5, "input")), (False, None))
    script.recorded = False
    script.tidy = lambda: stop.set() if not script.steps else None  # type: ignore[method-assign]
    with History(path) as history:
        worker.work(script, history, stop)
    assert [operation.error for operation in read_operations([path])] == ["OSError 5"]


def test_who_is_not_served_asks_less_often_the_longer_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(threading.Event):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.pauses: list[float] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses.append(timeout or 0.0)
            self.now += timeout or 0.0
            if self.now > 30:
                self.set()
            return self.is_set()

    clock = Clock()
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock.now)
    script = Script(*[(False, OSError(111, "refused"))] * 1000)
    with History(tmp_path / "history.jsonl") as history:
        worker.work(script, history, clock)
    passed = 0.0
    for pause in clock.pauses:
        assert pause <= max(0.05 * passed, worker.RETRY_S) + 1e-9
        passed += pause
    assert clock.pauses[0] == worker.RETRY_S
    assert clock.pauses[-1] == worker.LONGEST_RETRY_S


def test_a_crew_ends_when_told_and_after_a_bug(tmp_path: Path) -> None:
    class Endless(Script):
        def once(self) -> None:
            self.value = {"id": 1}

    class Full(History):
        def add(self, operation: Operation) -> None:
            raise OSError(28, "No space left on device")

    with History(tmp_path / "history.jsonl") as history:
        crew = Crew([Endless(), Endless()], history)
        crew.start()
        crew.join()
        assert not crew.broken
    assert list(read_operations([tmp_path / "history.jsonl"]))
    with Full(tmp_path / "full.jsonl") as history:
        crew = Crew([Endless()], history)
        crew.start()
        assert crew.stop.wait(10)
        crew.join()
    assert [type(error) for error in crew.broken] == [OSError]
