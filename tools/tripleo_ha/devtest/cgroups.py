"""Where the bed's processes are held: one cgroup (version 2) a bed, one in it for each node."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for


def hierarchy(mounts: str) -> Path | None:
    """Return where a cgroup2 file system is mounted, given the text of ``/proc/self/mounts``; None if nowhere."""
    for line in mounts.splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(where.encode().decode("unicode_escape"))
    return None


def find(state: Path) -> Path:
    """Return the cgroup2 hierarchy of this machine, mounted below ``state`` where the machine has none mounted.

    :raises CommandFailed: it cannot be mounted.
    """
    found = hierarchy(Path("/proc/self/mounts").read_text())
    if found is None:
        found = _own_mount(state)
        found.mkdir(parents=True, exist_ok=True)
        run(["mount", "-t", "cgroup2", "cgroup2", str(found)], timeout=10)
    return found


def release(state: Path) -> None:
    """Undo the mount that ``find`` may have made."""
    if os.path.ismount(_own_mount(state)):
        run(["umount", str(_own_mount(state))], timeout=10)
        _own_mount(state).rmdir()


def pids(*cgroups: Path) -> Iterator[int]:
    """Yield the processes in these very cgroups, leaving out those below and cgroups that are gone."""
    for cgroup in cgroups:
        with contextlib.suppress(OSError):
            yield from map(int, (cgroup / "cgroup.procs").read_text().split())


def populated(cgroup: Path) -> bool:
    """Whether any process is in the cgroup or below."""
    try:
        return "populated 1" in (cgroup / "cgroup.events").read_text()
    except OSError:
        return False


def kill(cgroup: Path, timeout: float = 30) -> None:
    """Kill everything in the cgroup at once, and remove it.

    :raises TimedOut: something in it cannot be killed.
    """

    def gone() -> bool:
        # Again each time: a launcher of a call that was itself killed may join after the first.
        with contextlib.suppress(OSError):
            (cgroup / "cgroup.kill").write_text("1")
        return not populated(cgroup) and remove(cgroup)

    wait_for(f"the processes in {cgroup} to be gone", gone, timeout=timeout, interval=0.02)


def remove(cgroup: Path) -> bool:
    """Remove a cgroup and those below it, as far as they are empty; return whether it is gone."""
    for where, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            Path(where).rmdir()
    return not cgroup.exists()


def _own_mount(state: Path) -> Path:
    return state / "cgroup"
