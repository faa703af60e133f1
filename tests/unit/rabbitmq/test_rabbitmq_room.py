"""A broker whose disk has no room: not for clients, and out of the others' way while they can do without it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha import cluster
from tripleo_ha.errors import Failure
from tripleo_ha.node import healing, rabbitmq, rabbitmq_room, room
from tripleo_ha.node.context import Context
from tripleo_ha.node.health import rabbitmq as health
from tripleo_ha.node.health.rabbitmq import Memory
from tripleo_ha.table import Row, Unit
from tripleo_ha.topology.rabbitmq import can_do_without

METADATA = {"node": {"name": "a"}, "rabbit": {"monitor_password": "monitor-pw"}}
ROW = Row("rabbitmq-cluster", "rabbit", "", units=(Unit("rabbitmq-server.service"),))


class Disk:
    """How much is free (MB), now and at each later look."""

    def __init__(self, *free: int) -> None:
        self.free = list(free)

    def __call__(self, directory: Path) -> int:
        return self.free.pop(0) if len(self.free) > 1 else self.free[0]


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "broker-has-no-room"
    monkeypatch.setattr(room, "WANTED", file)
    return file


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the unit."""
    done: list[str] = []
    monkeypatch.setattr(rabbitmq.units, "stop", lambda unit: done.append(f"stop {unit}"))
    monkeypatch.setattr(healing, "request", lambda reason: done.append(f"a run, since {reason}"))
    monkeypatch.setattr(rabbitmq.units, "is_active", lambda unit: False)
    monkeypatch.setattr(rabbitmq_room.time, "sleep", lambda seconds: None)
    return done


def context(monkeypatch: pytest.MonkeyPatch, **healthy: bool) -> Context:
    nodes = tuple(cluster.Node(name, f"192.0.2.1{index + 1}", index) for index, name in enumerate("abc"))
    status = {name: {"checks": {"rabbitmq": {"healthy": well}}} for name, well in healthy.items()}
    made: Any = SimpleNamespace(
        cluster=SimpleNamespace(nodes=nodes, me=nodes[0], peers=nodes[1:]),
        peer=lambda node, timeout: status.get(node.name),
    )
    context: Context = made
    return context


@pytest.mark.parametrize(
    ("healthy", "can"), [("bc", True), ("abc", True), ("b", False), ("", False), ("bd", False), ("ac", False)]
)
def test_one_can_be_done_without_when_the_others_are_a_majority(healthy: str, can: bool) -> None:
    assert can_do_without("abc", healthy, "a") == can


def test_a_lone_broker_is_never_stopped() -> None:
    assert not can_do_without("a", "a", "a")


def test_no_room_is_unhealthy_and_leaves_the_word(
    fake_broker: Any, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_broker.cluster("abc", "abc")
    monkeypatch.setattr(room, "free_mb", Disk(room.BROKER_MB - 1))
    found = health.check(METADATA, Memory())
    assert not found.healthy
    assert "199 MB left" in found.reason
    assert found.facts["running"] == ["a", "b", "c"], "peers still learn what it sees"
    assert marker.exists()
    monkeypatch.setattr(room, "free_mb", Disk(room.BROKER_MB))
    assert health.check(METADATA, Memory()).healthy
    assert not marker.exists()


def test_it_steps_aside_and_asks_for_the_run_that_starts_it_again(
    done: list[str], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker.touch()
    monkeypatch.setattr(room, "free_mb", Disk(0, 0, room.BROKER_MB + 1, room.RETURN_MB))
    rabbitmq_room.step_aside(context(monkeypatch, b=True, c=True), ROW)
    assert done == [
        "stop rabbitmq-server.service",
        "a run, since the broker stepped aside, and its disk has room again",
    ]
    assert not marker.exists()


def test_it_stays_while_the_others_are_no_majority(
    done: list[str], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_mb", Disk(0, 0, 0, room.BROKER_MB))
    rabbitmq_room.step_aside(context(monkeypatch, b=True, c=False), ROW)
    assert done == []


def test_a_converge_run_does_not_start_it_before_there_is_room(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_mb", Disk(room.RETURN_MB - 1))
    with pytest.raises(Failure, match="not started: 299 MB left"):
        rabbitmq.converge(context(monkeypatch), ROW)
    assert done == []


def test_a_disk_that_is_not_there_has_room(tmp_path: Path) -> None:
    assert room.lacking(tmp_path / "none", 10**9) == ""
    assert room.lacking(tmp_path, 10**9)


def test_without_an_endpoint_s_directory_there_is_no_word_to_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WANTED", tmp_path / "none" / "file")
    room.ask_to_step_aside(True)
    assert not (tmp_path / "none").exists()
