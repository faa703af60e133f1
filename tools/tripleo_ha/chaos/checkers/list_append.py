"""Judge a history of list-append transactions, after Elle's list-append model.

Every value is appended once, so that a list tells its own history: the longest state of a key is the order of its
versions, each read names the version that it saw, and dependencies between transactions follow without any knowledge
of the database. See ``anomalies`` for what is looked for and for the sources.

What is a finding: everything in ``FINDINGS``, that is loss, invention, disagreement of nodes, and whatever snapshot
isolation rules out (Adya's G0, G1a, G1b, G1c; G-single and every other cycle without two anti-dependencies in a row;
lost updates; contradictions within a transaction). The cluster has one writer at a time with REPEATABLE READ and
``innodb_snapshot_isolation``, which promises that.

What is counted and no finding: G2-item, because snapshot isolation allows write skew: two transactions that read what
the other one appends to, and append to different keys. Stale reads and cycles of process or real-time order, because
a node that becomes the writer may not yet have applied all it has received (``wsrep_sync_wait`` 0): a transaction there
may read an older, consistent state. It still cannot commit upon it, since certification refuses it; if it could, that
would be a lost update, which is a finding. Jepsen's study of MariaDB Galera Cluster (versions 12.1 to 12.2, 2026) saw
stale reads regularly, and lost updates with several writers; the counts tell how often clients meet the former here.

A transaction whose end is unknown may have happened. It counts as committed once one of its values is seen; then all of
them must be there.

What cannot be seen: reads by predicate (all are by key), the order of values that no state ever held, and anything of
transactions that refused operations only read.
"""

from collections.abc import Collection, Iterable

from tripleo_ha.chaos.checkers.anomalies import FINDINGS, Anomaly
from tripleo_ha.chaos.checkers.cycles import Cycle, Step, find_cycles
from tripleo_ha.chaos.checkers.dependencies import RW, WR, WW, Dependencies
from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.checkers.transactions import History, Transaction, contradiction, gather, listed
from tripleo_ha.chaos.checkers.versions import (
    Final,
    infer,
    judge_final,
    judge_reads,
    judge_states,
    told,
)
from tripleo_ha.chaos.model import Operation, Outcome, Verdict

NAME = "list-append"


def check(operations: Iterable[Operation], final: Final, *, findings: Collection[Anomaly] = FINDINGS) -> Verdict:
    """Judge the list-append operations of a campaign; others are left aside.

    :param final: every list by key, as read on each node by its name after the cluster has healed.
    :param findings: what is a finding; the rest is counted.
    :raises ValueError: the value of an operation is no transaction.
    """
    history = gather(operations)
    tally = Tally(NAME, findings=findings)
    acknowledged = [each for each in history.transactions if each.acknowledged]
    tally.count(
        attempted=history.attempted,
        acknowledged=len(acknowledged),
        unknown=len(history.transactions) - len(acknowledged),
        appends_acknowledged=sum(len(values) for each in acknowledged for values in each.appends.values()),
    )
    if history.attempted:
        _judge(history, final, tally)
    return tally.verdict()


def _judge(history: History, final: Final, tally: Tally) -> None:
    _judgeable(history, final, tally)
    for transaction in history.transactions:
        if transaction.acknowledged and (reason := contradiction(transaction)):
            tally.find(Anomaly.INTERNAL, f"{reason}; {told(transaction)}")
    seen = infer(history, final)
    judge_states(history, seen, tally)
    judge_final(history, seen, final, tally)
    judge_reads(history, seen, tally)
    graph = Dependencies(history, seen)
    for cycle in find_cycles(graph):
        tally.find(cycle.anomaly, explain(history, cycle))
    unknown = [each for each in history.transactions if each.operation.outcome is Outcome.INFO]
    tally.count(unknown_but_seen=sum(each.committed for each in unknown))


def _judgeable(history: History, final: Final, tally: Tally) -> None:
    if not final:
        tally.find(Anomaly.UNDECIDED, "no node's final state was read")
    if not any(each.acknowledged for each in history.transactions):
        tally.find(Anomaly.UNDECIDED, f"none of {history.attempted} transactions was acknowledged")
    for key, value in history.twice:
        tally.find(Anomaly.UNDECIDED, f"key {key}: {value} was appended by several transactions")


def explain(history: History, cycle: Cycle) -> str:
    """Say in words why the transactions of a cycle cannot have happened in any order; a line for each step."""
    numbers = list(dict.fromkeys(before for before, _, _ in cycle.steps))
    names = {number: f"T{index}" for index, number in enumerate(numbers, 1)}
    lines = [f"{names[number]} = {told(history.transactions[number])}" for number in numbers]
    for step in cycle.steps:
        lines.append(f"{names[step[0]]} comes before {names[step[2]]}: {_reason(history, step)}")
    return "\n".join(lines)


def _reason(history: History, step: Step) -> str:
    before, then = history.transactions[step[0]], history.transactions[step[2]]
    return {WW: _write_reason, WR: _read_reason, RW: _skew_reason}[step[1]](before, then)


def _read_reason(before: Transaction, then: Transaction) -> str:
    for key, state in then.reads.items():
        if state and state[-1] in before.appends.get(key, ()):
            return f"it appended {state[-1]} to {key}, which the other read"
    return "the other read what it appended"


def _write_reason(before: Transaction, then: Transaction) -> str:
    keys = [key for key in before.appends if key in then.appends]
    return f"the other's append to {' or '.join(keys)} follows directly on its own"


def _skew_reason(before: Transaction, then: Transaction) -> str:
    for key, state in before.reads.items():
        later = [value for value in then.appends.get(key, ()) if value not in state]
        if later:
            return f"it read {key} {listed(state)}, to which the other appended {later[0]}"
    return "it read what the other then appended to"
