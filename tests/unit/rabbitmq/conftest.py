"""A management API that answers as the test says."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tripleo_ha.node import rabbitmq_api


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
