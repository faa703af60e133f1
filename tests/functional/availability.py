"""What clients see while something is done to a cluster: operations in loops through the virtual IPs.

Three clients work without a pause: one writes rows, one publishes messages and has them confirmed, one has tokens
issued. Each records every attempt. The longest time between two successes is the outage that it saw; afterwards
everything that was acknowledged must be there, on every node.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import amqp
import pymysql

from tripleo_ha.endpoints import CONTROL, PUBLIC
from tripleo_ha.errors import TimedOut
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Account
from tripleo_ha.verify.result import Problem, attempt
from tripleo_ha.verify.runner import KEYSTONE_PORT, Target, trial_account
from tripleo_ha.waiting import wait_for

OPERATION_S = 1.0
"""A client gives an operation up after this long and tries again on a new connection; a token may take twice that."""
RETRY_S = 0.05
ELSEWHERE_S = 120.0
"""Each operation is bounded by itself; this is for many of them."""
ANSWER_S = 60.0
"""So long a node may take to tell what it holds."""
SQL, AMQP, TOKEN = "sql write", "amqp publish", "token issue"


@dataclass(frozen=True)
class Sample:
    """One attempt: when it began and ended (monotonic seconds), and what went wrong, or an empty string."""

    began: float
    ended: float
    error: str = ""


@dataclass(frozen=True)
class Gap:
    """A time without a success: how long (seconds), and when it began (monotonic seconds)."""

    seconds: float
    began: float


def longest_gap(samples: Sequence[Sample], begin: float, end: float) -> Gap:
    """Return the longest time between two successes, from ``begin`` to ``end``, which count as successes.

    A success counts when it is acknowledged, not when it was asked for: that is what a client can build on.
    """
    marks = [begin, *sorted(s.ended for s in samples if not s.error and begin <= s.ended <= end), end]
    gaps = [Gap(after - before, before) for before, after in pairwise(marks)]
    return max(gaps, key=lambda gap: gap.seconds)


def resumed(samples: Sequence[Sample], since: float, in_a_row: int) -> bool:
    """Whether the last attempts, that many in a row and all begun after ``since``, succeeded."""
    last = samples[-in_a_row:]
    return len(last) == in_a_row and all(not s.error and s.began >= since for s in last)


class Operation(Protocol):
    """One kind of client; it keeps its connection over calls until one fails."""

    def __call__(self, identity: str) -> None:
        """Do it once, and return when it is acknowledged; any exception is a failure."""

    def reset(self) -> None:
        """Drop the connection."""


@dataclass
class SqlWriter:
    """Inserts one row an operation, committed at once."""

    address: str
    port: int
    account: Account
    patience: float = OPERATION_S
    _connection: "pymysql.connections.Connection[Any] | None" = None

    def __call__(self, identity: str) -> None:
        """Insert a row."""
        if self._connection is None:
            self._connection = client.sql(self.address, self.port, self.account, self.patience)
        client.write_row(self._connection, identity, time.time())

    def reset(self) -> None:
        """Drop the connection; the server may be gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pymysql.MySQLError):  # it may be closed already
                connection.close()


@dataclass
class Publisher:
    """Publishes one persistent message an operation to a quorum queue that is there already."""

    address: str
    port: int
    account: Account
    queue: str
    patience: float = OPERATION_S
    _connection: Any = None
    _channel: Any = None

    def __call__(self, identity: str) -> None:
        """Publish a message and wait for the broker's confirmation."""
        if self._channel is None:
            self._connection = client.broker(self.address, self.port, self.account, self.patience)
            self._channel = self._connection.channel()
        client.publish(self._channel, self.queue, identity, self.patience)

    def reset(self) -> None:
        """Drop the connection without a word to the broker."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()


@dataclass
class TokenIssuer:
    """Has one token issued an operation, each on a connection of its own."""

    address: str
    port: int
    password: str = field(repr=False)
    trust: client.Trust | None = None
    patience: float = OPERATION_S

    def __call__(self, identity: str) -> None:
        """Have a token issued."""
        client.issue_token(self.address, self.port, self.password, 2 * self.patience, self.trust)

    def reset(self) -> None:
        """Nothing is kept."""


class Loop:
    """A client at work in a thread of its own, until it is told to stop."""

    def __init__(self, name: str, operation: Operation, interval: float, enter: Callable[[], None]) -> None:
        self.name = name
        self.samples: list[Sample] = []
        self.acknowledged: list[str] = []
        self._operation = operation
        self._interval = interval
        self._enter = enter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let the operation at hand end, and return after it."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        self._enter()
        number = 0
        while not self._stop.is_set():
            number += 1
            error = self._once(f"{self.name.split()[0]}-{number}")
            self._stop.wait(RETRY_S if error else self._interval)
        self._operation.reset()

    def _once(self, identity: str) -> str:
        began = time.monotonic()
        outcome = attempt(self._operation, identity)
        error = outcome.reason if isinstance(outcome, Problem) else ""
        if error:
            self._operation.reset()
        else:
            self.acknowledged.append(identity)
        self.samples.append(Sample(began, time.monotonic(), error))
        return error


@dataclass
class Loops:
    """Clients at work beside each other."""

    loops: tuple[Loop, ...]

    def wait_working(self, since: float, timeout: float, in_a_row: int = 5) -> None:
        """Wait until every client has succeeded several times in a row, all begun after ``since``.

        :raises TimedOut: naming those that have not, and their last error.
        """
        wait_for(
            "the clients' operations to succeed",
            lambda: all(resumed(loop.samples, since, in_a_row) for loop in self.loops),
            timeout=timeout,
            interval=0.1,
            why=lambda: "; ".join(self._trouble(loop) for loop in self.loops),
        )

    def gaps(self, since: float, until: float | None = None) -> dict[str, Gap]:
        """Return the longest gap that each client saw between two moments (monotonic seconds)."""
        end = time.monotonic() if until is None else until
        return {loop.name: longest_gap(loop.samples, since, end) for loop in self.loops}

    @contextlib.contextmanager
    def at_work(self, settle: float) -> Iterator[None]:
        """Have them at work for the time of the ``with`` statement; they all succeed when it is entered.

        :param settle: seconds within which they must.
        :raises TimedOut: they did not.
        """
        began = time.monotonic()
        try:
            for loop in self.loops:
                loop.start()
            self.wait_working(began, settle)
            yield
        finally:
            for loop in self.loops:
                loop.stop()

    def _trouble(self, loop: Loop) -> str:
        last = loop.samples[-1] if loop.samples else Sample(0, 0, "nothing tried yet")
        return f"{loop.name}: {last.error or 'succeeds'}"


@dataclass
class Watch(Loops):
    """The clients of database, broker and Keystone at work on one cluster."""

    target: Target
    account: Account
    queue: str

    def lost(self, timeout: float = 120) -> dict[str, list[str]]:
        """Stop the clients and return, by place, what was acknowledged and is not there; empty when all is.

        :param timeout: seconds within which each node must be able to tell; one may just be coming back.
        :raises TimedOut: a node could not.
        """
        for loop in self.loops:
            loop.stop()
        kept = {loop.name: loop.acknowledged for loop in self.loops}
        rows = {"name": self.account.name, "ids": kept[SQL]}
        told = partial(self.target.ask_until_told, answer_s=ANSWER_S, timeout=timeout)
        missing = {f"{SQL}, {node}": list(told(node, "rows", rows)["missing"]) for node in self.target.transport.nodes}
        # Messages that were published and not acknowledged may be there as well.
        count = 2 * len(kept[AMQP]) + 1000
        queue = {"name": self.account.name, "password": self.account.password, "queue": self.queue, "count": count}
        taken = told(self.target.transport.nodes[-1], "take", queue)["payloads"]
        missing[AMQP] = sorted(set(kept[AMQP]) - set(taken))
        return {place: ids for place, ids in missing.items() if ids}


@contextlib.contextmanager
def watching(target: Target, patience: float = OPERATION_S, settle: float = 90) -> Iterator[Watch]:
    """Have the clients at work for the time of the ``with`` statement; they all succeed when it is entered.

    :param patience: seconds that an operation may take; what waits for a node that died should not wait long.
    :param settle: seconds within which they must.
    :raises TimedOut: they did not.
    """
    with trial_account(target) as account:
        ports = {listener.name: listener.port for row in target.rows for listener in row.balanced}
        queue = f"{account.name}.watched"
        enter = target.transport.enter
        elsewhere(enter, _declare, target.vip(CONTROL), ports["amqp"], account, queue)
        password = target.metadata["keystone"]["admin_password"]
        issuer = TokenIssuer(target.vip(PUBLIC), KEYSTONE_PORT, password, target.keystone_trust(), patience)
        loops = (
            Loop(SQL, SqlWriter(target.vip(CONTROL), ports["mysql"], account, patience), 0.05, enter),
            Loop(AMQP, Publisher(target.vip(CONTROL), ports["amqp"], account, queue, patience), 0.05, enter),
            Loop(TOKEN, issuer, 0.25, enter),
        )
        watch = Watch(loops, target, account, queue)
        with watch.at_work(settle):
            yield watch


def describe(gaps: Mapping[str, Gap]) -> str:
    """Return gaps as one line for a person."""
    return ", ".join(f"{name} {gap.seconds:.1f} s" for name, gap in gaps.items())


def _declare(address: str, port: int, account: Account, queue: str) -> None:
    connection: amqp.Connection = client.broker(address, port, account)
    try:
        client.declare_quorum(connection.channel(), queue)
    finally:
        connection.close()


def elsewhere(
    enter: Callable[[], None], do: Callable[..., None], *arguments: Any, timeout: float = ELSEWHERE_S
) -> None:
    """Do one thing in a thread that has moved to where clients are, so that the caller stays where it is.

    :param timeout: seconds; what is not done by then goes on by itself, and nobody is told of its end.
    :raises TimedOut: it was not done in time.
    """
    failures: list[BaseException] = []

    def body() -> None:
        try:
            enter()
            do(*arguments)
        except BaseException as error:  # noqa: BLE001 RUF100 — raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        # Its arguments may be secrets.
        raise TimedOut(f"waited {timeout:g} s for {getattr(do, '__qualname__', 'a call')} where clients are")
    if failures:
        raise failures[0]
