"""Making a bed, waiting until it is good, and looking at the processes in it from outside."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.chaos.evidence import save_journals
from tripleo_ha.chaos.model import Overlap
from tripleo_ha.chaos.outside import Places, View
from tripleo_ha.chaos.sampling import Sampler
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.node.facts import NodeFacts
from tripleo_ha.run import run
from tripleo_ha.verify.live import table, until_good, waiting_for
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport

REPORTS = paths.CHECKOUT / "reports"
UP_S = 2700.0
GOOD_S = 150.0
__all__ = ["SingletonWatch", "save_journals"]
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


def make(state: Path, scale: int, image_root: Path | None, reports: Path, profile: str = "core") -> Bed:
    """Return a new bed, converged; the caller verifies it."""
    image = [] if image_root is None else ["--image-root", str(image_root)]
    wanted = ["--scale", str(scale), "--profile", profile, "--no-verify", *image]
    try:
        devtest(state, "up", *wanted, log=reports / f"{state.name}-up.log")
    except Failure:
        with suppress(Failure, OSError):
            _show_last_words(Bed.open(state), reports / "journals" / "up")
        raise
    return Bed.open(state)


def _show_last_words(bed: Bed, where: Path, lines: int = 60) -> None:
    """Save every node's journal, and print the end of each: often nothing but the output is kept of a run elsewhere."""
    save_journals(bed, where)
    for node in bed.nodes:
        argv = ["journalctl", "--no-pager", "--output=short-precise", f"--lines={lines}"]
        told = bed.exec(node.name, argv, timeout=30, check=False).stdout
        sys.stdout.write(f"\n    {node.name} said last:\n{told}")


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
    return dict(_view(target).roles().holders)


def singletons(target: Target) -> dict[str, str]:
    """Return the node of each service that must run once, of those that exactly one node runs."""
    return {name: next(iter(nodes)) for name, nodes in _view(target).singletons().items() if len(nodes) == 1}


def writer(target: Target) -> str:
    """Return the node that takes the SQL writes."""
    node = _view(target).writer()
    assert node, "nobody takes the SQL writes"
    return node


def _view(target: Target) -> View:
    assert isinstance(target.transport, BedTransport)
    return View(target.transport.bed, target)


def facts_of(target: Target) -> dict[str, NodeFacts]:
    """Return what every node tells about itself."""
    names = target.transport.nodes
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(target.facts, names), strict=True))


class SingletonWatch(Sampler):
    """Looks several times a second on how many nodes each singleton runs, for the time of a ``with`` statement."""

    def __init__(self, bed: Bed, target: Target) -> None:
        self.view = View(bed, target)
        super().__init__(self.view)

    def now(self) -> Places:
        """Return the nodes on which each singleton runs now."""
        return self.view.singletons()

    @property
    def twice(self) -> list[Overlap]:
        """Every time during which a service ran on more than one node; complete once the watch is over."""
        return self.overlaps


def await_no_run(bed: Bed) -> None:
    """Wait until no node is in a converge run, of os-collect-config's or the healer's: os-refresh-config is alone."""
    told = everywhere(bed, ["flock", "--wait", "120", "/run/os-refresh-config.lock", "true"], timeout=130)
    assert {node: status for node, (status, _, _) in told.items()} == dict.fromkeys(told, 0), told


def everywhere(bed: Bed, argv: Sequence[str], timeout: float) -> dict[str, tuple[int, float, str]]:
    """Run a command on all nodes at once and return each one's exit status, seconds and output."""

    def one(name: str) -> tuple[int, float, str]:
        began = time.monotonic()
        done = bed.exec(name, argv, timeout=timeout, check=False)
        return done.returncode, time.monotonic() - began, done.stdout + done.stderr

    names = [node.name for node in bed.nodes]
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))
