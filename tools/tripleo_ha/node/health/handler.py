"""Converging the health endpoint itself."""

import grp
import json
from collections.abc import Iterable
from typing import Any

from tripleo_ha import paths
from tripleo_ha.node import draining, units
from tripleo_ha.node.context import HEALTH_PORT, Context, write_file
from tripleo_ha.node.health.healer import watched_file
from tripleo_ha.table import Listener, Row, Unit

UNIT = Unit("tripleo-ha-health.service", files=(str(paths.RUNTIME / "health.json"),))


NOT_WATCHED = ("base", "health", "singleton")
"""Handlers whose units need not run on each node, or are the endpoint's own."""


def watched(rows: Iterable[Row]) -> dict[str, str]:
    """Return the units that have to run on this node, each with the check that speaks for its row, if any does."""
    found = {}
    for row in rows:
        checks = [draining.flag(listener) for listener in row.balanced if _is_asked_here(listener)]
        if row.handler not in NOT_WATCHED:
            found.update({unit.name: next(iter(checks), "") for unit in row.units})
    return found


def _is_asked_here(listener: Listener) -> bool:
    return bool(listener.balance and listener.balance.check.port == HEALTH_PORT)


def converge(context: Context, row: Row) -> None:
    """Write what the endpoint may know, which is little, and have it run.

    The password and the units to watch are in files of their own, read again and again: while the endpoint restarts,
    nobody vouches for a node.
    """
    me = context.cluster.me
    known: dict[str, Any] = {"node": {"name": me.name, "ip": me.ip}}
    if "mysql" in context.metadata:
        known["mysql"] = {}
    if "rabbit" in context.metadata:
        known["rabbit"] = {}
    owner = (0, grp.getgrnam("tripleo-ha").gr_gid)
    if "rabbit" in context.metadata:
        password = context.metadata["rabbit"]["monitor_password"]
        write_file(paths.RUNTIME / "monitor-password", password, mode=0o640, owner=owner)
    write_file(watched_file(), json.dumps(watched(context.rows)), mode=0o640, owner=owner)
    write_file(paths.RUNTIME / "health.json", json.dumps(known), mode=0o640, owner=owner)
    units.ensure(context, row, UNIT)
