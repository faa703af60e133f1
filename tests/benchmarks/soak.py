"""False alarms: what a cluster takes for a failure while every core and every disk of the machine is busy.

usage: .venv/bin/python tests/benchmarks/soak.py [--minutes 15] [--settings pacemaker.token_ms=600,…]

Burners take every core at nice 0, writers keep the disk of the bed busy with fsync, and light clients work through the
virtual IPs. No node fails. Afterwards the nodes' journals and status variables tell what was taken for a failure: any
failover, any member that left, any server that the balancer gave up. Each ``--settings`` is one candidate; exit 1 when
any of them had a false alarm. What was found is kept after each, in reports/soak/, and told when it is stopped, too.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from candidates import add_bed, overrides, report_directory, some_bed, status_of

from tripleo_ha.chaos.interrupt import Interrupts
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.run import start
from tripleo_ha.verify.runner import Target

sys.path.append(str(Path(__file__).parents[1] / "functional"))

from availability import watching

BURN = "while True: pass"
WRITE = """
import os, sys
handle = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
block = os.urandom(1 << 20)
while True:
    for number in range(128):
        os.pwrite(handle, block, number << 20)
        os.fsync(handle)
"""
STATUS = ("wsrep_cluster_conf_id", "wsrep_flow_control_paused_ns")
HERTZ = os.sysconf("SC_CLK_TCK")
TELL_S = 60.0
QUEUE_FOUNDED = "1"
"""The Raft term of the first election of every queue, when it is declared."""


@dataclass(frozen=True)
class Event:
    """One thing that a journal tells: of which unit, by which words, and whether it is a false alarm or a near miss."""

    what: str
    unit: str
    words: str
    alarm: bool = True


EVENTS = (
    Event("corosync: token late", "corosync", r"Token has not been received in", alarm=False),
    Event("corosync: not scheduled", "corosync", r"was not scheduled", alarm=False),
    Event("corosync: token lost", "corosync", r"A processor failed"),
    Event("corosync: member left", "corosync", r"A new membership .*Members.* left:"),
    Event("corosync: membership formed", "corosync", r"A new membership "),
    Event("pacemaker: virtual IP started", "pacemaker", r"Result of start operation for vip-\S+ on"),
    Event("pacemaker: singleton started", "pacemaker", r"Result of start operation for (?!vip-|haproxy-|fence-)\S+ on"),
    Event(
        "pacemaker: operation failed", "pacemaker", r"Unexpected result|Result of monitor operation .*: (?!OK|Not run)"
    ),
    Event("galera: check late", "mariadb", r"last inactive check more than", alarm=False),
    Event("galera: suspected", "mariadb", r"suspected node|suspecting node|detected inactive node"),
    Event("galera: view changed", "mariadb", r"WSREP: view\(view_id\("),
    Event("galera: not primary", "mariadb", r"Received NON-PRIMARY"),
    Event("rabbitmq: node down", "rabbitmq-server", r"rabbit on node \S+ down|node 'rabbit@\S+' down: "),
    Event("rabbitmq: partition", "rabbitmq-server", r"(?i)partial partition|running_partitioned_network"),
    Event("rabbitmq: leader elected", "rabbitmq-server", r"detected a new leader .* in term (?P<term>\d+)"),
    Event("haproxy: server down", "haproxy", r"^Server (?P<server>[^/]+)/\S+ is DOWN"),
    Event(
        "systemd: unit failed",
        "init",
        r"^(mariadb|rabbitmq-server|epmd|haproxy|corosync|pacemaker|keystone|tripleo-ha)\S* Failed",
    ),
)


@dataclass
class Outcome:
    """What one candidate brought: counts of events, and numbers that a person wants beside them."""

    alarms: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)


def tally(journals: Mapping[str, Sequence[Mapping[str, Any]]]) -> Outcome:
    """Count what the journals tell; an election that several nodes tell of counts once.

    :param journals: by node, the entries as ``journalctl -o json`` prints them.
    """
    outcome = Outcome()
    elections: set[str] = set()
    for entry in (entry for entries in journals.values() for entry in entries):
        unit, text = entry.get("_SYSTEMD_UNIT", ""), message(entry)
        for event in EVENTS:
            if not unit.startswith(event.unit) or not (found := re.search(event.words, text)):
                continue
            groups = found.groupdict()
            if groups.get("term") == QUEUE_FOUNDED or ("term" in groups and found[0] in elections):
                continue
            elections.add(found[0])
            name = f"{event.what} ({groups['server']})" if "server" in groups else event.what
            (outcome.alarms if event.alarm else outcome.near)[name] += 1
    return outcome


def message(entry: Mapping[str, Any]) -> str:
    """Return an entry's text; what is not printable, such as colours, makes journald tell it as a list of bytes."""
    text = entry.get("MESSAGE") or ""
    return bytes(text).decode(errors="replace") if isinstance(text, list) else str(text)


def journals(bed: Bed, since: float) -> dict[str, list[dict[str, Any]]]:
    """Return every node's journal entries from a moment (seconds since the epoch) on."""
    argv = ["journalctl", f"--since=@{since:.0f}", "-o", "json", "--output-fields=MESSAGE,_SYSTEMD_UNIT", "--no-pager"]
    return {
        node.name: [json.loads(line) for line in bed.exec(node.name, argv, timeout=300).stdout.splitlines()]
        for node in bed.nodes
    }


def statuses(bed: Bed) -> dict[str, dict[str, str]]:
    """Return Galera's status variables and Corosync's ring of each node."""
    names = ",".join(f"'{name}'" for name in STATUS)
    query = f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"
    found = {}
    for node in bed.nodes:
        answer = bed.exec(node.name, ["mariadb", "--batch", "--skip-column-names", "-e", query], timeout=120).stdout
        told = dict(line.split("\t", 1) for line in answer.splitlines())
        ring = bed.exec(node.name, ["corosync-quorumtool", "-s"], timeout=120, check=False).stdout
        told["ring"] = next((line.split()[-1] for line in ring.splitlines() if line.startswith("Ring ID")), "unknown")
        found[node.name] = told
    return found


@contextlib.contextmanager
def busy(place: Path, burners: int, writers: int) -> Iterator[Callable[[], None]]:
    """Keep every core and the disk of ``place`` busy; what is given raises Failure when one of the loads has ended.

    :param burners: processes for each core; ``writers`` in all.
    """
    with tempfile.TemporaryDirectory(prefix="tripleo-ha-soak-", dir=place) as directory:
        log = Path(directory) / "log"
        loads = [[sys.executable, "-c", BURN]] * (burners * (os.cpu_count() or 1))
        loads += [[sys.executable, "-c", WRITE, f"{directory}/{number}"] for number in range(writers)]
        processes: list[subprocess.Popen[str]] = []

        def check() -> None:
            if ended := [process for process in processes if process.poll() is not None]:
                raise Failure(f"{len(ended)} of the loads ended: {log.read_text()[-500:]}")

        try:
            for argv in loads:
                processes.append(start(argv, input="", log=log))
            yield check
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def cores_busy() -> tuple[float, float]:
    """Return the processor seconds that this machine has worked so far, and those it could have."""
    times = [int(word) / HERTZ for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def stalled() -> float:
    """Return the seconds for which something waited for a disk so far, 0 where the kernel does not tell."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/pressure/io").read_text().split("\n", 1)[0].rpartition("total=")[2]) / 1e6
    return 0.0


class Meter:
    """How busy the machine has been since this was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._worked, self._could = cores_busy()
        self._waited = stalled()

    def read(self) -> dict[str, str]:
        """Return it, for a person."""
        worked, could = cores_busy()
        waited = (stalled() - self._waited) / (time.monotonic() - self._began)
        cores = (worked - self._worked) / (could - self._could)
        return {"cores busy": f"{100 * cores:.0f} %", "waiting for disks": f"{100 * waited:.0f} %"}


def soak(bed: Bed, target: Target, minutes: float, burners: int, writers: int, progress: Progress) -> Outcome:
    """Have one candidate under load for that long, and return what it brought.

    :raises Failure: clients are not served before, or one of the loads ended.
    """
    with watching(target) as watch:
        before, since = statuses(bed), time.time()
        with busy(bed.state.parent, burners, writers) as check:
            meter, began = Meter(), time.monotonic()
            while (left := began + minutes * 60 - time.monotonic()) > 0:
                time.sleep(min(TELL_S, left))  # the load is the condition
                check()
                conditions = meter.read()
                told = ", ".join(f"{what} {value}" for what, value in conditions.items())
                progress.say(f"{(time.monotonic() - began) / 60:.1f} of {minutes:g} minutes: {told}")
            ended = time.monotonic()
            progress.say("reading the nodes' journals")
            # While the load is there: what has begun in it may still end in a failover.
            found = tally(journals(bed, since))
        gaps = watch.gaps(began, ended)
    after = statuses(bed)
    for name, told in after.items():
        changed = [key for key in ("wsrep_cluster_conf_id", "ring") if told.get(key) != before[name].get(key)]
        found.alarms.update(f"{key} changed" for key in changed)
    paused = sum(int(each["wsrep_flow_control_paused_ns"]) for each in after.values())
    paused -= sum(int(each["wsrep_flow_control_paused_ns"]) for each in before.values())
    found.told = {
        **conditions,
        "galera: flow control": f"{paused / 1e9:.1f} s",
        **{f"longest gap: {name}": f"{gap.seconds:.2f} s" for name, gap in gaps.items()},
    }
    return found


def compared(outcomes: Mapping[str, Outcome], title: str) -> str:
    """Return a table, candidates as columns."""
    names = list(outcomes)
    alarms = sorted({event.what for event in EVENTS if event.alarm} | {w for o in outcomes.values() for w in o.alarms})
    rows = [("FALSE ALARMS", [""] * len(names))]
    rows += [(what, [str(outcomes[name].alarms[what]) for name in names]) for what in alarms]
    near = [event.what for event in EVENTS if not event.alarm]
    rows += [("near misses", [""] * len(names))]
    rows += [(what, [str(outcomes[name].near[what]) for name in names]) for what in near]
    rows += [("conditions and clients", [""] * len(names))]
    told = dict.fromkeys(what for outcome in outcomes.values() for what in outcome.told)
    rows += [(what, [outcomes[name].told.get(what, "") for name in names]) for what in told]
    first = max(len(what) for what in [title, *(what for what, _ in rows)])
    widths = [max(12, len(name)) for name in names]
    lines = [" ".join([title.ljust(first), *(name.rjust(width) for name, width in zip(names, widths, strict=True))])]
    for what, values in rows:
        cells = (value.rjust(width) for value, width in zip(values, widths, strict=True))
        lines.append(" ".join([what.ljust(first), *cells]).rstrip())
    return "\n".join(lines)


def keep(directory: Path, outcomes: Mapping[str, Outcome], about: Mapping[str, Any]) -> str:
    """Write what was found so far, and return it as a table."""
    found = {
        name: {"alarms": dict(each.alarms), "near_misses": dict(each.near), "told": each.told}
        for name, each in outcomes.items()
    }
    write_file(directory / "report.json", json.dumps({**about, "candidates": found}, indent=1) + "\n", mode=0o644)
    title = f"{about['minutes']:g} minutes each, {about['cores']} cores"
    text = compared(outcomes, title) + "\n"
    write_file(directory / "report.txt", text, mode=0o644)
    return text


def main(interrupts: Interrupts) -> int:
    """Soak each candidate, print, and return 1 when there was a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15, help="for each candidate (default: %(default)s)")
    parser.add_argument("--burners", type=int, default=2, help="processes that burn each core (default: %(default)s)")
    parser.add_argument("--writers", type=int, default=2, help="processes that write and fsync (default: %(default)s)")
    parser.add_argument(
        "--settings",
        action="append",
        type=lambda text: (text, overrides(text)),
        metavar="KEY=VALUE,…",
        help="a candidate: metadata to change, or `defaults`; again for another (default: defaults)",
    )
    add_bed(parser)
    arguments = parser.parse_args()
    directory = report_directory("soak")
    progress = Progress(directory / "soak.log")
    progress.say(f"everything is kept in {directory}")
    load = {"minutes": arguments.minutes, "burners": arguments.burners, "writers": arguments.writers}
    about = {**load, "cores": os.cpu_count(), "kernel": os.uname().release, "command": sys.argv}
    outcomes: dict[str, Outcome] = {}
    try:
        with some_bed(arguments.state, arguments.image_root, arguments.place, interrupts, progress) as subject:
            for name, changes in arguments.settings or [("defaults", {})]:
                progress.say(f"{name}: converging, then {arguments.minutes:g} minutes of load")
                try:
                    outcomes[name] = soak(subject.bed, subject.change(changes), **load, progress=progress)
                except Failure as failure:
                    progress.say(f"{name}: {failure.message}")
                    outcomes[name] = Outcome(alarms=Counter({"not measured to the end": 1}))
                keep(directory, outcomes, about)
    finally:
        if outcomes:
            print(keep(directory, outcomes, about))
        print(f"report: {directory}")
    return 1 if any(outcome.alarms for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(status_of(main))
