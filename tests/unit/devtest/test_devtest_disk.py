"""A node's disks: which kind it has, emptied while it is off."""

from pathlib import Path

import pytest

from tripleo_ha.devtest import disk
from tripleo_ha.devtest.layout import BedNode, bed_node
from tripleo_ha.errors import UsageError


@pytest.fixture
def node(tmp_path: Path) -> BedNode:
    made = bed_node(tmp_path, 0)
    for part in disk.PARTS:
        (made.directory / part / "some").mkdir(parents=True)
        (made.directory / part / "file").write_text("content")
    return made


def test_only_the_parts_that_are_named_are_emptied(node: BedNode) -> None:
    disk.empty(node, ["state"])
    assert list((node.directory / "state").iterdir()) == []
    assert (node.directory / "upper" / "file").exists()


def test_a_disk_without_a_bound_cannot_be_filled(node: BedNode) -> None:
    with pytest.raises(UsageError, match="has no bound"):
        disk.fill(node, 1)


def test_a_disk_must_hold_a_controller() -> None:
    with pytest.raises(UsageError, match="too small"):
        disk.size(disk.SMALLEST_MB - 1)


def test_no_bound_can_be_asked_for() -> None:
    assert disk.size(0) is None


def test_what_a_node_left_is_read_where_its_disks_are(node: BedNode) -> None:
    assert disk.reading_argv(node, ["ls", "state"])[-3:] == [str(node.directory), "ls", "state"]
    assert disk.reading_argv(node, ["ls"])[0] == "sh"
    disk.image(node).touch()
    assert disk.reading_argv(node, ["ls"])[0] == "unshare", "nobody else sees the mount"
