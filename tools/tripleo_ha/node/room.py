"""Whether the disk under an engine's data has room left, and the word that a broker without room should step aside."""

import contextlib
import os
from pathlib import Path

DATABASE = Path("/var/lib/mysql")
BROKER = Path("/var/lib/rabbitmq")
DATABASE_MB = 64
"""Less than this, and a server cannot even extend its system tablespace: it takes no writes."""
BROKER_MB = 200
"""``disk_free_limit`` of the broker. A member below it has *every* member take no more messages."""
RETURN_MB = 300
"""A broker that stepped aside comes back when there is so much, lest it went again at once."""
MEGABYTE = 1024**2
WANTED = Path("/run/tripleo-ha-health/broker-has-no-room")
"""There while the health endpoint, which has no rights, finds that this node's broker should step aside."""


def free_mb(directory: Path) -> int:
    """Return how much an unprivileged process can still write there; unlimited where that cannot be told."""
    try:
        found = os.statvfs(directory)
    except OSError:
        # No data yet, or no node: what is not there has no room to lack.
        return 1 << 40
    return found.f_bavail * found.f_frsize // MEGABYTE


def lacking(directory: Path, needed_mb: int) -> str:
    """Return what a health check says of a disk with less than ``needed_mb`` left, or an empty string."""
    free = free_mb(directory)
    return f"{free} MB left on the disk, {needed_mb} needed" if free < needed_mb else ""


def ask_to_step_aside(wanted: bool) -> None:
    """Have systemd start what stops the broker, or take that back."""
    # Without its directory this is no health endpoint of a node.
    with contextlib.suppress(OSError):
        if wanted:
            WANTED.touch()
        else:
            WANTED.unlink(missing_ok=True)
