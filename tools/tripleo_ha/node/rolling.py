"""Changes roll: a controller restarts a service only when those before it run the new configuration and are well."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tripleo_ha import paths
from tripleo_ha.cluster import Node
from tripleo_ha.errors import Failure
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.table import Row
from tripleo_ha.waiting import wait_for

TURN_TIMEOUT = 600.0
CONTROLLER = "controller"
"""What a controller publishes of its whole converge run: its ``generation``, whether it was ``ok`` (None in the first
with this generation), and its ``image``."""

Judge = Callable[[Mapping[str, Any]], bool]


class Stopped(Failure):
    """A controller before this one did not get well with the new configuration, so this one keeps the old."""


def of_controller(metadata: Mapping[str, Any]) -> str:
    """Return what identifies the whole configuration, equal on all nodes that were given the same metadata."""
    common = {key: value for key, value in metadata.items() if key not in ("node", "derived")}
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()[:16]


def is_done(told: Mapping[str, Any] | None, wanted: str) -> bool:
    """Tell from a peer's status whether all of it converged on the wanted generation.

    :raises Stopped: it tried and failed.
    """
    published = (told or {}).get("published", {}).get(CONTROLLER, {})
    if published.get("generation") != wanted:
        return False
    if published.get("ok") is False:
        raise Stopped("it did not converge on the new configuration")
    return bool(published.get("ok"))


def announce(context: Context) -> None:
    """Tell the peers that a run has begun: what an earlier one failed with is no longer the last word."""
    wanted = of_controller(context.metadata)
    try:
        done = is_done({"published": context.published()}, wanted)
    except Stopped:
        done = False
    if not done:
        context.publish(CONTROLLER, generation=wanted, ok=None, image=image())


def all_done(context: Context) -> bool:
    """Tell whether every other controller has converged on this one's generation."""
    return _are_done(context, context.cluster.peers)


def image() -> str:
    """Return what identifies the image that this node runs; nothing outside of one."""
    file = paths.IMAGE_SHARE / "image.json"
    return str(json.loads(file.read_text())["id"]) if file.exists() else ""


def same_image(context: Context) -> bool:
    """Tell whether every other controller tells that it runs this one's image."""
    return all(_image_of(context, node) == image() for node in context.cluster.peers)


def another_image(context: Context, node: Node) -> bool:
    """Tell whether a controller tells that it runs another image; one that does not answer is given the doubt."""
    return _image_of(context, node) not in (None, image())


def _image_of(context: Context, node: Node) -> str | None:
    told: Mapping[str, str] = (context.peer(node) or {}).get("published", {}).get(CONTROLLER, {})
    return told.get("image")


def is_my_turn(context: Context) -> bool:
    """Tell, without waiting, whether every controller before this one has converged on this one's generation."""
    return _are_done(context, context.cluster.before_me)


def _are_done(context: Context, nodes: Iterable[Node]) -> bool:
    wanted = of_controller(context.metadata)
    try:
        return all(is_done(context.peer(node), wanted) for node in nodes)
    except Stopped:
        return False


def wait_turn(context: Context, row: Row, healthy: Judge = lambda told: True, timeout: float = TURN_TIMEOUT) -> None:
    """Wait until every node before this one has converged on this generation, all of it, and is healthy.

    A whole controller at a time: what else changed there may be what makes the cluster unable to spare this one.

    :param healthy: judges a peer's status, ``{"checks": …, "published": …}``.
    :raises Stopped: a node before this one failed to converge; it is asked again in the next run.
    :raises TimedOut: naming the node that was waited for.
    """
    wanted = of_controller(context.metadata)
    for node in context.cluster.before_me:

        def turn_has_come(node: Node = node) -> bool:
            told = context.peer(node)
            try:
                return is_done(told, wanted) and told is not None and healthy(told)
            except Stopped as failure:
                raise Stopped(
                    f"{row.service} keeps its configuration here, since {node.name} failed with the new one",
                    f"tripleo-ha-node status on {node.name} says why; corrected metadata goes on from there",
                ) from failure

        began = time.monotonic()
        wait_for(f"{node.name} to run the new configuration and be well", turn_has_come, timeout=timeout)
        if (waited := time.monotonic() - began) > 1:
            LOG.info("%s: waited %.1f s for %s", row.service, waited, node.name)


def wait_for_all(context: Context, row: Row, healthy: Judge, timeout: float = TURN_TIMEOUT) -> None:
    """Wait until every other node is healthy, so that the cluster can spare this one.

    :raises TimedOut: naming the node that is not.
    """
    for node in context.cluster.peers:

        def well(node: Node = node) -> bool:
            told = context.peer(node)
            return told is not None and healthy(told)

        wait_for(f"{row.service} on {node.name} to be well before it stops here", well, timeout=timeout)
