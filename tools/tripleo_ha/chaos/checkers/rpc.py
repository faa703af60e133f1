"""Judge oslo.messaging calls and fanout casts.

An answer that belongs to another call, or one call answered twice, is a finding: a service would act upon it. A call
without an answer is a failure that its client was told of, and counts as unavailability. A fanout cast promises nothing
to its sender, and after a fault servers are away or still reconnecting: how many copies are *missed* or *doubled* is
counted, and no finding.
"""

from collections import Counter
from collections.abc import Iterable

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NAME = "rpc"
WRONG = "WrongAnswer"
MISTAKEN, TWICE = "answer of another call", "call answered twice"


def check(operations: Iterable[Operation]) -> Verdict:
    """Judge the calls and casts of a campaign; others are left aside.

    A call's value is its id, or ``{"id": …, "answer": id that the answer names}``; a client that compares both itself
    ends such a call with the error ``WrongAnswer``. A call that was not answered may be made again with its id.

    :raises ValueError: an operation's value is not what its workload says.
    """
    tally = Tally(NAME)
    every = list(operations)
    calls = [each for each in every if each.workload is Workload.RPC]
    casts = [each for each in every if each.workload is Workload.FANOUT and each.outcome is not Outcome.FAIL]
    answered = [each for each in calls if each.outcome is Outcome.OK]
    tally.count(calls=len(calls), answered=len(answered), casts=len(casts), missed=0, doubled=0)
    for operation in calls:
        asked, answer = _call(operation)
        if asked != answer or operation.error == WRONG:
            who = f"client {operation.process} at {operation.began:.3f}–{operation.ended:.3f}"
            tally.find(MISTAKEN, f"{who} called {asked} and was answered {'something' if asked == answer else answer}")
    for asked, number in Counter(_call(each)[0] for each in answered).items():
        if number > 1:
            tally.find(TWICE, f"{asked}, {number} times")
    for cast in casts:
        surplus = _surplus(cast)
        tally.add("doubled" if surplus > 0 else "missed", abs(surplus))
    return tally.verdict()


def _call(operation: Operation) -> tuple[str, str]:
    match operation.value:
        case {"id": asked, "answer": answer}:
            return str(asked), str(asked if answer is None else answer)
        case str() | int() as asked:
            return str(asked), str(asked)
        case _ if operation.outcome is not Outcome.OK:
            return "", ""
    raise ValueError(f"not a call: {operation.value!r:.200}")


def _surplus(operation: Operation) -> int:
    match operation.value:
        case {"received": int() as received, "servers": int() as servers}:
            return received - servers
        case _ if operation.outcome is not Outcome.OK:
            return 0
    raise ValueError(f"not a fanout cast: {operation.value!r:.200}")
