"""What the nodes' BMCs are to the bed: a process that it starts, credentials, and what the metadata says of them."""

import secrets
import string
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tripleo_ha.devtest import cgroups, network
from tripleo_ha.devtest.layout import CLIENT_HOST, CONTROL, SCALES, BedNode
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.metadata import passwords
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for

ADDRESS = CONTROL.address(CLIENT_HOST)
FIRST_PORT = 6230
PORTS = {index: FIRST_PORT + index for index in range(SCALES[-1])}
AGENT = "fence_ipmilan"
USER = "fence"
PASSWORD_LENGTH = 20
"""What IPMI 2.0 takes at most."""
SECTION = "bmc"
"""Of the passwords file."""
LOG = "bmc.log"
READY_S = 30.0


@dataclass(frozen=True)
class Credentials:
    """Whom the BMCs let in."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


def credentials(state: Path) -> Credentials:
    """Return the credentials of a bed's BMCs, invented at the first call.

    :raises UsageError: the passwords file cannot be read or written.
    """

    def completed(known: Passwords) -> Passwords:
        made = {"user": USER, "password": _password()}
        return Passwords({**known.values, SECTION: {**made, **known.of(SECTION)}})

    known = passwords.update(state / "passwords.yaml", completed).of(SECTION)
    return Credentials(known["user"], known["password"])


def fencing(state: Path, nodes: Iterable[BedNode]) -> dict[str, Any]:
    """Return the metadata ``pacemaker.fencing`` of a bed's nodes."""
    known = credentials(state)
    common = {"ip": ADDRESS, "lanplus": True, "username": known.user, "password": known.password, "power_wait": 0}
    return {
        "devices": {node.name: {"agent": AGENT, "options": {**common, "ipport": PORTS[node.index]}} for node in nodes}
    }


def usable(image_root: Path) -> bool:
    """Whether nodes of an image can ask the BMCs."""
    return (image_root / "usr/sbin" / AGENT).exists()


def check_installed() -> None:
    """Stop when what the BMCs are made of is not installed.

    :raises UsageError: it is not.
    """
    if find_spec("pyghmi") is None:
        raise UsageError("the bed's BMCs need pyghmi", "`tools/bootstrap` installs it, `--no-fencing` does without")


def ensure(state: Path, cgroup: Path, netns: str) -> bool:
    """Have the process run that is all BMCs of a bed; return whether it had to be started.

    :param cgroup: the bed's; ``down`` kills what is in it.
    :raises Failure: it ended at once.
    """
    own = cgroup / "bmc"
    if any(cgroups.pids(own)):
        return False
    check_installed()
    credentials(state)
    own.mkdir(parents=True, exist_ok=True)
    launcher = 'echo $$ >"$0/cgroup.procs" && exec setsid --fork "$@" </dev/null'
    argv = ["nsenter", f"--net={network.NAMESPACES / netns}", "--", sys.executable, "-m", "tripleo_ha.devtest.bmc"]
    log = state / LOG
    log.unlink(missing_ok=True)
    run(["sh", "-c", launcher, str(own), *argv, str(state)], timeout=10, log=log)
    wait_for("the BMCs to answer", lambda: _answers(own, log), timeout=READY_S)
    return True


def _answers(cgroup: Path, log: Path) -> bool:
    text = log.read_text(errors="replace")
    if not any(cgroups.pids(cgroup)):
        raise Failure(f"the BMCs ended at once:\n{text[-2000:]}", f"see {log}")
    return f"answer at {ADDRESS}" in text


def _password() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(PASSWORD_LENGTH))
