"""What a converge run does to the broker, with the unit and ``rabbitmqctl`` played."""

from typing import Any

import pytest
from broker_node import ROW, Node, context, users, written

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import rabbitmq
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node import rabbitmq_peers as peers


def test_a_second_run_changes_nothing_and_boots_no_erlang(well: Any, node: Node) -> None:
    run = context()
    rabbitmq.converge(run, ROW)
    assert (run.changes, node.calls, written(well)) == ([], [], [])


def test_the_first_controller_makes_the_users(well: Any, node: Node) -> None:
    well.answers["/api/users"] = users(guest="guest", admin="admin-pw")
    run = context()
    rabbitmq.converge(run, ROW)
    assert written(well) == [("PUT", "/api/users/monitor"), ("DELETE", "/api/users/guest")]
    assert node.calls == []
    assert not any("pw" in change for change in run.changes)


def test_another_controller_waits_for_the_users(well: Any, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "USERS_TIMEOUT", 0.0)
    well.answers["/api/users"] = users(admin="admin-pw")
    with pytest.raises(TimedOut, match="first running controller"):
        rabbitmq.converge(context("b"), ROW)
    assert written(well) == []


def test_the_second_makes_them_when_the_first_is_down(well: Any, node: Node) -> None:
    well.cluster("abc", "bc")
    well.answers["/api/users"] = users(admin="admin-pw")
    rabbitmq.converge(context("b"), ROW)
    assert written(well) == [("PUT", "/api/users/monitor")]


def test_a_new_administrator_s_password_is_set_without_the_old_one(well: Any, node: Node) -> None:
    well.answers["/api/users"] = users(admin="new-admin-pw", monitor="monitor-pw")
    rabbitmq.converge(context(admin_password="new-admin-pw"), ROW)
    assert ("change_password", "admin") in node.calls
    assert not any("new-admin-pw" in " ".join(call) for call in node.calls)


def test_a_broker_that_has_lost_its_metadata_store_is_started_anew(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def kill(unit: str) -> None:
        done.append(unit)
        node.active = False
        well.passwords["admin"] = "admin-pw"

    well.passwords["admin"] = "nobody is known"
    monkeypatch.setattr(rabbitmq.units, "kill", kill)
    monkeypatch.setattr(broker, "ctl", lambda *arguments: "\n")
    rabbitmq.converge(run := context(), ROW)
    assert done == [ROW.units[0].name]
    assert any("without its metadata store" in change for change in run.changes)


def test_a_new_cookie_restarts_nothing(well: Any, node: Node) -> None:
    rabbitmq.converge(context(erlang_cookie="ANOTHERANOTHERANOTHER"), ROW)
    assert node.calls == [("evaluate", "a")]
    assert broker.cookie_is("ANOTHERANOTHERANOTHER")
    assert sorted(path.name for path in broker.HOME.iterdir()) == [".erlang.cookie", "joined", "mnesia"]


def test_a_removed_controller_is_forgotten_by_the_first_only(well: Any, node: Node) -> None:
    well.cluster("abcd", "abc")
    rabbitmq.converge(context("b"), ROW)
    assert node.calls == []
    run = context("a")
    rabbitmq.converge(run, ROW)
    assert node.calls == [("forget", "rabbit@d", "a"), ("drop copies", "a")]
    assert len(run.changes) == 1


def test_a_change_of_size_is_applied_once_to_the_running_broker(well: Any, node: Node) -> None:
    well.cluster("abcde", "abcde")
    for _ in range(2):
        rabbitmq.converge(context(nodes="abcde"), ROW)
    assert node.calls == [("evaluate", "a")]


def test_a_fresh_start_reads_the_size_from_its_files(well: Any, node: Node) -> None:
    broker.SETTINGS.unlink()
    node.active, node.outcome = False, "started"
    node.peers = {"b": ("abc", "bc")}
    rabbitmq.converge(context(), ROW)
    assert node.calls == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("3", "3 queues without a leader were told to elect one"),
        ("0", ""),
        ("undef", "no queue was told to elect a leader"),
    ],
)
def test_queues_elect_leaders_after_an_outage_of_all(
    answer: str, said: str, well: Any, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    node.active, node.outcome, node.elections = False, "started", answer
    rabbitmq.converge(context(), ROW)
    assert node.calls == [("elect",)]
    assert said in caplog.text
    assert answer != "0" or "leader" not in caplog.text


def test_a_broker_takes_part_in_the_streams_that_were_there_before_it(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rabbitmq, "PART_INTERVAL", 0.0)
    node.coordinator, node.copied = "joining", ["{1, 1}", "{1, 0}"]
    run = context()
    rabbitmq.converge(run, ROW)
    assert node.parts == ["coordinator", "coordinator", "copy", "finish deletions", "coordinator", "copy"]
    assert run.changes == ["rabbitmq: 2 queues copied here"]
    assert [each.message for each in caplog.records if each.levelname == "WARNING"] == []
    node.active, node.outcome, node.peers = False, "started", {"b": ("abc", "bc")}
    node.parts.clear()
    rabbitmq.converge(context(), ROW)
    assert node.parts == [], "a member that comes back has its copies and its vote"


def test_queues_whose_deletion_an_outage_cut_short_are_forgotten(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "PART_INTERVAL", 0.0)
    node.unfinished, node.copied = "1", ["{0, 1}", "{0, 0}"]
    run = context()
    rabbitmq.converge(run, ROW)
    assert run.changes == ["rabbitmq: 1 queues forgotten that an outage left without any copy"]


@pytest.mark.parametrize(
    ("coordinator", "copied", "said"),
    [
        ("joining", "{0, 0}", "coordinator does without this node"),
        ("member", "{0, 1}", "1 have no copy here"),
        ("none", "{error, timeout}", "the broker does not tell what became of its copies of queues"),
    ],
)
def test_what_it_cannot_do_for_streams_is_told(
    coordinator: str, copied: str, said: str, well: Any, node: Node,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(rabbitmq, "PART_TIMEOUT", 0.0)
    node.coordinator, node.copied = coordinator, [copied]
    run = context()
    rabbitmq.converge(run, ROW)
    assert said in caplog.text
    assert run.changes == []


def test_a_cluster_of_its_own_is_told_with_the_way_out(well: Any, node: Node) -> None:
    well.cluster("a", "a")
    node.peers = {"b": ("bc", "bc")}
    with pytest.raises(Failure, match="apart from that of b") as told:
        rabbitmq.converge(context(), ROW)
    assert "recover --discard" in told.value.hint


@pytest.mark.parametrize(("running", "enabled"), [("abc", True), ("ab", False)])
def test_an_older_cluster_gets_khepri_once_it_is_complete(well: Any, node: Node, running: str, enabled: bool) -> None:
    well.cluster("abc", running)
    well.answers["/api/feature-flags"] = [{"name": "khepri_db", "state": "disabled"}]
    node.outcome = "restarted"
    rabbitmq.converge(context(), ROW)
    assert (("PUT", "/api/feature-flags/khepri_db/enable") in written(well)) == enabled


def test_a_peer_is_whole_only_when_no_member_is_missing() -> None:
    def status(healthy: bool, running: str) -> dict[str, Any]:
        facts = {"members": list("abc"), "running": list(running)}
        return {"checks": {"rabbitmq": {"healthy": healthy, "facts": facts}}}

    assert peers.whole(status(True, "abc"))
    assert not peers.whole(status(True, "ab"))
    assert not peers.whole(status(False, "abc"))
    assert not peers.whole({})
