"""A node's wall clock, stepped for its services alone: all nodes share this machine's.

Services are started anew with a library preloaded that adds what a file says to CLOCK_REALTIME, and leaves the
monotonic clock alone, as a step of a machine's clock does. A running service sees a new value within a second. All of
it lies in /run of the node, so a boot ends it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tripleo_ha import debian
from tripleo_ha.errors import Failure

PACKAGES = {"faketime": "faketime"}
LIBRARIES = "lib/*/faketime/libfaketimeMT.so.1"
PLACE = Path("/run/bed-clock")
DROP_IN_NAME = "90-bed-clock.conf"
DROP_IN = f"""[Service]
Environment=LD_PRELOAD={PLACE}/libfaketime.so
Environment=FAKETIME_TIMESTAMP_FILE={PLACE}/step
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 FAKETIME_CACHE_DURATION=1
"""


def furnish(leader: int, units: Sequence[str]) -> None:
    """Put what is needed into a running node; those units see a clock of their own from their next start on.

    :param leader: the node's PID 1 on this machine.
    :raises Failure: the library cannot be had.
    """
    debian.install(PACKAGES)
    library = next(Path("/usr").glob(LIBRARIES), None)
    if library is None:
        raise Failure("the package libfaketime holds no library where it is looked for")
    step(leader, 0)
    root = _root(leader)
    shutil.copyfile(library, root / PLACE.relative_to("/") / "libfaketime.so")
    for unit in units:
        directory = root / "run/systemd/system" / f"{unit}.d"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / DROP_IN_NAME).write_text(DROP_IN)


def step(leader: int, seconds: int) -> None:
    """Set how many seconds the clock of the furnished units is off."""
    directory = _root(leader) / PLACE.relative_to("/")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "step").write_text(f"{seconds:+d}s\n")


def clear(leader: int) -> None:
    """Set the clock right; units see this machine's own once systemd has read its files anew and started them."""
    root = _root(leader)
    if not (root / PLACE.relative_to("/")).exists():
        return
    step(leader, 0)
    for file in (root / "run/systemd/system").glob(f"*.d/{DROP_IN_NAME}"):
        file.unlink(missing_ok=True)


def _root(leader: int) -> Path:
    return Path(f"/proc/{leader}/root")
