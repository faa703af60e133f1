"""Broker clients: what they ask a broker for, and what they say when it refuses, is silent, or goes away."""

import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import amqp
import pytest

from tripleo_ha.chaos.clients import broker, worker
from tripleo_ha.chaos.clients.broker import Consumer, Publisher
from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.model import Outcome, Workload, read_operations
from tripleo_ha.verify.client import Account

ACCOUNT = Account("tripleo_ha_chaos_00000000", "p" * 16)


class Broker:
    """A connection and its only channel; ``fail`` is raised by the method of that name."""

    def __init__(self) -> None:
        self.fail: dict[str, Exception] = {}
        self.queues: dict[str, Any] = {}
        self.declared: list[tuple[str, str]] = []
        self.published: list[str] = []
        self.connected = 0
        self.events: list[Any] = []
        self.acknowledged: list[int] = []
        self.callback: Any = None
        self.on_cancel: Any = None

    def connect(self, *_: Any) -> "Broker":
        self.connected += 1
        self._may("connect")
        return self

    def channel(self) -> "Broker":
        return self

    def collect(self) -> None: ...

    def queue_declare(self, name: str, durable: bool, auto_delete: bool, arguments: dict[str, Any]) -> None:
        self._may("queue_declare")
        assert durable and not auto_delete
        self.queues[name] = arguments
        self.declared.append((name, arguments["x-queue-type"]))

    def queue_delete(self, name: str) -> None:
        self._may("queue_delete")
        del self.queues[name]

    def basic_publish_confirm(self, message: Any, routing_key: str, mandatory: bool, confirm_timeout: float) -> None:
        assert mandatory and message.properties["delivery_mode"] == 2 and routing_key in self.queues
        self._may("basic_publish_confirm")
        self.published.append(message.body)

    def basic_qos(self, *_: Any) -> None: ...

    def basic_consume(self, queue: str, callback: Any, on_cancel: Any) -> None:
        self.callback, self.on_cancel = callback, on_cancel

    def basic_ack(self, tag: int) -> None:
        self.acknowledged.append(tag)

    def drain_events(self, timeout: float) -> None:
        assert timeout > 0
        if not self.events:
            raise TimeoutError
        self.events.pop(0)()

    def heartbeat_tick(self) -> None:
        self._may("heartbeat_tick")

    def deliver(self, tag: int, body: str | bytes, redelivered: bool = False) -> None:
        message = SimpleNamespace(channel=self, delivery_tag=tag, body=body, delivery_info={"redelivered": redelivered})
        self.events.append(lambda: self.callback(message))

    def _may(self, what: str) -> None:
        if what in self.fail:
            raise self.fail[what]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(broker, "_connect", made.connect)
    return made


SETTINGS = Settings(ACCOUNT, "192.0.2.10", "198.51.100.10", "secret")


def test_messages_have_ids_of_their_own_and_go_to_a_queue_that_is_there(there: Broker) -> None:
    publisher = Publisher(100, SETTINGS)
    operations = [worker.attempt(publisher) for _ in range(5)]
    assert [operation.value for operation in operations] == there.published
    assert len(set(there.published)) == 5
    assert there.queues == {SETTINGS.queue: {"x-queue-type": "quorum"}}
    assert there.connected == 1


@pytest.mark.parametrize(
    "where, error, outcome, word, connections",
    [
        ("connect", ConnectionRefusedError(111, "refused"), Outcome.FAIL, "ConnectionRefusedError 111", 2),
        ("basic_publish_confirm", amqp.exceptions.MessageNacked(), Outcome.FAIL, "Failure", 1),
        ("basic_publish_confirm", TimeoutError("timed out"), Outcome.INFO, "TimeoutError", 2),
        ("basic_publish_confirm", OSError("Server unexpectedly closed connection"), Outcome.INFO, "OSError", 2),
        (
            "basic_publish_confirm",
            amqp.exceptions.ConnectionForced("shutdown"),
            Outcome.INFO,
            "ConnectionForced 320",
            2,
        ),
        ("queue_declare", amqp.exceptions.NotFound("no leader"), Outcome.FAIL, "NotFound 404", 2),
    ],
)
def test_a_message_is_doubtful_once_it_was_sent_and_not_refused(
    there: Broker, where: str, error: Exception, outcome: Outcome, word: str, connections: int
) -> None:
    there.fail[where] = error
    publisher = Publisher(100, SETTINGS)
    operation = worker.attempt(publisher)
    assert (operation.outcome, operation.error) == (outcome, word)
    there.fail.clear()
    assert worker.attempt(publisher).outcome is Outcome.OK
    assert there.connected == connections
    assert operation.value not in there.published


def test_each_type_of_queue_is_declared_by_a_process_of_its_own_and_goes_again(there: Broker) -> None:
    workers = broker.declarers(SETTINGS)
    assert len({each.process for each in workers}) == 3
    for each in workers:
        names = [worker.attempt(each).value for _ in range(3)]
        wanted = str(each.workload).removeprefix("declare-")
        assert there.declared[-3:] == [(name, wanted) for name in names]
        assert len(set(names)) == 3 and all(name.startswith(ACCOUNT.name) for name in names)
    # What expires is not deleted: with a member down that takes the broker 5 s.
    assert {arguments["x-queue-type"] for arguments in there.queues.values()} == {"classic", "quorum"}
    assert all(arguments["x-expires"] == broker.EXPIRES_MS for arguments in there.queues.values())
    assert there.connected == 3


def test_types_are_declared_one_after_the_other_whatever_ended_their_outage(there: Broker) -> None:
    began = time.monotonic()
    turns = sorted((began + each.rest(began)) % 1.0 for each in broker.declarers(SETTINGS))
    gaps = [after - before for before, after in pairwise([*turns, turns[0] + 1])]
    assert gaps == pytest.approx([1 / 3] * 3, abs=0.05)


def test_a_queue_that_cannot_be_deleted_was_declared_nevertheless(there: Broker) -> None:
    there.fail["queue_delete"] = amqp.exceptions.InternalError("timeout")
    declarer = next(each for each in broker.declarers(SETTINGS) if each.workload is Workload.DECLARE_STREAM)
    assert worker.attempt(declarer).outcome is Outcome.OK
    there.fail.clear()
    assert worker.attempt(declarer).outcome is Outcome.OK
    assert there.connected == 2


def test_what_is_delivered_is_acknowledged_and_recorded_once(
    there: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "consume.jsonl"
    with History(path) as history:
        consumer = Consumer(200, SETTINGS, history)
        there.deliver(1, "a-1")
        there.deliver(2, b"a-2", redelivered=True)
        assert worker.attempt(consumer).outcome is Outcome.OK
        # The broker ends the consumer; it comes back on a new connection.
        there.events.append(lambda: there.on_cancel("tag"))
        assert worker.attempt(consumer).error == "ConsumerCancelled"
        there.deliver(1, "a-3")
        assert worker.attempt(consumer).outcome is Outcome.OK
        there.fail["heartbeat_tick"] = amqp.exceptions.ConnectionForced("Too many heartbeats missed")
        assert worker.attempt(consumer).error == "ConnectionForced 320"
    assert there.connected == 2
    assert there.acknowledged == [1, 2, 1]
    values = [operation.value for operation in read_operations([path])]
    assert values == [
        {"id": "a-1", "redelivered": False},
        {"id": "a-2", "redelivered": True},
        {"id": "a-3", "redelivered": False},
    ]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing, as a frozen broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_broker_that_says_nothing_is_given_up(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "CONNECT_S", 0.3)
    settings = Settings(ACCOUNT, "127.0.0.1", "127.0.0.1", "", amqp_port=silent)
    operation = worker.attempt(broker.publishers(settings)[0])
    assert (operation.outcome, operation.error) == (Outcome.FAIL, "TimeoutError")
    assert 0.25 <= operation.ended - operation.began < 5


def test_a_connection_notices_a_far_end_that_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception): ...

    found: dict[str, int] = {}

    def frames(_: Any) -> None:
        found["user timeout"] = seen[0].sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        raise Stop

    seen: list[Any] = []
    monkeypatch.setattr(amqp.transport.TCPTransport, "read_frame", lambda self: (seen.append(self), frames(self)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Settings(ACCOUNT, "127.0.0.1", "127.0.0.1", "", amqp_port=server.getsockname()[1])
        with pytest.raises(Stop):
            broker._connect(settings, 1.0, 0)
    assert found == {"user timeout": broker.UNACKNOWLEDGED_MS}


def test_an_open_connection_waits_longer_for_its_answers_than_for_the_handshake() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        broker._wait_for_answers(ours, 0.25)
        began = time.monotonic()
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        assert 0.2 <= time.monotonic() - began < 2
