"""A node's processes as this machine sees them: found, signalled and frozen from outside, the node taking no part."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STOPPED = "T"
"""The state of a process that got SIGSTOP."""


@dataclass(frozen=True)
class Process:
    """A process of a node: its pid on this machine, its command name, its unit in the node, and the kernel's letter
    for its state."""

    pid: int
    name: str
    unit: str
    state: str


def within(cgroup: Path) -> Iterator[Process]:
    """Yield the processes in a node's cgroup other than those that only keep it; those that end meanwhile are left out.

    :param cgroup: the node's cgroup, with the node's own tree in ``boot*`` below it.
    """
    for boot in cgroup.glob("boot*"):
        for where, _, files in os.walk(boot):
            if "cgroup.procs" in files:
                yield from _in_one(Path(where))


def stat(pid: int) -> tuple[str, str]:
    """Return a process's command name (15 characters) and the letter of its state.

    :raises OSError: there is no such process.
    """
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    return name, rest.split()[0]


def send(pids: Iterator[int] | list[int] | tuple[int, ...], number: signal.Signals) -> tuple[int, ...]:
    """Send a signal to processes of this machine, and return those that were there to get it."""
    reached = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return tuple(reached)


def freeze(cgroup: Path, frozen: bool) -> None:
    """Freeze or thaw all that is in a node's own tree, its PID 1 included; the keeper stays at work."""
    for boot in cgroup.glob("boot*"):
        # It may be gone, with the boot that it was made for.
        with contextlib.suppress(OSError):
            (boot / "cgroup.freeze").write_text("1" if frozen else "0")


def _in_one(cgroup: Path) -> Iterator[Process]:
    unit = next((part for part in reversed(cgroup.parts) if part.endswith((".service", ".scope"))), "")
    with contextlib.suppress(OSError):
        for pid in map(int, (cgroup / "cgroup.procs").read_text().split()):
            with contextlib.suppress(OSError):
                name, state = stat(pid)
                yield Process(pid, name, unit, state)
