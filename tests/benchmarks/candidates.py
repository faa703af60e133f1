"""What benchmarks that compare settings share: a bed, and metadata of its nodes that is other for a while."""

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.metadata.generate import merged
from tripleo_ha.run import run
from tripleo_ha.verify.live import table, until_good
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport

UP_S, DOWN_S, CONVERGE_S, GOOD_S = 1800.0, 300.0, 600.0, 180.0
DEVTEST = [str(Path(sys.executable).with_name("tripleo-ha")), "devtest"]


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
    parser.add_argument("--state", type=Path, metavar="DIR", help="use the bed that is kept there, and leave it")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="boot from this unpacked image")
    parser.add_argument(
        "--place", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where there is room (default: %(default)s)"
    )


@contextlib.contextmanager
def some_bed(state: Path | None, image_root: Path | None, place: Path) -> Iterator[Bed]:
    """Give the bed in ``state``, or one of three controllers for the time of a ``with`` statement."""
    if state is not None:
        yield Bed.open(state)
        return
    own = Path(tempfile.mkdtemp(prefix="tripleo-ha-benchmark-", dir=place)) / "bed"
    image = ["--image-root", str(image_root)] if image_root else []
    devtest = [*DEVTEST, "--state", str(own)]
    try:
        run([*devtest, "up", "--scale", "3", "--no-verify", *image], timeout=UP_S)
        yield Bed.open(own)
    finally:
        run([*devtest, "down"], timeout=DOWN_S)
        shutil.rmtree(own.parent, ignore_errors=True)


@contextlib.contextmanager
def applied(bed: Bed, changes: Mapping[str, Any]) -> Iterator[Target]:
    """Have every node converge on changed metadata for the time of a ``with`` statement.

    :raises Failure: the cluster does not get good with it.
    """
    names = [node.name for node in bed.nodes]
    before = {name: bed.metadata(name) for name in names}
    accepted = {name: bed.read(name, "metadata.json") or {} for name in names}
    try:
        push(bed, {name: merged(document, changes) for name, document in before.items()})
        yield good(bed)
    finally:
        # A key that is only taken away again is not seen as a change: what it was by default is said once.
        push(bed, {name: merged(document, shared(changes, accepted[name])) for name, document in before.items()})
        push(bed, before)


def shared(changes: Mapping[str, Any], accepted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the accepted metadata has at the places of changes."""
    return {
        key: shared(value, accepted[key]) if isinstance(value, Mapping) and value else accepted[key]
        for key, value in changes.items()
        if key in accepted
    }


def push(bed: Bed, documents: Mapping[str, dict[str, Any]]) -> None:
    """Hand all nodes their metadata at once, and wait until they have converged."""
    with ThreadPoolExecutor(len(documents)) as pool:
        list(pool.map(lambda each: bed.push(*each), documents.items()))
    bed.wait_converged(timeout=CONVERGE_S)


def good(bed: Bed) -> Target:
    """Return the cluster of a bed once every check is good.

    :raises Failure: it does not get so.
    """
    target = Target.of(BedTransport(bed))
    results = until_good(target, GOOD_S)
    if not all(result.ok for result in results):
        raise Failure(f"the cluster is not good:\n{table(results)}")
    return target
