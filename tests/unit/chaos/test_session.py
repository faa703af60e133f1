"""How one strike is done, whatever goes wrong in it, and when clients count as served."""

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha.chaos import session as sessions
from tripleo_ha.chaos.faults.model import POWERED, Fault, Field, Roles
from tripleo_ha.chaos.history import ENOUGH, History
from tripleo_ha.chaos.interrupt import Interrupts
from tripleo_ha.chaos.model import Kind, Operation, Outcome, Strike, Workload, write_lines
from tripleo_ha.chaos.recovery import Whole
from tripleo_ha.chaos.session import Ground, _Doing
from tripleo_ha.errors import Failure, TimedOut

ROLES = Roles(("a", "b", "c"), "a", {"control": "b"})


class Clock:
    """Time that goes on only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeSession:
    """Stands for a session; every step is kept in order."""

    def __init__(self, *, served: str = "", whole: str = "", minority: str = "") -> None:
        self.steps: list[str] = []
        self.account = None
        self.cluster = SimpleNamespace(minority_serves=lambda nodes, account: self._step("minority") or minority)
        self._served = served
        self._whole = whole
        self._clock = 100.0

    def roles(self) -> Roles:
        return ROLES

    def begin(self) -> float:
        self._step("begin")
        return self._clock

    def wait_served(self, since: float, timeout: float) -> None:
        self._step("served")
        if self._served:
            raise TimedOut(self._served)

    def wait_whole(self, since: float, timeout: float) -> Whole:
        self._step("whole")
        if self._whole:
            raise TimedOut(self._whole)
        return Whole(since + 1, {"nodes": 0.75, "verification": 4.0}, ("units",))

    def _step(self, name: str) -> None:
        self.steps.append(name)


def strike(
    session: FakeSession,
    inject: Callable[[Field], Any] = lambda field: None,
    heal: Callable[[Field], Any] = lambda field: None,
    nodes: tuple[str, ...] = ("a",),
    **rest: Any,
) -> tuple[Strike, _Doing]:
    def injected(field: Field) -> None:
        session.steps.append("inject")
        inject(field)

    def healed(field: Field) -> None:
        session.steps.append("heal")
        heal(field)

    fault = Fault("fault", Kind.OTHER, "", lambda roles, random: nodes, injected, healed, **rest)
    ground = Ground(None, ROLES, nodes, Random(1), session.wait_served)  # type: ignore[arg-type]
    doing = _Doing(session, fault, ground)  # type: ignore[arg-type]
    doing.run(SimpleNamespace(held=nullcontext))
    return doing.record(3), doing


def failing(error: BaseException) -> Callable[[Field], None]:
    def fail(field: Field) -> None:
        raise error

    return fail


def test_a_strike_is_injected_endured_healed_and_recovered_from() -> None:
    session = FakeSession()
    done, _ = strike(session)
    assert session.steps == ["begin", "inject", "served", "heal", "whole"]
    assert (done.number, done.fault, done.injected, done.trouble, done.serving) == (3, "fault", 100.0, "", True)
    assert done.redundant == done.healed + 1


def test_a_fault_that_leaves_no_majority_is_healed_without_waiting_for_clients() -> None:
    session = FakeSession()
    strike(session, served=False)
    assert session.steps == ["begin", "inject", "heal", "whole"]


@pytest.mark.parametrize(("served_after", "lasted"), [(3.0, 15.0), (20.0, 20.0)])
def test_a_cause_lasts_until_clients_are_served_and_for_its_time_at_least(
    served_after: float, lasted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FakeSession):
        def wait_served(self, since: float, timeout: float) -> None:
            clock.sleep(served_after)

    clock = Clock()
    monkeypatch.setattr(sessions, "time", clock)
    began = clock.now
    done, _ = strike(Slow(), hold=15.0)
    assert done.healed - began == lasted


def test_what_a_strikes_time_went_to_is_noted() -> None:
    ground = strike(FakeSession())[1].ground
    assert ground.notes["waited for (s)"] == "verification 4.0, nodes 0.8"
    assert ground.notes["a verification found"] == "units"


@pytest.mark.parametrize(("node", "serving"), [("a", True), ("b", True), ("c", False)])
def test_writer_and_holders_serve(node: str, serving: bool) -> None:
    assert strike(FakeSession(), nodes=(node,))[0].serving is serving


def test_what_cannot_be_injected_is_trouble_and_healed_all_the_same() -> None:
    session = FakeSession()
    done, _ = strike(session, inject=failing(Failure("no such process")))
    assert session.steps[-2:] == ["heal", "whole"]
    assert "no such process" in done.trouble
    assert done.redundant is not None


def test_clients_that_stay_unserved_are_trouble_and_the_cause_is_healed() -> None:
    session = FakeSession(served="sql 0: refused")
    done, _ = strike(session)
    assert "while the cause lasted: sql 0: refused" in done.trouble
    assert session.steps[-2:] == ["heal", "whole"]


def test_a_cluster_that_is_not_whole_again_has_no_time_of_redundancy() -> None:
    done, _ = strike(FakeSession(whole="b is off"))
    assert done.redundant is None
    assert "b is off" in done.trouble


def test_a_heal_that_fails_is_trouble() -> None:
    done, _ = strike(FakeSession(), heal=failing(Failure("b does not boot")))
    assert "not healed: b does not boot" in done.trouble


def test_an_interrupt_is_healed_and_recorded_and_kept_for_later() -> None:
    session = FakeSession()
    done, doing = strike(session, inject=failing(KeyboardInterrupt()))
    assert session.steps == ["begin", "inject", "heal", "whole"]
    assert doing.interrupt is not None
    assert done.trouble == ""


def test_an_interrupt_while_it_recovers_lets_it_recover_and_a_second_does_not() -> None:
    class Impatient(FakeSession):
        def wait_whole(self, since: float, timeout: float) -> Whole:
            if self.steps.count("whole") < interrupts:
                self._step("whole")
                raise KeyboardInterrupt
            return super().wait_whole(since, timeout)

    interrupts = 1
    done, doing = strike(Impatient())
    assert doing.interrupt is not None
    assert (done.trouble, done.redundant) == ("", done.healed + 1)
    interrupts = 2
    with pytest.raises(KeyboardInterrupt):
        strike(Impatient())


def test_what_a_minority_serves_is_trouble() -> None:
    done, _ = strike(FakeSession(minority="a took a write"), minority=True)
    assert "a took a write" in done.trouble


def test_an_outage_is_counted_from_when_the_last_nodes_agents_had_started() -> None:
    done, _ = strike(FakeSession(), heal=lambda field: field.note(POWERED, 123.5))
    assert done.powered == 123.5


def test_signals_wait_until_what_must_be_finished_is() -> None:
    steps, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with interrupts.held():
            with interrupts.held():
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
        steps.append("never")
    assert steps == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_take_effect_at_once_otherwise() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()


def operation(began: float, outcome: Outcome = Outcome.OK, workload: Workload = Workload.BANK) -> Operation:
    return Operation(workload, 7, began, began + 0.5, outcome, None, "" if outcome is Outcome.OK else "Lost 2013")


def test_a_client_is_served_after_some_successes_since_then(tmp_path: Path) -> None:
    history = History(tmp_path)
    file = tmp_path / "sql-0.jsonl"
    assert history.waiting(0, [Workload.BANK]) == ["bank: nothing tried yet"]
    write_lines(file, [operation(10, Outcome.FAIL), *[operation(11 + at) for at in range(ENOUGH - 1)]])
    history.follow()
    assert history.waiting(10.5, [Workload.BANK]) == ["bank 7: succeeds"]
    write_lines(file, [operation(20)])
    history.follow()
    assert history.waiting(10.5, [Workload.BANK]) == []
    assert history.waiting(11.5, [Workload.BANK]) == ["bank 7: succeeds"]


def test_a_client_whose_every_other_operation_fails_is_not_served(tmp_path: Path) -> None:
    history = History(tmp_path)
    outcomes = [Outcome.OK, Outcome.FAIL] * ENOUGH
    write_lines(tmp_path / "x.jsonl", [operation(at, outcome) for at, outcome in enumerate(outcomes)])
    history.follow()
    assert history.waiting(0, [Workload.BANK]) == ["bank 7: Lost 2013"]


def test_old_successes_do_not_serve_a_client_that_has_failed_since(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_lines(tmp_path / "x.jsonl", [operation(at) for at in range(10)])
    write_lines(tmp_path / "x.jsonl", [operation(10 + at, Outcome.FAIL) for at in range(10)])
    history.follow()
    assert history.waiting(0, []) == ["bank 7: Lost 2013"]


def test_a_conflict_serves_a_client_which_is_silent_without_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_lines(tmp_path / "x.jsonl", [operation(at) for at in range(ENOUGH)])
    conflict = Operation(Workload.BANK, 7, 10.0, 10.5, Outcome.FAIL, None, "OperationalError 1213")
    history.follow()
    assert history.silent(10.0) == ["bank 7"]
    write_lines(tmp_path / "x.jsonl", [conflict] * ENOUGH)
    history.follow()
    assert (history.silent(10.0), history.waiting(10.0, [])) == ([], [])


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_lines(tmp_path / "x.jsonl", [operation(1), operation(2)])
    text = (tmp_path / "x.jsonl").read_bytes()
    (tmp_path / "x.jsonl").write_bytes(text[:-5])
    history.follow()
    assert [each.began for each in history.recent] == [1]
    (tmp_path / "x.jsonl").write_bytes(text)
    history.follow()
    assert [each.began for each in history.recent] == [1, 2]
    history.forget(2)
    assert [each.began for each in history.recent] == [2]


def test_what_only_accounts_is_not_waited_for(tmp_path: Path) -> None:
    history = History(tmp_path)
    write_lines(tmp_path / "x.jsonl", [operation(1, Outcome.FAIL, Workload.CONSUME)])
    history.follow()
    assert history.waiting(0, []) == []
    assert history.recent == []
