"""Judge tokens: one that was issued is valid on every node until it expires, whatever happens to the nodes.

A validation, or an issue for a token, that ends with 401 or 404 says that the token is unknown, which is a finding:
keys or the database differ between nodes, or were lost. So is the refusal of the right password. Every other failure is
unavailability.
"""

from collections.abc import Iterable

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NAME = "tokens"
REFUSED_TOKEN, REFUSED_PASSWORD = "issued token refused", "right password refused"
UNKNOWN = frozenset({"401", "404"})
UNAUTHENTICATED = "Unauthenticated"
"""Begins the error of an operation that needed a new token for the password first, and was refused it."""
COUNTED = {
    Workload.TOKEN_ISSUE: "issued",
    Workload.TOKEN_VALIDATE: "validated",
    Workload.TOKEN_PASSWORD: "authenticated",
}


def check(operations: Iterable[Operation]) -> Verdict:
    """Judge the token operations of a campaign; others are left aside. An error names the answer's status."""
    tally = Tally(NAME)
    tally.count(issued=0, validated=0, authenticated=0, failed=0)
    for operation in operations:
        counted = COUNTED.get(operation.workload)
        if counted is None:
            continue
        if operation.outcome is Outcome.OK:
            tally.add(counted)
        else:
            tally.add("failed")
            words = operation.error.split()
            if not UNKNOWN.isdisjoint(words):
                who = f"client {operation.process} at {operation.began:.3f}–{operation.ended:.3f}: {operation.error}"
                password = operation.workload is Workload.TOKEN_PASSWORD or UNAUTHENTICATED in words
                tally.find(REFUSED_PASSWORD if password else REFUSED_TOKEN, who)
    return tally.verdict()
