"""What JSON Schema cannot say about the cluster, its nodes and its passwords; see ``rule`` for the form."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.metadata import schema, suggestions
from tripleo_ha.metadata.findings import Finding, Path, dotted
from tripleo_ha.metadata.rule import Document, Rule, duplicates, needs, value_of

MEMORY_SHARE = 0.8
"""How much of a node's memory the caches together may take; the rest is for the services' own processes."""
MAJORITY_MINIMUM = 3
"""Nodes from which on one can be lost with a majority left."""


@needs("cluster")
def distinct_nodes(document: Document) -> Iterator[Finding]:
    """Names and addresses of nodes stand once."""
    nodes = document["cluster"]["nodes"]
    for rule, key, what in (("THA201", "name", "name"), ("THA202", "ip", "address")):
        for index, first in duplicates([node[key] for node in nodes]):
            path = ("cluster", "nodes", index, key)
            yield Finding(rule, path, f"the same {what} as cluster.nodes[{first}]", "one of its own")


@needs("cluster", "node")
def node_in_list(document: Document) -> Iterator[Finding]:
    """The node itself is one of the cluster's."""
    name, names = document["node"]["name"], [node["name"] for node in document["cluster"]["nodes"]]
    if name not in names:
        near = suggestions.nearest(name, names)
        yield Finding(
            "THA203",
            ("node", "name"),
            "this node is not in cluster.nodes",
            f"one of the {len(names)} names there",
            f"did you mean that of cluster.nodes[{names.index(near)}]?"
            if near
            else "add it there, or correct the name",
        )


def _number(address: str) -> int:
    """Return an IPv4 address that passed its format as a number."""
    first, second, third, fourth = map(int, address.split("."))
    return (first << 24) + (second << 16) + (third << 8) + fourth


@needs("cluster")
def virtual_ips(document: Document) -> Iterator[Finding]:
    """Virtual addresses are nobody's own, usable, distinct, and the control one is in the nodes' network."""
    cluster = document["cluster"]
    owners = {node["ip"]: index for index, node in enumerate(cluster["nodes"])}
    taken: dict[str, str] = {}
    for name, vip in cluster["virtual_ips"].items():
        path = ("cluster", "virtual_ips", name, "ip")
        if vip["ip"] in owners:
            message = f"the virtual address is that of cluster.nodes[{owners[vip['ip']]}]"
            yield Finding("THA204", path, message, "an address that no node has")
        if taken.setdefault(vip["ip"], name) != name:
            message = f"the same address as cluster.virtual_ips.{taken[vip['ip']]}"
            yield Finding("THA206", path, message, "an address of its own")
        host = _number(vip["ip"]) & _host_mask(vip["prefix"])
        if host in (0, _host_mask(vip["prefix"])):
            yield Finding("THA220", path, "the network's own or its broadcast address", "an address of a host")
    yield from _nodes_outside(cluster)


def _host_mask(prefix: int) -> int:
    return int((1 << (32 - prefix)) - 1)


def _nodes_outside(cluster: Mapping[str, Any]) -> Iterator[Finding]:
    vip = cluster["virtual_ips"]["control"]
    network = _number(vip["ip"]) >> (32 - vip["prefix"])
    outside = [
        index for index, node in enumerate(cluster["nodes"]) if _number(node["ip"]) >> (32 - vip["prefix"]) != network
    ]
    if len(outside) == len(cluster["nodes"]):
        path: Path = ("cluster", "virtual_ips", "control", "ip")
        yield Finding("THA205", path, "no node is in this address's network", "an address in the nodes' network")
        return
    for index in outside:
        path = ("cluster", "nodes", index, "ip")
        yield Finding("THA205", path, "not in the network of the control address", "an address in that network")


@needs("cluster")
def odd_voters(document: Document) -> Iterator[Finding]:
    """An even number of voters tolerates no more losses than one fewer."""
    count = len(document["cluster"]["nodes"])
    if count % 2 == 0:
        yield Finding(
            "THA207",
            ("cluster", "nodes"),
            f"{count} nodes vote, an even number",
            "an odd number",
            f"with {count - 1} as many can be lost, with {count + 1} one more",
            severity="warning",
            on_key=True,
        )


@needs("cluster", "pacemaker")
def enough_for_ha(document: Document) -> Iterator[Finding]:
    """Where fencing asks for high availability, a majority must survive the loss of a node."""
    count = len(document["cluster"]["nodes"])
    if count < MAJORITY_MINIMUM and "fencing" in document["pacemaker"]:
        yield Finding(
            "THA208",
            ("cluster", "nodes"),
            f"{count} nodes cannot lose one and keep a majority, yet fencing is configured",
            f"at least {MAJORITY_MINIMUM} nodes",
            "add nodes, or remove pacemaker.fencing",
            severity="warning",
            on_key=True,
        )


_CACHES: tuple[tuple[str, str], ...] = (
    ("mysql", "innodb_buffer_pool_mb"),
    ("mysql", "gcache_mb"),
    ("memcached", "memory_mb"),
)


@needs()
def memory(document: Document) -> Iterator[Finding]:
    """The caches fit in the memory that the node declares."""
    total = document.get("node", {}).get("memory_mb")
    if total is None:
        return
    sizes = {(name, key): value_of(document, name, key) for name, key in _CACHES if name in document}
    most = int(total * MEMORY_SHARE)
    if sum(sizes.values()) > most:
        largest = max(sizes, key=lambda path: sizes[path])
        listed = ", ".join(f"{dotted(path)} {size}" for path, size in sizes.items())
        yield Finding(
            "THA209",
            largest,
            f"the caches take {sum(sizes.values())} MiB of the node's {total} MiB ({listed})",
            f"at most {most} MiB together",
            "lower the largest, or correct node.memory_mb",
        )


def _secrets(document: Document) -> Iterator[tuple[Path, str, schema.Schema]]:
    """Yield each password of each section; key material (cookies, fernet keys) is not among them."""
    for name in document:
        for key, declared in schema.read(name)["properties"].items():
            if declared.get("x-secret") and key in document[name] and isinstance(document[name][key], str):
                yield (name, key), document[name][key], declared


@needs()
def guessable(document: Document) -> Iterator[Finding]:
    """No password is its user's name over and over, an example's, or a single repeated character."""
    for path, value, declared in _secrets(document):
        user = declared.get("x-user", "")
        if user and re.fullmatch(rf"(?:{re.escape(user)}[0-9]*)+", value, re.IGNORECASE):
            yield Finding("THA210", path, "the password is made of its user's name", "a random value", _GENERATE)
        elif value in declared["examples"]:
            yield Finding("THA211", path, "an example's value, which everybody knows", "a random value", _GENERATE)
        elif len(set(value)) < 5:
            yield Finding("THA221", path, "fewer than five different characters", "a random value", _GENERATE)


_GENERATE = "tripleo-ha metadata generate makes one"


@needs()
def secrets_differ(document: Document) -> Iterator[Finding]:
    """Two services with one password fall together."""
    found = list(_secrets(document))
    for index, first in duplicates([value for _, value, _ in found]):
        yield Finding(
            "THA218",
            found[index][0],
            f"the same value as {dotted(found[first][0])}",
            "a value of its own",
            _GENERATE,
            severity="warning",
        )


RULES: tuple[Rule, ...] = (
    distinct_nodes,
    node_in_list,
    virtual_ips,
    odd_voters,
    enough_for_ha,
    memory,
    guessable,
    secrets_differ,
)
