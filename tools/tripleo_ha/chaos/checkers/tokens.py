"""Judge tokens: one that was issued is valid on every node until it expires, whatever happens to the nodes.

A validation that ends with 401 or 404 says that the token is unknown, which is a finding: keys or the database differ
between nodes, or were lost. So is the refusal of the right password. Every other failure is unavailability.
"""

from collections.abc import Iterable

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NAME = "tokens"
REFUSED_TOKEN, REFUSED_PASSWORD = "issued token refused", "right password refused"
UNKNOWN = frozenset({"401", "404"})


def check(operations: Iterable[Operation]) -> Verdict:
    """Judge the token operations of a campaign; others are left aside. An error names the answer's status."""
    tally = Tally(NAME)
    tally.count(issued=0, validated=0, failed=0)
    for operation in operations:
        if operation.workload not in (Workload.TOKEN_ISSUE, Workload.TOKEN_VALIDATE):
            continue
        issue = operation.workload is Workload.TOKEN_ISSUE
        if operation.outcome is Outcome.OK:
            tally.add("issued" if issue else "validated")
        else:
            tally.add("failed")
            if not UNKNOWN.isdisjoint(operation.error.split()):
                who = f"client {operation.process} at {operation.began:.3f}–{operation.ended:.3f}: {operation.error}"
                tally.find(REFUSED_PASSWORD if issue else REFUSED_TOKEN, who)
    return tally.verdict()
