"""Secrets of the metadata that someone other than their service can read on this node."""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tripleo_ha.node.facts import Exposure
from tripleo_ha.node.procfs import Seen

SECRET_KEY = re.compile(r"(password|passwd|secret|cookie|authkey|(^|_)key$|private|^hash_path_)", re.IGNORECASE)
SHORTEST = 8
"""Shorter values would be found by chance in files that have nothing to do with them."""
PLACES = ("etc", "run", "mnt/state", "var/lib/os-collect-config", "var/log", "var/tmp", "tmp", "usr/libexec")
LARGEST = 4 * 1024 * 1024
"""Bytes; longer files are read up to here."""


def secrets_of(document: Any, path: str = "") -> dict[str, str]:
    """Return the secret strings of a metadata document by their dotted path.

    A string is secret when its key says so (a password, a cookie, a key); ``derived`` repeats what stands elsewhere
    and is left out.
    """
    if isinstance(document, Mapping):
        items: Iterable[tuple[str, Any]] = ((str(key), value) for key, value in document.items())
    elif isinstance(document, list):
        items = ((str(index), value) for index, value in enumerate(document))
    else:
        return {}
    found: dict[str, str] = {}
    for key, value in items:
        where = f"{path}.{key}" if path else key
        if where == "derived":
            continue
        if isinstance(value, str) and len(value) >= SHORTEST and SECRET_KEY.search(key):
            found[where] = value
        else:
            found.update(secrets_of(value, where))
    return found


def exposures(secrets: Mapping[str, str], seen: Iterable[Seen], root: Path = Path("/")) -> tuple[Exposure, ...]:
    """Return each secret that stands in a file readable by others, or on a command line, which anyone may read.

    :param secrets: values by metadata path, as :func:`secrets_of` returns them.
    :param root: where the file system starts; other than ``/`` in tests only.
    """
    forms = {form: path for path, value in secrets.items() for form in _forms(value)}
    if not forms:
        return ()
    anything = re.compile(b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    found = {
        Exposure(forms[match], str(file)) for file in _readable(root) for match in set(anything.findall(_start(file)))
    }
    for process in seen:
        for match in set(anything.findall(process.command.encode())):
            found.add(Exposure(forms[match], f"command line of {process.name} (pid {process.pid})"))
    return tuple(sorted(found, key=lambda exposure: (exposure.where, exposure.secret)))


def _forms(value: str) -> set[bytes]:
    """Return the ways in which a secret may stand in a file: as it is, for a URL, in JSON, decoded from base64."""
    forms = {value.encode(), quote(value, safe="").encode(), json.dumps(value)[1:-1].encode()}
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return forms
    # A password may be base64 by chance; what it decodes to would be too short to be found for a reason.
    return forms | {decoded} if len(decoded) >= 2 * SHORTEST else forms


def _readable(root: Path) -> Iterator[Path]:
    """Go through the regular files that a user without rights of their own can open and read."""
    for place in PLACES:
        start = root / place
        if not _open_path(root, start):
            continue
        for directory, names, files in os.walk(start):
            here = Path(directory)
            names[:] = [name for name in names if _mode(here / name) & stat.S_IXOTH]
            for name in files:
                mode = _mode(here / name)
                if stat.S_ISREG(mode) and mode & stat.S_IROTH:
                    yield here / name


def _open_path(root: Path, start: Path) -> bool:
    chain = [start, *[parent for parent in start.parents if parent.is_relative_to(root) and parent != root]]
    return all(stat.S_ISDIR(_mode(each)) and _mode(each) & stat.S_IXOTH for each in chain)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _start(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST)
    except OSError:
        return b""
