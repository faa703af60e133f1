"""Cluster membership: the key, the first start, and a new configuration taken up without leaving the cluster."""

import base64
import json
import os
import tempfile
from functools import partial
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.cluster import Node
from tripleo_ha.node import units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row, Unit
from tripleo_ha.waiting import wait_for

AUTHKEY = Path("/etc/corosync/authkey")
INVOCATIONS = Path("/run/systemd/units")
TURN_TIMEOUT = 120.0


def write_key(context: Context) -> None:
    """Write the key of the metadata, which is base64, as the bytes that Corosync reads."""
    key = base64.b64decode(context.metadata["pacemaker"]["corosync_authkey"], validate=True)
    if AUTHKEY.exists() and AUTHKEY.read_bytes() == key and AUTHKEY.stat().st_mode & 0o777 == 0o400:
        return
    AUTHKEY.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=AUTHKEY.parent, prefix=".authkey.")
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), 0o400)
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    Path(temporary).replace(AUTHKEY)


def ensure(context: Context, row: Row, unit: Unit) -> None:
    """Have Corosync run with its present key and configuration.

    A running one reads them anew, all members one after another and only when all have them: with a new key that is
    what keeps them talking to each other.

    :raises TimedOut: a member that answers has not got the new configuration.
    """
    wanted = units.digest(unit.files)
    record = paths.RUNTIME / "applied" / f"{unit.name}.json"
    if not units.is_active(unit.name):
        units.start(unit.name)
        context.changed(f"{row.service}: {unit.name} started")
    elif _applied(record, unit) != wanted:
        context.publish(row.service, corosync_has=wanted)
        _wait_for_members(context, "corosync_has", wanted, context.cluster.peers)
        _wait_for_members(context, "corosync_runs", wanted, context.cluster.nodes[: context.cluster.me.index])
        run(["corosync-cfgtool", "-R"], timeout=60)
        context.changed(f"{row.service}: {unit.name} reloaded")
    write_file(record, json.dumps({"digest": wanted, "invocation": _invocation(unit)}))
    context.publish(row.service, corosync_has=wanted, corosync_runs=wanted)


def _applied(record: Path, unit: Unit) -> str:
    """Return the digest that the running process was given, empty when it came up without us."""
    known = json.loads(record.read_text()) if record.exists() else {}
    return str(known.get("digest", "")) if known.get("invocation") == _invocation(unit) else ""


def _invocation(unit: Unit) -> str:
    try:
        return str((INVOCATIONS / f"invocation:{unit.name}").readlink())
    except OSError:
        return ""


def _wait_for_members(context: Context, fact: str, wanted: str, nodes: tuple[Node, ...]) -> None:
    """Wait until every one of ``nodes`` that answers at all has published ``fact`` as ``wanted``.

    A silent one is not waited for: it reads the configuration when it starts.
    """
    for node in nodes:
        what = f"{node.name} to have the new Corosync configuration"
        wait_for(what, partial(_has, context, node, fact, wanted), timeout=TURN_TIMEOUT)


def _has(context: Context, node: Node, fact: str, wanted: str) -> bool:
    told = context.peer(node)
    return told is None or told.get("published", {}).get("pacemaker", {}).get(fact) == wanted
