"""From a name on the command line to text: files, standard input, and directories of nodes."""

import errno
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tripleo_ha.errors import UsageError

MAX_BYTES = 16 * 1024 * 1024
"""More than this is not metadata: Heat itself refuses templates of a thirtieth of it."""
SUFFIXES = (".json", ".yaml", ".yml")
STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One document's bytes, cut off after ``MAX_BYTES`` + 1, or the reason why they could not be read.

    :param group: the directory that it is a node's document of, or empty for a document by itself.
    """

    name: str
    content: bytes
    group: str = ""
    problem: str = ""


def expand(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the files that the arguments stand for, each with the directory that it is one node's document of.

    :raises UsageError: a directory holds no document, or a name is empty.
    """
    found: list[tuple[str, str]] = []
    for name in names:
        if not name:
            raise UsageError("an empty file name", "is a shell's variable in it not set?")
        if name != STDIN and _is_directory(name):
            files = _documents(name)
            if not files:
                raise UsageError(f"{name}: no document in this directory", f"looked for *{', *'.join(SUFFIXES)}")
            found += [(file, name) for file in files]
        else:
            found.append((name, ""))
    return found


def _is_directory(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:
        return False


def _documents(directory: str) -> list[str]:
    found = []
    for parent, directories, files in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".")]
        found += [str(Path(parent, name)) for name in files if name.endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(found)


def read(name: str, group: str = "") -> Input:
    """Read one file, or standard input for ``-``; what goes wrong is told in the result."""
    if name == STDIN:
        return Input("<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1), group)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            # Without a writer a FIFO would look empty at once; with one it is what a shell's <(…) gives.
            os.set_blocking(descriptor, True)
            return Input(name, stream.read(MAX_BYTES + 1), group)
    except (OSError, ValueError) as error:
        # What is too long is hardly a name, and may well be the document itself with all its secrets.
        too_long = getattr(error, "errno", None) == errno.ENAMETOOLONG
        shown = f"<a name of {len(name)} characters>" if too_long else name
        return Input(shown, b"", group, getattr(error, "strerror", None) or "not a usable file name")
