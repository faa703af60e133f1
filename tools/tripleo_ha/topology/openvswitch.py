"""Which bridges Open vSwitch shall have towards the networks outside: metadata in, changes out.

The other bridges, ``br-int`` and ``br-tun``, are Neutron's agent's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bridge:
    """A bridge, its datapath (``system`` or ``netdev``), and its ports."""

    name: str
    datapath: str
    ports: frozenset[str]


@dataclass(frozen=True)
class Change:
    """What is to be done, in words and as arguments of ``ovs-vsctl``."""

    told: str
    arguments: tuple[str, ...]


def wanted(section: Mapping[str, Any]) -> list[Bridge]:
    """Return the bridges of Neutron's physical networks.

    :param section: accepted metadata under ``neutron``.
    """
    return [
        Bridge(network["bridge"], section["datapath"], frozenset(filter(None, [network.get("interface")])))
        for network in section["physical_networks"]
    ]


def changes(bridges: Sequence[Bridge], live: Mapping[str, Bridge]) -> Iterator[Change]:
    """Yield what is missing; ports that others added, Neutron's agent among them, are left alone."""
    for bridge in bridges:
        there = live.get(bridge.name)
        if there is None:
            yield Change(f"bridge {bridge.name}", ("--may-exist", "add-br", bridge.name))
        if there is None or there.datapath != bridge.datapath:
            told = f"bridge {bridge.name} has the datapath {bridge.datapath}"
            yield Change(told, ("set", "Bridge", bridge.name, f"datapath_type={bridge.datapath}"))
        for port in sorted(bridge.ports - (there.ports if there else frozenset())):
            yield Change(f"{port} is a port of {bridge.name}", ("--may-exist", "add-port", bridge.name, port))
