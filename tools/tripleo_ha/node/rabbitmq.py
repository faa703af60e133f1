"""Converging the message broker: one cluster, the users that the table wants, no member that is gone."""

from tripleo_ha.errors import Failure
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node import rabbitmq_copies as copies
from tripleo_ha.node import rabbitmq_peers as peers
from tripleo_ha.node import rabbitmq_start as start
from tripleo_ha.node import room, units
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.rabbitmq_api import Api, Unauthorized, Unavailable
from tripleo_ha.table import Row
from tripleo_ha.topology import rabbitmq as decide
from tripleo_ha.topology.rabbitmq import Membership
from tripleo_ha.waiting import wait_for

KHEPRI = "khepri_db"
API_TIMEOUT = 60.0
USERS_TIMEOUT = 180.0
PART_TIMEOUT = 30.0
"""Seconds that leaders of queues get to take this node's copies in."""
PART_INTERVAL = 0.5


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
    if running and _has_lost_its_store(context):
        # What held its metadata has ended, as on a full disk, and nothing within the broker starts that again.
        units.kill(unit.name)
        context.changed("rabbitmq: ended, since it runs without its metadata store")
        running = False
    if running:
        _users(context)
    beside = running or bool(peers.told_by_peers(context))
    started = start.ensure(context, row, anew=anew) != "unchanged"
    broker.apply_settings(context, decide.live_settings(peers.order(context)), just_started=started)
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
    elif not beside:
        _elect_leaders(context.cluster.me.name)
    context.publish(row.service, joined=True)


def _cookie(context: Context, unit: str, running: bool) -> None:
    wanted = context.metadata["rabbit"]["erlang_cookie"]
    if broker.cookie_is(wanted):
        return
    if not running:
        broker.write_cookie(wanted)
    elif not broker.change_cookie(wanted, at=context.cluster.me.name):
        units.restart(unit)
    context.changed("rabbitmq: Erlang cookie")


def _has_lost_its_store(context: Context) -> bool:
    """Tell whether the broker knows no user at all: it then refuses everybody, as if their passwords were wrong."""
    with Api.administrator(context.metadata) as api:
        try:
            api.get("/api/whoami")
        except Unauthorized:
            return broker.has_joined() and not broker.ctl("list_users", "--no-table-headers").split()
        except Unavailable:
            return False
    return False


def _take_part(context: Context) -> None:
    """Have this node's broker do its part for queues and streams that were there before it joined."""
    me, taken, lacking = context.cluster.me.name, 0, [""]

    def all_done() -> bool:
        nonlocal taken
        lacking[0] = ""
        if not copies.join_coordinator(at=me):
            lacking[0] = "the streams' coordinator does without this node"
            return False
        got, left = copies.take_copies(at=me)
        taken += got
        if left and (forgotten := copies.finish_deletions(at=me)):
            context.changed(f"rabbitmq: {forgotten} queues forgotten that an outage left without any copy")
        lacking[0] = f"{left} have no copy here" if left else ""
        return not left

    try:
        what = "copies of all queues"
        wait_for(what, all_done, timeout=PART_TIMEOUT, interval=PART_INTERVAL, why=lambda: lacking[0])
        broker.drop_aside()
    except Failure as failure:
        LOG.warning("rabbitmq: %s; queues may not survive the loss of another node", failure.message)
    if taken:
        context.changed(f"rabbitmq: {taken} queues copied here")


def _elect_leaders(me: str) -> None:
    """After an outage of all, have queues that were being declared in it elect a leader; late or not, all go on."""
    try:
        told = copies.elect_leaders(at=me)
    except Failure as failure:
        LOG.warning("rabbitmq: no queue was told to elect a leader: %s", failure.message)
        return
    if told:
        LOG.info("rabbitmq: %d queues without a leader were told to elect one", told)


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
    order = peers.order(context)
    if set(order) <= seen.members:
        return
    if apart := decide.stands_alone(order, seen, peers.told_by_peers(context)):
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
        if decide.doer(peers.order(context), api.membership().running) == context.cluster.me.name:
            api.apply(changes)
            context.changed(f"rabbitmq: users ({len(changes)} changes)")
            return
        done = "the first running controller to make the broker's users"
        wait_for(done, lambda: not _pending(api, wanted), timeout=USERS_TIMEOUT)


def _pending(api: Api, wanted: tuple[decide.User, ...]) -> tuple[decide.Change, ...]:
    return decide.user_changes(wanted, api.users(), api.permissions())


def _admin_password(context: Context, api: Api) -> None:
    """Set the administrator's new password, which the API cannot do for want of the old one."""
    told = peers.told_by_peers(context)
    if decide.doer(peers.order(context), {*told, context.cluster.me.name}) == context.cluster.me.name:
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
    if decide.doer(peers.order(context), seen.running) != context.cluster.me.name or seen.running != seen.members:
        return
    if not api.flag_enabled(KHEPRI):
        api.enable_flag(KHEPRI)
        context.changed("rabbitmq: Khepri enabled")


def _forget_gone(context: Context, api: Api, seen: Membership) -> None:
    order = peers.order(context)
    if seen.members <= set(order) or decide.doer(order, seen.running) != context.cluster.me.name:
        return
    if lasting := decide.outliving(order, seen):
        LOG.warning("rabbitmq: %s no longer in cluster.nodes, but running: not forgotten", ", ".join(lasting))
    for member in decide.to_forget(order, seen):
        copies.forget(member, through=context.cluster.me.name)
        copies.drop_copies(member, through=context.cluster.me.name)
        context.changed(f"rabbitmq: forgot {member}, which is no longer in cluster.nodes")
