"""Converging the health endpoint itself."""

import grp
import json
from typing import Any

from tripleo_ha import paths
from tripleo_ha.node import units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.table import Row, Unit

UNIT = Unit("tripleo-ha-health.service", files=(str(paths.RUNTIME / "health.json"),))


def converge(context: Context, row: Row) -> None:
    """Write what the endpoint may know, which is little, and have it run."""
    known: dict[str, Any] = {"node": {"name": context.cluster.me.name, "ip": context.cluster.me.ip}}
    if "mysql" in context.metadata:
        known["mysql"] = {}
    if "rabbit" in context.metadata:
        known["rabbit"] = {"monitor_password": context.metadata["rabbit"]["monitor_password"]}
    group = grp.getgrnam("tripleo-ha").gr_gid
    write_file(paths.RUNTIME / "health.json", json.dumps(known), mode=0o640, owner=(0, group))
    units.ensure(context, row, UNIT)
