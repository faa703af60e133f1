"""What a trial does to the broker, and how its management API's errors are told."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import paths
from tripleo_ha.node import main, probe, trial
from tripleo_ha.node.rabbitmq_api import Api, Refused, Unauthorized, Unavailable

METADATA = {"rabbit": {"admin_password": "admin-pw"}}
NAME = "tripleo_ha_verify_0123abcd"
REQUEST = {"name": NAME, "password": "0123456789abcdef"}
QUEUES, EXCHANGES = (f"/api/{what}/%2F" for what in ("queues", "exchanges"))


def changed(fake: Any) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in fake.asked if method != "GET"]


def test_an_account_may_do_what_is_its_own_and_nothing_of_it_stays(fake_broker: Any) -> None:
    assert trial.open_account(REQUEST, METADATA) == {"sql": False, "broker": True}
    rights = fake_broker.asked[-1][2]
    assert changed(fake_broker) == [("PUT", f"/api/users/{NAME}"), ("PUT", f"/api/permissions/%2F/{NAME}")]
    assert rights["configure"] == rights["read"] == f"^(reply_)?{NAME}.*"
    fake_broker.asked.clear()
    fake_broker.answers |= {
        "/api/users": [{"name": "admin"}, {"name": NAME}],
        f"{QUEUES}?disable_stats=true": [{"name": f"reply_{NAME}.x"}, {"name": "nova"}, {"name": f"{NAME}.gone"}],
        f"{EXCHANGES}?disable_stats=true": [{"name": ""}, {"name": f"{NAME}.fanout"}],
        f"{QUEUES}/reply_{NAME}.x": (204, None),
        f"{EXCHANGES}/{NAME}.fanout": (204, None),
    }
    assert trial.close_account(REQUEST, METADATA) == {}
    assert changed(fake_broker) == [
        ("PUT", f"/api/users/{NAME}"),
        ("DELETE", f"{QUEUES}/reply_{NAME}.x"),
        ("DELETE", f"{QUEUES}/{NAME}.gone"),
        ("DELETE", f"{EXCHANGES}/{NAME}.fanout"),
        ("DELETE", f"/api/users/{NAME}"),
    ]


def test_an_account_that_is_not_there_is_closed_already(fake_broker: Any) -> None:
    fake_broker.answers["/api/users"] = [{"name": "admin"}]
    trial.close_account(REQUEST, METADATA)
    assert changed(fake_broker) == []


def test_queues_are_told_but_for_those_the_broker_cannot_tell_of(fake_broker: Any) -> None:
    fake_broker.answers |= {
        f"{QUEUES}/a": {"leader": "rabbit@n0", "type": "quorum", "members": ["rabbit@n0"], "online": ["rabbit@n0"]},
        f"{QUEUES}/b%2Fc": {"node": "rabbit@n1"},
        f"{QUEUES}/d": (500, {"error": "internal"}),
    }
    assert trial.queues({"queues": ["a", "b/c", "d", "e"]}, METADATA) == {
        "a": {"node": "rabbit@n0", "type": "quorum", "members": ["rabbit@n0"], "online": ["rabbit@n0"]},
        "b/c": {"node": "rabbit@n1", "type": "", "members": [], "online": []},
    }


def test_messages_are_taken_as_the_trial_s_user(fake_broker: Any) -> None:
    fake_broker.passwords = {NAME: REQUEST["password"]}
    fake_broker.answers[f"{QUEUES}/{NAME}.q/get"] = [{"payload": "one"}, {"payload": "two"}]
    assert trial.take({**REQUEST, "queue": f"{NAME}.q", "count": 7}, METADATA) == {"payloads": ["one", "two"]}
    assert fake_broker.asked[-1][2]["count"] == 7


def test_a_request_is_sent_again_on_a_new_connection_unless_it_takes_something_away(fake_broker: Any) -> None:
    fake_broker.hangs_up = True
    fake_broker.answers |= {"/api/users": [], f"{QUEUES}/q/get": []}
    with Api.administrator(METADATA) as api:
        assert [api.get("/api/users"), api.get("/api/users")] == [[], []]
        with pytest.raises(Unavailable, match="does not answer"):
            api.request("POST", f"{QUEUES}/q/get", {"count": 1})
        assert api.request("POST", f"{QUEUES}/q/get", {"count": 1}) == []
    assert changed(fake_broker) == [("POST", f"{QUEUES}/q/get")]


@pytest.mark.parametrize(
    ("answer", "kind"), [((401, {}), Unauthorized), ((404, {}), Refused), ((503, {"reason": "no"}), Refused)]
)
def test_errors_are_told_by_kind_and_without_a_secret(fake_broker: Any, answer: Any, kind: type[Exception]) -> None:
    path = f"/api/users/{NAME}"
    fake_broker.answers[path] = answer
    with pytest.raises(kind) as told, Api.administrator(METADATA) as api:
        api.request("PUT", path, {"password": REQUEST["password"], "tags": "management"})
    assert isinstance(told.value, Unauthorized if answer[0] == 401 else Unavailable)
    assert not any(secret in str(told.value) for secret in ("admin-pw", REQUEST["password"]))


def test_no_answer_is_told_after_the_time_that_was_given(fake_broker: Any) -> None:
    fake_broker.slow["/api/users"] = 2.0
    with pytest.raises(Unavailable, match="does not answer: timed out"), Api("admin", "admin-pw", timeout=0.1) as api:
        api.get("/api/users")


@pytest.mark.parametrize(("gather", "path"), [(probe._broker, "/api/nodes"), (probe._broker_users, "/api/users")])
def test_a_probe_says_why_it_knows_nothing_of_the_broker(
    fake_broker: Any, gather: Callable[[Any], object], path: str
) -> None:
    fake_broker.answers[path] = (500, {})
    take = probe._Gatherer()
    assert take("broker", lambda: gather(METADATA), None) is None
    assert take.problems == {"broker": f"Refused: the broker's management API answers 500 to GET {path}"}


def test_a_probe_tells_members_and_users(fake_broker: Any) -> None:
    fake_broker.answers |= {
        "/api/nodes": [{"name": "rabbit@a", "running": True, "mem_alarm": True}, {"name": "rabbit@b"}],
        "/api/users": [{"name": "b"}, {"name": "a"}],
    }
    one, other = probe._broker(METADATA)
    assert (one.name, one.running, one.alarms) == ("rabbit@a", True, ("memory",))
    assert (other.name, other.running, other.alarms) == ("rabbit@b", False, ())
    assert probe._broker_users(METADATA) == ("a", "b")


def test_a_trial_s_failure_is_told_in_one_line(
    fake_broker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"queues": ["q"]})))
    (tmp_path / "metadata.json").write_text(json.dumps({"rabbit": {"admin_password": "former-pw"}}))
    with pytest.raises(SystemExit) as status:
        main.main(["probe", "queues"])
    assert status.value.code == 1
    said = "tripleo-ha-node probe: the broker does not accept the password of its user admin\n"
    assert capsys.readouterr().err == said
