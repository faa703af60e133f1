"""What of Neutron's configuration follows from lists and choices of the metadata; pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.table import Row

Section = tuple[str, Mapping[str, str]]
TUNNELS = ("vxlan", "gre")
"""Types of networks that are carried between the nodes' own addresses."""


def sections(row: Row, metadata: Mapping[str, Any], derived: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the sections of ``neutron.conf`` that no template could work out.

    :param metadata: accepted, with its defaults.
    """
    chosen = metadata[row.metadata]
    told = "nova" in metadata
    yield (
        "DEFAULT",
        {
            "l3_ha": _boolean(chosen["l3"] == "ha"),
            "dnsmasq_dns_servers": ",".join(chosen["dns_servers"]),
            # Without Nova each change of a port would be a request that fails.
            "notify_nova_on_port_status_changes": _boolean(told),
            "notify_nova_on_port_data_changes": _boolean(told),
        },
    )
    yield from _networks(chosen)
    yield from _tunnels(chosen, derived["node"]["ip"])


def _networks(chosen: Mapping[str, Any]) -> Iterator[Section]:
    networks = chosen["physical_networks"]
    flat = [network["name"] for network in networks if network["flat"]]
    # A network without ranges is one whose VLANs an administrator chooses.
    vlans = [":".join((network["name"], *ids)) for network in networks for ids in _ranges(network)]
    yield "ml2_type_flat", {"flat_networks": ",".join(flat)}
    yield "ml2_type_vlan", {"network_vlan_ranges": ",".join(vlans)}
    yield "ovs", {"bridge_mappings": ",".join(f"{network['name']}:{network['bridge']}" for network in networks)}


def _ranges(network: Mapping[str, Any]) -> list[list[str]]:
    return [ids.split(":") for ids in network["vlans"]] or [[]]


def _tunnels(chosen: Mapping[str, Any], ip: str) -> Iterator[Section]:
    kind = chosen["tenant_network_type"]
    if kind in TUNNELS:
        yield "ovs", {"local_ip": ip}
    yield "agent", {"tunnel_types": kind if kind in TUNNELS else ""}


def _boolean(value: bool) -> str:
    return "true" if value else "false"
