"""A broker whose disk has no room steps out of the others' way."""

import time

from tripleo_ha.node import healing, room, units
from tripleo_ha.node import rabbitmq_peers as peers
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.table import Row
from tripleo_ha.topology.rabbitmq import can_do_without

INTERVAL = 1.0


def step_aside(context: Context, row: Row) -> None:
    """Stop this node's broker while its disk has no room and the others can do without it.

    A broker in alarm blocks the publishers of every member. Once there is room, a converge run is asked for, which
    knows what to do with one that a full disk left unable to start.

    :raises CommandFailed: it does not stop.
    """
    unit, stopped = row.units[0].name, False
    while room.lacking(room.BROKER, room.RETURN_MB if stopped else room.BROKER_MB):
        if not stopped and can_do_without(peers.order(context), _healthy_peers(context), context.cluster.me.name):
            LOG.warning("rabbitmq: no room on this node's disk; the broker steps aside")
            units.stop(unit)
            stopped = True
        time.sleep(INTERVAL)
    room.ask_to_step_aside(False)
    if stopped:
        healing.request("the broker stepped aside, and its disk has room again")


def _healthy_peers(context: Context) -> list[str]:
    statuses = peers.statuses(context).items()
    return [name for name, status in statuses if status.get("checks", {}).get("rabbitmq", {}).get("healthy")]
