"""Swift's rings: the same bytes from the same node list, even shares, and little moved when a cluster grows."""

import gzip
import json
import struct
from collections import Counter

import pytest

from tripleo_ha import table
from tripleo_ha.cluster import Cluster, Node
from tripleo_ha.errors import Failure
from tripleo_ha.table import Row
from tripleo_ha.topology import swift

POWERS = range(4, 11)
SIZES = range(1, 10)
ROW = next(row for row in table.load() if row.handler == "swift")


def cluster(count: int, me: int = 0) -> Cluster:
    nodes = tuple(Node(f"n{index}", f"192.0.2.{11 + index}", index) for index in range(count))
    return Cluster("c", nodes, nodes[me], {})


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("count", SIZES)
def test_copies_are_on_distinct_nodes_and_shares_are_even(count: int, power: int) -> None:
    assigned = swift.assignment(count, power)
    assert [len(row) for row in assigned] == [2**power] * min(3, count)
    assert all(len(set(nodes)) == len(nodes) for nodes in zip(*assigned, strict=True))
    load = Counter(node for row in assigned for node in row)
    assert set(load) == set(range(count))
    assert max(load.values()) - min(load.values()) <= 1


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("count", range(4, 10))
def test_a_newcomer_takes_its_share_and_nothing_else_moves(count: int, power: int) -> None:
    before, after = swift.assignment(count - 1, power), swift.assignment(count, power)
    pairs = [pair for rows in zip(before, after, strict=True) for pair in zip(*rows, strict=True)]
    moved = [new for old, new in pairs if old != new]
    assert set(moved) == {count - 1}
    assert len(moved) == 3 * 2**power // count


def test_from_one_to_three_everything_stays_and_from_three_to_five_most_does() -> None:
    one, three, five = (swift.assignment(count, 8) for count in (1, 3, 5))
    assert three[0] == one[0]
    kept = sum(old == new for rows in zip(three, five, strict=True) for old, new in zip(*rows, strict=True))
    assert kept >= 0.59 * 3 * 256
    # Whatever moves, a copy of each partition is still where it was.
    assert all(set(old) & set(new) for old, new in zip(zip(*three, strict=True), zip(*five, strict=True), strict=True))


def test_every_node_makes_the_same_bytes() -> None:
    made = [swift.rings(cluster(5, me), ROW, 8) for me in range(5)]
    assert all(rings == made[0] for rings in made)
    assert sorted(made[0]) == [f"/etc/swift/{kind}.ring.gz" for kind in ("account", "container", "object")]


def test_a_ring_is_in_the_form_that_swift_reads() -> None:
    plain = gzip.decompress(swift.rings(cluster(3), ROW, 8)["/etc/swift/object.ring.gz"])
    magic, version, length = struct.unpack("!4sHI", plain[:10])
    header = json.loads(plain[10 : 10 + length])
    assert (magic, version, header["part_shift"], header["replica_count"]) == (b"R1NG", 1, 24, 3)
    assert [(device["id"], device["ip"], device["port"]) for device in header["devs"]] == [
        (0, "192.0.2.11", 6200),
        (1, "192.0.2.12", 6200),
        (2, "192.0.2.13", 6200),
    ]
    assert len({device["zone"] for device in header["devs"]}) == 3
    assert struct.unpack("<768H", plain[10 + length :]) == (0,) * 256 + (1,) * 256 + (2,) * 256


def test_a_row_without_the_servers_is_told() -> None:
    with pytest.raises(Failure, match=r"service s has no listener for Swift's account, container, object server"):
        swift.rings(cluster(3), Row("s", "swift", ""), 8)
