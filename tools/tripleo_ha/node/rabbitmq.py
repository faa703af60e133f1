"""Converging the message broker: one cluster, the users that the table wants, no member that is gone."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tripleo_ha.errors import Failure
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node import rolling, room, units
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.rabbitmq_api import Api, Unauthorized, Unavailable
from tripleo_ha.run import CommandFailed
from tripleo_ha.table import Row
from tripleo_ha.topology import rabbitmq as decide
from tripleo_ha.topology.rabbitmq import Membership
from tripleo_ha.topology.rabbitmq_outlook import Outlook, Step, joinable, outlook
from tripleo_ha.waiting import wait_for

KHEPRI = "khepri_db"
EPMD = "epmd.service"
PEER_TIMEOUT = 1.0
API_TIMEOUT = 60.0
USERS_TIMEOUT = 180.0
FIRST_START_TIMEOUT = 300.0
"""Seconds that a broker with an empty disk waits for the others; the run then fails, and the next one waits again."""
COPIES_TIMEOUT = 30.0
"""Seconds that queues get to count no longer on copies whose disk is gone. Only those are waited for that can agree on
it, at the latest with members that come back from the same outage, and those are up by then."""
COPIES_INTERVAL = 2.0
PART_INTERVAL = 0.5
ROOM_INTERVAL = 1.0
START_INTERVAL = 2.0


def converge(context: Context, row: Row, *, anew: bool = False) -> None:
    """Have this node's broker run as a member of the cluster.

    :param anew: an operator says that what other controllers may hold is lost: an empty broker waits for none of them.

    :raises Failure: it does not start, or is in a cluster of its own.
    :raises TimedOut: a peer that does what is done once for all did not do it.
    """
    unit = row.units[0]
    running = units.is_active(unit.name)
    if not running and (lacking := room.lacking(room.BROKER, room.RETURN_MB)):
        raise Failure(f"the broker is not started: {lacking}", "make room below /mnt/state; it then starts by itself")
    _cookie(context, unit.name, running)
    beside: dict[str, Membership] = {}
    if running:
        _users(context)
    else:
        beside = told_by_peers(context)
        _before_start(context, row, anew, beside)
    started = _ensure(context, row) != "unchanged"
    broker.apply_settings(context, decide.live_settings(_order(context)), just_started=started)
    with Api.administrator(context.metadata) as api:
        seen = _wait_up(api, context)
        _one_cluster(context, seen)
        broker_is_new = not broker.has_joined()
        if started:
            _users(context)
            _flags(context, api, seen)
        _forget_gone(context, api, seen)
        if broker_is_new or not started:
            # A member that comes back has its copies still, and one that comes back with an outage answers late.
            _take_part(context)
    if broker_is_new:
        broker.note_joined()
    elif not running and not beside:
        _elect_leaders(context.cluster.me.name)
    context.publish(row.service, joined=True)


def told_by_peers(context: Context) -> dict[str, Membership]:
    """Return what the brokers of the reachable peers say of their cluster; those that don't run say nothing."""
    return memberships(_statuses(context))


def memberships(statuses: Mapping[str, Mapping[str, Any]]) -> dict[str, Membership]:
    """Return what each broker that runs says of its cluster, from what the nodes tell."""
    told = {}
    for name, status in statuses.items():
        facts = status.get("checks", {}).get("rabbitmq", {}).get("facts", {})
        if facts.get("running"):
            told[name] = Membership(frozenset(facts["members"]), frozenset(facts["running"]))
    return told


def ever_joined(statuses: Mapping[str, Mapping[str, Any]], service: str) -> dict[str, bool]:
    """Return whether each node's broker was ever a member, of the nodes whose converge run has said so this boot."""
    published = {name: status.get("published", {}).get(service, {}) for name, status in statuses.items()}
    return {name: facts["joined"] for name, facts in published.items() if "joined" in facts}


def foresee(context: Context, row: Row, mine: Membership | None) -> Outlook:
    """Say what follows for this node's broker from what the peers tell.

    :param mine: what it says of its cluster, or None when it does not answer.
    """
    statuses, me = _statuses(context), context.cluster.me.name
    joined = {**ever_joined(statuses, row.service), me: broker.has_joined()}
    return outlook(me, _order(context), mine, memberships(statuses), joined, begun=broker.has_begun(me))


def _statuses(context: Context) -> dict[str, dict[str, Any]]:
    peers = context.cluster.peers
    with ThreadPoolExecutor(max_workers=max(len(peers), 1)) as pool:
        answers = list(pool.map(lambda node: context.peer(node, timeout=PEER_TIMEOUT), peers))
    return {node.name: status for node, status in zip(peers, answers, strict=True) if status}


def step_aside(context: Context, row: Row) -> None:
    """Stop this node's broker while its disk has no room and the others can do without it, and start it again after.

    A broker in alarm blocks the publishers of every member. Returns when there is room.

    :raises CommandFailed: it does not stop, or does not start again.
    """
    unit, stopped = row.units[0].name, False
    while room.lacking(room.BROKER, room.RETURN_MB if stopped else room.BROKER_MB):
        if not stopped and decide.can_do_without(_order(context), _healthy_peers(context), context.cluster.me.name):
            LOG.warning("rabbitmq: no room on this node's disk; the broker steps aside")
            units.stop(unit)
            stopped = True
        time.sleep(ROOM_INTERVAL)
    room.ask_to_step_aside(False)
    if stopped:
        LOG.info("rabbitmq: there is room again")
        units.start(unit)


def _healthy_peers(context: Context) -> list[str]:
    statuses = _statuses(context).items()
    return [name for name, status in statuses if status.get("checks", {}).get("rabbitmq", {}).get("healthy")]


def whole(status: Mapping[str, Any]) -> bool:
    """Tell from a peer's status whether its broker is healthy and misses no member."""
    check = status.get("checks", {}).get("rabbitmq", {})
    facts = check.get("facts", {})
    return bool(check.get("healthy")) and facts.get("members") == facts.get("running")


def _order(context: Context) -> list[str]:
    return [node.name for node in context.cluster.nodes]


def _cookie(context: Context, unit: str, running: bool) -> None:
    wanted = context.metadata["rabbit"]["erlang_cookie"]
    if broker.cookie_is(wanted):
        return
    if not running:
        broker.write_cookie(wanted)
    elif not broker.change_cookie(wanted, at=context.cluster.me.name):
        units.restart(unit)
    context.changed("rabbitmq: Erlang cookie")


def _before_start(context: Context, row: Row, anew: bool, beside: dict[str, Membership]) -> None:
    me = context.cluster.me.name
    if broker.has_joined() and (peer := decide.forgotten_by(me, _order(context), beside)):
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
        foreseen = foresee(context, row, None)
        reason[0] = foreseen.reason
        return foreseen.step is not Step.WAIT

    wait_for("the other controllers' brokers", may_start, timeout=FIRST_START_TIMEOUT, why=lambda: reason[0])


def _drop_former_self(context: Context, me: str) -> None:
    """Where a cluster runs, have it forget the member whose disk is gone, and begin with an empty disk.

    It must not come back as that member, nor with that one's copies of queues: Raft would count its vote twice. And
    only an empty one looks for a cluster.
    """
    told = told_by_peers(context)
    if (peer := joinable(me, told)) is None:
        return
    broker.wipe(me)
    units.start(EPMD)
    if decide.remembered_by(me, told):
        broker.forget(me, through=peer)
        context.changed(f"rabbitmq: {peer} forgot this node's former self, whose disk is gone")
    stuck = 0

    def dropped() -> bool:
        nonlocal stuck
        copies = broker.drop_copies(me, through=peer)
        stuck = copies.stuck
        return copies.dropped

    what = f"{peer} to drop the former copies of queues on {me}"
    try:
        wait_for(what, dropped, timeout=COPIES_TIMEOUT, interval=COPIES_INTERVAL)
    except Failure as late:
        LOG.warning("rabbitmq: %s; going on, since queues without a leader are left", late.message)
    if stuck:
        LOG.warning("rabbitmq: going on with %d queues that can agree on nothing, as after an outage", stuck)


def _take_part(context: Context) -> None:
    """Have this node's broker do its part for queues and streams that were there before it joined."""
    me, taken, lacking = context.cluster.me.name, 0, [""]

    def all_done() -> bool:
        nonlocal taken
        lacking[0] = ""
        if not broker.join_coordinator(at=me):
            lacking[0] = "the streams' coordinator does without this node"
            return False
        got, left = broker.take_copies(at=me)
        taken += got
        if left and (forgotten := broker.finish_deletions(at=me)):
            context.changed(f"rabbitmq: {forgotten} queues forgotten that an outage left without any copy")
        lacking[0] = f"{left} have no copy here" if left else ""
        return not left

    try:
        what = "copies of all queues"
        wait_for(what, all_done, timeout=COPIES_TIMEOUT, interval=PART_INTERVAL, why=lambda: lacking[0])
    except Failure as failure:
        LOG.warning("rabbitmq: %s; queues may not survive the loss of another node", failure.message)
    if taken:
        context.changed(f"rabbitmq: {taken} queues copied here")


def _elect_leaders(me: str) -> None:
    """After an outage of all, have queues that were being declared in it elect a leader; late or not, all go on."""
    try:
        told = broker.elect_leaders(at=me)
    except Failure as failure:
        LOG.warning("rabbitmq: no queue was told to elect a leader: %s", failure.message)
        return
    if told:
        LOG.info("rabbitmq: %d queues without a leader were told to elect one", told)


def _ensure(context: Context, row: Row) -> str:
    def turn() -> None:
        rolling.wait_turn(context, row, healthy=whole)
        with Api.administrator(context.metadata) as api:
            wait_for("every member of the broker's cluster to run", lambda: _all_run(api), timeout=rolling.TURN_TIMEOUT)

    try:
        its_turn = partial(rolling.is_my_turn, context)
        with _ended_if_it_hangs(context, row.units[0].name):
            return units.ensure(context, row, row.units[0], before_restart=turn, is_my_turn=its_turn)
    except CommandFailed as error:
        up = ", ".join(sorted(told_by_peers(context))) or "none"
        hint = f"it starts when a majority of the members runs (running peers: {up}); journalctl -u {row.units[0].name}"
        raise Failure(f"the broker did not start: {error.message}", hint) from error


@contextmanager
def _ended_if_it_hangs(context: Context, unit: str) -> Iterator[None]:
    """End a broker that is still starting long after it had all that it waits for, so that the next run starts it anew.

    A connection that breaks at the wrong moment leaves RabbitMQ waiting for ever in its boot step "database" (4.0).
    A disk with much on it takes its time, too, so each next start is given twice as long.
    """
    began, over, patience = time.monotonic(), threading.Event(), broker.patience()

    def watch() -> None:
        since = began
        while not over.wait(START_INTERVAL):
            if not units.is_starting(unit) or not decide.has_a_majority(
                _order(context), told_by_peers(context), context.cluster.me.name
            ):
                since = time.monotonic()
            elif time.monotonic() - since > patience:
                LOG.warning("rabbitmq: ended, since it was still starting %d s after a majority ran", patience)
                broker.note_hang(patience)
                units.kill(unit)
                return

    watcher = threading.Thread(target=watch, name="broker-start", daemon=True)
    watcher.start()
    try:
        yield
        broker.forget_hangs()
    finally:
        over.set()
        watcher.join(START_INTERVAL + PEER_TIMEOUT)


def _all_run(api: Api) -> bool:
    seen = api.membership()
    return seen.members == seen.running


def _wait_up(api: Api, context: Context) -> Membership:
    me, last = context.cluster.me.name, [""]

    def seen() -> Membership | None:
        try:
            found = api.membership()
        except Unauthorized:
            _users(context)
            return None
        except Unavailable as error:
            last[0] = error.message
            return None
        return found if me in found.running else None

    return wait_for("this node's broker to answer", seen, timeout=API_TIMEOUT, why=lambda: last[0])


def _one_cluster(context: Context, seen: Membership) -> None:
    order = _order(context)
    if set(order) <= seen.members:
        return
    if apart := decide.stands_alone(order, seen, told_by_peers(context)):
        raise Failure(
            f"this node's broker is in a cluster of {', '.join(sorted(seen.members))}, apart from that of {apart}",
            "tripleo-ha-node rabbitmq recover --discard drops this node's messages and joins the other",
        )


def _users(context: Context) -> None:
    wanted = decide.wanted_users(context.metadata, context.rows)
    with Api.administrator(context.metadata) as api:
        try:
            changes = _pending(api, wanted)
        except Unauthorized:
            _admin_password(context, api)
            changes = _pending(api, wanted)
        if not changes:
            return
        if decide.doer(_order(context), api.membership().running) == context.cluster.me.name:
            api.apply(changes)
            context.changed(f"rabbitmq: users ({len(changes)} changes)")
            return
        done = "the first running controller to make the broker's users"
        wait_for(done, lambda: not _pending(api, wanted), timeout=USERS_TIMEOUT)


def _pending(api: Api, wanted: tuple[decide.User, ...]) -> tuple[decide.Change, ...]:
    return decide.user_changes(wanted, api.users(), api.permissions())


def _admin_password(context: Context, api: Api) -> None:
    """Set the administrator's new password, which the API cannot do for want of the old one."""
    told = told_by_peers(context)
    if decide.doer(_order(context), {*told, context.cluster.me.name}) == context.cluster.me.name:
        password = context.metadata["rabbit"]["admin_password"]
        known = broker.ctl("list_users", "--no-table-headers").split()
        broker.ctl("change_password" if "admin" in known else "add_user", "admin", input=password + "\n")
        broker.ctl("set_user_tags", "admin", "administrator")
        context.changed("rabbitmq: the administrator's password")
        return

    def accepted() -> bool:
        try:
            return bool(api.get("/api/whoami"))
        except Unauthorized:
            return False

    wait_for("the first running controller to set the administrator's password", accepted, timeout=USERS_TIMEOUT)


def _flags(context: Context, api: Api, seen: Membership) -> None:
    # A cluster begins with Khepri; one that an older image began is migrated once, when all of it runs.
    if decide.doer(_order(context), seen.running) != context.cluster.me.name or seen.running != seen.members:
        return
    if not api.flag_enabled(KHEPRI):
        api.enable_flag(KHEPRI)
        context.changed("rabbitmq: Khepri enabled")


def _forget_gone(context: Context, api: Api, seen: Membership) -> None:
    order = _order(context)
    if seen.members <= set(order) or decide.doer(order, seen.running) != context.cluster.me.name:
        return
    if lasting := decide.outliving(order, seen):
        LOG.warning("rabbitmq: %s no longer in cluster.nodes, but running: not forgotten", ", ".join(lasting))
    for member in decide.to_forget(order, seen):
        broker.forget(member, through=context.cluster.me.name)
        broker.drop_copies(member, through=context.cluster.me.name)
        context.changed(f"rabbitmq: forgot {member}, which is no longer in cluster.nodes")
