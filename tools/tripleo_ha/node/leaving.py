"""Leaving in good order: before a controller shuts down, clients, virtual IPs and singletons go to the others."""

import json
import logging
from collections.abc import Collection

from tripleo_ha import table
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.node import cib, draining, haproxy, units
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
    write_file(draining.flags() / draining.FOR_GOOD, "", mode=0o644)
    if "pacemaker" in context.metadata and units.is_active("pacemaker.service"):
        try:
            _stand_by(context)
        except Failure as failure:
            LOG.warning("%s; going on", failure)
    units_of = ((row, unit) for row in context.rows for unit in row.units)
    draining.leave(context, {each.name: each for row, unit in units_of for each in row.drained_with(unit)}.values())


def _stand_by(context: Context) -> None:
    """Have Pacemaker move the virtual IPs to other nodes, until this one boots again.

    Until they are there, nothing else stops here but connections whose clients have lost their way to them: what a
    whole controller does to stop would hold that up.
    """
    ours = _held(context)
    if not ours:
        return
    me = context.cluster.me.name
    run(["crm_attribute", f"--node={me}", "--name=standby", "--update=on", "--lifetime=reboot"], timeout=MOVE_TIMEOUT)
    gone = "the virtual IPs to leave this node"
    wait_for(gone, lambda: not _held(context), timeout=MOVE_TIMEOUT, interval=0.05)
    haproxy.end_sessions(context)
    there = "the virtual IPs to be on another node"
    wait_for(there, lambda: _elsewhere(ours, me), timeout=MOVE_TIMEOUT, interval=0.1)


def _held(context: Context) -> list[str]:
    """Return the names of the virtual IPs that are on this node."""
    told = json.loads(run(["ip", "-json", "address"], timeout=10).stdout)
    here = {address["local"] for link in told for address in link["addr_info"]}
    return [name for name, vip in context.cluster.virtual_ips.items() if vip.ip in here]


def _elsewhere(vips: Collection[str], me: str) -> bool:
    status = cib.status()
    return status is not None and pacemaker.have_moved(status, [pacemaker.vip_resource(name) for name in vips], me)
