"""A node's power as two switch it: a person who cuts it and keeps it off, and the node's BMC.

A BMC has a supply of its own. For a node that is kept off it still answers, takes commands and tells the state that it
was last told, as one whose server lost its mains; nothing boots before the person gives the power back.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tripleo_ha.devtest.layout import BedNode


@contextlib.contextmanager
def held(node: BedNode) -> Iterator[None]:
    """Have nobody else switch the node meanwhile: it must not boot under the hand that has just cut its power."""
    node.directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(node.directory / "power.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def kept_off(node: BedNode) -> bool:
    """Whether a person keeps the node off."""
    return _mark(node).exists()


def keep_off(node: BedNode) -> None:
    """Keep the node off: no BMC boots it any more."""
    tell(node, on=False)


def give_back(node: BedNode) -> None:
    """End ``keep_off``."""
    _mark(node).unlink(missing_ok=True)


def tell(node: BedNode, *, on: bool) -> None:
    """Have the BMC of a node that is kept off tell from now on that it is on, or off."""
    _mark(node).write_text("on" if on else "off")


def told_on(node: BedNode) -> bool:
    """Whether the BMC of a node that is kept off tells that it is on."""
    with contextlib.suppress(FileNotFoundError):
        return _mark(node).read_text() == "on"
    return False


def _mark(node: BedNode) -> Path:
    return node.directory / "kept-off"
