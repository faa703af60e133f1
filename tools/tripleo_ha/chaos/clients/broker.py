"""AMQP through the virtual IP: messages published and consumed, and queues declared."""

import contextlib
import itertools
import socket
import struct
import time
import uuid
from typing import Any

import amqp

from tripleo_ha.chaos.clients.history import History
from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Worker
from tripleo_ha.chaos.model import Operation, Outcome, Workload
from tripleo_ha.endpoints import host
from tripleo_ha.errors import Failure
from tripleo_ha.verify import client

CONNECT_S = 0.5
"""A machine of the same network takes a connection in a millisecond, and a frozen broker's kernel takes it as well."""
HANDSHAKE_S = 2.0
"""So long a broker may take for each answer until a connection is open, whatever is asked of it then."""
CONFIRM_S = 2.0
"""A quorum queue that elects a leader confirms late; a client that gave up earlier would only ask again."""
DECLARE_S = 4.0
"""A declaration waits for members that do not answer. A far end that vanished ends it sooner: see below."""
EXPIRES_MS = 5000
"""How long a declared queue stays that nobody uses."""
UNACKNOWLEDGED_MS = 1000
"""TCP_USER_TIMEOUT, the client library's own default: so soon it gives up a far end that acknowledges nothing."""
HEARTBEAT_S = 2
PREFETCH = 20
PUBLISHER, CONSUMER, DECLARER = 100, 200, 300
"""Numbers of the processes."""


class BrokerWorker(Worker):
    """A process with one connection and one channel, kept until they break."""

    answer_s = CONFIRM_S
    heartbeat_s = 0

    def __init__(self, process: int, settings: Settings) -> None:
        super().__init__(process)
        self._settings = settings
        self._connection: Any = None
        self._channel: Any = None

    def channel(self) -> Any:
        """Return an open channel."""
        if self._channel is None:
            self._connection = _connect(self._settings, self.answer_s, self.heartbeat_s)
            self._channel = self._connection.channel()
        return self._channel

    def recover(self, error: Exception) -> None:
        """Keep the connection when the broker only refused a message."""
        if not self.refused(error):
            self.close()

    def refused(self, error: Exception) -> bool:
        """Whether the broker said no."""
        return isinstance(error, Failure)

    def close(self) -> None:
        """Close the socket without a word to the broker."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(OSError, amqp.AMQPError):
                connection.collect()


class Publisher(BrokerWorker):
    """Publishes persistent messages with ids to a quorum queue, one after the other is confirmed."""

    workload = Workload.PUBLISH
    period = 0.05

    def __init__(self, process: int, settings: Settings) -> None:
        super().__init__(process, settings)
        tag = uuid.uuid4().hex[:8]
        self._ids = (f"{tag}-{number}" for number in itertools.count(1))
        self._declared = False

    def once(self) -> None:
        """Publish one message."""
        self.value = next(self._ids)
        channel = self.channel()
        if not self._declared:
            client.declare_quorum(channel, self._settings.queue)
            self._declared = True
        self.sent = True
        client.publish(channel, self._settings.queue, self.value, CONFIRM_S)


class Declarer(BrokerWorker):
    """Declares durable queues of one type; only that is timed. They expire, as those for OpenStack's replies do.

    To delete a quorum queue takes the broker 5 s while one of its members is down, and whoever waits for that declares
    nothing meanwhile. A stream cannot expire, and is deleted.

    ``phase``: seconds of the period at which it does so.
    """

    answer_s = DECLARE_S
    period = 1.0

    def __init__(self, process: int, settings: Settings, workload: Workload, phase: float = 0.0) -> None:
        super().__init__(process, settings)
        self.workload = workload
        self._phase = phase
        self._type = workload.removeprefix("declare-")
        self._expires = self._type != "stream"
        tag = f"{settings.account.name}.{self._type}.{uuid.uuid4().hex[:4]}"
        self._names = (f"{tag}.{number}" for number in itertools.count(1))

    def once(self) -> None:
        """Declare one queue."""
        self.value = next(self._names)
        channel = self.channel()
        self.sent = True
        arguments = {"x-queue-type": self._type, **({"x-expires": EXPIRES_MS} if self._expires else {})}
        channel.queue_declare(self.value, durable=True, auto_delete=False, arguments=arguments)

    def rest(self, began: float) -> float:
        """Keep to the phase: an outage, which ends for all at once, must not leave all asking at the same moment."""
        return self.period - (time.monotonic() - self._phase) % self.period

    def tidy(self) -> None:
        """Delete a queue that stays; one whose declaration was given up goes with the account."""
        if not self._expires:
            self.channel().queue_delete(self.value)


class Consumer(BrokerWorker):
    """Takes messages, acknowledges and records each; comes back after whatever ends the consumer."""

    workload = Workload.CONSUME
    period = 0.0
    recorded = False
    heartbeat_s = HEARTBEAT_S

    def __init__(self, process: int, settings: Settings, history: History) -> None:
        super().__init__(process, settings)
        self._history = history

    def once(self) -> None:
        """Take what comes within half a heartbeat."""
        if self._channel is None:
            self._consume()
        deadline = time.monotonic() + HEARTBEAT_S / 2
        with contextlib.suppress(TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                self._connection.drain_events(timeout=left)
        self._connection.heartbeat_tick()

    def _consume(self) -> None:
        channel = self.channel()
        channel.basic_qos(0, PREFETCH, False)
        channel.basic_consume(self._settings.queue, callback=self._take, on_cancel=_cancelled)

    def _take(self, message: Any) -> None:
        began = time.monotonic()
        message.channel.basic_ack(message.delivery_tag)
        value = {"id": _text(message.body), "redelivered": bool(message.delivery_info["redelivered"])}
        self._history.add(Operation(self.workload, self.process, began, time.monotonic(), Outcome.OK, value))


class ConsumerCancelled(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """The broker ended the consumer, as it does when a queue moves."""


def publishers(settings: Settings) -> list[Worker]:
    """Return the process that publishes."""
    return [Publisher(PUBLISHER, settings)]


def consumers(settings: Settings, history: History) -> list[Worker]:
    """Return the process that consumes."""
    return [Consumer(CONSUMER, settings, history)]


def declarers(settings: Settings) -> list[Worker]:
    """Return a process for each type of queue; one after the other, so that one asks three times a second."""
    types = (Workload.DECLARE_CLASSIC, Workload.DECLARE_QUORUM, Workload.DECLARE_STREAM)
    phases = [number * Declarer.period / len(types) for number in range(len(types))]
    return [
        Declarer(DECLARER + number, settings, workload, phase)
        for number, (workload, phase) in enumerate(zip(types, phases, strict=True))
    ]


def _connect(settings: Settings, answer_s: float, heartbeat_s: int) -> Any:
    connection = amqp.Connection(
        host=f"{host(settings.control)}:{settings.amqp_port}",
        userid=settings.account.name,
        password=settings.account.password,
        virtual_host="/",
        heartbeat=heartbeat_s,
        connect_timeout=CONNECT_S,
        read_timeout=min(answer_s, HANDSHAKE_S),
        write_timeout=answer_s,
        confirm_publish=True,
        socket_settings={socket.TCP_USER_TIMEOUT: UNACKNOWLEDGED_MS},
    )
    connection.connect()
    _wait_for_answers(connection.transport.sock, answer_s)
    return connection


def _wait_for_answers(connected: socket.socket, answer_s: float) -> None:
    """Set how long a read waits; the library can set it only once, for the handshake as for all that follows."""
    seconds, rest = divmod(answer_s, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(seconds), int(rest * 1e6)))


def _cancelled(_tag: str) -> None:
    raise ConsumerCancelled


def _text(body: str | bytes) -> str:
    return body.decode() if isinstance(body, bytes) else body
