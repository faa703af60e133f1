"""Histories of list-append transactions as short text, and a small model database that produces them.

``"x=1,2 y= x+3"`` is a transaction that reads ``[1, 2]`` from x and nothing from y, and appends 3 to x. Unless a test
puts them in order, all transactions are concurrent: each has a client of its own, from 0 to 1 s.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tripleo_ha.chaos.checkers import list_append
from tripleo_ha.chaos.checkers.anomalies import FINDINGS
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NODES = ("a", "b", "c")
STEP = re.compile(r"(?P<key>[a-z]+)(?:=(?P<state>[\d,]*|\?)|\+(?P<value>\d+))")
Final = dict[str, dict[str, list[int]]]


def did(text: str, outcome: Outcome = Outcome.OK) -> Operation:
    """Return a transaction; ``x=?`` is a read of which nothing is known."""
    return Operation(Workload.LIST_APPEND, 0, 0.0, 1.0, outcome, [_step(word) for word in text.split()])


def refused(text: str) -> Operation:
    return did(text, Outcome.FAIL)


def unsure(text: str) -> Operation:
    return did(text, Outcome.INFO)


def _step(word: str) -> list[Any]:
    match = STEP.fullmatch(word)
    assert match, word
    if match["value"]:
        return ["append", match["key"], int(match["value"])]
    return ["r", match["key"], None if match["state"] == "?" else numbers(match["state"])]


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word]


def together(*operations: Operation | str) -> list[Operation]:
    """Return operations all at the same time, each of another client."""
    each = [did(operation) if isinstance(operation, str) else operation for operation in operations]
    return [replace(operation, process=number) for number, operation in enumerate(each)]


def in_turn(*operations: Operation | str) -> list[Operation]:
    """Return operations one after the other, each of another client."""
    return [
        replace(operation, began=2.0 * number, ended=2.0 * number + 1)
        for number, operation in enumerate(together(*operations))
    ]


def everywhere(**lists: str) -> Final:
    """Return the same final state on three nodes, as in ``everywhere(x="1,2")``."""
    return {node: {key: numbers(text) for key, text in lists.items()} for node in NODES}


def findings(verdict: Verdict) -> set[str]:
    return {finding.what for finding in verdict.findings}


def found(operations: list[Operation], final: Mapping[str, Mapping[str, list[int]]]) -> set[str]:
    """Return the names of what is found, with everything that is counted beside it."""
    verdict = list_append.check(operations, final)
    kinds = set(map(str, list_append.Anomaly))
    assert findings(verdict) <= set(map(str, FINDINGS))
    return {name for name, number in verdict.counts.items() if name in kinds and number}
