"""The node itself: its name, its peers' names, its firewall, its clock."""

import hashlib
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tripleo_ha.cluster import Cluster
from tripleo_ha.node import firewall, units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row

AUTHORITIES = Path("/usr/local/share/ca-certificates")
TRUSTED = Path("/etc/ssl/certs")
"""Where ``update-ca-certificates`` leaves a link to each authority that it has taken in."""


def converge(context: Context, row: Row) -> None:
    """Give the node its name, tell it its peers, close its ports, and set its clock going."""
    name = context.cluster.me.name
    if socket.gethostname() != name:
        socket.sethostname(name)
        context.changed(f"host name is {name}")
    write_file(Path("/etc/hostname"), f"{name}\n", mode=0o644)
    if write_file(Path("/etc/hosts"), hosts(context.cluster), mode=0o644):
        context.changed("/etc/hosts")
    trust(context)
    firewall.apply(context)
    for unit in row.units:
        units.ensure(context, row, unit)


def trust(context: Context) -> None:
    """Have every program that asks the system whom to trust, trust the authorities of ``tls.ca`` and no former ones.

    :raises CommandFailed: the system's bundle could not be made.
    """
    wanted = authorities(context.metadata)
    for name, pem in wanted.items():
        write_file(AUTHORITIES / f"{name}.crt", pem, mode=0o644)
    for file in AUTHORITIES.glob("tripleo-ha-*.crt"):
        if file.stem not in wanted:
            file.unlink()
    if {link.stem for link in TRUSTED.glob("tripleo-ha-*.pem")} != set(wanted):
        run(["update-ca-certificates"], timeout=120)
        context.changed(f"trusted authorities of tls.ca: {len(wanted)}")


def authorities(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return each authority of ``tls.ca`` as PEM, by a name that is its own."""
    text = metadata.get("tls", {}).get("ca", "").replace("\r", "")
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    pems = [f"{pem}\n" for pem in found]
    return {f"tripleo-ha-{hashlib.sha256(pem.encode()).hexdigest()[:16]}": pem for pem in pems}


def hosts(cluster: Cluster) -> str:
    """Return /etc/hosts: every controller by name, and the virtual IPs as ``CLUSTER-VIP``."""
    lines = ["# Written by tripleo-ha-node from cluster.nodes.", "127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    lines += [f"{node.ip} {node.name}" for node in cluster.nodes]
    lines += [f"{vip.ip} {cluster.name}-{name}" for name, vip in sorted(cluster.virtual_ips.items())]
    return "\n".join(lines) + "\n"
