"""Making a bed, waiting until it is good, and looking at the processes in it from outside."""

import re
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node.facts import NodeFacts
from tripleo_ha.run import CommandFailed, run
from tripleo_ha.verify.live import table, until_good, waiting_for
from tripleo_ha.verify.runner import Target, verify
from tripleo_ha.verify.transport import BedTransport

REPORTS = paths.CHECKOUT / "reports"
UP_S = 1800.0
GOOD_S = 150.0
DEVTEST = (str(Path(sys.executable).with_name("tripleo-ha")), "devtest")


class Summary:
    """Takes lines for the table at the end, and prints them at once as well."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self._lines = lines

    def tell(self, what: str, measured: str) -> None:
        """Add a line."""
        self._lines.append((what, measured))
        sys.stdout.write(f"\n    {what}: {measured}\n")
        sys.stdout.flush()


def devtest(state: Path, *arguments: str, timeout: float = UP_S, log: Path | None = None) -> None:
    """Call the command, as a user does, and show what it said.

    :raises CommandFailed: it failed.
    """
    if log is not None:
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
    try:
        run([*DEVTEST, "--state", str(state), *arguments], timeout=timeout, log=log)
    finally:
        if log is not None and log.exists():
            sys.stdout.write("\n" + log.read_text())


def make(state: Path, scale: int, image_root: Path | None, reports: Path) -> Bed:
    """Return a new bed, converged; the caller verifies it."""
    image = [] if image_root is None else ["--image-root", str(image_root)]
    devtest(state, "up", "--scale", str(scale), "--no-verify", *image, log=reports / f"{state.name}-up.log")
    return Bed.open(state)


def down(state: Path) -> None:
    """Clear a bed away."""
    devtest(state, "down", timeout=300)


def target_of(bed: Bed) -> Target:
    """Return the bed's cluster as the verifier takes it."""
    return Target.of(BedTransport(bed))


def up_and_good(bed: Bed) -> Target:
    """Have every node on and plugged in, and return the cluster once every check is good.

    :raises AssertionError: it does not get good in time.
    """
    for node in bed.nodes:
        bed.power_on(node.name)
        bed.rejoin(node.name)
    bed.wait_converged(timeout=300)
    target = target_of(bed)
    assert_good(target)
    return target


def assert_good(target: Target, wait: float = GOOD_S) -> float:
    """Verify until every check is good, and return the seconds that took."""
    began = time.monotonic()
    results = until_good(target, wait, waiting_for)
    assert all(result.ok for result in results), "\n" + table(results)
    return time.monotonic() - began


def holders(target: Target) -> dict[str, str]:
    """Return the node that holds each virtual IP."""
    facts = facts_of(target)
    return {
        name: node
        for name, vip in target.cluster.virtual_ips.items()
        for node, each in facts.items()
        if any(vip.ip in found for found in each.addresses.values())
    }


def writer(target: Target) -> str:
    """Return the node that takes the SQL writes."""
    result = next(check for check in verify(target) if check.name == "balance.mysql.control")
    names = [node for node in target.transport.nodes if f"{node} " in result.evidence]
    assert result.ok, result.evidence
    return names[0]


def facts_of(target: Target) -> dict[str, NodeFacts]:
    """Return what every node tells about itself."""
    names = target.transport.nodes
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(target.facts, names), strict=True))


def where(bed: Bed, pattern: str) -> set[str]:
    """Return the nodes in which a process with such a command line runs, by this machine's own process table."""
    spaces = {}
    for node in bed.nodes:
        try:
            spaces[_space(bed.leader(node.name))] = node.name
        except (OSError, Failure):
            continue
    expression = re.compile(pattern)
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if expression.search(command):
                found.add(spaces.get(_space(int(entry.name)), ""))
        except OSError:
            continue
    return found - {""}


def _space(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


class SingletonWatch:
    """Looks several times a second on how many nodes each singleton runs, for the time of a ``with`` statement."""

    def __init__(self, bed: Bed, target: Target) -> None:
        self._bed = bed
        self._patterns = {row.service: row.singleton_process for row in target.rows if row.singleton_process}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.twice: list[tuple[str, set[str]]] = []
        """Every moment at which a service ran on more than one node."""

    def __enter__(self) -> "SingletonWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def now(self) -> dict[str, set[str]]:
        """Return the nodes on which each singleton runs now."""
        return {service: where(self._bed, pattern) for service, pattern in self._patterns.items()}

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            self.twice += [(service, nodes) for service, nodes in self.now().items() if len(nodes) > 1]


def save_journals(bed: Bed, directory: Path) -> None:
    """Save the end of every running node's journal."""
    directory.mkdir(parents=True, exist_ok=True)
    for node in bed.nodes:
        try:
            text = bed.exec(node.name, ["journalctl", "--no-pager", "-b", "-n", "3000"], timeout=60).stdout
        except (CommandFailed, TimedOut, Failure) as failure:
            text = str(failure)
        (directory / f"{node.name}.log").write_text(text)


def everywhere(bed: Bed, argv: Sequence[str], timeout: float) -> dict[str, tuple[int, float, str]]:
    """Run a command on all nodes at once and return each one's exit status, seconds and output."""

    def one(name: str) -> tuple[int, float, str]:
        began = time.monotonic()
        done = bed.exec(name, argv, timeout=timeout, check=False)
        return done.returncode, time.monotonic() - began, done.stdout + done.stderr

    names = [node.name for node in bed.nodes]
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))
