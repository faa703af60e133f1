"""systemd units: asked with one fork for all, started, and restarted when what they were started with changed."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.node import draining
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row, Unit

START_TIMEOUT = 180.0


def properties(unit: str, *names: str) -> dict[str, str]:
    """Return properties of a unit as systemd tells them, ``{"ActiveState": "active", …}``."""
    told = run(["systemctl", "show", "--property", ",".join(names), unit], timeout=30).stdout
    return dict(line.partition("=")[::2] for line in told.splitlines())


def is_active(unit: str) -> bool:
    """Tell whether the unit runs."""
    return properties(unit, "ActiveState")["ActiveState"] in ("active", "reloading")


def start(unit: str, timeout: float = START_TIMEOUT) -> None:
    """Start a unit and wait until systemd counts it as started.

    :raises CommandFailed: it did not start; the unit's last words are in the message's output.
    """
    run(["systemctl", "reset-failed", unit], timeout=30, check=False)
    run(["systemctl", "start", unit], timeout=timeout)


def restart(unit: str, timeout: float = START_TIMEOUT) -> None:
    """Stop a unit and start it again."""
    run(["systemctl", "restart", unit], timeout=timeout)


def reload(unit: str) -> None:
    """Let a unit read its configuration again without ending."""
    run(["systemctl", "reload", unit], timeout=60)


def stop(unit: str, timeout: float = START_TIMEOUT) -> None:
    """Stop a unit; nothing happens when it does not run."""
    run(["systemctl", "stop", unit], timeout=timeout)


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


def ensure(
    context: Context, row: Row, unit: Unit, *, before_restart: Callable[[], None] | None = None
) -> str:
    """Have a unit run with the present content of its files.

    What a running process was started with is recorded beside its invocation. systemd restarting a process by itself
    does not change what counts as applied. Before a restart, the service's clients are asked to leave.

    :param before_restart: waits for this node's turn; not called for a start, which takes nothing away from anybody.
    :return: ``unchanged``, ``started``, ``restarted`` or ``reloaded``.
    """
    record = paths.RUNTIME / "applied" / f"{unit.name}.json"
    wanted = digest(unit.files)
    applied = json.loads(record.read_text())["digest"] if record.exists() else None
    outcome = "unchanged"
    if not is_active(unit.name):
        start(unit.name)
        outcome = "started"
    elif applied != wanted:
        if before_restart:
            before_restart()
        if unit.reload:
            reload(unit.name)
            outcome = "reloaded"
        else:
            with draining.drained(context, row):
                restart(unit.name)
            outcome = "restarted"
    if outcome != "unchanged":
        context.changed(f"{row.service}: {unit.name} {outcome}")
    if applied != wanted:
        write_file(record, json.dumps({"digest": wanted}))
    return outcome
