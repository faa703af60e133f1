"""What benchmarks that compare settings share: a bed, and metadata of its nodes that is other for a while."""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha import paths
from tripleo_ha.chaos.interrupt import Interrupts
from tripleo_ha.devtest import prerequisites, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure
from tripleo_ha.metadata.check import Checker
from tripleo_ha.metadata.generate import merged
from tripleo_ha.run import run
from tripleo_ha.verify.live import table, until_good
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport

UP_S, DOWN_S, CONVERGE_S, GOOD_S = 1800.0, 300.0, 600.0, 180.0
DEVTEST = [str(Path(sys.executable).with_name("tripleo-ha")), "devtest"]
STOPPED = 130


class Subject:
    """A bed that is measured, whose nodes get other metadata meanwhile."""

    def __init__(self, bed: Bed, progress: Progress) -> None:
        self.bed = bed
        self._own = {node.name: bed.metadata(node.name) for node in bed.nodes}
        self._progress = progress

    def change(self, changes: Mapping[str, Any]) -> Target:
        """Have every node converge on the bed's own metadata with some changes, and return the cluster.

        :raises Failure: the metadata would be refused, or the cluster does not get good with it.
        """
        documents = {name: merged(document, changes) for name, document in self._own.items()}
        for document in documents.values():
            if wrong := [str(found) for found in Checker().check(document) if found.severity == "error"]:
                raise Failure(f"no node would accept that: {wrong[0]}")
        self._push(documents)
        self._progress.say("waiting for the cluster to be good")
        target = Target.of(BedTransport(self.bed))
        results = until_good(target, GOOD_S)
        if not all(result.ok for result in results):
            raise Failure(f"the cluster is not good:\n{table(results)}")
        return target

    def put_back(self) -> None:
        """Have every node converge on what it had."""
        self._push(self._own)

    def _push(self, documents: Mapping[str, dict[str, Any]]) -> None:
        with ThreadPoolExecutor(len(documents)) as pool:
            list(pool.map(lambda each: self.bed.push(*each), documents.items()))
        self.bed.wait_converged(timeout=CONVERGE_S, tell=self._progress.node)


def report_directory(name: str) -> Path:
    """Return an empty directory for what a benchmark that begins now finds."""
    directory = paths.CHECKOUT / "reports" / name / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    directory.mkdir(parents=True)
    return directory


def status_of(main: Callable[[Interrupts], int]) -> int:
    """Return the exit status of a benchmark: its own, or that of a failure, which is told; 130 when it was stopped.

    Whatever ends it, beds of its own are cleared away.
    """
    try:
        with Interrupts() as interrupts:
            return main(interrupts)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return STOPPED


def overrides(text: str) -> dict[str, Any]:
    """Return ``SECTION.KEY=VALUE[,SECTION.KEY=VALUE…]`` as metadata; nothing for ``defaults``.

    :raises argparse.ArgumentTypeError: it is none of these.
    """
    found: dict[str, Any] = {}
    for pair in [] if text == "defaults" else text.split(","):
        path, sign, value = pair.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (sign and dot and section and key):
            raise argparse.ArgumentTypeError(f"{pair!r} is not like pacemaker.token_ms=600")
        found.setdefault(section, {})[key] = yaml.safe_load(value)
    return found


def add_bed(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which bed is used."""
    parser.add_argument("--state", type=Path, metavar="DIR", help="use the bed that is kept there, and leave it so")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="boot from this unpacked image")
    parser.add_argument(
        "--place", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where there is room (default: %(default)s)"
    )


@contextlib.contextmanager
def some_bed(
    state: Path | None, image_root: Path | None, place: Path, interrupts: Interrupts, progress: Progress
) -> Iterator[Subject]:
    """Give the bed in ``state``, whose metadata are put back in the end, or a new one of three controllers.

    :raises Failure: there is no such bed, or another call is at work on it.
    """
    prerequisites.check_root()
    if state is not None:
        with store.locked(state.absolute()):
            subject = Subject(Bed.open(state.absolute()), progress)
            try:
                yield subject
            finally:
                with interrupts.held():
                    progress.say("putting the bed's own metadata back")
                    subject.put_back()
        return
    own = Path(tempfile.mkdtemp(prefix="tripleo-ha-benchmark-", dir=place)) / "bed"
    image = ["--image-root", str(image_root)] if image_root else []
    devtest = [*DEVTEST, "--state", str(own)]
    try:
        progress.say(f"booting three controllers in {own}")
        run([*devtest, "up", "--scale", "3", "--no-verify", *image], timeout=UP_S, log=progress.log)
        yield Subject(Bed.open(own), progress)
    finally:
        with interrupts.held():
            progress.say("clearing the bed away")
            run([*devtest, "down"], timeout=DOWN_S, log=progress.log)
            shutil.rmtree(own.parent, ignore_errors=True)
