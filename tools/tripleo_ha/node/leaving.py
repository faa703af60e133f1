"""Leaving in good order: before a controller shuts down, clients, virtual IPs and singletons go to the others."""

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from tripleo_ha import paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.node import cib, draining, haproxy, rabbitmq_broker, units
from tripleo_ha.node.context import ACCEPTED, LOG, Context
from tripleo_ha.run import run
from tripleo_ha.topology import pacemaker
from tripleo_ha.waiting import wait_for

MOVE_TIMEOUT = 10.0
HANDING_OVER = "handing-over"
"""Exists in the runtime directory while this node serves what still comes to addresses that are leaving it."""


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
    if "rabbit" in context.metadata and units.is_active("rabbitmq-server.service"):
        rabbitmq_broker.leave(context)
    units_of = ((row, unit) for row in context.rows for unit in row.units)
    draining.leave(context, {each.name: each for row, unit in units_of for each in row.drained_with(unit)}.values())


def end_sessions() -> None:
    """End what came to virtual IPs that Pacemaker has taken from this node, which goes on; their agent has this done.

    A node that is leaving does it itself, once the addresses are on another.
    """
    if not ACCEPTED.exists() or (paths.RUNTIME / HANDING_OVER).exists():
        return
    context = Context.of_accepted(table.load())
    if not _held(context):
        haproxy.end_sessions(context)


def _stand_by(context: Context) -> None:
    """Have Pacemaker move the virtual IPs to other nodes, until this one boots again.

    Until they are there, nothing else stops here: what a whole controller does to stop would hold that up. Then the
    connections that clients have lost their way to are ended.
    """
    ours = _held(context)
    if not ours:
        return
    me = context.cluster.me.name
    standby = ["crm_attribute", f"--node={me}", "--name=standby", "--update=on", "--lifetime=reboot"]
    there = "the virtual IPs to be on another node"
    with _served([context.cluster.virtual_ips[name].ip for name in ours]):
        run(standby, timeout=MOVE_TIMEOUT)
        wait_for(there, lambda: _elsewhere(ours, me), timeout=MOVE_TIMEOUT, interval=0.1)
    haproxy.end_sessions(context)


@contextmanager
def _served(addresses: Collection[str]) -> Iterator[None]:
    """Have this node serve what comes to addresses, whether it has them or not, for the time of the statement.

    Between two nodes nobody has an address, and whoever was told that it is elsewhere by then knows the way. HAProxy
    needs no address for that, only to be given the packets; nobody is told any more that it is here (arp_ignore).
    """
    routes = [["local", address, "dev", "lo", "table", "local", "metric", "1"] for address in addresses]
    marker = paths.RUNTIME / HANDING_OVER
    write_file(marker, "", mode=0o644)
    try:
        for route in routes:
            run(["ip", "route", "replace", *route], timeout=10)
        yield
    finally:
        for route in routes:
            run(["ip", "route", "delete", *route], timeout=10, check=False)
        marker.unlink(missing_ok=True)


def _held(context: Context) -> list[str]:
    """Return the names of the virtual IPs that are on this node."""
    told = json.loads(run(["ip", "-json", "address"], timeout=10).stdout)
    here = {address["local"] for link in told for address in link["addr_info"]}
    return [name for name, vip in context.cluster.virtual_ips.items() if vip.ip in here]


def _elsewhere(vips: Collection[str], me: str) -> bool:
    status = cib.status()
    return status is not None and pacemaker.have_moved(status, [pacemaker.vip_resource(name) for name in vips], me)
