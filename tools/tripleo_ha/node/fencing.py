"""Fencing on this node: the agents it needs, the secrets of the devices, and no node taken for lost that only boots."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tripleo_ha import cluster as clusters
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import cib, corosync, units
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.table import Row
from tripleo_ha.topology import fencing as topology
from tripleo_ha.waiting import wait_for

AGENTS = Path("/usr/sbin")
SECRETS = Path("/var/lib/pacemaker/lrm/secrets")
"""Where Pacemaker looks for what the configuration only says is secret."""
PACEMAKER = "pacemaker.service"
TOLD_S = 60.0
PATIENCE_S = 10.0
"""Seconds that a node which starts a cluster waits for others to be members, which may be booting as well."""


def refuse_missing_agents(metadata: Mapping[str, Any]) -> None:
    """Stop before anything is applied when the metadata names an agent that this image lacks.

    :raises Failure: naming each agent, and the nodes that could not be fenced.
    """
    missing = {agent: nodes for agent, nodes in topology.agents(metadata).items() if not (AGENTS / agent).is_file()}
    if missing:
        told = "\n".join(f"  {agent}, the agent of {', '.join(nodes)}" for agent, nodes in missing.items())
        there = ", ".join(sorted(file.name for file in AGENTS.glob("fence_*"))) or "none"
        raise Failure(
            f"pacemaker.fencing needs agents that this image does not have, the last good configuration stays:\n{told}",
            f"build the image with their packages (elements/pacemaker/README.rst); it has {there}",
        )


def write_secrets(context: Context, row: Row) -> None:
    """Write the devices' secrets where only root and Pacemaker's fencer read them, and remove those of others."""
    wanted = topology.secrets(context.cluster, context.metadata)
    for name, options in wanted.items():
        directory = SECRETS / name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {**options, **{f"{option}.sign": _signature(value) for option, value in options.items()}}
        for file, content in files.items():
            write_file(directory / file, content)
        for stale in {file.name for file in directory.iterdir()} - set(files):
            (directory / stale).unlink()
    for directory in SECRETS.glob(f"{topology.resource('*')}"):
        if directory.name not in wanted:
            shutil.rmtree(directory)
    context.publish(row.service, fence_secrets=_generation(context))


def wait_for_secrets(context: Context) -> None:
    """Have the first node wait until the others have the secrets that it is about to make known to them.

    :raises TimedOut: one that answers has not got them.
    """
    if not context.cluster.i_am_first:
        return
    wanted = _generation(context)
    for node in context.cluster.peers:
        what = f"{node.name} to have the secrets of the fence devices"
        wait_for(what, partial(corosync.told, context, node, "fence_secrets", wanted, None), timeout=TOLD_S)


def wait_for_members(context: Context, row: Row) -> None:
    """Have a node that starts a cluster wait a little for the others to be members, which may boot as well.

    Pacemaker fences whom it has never seen, since such a node might run what it is about to start.
    """
    if not topology.is_on(context.cluster, context.metadata) or units.is_active(PACEMAKER):
        return
    until = time.monotonic() + PATIENCE_S

    def over() -> bool:
        return time.monotonic() > until or _all_members(context) or _is_running_elsewhere(context, row)

    try:
        wait_for("the other nodes to be members", over, timeout=2 * PATIENCE_S, interval=0.3)
    except TimedOut as error:
        LOG.warning("%s", error)


def problems(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each lost node that is not fenced, and for each device that could not fence its node."""
    cluster = clusters.from_metadata(metadata)
    if not topology.configured(cluster, metadata):
        return ()
    status = cib.status()
    if status is None:
        return ("Pacemaker does not answer, so it fences nobody",)
    idle = topology.idle(status, cluster, metadata)
    return (
        *told(status),
        *(f"the fence device of {node} does not answer, or waits to be tried again" for node in idle),
    )


def told(status: ElementTree.Element) -> list[str]:
    """Return a line for each node that is to be fenced and is not yet: what needs to run once waits for that."""
    return [
        f"{node} is lost and not fenced ({why}); `stonith_admin --confirm {node}` once it is certainly off"
        for node, why in topology.unfenced(status).items()
    ]


def _all_members(context: Context) -> bool:
    return all(corosync.is_member(node) for node in context.cluster.peers)


def _is_running_elsewhere(context: Context, row: Row) -> bool:
    return any(
        (context.peer(node) or {}).get("published", {}).get(row.service, {}).get("pacemaker_runs")
        for node in context.cluster.peers
    )


def _generation(context: Context) -> str:
    # Without the cluster's key this would let anybody who reads it try passwords.
    secrets = topology.secrets(context.cluster, context.metadata)
    key = str(context.metadata["pacemaker"]["corosync_authkey"])
    return hashlib.blake2b(json.dumps(secrets, sort_keys=True).encode(), key=key.encode()[:64]).hexdigest()[:16]


def _signature(value: str) -> str:
    # Pacemaker's way to find a damaged file; it wants this very digest.
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
