"""The cluster as the metadata states it: members, this node, virtual IPs."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """A controller; ``index`` is its place in ``cluster.nodes``, the identity used for tie-breaks."""

    name: str
    ip: str
    index: int

    @property
    def id(self) -> int:
        """Corosync's node id: one more than the index, since 0 is not allowed there."""
        return self.index + 1


@dataclass(frozen=True)
class VirtualIP:
    """An address that is on one controller at a time, and the interface it is put on."""

    name: str
    ip: str
    prefix: int
    interface: str

    @property
    def network(self) -> str:
        """The network it belongs to, as a CIDR."""
        return str(ipaddress.ip_network(f"{self.ip}/{self.prefix}", strict=False))


@dataclass(frozen=True)
class Cluster:
    """Members in their order, and which of them this node is."""

    name: str
    nodes: tuple[Node, ...]
    me: Node
    virtual_ips: Mapping[str, VirtualIP]

    @property
    def peers(self) -> tuple[Node, ...]:
        """Every member but this node."""
        return tuple(node for node in self.nodes if node != self.me)

    @property
    def before_me(self) -> tuple[Node, ...]:
        """The members that a change reaches before this node."""
        return self.nodes[: self.me.index]

    @property
    def i_am_first(self) -> bool:
        """Whether this node does the work that is done once per cluster."""
        return self.me.index == 0


def from_metadata(metadata: Mapping[str, Any]) -> Cluster:
    """Read the cluster out of metadata that has passed the checker."""
    section = metadata["cluster"]
    nodes = tuple(Node(node["name"], node["ip"], index) for index, node in enumerate(section["nodes"]))
    me = next(node for node in nodes if node.name == metadata["node"]["name"])
    vips = {
        name: VirtualIP(name, vip["ip"], vip["prefix"], vip["interface"])
        for name, vip in section["virtual_ips"].items()
    }
    return Cluster(section["name"], nodes, me, vips)
