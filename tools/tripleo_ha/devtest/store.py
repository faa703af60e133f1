"""What is remembered of a bed between two calls, and the lock that keeps two calls apart."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.files import write_file

VERSION = 1


@dataclass(frozen=True)
class Record:
    """What a bed is meant to be. ``leaving`` are nodes that a call to ``scale`` has yet to take out of it.

    ``disk_mb`` is the size of each node's disk, None where it has no bound; ``fencing`` is whether the nodes have BMCs
    and fence each other; ``profile`` names the services that run.
    """

    image_root: str
    image_checksum: str
    nodes: tuple[str, ...]
    leaving: tuple[str, ...] = ()
    disk_mb: int | None = None
    fencing: bool = False
    profile: str = "core"

    def knows(self, key: str) -> bool:
        """Whether nodes of the image take a metadata key; those of an older one refuse what they do not know."""
        return self._schema(key).exists()

    def knows_below(self, key: str, name: str) -> bool:
        """As :meth:`knows`, of what stands below a key that they take."""
        return name in json.loads(self._schema(key).read_text())["properties"]

    def _schema(self, key: str) -> Path:
        return Path(self.image_root) / "usr/share/tripleo-ha/schemas" / f"{key}.json"


def record_file(state: Path) -> Path:
    """Return the file that makes a directory the state of a bed."""
    return state / "bed.json"


def load(state: Path) -> Record | None:
    """Return what is remembered, or None when there is no bed.

    :raises Failure: the file is damaged or of another version.
    """
    file = record_file(state)
    try:
        document = json.loads(file.read_text())
        if document.pop("version") != VERSION:
            raise ValueError("another version")
        return Record(
            document["image_root"],
            document["image_checksum"],
            tuple(document["nodes"]),
            tuple(document["leaving"]),
            document.get("disk_mb"),
            bool(document.get("fencing", False)),
            str(document.get("profile", "core")),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise UsageError(f"{file}: not readable; a test bed is root's") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{file}: not a record of a bed ({error})", "`devtest down` clears it away") from error


def save(state: Path, record: Record) -> None:
    """Remember what the bed is meant to be."""
    write_file(record_file(state), json.dumps({"version": VERSION, **asdict(record)}, indent=1) + "\n")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the bed's lock, so that no other call changes it meanwhile.

    :raises UsageError: another call holds it.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = state / "lock"
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 20, 0).decode().strip() or "unknown"
                raise UsageError(f"another call (pid {holder}) is at work on the bed in {state}") from None
            # `down` removes the file with the lock held: what was locked here may no longer be what others see.
            if not _same_file(handle, file):
                state.mkdir(mode=0o700, parents=True, exist_ok=True)
                continue
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
            return
        finally:
            os.close(handle)


def _same_file(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False
