"""A node's disks: directories of this machine's file system, or one file system of a bounded size that can get full.

A bounded disk is an ext4 image in a file, which only the node's keeper mounts; it holds the system's changes and the
state. Where nothing is said, a node's disks are plain directories, as large as what they lie on.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tripleo_ha.devtest.layout import BedNode
from tripleo_ha.errors import UsageError
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for

SMALLEST_MB = 600
"""A controller's state and logs take a third of this."""
USUAL_MB = 4000
"""Many times what a controller takes in a test; only what is written takes room of this machine's."""
STATE = "mnt/state"
FILLER = ".filler"
LOOPS = Path("/sys/block")
RELEASE_S = 30.0
PARTS = ("upper", "work", "state")
# Here as in the keeper: what is mounted is seen by nobody else, and gone with the process.
INSIDE = 'cd "$0" && mkdir -p disk && mount -o loop disk.img disk && cd disk && exec "$@"'


def image(node: BedNode) -> Path:
    """Return the file that holds a node's bounded disk."""
    return node.directory / "disk.img"


def make(node: BedNode, megabytes: int) -> None:
    """Give a node a bounded disk if it has none; takes no room of this machine's before it is written to."""
    file = image(node)
    if file.exists():
        return
    fresh = file.with_suffix(".new")
    with fresh.open("wb") as handle:
        handle.truncate(megabytes * 1024**2)
    # No blocks kept back for root: everybody finds it full.
    run(["mkfs.ext4", "-q", "-F", "-m", "0", str(fresh)], timeout=60)
    fresh.rename(file)


def wait_released(node: BedNode) -> None:
    """Wait until nothing has the node's bounded disk mounted any more; it goes a moment after its last process.

    :raises TimedOut: something still has.
    """
    if image(node).exists():
        name = str(image(node))
        wait_for(f"{name} to be released", lambda: name not in _mounted(), timeout=RELEASE_S, interval=0.02)


def empty(node: BedNode, parts: Sequence[str]) -> None:
    """Remove what is in some of the ``PARTS`` of the disks of a node that is off."""
    if image(node).exists():
        wait_released(node)
        _inside(node, ["rm", "-rf", *parts])
        return
    for part in parts:
        shutil.rmtree(node.directory / part, ignore_errors=True)
        (node.directory / part).mkdir()


def reading_argv(node: BedNode, argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv`` where the disks of a node that is off are below the working directory."""
    if not image(node).exists():
        return ["sh", "-c", 'cd "$0" && exec "$@"', str(node.directory), *argv]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, str(node.directory), *argv]


def fill(node: BedNode, leader: int) -> int:
    """Leave no room on a running node's disk, and return the bytes that took.

    :param leader: the node's PID 1 on this machine.
    :raises UsageError: its disk is not bounded.
    """
    if not image(node).exists():
        raise UsageError(
            f"the disk of {node.name} has no bound", "make the bed anew; `devtest up --disk-mb N` sets the bound"
        )
    file = _state(leader) / FILLER
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        taken = os.fstat(handle).st_size
        chunk = 64 * 1024**2
        while chunk >= 4096:
            try:
                os.posix_fallocate(handle, taken, chunk)
                taken += chunk
            except OSError:
                chunk //= 2
        return taken
    finally:
        os.close(handle)


def relieve(node: BedNode, leader: int) -> None:
    """Give the room back that :func:`fill` took."""
    with contextlib.suppress(FileNotFoundError):
        (_state(leader) / FILLER).unlink()


def _state(leader: int) -> Path:
    return Path(f"/proc/{leader}/root") / STATE


def _inside(node: BedNode, argv: Sequence[str]) -> None:
    run(reading_argv(node, argv), timeout=120)


def _mounted() -> set[str]:
    found = set()
    for entry in LOOPS.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found.add(entry.read_text().strip())
    return found


def size(wanted: int | None) -> int | None:
    """Return the megabytes of a new bed's disks, None for disks without a bound.

    :param wanted: 0 for no bound, None for whatever suits: a bound costs nothing where it can be had.
    :raises UsageError: it would be too small, or this machine has no loop devices, which a bound needs.
    """
    can = Path("/dev/loop-control").exists()
    if wanted is None:
        return USUAL_MB if can else None
    if wanted == 0:
        return None
    if wanted < SMALLEST_MB:
        raise UsageError(f"a disk of {wanted} MB is too small for a controller; at least {SMALLEST_MB}, or 0: no bound")
    if not can:
        raise UsageError("this machine has no loop devices, which disks with a bound need", "leave out --disk-mb")
    return wanted
