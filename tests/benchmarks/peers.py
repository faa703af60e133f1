"""The comparison: what clients see of the same faults on the same nodes, with our settings and with the peers'.

usage: .venv/bin/python tests/benchmarks/peers.py [--runs 5] [--peers kolla-ansible,tripleo] [--image-root DIR]

The nodes, engines, clients and faults are the same; only the settings that decide how soon a failure is noticed are
the peers' (peers_settings.py has each with its source). Prints the median and the worst longest gap of each, and the
ratio of the medians: how many times longer a client waits with theirs. A session heals a fault when clients have
waited WAIT_S for it, so a figure near that, and its ratio, are lower bounds. Every campaign has a report of its own in
reports/peers/, beside the comparison, which is also told when it is stopped.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import yaml
from candidates import report_directory, some_bed, status_of
from peers_settings import PEERS, Edit, Peer

from tripleo_ha.chaos import report, session
from tripleo_ha.chaos.campaign import described
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.figures import Figures
from tripleo_ha.chaos.interrupt import Interrupts
from tripleo_ha.chaos.model import Service
from tripleo_ha.cli.chaos import check_extra
from tripleo_ha.devtest import images, prerequisites
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.files import write_file
from tripleo_ha.run import run

OURS = "ours"
FAULTS = ("kill-mariadbd", "power-cut-serving", "freeze-node-serving")
WAIT_S = 180.0
SERVICES = "usr/share/tripleo-ha/services"


@contextmanager
def patched(root: Path, peer: Peer) -> Iterator[Path]:
    """Give a copy of an unpacked image with a peer's settings where no metadata reaches them.

    The copy is made of hard links, beside the image; a file that is edited is replaced, so the image stays as it is.

    :raises Failure: a text that is to be edited is not there any more: peers_settings.py is out of date.
    """
    copy = Path(tempfile.mkdtemp(prefix="peers-", dir=root.parent)) / "root"
    try:
        run(["cp", "-al", str(root), str(copy)], timeout=300)
        for service, balance in peer.balance.items():
            path = copy / SERVICES / f"{service}.yaml"
            replace(path, rebalanced(path.read_text(), balance))
        for edit in peer.edits:
            for path in found(copy, edit):
                replace(path, path.read_text().replace(edit.old, edit.new))
        yield copy
    finally:
        shutil.rmtree(copy.parent, ignore_errors=True)


def found(root: Path, edit: Edit) -> list[Path]:
    """Return the files that hold the text of an edit."""
    holding = [path for path in root.glob(edit.files) if path.is_file() and edit.old in path.read_text()]
    if not holding:
        raise Failure(f"no {edit.files} in the image holds {edit.old!r}", "bring peers_settings.py up to date")
    return holding


def rebalanced(text: str, balance: Mapping[str, object]) -> str:
    """Return a service row with other settings of how its listener is balanced."""
    row = yaml.safe_load(text)
    for listener in row["listeners"]:
        if "balance" in listener:
            check = {**listener["balance"]["check"], **dict(balance.get("check", {}))}  # type: ignore[call-overload]
            listener["balance"] = {**listener["balance"], **balance, "check": check}
    return yaml.safe_dump(row, sort_keys=False)


def replace(path: Path, text: str) -> None:
    """Give a file another content and inode, and the mode it had."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(path.stat().st_mode & 0o7777)
    new.replace(path)


@dataclass(frozen=True)
class Plan:
    """What each is measured with: faults, how often, and the seed; where beds have room, and what is found is kept."""

    faults: Sequence[str]
    runs: int
    seed: int
    place: Path
    kept: Path


def measure(name: str, root: Path, plan: Plan, interrupts: Interrupts) -> None:
    """Strike a bed that boots from ``root`` with every fault so many times, and keep what was seen.

    :raises Failure: it did not come to the end.
    """
    directory = plan.kept / name
    directory.mkdir()
    about = {"command": command(), "seed": plan.seed, "settings": {"peer": name, "runs": plan.runs}, "scale": 3}
    (directory / "campaign.json").write_text(json.dumps(about) + "\n")
    progress = Progress(directory / "chaos.log")
    progress.say(f"{name}: everything is kept in {directory}")
    with some_bed(None, root, plan.place, interrupts, progress) as subject:
        subject.change({} if name == OURS else PEERS[name].metadata)
        opened = session.Session.open(subject.bed, directory, seed=plan.seed, interrupts=interrupts, tell=progress.say)
        with opened as at_work:
            for fault in [fault for _ in range(plan.runs) for fault in plan.faults]:
                strike = at_work.strike(catalogue.ALL[fault])
                for line in described(at_work, strike):
                    progress.say(f"{name}: {line.strip()}")
                if strike.redundant is None:
                    raise Failure("what comes after a cluster that is not whole again would measure something else")


def cell(figures: Figures | None, fault: str, service: Service) -> tuple[float, float, int] | None:
    """Return median, worst and number of runs of a fault for a service; None when there were none."""
    for each in figures.faults if figures else ():
        seen = each.services[service]
        if each.fault == fault and seen.median is not None and seen.worst is not None:
            return seen.median, seen.worst, seen.runs
    return None


def compared(measured: Mapping[str, Figures], faults: Sequence[str]) -> str:
    """Return, for each fault and service, our figures, theirs and the ratio of the medians."""
    peers = [name for name in measured if name != OURS]
    lines = [
        "longest gap of a client, s: median / worst (runs); ratio: their median to ours",
        " ".join([f"{'':<32}{OURS:>22}", *(f"{name:>22}{'ratio':>9}" for name in peers)]),
    ]
    for fault in faults:
        for service in Service:
            ours = cell(measured.get(OURS), fault, service)
            words = [f"{fault + ' ' + service:<32}{shown(ours):>22}"]
            for name in peers:
                theirs = cell(measured[name], fault, service)
                words.append(f"{shown(theirs):>22}{ratio(ours, theirs):>9}")
            lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def shown(found: tuple[float, float, int] | None) -> str:
    """Return a cell for a person."""
    if found is None:
        return "not run"
    middle, worst = ("never" if isinf(value) else f"{value:.2f}" for value in found[:2])
    return f"{middle} / {worst} ({found[2]})"


def ratio(ours: tuple[float, float, int] | None, theirs: tuple[float, float, int] | None) -> str:
    """Return how many times longer theirs is."""
    if ours is None or theirs is None or not ours[0] or isinf(ours[0]):
        return "–"
    return "∞" if isinf(theirs[0]) else f"{theirs[0] / ours[0]:.1f}"


def command() -> list[str]:
    """Return the command that repeats this."""
    return [".venv/bin/python", "tests/benchmarks/peers.py", *sys.argv[1:]]


def main(interrupts: Interrupts) -> int:
    """Measure ours and each peer, one bed after the other, and print the comparison; 1 when one is not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each fault (default: %(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="whose settings (default: %(default)s)")
    parser.add_argument("--faults", default=",".join(FAULTS), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-ours", action="store_true", help="leave our own settings out")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="boot from this unpacked image")
    parser.add_argument("--place", type=Path, default=Path("/var/tmp"), metavar="DIR", help="where beds have room")
    arguments = parser.parse_args()
    peers, faults = arguments.peers.split(","), arguments.faults.split(",")
    if unknown := [*(set(peers) - set(PEERS)), *(set(faults) - set(catalogue.ALL))]:
        raise UsageError(f"unknown: {', '.join(unknown)}", f"peers: {', '.join(PEERS)}")
    prerequisites.check_root()
    check_extra()
    # Peers may take longer to serve again than a session waits for ours before it heals.
    session.SERVED_S = WAIT_S
    kept = report_directory("peers")
    root, _ = images.find(arguments.image_root, False, Progress(kept / "image.log"))
    plan = Plan(faults, arguments.runs, arguments.seed, arguments.place, kept)
    names = [*([] if arguments.without_ours else [OURS]), *peers]
    failed = []
    try:
        for name in names:
            try:
                with patched(root, PEERS[name]) if name != OURS else nullcontext(root) as booted:
                    measure(name, booted, plan, interrupts)
            except Failure as failure:
                failed.append(name)
                sys.stderr.write(f"{name}: {failure}\n")
    finally:
        struck = [name for name in names if (kept / name / "strikes.jsonl").is_file()]
        text = compared({name: report.write(kept / name) for name in struck}, faults)
        write_file(kept / "comparison.txt", text, mode=0o644)
        print(f"{text}reports: {kept}\nrepeat: {shlex.join(command())}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(status_of(main))
