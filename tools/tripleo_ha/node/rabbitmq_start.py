"""Starting this node's broker: what must be true before, how long it may take, and what follows if it fails."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tripleo_ha.errors import Failure
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node import rabbitmq_copies as copies
from tripleo_ha.node import rabbitmq_peers as peers
from tripleo_ha.node import rolling, units
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.rabbitmq_api import Api
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Row, Unit
from tripleo_ha.topology import rabbitmq as decide
from tripleo_ha.topology.rabbitmq_outlook import Step, joinable
from tripleo_ha.topology.rabbitmq_start import Failed, Next, after
from tripleo_ha.waiting import wait_for

EPMD = "epmd.service"
FIRST_START_TIMEOUT = 300.0
"""Seconds that a broker with an empty disk waits for the others; the run then fails, and the next one waits again."""
COPIES_TIMEOUT = 30.0
"""Seconds that queues get to count no longer on copies whose disk is gone. Only those are waited for that can agree on
it, at the latest with members that come back from the same outage, and those are up by then."""
COPIES_INTERVAL = 2.0
LOOK_INTERVAL = 2.0


def ensure(context: Context, row: Row, *, anew: bool = False) -> str:
    """Have the broker run with its present configuration; see :func:`units.ensure`.

    One that ends by itself again and again beside a majority of the others joins them as a new member.

    :param anew: an empty broker waits for none of the others.
    :raises Failure: it does not start.
    """
    unit, ended = row.units[0], 0
    configured_anew = broker.ran_with() not in (None, units.digest(unit.files))
    if not units.is_active(unit.name):
        _prepare(context, row, anew=anew)
    while True:
        try:
            outcome = _attempt(context, row)
            break
        except Hung as error:
            raise _not_started(unit, error, "it hung, and gets twice as long next time") from error
        except CommandFailed as error:
            if units.is_active(unit.name):
                raise
            ended += 1
            told = peers.told_by_peers(context)
            beside = joinable(context.cluster.me.name, told) is not None
            follows, why = after(Failed(ended, beside, broker.has_joined(), broker.is_aside(), configured_anew))
            if follows is Next.REPORT:
                running = ", ".join(sorted(told)) or "none"
                raise _not_started(unit, error, f"{why} (running peers: {running})") from error
            LOG.warning("rabbitmq: started again, since %s", why)
            if follows is Next.RENEW:
                units.stop(unit.name)
                broker.put_aside(context.cluster.me.name)
                context.changed(f"rabbitmq: data put aside at {broker.ASIDE}, since {why}")
                _prepare(context, row, anew=False)
    broker.note_ran_with(units.digest(unit.files))
    return outcome


class Hung(CommandFailed):
    """A start that was ended from here."""


def _not_started(unit: Unit, error: CommandFailed, why: str) -> Failure:
    return Failure(f"the broker did not start: {error.message}", f"{why}; journalctl -u {unit.name}")


def _prepare(context: Context, row: Row, *, anew: bool) -> None:
    me = context.cluster.me.name
    if broker.has_joined() and (peer := decide.forgotten_by(me, peers.order(context), peers.told_by_peers(context))):
        broker.wipe(me)
        context.changed(f"rabbitmq: data from before this node was removed dropped; {peer} knows it no longer")
    context.publish(row.service, joined=broker.has_joined())
    if not broker.has_joined():
        if not anew:
            _await_others(context, row)
        _drop_former_self(context, me)
        broker.prepare_first_start(context.metadata["rabbit"]["admin_password"])


def _await_others(context: Context, row: Row) -> None:
    reason = [""]

    def may_start() -> bool:
        foreseen = peers.foresee(context, row, None)
        reason[0] = foreseen.reason
        return foreseen.step is not Step.WAIT

    wait_for("the other controllers' brokers", may_start, timeout=FIRST_START_TIMEOUT, why=lambda: reason[0])


def _drop_former_self(context: Context, me: str) -> None:
    """Where a cluster runs, have it forget the member whose disk is gone, and begin with an empty disk.

    It must not come back as that member, nor with that one's copies of queues: Raft would count its vote twice. And
    only an empty one looks for a cluster.
    """
    told = peers.told_by_peers(context)
    if (peer := joinable(me, told)) is None:
        return
    broker.wipe(me)
    units.start(EPMD)
    if decide.remembered_by(me, told):
        copies.forget(me, through=peer)
        context.changed(f"rabbitmq: {peer} forgot this node's former self, whose disk is gone")
    stuck = 0

    def dropped() -> bool:
        nonlocal stuck
        former = copies.drop_copies(me, through=peer)
        stuck = former.stuck
        return former.dropped

    what = f"{peer} to drop the former copies of queues on {me}"
    try:
        wait_for(what, dropped, timeout=COPIES_TIMEOUT, interval=COPIES_INTERVAL)
    except Failure as late:
        LOG.warning("rabbitmq: %s; going on, since queues without a leader are left", late.message)
    if stuck:
        LOG.warning("rabbitmq: going on with %d queues that can agree on nothing, as after an outage", stuck)


def _attempt(context: Context, row: Row) -> str:
    def turn() -> None:
        rolling.wait_turn(context, row, healthy=peers.whole)
        with Api.administrator(context.metadata) as api:
            wait_for("every member of the broker's cluster to run", lambda: _all_run(api), timeout=rolling.TURN_TIMEOUT)

    its_turn = partial(rolling.is_my_turn, context)
    with _ended_if_it_hangs(context, row.units[0].name):
        return units.ensure(context, row, row.units[0], before_restart=turn, is_my_turn=its_turn)


@contextmanager
def _ended_if_it_hangs(context: Context, unit: str) -> Iterator[None]:
    """End a broker that is still starting long after it had all that it waits for, so that the next run starts it anew.

    A connection that breaks at the wrong moment leaves RabbitMQ waiting for ever in its boot step "database" (4.0).
    A disk with much on it takes its time, too, so each next start is given twice as long.

    :raises Hung: it was ended.
    """
    began, over, ended, patience = time.monotonic(), threading.Event(), threading.Event(), broker.patience()

    def watch() -> None:
        since = began
        while not over.wait(LOOK_INTERVAL):
            running = peers.told_by_peers(context)
            if not units.is_starting(unit) or not decide.has_a_majority(
                peers.order(context), running, context.cluster.me.name
            ):
                since = time.monotonic()
            elif time.monotonic() - since > patience:
                LOG.warning("rabbitmq: ended, since it was still starting %d s after a majority ran", patience)
                broker.note_hang(patience)
                ended.set()
                units.kill(unit)
                return

    watcher = threading.Thread(target=watch, name="broker-start", daemon=True)
    watcher.start()
    try:
        yield
        broker.forget_hangs()
    except CommandFailed as error:
        if ended.is_set():
            raise Hung(error.argv, error.reason, error.output) from error
        raise
    finally:
        over.set()
        watcher.join(LOOK_INTERVAL + peers.TIMEOUT)


def _all_run(api: Api) -> bool:
    seen = api.membership()
    return seen.members == seen.running
