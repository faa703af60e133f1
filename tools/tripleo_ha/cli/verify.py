"""``tripleo-ha verify``: prove that a running cluster is what it should be."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tripleo_ha.cli.devtest import default_state
from tripleo_ha.devtest import network, prerequisites
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import UsageError, unable
from tripleo_ha.verify.live import table, until_good, waiting_for
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport, Transport, from_inventory


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser(
        "verify",
        help="prove that a running cluster is what it should be",
        description="Observe a cluster from every node and from where its clients are, and judge what was seen.",
        epilog="example: tripleo-ha verify --wait 60    (the test bed of this directory, until it is good)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--state", type=Path, metavar="DIR", help="the test bed's state directory")
    where.add_argument(
        "--inventory",
        type=Path,
        metavar="FILE",
        help="a real cluster: YAML with `metadata: FILE` (one node's) and `nodes: {NAME: USER@HOST}`",
    )
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="verify again until it is good")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="how results are shown")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print, and return 0 when every check is good, otherwise 1.

    :raises UsageError: there is no cluster to verify.
    """
    with unable():
        target = Target.of(_transport(arguments))
    started = time.monotonic()
    results = until_good(target, arguments.wait, waiting_for)
    ok = all(result.ok for result in results)
    if arguments.format == "json":
        document = {"ok": ok, "seconds": round(time.monotonic() - started, 2), "checks": [asdict(r) for r in results]}
        print(json.dumps(document, indent=2))  # noqa: T201
    else:
        print(table(results, color=sys.stdout.isatty()))  # noqa: T201
    return 0 if ok else 1


def _transport(arguments: argparse.Namespace) -> Transport:
    if arguments.inventory:
        return from_inventory(arguments.inventory)
    prerequisites.check_root()
    bed = Bed.open(arguments.state or default_state())
    if not network.exists(bed.netns):
        raise UsageError(f"the networks of the bed in {bed.state} are not there", "`tools/devtest` brings them back")
    return BedTransport(bed)
