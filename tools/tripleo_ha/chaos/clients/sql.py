"""SQL through the virtual IP: appends to lists, and money that is moved around.

Both read on the client's side and write back what they computed, in one transaction, as the code of services does; so
what isolation must prevent would show. A transaction certainly did not happen while its COMMIT has not been sent, or
when the server answered to COMMIT that it rolled back; with any other failure of COMMIT nothing is known.
"""

import contextlib
import json
import random
import threading
import uuid
from abc import abstractmethod
from typing import Any

import pymysql

from tripleo_ha.chaos.clients.settings import Settings
from tripleo_ha.chaos.clients.worker import Worker
from tripleo_ha.chaos.model import Workload
from tripleo_ha.node.trial import BANK_ACCOUNTS

CONNECT_S = 0.5
"""A machine of the same network takes a connection in a millisecond, and a frozen server's kernel takes it as well."""
ANSWER_S = 2.0
"""A server that stalls while it agrees on who is left does so for less; on a connection whose far end vanished nothing
tells the client, so this is how much later it looks for the virtual IP again."""
ROLLED_BACK = frozenset({1020, 1047, 1205, 1213})
"""Record changed since read, node not ready, lock wait timeout, deadlock (Galera's word for a conflict, too)."""
HOT_KEYS = 8
"""Few enough that transactions meet, many enough that most do not: a conflict is no answer to a service either."""
APPENDS_A_KEY = 32
"""Each read of a list is in the history with all its values; a list that grew for hours would fill disk and memory."""
LONGEST_TRANSACTION = 4
READ_SHARE = 0.3
LARGEST_AMOUNT = 5
APPEND_S, TRANSFER_S, LOOK_S = 0.15, 0.2, 1.0
"""How often each process appends, transfers, and reads the whole bank: some twenty transactions a second in all."""
APART = 0.07
"""Processes differ by this share in their pace: with the same one they would meet always or never."""


class ShortOfMoney(Exception):  # noqa: N818 RUF100 — an outcome, told by its name in the history
    """The account that should pay has less than that; nothing was done."""


class Keys:
    """The lists in use, shared by the processes that append: a few at a time, each replaced when it is long enough."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 — a workload, not a secret
        self._lock = threading.Lock()
        # A second run on the same tables begins new lists.
        self._tag = uuid.uuid4().hex[:4]
        self._made = 0
        self._value = 0
        self._appends: dict[str, int] = {}

    def transaction(self) -> list[list[Any]]:
        """Return the micro-operations of a new transaction; what reads will see is still None."""
        with self._lock:
            steps = self._random.randint(1, LONGEST_TRANSACTION)
            # One appends at least, since a transaction that only reads is no success of a service that writes.
            surely = self._random.randrange(steps)
            return [self._step(place != surely and self._random.random() < READ_SHARE) for place in range(steps)]

    def _step(self, read: bool) -> list[Any]:
        while len(self._appends) < HOT_KEYS:
            self._made += 1
            self._appends[f"{self._tag}-{self._made}"] = 0
        key = self._random.choice(sorted(self._appends))
        if read:
            return ["r", key, None]
        self._value += 1
        self._appends[key] += 1
        if self._appends[key] == APPENDS_A_KEY:
            del self._appends[key]
        return ["append", key, self._value]


class SqlWorker(Worker):
    """A process with one connection, kept until it breaks."""

    def __init__(self, process: int, settings: Settings) -> None:
        super().__init__(process)
        self._settings = settings
        self._connection: pymysql.connections.Connection[Any] | None = None

    def once(self) -> None:
        """Do one transaction."""
        self.prepare()
        if self._connection is None:
            self._connection = _connect(self._settings)
        with self._connection.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            self.steps(cursor)
        self.sent = True
        self._connection.commit()

    @abstractmethod
    def prepare(self) -> None:
        """Set ``value`` to what the transaction shall do."""

    @abstractmethod
    def steps(self, cursor: "pymysql.cursors.Cursor") -> None:
        """Do what is between START TRANSACTION and COMMIT."""

    def refused(self, error: Exception) -> bool:
        """Whether the server says that it rolled the transaction back."""
        return isinstance(error, pymysql.MySQLError) and bool(ROLLED_BACK.intersection(error.args[:1]))

    def recover(self, error: Exception) -> None:
        """Keep the connection when it was only a conflict."""
        node_left = error.args[:1] == (1047,)
        if self._connection is not None and not node_left and (isinstance(error, ShortOfMoney) or self.refused(error)):
            self._connection.rollback()
        else:
            self.close()

    def close(self) -> None:
        """Close the socket; the server rolls back what is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pymysql.MySQLError, OSError):
                connection.close()


class Appender(SqlWorker):
    """Transactions of reads of lists and appends to them."""

    workload = Workload.LIST_APPEND

    def __init__(self, process: int, settings: Settings, keys: Keys, period: float = APPEND_S) -> None:
        super().__init__(process, settings)
        self.period = period / settings.pace
        self._keys = keys
        self._plan: list[list[Any]] = []
        self._seen: list[list[Any]] = []

    def prepare(self) -> None:
        """Choose lists and values."""
        self._plan = self._keys.transaction()
        self.value = self._plan

    def steps(self, cursor: "pymysql.cursors.Cursor") -> None:
        """Read and append; ``value`` gets what was read once all is known."""
        seen = []
        for what, key, value in self._plan:
            cursor.execute("SELECT items FROM lists WHERE id=%s", (key,))
            row = cursor.fetchone()
            items = json.loads(row[0]) if row else None
            seen.append(["r", key, items])
            if what == "append":
                # What is written rests on that read, so that a lost update can be told from a lost commit.
                seen.append([what, key, value])
                text = json.dumps([*(items or ()), value], separators=(",", ":"))
                change = (
                    "UPDATE lists SET items=%s WHERE id=%s" if row else "INSERT INTO lists (items, id) VALUES (%s, %s)"
                )
                cursor.execute(change, (text, key))
        self._seen = seen

    def once(self) -> None:
        """Do one transaction; only one that was committed tells what it read."""
        super().once()
        self.value = self._seen


class Teller(SqlWorker):
    """Transfers between accounts."""

    workload = Workload.BANK

    def __init__(self, process: int, settings: Settings, period: float = TRANSFER_S) -> None:
        super().__init__(process, settings)
        self.period = period / settings.pace
        self._random = random.Random(settings.seed * 1000 + process)  # noqa: S311 — a workload, not a secret

    def prepare(self) -> None:
        """Choose between whom to move how much."""
        payer, payee = self._random.sample(range(BANK_ACCOUNTS), 2)
        self.value = ["transfer", str(payer), str(payee), self._random.randint(1, LARGEST_AMOUNT)]

    def steps(self, cursor: "pymysql.cursors.Cursor") -> None:
        """Move it; the richer of both pays, so that hardly ever a payer is short of money."""
        _, one, other, amount = self.value
        cursor.execute("SELECT id, balance FROM bank WHERE id IN (%s, %s)", (one, other))
        balances = dict(cursor.fetchall())
        payer, payee = (one, other) if balances[one] >= balances[other] else (other, one)
        self.value = ["transfer", payer, payee, amount]
        if balances[payer] < amount:
            raise ShortOfMoney
        for account, balance in ((payer, balances[payer] - amount), (payee, balances[payee] + amount)):
            cursor.execute("UPDATE bank SET balance=%s WHERE id=%s", (balance, account))


class Auditor(SqlWorker):
    """Reads of the whole bank; a process of its own, since a read is no success of a service that writes."""

    workload = Workload.BANK

    def __init__(self, process: int, settings: Settings) -> None:
        super().__init__(process, settings)
        self.period = LOOK_S / settings.pace
        self._balances: dict[str, int] = {}

    def prepare(self) -> None:
        """Say what is asked for."""
        self.value = ["read", None]

    def steps(self, cursor: "pymysql.cursors.Cursor") -> None:
        """Read in two statements, so that a snapshot that changes between them is found out."""
        balances: dict[str, int] = {}
        for low, high in ((0, BANK_ACCOUNTS // 2), (BANK_ACCOUNTS // 2, BANK_ACCOUNTS)):
            cursor.execute("SELECT id, balance FROM bank WHERE id >= %s AND id < %s", (str(low), str(high)))
            balances |= dict(cursor.fetchall())
        self._balances = balances

    def once(self) -> None:
        """Do one transaction; only one that was committed tells what it read."""
        super().once()
        self.value = ["read", self._balances]


def workers(settings: Settings) -> list[Worker]:
    """Return the processes: those that append are numbered from 0, those of the bank from 50, who reads it is last."""
    keys = Keys(settings.seed)
    appenders = [Appender(number, settings, keys, _own(APPEND_S, number)) for number in range(settings.appenders)]
    tellers = [Teller(50 + number, settings, _own(TRANSFER_S, number)) for number in range(settings.tellers)]
    return [*appenders, *tellers, Auditor(50 + settings.tellers, settings)]


def _own(period: float, number: int) -> float:
    return period * (1 - APART * number)


def _connect(settings: Settings) -> "pymysql.connections.Connection[Any]":
    return pymysql.connect(
        host=settings.control,
        port=settings.mysql_port,
        user=settings.account.name,
        password=settings.account.password,
        database=settings.account.name,
        autocommit=False,
        connect_timeout=CONNECT_S,
        read_timeout=ANSWER_S,
        write_timeout=ANSWER_S,
        # As with the release of PyMySQL that services have. A later one reads every authority of the system for each
        # connection, 50 ms of processor time, in case of TLS: while a node is busy, that was most of a gap.
        ssl_disabled=True,
        init_command=f"SET SESSION TRANSACTION ISOLATION LEVEL {settings.isolation}",
    )
