"""Pacemaker's configuration and state: read from disk where that is enough, asked for and changed where not."""

import os
import pwd
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from tripleo_ha.node.context import LOG, write_file
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.waiting import wait_for

Element = ElementTree.Element

DIRECTORY = Path("/var/lib/pacemaker/cib")
FILE = DIRECTORY / "cib.xml"
USER = "hacluster"
TIMEOUT = 30.0
CHANGE_S = 60.0
_changing = threading.Lock()


def on_disk() -> Element | None:
    """Return the CIB as Pacemaker last wrote it, its status left out, or None on a node that never had one."""
    try:
        return _parse(FILE.read_text())
    except (FileNotFoundError, ElementTree.ParseError):
        return None


def live() -> Element | None:
    """Return the CIB of the running cluster, or None while Pacemaker does not answer."""
    try:
        return _parse(run(["cibadmin", "--query"], timeout=TIMEOUT).stdout)
    except CommandFailed:
        return None


def status() -> Element | None:
    """Return what ``crm_mon`` tells about nodes and resources, or None while Pacemaker does not answer."""
    told = run(["crm_mon", "--one-shot", "--output-as=xml", "--inactive"], timeout=TIMEOUT, check=False)
    return _parse(told.stdout) if told.returncode == 0 else None


def plant(text: str) -> bool:
    """Give a node that has no CIB its first one, so that the very first start already follows it."""
    if FILE.exists():
        return False
    owner = pwd.getpwnam(USER)
    if not DIRECTORY.is_dir():
        DIRECTORY.mkdir(mode=0o750, parents=True)
        os.chown(DIRECTORY, owner.pw_uid, owner.pw_gid)
    return write_file(FILE, text, owner=(owner.pw_uid, owner.pw_gid))


def change(wish: Callable[[Element], Element | None]) -> None:
    """Change the live configuration in one step, or find that another already has; a minority changes nothing.

    What was read is what is changed: Pacemaker refuses a difference that starts from an older version, and then the
    wish is asked again.

    :param wish: from the live ``cib``, the wanted one; None when nothing is to be changed.
    :raises TimedOut: Pacemaker did not take the change.
    :raises CommandFailed: ``crm_verify`` finds the wanted configuration wrong.
    """
    refused = "it does not answer, or has no quorum"

    def attempt() -> bool:
        nonlocal refused
        before = live()
        if before is None or before.get("have-quorum") != "1":
            return False
        after = wish(before)
        if after is None:
            return True
        refused = _apply(before, after)
        return not refused

    with _changing:
        wait_for("Pacemaker to take its configuration", attempt, timeout=CHANGE_S, interval=0.3, why=lambda: refused)


def _apply(before: Element, after: Element) -> str:
    """Apply the difference; return why it was refused, or an empty string."""
    with tempfile.TemporaryDirectory(prefix="tripleo-ha-cib.") as directory:
        old, new, patch = (Path(directory) / name for name in ("old.xml", "new.xml", "patch.xml"))
        for file, element in ((old, before), (new, after)):
            file.write_text(ElementTree.tostring(element, encoding="unicode"))
        run(["crm_verify", "--xml-file", str(new)], timeout=TIMEOUT)
        # crm_diff says by its exit status 1 that there is a difference.
        difference = run(["crm_diff", "--original", str(old), "--new", str(new)], timeout=TIMEOUT, check=False)
        if difference.returncode > 1:
            return f"crm_diff: {difference.stderr.strip()}"
        patch.write_text(difference.stdout)
        done = run(["cibadmin", "--patch", "--xml-file", str(patch)], timeout=TIMEOUT, check=False)
    if done.returncode:
        LOG.info("Pacemaker refused a change, asking anew: %s", done.stderr.strip())
        return done.stderr.strip() or f"cibadmin ended with {done.returncode}"
    return ""


def _parse(text: str) -> Element:
    # Written by Pacemaker on this node, and readable by nobody else.
    return ElementTree.fromstring(text)  # noqa: S314
