"""What a converge run does to the broker, with the unit and ``rabbitmqctl`` played."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import cluster, paths
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import rabbitmq
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node.context import Context
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Row, Unit

ROW = Row("rabbitmq-cluster", "rabbit", "x", units=(Unit("rabbitmq-server.service"),))
COOKIE = "COOKIECOOKIECOOKIE12"


class Node:
    """This controller: what ran, what was called, and what the peers tell."""

    def __init__(self) -> None:
        self.active = True
        self.outcome = "unchanged"
        self.calls: list[tuple[str, ...]] = []
        self.peers: dict[str, tuple[str, str]] = {}
        self.parts: list[str] = []
        self.joined: dict[str, bool] = {}
        self.shrunk = ["{true, 0}"]
        self.answer = "ok"
        self.elections = "3"
        self.coordinator = "member"
        self.unfinished = "0"
        self.copied = ["{0, 0}"]


def playing(played: Node, fake_broker: Any) -> Callable[..., str]:
    def ctl(*arguments: str, input: str | None = None) -> str:
        played.calls.append(arguments)
        if arguments[0] == "change_password" and input:
            fake_broker.passwords["admin"] = input.strip()
        return "admin" if arguments[0] == "list_users" else ""

    return ctl


def evaluating(played: Node) -> Callable[..., str]:
    def evaluate(expression: str, *, at: str) -> str:
        assert expression.rstrip().endswith(".")
        if "forget_member" in expression:
            played.calls.append(("forget", expression.split("'")[1], at))
            return played.answer
        if "delete_member" in expression:
            played.calls.append(("drop copies", at))
            return played.shrunk.pop(0)
        if "add_replica" in expression:
            played.parts.append("copy")
            return played.copied.pop(0) if len(played.copied) > 1 else played.copied[0]
        if "internal_delete" in expression:
            played.parts.append("finish deletions")
            return played.unfinished
        if "maybe_resize_coordinator_cluster" in expression:
            played.parts.append("coordinator")
            told, played.coordinator = played.coordinator, "member"
            return told
        if "trigger_election" in expression:
            played.calls.append(("elect",))
            return played.elections
        played.calls.append(("evaluate", at))
        return "ok"

    return evaluate


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake_broker: Any) -> Iterator[Node]:
    played = Node()
    home = tmp_path / "rabbitmq"
    (home / "mnesia" / "rabbit@a").mkdir(parents=True)
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    for name, path in {
        "HOME": home, "COOKIE": home / ".erlang.cookie", "JOINED": home / "joined",
        "FIRST_START": tmp_path / "first-start.conf", "SETTINGS": tmp_path / "settings",
        "HANGS": tmp_path / "patience",
    }.items():
        monkeypatch.setattr(broker, name, path)
    monkeypatch.setattr(broker, "owner", lambda: None)
    monkeypatch.setattr(rabbitmq.units, "is_active", lambda unit: played.active)
    monkeypatch.setattr(rabbitmq.units, "start", lambda unit: played.calls.append(("start", unit)))
    monkeypatch.setattr(rabbitmq.units, "restart", lambda unit: played.calls.append(("restart", unit)))
    monkeypatch.setattr(rabbitmq.units, "ensure", lambda *arguments, **options: played.outcome)

    monkeypatch.setattr(broker, "ctl", playing(played, fake_broker))
    monkeypatch.setattr(broker, "evaluate", evaluating(played))

    def peer(self: Context, node: cluster.Node, timeout: float = 2.0) -> dict[str, Any] | None:
        if node.name not in {*played.peers, *played.joined}:
            return None
        members, running = played.peers.get(node.name, ("", ""))
        facts = {"members": list(members), "running": list(running)}
        published = {"joined": played.joined[node.name]} if node.name in played.joined else {}
        return {"checks": {"rabbitmq": {"healthy": True, "facts": facts}}, "published": {ROW.service: published}}

    monkeypatch.setattr(Context, "peer", peer)
    broker.write_cookie(COOKIE)
    broker.COOKIE.chmod(0o400)
    broker.note_joined()
    broker.write_file(broker.SETTINGS, rabbitmq.decide.live_settings("abc"))
    yield played


def context(me: str = "a", nodes: str = "abc", **rabbit: str) -> Context:
    metadata = {
        "cluster": {
            "name": "o", "virtual_ips": {},
            "nodes": [{"name": name, "ip": f"192.0.2.{index}"} for index, name in enumerate(nodes, 11)],
        },
        "node": {"name": me},
        "rabbit": {"erlang_cookie": COOKIE, "admin_password": "admin-pw", "monitor_password": "monitor-pw", **rabbit},
    }
    return Context(metadata, cluster.from_metadata(metadata), (ROW,))


def hashed(password: str) -> str:
    return base64.b64encode(b"salt" + hashlib.sha256(b"salt" + password.encode()).digest()).decode()


def users(**passwords: str) -> list[dict[str, Any]]:
    tags = {"admin": ["administrator"], "monitor": ["monitoring"], "guest": ["administrator"]}
    return [
        {"name": name, "tags": tags[name], "password_hash": hashed(password),
         "hashing_algorithm": "rabbit_password_hashing_sha256"}
        for name, password in passwords.items()
    ]


@pytest.fixture
def well(fake_broker: Any, node: Node) -> Any:
    fake_broker.cluster("abc", "abc")
    fake_broker.answers["/api/users"] = users(admin="admin-pw", monitor="monitor-pw")
    fake_broker.answers["/api/permissions"] = []
    fake_broker.answers["/api/feature-flags"] = [{"name": "khepri_db", "state": "enabled"}]
    return fake_broker


def written(fake: Any) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in fake.asked if method != "GET"]


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


@pytest.mark.parametrize(("peers", "ended"), [("b", True), ("", False)])
def test_a_broker_that_hangs_while_a_majority_runs_is_ended_and_given_longer(
    peers: str, ended: bool, well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "START_INTERVAL", 0.01)
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
    monkeypatch.setattr(rabbitmq, "COPIES_TIMEOUT", 0.0)
    node.coordinator, node.copied = coordinator, [copied]
    run = context()
    rabbitmq.converge(run, ROW)
    assert said in caplog.text
    assert run.changes == []


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
        ("start", "epmd.service"), ("forget", "rabbit@a", "b"), ("drop copies", "b"),
    ]


def test_an_empty_disk_joins_only_when_no_queue_counts_on_its_former_copy(
    well: Any, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "COPIES_INTERVAL", 0.0)
    broker.wipe("a")
    node.active, node.outcome = False, "started"
    node.peers, node.shrunk = {"b": ("abc", "bc")}, ["{false, 0}", "{false, 1}", "{true, 0}"]
    rabbitmq.converge(context(), ROW)
    assert node.calls[-3:] == [("drop copies", "b")] * 3
    monkeypatch.setattr(rabbitmq, "COPIES_TIMEOUT", 0.0)
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
    monkeypatch.setattr(rabbitmq, "FIRST_START_TIMEOUT", 0.0)
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
    for peers in ({}, {"b": ("abc", "bc")}, {"b": ("b", "b")}, {"b": ("bc", "b")}):
        node.peers = peers
        rabbitmq.converge(context(), ROW)
        assert (broker.HOME / "mnesia" / "rabbit@a").exists()


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

    assert rabbitmq.whole(status(True, "abc"))
    assert not rabbitmq.whole(status(True, "ab"))
    assert not rabbitmq.whole(status(False, "abc"))
    assert not rabbitmq.whole({})
