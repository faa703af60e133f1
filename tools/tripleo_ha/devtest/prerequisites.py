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


def raise_inotify_limit(file: Path = INSTANCES, needed: int = INSTANCES_NEEDED) -> bool:
    """Let root have enough inotify instances for the nodes, and return whether the limit had to be raised."""
    if not file.exists() or int(file.read_text()) >= needed:
        return False
    file.write_text(f"{needed}\n")
    return True


AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


def heed_priorities(file: Path = AUTOGROUP) -> bool:
    """Have the kernel compare the priorities of all processes, and return whether it did not before.

    With autogroups it compares sessions first, and every service of a node is one (sched(7), "The autogroup feature").
    Then MariaDB counts no more than a logger, and all clients of a session together no more than either.
    """
    if not file.exists() or file.read_text().strip() == "0":
        return False
    file.write_text("0\n")
    return True


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
