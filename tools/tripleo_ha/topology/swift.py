"""Swift's rings, which say on whose disk each partition is: a function of the node list alone.

Every controller works them out for itself and gets the same bytes, so there is no builder file whose history would have
to be kept, and no ring that has to be handed around. The cluster of ``n`` controllers is made of that of ``n - 1`` by
moving to the new one what is its share, so one that grows keeps what it can where it is.
"""

import gzip
import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tripleo_ha.cluster import Cluster
from tripleo_ha.errors import Failure
from tripleo_ha.table import Row

DIRECTORY = "/etc/swift"
DEVICE = "d1"
"""The one device of every controller, a directory on its state volume."""
REPLICAS = 3
KINDS = ("account", "container", "object")
HASH_BITS = 32

Assignment = list[list[int]]
"""By replica and partition: the index of the node."""


def assignment(nodes: int, part_power: int) -> Assignment:
    """Return who has which replica of each of ``2**part_power`` partitions: three nodes, or all there are.

    Nodes have equal shares, give or take one partition, and none has two replicas of the same.
    """
    parts = 1 << part_power
    rows = [[node] * parts for node in range(min(nodes, REPLICAS))]
    for newcomer in range(REPLICAS, nodes):
        _give_share(rows, newcomer, parts)
    return rows


def _give_share(rows: Assignment, newcomer: int, parts: int) -> None:
    """Move a newcomer's share to it, each time from the node that has the most, and from each partition once."""
    order = sorted(range(parts), key=lambda part: hashlib.sha256(f"{newcomer} {part}".encode()).digest())
    load = Counter(node for row in rows for node in row)
    places = {node: _places(rows, order, node) for node in load}
    taken: set[int] = set()
    for _ in range(sum(load.values()) // (newcomer + 1)):
        giver = max(load, key=lambda node: (load[node], -node))
        row, part = next(place for place in places[giver] if place[1] not in taken)
        row[part] = newcomer
        taken.add(part)
        load[giver] -= 1


def _places(rows: Assignment, order: Sequence[int], node: int) -> Iterator[tuple[list[int], int]]:
    return ((row, part) for part in order for row in rows if row[part] == node)


def rings(cluster: Cluster, row: Row, part_power: int) -> dict[str, bytes]:
    """Return the ring files by path.

    :param row: has a listener ``swift-KIND`` for each kind of server, whose port the ring carries.
    :raises Failure: the row lacks one.
    """
    ports = {listener.name: listener.port for listener in row.listeners}
    if missing := [kind for kind in KINDS if f"swift-{kind}" not in ports]:
        raise Failure(f"service {row.service} has no listener for Swift's {', '.join(missing)} server")
    assigned = assignment(len(cluster.nodes), part_power)
    return {
        f"{DIRECTORY}/{kind}.ring.gz": _serialised(assigned, _devices(cluster, ports[f"swift-{kind}"]), part_power)
        for kind in KINDS
    }


def _devices(cluster: Cluster, port: int) -> list[Mapping[str, object]]:
    return [
        {
            "id": node.index,
            "region": 1,
            "zone": node.id,
            "ip": node.ip,
            "port": port,
            "replication_ip": node.ip,
            "replication_port": port,
            "device": DEVICE,
            "weight": 100.0,
            "meta": "",
        }
        for node in cluster.nodes
    ]


def _serialised(assigned: Assignment, devices: list[Mapping[str, object]], part_power: int) -> bytes:
    """Return a ring in Swift's format 1: a JSON header, then a 16 bit number for each replica of each partition."""
    header = json.dumps(
        {
            "byteorder": "little",
            "devs": devices,
            "part_shift": HASH_BITS - part_power,
            "replica_count": len(assigned),
        },
        sort_keys=True,
    ).encode("ascii")
    body = b"".join(struct.pack(f"<{len(row)}H", *row) for row in assigned)
    plain = struct.pack("!4sHI", b"R1NG", 1, len(header)) + header + body
    # A time in the file would make equal rings differ.
    return gzip.compress(plain, mtime=0)
