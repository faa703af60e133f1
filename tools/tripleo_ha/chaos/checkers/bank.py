"""Judge a history of transfers between accounts: no money appears, vanishes, or is somewhere else on another node.

Every read must show every account and the whole total, and nothing below zero, for a transfer refuses to overdraw. The
final balances must be the same on every node and within what the transfers explain: the initial balance, what the
acknowledged transfers moved, and any part of what those moved whose end is unknown. Where no transfer of an account is
unknown, that is one number. The lower and upper bound of an account are exact; that some single choice of unknown
transfers explains all accounts together is not searched for, so that a lost transfer can hide behind unknown ones of
the same accounts and sums. The lists of ``list_append`` have no such gap.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NAME = "bank"
Balances = Mapping[str, int]
TOTAL, NEGATIVE, ACCOUNTS = "wrong total", "negative balance", "accounts differ"
UNEXPLAINED, DIVERGENCE, UNDECIDED = "unexplained balance", "nodes differ", "cannot be judged"


def check(
    operations: Iterable[Operation],
    final: Mapping[str, Balances],
    total: int,
    *,
    initial: Balances | None = None,
    overdraft: bool = False,
) -> Verdict:
    """Judge the bank operations of a campaign; others are left aside.

    :param final: every account's balance, as read on each node by its name after the cluster has healed.
    :param total: the sum of all balances at the beginning, and for ever.
    :param initial: the balances at the beginning; without it, each account of the final state had an equal share.
    :param overdraft: balances below zero are allowed.
    :raises ValueError: the value of an operation is none of a bank, or the total cannot be shared equally.
    """
    tally = Tally(NAME)
    history = [operation for operation in operations if operation.workload is Workload.BANK]
    transfers = [operation for operation in history if _kind(operation) == "transfer"]
    reads = [each for each in history if _kind(each) == "read" and each.outcome is Outcome.OK]
    tally.count(
        attempted=len(history),
        reads=len(reads),
        transfers_acknowledged=sum(each.outcome is Outcome.OK for each in transfers),
        transfers_unknown=sum(each.outcome is Outcome.INFO for each in transfers),
    )
    if not history:
        return tally.verdict()
    if not any(operation.outcome is Outcome.OK for operation in history):
        tally.find(UNDECIDED, f"none of {len(history)} operations was acknowledged")
    if not final:
        tally.find(UNDECIDED, "no node's final state was read")
    begun = initial if initial is not None else _shared(final, total)
    for operation in reads:
        who = f"client {operation.process} at {operation.began:.3f}–{operation.ended:.3f}"
        _judge_state(who, operation.value[1], begun, total, overdraft, tally)
    for node, balances in final.items():
        _judge_state(f"the final state of {node}", balances, begun, total, overdraft, tally)
    _judge_agreement(final, tally)
    _judge_balances(transfers, final, begun, tally)
    return tally.verdict()


def _kind(operation: Operation) -> str:
    match operation.value:
        case ["transfer", _, _, int()]:
            return "transfer"
        case ["read", dict()]:
            return "read"
        case ["read", None] if operation.outcome is not Outcome.OK:
            return "read"
        case None if operation.outcome is Outcome.FAIL:
            return "none"
    raise ValueError(f"not a bank operation: {operation.value!r:.200}")


def _shared(final: Mapping[str, Balances], total: int) -> Balances:
    accounts = sorted({account for balances in final.values() for account in balances})
    if accounts and total % len(accounts):
        raise ValueError(f"{total} cannot be shared equally by {len(accounts)} accounts; give the initial balances")
    return {account: total // len(accounts) for account in accounts}


def _judge_state(who: str, balances: Balances, initial: Balances, total: int, overdraft: bool, tally: Tally) -> None:
    if (summed := sum(balances.values())) != total:
        tally.find(TOTAL, f"{summed} instead of {total}, seen by {who}: {dict(balances)}")
    below = {account: balance for account, balance in balances.items() if balance < 0}
    if below and not overdraft:
        tally.find(NEGATIVE, f"seen by {who}: {below}")
    if initial and balances.keys() != initial.keys():
        tally.find(ACCOUNTS, f"{sorted(balances.keys() ^ initial.keys())} only sometimes there, seen by {who}")


def _judge_agreement(final: Mapping[str, Balances], tally: Tally) -> None:
    states = [dict(balances) for balances in final.values()]
    if any(state != states[0] for state in states):
        tally.find(DIVERGENCE, "; ".join(f"{node} {dict(balances)}" for node, balances in final.items()))


def _judge_balances(
    transfers: Iterable[Operation], final: Mapping[str, Balances], initial: Balances, tally: Tally
) -> None:
    known: Counter[str] = Counter(initial)
    least: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for operation in transfers:
        _, payer, payee, amount = operation.value
        if operation.outcome is Outcome.OK:
            known[str(payer)] -= amount
            known[str(payee)] += amount
        elif operation.outcome is Outcome.INFO:
            least[str(payer)] -= amount
            most[str(payee)] += amount
    for node, balances in final.items():
        for account, balance in balances.items():
            low, high = known[account] + least[account], known[account] + most[account]
            if not low <= balance <= high:
                expected = f"{low}" if low == high else f"{low} to {high}"
                tally.find(UNEXPLAINED, f"account {account} on {node}: {balance}, the transfers explain {expected}")
