"""Clients leave before a service stops: by a flag that its check shows, watched in what the balancers tell."""

from dataclasses import replace
from pathlib import Path

import pytest

from tripleo_ha import cluster, paths
from tripleo_ha.node import applied, draining, galera_check
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Balance, Check, Listener, Program, Row, Unit, Wsgi

NODES = [{"name": f"n{i}", "ip": f"192.0.2.1{i}"} for i in range(3)]
METADATA = {"cluster": {"name": "c", "nodes": NODES, "virtual_ips": {}}, "node": {"name": "n1"}}
SQL = Listener("mysql", 3306, (), balance=Balance(("control",), Check("/galera", port=9590)))
API = Listener("api", 5000, (), protocol="http", balance=Balance(("control",), Check("/healthcheck")))


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    return tmp_path / "run"


def told(**states: tuple[str, str]) -> draining.Statistics:
    return {("mysql", name): {"status": status, "scur": current} for name, (status, current) in states.items()}


@pytest.fixture
def drain(monkeypatch: pytest.MonkeyPatch) -> list[draining.Statistics]:
    """What the balancer tells, one answer after the other, the last again and again."""
    answers: list[draining.Statistics] = []

    def statistics(context: Context) -> dict[str, draining.Statistics]:
        return {"n0": answers.pop(0) if len(answers) > 1 else answers[0]} if answers else {}

    monkeypatch.setattr(draining, "statistics", statistics)
    return answers


def context() -> Context:
    return Context(METADATA, cluster.from_metadata(METADATA), ())


def test_the_flag_is_the_check_s_at_the_health_endpoint_and_the_listener_s_elsewhere() -> None:
    assert (draining.flag(SQL), draining.flag(API)) == ("galera", "api")


@pytest.mark.parametrize(
    ("state", "gone"),
    [
        (("UP", "0"), False),
        (("UP 1/2", "0"), False),
        (("NOLB", "1"), False),
        (("NOLB", "0"), True),
        (("DOWN", "0"), True),
    ],
)
def test_clients_have_left_when_nothing_is_sent_or_under_way(state: tuple[str, str], gone: bool) -> None:
    assert draining.left(told(n1=state), "mysql", "n1") is gone


def test_a_restart_waits_until_clients_have_left_and_then_lets_them_come_again(
    drain: list[draining.Statistics],
) -> None:
    drain += [told(n0=("UP", "0"), n1=("UP", "3")), told(n0=("UP", "0"), n1=("UP", "3")), told(n1=("DOWN", "0"))]
    with draining.drained(context(), [SQL]):
        assert draining.asked("galera")
        assert len(drain) == 1, "it did not wait"
    assert not draining.asked("galera")


def test_a_unit_that_stops_sends_away_the_clients_of_what_it_serves_alone() -> None:
    other = replace(API, name="other")
    row = Row("some", "some", "", listeners=(SQL, API, other))
    assert row.drained_with(Unit("packaged.service")) == (SQL, API, other)
    assert row.drained_with(Unit("a.service", wsgi=Wsgi("/usr/bin/a", "api", "a"))) == (API,)
    assert row.drained_with(Unit("b.service", program=Program(("b",), "b", listener="other"))) == (other,)
    assert row.drained_with(Unit("c.service", program=Program(("c",), "c"))) == ()


def test_nobody_is_asked_to_leave_a_service_that_nobody_else_would_serve(drain: list[draining.Statistics]) -> None:
    drain.append(told(n0=("DOWN", "0"), n1=("UP", "3"), BACKEND=("UP", "3")))
    with draining.drained(context(), [SQL]):
        assert not draining.asked("galera")


def test_clients_that_stay_hold_nothing_up_for_long(
    drain: list[draining.Statistics], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LEAVE_TIMEOUT", 0.0)
    drain.append(told(n0=("UP", "0"), n1=("UP", "3")))
    draining.leave(context(), [SQL])
    assert draining.asked("galera")


def test_a_balancer_that_falls_silent_has_not_said_that_clients_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, idle = told(n0=("UP", "0"), n1=("UP", "3")), told(n0=("UP", "0"), n1=("DOWN", "0"))
    answers = [{"n0": busy, "n1": busy}, {"n1": idle}, {"n0": busy, "n1": idle}, {"n0": idle, "n1": idle}]
    monkeypatch.setattr(draining, "statistics", lambda context: answers.pop(0))
    draining.leave(context(), [SQL])
    assert answers == []


def test_what_a_run_left_that_was_killed_is_forgotten_but_not_on_a_node_that_goes_down(runtime: Path) -> None:
    runtime.joinpath("draining").mkdir(parents=True)
    runtime.joinpath("draining", "galera").touch()
    draining.forget()
    assert not draining.asked("galera")
    for name in ("galera", draining.FOR_GOOD):
        runtime.joinpath("draining", name).touch()
    draining.forget()
    assert draining.asked("galera")


def test_what_mariadb_refuses_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my.cnf"
    unit = Unit("mariadb.service", files=(str(file),))

    def refuse(argv: list[str], timeout: float) -> None:
        raise CommandFailed(argv, "exit status 7", "a [Note] b\n1 0 [ERROR] mariadbd: unknown variable 'x=1'\n")

    monkeypatch.setattr(galera_check, "run", refuse)
    file.write_text("good")
    applied.note(unit)
    galera_check.check(unit)
    file.write_text("bad")
    with pytest.raises(Exception, match=r"refuses the new configuration(?s:.*)unknown variable 'x=1'"):
        galera_check.check(unit)
    assert file.read_text() == "good"
