"""Leaving in good order: before a controller shuts down, clients, virtual IPs and singletons go to the others."""

import json
import logging
from collections.abc import Collection
from functools import partial

from tripleo_ha import table
from tripleo_ha.errors import Failure
from tripleo_ha.node import cib, draining, units
from tripleo_ha.node.context import ACCEPTED, LOG, Context
from tripleo_ha.run import run
from tripleo_ha.topology import pacemaker
from tripleo_ha.waiting import wait_for

MOVE_TIMEOUT = 10.0


def drain() -> None:
    """Send this node's virtual IPs elsewhere, then its clients; nothing is undone, as the node goes down after it.

    In this order each client loses its connection twice, but is served in between: balancers take a second to notice
    that a server is being left, and whoever has just come back from there would find the address on its way.
    """
    logging.getLogger("tripleo_ha").setLevel(logging.INFO)
    if not ACCEPTED.exists():
        return
    context = Context.of_accepted(table.load())
    if "pacemaker" in context.metadata and units.is_active("pacemaker.service"):
        try:
            _stand_by(context)
        except Failure as failure:
            LOG.warning("%s; going on", failure)
    units_of = ((row, unit) for row in context.rows for unit in row.units)
    draining.leave(context, {each.name: each for row, unit in units_of for each in row.drained_with(unit)}.values())


def _stand_by(context: Context) -> None:
    """Have Pacemaker move the virtual IPs to other nodes, until this one boots again.

    Until they are there, nothing else stops here: what a whole controller does to stop would hold that up.
    """
    before = _addresses()
    ours = [name for name, vip in context.cluster.virtual_ips.items() if vip.ip in before]
    if not ours:
        return
    me = context.cluster.me.name
    run(["crm_attribute", f"--node={me}", "--name=standby", "--update=on", "--lifetime=reboot"], timeout=MOVE_TIMEOUT)
    moved = partial(_moved, context, ours)
    wait_for("the virtual IPs to be on another node", moved, timeout=MOVE_TIMEOUT, interval=0.1)


def _moved(context: Context, vips: Collection[str]) -> bool:
    if {context.cluster.virtual_ips[name].ip for name in vips} & _addresses():
        return False
    status = cib.status()
    resources = [pacemaker.vip_resource(name) for name in vips]
    return status is not None and pacemaker.have_moved(status, resources, context.cluster.me.name)


def _addresses() -> set[str]:
    told = json.loads(run(["ip", "-json", "address"], timeout=10).stdout)
    return {address["local"] for link in told for address in link["addr_info"]}
