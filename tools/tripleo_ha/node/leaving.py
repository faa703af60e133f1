"""Leaving in good order: before a controller shuts down, clients, virtual IPs and singletons go to the others."""

import json
import logging

from tripleo_ha import table
from tripleo_ha.errors import Failure
from tripleo_ha.node import draining, units
from tripleo_ha.node.context import ACCEPTED, LOG, Context
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for

MOVE_TIMEOUT = 10.0


def drain() -> None:
    """Send this node's clients elsewhere, then its virtual IPs; nothing is undone, as the node goes down after it."""
    logging.getLogger("tripleo_ha").setLevel(logging.INFO)
    if not ACCEPTED.exists():
        return
    context = Context.of_accepted(table.load())
    units_of = ((row, unit) for row in context.rows for unit in row.units)
    draining.leave(context, {each.name: each for row, unit in units_of for each in row.drained_with(unit)}.values())
    if "pacemaker" in context.metadata and units.is_active("pacemaker.service"):
        try:
            _stand_by(context)
        except Failure as failure:
            LOG.warning("%s; going on", failure)


def _stand_by(context: Context) -> None:
    """Have Pacemaker take the virtual IPs off this node, until it boots again."""
    ours = {vip.ip for vip in context.cluster.virtual_ips.values()}
    if not ours & _addresses():
        return
    me = context.cluster.me.name
    run(["crm_attribute", f"--node={me}", "--name=standby", "--update=on", "--lifetime=reboot"], timeout=MOVE_TIMEOUT)
    wait_for(
        "the virtual IPs to leave this node",
        lambda: not ours & _addresses(),
        timeout=MOVE_TIMEOUT,
        interval=0.05,
    )


def _addresses() -> set[str]:
    told = json.loads(run(["ip", "-json", "address"], timeout=10).stdout)
    return {address["local"] for link in told for address in link["addr_info"]}
