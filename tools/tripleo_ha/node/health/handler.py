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
    """Write what the endpoint may know, which is little, and have it run.

    The password is in a file of its own, read for each check: while the endpoint restarts, nobody vouches for a node.
    """
    known: dict[str, Any] = {"node": {"name": context.cluster.me.name, "ip": context.cluster.me.ip}}
    if "mysql" in context.metadata:
        known["mysql"] = {}
    if "rabbit" in context.metadata:
        known["rabbit"] = {}
    owner = (0, grp.getgrnam("tripleo-ha").gr_gid)
    if "rabbit" in context.metadata:
        password = context.metadata["rabbit"]["monitor_password"]
        write_file(paths.RUNTIME / "monitor-password", password, mode=0o640, owner=owner)
    write_file(paths.RUNTIME / "health.json", json.dumps(known), mode=0o640, owner=owner)
    units.ensure(context, row, UNIT)
