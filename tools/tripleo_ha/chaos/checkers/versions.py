"""The order of versions of each key, and what the states seen say without any cycle: lost, phantom, aborted, stale."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha.chaos.checkers.anomalies import Anomaly
from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.checkers.transactions import History, Key, Transaction, Value, listed

Final = Mapping[str, Mapping[Key, Sequence[Value]]]


@dataclass(slots=True)
class Versions:
    """One key's values in the order in which they were appended, as far as it was seen.

    ``order`` is the longest state seen, with nothing twice; a final state is preferred to a read of the same length.
    ``place`` is the index in it by value. ``odd`` are the states that are no beginning of it, with who saw them.
    """

    order: list[Value] = field(default_factory=list)
    place: dict[Value, int] = field(default_factory=dict)
    odd: list[tuple[str, list[Value]]] = field(default_factory=list)

    def begins_with(self, state: list[Value]) -> bool:
        """Whether a state is a version of this key."""
        return self.order[: len(state)] == state


def infer(history: History, final: Final) -> dict[Key, Versions]:
    """Infer the order of every key's versions, and mark as committed the transactions of which a value was seen."""
    seen: dict[Key, Versions] = {}
    for lists in final.values():
        for key, values in lists.items():
            _longer(seen.setdefault(str(key), Versions()), list(values))
    for _, key, values in history.all_reads():
        _longer(seen.setdefault(key, Versions()), values)
    for versions in seen.values():
        versions.order = list(dict.fromkeys(versions.order))
        versions.place = {value: index for index, value in enumerate(versions.order)}
    for node, lists in final.items():
        for key, values in lists.items():
            _odd(seen[str(key)], f"the final state of {node}", list(values))
    for transaction, key, values in history.all_reads():
        _odd(seen[key], transaction, values)
    _commit(history, seen)
    return seen


def _longer(versions: Versions, state: list[Value]) -> None:
    if len(state) > len(versions.order):
        versions.order = state


def _odd(versions: Versions, who: str | Transaction, state: list[Value]) -> None:
    if not versions.begins_with(state):
        versions.odd.append((who if isinstance(who, str) else told(who), state))


def _commit(history: History, seen: Mapping[Key, Versions]) -> None:
    for key, versions in seen.items():
        writers = history.writers.get(key, {})
        for state in (versions.order, *(state for _, state in versions.odd)):
            for value in state:
                if value in writers:
                    writers[value].committed = True


def told(transaction: Transaction) -> str:
    """Name a transaction by its client and time, and say what it did."""
    operation = transaction.operation
    steps = "; ".join(
        f"append {value} to {key}" if kind == "append" else f"read {key} {listed(value)}"
        for kind, key, value in transaction.steps
    )
    unsure = "" if transaction.acknowledged else ", not acknowledged"
    return f"client {operation.process} at {operation.began:.3f}–{operation.ended:.3f}{unsure} ({steps})"


def judge_states(history: History, seen: Mapping[Key, Versions], tally: Tally) -> None:
    """Find what single states show: phantoms, aborted reads, duplicates, incompatible orders, dirty updates."""
    for key, versions in seen.items():
        for who, state in versions.odd:
            _judge_odd(key, versions, who, state, tally)
        strange: dict[Value, str] = {}
        for who, state in (*versions.odd, (f"the longest state seen, {listed(versions.order)}", versions.order)):
            for value in state:
                if value not in history.writers.get(key, ()):
                    strange.setdefault(value, who)
        for value, who in strange.items():
            _judge_strange(history, key, value, who, tally)
            if value in history.refused.get(key, ()) and value in versions.place and value != versions.order[-1]:
                tally.find(Anomaly.DIRTY_UPDATE, f"key {key}: appended to after {value}, whose transaction was refused")


def _judge_odd(key: Key, versions: Versions, who: str, state: list[Value], tally: Tally) -> None:
    once = list(dict.fromkeys(state))
    if len(once) != len(state):
        value = next(value for value in state if state.count(value) > 1)
        tally.find(Anomaly.DUPLICATE, f"key {key}: {value} is there {state.count(value)} times, seen by {who}")
    if not versions.begins_with(once):
        tally.find(
            Anomaly.INCOMPATIBLE, f"key {key}: {listed(state)} and {listed(versions.order)}; the first seen by {who}"
        )


def _judge_strange(history: History, key: Key, value: Value, who: str, tally: Tally) -> None:
    operation = history.refused.get(key, {}).get(value)
    if operation is None:
        tally.find(Anomaly.PHANTOM, f"key {key}: nobody appended {value}, seen by {who}")
        return
    refusal = f"client {operation.process} was refused it at {operation.ended:.3f} ({operation.error})"
    tally.find(Anomaly.G1A, f"key {key}: {value} seen by {who}, though {refusal}")


def judge_final(history: History, seen: Mapping[Key, Versions], final: Final, tally: Tally) -> None:
    """Find what the nodes' final states lack, or have differently from each other."""
    kept = {node: {str(key): list(values) for key, values in lists.items()} for node, lists in final.items()}
    for key, writers in history.writers.items():
        missing: dict[Value, list[str]] = {}
        for node, lists in kept.items():
            for value in writers.keys() - set(lists.get(key, ())):
                missing.setdefault(value, []).append(node)
        for value, transaction in writers.items():
            if value in missing and transaction.committed:
                _judge_missing(key, value, missing[value], transaction, tally)
    for key in seen:
        states = {node: lists.get(key, []) for node, lists in kept.items()}
        first = next(iter(states.values()), [])
        if any(state != first for state in states.values()):
            told_states = ", ".join(f"{node} {listed(state)}" for node, state in states.items())
            tally.find(Anomaly.DIVERGENCE, f"key {key}: {told_states}")


def _judge_missing(key: Key, value: Value, nodes: list[str], transaction: Transaction, tally: Tally) -> None:
    what = Anomaly.LOST_COMMIT if transaction.acknowledged else Anomaly.SEEN_AND_LOST
    tally.find(what, f"key {key}: {value} is missing on {', '.join(nodes)}, of {told(transaction)}")


def judge_reads(history: History, seen: Mapping[Key, Versions], tally: Tally) -> None:
    """Find intermediate reads and lost updates, and count stale reads."""
    bases: dict[tuple[Key, Hashable], Transaction] = {}
    deadlines = {key: _acknowledged_by(versions, history, key) for key, versions in seen.items()}
    for reader in history.transactions:
        if not reader.committed:
            continue
        for key, state in reader.reads.items():
            if state:
                _judge_intermediate(history, reader, key, state[-1], tally)
            versions = seen.get(key) or Versions()
            version = versions.begins_with(state)
            if key in reader.appends:
                base: Hashable = len(state) if version else tuple(state)
                other = bases.setdefault((key, base), reader)
                if other is not reader:
                    shown = f"key {key}: both read {listed(state)} and appended to it"
                    tally.find(Anomaly.LOST_UPDATE, f"{shown}: {told(other)}; {told(reader)}")
            if version and reader.acknowledged and deadlines[key][len(state)] < reader.operation.began:
                tally.find(Anomaly.STALE_READ, f"key {key}: {listed(state)} is out of date, read by {told(reader)}")


def _judge_intermediate(history: History, reader: Transaction, key: Key, last: Any, tally: Tally) -> None:
    writer = history.writers.get(key, {}).get(last)
    if writer is not None and writer is not reader and writer.appends[key][-1] != last:
        detail = f"key {key}: {told(reader)} saw {last}, an intermediate value of {told(writer)}"
        tally.find(Anomaly.G1B, detail)


def _acknowledged_by(versions: Versions, history: History, key: Key) -> list[float]:
    """For each version of a key, when the first of the values that it lacks was acknowledged (infinity: none was)."""
    writers = history.writers.get(key, {})
    earliest = [float("inf")]
    for value in reversed(versions.order):
        writer = writers.get(value)
        ended = writer.operation.ended if writer is not None and writer.acknowledged else float("inf")
        earliest.append(min(earliest[-1], ended))
    return earliest[::-1]
