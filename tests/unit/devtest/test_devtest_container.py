"""How a node is started, and where its processes are found"""

from pathlib import Path

import pytest

from tripleo_ha.devtest import cgroups, container, layout, network

NODE = layout.bed_node(Path("/be:d"), 2)
MOUNTS = {
    "pure": ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", Path("/sys/fs/cgroup")),
    "mixed": (
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
        Path("/sys/fs/cgroup/unified"),
    ),
    "blank": ("cgroup2 /a\\040b cgroup2 rw 0 0\n", Path("/a b")),
    "old": ("cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n", None),
}


@pytest.mark.parametrize("kind", MOUNTS)
def test_the_hierarchy_is_found_wherever_it_is(kind: str) -> None:
    mounts, where = MOUNTS[kind]
    assert cgroups.hierarchy(mounts) == where


def test_boot_binds_state_and_metadata_and_escapes_colons() -> None:
    argv = container.boot_argv(NODE, "tha-1-2", "0" * 32)
    assert "--bind=/be\\:d/nodes/overcloud-controller-2/state:/mnt/state" in argv
    assert "--bind=/be\\:d/nodes/overcloud-controller-2/metadata:/var/lib/os-collect-config/local-data" in argv
    assert f"--uuid={'0' * 32}" in argv


def test_cables_are_plugged_in_pulled() -> None:
    lines = network.cable_lines(NODE, "node")
    assert "link add ctl2 type veth peer name host0 address 02:00:c0:00:02:0d netns node" in lines
    assert "link set pub2 master pub" in lines
    assert not [line for line in lines if line.endswith(" up")]


def test_a_node_gets_its_addresses_and_no_way_out() -> None:
    lines = network.node_lines(NODE)
    assert "addr add 192.0.2.13/24 dev host0" in lines
    assert "addr add 198.51.100.13/24 dev host1" in lines
    assert not [line for line in lines if "route" in line]


def test_only_a_process_that_is_first_inside_is_the_leader(tmp_path: Path) -> None:
    place = tmp_path / "boot1" / "payload"
    place.mkdir(parents=True)
    import os

    (place / "cgroup.procs").write_text(f"{os.getpid()}\n4194303999\n")
    assert container.leader(tmp_path) is None
    assert container.leader(tmp_path / "nowhere") is None


def test_killing_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    cgroups.kill(tmp_path / "nowhere", timeout=0.1)


def test_commands_inside_get_no_environment_of_ours() -> None:
    argv = container.enter_argv(17, ["true"], "xterm")
    assert argv[: argv.index("-i") + 1] == ["nsenter", "--target=17", "--all", "--", "/usr/bin/env", "-i"]
    assert argv[-2:] == ["TERM=xterm", "true"]
