"""When HAProxy may send clients to this node's broker."""

from typing import Any

import pytest

from tripleo_ha.node.health import rabbitmq as health
from tripleo_ha.node.health.rabbitmq import Memory
from tripleo_ha.topology.rabbitmq import Membership

METADATA = {"node": {"name": "a"}, "rabbit": {"monitor_password": "monitor-pw"}}
NODES = "/api/nodes?columns=name,running"


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    Clock.now = 1000.0
    monkeypatch.setattr(health.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.mark.parametrize(
    ("members", "running", "alarms", "healthy"),
    [
        ("abc", "abc", (), True),
        ("abc", "ab", (), True),
        ("a", "a", (), True),
        ("abc", "a", (), False),
        ("ab", "a", (), False),
        ("abc", "bc", (), False),
        ("bc", "bc", (), False),
        ("abc", "abc", ("disk",), False),
    ],
)
def test_judgement(members: str, running: str, alarms: tuple[str, ...], healthy: bool) -> None:
    found = health.judge("a", Membership(frozenset(members), frozenset(running)), alarms)
    assert found.healthy == healthy
    assert found.reason


def test_a_broker_that_runs_among_a_majority_is_healthy(fake_broker: Any) -> None:
    fake_broker.cluster("abc", "ab")
    found = health.check(METADATA, Memory())
    assert (found.healthy, found.reason) == (True, "2 of 3 members run")
    assert found.facts["running"] == ["a", "b"]
    assert found.metrics == {"up": 1, "members": 3, "running": 2, "majority": 1, "alarms": 0}


def test_an_alarm_makes_it_unhealthy(fake_broker: Any) -> None:
    fake_broker.cluster("abc", "abc")
    alarms = [{"node": "rabbit@a", "resource": "disk"}]
    fake_broker.answers["/api/health/checks/local-alarms"] = (503, {"status": "failed", "alarms": alarms})
    found = health.check(METADATA, Memory())
    assert (found.healthy, found.reason) == (False, "alarm: disk")


def test_a_broker_that_is_down_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tripleo_ha.node.rabbitmq_api.ADDRESS", ("127.0.0.1", 1))
    found = health.check(METADATA, Memory())
    assert not found.healthy
    assert found.metrics == {"up": 0}


def test_survivors_stay_while_a_peer_s_death_is_not_noticed(
    fake_broker: Any, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.1)
    memory = Memory()
    fake_broker.cluster("abc", "abc")
    assert health.check(METADATA, memory).healthy
    fake_broker.slow[NODES] = 0.5
    clock.now += 5
    assert health.check(METADATA, memory).healthy
    clock.now += health.MEMORY
    assert not health.check(METADATA, memory).healthy


def test_a_frozen_broker_is_unhealthy_in_spite_of_memory(
    fake_broker: Any, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.1)
    memory = Memory()
    fake_broker.cluster("abc", "abc")
    assert health.check(METADATA, memory).healthy
    fake_broker.slow["/api/health/checks/local-alarms"] = 0.5
    assert not health.check(METADATA, memory).healthy


def test_one_that_refuses_everybody_for_want_of_room_is_not_taken_for_one_with_a_new_password(
    fake_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(health.room, "ask_to_step_aside", asked.append)
    monkeypatch.setattr(health.room, "free_mb", lambda directory: 0)
    fake_broker.passwords["monitor"] = "nobody is known"
    found = health.check(METADATA, Memory())
    assert not found.healthy
    assert found.reason.startswith("0 MB left")
    assert asked == [True]


def test_a_new_password_has_a_minute_to_be_applied(fake_broker: Any, clock: type[Clock]) -> None:
    memory = Memory()
    fake_broker.cluster("abc", "abc")
    fake_broker.passwords["monitor"] = "another"
    assert health.check(METADATA, memory).healthy
    clock.now += health.GRACE + 1
    found = health.check(METADATA, memory)
    assert not found.healthy
    assert "monitor-pw" not in found.reason
    fake_broker.passwords["monitor"] = "monitor-pw"
    assert health.check(METADATA, memory).healthy
    fake_broker.passwords["monitor"] = "another"
    assert health.check(METADATA, memory).healthy
