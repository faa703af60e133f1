"""The node itself: its name, its peers' names, its firewall, its clock."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tripleo_ha import endpoints
from tripleo_ha.cluster import Cluster
from tripleo_ha.node import firewall, units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.table import Row


def converge(context: Context, row: Row) -> None:
    """Give the node its name, tell it its peers, close its ports, and set its clock going."""
    name = context.cluster.me.name
    if socket.gethostname() != name:
        socket.sethostname(name)
        context.changed(f"host name is {name}")
    write_file(Path("/etc/hostname"), f"{name}\n", mode=0o644)
    if write_file(Path("/etc/hosts"), hosts(context.cluster, context.metadata), mode=0o644):
        context.changed("/etc/hosts")
    firewall.apply(context)
    for unit in row.units:
        units.ensure(context, row, unit)


def hosts(cluster: Cluster, metadata: Mapping[str, Any]) -> str:
    """Return /etc/hosts: every controller by name, and the virtual IPs as ``CLUSTER-VIP``.

    The host of internal endpoints is there as well: services must find each other without a name server.
    """
    lines = ["# Written by tripleo-ha-node from cluster.nodes.", "127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    lines += [f"{node.ip} {node.name}" for node in cluster.nodes]
    lines += [f"{vip.ip} {cluster.name}-{name}" for name, vip in sorted(cluster.virtual_ips.items())]
    if tls := endpoints.tls_of(metadata, endpoints.CONTROL):
        ip = cluster.virtual_ips[endpoints.CONTROL].ip
        lines += [f"{ip} {tls.host}"] if tls.host != ip else []
    return "\n".join(lines) + "\n"
