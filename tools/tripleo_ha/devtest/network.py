"""The bed's networks: bridges in a namespace of their own, which is the client's position, with no way out."""

from pathlib import Path

from tripleo_ha.devtest.layout import CLIENT_HOST, FIRST_HOST, NETWORKS, BedNode
from tripleo_ha.run import run

NAMESPACES = Path("/run/netns")


def exists(netns: str) -> bool:
    """Whether the bed's namespace is there."""
    return (NAMESPACES / netns).exists()


def create(netns: str) -> None:
    """Make the namespace and its bridges, or complete what an interrupted call left."""
    if not exists(netns):
        run(["ip", "netns", "add", netns], timeout=10)
    present = _links(netns)
    lines = ["link set lo up"]
    for network in NETWORKS:
        if network.bridge not in present:
            # A forwarding delay of 0: a real switch port with portfast, not 15 s of silence after each cable.
            card = f"link add {network.bridge} address {network.mac(CLIENT_HOST)}"
            lines.append(f"{card} type bridge forward_delay 0 mcast_snooping 0")
        lines.append(f"addr replace {network.address(CLIENT_HOST)}/{network.prefix} dev {network.bridge}")
        lines.append(f"link set {network.bridge} up")
    batch(netns, lines)


def batch(netns: str, lines: list[str]) -> None:
    """Carry out several ``ip`` commands in the namespace, stopping at the first that fails."""
    run(["ip", "-n", netns, "-batch", "-"], input="\n".join(lines) + "\n", timeout=10)


def set_links(netns: str, node: BedNode, state: str) -> None:
    """Set the bed's ends of a node's cables ``up`` or ``down``; a node that is off has none."""
    if not exists(netns):
        return
    present = _links(netns)
    if lines := [f"link set {link} {state}" for link in node.links if link in present]:
        batch(netns, lines)


def take_away(netns: str, node: BedNode) -> None:
    """Remove a node's cables, with its interfaces.

    The kernel takes its time over a namespace whose last process is gone. Until then its addresses are there, and
    answer ARP for a dead node if the cables are plugged in.
    """
    present = _links(netns) if exists(netns) else set()
    if lines := [f"link del {link}" for link in node.links if link in present]:
        batch(netns, lines)


def throttle(netns: str, node: BedNode, megabits: int | None) -> None:
    """Limit what a plugged-in node receives on each network, or lift the limit."""
    if not exists(netns):
        return
    present = _links(netns)
    for link in node.links:
        if link in present and megabits is not None:
            limit = ["tbf", "rate", f"{megabits}mbit", "burst", "128kb", "latency", "400ms"]
            run(["tc", "-n", netns, "qdisc", "replace", "dev", link, "root", *limit], timeout=10)
        elif link in present:
            # It fails where there is no limit.
            run(["tc", "-n", netns, "qdisc", "del", "dev", link, "root"], timeout=10, check=False)


def cable_lines(node: BedNode, netns: str) -> list[str]:
    """Return the ``ip`` commands, run in the bed's namespace, that plug a fresh namespace in; both ends stay down."""
    lines = []
    for network, link in zip(NETWORKS, node.links, strict=True):
        card = f"name {network.interface} address {network.mac(FIRST_HOST + node.index)}"
        lines.append(f"link add {link} type veth peer {card} netns {netns}")
        lines.append(f"link set {link} master {network.bridge}")
    return lines


def node_lines(node: BedNode) -> list[str]:
    """Return the ``ip`` commands, run in the node's namespace, that give it what DHCP would."""
    lines = ["link set lo up"]
    for network in NETWORKS:
        address = network.address(FIRST_HOST + node.index)
        if not network.bare:
            lines.append(f"addr add {address}/{network.prefix} dev {network.interface}")
        lines.append(f"link set {network.interface} up")
    return lines


def namespace_pids(netns: str) -> list[int]:
    """Return the processes of this machine that are in the bed's namespace itself."""
    if not exists(netns):
        return []
    return [int(pid) for pid in run(["ip", "netns", "pids", netns], timeout=30).stdout.split()]


def delete(netns: str) -> None:
    """Remove the namespace; bridges and cables go with it."""
    if exists(netns):
        run(["ip", "netns", "delete", netns], timeout=10)


def _links(netns: str) -> set[str]:
    lines = run(["ip", "-n", netns, "-o", "link", "show"], timeout=10).stdout.splitlines()
    return {line.split()[1].rstrip(":").partition("@")[0] for line in lines}
