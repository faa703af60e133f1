"""Names, addresses and places of a test bed: pure functions of its state directory and its scale."""

import hashlib
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import generate

NODE_PREFIX = "overcloud-controller-"
FIRST_HOST = generate.FIRST_HOST
CLIENT_HOST = 1
SCALES = tuple(range(1, generate.MOST_CONTROLLERS + 1, 2))


@dataclass(frozen=True)
class Network:
    """One of the bed's networks: its bridge, the nodes' interface on it, and its /24 as the first three octets.

    The client has an address on each; a node has none where its interface is ``bare``.
    """

    bridge: str
    interface: str
    base: str
    prefix: int = 24
    bare: bool = False

    def address(self, host: int) -> str:
        """Return the address of one host on this network."""
        return f"{self.base}.{host}"

    def mac(self, host: int) -> str:
        """Return the locally administered MAC address of that host's card; a real card keeps its own as well.

        A bridge left alone takes the lowest of its ports': with each cable the client's would change, and the nodes'
        answers went nowhere until their ARP caches ran out, a minute later.
        """
        return ":".join(f"{octet:02x}" for octet in (2, 0, *map(int, self.address(host).split("."))))


def _generated(bridge: str, name: str) -> Network:
    """Return a network that the nodes' metadata are generated with."""
    network = generate.LOCAL_NETWORKS[name]
    address = ipaddress.ip_network(network.cidr)
    return Network(bridge, network.interface, str(address.network_address).rpartition(".")[0], address.prefixlen)


CONTROL = _generated("ctl", "control")
PUBLIC = _generated("pub", "public")
EXTERNAL = Network("ext", "host2", "203.0.113", bare=True)
"""What the cloud's own networks are connected to."""
NETWORKS = (CONTROL, PUBLIC, EXTERNAL)


@dataclass(frozen=True)
class BedNode:
    """One controller of the bed: its place, its addresses, and where its disks and logs are kept."""

    name: str
    index: int
    ip: str
    public_ip: str
    directory: Path

    @property
    def console(self) -> Path:
        """Everything the node wrote on its console, over all boots."""
        return self.directory / "console.log"

    @property
    def metadata_file(self) -> Path:
        """What os-collect-config finds in its local collector's directory."""
        return self.directory / "metadata" / "metadata.json"

    @property
    def cables_out(self) -> Path:
        """A file that is there while the node is isolated, so that it stays so over a reboot."""
        return self.directory / "isolated"

    @property
    def links(self) -> tuple[str, ...]:
        """The bed's ends of the node's cables, in the order of NETWORKS."""
        return tuple(f"{network.bridge}{self.index}" for network in NETWORKS)


def bed_name(state: Path) -> str:
    """Return the name of the bed's namespace and cgroup: as unique on this machine as the path of its state."""
    return "tha-" + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]


def bed_nodes(state: Path, names: Sequence[str]) -> tuple[BedNode, ...]:
    """Return the nodes of those names, in that order; the index is the number their name ends in."""
    return tuple(bed_node(state, int(name.removeprefix(NODE_PREFIX))) for name in names)


def bed_node(state: Path, index: int) -> BedNode:
    """Return the node with that index."""
    name = f"{NODE_PREFIX}{index}"
    host = FIRST_HOST + index
    return BedNode(name, index, CONTROL.address(host), PUBLIC.address(host), state.resolve() / "nodes" / name)


def node_names(scale: int) -> tuple[str, ...]:
    """Return the names of a cluster's nodes in their order."""
    return tuple(f"{NODE_PREFIX}{index}" for index in range(scale))


def machine_id(state: Path, node: BedNode) -> str:
    """Return the node's machine-id: the same over its boots, another in each bed."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{state.resolve()}#{node.name}").hex


def check_scale(text: str | int, *, allow_even: bool = False) -> int:
    """Return the number of controllers that was asked for.

    :raises UsageError: it is no number, out of range, or even without ``allow_even``.
    """
    choices = ", ".join(map(str, SCALES))
    try:
        scale = int(text)
    except ValueError:
        raise UsageError(f"scale {text!r} is not a number; choose from {choices}") from None
    if not 1 <= scale <= SCALES[-1]:
        raise UsageError(f"scale {scale} is out of range; choose from {choices}")
    if scale % 2 == 0 and not allow_even:
        raise UsageError(f"scale {scale} is even and survives no more failures than {scale - 1}; pass --allow-even")
    return scale
