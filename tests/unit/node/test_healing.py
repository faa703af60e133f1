"""When a node asks for a converge run, what the healer makes of checks and units, and how root takes a request up."""

import fcntl
import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha import paths, table
from tripleo_ha.node import healing, main, room
from tripleo_ha.node.health import galera, handler, healer
from tripleo_ha.node.health.healer import Healer, UnitState
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.topology.healing import FIRST_AFTER, LONGEST_PAUSE, Cause, Condition, answer, pause

ILL = CheckResult(False, "no answer", mendable=True)
WELL = CheckResult(True, "Synced")
UNITS = {"mariadb.service": "galera", "keystone.service": ""}


def test_every_condition_has_an_answer_in_words_and_a_request_has_all_it_needs() -> None:
    times = (0.0, 19.9, 20.0, 9999.0), (0, 1, 2, 9999), (0.0, 39.9, 40.0, 600.0)
    ways: Any = product(Cause, *times, *[(False, True)] * 3)
    asked = 0
    for cause, seconds, number, ago, converged, converging, draining in ways:
        told = answer(Condition(cause, seconds, number, ago, converged, converging, draining))
        assert told.reason
        free = converged and not converging and not draining
        late_enough = seconds >= FIRST_AFTER and (not number or ago >= pause(number))
        assert told.ask == (cause is Cause.MENDABLE and free and late_enough)
        asked += told.ask
    assert asked > 0


def test_pauses_double_up_to_ten_minutes() -> None:
    assert [pause(asked) for asked in range(1, 7)] == [40, 80, 160, 320, LONGEST_PAUSE, LONGEST_PAUSE]
    assert pause(10**6) == LONGEST_PAUSE


class Machine:
    """A node's checks, units and run, as the healer sees them; ``requests`` are what it asked, with the time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
        self.results = {"galera": WELL}
        self.states = dict.fromkeys(UNITS, UnitState("active", "1"))
        self.requests: list[tuple[int, str]] = []
        self.converging = False
        self.now = 0
        self.converged(ok=True)
        monkeypatch.setattr(healing, "request", lambda reason: self.requests.append((self.now, reason)))
        monkeypatch.setattr(healing, "converging", lambda: self.converging)
        monkeypatch.setattr(healer, "_states", lambda units: dict(self.states))
        monkeypatch.setattr(room, "lacking", lambda directory, needed: "")
        self.healer = Healer({name: lambda name=name: self.results[name] for name in self.results}, lambda: UNITS)

    @staticmethod
    def converged(ok: bool) -> None:
        (paths.RUNTIME / "converged.json").write_text(json.dumps({"ok": ok}))

    def wait(self, seconds: int) -> list[int]:
        """Let time pass and return when a run was asked for meanwhile."""
        before = len(self.requests)
        for _ in range(seconds):
            self.healer.look(self.now)
            self.now += 1
        return [at for at, _ in self.requests[before:]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr(room, "WANTED", tmp_path / "no-room")
    return Machine(monkeypatch, tmp_path)


def test_a_check_that_stays_unwell_is_mended_more_and_more_rarely(machine: Machine) -> None:
    assert machine.wait(100) == []
    machine.results["galera"] = ILL
    assert machine.wait(700) == [120, 160, 240, 400, 720]
    assert machine.requests[0][1] == "galera has been unwell for 20 s: no answer"


def test_one_that_comes_back_by_itself_is_left_alone(machine: Machine) -> None:
    for _ in range(20):
        machine.results["galera"] = ILL
        assert machine.wait(19) == []
        machine.results["galera"] = WELL
        assert machine.wait(5) == []


def test_a_node_that_was_well_for_long_enough_is_mended_as_soon_as_the_first_time(machine: Machine) -> None:
    machine.results["galera"] = ILL
    machine.wait(70)
    machine.results["galera"] = WELL
    machine.wait(100)
    machine.results["galera"] = ILL
    assert machine.wait(25) == [190]


@pytest.mark.parametrize("hindrance", ["converging", "draining", "not converged", "no room", "other"])
def test_nothing_is_asked_when_it_would_not_help(machine: Machine, hindrance: str) -> None:
    machine.results["galera"] = CheckResult(False, "Joining") if hindrance == "other" else ILL
    machine.converging = hindrance == "converging"
    if hindrance == "draining":
        (paths.RUNTIME / "draining").mkdir()
        (paths.RUNTIME / "draining" / "keystone").touch()
    if hindrance == "not converged":
        (paths.RUNTIME / "converged.json").unlink()
    if hindrance == "no room":
        room.lacking = lambda directory, needed: "63 MB left on the disk, 64 needed"
    assert machine.wait(100) == []


def test_a_unit_that_systemd_gave_up_is_mended(machine: Machine) -> None:
    machine.states["keystone.service"] = UnitState("failed", "1")
    assert machine.wait(40) == [20]
    assert machine.requests[0][1] == "keystone.service has been unwell for 20 s: systemd says that it is failed"


def test_one_long_start_is_waited_for_and_one_after_the_other_are_not(machine: Machine) -> None:
    machine.results["galera"] = ILL
    machine.states["mariadb.service"] = UnitState("activating", "2")
    assert machine.wait(300) == []
    machine.states["mariadb.service"] = UnitState("activating", "3")
    assert machine.wait(20) == [300]


def test_a_unit_that_fails_again_and_again_is_mended_whatever_its_check_says(machine: Machine) -> None:
    machine.results["galera"] = CheckResult(False, "it does not answer")
    assert machine.wait(100) == []
    for start in range(6):
        machine.states["mariadb.service"] = UnitState("activating", str(start))
        machine.wait(10)
    assert len(machine.requests) == 1


def test_a_run_that_failed_is_followed_by_another_until_one_succeeds(machine: Machine) -> None:
    machine.results["galera"] = ILL
    machine.wait(21)
    machine.results["galera"] = WELL
    machine.converged(ok=False)
    assert machine.wait(60) == [60]
    machine.converged(ok=True)
    assert machine.wait(1000) == []


def test_a_broker_that_stepped_aside_is_left_to_what_stopped_it(machine: Machine) -> None:
    room.WANTED.touch()
    assert healer._lacks_room("rabbitmq")
    room.WANTED.unlink()
    assert not healer._lacks_room("rabbitmq")


def test_units_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = [{"unit": "a.service", "active": "active"}, {"unit": "b.service", "active": "failed"}]
    monkeypatch.setattr(healer, "run", lambda argv, timeout: SimpleNamespace(stdout=json.dumps(listed)))
    monkeypatch.setattr(healer, "INVOCATIONS", tmp_path)
    (tmp_path / "invocation:a.service").symlink_to("1d6bbe49")
    assert healer._states({"a.service": "", "b.service": "", "c.service": ""}) == {
        "a.service": UnitState("active", "1d6bbe49"),
        "b.service": UnitState("failed"),
        "c.service": UnitState("inactive"),
    }


@pytest.mark.parametrize("said", ["", "Failed to connect to bus"])
def test_nothing_is_known_where_systemd_does_not_answer(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(healer, "run", lambda argv, timeout: SimpleNamespace(stdout=said))
    assert healer._states({"a.service": ""}) == {}


def test_what_is_new_is_watched_from_the_next_look_on(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = {"a.service": ""}
    monkeypatch.setattr(healer, "_states", lambda units: dict.fromkeys(units, UnitState("failed")))
    mender = Healer({}, lambda: watched)
    mender.look(0)
    watched["b.service"] = ""
    assert set(mender.look(1)) == {"a.service"}
    assert set(mender.look(healer.UNITS_INTERVAL)) == {"a.service", "b.service"}


def test_what_has_to_run_everywhere_is_watched() -> None:
    watched = handler.watched(table.load())
    assert watched["mariadb.service"] == "galera"
    assert watched["rabbitmq-server.service"] == watched["epmd.service"] == "rabbitmq"
    assert watched["keystone.service"] == ""
    assert not {"ceilometer-agent-central.service", "chrony.service"} & set(watched)


@pytest.mark.parametrize(
    ("status", "outside"),
    [
        ({"cluster_status": "Disconnected", "connected": "OFF", "local_state": "0"}, True),
        ({"cluster_status": "non-Primary", "connected": "ON", "local_state": "0"}, True),
        ({"cluster_status": "non-Primary", "connected": "ON", "local_state": "1"}, True),
        ({"cluster_status": "Primary", "connected": "ON", "local_state": "3"}, False),
    ],
)
def test_a_server_outside_is_mendable_also_one_that_may_have_stalled_on_its_way_in(
    status: Mapping[str, str], outside: bool
) -> None:
    assert galera.stays_outside(status) is outside


def test_root_takes_a_request_up_says_why_and_notes_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    monkeypatch.setattr(healing, "REQUEST", tmp_path / "converge")
    healing.request("galera has been unwell for 20 s: it left\nthe group")
    assert healing.requested()
    with caplog.at_level("INFO"):
        healing.take_up()
    assert not healing.requested()
    assert caplog.messages == ["healing: this node converges, since galera has been unwell for 20 s: it left the group"]
    assert main.status() == 1
    assert "of its own accord" in healing.last()
    (tmp_path / "run" / "converged.json").write_text('{"generation": "g", "ok": true, "failures": {}, "skipped": {}}')
    assert main.status() == 0
    assert "since galera has been unwell for 20 s: it left the group" in capsys.readouterr().out


def test_a_link_in_place_of_a_request_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr(healing, "REQUEST", tmp_path / "converge")
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    healing.REQUEST.symlink_to(secret)
    healing.take_up()
    assert "s3cret" not in healing.last()
    assert secret.exists()
    assert not healing.REQUEST.is_symlink()


def test_the_lock_of_a_run_is_seen_without_being_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, locks = tmp_path / "lock", tmp_path / "locks"
    monkeypatch.setattr(healing, "LOCK", lock)
    assert not healing.converging()
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = lock.stat()
        monkeypatch.setattr(healing, "LOCKS", locks)
        locks.write_text("1: POSIX  ADVISORY  WRITE 1 00:01:1 0 EOF\n")
        assert not healing.converging()
        device = f"{healing.os.major(found.st_dev):02x}:{healing.os.minor(found.st_dev):02x}"
        locks.write_text(f"2: FLOCK  ADVISORY  WRITE 2790 {device}:{found.st_ino} 0 EOF\n")
        assert healing.converging()
