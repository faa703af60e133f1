"""A small model of a database with lists, under several isolations, and the histories that its clients record.

Transactions are programs of ``("r", key)`` and ``("append", key)``; their steps interleave as told. A client reads a
list before it appends, records that, and writes the whole list back, as the code of services does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any

from tripleo_ha.chaos.model import Operation, Outcome, Workload

Step = tuple[str, str]
Program = Sequence[Step]
State = dict[str, list[int]]
NODES = ("a", "b", "c")


class Isolation(Enum):
    SERIAL = "one transaction after the other"
    SNAPSHOT = "reads of the state at the beginning; the first to commit a key wins"
    READ_COMMITTED = "reads of what is committed now; the last to commit a key wins"


@dataclass
class Session:
    """One transaction at work."""

    number: int
    program: Program
    began: float
    snapshot: State = field(default_factory=dict)
    own: State = field(default_factory=dict)
    steps: list[list[Any]] = field(default_factory=list)


class Database:
    """Committed lists, each replaced and never changed, and the operations that clients recorded."""

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation
        self.lists: State = {}
        self.history: list[Operation] = []
        self._value = 0
        self._clock = 0.0

    def run(self, programs: Sequence[Program], choose: Random, clients: int = 4) -> None:
        """Run programs, each client's one after the other; chance says which client does its next step."""
        waiting = list(enumerate(programs))[::-1]
        running: list[Session | None] = [None] * clients
        while waiting or any(running):
            client = choose.randrange(1 if self.isolation is Isolation.SERIAL else clients)
            session = running[client]
            if session is None and waiting:
                running[client] = Session(client, waiting.pop()[1], self._tick(), dict(self.lists))
            elif session is not None and len(session.steps) < _records(session.program):
                self._step(session)
            elif session is not None:
                self._commit(session)
                running[client] = None

    def final(self) -> dict[str, State]:
        """Return what three nodes hold, each a copy that a test may change."""
        return {node: {key: list(values) for key, values in self.lists.items()} for node in NODES}

    def _tick(self) -> float:
        self._clock += 1
        return self._clock

    def _step(self, session: Session) -> None:
        # A record of a read and one of an append for each append; so the step is found by counting the records.
        done = position = 0
        while done < len(session.steps):
            done += 1 if session.program[position][0] == "r" else 2
            position += 1
        kind, key = session.program[position]
        base = self.lists if self.isolation is Isolation.READ_COMMITTED else session.snapshot
        state = session.own.get(key, base.get(key, []))
        session.steps.append(["r", key, list(state)])
        if kind == "append":
            self._value += 1
            session.own[key] = [*state, self._value]
            session.steps.append(["append", key, self._value])

    def _commit(self, session: Session) -> None:
        conflict = any(self.lists.get(key, []) != session.snapshot.get(key, []) for key in session.own)
        refused = conflict and self.isolation is Isolation.SNAPSHOT
        if not refused:
            self.lists |= session.own
        outcome = Outcome.FAIL if refused else Outcome.OK
        self.history.append(
            Operation(Workload.LIST_APPEND, session.number, session.began, self._tick(), outcome, session.steps)
        )


def _records(program: Program) -> int:
    return sum(1 if kind == "r" else 2 for kind, _ in program)


def programs(chance: Random, number: int, keys: int = 3, longest: int = 4, length: int = 80) -> list[Program]:
    """Return random programs over a few keys at a time, each replaced after about as many appends as ``length``."""
    made: list[Program] = []
    for index in range(number):
        base = index // (length * keys // longest * 2) * keys
        made.append(
            [
                (chance.choice(("r", "append")), f"k{base + chance.randrange(keys)}")
                for _ in range(chance.randint(1, longest))
            ]
        )
    return made
