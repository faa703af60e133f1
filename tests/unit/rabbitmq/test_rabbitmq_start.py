"""What comes before and after a start of the broker, with the unit played."""

import threading
from typing import Any

import pytest
from broker_node import ROW, Node, context

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import rabbitmq, rabbitmq_start
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.run import CommandFailed
from tripleo_ha.topology.rabbitmq_start import STARTS, Failed, Next, after


@pytest.mark.parametrize(("peers", "ended"), [("b", True), ("", False)])
def test_a_broker_that_hangs_while_a_majority_runs_is_ended_and_given_longer(
    peers: str, ended: bool, well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_start, "LOOK_INTERVAL", 0.01)
    monkeypatch.setattr(broker, "START_S", 0.05)
    killed = threading.Event()
    monkeypatch.setattr(rabbitmq.units, "is_starting", lambda unit: True)
    monkeypatch.setattr(rabbitmq.units, "kill", lambda unit: killed.set())

    def ensure(*arguments: object, **options: object) -> str:
        if killed.wait(10 if ended else 0.5):
            raise CommandFailed(["systemctl", "start"], "exit status 1")
        return "started"

    monkeypatch.setattr(rabbitmq.units, "ensure", ensure)
    node.active, node.peers = False, {name: ("abc", "b") for name in peers}
    if ended:
        with pytest.raises(Failure, match="the broker did not start"):
            rabbitmq.converge(context(), ROW)
        assert broker.patience() == 0.1
    else:
        rabbitmq.converge(context(), ROW)
        assert broker.patience() == 0.05


def test_a_broker_that_starts_after_a_hang_is_as_any_other(well: Any, node: Node) -> None:
    broker.note_hang(broker.patience())
    assert broker.patience() == 2 * broker.START_S
    node.active, node.outcome, node.peers = False, "started", {"b": ("abc", "bc")}
    rabbitmq.converge(context(), ROW)
    assert broker.patience() == broker.START_S


def test_a_first_start_has_an_administrator_and_leaves_no_password_behind(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.wipe("a")
    node.active, node.joined = False, {"b": False, "c": False}
    seen: list[tuple[str, int]] = []

    def ensure(*arguments: object, **options: object) -> str:
        seen.append((broker.FIRST_START.read_text(), broker.FIRST_START.stat().st_mode & 0o777))
        return "started"

    monkeypatch.setattr(rabbitmq.units, "ensure", ensure)
    rabbitmq.converge(context(), ROW)
    assert seen == [("default_user = admin\ndefault_pass = admin-pw\n", 0o600)]
    assert not broker.FIRST_START.exists()
    assert broker.has_joined()


def test_an_empty_disk_s_former_self_is_forgotten_before_the_start(well: Any, node: Node) -> None:
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers = {"b": ("abc", "bc"), "c": ("abc", "bc")}
    rabbitmq.converge(context(), ROW)
    assert node.calls == [
        ("start", "epmd.service"),
        ("forget", "rabbit@a", "b"),
        ("drop copies", "b"),
    ]


def test_an_empty_disk_joins_only_when_no_queue_counts_on_its_former_copy(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_start, "COPIES_INTERVAL", 0.0)
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers, node.shrunk = {"b": ("abc", "bc")}, ["{false, 0}", "{false, 1}", "{true, 0}"]
    rabbitmq.converge(context(), ROW)
    assert node.calls[-3:] == [("drop copies", "b")] * 3
    monkeypatch.setattr(rabbitmq_start, "COPIES_TIMEOUT", 0.0)
    broker.wipe("a")
    node.shrunk = ["{false, 0}"]
    rabbitmq.converge(context(), ROW)
    assert broker.has_joined()
    node.active, node.answer = False, "{error, rabbit_still_running}"
    broker.wipe("a")
    with pytest.raises(Failure, match="cannot forget its former member a"):
        rabbitmq.converge(context(), ROW)


def test_queues_that_can_agree_on_nothing_are_told_and_not_waited_for(
    well: Any, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers, node.shrunk = {"b": ("abc", "bc")}, ["{true, 2}"]
    rabbitmq.converge(context(), ROW)
    assert node.calls.count(("drop copies", "b")) == 1
    assert "2 queues that can agree on nothing" in caplog.text
    assert broker.has_joined()


def test_a_broker_that_cannot_tell_what_became_of_copies_does_not_keep_one_from_joining(well: Any, node: Node) -> None:
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers, node.shrunk = {"b": ("abc", "bc")}, ["undef"]
    rabbitmq.converge(context(), ROW)
    assert broker.has_joined()


@pytest.mark.parametrize(
    ("peers", "joined", "why"),
    [
        ({"b": ("abc", "abc")}, {"c": True}, "have not noticed yet"),
        ({}, {"b": False}, "c must say first"),
        ({}, {"b": True, "c": True}, "b, c must run with a majority first"),
        ({"b": ("abc", "b")}, {"c": True}, "b, c must run with a majority first"),
    ],
)
def test_an_empty_disk_waits_for_the_others(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch, peers: Any, joined: dict[str, bool], why: str
) -> None:
    monkeypatch.setattr(rabbitmq_start, "FIRST_START_TIMEOUT", 0.0)
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers, node.joined = peers, joined
    with pytest.raises(TimedOut, match=why):
        rabbitmq.converge(context(), ROW)
    assert node.calls == []
    rabbitmq.converge(context(), ROW, anew=True)
    assert broker.has_joined()


def test_what_an_interrupted_first_start_left_is_dropped_where_a_cluster_runs(well: Any, node: Node) -> None:
    broker.JOINED.unlink()
    node.active, node.outcome = False, "started"
    node.peers = {"b": ("bc", "bc")}
    rabbitmq.converge(context(), ROW)
    assert not broker.has_begun("a")


def test_data_of_a_removed_controller_is_dropped_when_it_is_wanted_again(well: Any, node: Node) -> None:
    node.active, node.outcome = False, "started"
    node.peers = {"b": ("bc", "bc"), "c": ("bc", "bc")}
    run = context()
    rabbitmq.converge(run, ROW)
    assert not (broker.HOME / "mnesia" / "rabbit@a").exists()
    assert "dropped" in run.changes[0]


def test_data_is_kept_in_every_other_case(well: Any, node: Node) -> None:
    node.active, node.outcome = False, "started"
    for told in ({}, {"b": ("abc", "bc")}, {"b": ("b", "b")}, {"b": ("bc", "b")}):
        node.peers = told
        rabbitmq.converge(context(), ROW)
        assert (broker.HOME / "mnesia" / "rabbit@a").exists()


@pytest.mark.parametrize(
    ("failed", "follows"),
    [
        (Failed(1), Next.AGAIN),
        (Failed(STARTS - 1), Next.AGAIN),
        (Failed(STARTS), Next.RENEW),
        (Failed(STARTS, beside=False), Next.REPORT),
        (Failed(STARTS, joined=False), Next.REPORT),
        (Failed(STARTS + 1, renewed=True), Next.REPORT),
        (Failed(STARTS, configured_anew=True), Next.REPORT),
    ],
)
def test_data_is_given_up_only_when_nothing_else_can_be_the_reason(failed: Failed, follows: Next) -> None:
    assert after(failed)[0] is follows


class Unreadable:
    """A unit whose broker ends while it starts, as long as its disk holds what it held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
        self.data = broker.HOME / "mnesia" / "rabbit@a" / "coordination"
        self.data.mkdir()
        self.starts = 0
        self.node = node
        node.active, node.outcome = False, "started"
        node.peers = {"b": ("abc", "bc"), "c": ("abc", "bc")}
        monkeypatch.setattr(rabbitmq.units, "ensure", self.ensure)
        monkeypatch.setattr(rabbitmq.units, "stop", lambda unit: node.calls.append(("stop", unit)))

    def ensure(self, *arguments: object, **options: object) -> str:
        self.starts += 1
        if self.data.exists():
            raise CommandFailed(["systemctl", "start"], "exit status 1")
        self.data.parent.mkdir(exist_ok=True)
        return self.node.outcome


def test_a_broker_that_cannot_read_its_disk_joins_the_others_as_new(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, run = Unreadable(monkeypatch, node), context()
    rabbitmq.converge(run, ROW)
    assert unit.starts == STARTS + 1
    assert node.calls == [
        ("stop", "rabbitmq-server.service"), ("start", "epmd.service"), ("forget", "rabbit@a", "b"),
        ("drop copies", "b"),
    ]  # fmt: skip
    assert broker.has_joined()
    assert "data put aside" in run.changes[0]
    assert not broker.is_aside(), "it has copies of all queues"


def test_what_it_could_not_read_is_kept_until_it_has_copies_of_all(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "PART_TIMEOUT", 0.0)
    Unreadable(monkeypatch, node)
    node.copied = ["{0, 1}"]
    rabbitmq.converge(context(), ROW)
    assert (broker.ASIDE / "coordination").exists()
    node.copied, node.active, node.outcome = ["{1, 0}"], True, "unchanged"
    rabbitmq.converge(context(), ROW)
    assert not broker.is_aside()


def test_one_that_does_not_start_with_an_empty_disk_either_is_told(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unreadable(monkeypatch, node)
    unit.data = broker.HOME
    with pytest.raises(Failure, match="the broker did not start") as told:
        rabbitmq.converge(context(), ROW)
    assert "has no data" in told.value.hint
    assert unit.starts == STARTS + 1
    assert broker.is_aside()


@pytest.mark.parametrize("others", ["alone", "new configuration"])
def test_it_keeps_its_data_where_something_else_may_be_the_reason(
    others: str, well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unreadable(monkeypatch, node)
    if others == "alone":
        node.peers = {"b": ("abc", "b")}
    else:
        broker.note_ran_with("another digest")
    for _ in range(STARTS + 1):
        with pytest.raises(Failure, match="the broker did not start"):
            rabbitmq.converge(context(), ROW)
    assert unit.data.exists()
    assert broker.has_joined()


def test_what_is_cut_short_leaves_nothing_that_passes_for_a_member(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    for method in (broker.wipe, broker.put_aside):
        broker.note_joined()
        monkeypatch.setattr(broker.shutil, "rmtree", cut)
        monkeypatch.setattr(broker.Path, "rename", cut)
        with pytest.raises(KeyboardInterrupt):
            method("a")
        assert not broker.has_joined()
