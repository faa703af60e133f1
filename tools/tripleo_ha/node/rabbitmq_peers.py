"""What the controllers tell of the broker's cluster, as far as they can be reached."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node.context import Context
from tripleo_ha.table import Row
from tripleo_ha.topology.rabbitmq import Membership
from tripleo_ha.topology.rabbitmq_outlook import Outlook, outlook

TIMEOUT = 1.0


def told_by_peers(context: Context) -> dict[str, Membership]:
    """Return what the brokers of the reachable peers say of their cluster; those that don't run say nothing."""
    return memberships(statuses(context))


def memberships(statuses: Mapping[str, Mapping[str, Any]]) -> dict[str, Membership]:
    """Return what each broker that runs says of its cluster, from what the nodes tell."""
    told = {}
    for name, status in statuses.items():
        facts = status.get("checks", {}).get("rabbitmq", {}).get("facts", {})
        if facts.get("running"):
            told[name] = Membership(frozenset(facts["members"]), frozenset(facts["running"]))
    return told


def ever_joined(statuses: Mapping[str, Mapping[str, Any]], service: str) -> dict[str, bool]:
    """Return whether each node's broker was ever a member, of the nodes whose converge run has said so this boot."""
    published = {name: status.get("published", {}).get(service, {}) for name, status in statuses.items()}
    return {name: facts["joined"] for name, facts in published.items() if "joined" in facts}


def foresee(context: Context, row: Row, mine: Membership | None) -> Outlook:
    """Say what follows for this node's broker from what the peers tell.

    :param mine: what it says of its cluster, or None when it does not answer.
    """
    told, me = statuses(context), context.cluster.me.name
    joined = {**ever_joined(told, row.service), me: broker.has_joined()}
    return outlook(me, order(context), mine, memberships(told), joined, begun=broker.has_begun(me))


def statuses(context: Context) -> dict[str, dict[str, Any]]:
    """Return what each reachable peer tells of itself, as :meth:`Context.peer` does."""
    peers = context.cluster.peers
    with ThreadPoolExecutor(max_workers=max(len(peers), 1)) as pool:
        answers = list(pool.map(lambda node: context.peer(node, timeout=TIMEOUT), peers))
    return {node.name: status for node, status in zip(peers, answers, strict=True) if status}


def whole(status: Mapping[str, Any]) -> bool:
    """Tell from a peer's status whether its broker is healthy and misses no member."""
    check = status.get("checks", {}).get("rabbitmq", {})
    facts = check.get("facts", {})
    return bool(check.get("healthy")) and facts.get("members") == facts.get("running")


def order(context: Context) -> list[str]:
    """Return the names of all controllers, in the order of ``cluster.nodes``."""
    return [node.name for node in context.cluster.nodes]
