"""Which servers that run are ended for what they have done for too long, and that the converge run then starts them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest

from tripleo_ha.errors import Failure
from tripleo_ha.node import galera, galera_facts, units
from tripleo_ha.node.galera import Start
from tripleo_ha.node.galera_facts import Files
from tripleo_ha.table import Row, Unit
from tripleo_ha.topology.galera import Action, Facts, Phase, Situation
from tripleo_ha.topology.galera_patience import IDLE_FOR, MUTE_FOR, OUTSIDE_FOR, STALLED_FOR, Stay, overdue

UUID = "2f6e3b20-e69a-11f1-990c-6f3410f6ebf8"
MUTE = Stay(Phase.STARTING, started=True, mute=True)
ALONE = Stay(Phase.STARTING, alone=True)
FOUNDING = Stay(Phase.STARTING, alone=True, founding=True, worked=2)
BESIDE = Stay(Phase.NON_PRIMARY, beside_primary=True)
JOINING = replace(BESIDE, joining=True, applied=7)


@pytest.mark.parametrize(
    ("stay", "bound"),
    [(MUTE, MUTE_FOR), (ALONE, OUTSIDE_FOR), (FOUNDING, IDLE_FOR), (BESIDE, OUTSIDE_FOR), (JOINING, STALLED_FOR)],
)
def test_a_server_is_ended_only_when_its_time_is_up_and_never_in_a_transfer(stay: Stay, bound: float) -> None:
    assert overdue(stay, bound) == ""
    assert overdue(stay, bound + 1) != ""
    assert overdue(replace(stay, receiving=True), 10 * bound) == ""


@pytest.mark.parametrize(
    "stay",
    [
        Stay(Phase.STARTING),
        replace(MUTE, started=False),
        replace(MUTE, mute=False, alone=True),
        replace(FOUNDING, started=True),
        Stay(Phase.NON_PRIMARY, alone=True),
        Stay(Phase.PRIMARY, beside_primary=True),
        Stay(Phase.DOWN, alone=True),
    ],
)
def test_a_server_that_may_come_by_itself_is_left_alone(stay: Stay) -> None:
    assert overdue(stay, 3600) == ""


def test_a_start_that_came_to_nothing_is_not_tried_again_alone() -> None:
    failed = replace(ALONE, failed=True)
    assert overdue(failed, 0) != ""
    assert overdue(replace(failed, alone=False), 0) == ""
    assert overdue(replace(failed, founding=True), 0) == ""


class Server:
    """A unit and its server as :class:`Start` sees them, a clock, and what was done."""

    def __init__(self, **peers: Facts) -> None:
        self.now = 0.0
        self.active = "active"
        self.worked_s = 0.0
        self.restarts = 0
        self.answers: dict[str, str] | None = None
        self.done: list[str] = []
        self.peers = peers

    def ask(self) -> tuple[Any, bool]:
        return ((galera_facts.of_status(self.answers), self.answers), False) if self.answers else (None, True)

    def properties(self, name: str, *wanted: str) -> dict[str, str]:
        worked = str(int(self.worked_s * 1e9))
        return {"ActiveState": self.active, "NRestarts": str(self.restarts), "CPUUsageNSec": worked}

    def kill(self, unit: Unit) -> None:
        self.done.append("kill")
        self.active, self.answers = "inactive", None

    def situation(self, context: Any, mine: Facts) -> Situation:
        return Situation(("a", "b", "c"), "a", {"a": mine, **self.peers})


PRIMARY = Facts(Phase.PRIMARY, UUID, 9)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    server = Server(b=PRIMARY, c=PRIMARY)
    monkeypatch.setattr(galera_facts, "ask_this_server", server.ask)
    monkeypatch.setattr(galera_facts, "situation", server.situation)
    monkeypatch.setattr(galera_facts, "generation", lambda context: "g")
    monkeypatch.setattr(galera_facts, "on_disk", lambda files: Facts(Phase.DOWN, UUID, 7))
    monkeypatch.setattr(galera.units, "properties", server.properties)
    monkeypatch.setattr(galera.galera_actions, "BOOTSTRAP_ONCE", tmp_path / "wsrep-new-cluster")
    monkeypatch.setattr(galera.galera_actions, "kill", server.kill)
    monkeypatch.setattr(galera.galera_actions, "start", lambda unit, at: server.done.append(f"start at {at}"))
    monkeypatch.setattr(galera.time, "monotonic", lambda: server.now)
    monkeypatch.setattr(galera, "member", lambda context, facts: facts)
    return server


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Start:
    context: Any = SimpleNamespace(
        publish=lambda *told, **facts: None,
        changed=lambda what: None,
        cluster=SimpleNamespace(me=SimpleNamespace(name="a")),
    )
    unit = Unit("mariadb.service")
    return Start(context, Row("mariadb-galera", "mysql", "", units=(unit,)), unit, Files(tmp_path))


def test_a_frozen_server_is_ended_and_joins_anew(server: Server, start: Start) -> None:
    assert start.step().action is Action.WAIT
    server.now = MUTE_FOR
    assert start.step().action is Action.WAIT
    server.now = MUTE_FOR + 1
    assert start.step().action is Action.END
    assert start.step().action is Action.JOIN
    assert server.done == ["kill", f"start at {(UUID, 7)}"]


def test_a_frozen_server_is_ended_whatever_the_others_do_meanwhile(server: Server, start: Start) -> None:
    for second in range(0, int(MUTE_FOR) + 3, 2):
        server.now = float(second)
        server.peers["b"] = replace(PRIMARY, phase=Phase.PRIMARY if second % 4 else Phase.NON_PRIMARY)
        start.step()
    assert server.done[:1] == ["kill"]


def test_a_server_that_starts_is_given_the_time_that_systemd_gives_it(server: Server, start: Start) -> None:
    server.active = "activating"
    for server.now in (0.0, 100.0, 200.0):
        assert start.step().action is Action.WAIT
    assert server.done == []


BLANK = Facts(Phase.BLANK, vote="a")


@pytest.fixture
def founder(server: Server, start: Start, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A node that began to found its cluster: its server was told to bootstrap, and all others are blank."""
    server.active = "activating"
    server.peers = {"b": BLANK, "c": BLANK}
    monkeypatch.setattr(galera_facts, "on_disk", lambda files: BLANK)
    monkeypatch.setattr(galera.galera_actions, "initialise", lambda files: server.done.append("initialise"))
    monkeypatch.setattr(
        galera.galera_actions, "start", lambda unit, position, bootstrap=False: server.done.append(f"start {bootstrap}")
    )
    galera.galera_actions.BOOTSTRAP_ONCE.touch()
    return start


def test_a_founder_whose_start_failed_founds_anew(server: Server, founder: Start) -> None:
    # systemd started it again, as a joiner of nobody: the order to bootstrap is gone with the start that failed.
    galera.galera_actions.BOOTSTRAP_ONCE.unlink()
    for server.now in (0.0, OUTSIDE_FOR):
        assert founder.step().action is Action.WAIT
    server.now += 1
    assert founder.step().action is Action.END
    actions = [founder.step().action for _ in range(2)]
    assert actions[-1] is Action.CREATE
    assert server.done == ["kill", "initialise", "start True"]


def test_a_founder_whose_starts_fail_says_why(server: Server, founder: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    galera.galera_actions.BOOTSTRAP_ONCE.unlink()
    monkeypatch.setattr(galera.galera_actions, "last_words", lambda unit: "[ERROR] no such option")

    def started_again(unit: Unit, position: object, bootstrap: bool = False) -> None:
        server.active, server.restarts = "activating", 1

    monkeypatch.setattr(galera.galera_actions, "start", started_again)
    founder.step()
    server.restarts = 1
    with pytest.raises(Failure, match=r"ended 3 times in a row(?s:.*)no such option"):
        for _ in range(20):
            founder.step()


def test_a_joiner_of_nobody_is_ended_however_hard_it_works(server: Server, start: Start) -> None:
    server.active, server.peers = "activating", {}
    for server.now in (0.0, 20.0):
        server.worked_s += 1
        assert start.step().action is Action.WAIT
    server.restarts, server.worked_s = 1, 0.0
    assert start.step().action is Action.END


def test_a_frozen_server_is_ended_whatever_it_works(server: Server, start: Start) -> None:
    start.step()
    server.worked_s, server.now = 5.0, MUTE_FOR + 1
    assert start.step().action is Action.END


def test_a_founder_that_works_is_left_alone_and_one_that_hangs_is_not(server: Server, founder: Start) -> None:
    for server.now in (0.0, 50.0, 100.0, 150.0):
        server.worked_s = server.now / 10
        assert founder.step().action is Action.WAIT
    server.worked_s += 0.9
    server.now += IDLE_FOR + 1
    assert founder.step().action is Action.END
    assert server.done == ["kill"]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"CPUUsageNSec": "2900000000"}, 2),
        ({"CPUUsageNSec": "18446744073709551615"}, 0),
        ({"CPUUsageNSec": "[not set]"}, 0),
        ({}, 0),
    ],
)
def test_processor_time_that_nobody_counts_is_none(told: dict[str, str], seconds: int) -> None:
    assert units.processor_seconds(told) == seconds


@pytest.mark.parametrize(
    ("told", "bound"),
    [
        ({"local_state": "0"}, OUTSIDE_FOR),
        ({"local_state": "1", "last_committed": "8023"}, STALLED_FOR),
    ],
    ids=["outside", "stalled"],
)
def test_a_member_that_stays_outside_beside_a_component_is_ended_and_joins_anew(
    told: dict[str, str], bound: float, server: Server, start: Start
) -> None:
    server.answers = {"cluster_status": "non-Primary", "connected": "ON", **told}
    for server.now in (0.0, bound):
        assert start.step().action is Action.WAIT
    server.now += 1
    assert start.step().action is Action.END
    assert start.step().action is Action.JOIN


def test_a_member_that_takes_what_it_lacks_is_left_alone(server: Server, start: Start) -> None:
    for server.now in (0.0, 50.0, 100.0, 150.0):
        server.answers = {"cluster_status": "non-Primary", "connected": "ON", "local_state": "1"}
        server.answers["last_committed"] = str(int(server.now))
        assert start.step().action is Action.WAIT
    assert server.done == []


def test_a_server_that_left_the_group_is_ended_at_once(server: Server, start: Start) -> None:
    server.answers = {"cluster_status": "Disconnected", "connected": "OFF", "local_state": "0"}
    assert start.step().action is Action.END
    assert start.step().action is Action.JOIN
    assert server.done == ["kill", f"start at {(UUID, 7)}"]


@pytest.mark.parametrize(("number", "mute"), [(2013, True), (2002, True), (1040, False)])
def test_a_server_without_a_free_connection_is_not_mute(
    number: int, mute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**how: object) -> None:
        raise pymysql.OperationalError(number, "no")

    monkeypatch.setattr(pymysql, "connect", refuse)
    assert galera_facts.ask_this_server() == (None, mute)
