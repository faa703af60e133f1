"""A singleton is restarted where it runs, when its configuration is newer than its process, and only then."""

import pacemaker_given as given
import pytest

from tripleo_ha import paths
from tripleo_ha.node import singleton
from tripleo_ha.table import Unit


class Unitd:
    """A unit that Pacemaker may have started: when (seconds of the monotonic clock), or None."""

    def __init__(self):
        self.entered = None
        self.now = 100.0
        self.restarts = 0

    def properties(self, unit, *names):
        active = self.entered is not None
        entered = int((self.entered or 0) * 1e6)
        return {"ActiveState": "active" if active else "inactive", "ActiveEnterTimestampMonotonic": str(entered)}

    def restart(self, unit):
        self.restarts += 1
        self.now += 1
        self.entered = self.now


@pytest.fixture
def unitd(monkeypatch, tmp_path):
    fake = Unitd()
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    monkeypatch.setattr(singleton.units, "properties", fake.properties)
    monkeypatch.setattr(singleton.units, "restart", fake.restart)
    monkeypatch.setattr(singleton.time, "monotonic", lambda: fake.now)
    monkeypatch.setattr(singleton.rolling, "wait_turn", lambda context, row: None)
    return fake


@pytest.fixture
def follow(tmp_path):
    file = tmp_path / "agent.conf"
    unit = Unit("agent.service", (str(file),))

    def once(content):
        file.write_text(content)
        context = given.context()
        singleton.follow(context, given.singleton("agent"), unit)
        return context.changes

    return once


def test_where_it_does_not_run_a_change_restarts_nothing(unitd, follow):
    assert follow("a") == follow("b") == []
    assert unitd.restarts == 0


def test_a_process_that_pacemaker_started_before_the_first_run_is_left_alone(unitd, follow):
    unitd.entered = 5.0
    assert follow("a") == []


def test_a_change_restarts_it_once(unitd, follow):
    unitd.entered = 5.0
    follow("a")
    unitd.now = 200.0
    assert follow("b") == ["agent: agent.service restarted"]
    assert follow("b") == []
    assert unitd.restarts == 1


def test_a_process_that_moved_here_after_the_change_is_left_alone(unitd, follow):
    follow("a")
    unitd.now = 200.0
    follow("b")
    unitd.entered = 300.0
    assert follow("b") == []


def test_a_restart_that_failed_is_tried_again(unitd, follow, monkeypatch):
    unitd.entered = 5.0
    follow("a")
    unitd.now = 200.0
    monkeypatch.setattr(singleton.units, "restart", lambda unit: (_ for _ in ()).throw(RuntimeError))
    with pytest.raises(RuntimeError):
        follow("b")
    monkeypatch.setattr(singleton.units, "restart", unitd.restart)
    assert follow("b") == ["agent: agent.service restarted"]
