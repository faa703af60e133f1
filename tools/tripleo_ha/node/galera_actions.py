"""What is done to this node's MariaDB: initialise, start, bootstrap, stop."""

import json
import os
import pwd
import re
import shutil
import time
from collections.abc import Sequence

from tripleo_ha import paths
from tripleo_ha.node import applied, sql, units
from tripleo_ha.node.context import LOG, write_file
from tripleo_ha.node.galera_facts import Files
from tripleo_ha.run import run
from tripleo_ha.table import Unit
from tripleo_ha.topology.galera import NOWHERE, Facts

PERMISSION = paths.RUNTIME / "galera-may-start"
"""The unit asserts that this exists; a boot forgets it."""
BOOTSTRAP_ONCE = paths.RUNTIME / "galera-new-cluster"
"""Has the next start found a Primary component; removed by the unit after it, whatever came of it."""
POSITION_ONCE = paths.RUNTIME / "galera-position"
"""Tells the next start where the data is, so that it need not run a server to find out; removed as well."""
INSTALL_TIMEOUT = 300.0


def start(unit: Unit, position: tuple[str, int] | None, *, bootstrap: bool = False) -> None:
    """Start the server without waiting for it; with ``bootstrap``, as a Primary component of its own.

    :param position: the state UUID and seqno that the data is at, ``NOWHERE`` for data that is at none; None where
        the start has to ask the redo log.
    """
    write_file(PERMISSION, "", mode=0o644)
    if position is None:
        POSITION_ONCE.unlink(missing_ok=True)
    else:
        uuid, seqno = position
        option = "" if position == NOWHERE else f"--wsrep_start_position={uuid}:{seqno}\n"
        write_file(POSITION_ONCE, option, mode=0o644)
    if bootstrap:
        write_file(BOOTSTRAP_ONCE, "", mode=0o644)
    else:
        BOOTSTRAP_ONCE.unlink(missing_ok=True)
    applied.note(unit)
    run(["systemctl", "reset-failed", unit.name], timeout=30, check=False)
    run(["systemctl", "start", "--no-block", unit.name], timeout=30)


def outdated(unit: Unit) -> bool:
    """Tell whether the running server was started with another content of its files."""
    return applied.digest_of(unit) != applied.digest(unit.files)


def last_words(unit: Unit) -> str:
    """Return the last errors in the unit's journal, or its last lines when none is marked as one."""
    told = run(["journalctl", "--unit", unit.name, "--lines=200", "--output=cat", "--no-pager"], timeout=30).stdout
    lines = told.splitlines()
    errors = [line for line in lines if "ERROR" in line]
    return "\n".join((errors or lines)[-5:])


def kill(unit: Unit) -> None:
    """End the server at once: a graceful stop would remove gvwstate.dat, which tells who was in the last view."""
    units.kill(unit.name)


def initialise(files: Files) -> None:
    """Make an empty database in place of whatever is in the data directory.

    Call this only for a node that never held data; the mark left says so until the cluster exists.
    """
    files.root.mkdir(parents=True, exist_ok=True)
    for entry in files.root.iterdir():
        if entry != files.fresh:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    owner = _mysql()
    write_file(files.fresh, "made by tripleo-ha-node; gone once the cluster exists\n", owner=owner)
    os.chown(files.root, *owner)
    command = ["mariadb-install-db", "--user=mysql", f"--datadir={files.root}", "--skip-test-db"]
    command += ["--auth-root-authentication-method=socket", "--auth-root-socket-user=root"]
    began = time.monotonic()
    run([*command, "--skip-name-resolve"], timeout=INSTALL_TIMEOUT)
    LOG.info("mariadb-galera: making an empty database took %.1f s", time.monotonic() - began)


def set_safe_to_bootstrap(files: Files, safe: bool) -> None:
    """Set or clear Galera's flag in grastate.dat, with the position that goes with it left alone."""
    text = files.grastate.read_text()
    wanted = re.sub(r"(?m)^safe_to_bootstrap:.*$", f"safe_to_bootstrap: {int(safe)}", text)
    write_file(files.grastate, wanted, mode=0o660, owner=_mysql())


def prepare_bootstrap(files: Files, leaves: Facts | None = None) -> None:
    """Let the engine accept a bootstrap here; the stored view of the past must not steer the new component.

    :param leaves: this node's facts, where the new component goes on without commits that others may hold: the state
        then gets a new UUID, which the engine makes when it is started with neither a state file nor a position.
    """
    left_behind = [*leaves.history, leaves.uuid] if leaves else []
    write_file(files.elected, json.dumps(left_behind), owner=_mysql())
    if leaves:
        files.grastate.unlink(missing_ok=True)
    elif files.grastate.exists():
        # Without the file, which a bootstrap that was cut short took away, the engine takes it for set.
        set_safe_to_bootstrap(files, True)
    if files.gvwstate.exists():
        files.gvwstate.replace(files.gvwstate.with_name("gvwstate.dat.before-bootstrap"))


def note_elected(files: Files, uuid: str) -> None:
    """End the time in which this node was about to bootstrap, now that it is in a Primary component.

    :param uuid: its state's; one that was left behind only enters the history when the state has a new one.
    """
    if not files.elected.exists():
        return
    left_behind = json.loads(files.elected.read_text() or "[]")
    if left_behind and uuid not in left_behind:
        note_history(files, left_behind)
    files.elected.unlink()


def note_history(files: Files, left_behind: Sequence[str]) -> None:
    """Write the state UUIDs that this node's state left behind, where there are any."""
    if left_behind or files.history.exists():
        write_file(files.history, json.dumps(list(left_behind)), owner=_mysql())


def note_caught_up(files: Files) -> None:
    """Note that the server that runs now holds all that its component does."""
    if not files.caught_up.exists():
        write_file(files.caught_up, "", owner=_mysql())


def promote() -> None:
    """Make the running, non-Primary server a Primary component of those it is connected to."""
    with sql.root() as connection:
        sql.query(connection, "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")


def _mysql() -> tuple[int, int]:
    entry = pwd.getpwnam("mysql")
    return entry.pw_uid, entry.pw_gid
