"""The directory in which images are built: one build at a time, and nothing left mounted by one that was killed."""

import contextlib
import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tripleo_ha.errors import Failure
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for

MOUNTS = Path("/proc/self/mountinfo")
SCRATCH = ("dib_build.*", "dib_image.*")
"""How disk-image-create names the directories that it works in."""


@contextlib.contextmanager
def alone(directory: Path, timeout: float, say: Callable[[str], None]) -> Iterator[None]:
    """Hold ``directory`` for one build; another's end is waited for.

    :param timeout: seconds to wait for it.
    :raises TimedOut: the other one goes on.
    :raises CommandFailed: what a killed build left mounted cannot be unmounted.
    """
    with (directory / "lock").open("w") as handle:
        if not _locked(handle.fileno()):
            say(f"waiting for another build in {directory}")
            wait_for(f"another build in {directory} to end", lambda: _locked(handle.fileno()), timeout=timeout)
        clear(directory)
        try:
            yield
        finally:
            clear(directory)


def clear(directory: Path) -> None:
    """Unmount and remove what a build that was killed left in ``directory``.

    :raises Failure: something is mounted there that does not go.
    """
    for scratch in (found for pattern in SCRATCH for found in directory.glob(pattern)):
        # Lazily: processes of the killed build may take a moment to end.
        for mount in reversed(mounted_in(scratch, MOUNTS.read_text())):
            run(["umount", "--lazy", str(mount)], timeout=60)
        if left := mounted_in(scratch, MOUNTS.read_text()):
            raise Failure(f"{left[0]} is still mounted", "what is below it is not removed; unmount it and build again")
        shutil.rmtree(scratch)


def mounted_in(directory: Path, mountinfo: str) -> list[Path]:
    """Return the mount points at or below ``directory``, in the order of their mounting.

    :param mountinfo: as in proc_pid_mountinfo(5).
    """
    points = (Path(_unescaped(line.split()[4])) for line in mountinfo.splitlines())
    return [point for point in points if point.is_relative_to(directory)]


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
