"""RPC clients: the library's own client and servers, over its in-process transport, and how it is configured."""

import configparser
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest

from tripleo_ha.chaos.clients import library, rpc, worker
from tripleo_ha.chaos.clients.rpc import Caller, Crier, Endpoint, Heard
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.model import Outcome
from tripleo_ha.metadata import messaging
from tripleo_ha.verify.client import Account

PASSWORD = "rpc-secret-of-the-trial"
SETTINGS = Settings(Account("tripleo_ha_chaos_00000000", PASSWORD), "2001:db8::10", "198.51.100.10", "hidden")


class Setting:
    """A client, two servers that can be stopped, and what they told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        messaging_library = library.load()
        conf = __import__("oslo_config.cfg", fromlist=["CONF"]).CONF
        conf([], project="test")
        transport = messaging_library.get_rpc_transport(conf, url="fake:")
        monkeypatch.setattr(library, "_transport", lambda *_: transport)
        pairs = [Pipe() for _ in range(rpc.SERVERS)]
        self.ends = [end for pair in pairs for end in pair]
        self.servers = [
            library.server(SETTINGS, folder, f"server{number}", Endpoint(theirs))
            for number, (_, theirs) in enumerate(pairs)
        ]
        for server in self.servers:
            server.start()
        client = library.client(SETTINGS, folder)
        self.caller = Caller(400, client)
        self.crier = Crier(410, client, Heard([ours for ours, _ in pairs]))

    def stop(self, *numbers: int) -> None:
        for number in numbers:
            self.servers[number].stop()
            self.servers[number].wait()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Setting]:
    made = Setting(monkeypatch, tmp_path)
    yield made
    made.stop(0, 1)
    for end in made.ends:
        end.close()


def test_a_call_is_answered_by_a_server(setting: Setting) -> None:
    operations = [worker.attempt(setting.caller) for _ in range(4)]
    assert {operation.outcome for operation in operations} == {Outcome.OK}
    assert len({operation.value for operation in operations}) == 4


def test_a_call_that_nobody_answers_is_doubtful_and_made_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.caller._client = setting.caller._client.prepare(timeout=0.3)
    monkeypatch.setattr(Endpoint, "echo", lambda *_, **__: time.sleep(1))
    lost = worker.attempt(setting.caller)
    assert (lost.outcome, lost.error) == (Outcome.INFO, "MessagingTimeout")
    monkeypatch.setattr(Endpoint, "echo", lambda _self, _context, id: id)
    assert worker.attempt(setting.caller).value == lost.value
    assert worker.attempt(setting.caller).value != lost.value


def test_another_answer_is_none(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Endpoint, "echo", lambda *_, **__: "something else")
    operation = worker.attempt(setting.caller)
    assert (operation.outcome, operation.error) == (Outcome.INFO, "WrongAnswer")


def test_what_is_said_to_all_is_heard_by_all(setting: Setting) -> None:
    operations = [worker.attempt(setting.crier) for _ in range(3)]
    assert {operation.outcome for operation in operations} == {Outcome.OK}
    assert [(each.value["received"], each.value["servers"]) for each in operations] == [(2, 2)] * 3
    assert len({each.value["id"] for each in operations}) == 3


def test_what_one_did_not_hear_is_told(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Heard.wait, "__defaults__", (0.5,))
    setting.stop(1)
    operation = worker.attempt(setting.crier)
    assert (operation.outcome, operation.error) == (Outcome.INFO, "NotHeard")
    assert operation.value["received"] == 1


def test_the_library_is_configured_as_services_are() -> None:
    ours = configparser.ConfigParser()
    text = library.configuration(SETTINGS, "server1")
    ours.read_string(text)
    assert messaging.RABBIT.items() <= ours["oslo_messaging_rabbit"].items()
    assert PASSWORD not in text


def test_shared_memory_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SHARED", tmp_path)
    for name in (f"{SETTINGS.account.name}_client_qmanager", "nova_compute_qmanager"):
        (tmp_path / name).touch()
    library.clean_up(SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["nova_compute_qmanager"]


def test_the_library_knows_every_option() -> None:
    library.load()
    opts = __import__("oslo_messaging.opts", fromlist=["list_opts"]).list_opts()
    known = {option.dest: option for group, options in opts if group == "oslo_messaging_rabbit" for option in options}
    for name, value in messaging.RABBIT.items():
        known[name].type(value)


def test_nothing_of_the_client_is_patched_or_warned_about(tmp_path: Path) -> None:
    code = (
        "import socket, threading; before = socket.socket, threading.Thread\n"
        "from tripleo_ha.chaos.clients import library; library.load()\n"
        "import sys; assert not [name for name in sys.modules if name.startswith('eventlet.')]\n"
        "assert before == (socket.socket, threading.Thread)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_servers_end_with_the_client_even_without_a_broker(tmp_path: Path) -> None:
    history = tmp_path / "rpc-0.jsonl"
    settings = Settings(Account("tripleo_ha_chaos_00000000", PASSWORD), "127.0.0.1", "127.0.0.1", "", amqp_port=1)
    argv = [sys.executable, "-m", "tripleo_ha.chaos.clients", "rpc", "--history", os.fspath(history)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    process.stdin.write(settings.dump())
    process.stdin.close()
    process.stdin = None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    eventually(lambda: len(children.read_text().split()) >= rpc.SERVERS)
    found = [Path("/proc", pid) for pid in children.read_text().split()]
    # Only the client is killed; the servers see that nobody listens to them any more.
    process.kill()
    process.communicate(timeout=30)
    eventually(lambda: not any(each.exists() for each in found))
    assert PASSWORD not in "".join(each.read_text() for each in tmp_path.glob("*.conf"))


def eventually(what: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
