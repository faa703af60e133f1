"""Converging HAProxy: checked, put in place, loaded; and nothing at all when it runs as it should."""

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import service_tables as tables

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import haproxy, units
from tripleo_ha.node.context import Context
from tripleo_ha.topology import haproxy as rendered

SERVERS = "1\n# be_id\n3 mysql 1 controller-0\n"


class Fake:
    """HAProxy's sockets, a ``haproxy -c`` and a systemd that only starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "haproxy.cfg"
        self.running: str | None = None
        self.asked: list[str] = []
        self.answer = "Success=1\n--\n"
        self.loads = True
        self.state_at_reload = ""

    def start(self, unit: str) -> None:
        self.asked.append(f"start {unit}")
        self.running = rendered.digest(self.config.read_text())
        _serve(self.directory / "admin.sock", self.admin)
        _serve(self.directory / "master.sock", self.master)

    def admin(self, command: str) -> str:
        if command == "show servers state":
            return SERVERS
        return f"Name: HAProxy\ndescription: tripleo-ha {self.running}\nnode: x\n"

    def master(self, command: str) -> str:
        self.asked.append(command)
        self.state_at_reload = haproxy.SERVER_STATE.read_text()
        if "Success=1" in self.answer and self.loads:
            self.running = rendered.digest(self.config.read_text())
        return self.answer


def _serve(path: Path, answer: "object") -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(path))
    server.listen()

    def loop() -> None:
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                client.sendall(answer(client.recv(4096).decode().strip()).encode())  # type: ignore[operator]

    threading.Thread(target=loop, daemon=True).start()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    fake = Fake(tmp_path)
    judge = tmp_path / "bin" / "haproxy"
    judge.parent.mkdir()
    judge.write_text('#!/bin/sh\nif grep -q BROKEN "$3"; then echo "$3:7: unknown keyword BROKEN" >&2; exit 1; fi\n')
    judge.chmod(0o755)
    monkeypatch.setenv("PATH", f"{judge.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(haproxy, "CONFIG", fake.config)
    monkeypatch.setattr(haproxy, "ADMIN", tmp_path / "admin.sock")
    monkeypatch.setattr(haproxy, "MASTER", tmp_path / "master.sock")
    monkeypatch.setattr(haproxy, "SERVER_STATE", tmp_path / "state")
    monkeypatch.setattr(units, "start", fake.start)
    yield fake


def converge(extra: dict[str, object] | None = None) -> list[str]:
    told = tables.metadata()
    told["haproxy"]["extra"] = {"global": extra or {}}
    context = Context(told, tables.of(told), (tables.HAPROXY, tables.row(tables.sql())))
    haproxy.converge(context, tables.HAPROXY)
    return context.changes


def test_first_run_starts_with_a_private_file(fake: Fake) -> None:
    assert converge() == ["haproxy: haproxy.service started"]
    assert stat.S_IMODE(fake.config.stat().st_mode) == 0o600
    assert tables.PASSWORD in fake.config.read_text()


def test_second_run_does_nothing(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    converge()
    fake.asked.clear()
    monkeypatch.setenv("PATH", "/nonexistent")  # not one process
    assert converge() == []
    assert fake.asked == []


def test_change_is_loaded_with_the_servers_states(fake: Fake) -> None:
    converge()
    fake.asked.clear()
    assert converge({"nbthread": 1}) == ["haproxy: configuration loaded"]
    assert fake.asked == ["reload"]
    assert fake.state_at_reload == SERVERS
    assert not haproxy.SERVER_STATE.exists()  # a later crash must not bring old states back


def test_change_that_was_written_but_not_loaded_is_loaded(fake: Fake) -> None:
    converge()
    fake.running = "before"
    assert converge() == ["haproxy: configuration loaded"]


def test_refused_configuration_leaves_the_old_one(fake: Fake) -> None:
    converge()
    before = fake.config.read_text()
    fake.asked.clear()
    with pytest.raises(Failure, match="unknown keyword BROKEN") as failure:
        converge({"BROKEN": 1})
    assert os.fspath(fake.config) + ":7" in str(failure.value)
    assert tables.PASSWORD not in str(failure.value)
    assert fake.config.read_text() == before
    assert fake.asked == []
    assert sorted(path.name for path in fake.directory.iterdir()) == ["admin.sock", "bin", "haproxy.cfg", "master.sock"]


def test_failed_load_is_told_in_haproxys_words(fake: Fake) -> None:
    converge()
    fake.answer = (
        "Success=0\n--\n[WARNING] server down\n[ALERT] cannot bind socket (Address already in use) [192.0.2.10:3306]\n"
    )
    with pytest.raises(Failure, match="cannot bind socket") as failure:
        converge({"nbthread": 1})
    assert "WARNING" not in str(failure.value)
    assert not haproxy.SERVER_STATE.exists()


def test_silent_master_is_told(fake: Fake) -> None:
    converge()
    haproxy.MASTER.unlink()
    with pytest.raises(Failure, match="master does not answer"):
        converge({"nbthread": 1})


def test_load_that_changes_nothing_is_not_believed(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    converge()
    fake.loads = False
    monkeypatch.setattr(haproxy, "LOAD_TIMEOUT", 0.2)
    with pytest.raises(TimedOut, match="HAProxy to run the new configuration"):
        converge({"nbthread": 1})
