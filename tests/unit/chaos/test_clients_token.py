"""Token clients and the command that starts clients, against a small Keystone on loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha.chaos.checkers import tokens
from tripleo_ha.chaos.clients import token, worker
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.model import Operation, Outcome, Workload, read_operations
from tripleo_ha.errors import UsageError
from tripleo_ha.verify.client import Account, Trust

PASSWORD = "keystone-secret-of-the-admin"


class Keystone(ThreadingHTTPServer):
    """Issues ``token-N``, knows those it issued, and says what it is told to instead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.instead = 0
        self.issued: list[str] = []
        self.passwords = 0
        self.validated: list[str] = []
        self.connections = 0
        self.silent = threading.Event()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Keystone

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match body["auth"]["identity"]:
            case {"methods": ["password"], "password": {"user": {"password": password}}}:
                self.server.passwords += 1
                right = password == PASSWORD
            case {"methods": ["token"], "token": {"id": known}}:
                right = known in self.server.issued
        made = f"token-{len(self.server.issued)}"
        if right and not self.server.instead:
            self.server.issued.append(made)
        self._answer(201 if right else 401, made)

    def do_GET(self) -> None:
        self.server.validated.append(self.headers["X-Subject-Token"])
        self._answer(200 if self.headers["X-Subject-Token"] in self.server.issued else 404, "")

    def _answer(self, status: int, made: str) -> None:
        if self.server.silent.is_set():
            time.sleep(1)
            return
        self.send_response(self.server.instead or status)
        self.send_header("X-Subject-Token", made)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    with Keystone() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(port: int) -> Settings:
    account = Account("tripleo_ha_chaos_00000000", "p" * 16)
    return Settings(account, "127.0.0.1", "127.0.0.1", PASSWORD, keystone_port=port)


def once(keystone: Keystone, which: int, workers: "list[worker.Worker] | None" = None) -> Operation:
    return worker.attempt((workers or token.workers(settings(keystone.server_port)))[which])


def test_ports_are_those_of_the_table_unless_another_is_asked_for() -> None:
    listeners = [SimpleNamespace(name=name, port=port) for name, port in (("mysql", 1), ("amqp", 2), ("keystone", 3))]
    target = SimpleNamespace(
        rows=[SimpleNamespace(balanced=listeners)],
        vip={"control": "192.0.2.10", "public": "198.51.100.10"}.__getitem__,
        metadata={"keystone": {"admin_password": PASSWORD}},
        keystone_trust=lambda vip: None,
    )
    found = Settings.of(target, settings(0).account, amqp_port=9)  # type: ignore[arg-type]
    assert (found.mysql_port, found.amqp_port, found.keystone_port) == (1, 9, 3)


def test_the_password_is_needed_once_and_what_was_issued_last_is_validated(keystone: Keystone) -> None:
    workers = token.workers(settings(keystone.server_port))
    for _ in range(3):
        operations = [once(keystone, which, workers) for which in (0, 1)]
        assert {operation.outcome for operation in operations} == {Outcome.OK}
    assert (keystone.passwords, len(keystone.issued)) == (1, 1 + 3)
    assert keystone.validated == keystone.issued[1:]
    # Every request came on a connection of its own.
    assert keystone.connections == 1 + 3 + 3


def test_the_password_is_an_operation_of_its_own_and_serves_the_others(keystone: Keystone) -> None:
    workers = token.workers(settings(keystone.server_port))
    operation = once(keystone, 2, workers)
    assert (operation.workload, operation.outcome) == (Workload.TOKEN_PASSWORD, Outcome.OK)
    assert operation.workload.service is None
    assert {once(keystone, which, workers).outcome for which in (0, 1)} == {Outcome.OK}
    assert keystone.passwords == 1


def test_an_answer_that_is_no_success_is_told_by_its_status(keystone: Keystone) -> None:
    workers = token.workers(settings(keystone.server_port))
    assert once(keystone, 0, workers).outcome is Outcome.OK
    keystone.instead = 503
    operations = [once(keystone, which, workers) for which in range(3)]
    assert {(operation.outcome, operation.error) for operation in operations} == {(Outcome.FAIL, "Refused 503")}
    assert once(keystone, 0).error == "Unauthenticated 503"


def test_a_token_that_nobody_knows_any_more_is_replaced(keystone: Keystone) -> None:
    workers = token.workers(settings(keystone.server_port))
    for which, error in ((0, "Refused 401"), (1, "Refused 404")):
        assert once(keystone, which, workers).outcome is Outcome.OK
        keystone.issued.clear()
        assert once(keystone, which, workers).error == error
        assert once(keystone, which, workers).outcome is Outcome.OK


def test_a_wrong_password_is_not_taken_for_an_unknown_token(keystone: Keystone) -> None:
    wrong = replace(settings(keystone.server_port), keystone_password="another")
    operations = [once(keystone, which, token.workers(wrong)) for which in (0, 2)]
    assert [operation.error for operation in operations] == ["Unauthenticated 401", "Refused 401"]
    assert {finding.what for finding in tokens.check(operations).findings} == {tokens.REFUSED_PASSWORD}


def test_a_token_outlives_an_outage(keystone: Keystone) -> None:
    workers = token.workers(settings(keystone.server_port))
    assert once(keystone, 1, workers).outcome is Outcome.OK
    keystone.instead = 503
    assert once(keystone, 1, workers).error == "Refused 503"
    keystone.instead = 0
    assert once(keystone, 1, workers).outcome is Outcome.OK
    assert len(keystone.issued) == 1


def test_a_token_is_replaced_before_it_could_expire(keystone: Keystone, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = token.workers(settings(keystone.server_port))
    assert [once(keystone, which, workers).outcome for which in (0, 1)] == [Outcome.OK] * 2
    monkeypatch.setattr(token, "OLD_S", 0.0)
    assert once(keystone, 1, workers).outcome is Outcome.OK
    assert keystone.passwords == 2
    # What was issued for the former one is not validated any more.
    assert keystone.validated[-1] == keystone.issued[-1]


def test_one_that_does_not_answer_is_given_up(keystone: Keystone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token, "ANSWER_S", 0.2)
    workers = token.workers(settings(keystone.server_port))
    assert once(keystone, 1, workers).outcome is Outcome.OK
    keystone.silent.set()
    for which in (0, 1):
        operation = once(keystone, which, workers)
        assert (operation.outcome, operation.error) == (Outcome.FAIL, "TimeoutError")
        assert 0.2 <= operation.ended - operation.began < 0.9


def test_nobody_there_is_no_token() -> None:
    with Keystone() as server:
        port = server.server_port
    operation = worker.attempt(token.workers(settings(port))[0])
    assert (operation.outcome, operation.error) == (Outcome.FAIL, "ConnectionRefusedError 111")


def start(history: Path, text: str, kind: str = "token") -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "tripleo_ha.chaos.clients", kind, "--history", os.fspath(history)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(text)
    process.stdin.close()
    process.stdin = None
    return process


def eventually(what: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_client_works_until_it_is_told_to_stop(keystone: Keystone, tmp_path: Path, number: signal.Signals) -> None:
    history = tmp_path / "token-0.jsonl"
    process = start(history, settings(keystone.server_port).dump())
    eventually(lambda: history.exists() and len(list(read_operations([history]))) >= 4)
    assert PASSWORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    assert history.read_text().endswith("\n")
    operations = list(read_operations([history]))
    assert {operation.workload for operation in operations} == {
        Workload.TOKEN_ISSUE,
        Workload.TOKEN_VALIDATE,
        Workload.TOKEN_PASSWORD,
    }
    assert len({operation.process for operation in operations}) == 3
    assert PASSWORD not in history.read_text()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"account": {"name": "a"}, "keystone_password": "hidden"}'])
def test_settings_that_are_none_end_a_client_at_once(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Settings.load(text)
    assert "hidden" not in str(refused.value)


def test_a_client_without_settings_says_so(tmp_path: Path) -> None:
    process = start(tmp_path / "history.jsonl", "")
    _out, error = process.communicate(timeout=60)
    assert (process.returncode, error.splitlines()[0]) == (2, "stdin has no settings of a client")


def test_settings_survive_the_way_to_a_client() -> None:
    told = settings(5000)
    assert Settings.load(told.dump()) == told
    assert PASSWORD not in repr(told) and "pppp" not in repr(told)
    with pytest.raises(UsageError):
        Settings.load(json.dumps({**json.loads(told.dump()), "isolation": "READ UNCOMMITTED; DROP"}))


@pytest.mark.parametrize("encrypted", [(), ("public",), ("control", "public")])
def test_each_address_is_trusted_as_the_settings_say_and_spoken_to_plainly_otherwise(encrypted: tuple[str]) -> None:
    ips = {"control": "192.0.2.10", "public": "198.51.100.10"}
    told = replace(settings(5000), **ips, trust={ips[vip]: Trust("authority", vip) for vip in encrypted})
    assert Settings.load(told.dump()) == told
    asked = [each for each in token.workers(told) if isinstance(each, token.TokenWorker)]
    wanted = [Trust("authority", vip) if vip in encrypted else None for vip in ("public", "control", "public")]
    assert [each.trust for each in asked] == wanted
