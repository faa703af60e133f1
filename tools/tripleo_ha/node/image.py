"""What is done to the image once, at the end of its build: the state volume and the image's identity."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from tripleo_ha import paths, table
from tripleo_ha.metadata import schema
from tripleo_ha.run import run
from tripleo_ha.table import Row, State
from tripleo_ha.topology.unit_files import timer_files, unit_file

TMPFILES = Path("/usr/lib/tmpfiles.d/tripleo-ha-state.conf")
IDENTIFYING = ("/usr/share/tripleo-ha", "/usr/libexec/os-apply-config", "/usr/libexec/os-refresh-config")


def bake() -> None:
    """Point every directory of state at the state volume, make the units of rows, and write ``image.json``.

    What a package left in such a directory is dropped: the first converge run creates the state anew.
    """
    rows = table.load()
    states = [state for row in rows for state in row.state]
    TMPFILES.write_text(tmpfiles(states))
    for state in states:
        move_to_state_volume(Path(state.path))
    for name, text in made_units(rows).items():
        (Path(table.UNITS) / name).write_text(text)
    paths.STATE.mkdir(parents=True, exist_ok=True)
    identity = {"id": image_id(), "os": _os_release()}
    (paths.IMAGE_SHARE / "image.json").write_text(json.dumps(identity, indent=2) + "\n")


def made_units(rows: Iterable[Row]) -> dict[str, str]:
    """Return the systemd units made from rows, by name; timers with the intervals that are defaults."""
    made: dict[str, str] = {}
    for row in rows:
        made |= {unit.process: unit_file(row, unit) for unit in row.units if unit.made}
        defaults = schema.with_defaults({row.metadata: {}})
        made |= {Path(path).name: text for path, text in timer_files(row, defaults).items()}
    return made


def tmpfiles(states: Iterable[State]) -> str:
    """Return the tmpfiles.d lines that create the directories of state at boot.

    ``Z`` mends the ownership when an upgraded image numbers its system users differently; where root owns the
    directory, what is below belongs to several users and is left to the service.
    """
    lines = ["# State that an image upgrade preserves; made by tripleo-ha-node bake from the service rows."]
    for state in states:
        target = f"{paths.STATE}{state.path}"
        lines.append(f"d {target} {state.mode} {state.owner} {state.group} -")
        if state.owner != "root":
            lines.append(f"Z {target} - {state.owner} {state.group} -")
    return "\n".join(lines) + "\n"


def move_to_state_volume(path: Path) -> None:
    """Replace ``path`` by a symbolic link into the state volume."""
    if path.is_symlink():
        return
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f"{paths.STATE}{path}")


def image_id() -> str:
    """Return a digest of all that makes this image: packages, the venv's contents, templates, hooks, rows, schemas."""
    digest = hashlib.sha256()
    digest.update(run(["dpkg-query", "--show"], timeout=60).stdout.encode())
    roots = [Path(root) for root in IDENTIFYING] + [paths.PACKAGE]
    for root in roots:
        for file in sorted(root.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(str(file).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


def _os_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return ""
