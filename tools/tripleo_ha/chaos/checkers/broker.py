"""Judge what became of messages: every confirmed one is delivered at least once, and nothing else is.

A confirmed message that was neither consumed nor left in the queue is *lost*, and a finding. So is an *unexpected* one,
which nobody published. *Recovered* are messages whose publisher was not told that they are safe, and which arrived all
the same; that is right, since a confirm may be lost with the connection, and a broker that refuses a message says only
that it does not answer for it. *Duplicated* are messages delivered more than once: at-least-once delivery allows it,
because an acknowledgement may be lost as well. Jepsen counts RabbitMQ's messages in the same four classes.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Operation, Outcome, Verdict, Workload

NAME = "broker"
LOST, UNEXPECTED, UNDECIDED = "lost message", "unexpected message", "cannot be judged"


def check(published: Iterable[Operation], consumed: Iterable[Operation], drained: Iterable[str]) -> Verdict:
    """Judge the messages of one queue.

    :param published: operations, of which those that publish count.
    :param consumed: operations, of which those that consume count.
    :param drained: the ids of what was left in the queue when the clients had stopped.
    :raises ValueError: an operation's value is not what its workload says.
    """
    tally = Tally(NAME)
    attempts = [each for each in published if each.workload is Workload.PUBLISH and each.value is not None]
    deliveries = [each.value for each in consumed if each.workload is Workload.CONSUME and each.value is not None]
    arrived = Counter(_id(value) for value in deliveries)
    left = Counter(drained)
    arrived.update(left)
    confirmed = {each.value: each for each in attempts if each.outcome is Outcome.OK}
    attempted = Counter(each.value for each in attempts)
    tally.count(
        published=len(attempts),
        confirmed=len(confirmed),
        consumed=len(deliveries),
        drained=left.total(),
        lost=0,
        unexpected=0,
        duplicated=sum(number > 1 for number in arrived.values()),
        recovered=len(arrived.keys() & (attempted.keys() - confirmed.keys())),
        redelivered=sum(bool(value["redelivered"]) for value in deliveries),
    )
    for message, operation in confirmed.items():
        if message not in arrived:
            tally.add("lost")
            when = f"{operation.began:.3f}–{operation.ended:.3f}"
            tally.find(LOST, f"{message}, confirmed to client {operation.process} at {when}")
    for message in arrived.keys() - attempted.keys():
        tally.add("unexpected")
        tally.find(UNEXPECTED, f"{message} arrived {arrived[message]} times, and nobody published it")
    _judgeable(attempted, confirmed.keys(), tally)
    return tally.verdict()


def _judgeable(attempted: Counter[str], confirmed: Iterable[str], tally: Tally) -> None:
    for message, number in attempted.items():
        if number > 1:
            tally.find(UNDECIDED, f"{message} was published {number} times: its copies cannot be told apart")
    if attempted and not list(confirmed):
        tally.find(UNDECIDED, f"none of {attempted.total()} messages was confirmed")


def _id(value: Any) -> str:
    match value:
        case {"id": str() as message, "redelivered": bool()}:
            return message
    raise ValueError(f"not a delivery: {value!r:.200}")
