"""Cluster membership: the key, the first start, and a new configuration taken up without leaving the cluster."""

import base64
import json
from functools import partial
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.cluster import Node
from tripleo_ha.errors import TimedOut
from tripleo_ha.node import units
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row, Unit
from tripleo_ha.waiting import wait_for

AUTHKEY = Path("/etc/corosync/authkey")
INVOCATIONS = Path("/run/systemd/units")
TURN_TIMEOUT = 120.0
MEMBER_TIMEOUT = 15.0
"""Seconds for a membership that is just being formed."""


def write_key(context: Context) -> None:
    """Write the key of the metadata, which is base64, as the bytes that Corosync reads."""
    key = base64.b64decode(context.metadata["pacemaker"]["corosync_authkey"], validate=True)
    write_file(AUTHKEY, key, mode=0o400)


def ensure(context: Context, row: Row, unit: Unit) -> None:
    """Have Corosync run with its present key and configuration.

    Running ones read them anew all at once, when every member has them: with a new key that is what keeps them talking
    to each other.

    :raises CommandFailed: Corosync refuses the configuration; nothing has been touched.
    :raises TimedOut: a member that answers has not got the new configuration.
    """
    wanted = units.digest(unit.files)
    record = paths.RUNTIME / "applied" / f"{unit.name}.json"
    active = units.is_active(unit.name)
    if not active or _applied(record, unit) != wanted:
        # Only what Corosync itself accepts is shown to the others, who wait for it.
        run(["corosync", "-t"], timeout=30)
        context.publish(row.service, corosync_has=wanted)
        if active:
            _reload(context, wanted)
        else:
            _wait_for_running(context, wanted)
            units.start(unit.name)
        context.changed(f"{row.service}: {unit.name} {'reloaded' if active else 'started'}")
        write_file(record, json.dumps({"digest": wanted, "invocation": _invocation(unit)}))
    context.publish(row.service, corosync_has=wanted, corosync_runs=wanted)


def _reload(context: Context, wanted: str) -> None:
    for node in context.cluster.peers:
        what = f"{node.name} to have the new Corosync configuration"
        wait_for(what, partial(told, context, node, "corosync_has", wanted), timeout=TURN_TIMEOUT)
    if not _was_reloaded(context, wanted):
        run(["corosync-cfgtool", "-R"], timeout=60)


def _applied(record: Path, unit: Unit) -> str:
    """Return the digest that the running process was given, empty when it came up without us."""
    known = json.loads(record.read_text()) if record.exists() else {}
    return str(known.get("digest", "")) if known.get("invocation") == _invocation(unit) else ""


def _invocation(unit: Unit) -> str:
    try:
        return str((INVOCATIONS / f"invocation:{unit.name}").readlink())
    except OSError:
        return ""


def _wait_for_running(context: Context, wanted: str) -> None:
    """Wait until no member runs another configuration than the one this node is about to start with.

    Two nodes that join a cluster of one would otherwise be a majority without it, and take its virtual IPs.
    """
    for node in context.cluster.peers:
        what = f"{node.name} to run the new Corosync configuration"
        wait_for(what, partial(told, context, node, "corosync_runs", wanted, None), timeout=TURN_TIMEOUT)


def _was_reloaded(context: Context, wanted: str) -> bool:
    """Wait while a node before this one reloads the whole cluster; tell whether that included this node.

    One reload reaches every member, and another one while keys are being exchanged throws members out.
    """
    for node in context.cluster.before_me:
        if context.peer(node) is None:
            continue
        what = f"{node.name} to have the cluster reload its Corosync configuration"
        wait_for(what, partial(told, context, node, "corosync_runs", wanted), timeout=TURN_TIMEOUT)
        try:
            wait_for(f"{node.name} to be a member", partial(is_member, node), timeout=MEMBER_TIMEOUT)
        except TimedOut as error:
            LOG.warning("%s; reloading by itself", error)
            return False
        return True
    return False


def is_member(node: Node) -> bool:
    """Tell whether Corosync, which runs here, counts a node as a member."""
    key = f"runtime.members.{node.id}.status"
    return "joined" in run(["corosync-cmapctl", "-g", key], timeout=30, check=False).stdout


def told(context: Context, node: Node, fact: str, *wanted: str | None) -> bool:
    """Tell whether a node published one of ``wanted`` as ``fact``; None stands for nothing published.

    A node that does not answer is not waited for: it reads the configuration when it starts.
    """
    told = context.peer(node)
    return told is None or told.get("published", {}).get("pacemaker", {}).get(fact) in wanted
