"""What a running process was started with: a digest of its files, and a copy of them to fall back on."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.files import write_file
from tripleo_ha.table import Unit


def digest(files: Iterable[str]) -> str:
    """Return a digest of the content of files and directories; one that is missing counts as such."""
    total = hashlib.sha256()
    for name in files:
        path = Path(name)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            total.update(f"{file}\0".encode())
            if file.is_file():
                total.update(file.read_bytes())
    return total.hexdigest()


def digest_of(unit: Unit) -> str | None:
    """Return the digest that was noted last in this boot, or None."""
    return _noted(unit).get("digest")


def to_replace(unit: Unit) -> str:
    """Return the invocation of the process that was to be replaced by one with what was noted last, else nothing."""
    return _noted(unit).get("replaces", "")


def note(unit: Unit, wanted: str | None = None, replaces: str = "") -> None:
    """Remember the present content of a unit's files as what its process is, or is about to be, started with.

    :param replaces: the invocation of the process that runs with something else until then.
    """
    _keep(unit, "now")
    write_file(_record(unit), json.dumps({"digest": wanted or digest(unit.files), "replaces": replaces}))


@contextlib.contextmanager
def held(unit: Unit) -> Iterator[None]:
    """Have the files hold what the process was started with, and the new content once the statement has succeeded."""
    if not (_kept(unit, "now")).is_dir():
        yield
        return
    _keep(unit, "next")
    _put(unit, "now")
    yield
    _put(unit, "next")


def take_back(unit: Unit) -> None:
    """Have the files hold what the process was started with; nothing happens where that is not known."""
    if _kept(unit, "now").is_dir():
        _put(unit, "now")


def _noted(unit: Unit) -> dict[str, str]:
    record = _record(unit)
    found: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    return found


def _record(unit: Unit) -> Path:
    return paths.RUNTIME / "applied" / f"{unit.name}.json"


def _kept(unit: Unit, which: str) -> Path:
    return paths.RUNTIME / "applied" / f"{unit.name}.{which}"


def _keep(unit: Unit, which: str) -> None:
    directory = _kept(unit, which)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    for number, name in enumerate(unit.files):
        if Path(name).is_file():
            _copy(Path(name), directory / str(number))


def _put(unit: Unit, which: str) -> None:
    for number, name in enumerate(unit.files):
        kept = _kept(unit, which) / str(number)
        if kept.exists():
            _copy(kept, Path(name))
        elif not Path(name).is_dir():
            Path(name).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy content, mode and owner, atomically; the copy of a secret is as private as the secret."""
    found = source.stat()
    temporary = target.with_name(f".{target.name}.tripleo-ha")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(source.read_bytes())
        os.fchown(stream.fileno(), found.st_uid, found.st_gid)
        os.fchmod(stream.fileno(), found.st_mode & 0o7777)
    temporary.replace(target)
