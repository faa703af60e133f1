"""Converges HAProxy: the new configuration is checked, put in place, and loaded without dropping a connection."""

import os
import socket
import tempfile
from pathlib import Path

from tripleo_ha.errors import Failure
from tripleo_ha.node import units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.node.facts import Certificate
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.table import Row
from tripleo_ha.topology import haproxy
from tripleo_ha.waiting import wait_for

UNIT = "haproxy.service"
CONFIG = Path("/etc/haproxy/haproxy.cfg")
CERTIFICATES = Path(haproxy.CERTIFICATES)
ADMIN = Path(haproxy.SOCKET)
MASTER = Path("/run/haproxy-master.sock")
SERVER_STATE = Path(haproxy.SERVER_STATE)
LOAD_TIMEOUT = 15.0


def converge(context: Context, row: Row) -> None:
    """Have HAProxy run with the configuration that rows and metadata ask for.

    What the running process was started with is what it says itself, by the digest in its description.

    :raises Failure: HAProxy refuses the configuration, at the check or when loading it; the old one goes on serving.
    """
    text = haproxy.render(context.rows, context.cluster, context.metadata)
    wanted = haproxy.digest(text)
    bundles = haproxy.certificates(context.metadata)
    for name, content in bundles.items():
        write_file(CERTIFICATES / name, content)
    if not (CONFIG.exists() and CONFIG.read_text() == text):
        check(text)
        write_file(CONFIG, text)
    loaded = running_digest()
    if loaded is None:
        SERVER_STATE.unlink(missing_ok=True)
        units.start(UNIT)
        context.changed(f"{row.service}: {UNIT} started")
    elif loaded != wanted:
        load()
        context.changed(f"{row.service}: configuration loaded")
    if loaded != wanted:
        wait_for(
            "HAProxy to run the new configuration",
            lambda: running_digest() == wanted,
            timeout=LOAD_TIMEOUT,
            interval=0.05,
        )
    # Until now a HAProxy that is started anew may have needed them.
    for file in CERTIFICATES.glob("*.pem"):
        if file.name not in bundles:
            file.unlink()


def served_certificates() -> tuple[Certificate, ...]:
    """Return the certificates that the running HAProxy answers with, as it tells of them itself.

    :raises Failure: it does not answer.
    """
    found = []
    for name in _asked("show ssl cert").splitlines():
        if name.startswith(haproxy.CERTIFICATES):
            told = dict(line.partition(": ")[::2] for line in _asked(f"show ssl cert {name}").splitlines())
            fingerprint, end = told["SHA1 FingerPrint"].strip().lower(), told["notAfter"].strip()
            found.append(Certificate(fingerprint, end, haproxy.vip_of(Path(name).name)))
    return tuple(found)


def _asked(command: str) -> str:
    if (answer := ask(ADMIN, command)) is None:
        raise Failure(f"HAProxy does not answer on {ADMIN}")
    return answer


def check(text: str) -> None:
    """Let HAProxy judge a configuration without using it.

    :raises Failure: it is refused; the message holds HAProxy's own words.
    """
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=CONFIG.parent, prefix=".haproxy.", suffix=".new")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        run(["haproxy", "-c", "-f", name], timeout=30)
    except CommandFailed as error:
        words = alerts(error.output.replace(name, os.fspath(CONFIG)))
        raise Failure(f"HAProxy refuses the new configuration, the old one stays:\n{words}") from error
    finally:
        Path(name).unlink(missing_ok=True)


def load() -> None:
    """Hand over to new workers: they inherit the listening sockets, the servers' states and the chosen writers.

    :raises Failure: the new configuration could not be loaded; the old workers go on serving.
    """
    write_file(SERVER_STATE, ask(ADMIN, "show servers state") or "")
    try:
        answer = ask(MASTER, "reload", timeout=30.0)
    finally:
        SERVER_STATE.unlink(missing_ok=True)
    if answer is None:
        raise Failure(f"HAProxy's master does not answer on {MASTER}", f"systemctl restart {UNIT}")
    if "Success=1" not in answer:
        raise Failure(f"HAProxy could not load the new configuration, the old one goes on serving:\n{alerts(answer)}")


def end_sessions(context: Context) -> None:
    """End what goes through this node's HAProxy to databases and brokers, once its clients cannot reach it any more.

    Nothing tells it that they are gone: a transaction would keep its locks, and a consumer be given messages. What
    HTTP services have been asked is still answered, since an answer needs nothing more from its client.
    """
    tcp = [listener.name for row in context.rows for listener in row.balanced if listener.protocol == "tcp"]
    ends = [f"shutdown sessions server {name}/{node.name}" for name in tcp for node in context.cluster.nodes]
    ask(ADMIN, "; ".join(ends))


def alerts(words: str) -> str:
    """Return what HAProxy calls an alert, out of all that it said; all of it when it called nothing so."""
    lines = [line for line in words.strip().splitlines() if line]
    return "\n".join([line for line in lines if line.startswith("[ALERT]")] or lines)


def running_digest() -> str | None:
    """Return the digest of the configuration that runs, empty when it isn't ours, or None when nothing answers."""
    told = ask(ADMIN, "show info desc")
    if told is None:
        return None
    line = next((line for line in told.splitlines() if line.startswith("description:")), "")
    return haproxy.digest_of(line.removeprefix("description:").partition(":")[0])


def ask(path: Path, command: str, timeout: float = 5.0) -> str | None:
    """Send one command to a socket of HAProxy's and return the answer, or None when nobody is there."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout)
            client.connect(os.fspath(path))
            client.sendall(command.encode() + b"\n")
            answer = b""
            while piece := client.recv(65536):
                answer += piece
    except OSError:
        return None
    return answer.decode(errors="replace")
