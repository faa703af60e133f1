"""The health endpoint over real HTTP on loopback."""

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import paths
from tripleo_ha.node.health import server
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for


class Checked:
    """A check whose answer the test sets; ``hang`` makes it never return."""

    def __init__(self) -> None:
        self.answer: CheckResult | Exception = CheckResult(True, "Synced", {"uuid": "u"}, {"cluster_size": 3.0})
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, metadata: Mapping[str, Any]) -> CheckResult:
        self.go_on.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def checked() -> Checked:
    return Checked()


@pytest.fixture
def url(checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.setattr(server, "STALE_AFTER", 0.3)
    monitor = server.Monitor("galera", checked, {}, interval=0.01)
    monitor.start()
    endpoint = server._Server(("127.0.0.1", 0), {"galera": monitor})
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{endpoint.server_address[1]}"
    monitor.stop()
    checked.go_on.set()
    endpoint.shutdown()
    endpoint.server_close()


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def comes(url: str, code: int, text: str) -> bool:
    def seen() -> bool:
        told = ask(url)
        return told[0] == code and text in told[1]

    return wait_for(f"{code} {text}", seen, timeout=10, interval=0.02, why=lambda: str(ask(url)))


def test_healthy_then_unhealthy_then_broken(url: str, checked: Checked) -> None:
    assert comes(f"{url}/galera", 200, "Synced")
    checked.answer = CheckResult(False, "Donor")
    assert comes(f"{url}/galera", 503, "Donor")
    checked.answer = OSError("no socket")
    assert comes(f"{url}/galera", 503, "OSError: no socket")


def test_a_frozen_server_is_unhealthy_and_nobody_is_told_what_it_was(url: str, checked: Checked) -> None:
    assert comes(f"{url}/galera", 200, "Synced")
    checked.go_on.clear()
    assert comes(f"{url}/galera", 503, "no answer for")
    assert json.loads(ask(f"{url}/status")[1])["checks"]["galera"]["facts"] == {}


def test_status_holds_what_was_published(url: str, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "controller.json").write_text('{"generation": "g"}')
    assert json.loads(ask(f"{url}/status")[1])["published"] == {"controller": {"generation": "g"}}


def test_metrics_are_prometheus_text(url: str) -> None:
    assert comes(f"{url}/galera", 200, "Synced")
    lines = ask(f"{url}/metrics")[1].splitlines()
    assert 'tripleo_ha_healthy{service="galera"} 1' in lines
    assert "tripleo_ha_galera_cluster_size 3" in lines


def test_an_unknown_check_is_not_healthy(url: str) -> None:
    assert ask(f"{url}/nonsense")[0] == 404


def test_a_client_that_gave_up_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """HAProxy resets the connection of a check that takes too long; a traceback for each would cost more than it."""
    told = server._Server.__new__(server._Server)
    for error, silent in ((ConnectionResetError("peer"), True), (BrokenPipeError(), True), (ValueError("bug"), False)):
        try:
            raise error
        except Exception:
            told.handle_error(None, ("192.0.2.12", 1))
        assert (capsys.readouterr().err == "") == silent


def test_the_endpoint_keeps_nothing_in_memory_that_it_never_uses() -> None:
    program = (
        "import sys\n"
        "from tripleo_ha.node.health import server\n"
        "assert set(server._checks({'mysql': {}, 'rabbit': {}})) == {'galera', 'rabbitmq'}\n"
        "print(*(name for name in ('pymysql', 'cryptography.hazmat', 'jsonschema') if name in sys.modules))\n"
    )
    assert run([sys.executable, "-c", program], timeout=60).stdout.split() == ["pymysql"]
