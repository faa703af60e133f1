"""Whether a bed can be on this machine, and what has to be installed for it."""

import os
import shutil
from pathlib import Path

from tripleo_ha.errors import UsageError

NEEDED_BYTES = 6 * 1000**3
PROGRAMS = {
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
"""What a bed runs, and the Debian package that holds it."""


INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES_NEEDED = 1024
"""A node's systemd, udev, D-Bus and getty take 8 ; the kernel's 128 are for all that root runs."""


AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
"""With autogroups the kernel compares sessions, and every service of a node is one (sched(7), "The autogroup feature").
MariaDB then counts no more than a logger, and all clients of a session together no more than either."""


def adjust_kernel(instances: Path = INSTANCES, autogroup: Path = AUTOGROUP) -> list[str]:
    """Let root have enough inotify instances, and have all processes compared by their own priority.

    :return: what had to be changed, in words.
    """
    changes = []
    if instances.exists() and int(instances.read_text()) < INSTANCES_NEEDED:
        instances.write_text(f"{INSTANCES_NEEDED}\n")
        changes.append(f"raised {instances} to {INSTANCES_NEEDED}")
    if autogroup.exists() and autogroup.read_text().strip() != "0":
        autogroup.write_text("0\n")
        changes.append(f"set {autogroup} to 0")
    return changes


def check_root() -> None:
    """Stop anybody but root.

    :raises UsageError: it is not root who calls.
    """
    if os.geteuid() != 0:
        raise UsageError("a test bed needs root: containers, mounts and network namespaces")


def check_space(state: Path, needed: int = NEEDED_BYTES) -> None:
    """Stop when the file system that is to hold the bed lacks ``needed`` bytes.

    :raises UsageError: it does, or ``state`` cannot be a directory there.
    """
    there = next(path for path in (state, *state.parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is not a directory; the state of a bed is one")
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UsageError(f"{there} has {free / 1e9:.1f} GB free; a test bed needs {needed / 1e9:.0f} GB")
