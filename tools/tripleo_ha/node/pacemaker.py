"""Membership and the virtual IPs: start Corosync and Pacemaker, and have the cluster hold what is wanted."""

from collections.abc import Sequence
from functools import partial
from xml.etree import ElementTree

from tripleo_ha.node import cib, corosync, fencing, rolling, units
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.run import run
from tripleo_ha.table import Row
from tripleo_ha.topology import pacemaker as topology
from tripleo_ha.waiting import wait_for

Element = ElementTree.Element

COROSYNC = "corosync.service"
STARTED_TIMEOUT = 180.0
"""Seconds for a majority to come up and agree; the others may boot later than this node."""
APPLIED_TIMEOUT = 180.0
FORGET_TIMEOUT = 60.0


def converge(context: Context, row: Row) -> None:
    """Have the cluster run with its wanted configuration and its virtual IPs on one controller.

    :raises TimedOut: no majority, the first node did not apply the configuration, or a virtual IP did not come up.
    """
    corosync.write_key(context)
    if cib.plant(topology.seed(topology.wanted(context.cluster, context.metadata))):
        context.changed(f"{row.service}: first configuration planted")
    fencing.write_secrets(context, row)
    for unit in row.units:
        if unit.name == COROSYNC:
            corosync.ensure(context, row, unit)
            fencing.wait_for_members(context, row)
        elif not units.is_active(unit.name):
            units.start(unit.name)
            context.changed(f"{row.service}: {unit.name} started")
    context.publish(row.service, pacemaker_runs=True)
    fencing.wait_for_secrets(context)
    configure(context, row, ())
    if context.cluster.i_am_first:
        forget_departed(context, row)
    wait_until_started(context, [topology.vip_resource(name) for name in context.cluster.virtual_ips])


def configure(context: Context, row: Row, adds: Sequence[Row]) -> None:
    """Have the live configuration hold what is wanted; the first node applies it, the others wait until it is there.

    While the first runs another image, as in the middle of an upgrade, what it makes of the metadata is what counts.

    :param adds: singletons that may run from now on. One that is configured already and still in the table stays.
    :raises TimedOut: it was not applied.
    """

    def missing(live: Element | None) -> list[str]:
        if live is None:
            return ["Pacemaker has no configuration yet"]
        return topology.differences(live, _wanted(context, live, adds))

    if not missing(cib.on_disk()):
        return
    if not context.cluster.i_am_first:
        first = context.cluster.nodes[0]
        wait_for(
            f"{first.name} to configure {row.service} in Pacemaker",
            lambda: not missing(cib.on_disk()) or rolling.another_image(context, first),
            timeout=APPLIED_TIMEOUT,
            why=lambda: "; ".join(missing(cib.on_disk())),
        )
        if another := missing(cib.on_disk()):
            LOG.info("%s: left as the image of %s has it: %s", row.service, first.name, "; ".join(another))
        return
    applied: list[str] = []

    def wish(live: Element) -> Element | None:
        applied[:] = missing(live)
        return topology.merged(live, _wanted(context, live, adds)) if applied else None

    cib.change(wish)
    for line in applied:
        context.changed(f"{row.service}: Pacemaker's configuration: {line}")


def forget_departed(context: Context, row: Row) -> None:
    """Purge the nodes that left the metadata from Pacemaker's memory, once they are no members any more.

    :raises TimedOut: one is still a member, or comes back.
    """
    known = cib.on_disk()
    names = topology.departed(known, context.cluster) if known is not None else ()
    for name in names:
        wait_for(f"Pacemaker to forget {name}", partial(_forgotten, name), timeout=FORGET_TIMEOUT, interval=1)
        context.changed(f"{row.service}: forgot {name}")


def _forgotten(name: str) -> bool:
    """Try to purge a node; tell whether it was gone already, as a late event can bring it back."""
    status = cib.status()
    if status is None or topology.is_online(status, name):
        return False
    if not topology.has_node(status, name):
        return True
    run(["crm_node", "--force", "--remove", name], timeout=cib.TIMEOUT, check=False)
    return False


def wait_until_started(context: Context, resources: Sequence[str]) -> None:
    """Wait until this node is a member and each resource is started on exactly one.

    :raises TimedOut: naming what is not so.
    """
    me = context.cluster.me.name
    lacking = ["Pacemaker does not answer"]

    def all_started() -> bool:
        status = cib.status()
        if status is not None:
            lacking[:] = [] if topology.is_online(status, me) else [f"{me} is not online"]
            idle = [name for name in resources if len(topology.started_on(status, name)) != 1]
            lacking.extend(f"{name} is not on exactly one node" for name in idle)
            lacking.extend(fencing.told(status) if lacking else ())
        return not lacking

    wait_for(
        "Pacemaker's resources to run",
        all_started,
        timeout=STARTED_TIMEOUT,
        interval=0.3,
        why=lambda: "; ".join(lacking),
    )


def _wanted(context: Context, live: Element, adds: Sequence[Row]) -> Element:
    configured = topology.resources_in(live)
    may_run = [row for row in topology.singletons(context.rows) if row in adds or row.service in configured]
    return topology.wanted(context.cluster, context.metadata, may_run)
