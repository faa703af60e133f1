"""A management API that answers as the test says, and a controller that is played."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from broker_node import COOKIE, ROW, Node, evaluating, playing, users

from tripleo_ha import cluster, paths
from tripleo_ha.node import rabbitmq, rabbitmq_api, rabbitmq_copies
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node.context import Context


@dataclass
class FakeBroker:
    """``answers`` maps a path to a body, or to a status and a body; ``slow`` holds seconds by path.

    Where ``hangs_up`` is true, connections end after an answer without a word, as idle ones do.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    hangs_up: bool = False

    def cluster(self, members: str, running: str) -> None:
        self.answers["/api/nodes?columns=name,running"] = [
            {"name": f"rabbit@{name}", "running": name in running} for name in members
        ]
        self.answers.setdefault("/api/health/checks/local-alarms", {"status": "ok"})


class _Handler(BaseHTTPRequestHandler):
    broker: FakeBroker
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.broker.asked.append((self.command, self.path, body))
        user, _, password = base64.b64decode(self.headers["Authorization"].split()[1]).decode().partition(":")
        if self.broker.passwords.get(user) != password:
            return self._answer(401, {"error": "not_authorised"})
        if self.command == "PUT" and self.path.startswith("/api/users/"):
            self.broker.passwords[self.path.removeprefix("/api/users/")] = body["password"]
        time.sleep(self.broker.slow.get(self.path, 0))
        answer = self.broker.answers.get(self.path, (404, {}) if self.command in ("GET", "DELETE") else (204, None))
        return self._answer(*(answer if isinstance(answer, tuple) else (200, answer)))

    do_GET = do_POST = do_PUT = do_DELETE = _do

    def _answer(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError):  # the client of a slow answer is gone
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        self.close_connection |= self.broker.hangs_up

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def fake_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBroker]:
    broker = FakeBroker(passwords={"admin": "admin-pw", "monitor": "monitor-pw"})
    handler = type("Handler", (_Handler,), {"broker": broker})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(rabbitmq_api, "ADDRESS", server.server_address)
    yield broker
    server.shutdown()
    server.server_close()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fake_broker: Any) -> Iterator[Node]:
    played = Node()
    home = tmp_path / "rabbitmq"
    (home / "mnesia" / "rabbit@a").mkdir(parents=True)
    monkeypatch.setattr(paths, "RUNTIME", tmp_path / "run")
    for name, path in {
        "HOME": home,
        "COOKIE": home / ".erlang.cookie",
        "JOINED": home / "joined",
        "FIRST_START": tmp_path / "first-start.conf",
        "SETTINGS": tmp_path / "settings",
        "HANGS": tmp_path / "patience",
        "RAN_WITH": tmp_path / "ran-with",
        "ASIDE": home / "unreadable",
    }.items():
        monkeypatch.setattr(broker, name, path)
    monkeypatch.setattr(broker, "owner", lambda: None)
    monkeypatch.setattr(rabbitmq.units, "is_active", lambda unit: played.active)
    monkeypatch.setattr(rabbitmq.units, "start", lambda unit: played.calls.append(("start", unit)))
    monkeypatch.setattr(rabbitmq.units, "restart", lambda unit: played.calls.append(("restart", unit)))
    monkeypatch.setattr(rabbitmq.units, "ensure", lambda *arguments, **options: played.outcome)

    monkeypatch.setattr(broker, "ctl", playing(played, fake_broker))
    for module in (broker, rabbitmq_copies):
        monkeypatch.setattr(module, "evaluate", evaluating(played))

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


@pytest.fixture
def well(fake_broker: Any, node: Node) -> Any:
    fake_broker.cluster("abc", "abc")
    fake_broker.answers["/api/users"] = users(admin="admin-pw", monitor="monitor-pw")
    fake_broker.answers["/api/permissions"] = []
    fake_broker.answers["/api/feature-flags"] = [{"name": "khepri_db", "state": "enabled"}]
    return fake_broker
