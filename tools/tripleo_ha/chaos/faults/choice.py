"""Whom a fault strikes, and how the case that it is about is made."""

import contextlib
from random import Random
from xml.etree import ElementTree

from tripleo_ha.chaos.faults.model import Field, Roles
from tripleo_ha.errors import Failure
from tripleo_ha.waiting import wait_for

VIP = "control"
"""The virtual IP that the others follow."""
MOVE_S = 40.0
WHO = {"serving": "the writer and holder of the virtual IPs", "other": "a node that serves nobody"}
"""How a summary names those that :func:`serving` and :func:`other` choose."""


def serving(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return the node that clients would miss most: the writer, to which :func:`gather` brings the virtual IPs."""
    return (roles.writer or max(roles.nodes, key=roles.weight),)


def holder(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return the node that holds the virtual IPs."""
    return (roles.holders.get(VIP) or roles.writer or roles.nodes[0],)


def other(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return a node that is neither writer nor holder of a virtual IP; where there is none, one that is not both."""
    least = min(roles.weight(node) for node in roles.nodes)
    return (random.choice([node for node in roles.nodes if roles.weight(node) == least]),)


def anyone(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return any node."""
    return (random.choice(roles.nodes),)


def everyone(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return all nodes in the cluster's order."""
    return roles.nodes


def shuffled(roles: Roles, random: Random) -> tuple[str, ...]:
    """Return all nodes in an order of chance."""
    return tuple(random.sample(roles.nodes, len(roles.nodes)))


def gather(field: Field) -> None:
    """Have the virtual IPs on the node that is struck, which is the writer, so that it is both.

    :raises Failure: Pacemaker does not move them.
    """
    (node,) = field.nodes
    resource = f"vip-{VIP}"
    if _place(field, node, resource) in (node, None):
        return
    try:
        field.bed.exec(node, ["crm_resource", "--move", "--resource", resource, "--node", node], timeout=30)
        wait_for(
            f"{resource} to be on {node}",
            lambda: _place(field, node, resource) == node,
            timeout=MOVE_S,
            why=lambda: f"it is on {_place(field, node, resource) or 'no node'}",
        )
    finally:
        with contextlib.suppress(Failure):
            field.bed.exec(node, ["crm_resource", "--clear", "--resource", resource], timeout=30)
    field.wait_served(MOVE_S)


def _place(field: Field, node: str, resource: str) -> str | None:
    """Return the node on which a resource is started, an empty string for none, None where Pacemaker has no such."""
    told = field.bed.exec(node, ["crm_mon", "--one-shot", "--output-as=xml"], timeout=30).stdout
    status = ElementTree.fromstring(told)  # noqa: S314 — a node of the bed said it
    for found in status.iterfind("resources//resource"):
        if found.get("id") == resource:
            on = found.find("node") if found.get("role") == "Started" else None
            return "" if on is None else on.get("name", "")
    return None
