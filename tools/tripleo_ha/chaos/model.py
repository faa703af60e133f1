"""What clients, faults, checkers and reports of a campaign share: operations, strikes, and their files.

All times are seconds of ``time.monotonic()``, which is one clock for all processes of a machine.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """How an operation ended, in Jepsen's words."""

    OK = "ok"
    """Acknowledged: it happened."""
    FAIL = "fail"
    """Refused: it certainly did not happen."""
    INFO = "info"
    """Neither is known, as when the connection broke before the answer."""


class Service(StrEnum):
    """What a client uses; the columns of the report."""

    SQL = "sql"
    PUBLISH = "publish"
    DECLARE = "declare"
    RPC = "rpc"
    TOKEN = "token"  # noqa: S105 — a service, not a secret


class Workload(StrEnum):
    """What one kind of client does."""

    LIST_APPEND = "list-append"
    """A transaction of ``["r", key, [value, …] or null]`` and ``["append", key, value]``, in Elle's notation."""
    BANK = "bank"
    """``["transfer", from, to, amount]``, or ``["read", {account: balance}]``."""
    PUBLISH = "publish"
    """The id of a message published to a queue that is there, and confirmed."""
    CONSUME = "consume"
    """``{"id": …, "redelivered": bool}`` of a message delivered and acknowledged."""
    DECLARE_CLASSIC = "declare-classic"
    DECLARE_QUORUM = "declare-quorum"
    DECLARE_STREAM = "declare-stream"
    """The name of a new queue."""
    RPC = "rpc"
    """The id of an oslo.messaging call that was answered."""
    FANOUT = "fanout"
    """``{"id": …, "received": n, "servers": n}`` of an oslo.messaging fanout cast."""
    TOKEN_ISSUE = "token-issue"  # noqa: S105
    TOKEN_VALIDATE = "token-validate"  # noqa: S105
    TOKEN_PASSWORD = "token-password"  # noqa: S105
    """A token for a password: its hash is slow on purpose, so that its time says nothing about availability."""

    @property
    def service(self) -> Service | None:
        """The service whose availability this workload measures; None of those that only account."""
        return _SERVICE.get(self)


_SERVICE = {
    Workload.LIST_APPEND: Service.SQL,
    Workload.BANK: Service.SQL,
    Workload.PUBLISH: Service.PUBLISH,
    Workload.DECLARE_CLASSIC: Service.DECLARE,
    Workload.DECLARE_QUORUM: Service.DECLARE,
    Workload.DECLARE_STREAM: Service.DECLARE,
    Workload.RPC: Service.RPC,
    Workload.TOKEN_ISSUE: Service.TOKEN,
    Workload.TOKEN_VALIDATE: Service.TOKEN,
}


CONFLICTS = frozenset({"OperationalError 1020", "OperationalError 1213", "ShortOfMoney"})
"""Errors by which a database that serves its clients refuses a transaction: another one was first (a record changed
since it was read; a deadlock, which is Galera's word for a failed certification, too), or the account is empty."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One attempt of one client: what it asked for and how that ended.

    ``process`` numbers the client, which does one operation after the other; ``error`` is empty or a short kind such
    as ``OperationalError 2013``, without addresses or secrets.
    """

    workload: Workload
    process: int
    began: float
    ended: float
    outcome: Outcome
    value: Any = None
    error: str = ""

    @property
    def conflict(self) -> bool:
        """Whether it was refused for what other clients do, which is an answer and no outage."""
        return self.outcome is Outcome.FAIL and self.error in CONFLICTS and self.workload.service is Service.SQL

    @property
    def served(self) -> bool:
        """Whether its client was served: acknowledged, or told that it was in conflict with another."""
        return self.outcome is Outcome.OK or self.conflict


class Kind(StrEnum):
    """What a fault is to the nodes it strikes; the rows of the table of figures."""

    KILLED = "process killed"
    STOPPED = "stopped gracefully"
    POWER_CUT = "power cut"
    CUT_OFF = "cut off or frozen"
    OUTAGE = "all nodes down"
    OTHER = "other"
    """Counted, and in no row: it strikes a node that serves nobody, a disk, a clock."""


@dataclass(frozen=True)
class Strike:
    """One fault as it was done.

    ``serving``: it struck a node that served the clients. ``injected`` .. ``healed``: while the cause was there;
    ``redundant``: when every node was whole again, or None where that was not reached (``trouble`` says why).
    ``powered``: for an outage, when the last node's agents had started; the time to served counts from there.
    """

    number: int
    fault: str
    kind: Kind
    nodes: tuple[str, ...]
    serving: bool
    injected: float
    healed: float
    redundant: float | None
    powered: float | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Overlap:
    """A time during which something that must be once was on several nodes."""

    what: str
    nodes: tuple[str, ...]
    began: float
    ended: float


@dataclass(frozen=True)
class Finding:
    """One thing that must not have happened: a lost commit, a phantom, two copies of a singleton."""

    checker: str
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What one checker says: its findings, and counts that a person wants beside them (name to number)."""

    checker: str
    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def write_lines(path: Path, records: Iterable[Operation | Strike | Overlap]) -> None:
    """Append records to a file, one JSON document a line."""
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(record), separators=(",", ":")) + "\n" for record in records)


def read_operations(paths: Iterable[Path], *, lean: bool = False) -> Iterator[Operation]:
    """Yield the operations of history files, file by file; a line cut short by a crash at the end is left out.

    :param lean: of the values keep only whether something was written, for hours of them do not fit into memory.
    :raises ValueError: a line is no operation; it names the file and the line.
    """
    for path in paths:
        with path.open() as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n"):
                    yield _operation(line, f"{path}:{number}", lean)


def _operation(line: str, place: str, lean: bool) -> Operation:
    try:
        document = json.loads(line)
        kinds = {"workload": Workload(document["workload"]), "outcome": Outcome(document["outcome"])}
        if lean:
            document["value"] = _gist(document["value"])
        return Operation(**{**document, **kinds})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{place}: not an operation ({type(error).__name__}: {error})") from error


_READ, _READS, _APPENDS = ("read",), (("r",),), (("append",),)


def _gist(value: Any) -> Any:
    """Return what tells a value that asks for a change from one that only reads; the same object for all of a kind."""
    if not isinstance(value, list) or not value:
        return None
    if value[0] == "read":
        return _READ
    if isinstance(value[0], list):
        return _READS if all(step and step[0] == "r" for step in value) else _APPENDS
    return None
