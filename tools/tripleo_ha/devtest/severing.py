"""Packets that a bed's networks lose on the way from one node to another, or to the client; the nodes take no part.

The bridges' own namespace drops them, in a table that is there while something is dropped. It names links, so it
stays in force over a node's reboot.
"""

from collections.abc import Collection, Sequence

from tripleo_ha.devtest import network
from tripleo_ha.devtest.layout import NETWORKS, BedNode
from tripleo_ha.run import run

CLIENT: None = None
"""The client's position, as an end of a way."""
Way = tuple[BedNode | None, BedNode | None]
"""From whom, to whom."""
TABLE = "bridge severed"


def ruleset(ways: Collection[Way]) -> str:
    """Return nftables' text for a table that drops what goes these ways, on all networks."""
    chains: dict[str, list[str]] = {"forward": [], "input": [], "output": []}
    for source, target in sorted(ways, key=_order):
        for place in range(len(NETWORKS)):
            leaving = f'iifname "{source.links[place]}" ' if source else ""
            entering = f'oifname "{target.links[place]}" ' if target else ""
            hook = "output" if source is None else "input" if target is None else "forward"
            chains[hook].append(f"{leaving}{entering}drop")
    lines = [f"table {TABLE} {{"]
    for hook, rules in chains.items():
        body = "; ".join([f"type filter hook {hook} priority 0", *rules])
        lines.append(f"  chain {hook} {{ {body}; }}")
    return "\n".join([*lines, "}"]) + "\n"


def sever(netns: str, ways: Collection[Way]) -> None:
    """Drop from now on what goes these ways, and nothing else."""
    # Added before it is deleted, for deleting what is not there is an error; all is one transaction.
    _nft(netns, f"add table {TABLE}\ndelete table {TABLE}\n{ruleset(ways)}")


def mend(netns: str) -> None:
    """Drop nothing any more."""
    if network.exists(netns):
        _nft(netns, f"add table {TABLE}\ndelete table {TABLE}\n")


def between(ones: Sequence[BedNode], others: Sequence[BedNode]) -> frozenset[Way]:
    """Return both ways between each of ``ones`` and each of ``others``."""
    return frozenset(way for one in ones for other in others if one != other for way in ((one, other), (other, one)))


def to(node: BedNode, nodes: Sequence[BedNode]) -> frozenset[Way]:
    """Return the ways on which all others, the client among them, reach a node."""
    return frozenset((other, node) for other in (*nodes, CLIENT) if other != node)


def out_of(node: BedNode, nodes: Sequence[BedNode]) -> frozenset[Way]:
    """Return the ways on which a node reaches all others, the client among them."""
    return frozenset((source, target) for target, source in to(node, nodes))


def _nft(netns: str, text: str) -> None:
    run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=text, timeout=10)


def _order(way: Way) -> tuple[int, int]:
    source, target = way
    return (source.index if source else -1, target.index if target else -1)
