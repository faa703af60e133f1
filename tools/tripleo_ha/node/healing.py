"""A converge run that this node asked for itself: how the unprivileged endpoint asks, and how root takes it up."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.node.context import LOG

REQUEST = Path("/run/tripleo-ha-health/converge")
"""There while the health endpoint, which has no rights, wants a converge run; a path unit starts one."""
HEALED = "healed.json"
LOCK = Path("/run/os-refresh-config.lock")
LOCKS = Path("/proc/locks")
LONGEST_REASON = 500


def request(reason: str) -> None:
    """Ask for a converge run, and say why."""
    # Without its directory this is no health endpoint of a node.
    with contextlib.suppress(OSError):
        write_file(REQUEST, reason)


def requested() -> bool:
    """Tell whether a run was asked for and has not begun."""
    return REQUEST.exists()


def converging() -> bool:
    """Tell whether os-refresh-config runs. Its lock is only looked at: to try it could keep a run from starting."""
    try:
        found = LOCK.stat()
        locks = LOCKS.read_text()
    except OSError:
        return False
    device = found.st_dev
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{found.st_ino}"
    return any(wanted in line.split() for line in locks.splitlines())


@contextlib.contextmanager
def no_run() -> Iterator[None]:
    """Keep converge runs from starting for the time of the ``with`` statement.

    :raises Failure: one is under way.
    """
    with LOCK.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failure("a converge run is under way", "try again when it has ended") from error
        yield


def take_up() -> None:
    """Take the request back, say in the journal why a run follows, and note it for ``tripleo-ha-node status``."""
    try:
        # What an unprivileged process wrote is neither followed elsewhere nor waited for.
        with os.fdopen(os.open(REQUEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            reason = " ".join(file.read(LONGEST_REASON).split())
    except (OSError, UnicodeDecodeError) as error:
        reason = f"a reason that cannot be read ({error})"
    REQUEST.unlink(missing_ok=True)
    LOG.info("healing: this node converges, since %s", reason)
    write_file(paths.RUNTIME / HEALED, json.dumps({"at": time.time(), "reason": reason}), mode=0o644)


def last() -> str:
    """Return when and why this node last converged of its own accord since it booted, or an empty string."""
    file = paths.RUNTIME / HEALED
    if not file.exists():
        return ""
    told = json.loads(file.read_text())
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(told["at"]))
    return f"converged of its own accord at {at}, since {told['reason']}"
