"""List-append transactions as a checker needs them: who appended what, and what was read before own appends."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tripleo_ha.chaos.model import Operation, Outcome, Workload

Key = str
Value = Hashable


@dataclass(slots=True)
class Transaction:
    """One transaction.

    ``operation`` is without its value, which ``steps`` has: ``(kind, key, value)`` in order, kind ``r`` or ``append``.
    ``reads`` holds for each key the first list read before an own append to it; ``appends`` holds the values appended,
    in order. One that is ``acknowledged`` (its client was told so) is ``committed``; one whose end is unknown becomes
    so once a value of it is seen.
    """

    number: int
    operation: Operation
    steps: list[tuple[str, Key, Any]]
    reads: dict[Key, list[Value]] = field(default_factory=dict)
    appends: dict[Key, list[Value]] = field(default_factory=dict)
    acknowledged: bool = False
    committed: bool = False


@dataclass(slots=True)
class History:
    """All transactions that may have happened, and who appended each value, by key.

    ``refused`` has the appends of transactions that certainly did not happen. ``twice`` lists values that more than
    one transaction attempted, for which nothing can be judged.
    """

    transactions: list[Transaction] = field(default_factory=list)
    writers: dict[Key, dict[Value, Transaction]] = field(default_factory=dict)
    refused: dict[Key, dict[Value, Operation]] = field(default_factory=dict)
    twice: list[tuple[Key, Value]] = field(default_factory=list)
    attempted: int = 0

    def all_reads(self) -> Iterator[tuple[Transaction, Key, list[Value]]]:
        """Yield every list that an acknowledged transaction read, also those after own appends."""
        for transaction in self.transactions:
            if transaction.acknowledged:
                for kind, key, value in transaction.steps:
                    if kind == "r":
                        yield transaction, key, value


def gather(operations: Iterable[Operation]) -> History:
    """Sort out the list-append operations among these.

    A null in an acknowledged read is the empty list, as in Elle: no row. In a read whose end is unknown it says that
    nothing is known.

    :raises ValueError: the value of an operation is no transaction.
    """
    history = History()
    same: dict[Value, Value] = {}
    for operation in operations:
        if operation.workload is Workload.LIST_APPEND:
            history.attempted += 1
            _take(history, replace(operation, value=None), list(_steps(operation, same)))
    return history


def _take(history: History, operation: Operation, steps: list[tuple[str, Key, Any]]) -> None:
    transaction = Transaction(len(history.transactions), operation, steps)
    _sort(transaction)
    transaction.acknowledged = transaction.committed = operation.outcome is Outcome.OK
    refused = operation.outcome is Outcome.FAIL
    for key, values in transaction.appends.items():
        for value in values:
            if value in history.writers.get(key, ()) or value in history.refused.get(key, ()):
                history.twice.append((key, value))
            elif refused:
                history.refused.setdefault(key, {})[value] = operation
            else:
                history.writers.setdefault(key, {})[value] = transaction
    if not refused:
        history.transactions.append(transaction)


def _steps(operation: Operation, same: dict[Value, Value]) -> Iterator[tuple[str, Key, Any]]:
    try:
        for kind, key, value in operation.value or ():
            if kind == "append":
                yield kind, str(key), value
            elif kind != "r":
                raise ValueError(kind)
            elif value is not None:
                # Hours of reads hold the same values again and again.
                yield kind, str(key), [same.setdefault(each, each) for each in value]
            elif operation.outcome is Outcome.OK:
                yield kind, str(key), []
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a list-append transaction: {operation.value!r:.200}") from error


def _sort(transaction: Transaction) -> None:
    for kind, key, value in transaction.steps:
        if kind == "append":
            transaction.appends.setdefault(key, []).append(value)
        elif key not in transaction.appends:
            transaction.reads.setdefault(key, value)


def contradiction(transaction: Transaction) -> str:
    """Return how a transaction contradicts itself, in words, or an empty string (Elle's *internal*).

    What was read before is expected again, with what was appended since; after an append to a key that was not read,
    the end of the list is expected.
    """
    known: dict[Key, tuple[bool, list[Value]]] = {}
    for position, (kind, key, value) in enumerate(transaction.steps):
        whole, expected = known.get(key, (False, []))
        if kind == "append":
            known[key] = whole, [*expected, value]
            continue
        if value != expected if whole else value[len(value) - len(expected) :] != expected:
            return f"key {key}: read {listed(value)}, expected {'' if whole else '… '}{listed(expected)}"
        later = {step[2] for step in transaction.steps[position:] if step[0] == "append" and step[1] == key}
        if later and not later.isdisjoint(value):
            return f"key {key}: read {listed(value)}, with a value that it appended only afterwards"
        known[key] = True, value
    return ""


def listed(values: Sequence[Any], ends: int = 6) -> str:
    """Write a list for people: its beginning and end when it is long."""
    if len(values) <= 2 * ends:
        return "[" + ", ".join(map(str, values)) + "]"
    first, last = (", ".join(map(str, part)) for part in (values[:2], values[-ends:]))
    return f"[{first}, … {len(values) - 2 - ends} more …, {last}]"
