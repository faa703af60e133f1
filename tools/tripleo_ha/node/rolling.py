"""Changes roll: a controller restarts a service only when those before it run the new configuration and are well."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from tripleo_ha.node.context import LOG, Context
from tripleo_ha.table import Row
from tripleo_ha.waiting import wait_for

TURN_TIMEOUT = 600.0


def generation(metadata: Mapping[str, Any], row: Row) -> str:
    """Return what identifies the configuration of a row, equal on all nodes that were given the same metadata."""
    relevant = {key: value for key, value in metadata.items() if key not in ("node", "derived")}
    told = json.dumps([row.service, relevant], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def is_done(told: Mapping[str, Any] | None, row: Row, wanted: str) -> bool:
    """Tell from a peer's status whether it runs the wanted generation of a row."""
    if told is None:
        return False
    return bool(told.get("published", {}).get(row.service, {}).get("generation") == wanted)


def wait_turn(
    context: Context,
    row: Row,
    healthy: Callable[[Mapping[str, Any]], bool] = lambda told: True,
    timeout: float = TURN_TIMEOUT,
) -> None:
    """Wait until every node before this one has published this row's generation and is healthy.

    :param healthy: judges a peer's status, ``{"checks": …, "published": …}``.
    :raises TimedOut: naming the node that was waited for.
    """
    wanted = generation(context.metadata, row)
    for node in context.cluster.nodes[: context.cluster.me.index]:

        def turn_has_come(node: Any = node) -> bool:
            told = context.peer(node)
            return is_done(told, row, wanted) and told is not None and healthy(told)

        began = time.monotonic()
        wait_for(f"{node.name} to run the new {row.service} and be well", turn_has_come, timeout=timeout)
        if (waited := time.monotonic() - began) > 1:
            LOG.info("%s: waited %.1f s for %s", row.service, waited, node.name)
