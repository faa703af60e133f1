"""A campaign: one fault after another, until a number of them or a time is reached, or something is found."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from typing import Any

from tripleo_ha.chaos import figures, schedule
from tripleo_ha.chaos.checkers import control
from tripleo_ha.chaos.clients.settings import READ_COMMITTED
from tripleo_ha.chaos.crew import SQL
from tripleo_ha.chaos.evidence import save_journals
from tripleo_ha.chaos.faults.model import Fault
from tripleo_ha.chaos.interrupt import Interrupts
from tripleo_ha.chaos.judging import read_lists
from tripleo_ha.chaos.model import Strike, Verdict, read_operations
from tripleo_ha.chaos.session import ALL, Session
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file
from tripleo_ha.verify.result import Problem, attempt

ENGINES = ("mariadb-server-core", "galera-4", "rabbitmq-server", "haproxy", "corosync", "pacemaker", "keystone")
CONTROL_S = 20.0
CONTROL_PACE = 3.0
"""Updates are lost where transactions meet, which at the usual pace few do."""
LATE = 1.2
"""On a slow machine a short campaign may take so many times its time, rather than leave a family of faults out."""
INTERRUPTED = 130
GOOD, FOUND = 0, 1


@dataclass(frozen=True)
class Plan:
    """What a campaign is to do.

    ``faults`` are struck in this order. With ``seconds``, those are left out that would not end so soon after the first
    one began, but for the first ``opening`` of them, which only must not begin :data:`LATE`; ``cheapest`` is the least
    cost that any of the faults has.
    """

    faults: Iterator[Fault]
    seed: int
    seconds: float | None = None
    opening: int = 0
    cheapest: float = 0.0
    clients: tuple[str, ...] = ALL
    command: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def conduct(bed: Bed, directory: Path, plan: Plan, progress: Progress) -> int:
    """Carry a campaign out, leave everything that the report needs in ``directory``, and return the exit status.

    :returns: 0 when nothing was found, 1 when something was, 130 when it was told to stop; a second signal ends it at
        once. Every cause is healed whichever way it ends.
    :raises Failure: it could not begin.
    """
    about = _About(bed, directory, plan)
    about.write()
    with Interrupts() as interrupts:
        try:
            session = Session.open(
                bed, directory, workloads=plan.clients, seed=plan.seed, interrupts=interrupts, tell=progress.say
            )
            with session:
                stopped = _strikes(session, plan, progress)
                progress.say("stopping the clients; reading what every node holds")
                verdicts = session.finish()
        except KeyboardInterrupt:
            progress.say("stopped; every cause has been healed, nothing has been judged")
            return INTERRUPTED
        finally:
            about.end()
    for verdict in verdicts:
        _tell(verdict, progress)
    if not all(verdict.ok for verdict in verdicts):
        with suppress(OSError):
            save_journals(bed, directory / "journals" / "end")
        return FOUND
    return INTERRUPTED if stopped else GOOD


def positive_control(bed: Bed, directory: Path, seed: int, progress: Progress) -> int:
    """Have clients lose updates, with READ COMMITTED and no fault, and return 0 when the checker says so, else 1."""
    about = _About(bed, directory, Plan(iter(()), seed, clients=(SQL,), settings={"isolation": READ_COMMITTED}))
    about.write()
    with Interrupts() as interrupts:
        session = Session.open(
            bed,
            directory,
            workloads=(SQL,),
            seed=seed,
            isolation=READ_COMMITTED,
            pace=CONTROL_PACE,
            interrupts=interrupts,
            tell=progress.say,
        )
        with session:
            progress.say(f"{CONTROL_S:g} s of transactions with {READ_COMMITTED}, which loses updates")
            time.sleep(CONTROL_S)
            session.stop_clients()
            finals = read_lists(directory, session.cluster, session.settings)
    verdict = control.check(read_operations((directory / "history").glob("*.jsonl")), finals["lists"])
    about.end()
    _tell(verdict, progress)
    return GOOD if verdict.ok else FOUND


def new_directory(seed: int, parent: Path) -> Path:
    """Return the directory of a campaign that begins now; it is not made."""
    return parent / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{seed}"


def _strikes(session: Session, plan: Plan, progress: Progress) -> bool:
    """Do the faults, and return whether it was told to stop."""
    try:
        for fault in _in_time(plan):
            progress.keep(f"{len(session.strikes) + 1:3} {fault.name}: {fault.summary}")
            strike = session.strike(fault)
            line, *more = described(session, strike)
            progress.say(line)
            for text in more:
                progress.keep(text)
            if strike.redundant is None:
                progress.say(f"the cluster is not whole again; see {session.directory / 'journals'}")
                break
    except Failure as failure:
        # What hours of strikes have shown is judged, whatever keeps the next one from being done.
        progress.say(f"no further strike: {failure.message}")
        session.unfinished = failure.message
    except KeyboardInterrupt:
        progress.say("told to stop: all is healed; checking what was done (again Ctrl-C leaves that out)")
        return True
    return False


def _in_time(plan: Plan) -> Iterator[Fault]:
    """Yield the faults that a plan has time for; each is done when the next is asked for."""
    if plan.seconds is None:
        yield from plan.faults
        return
    clock = schedule.Clock(plan.seconds)
    began = time.monotonic()
    for number, fault in enumerate(plan.faults):
        passed = time.monotonic() - began
        if number < plan.opening:
            if passed >= plan.seconds * LATE:
                return
        elif not clock.fits(plan.cheapest, passed):
            return
        elif not clock.fits(fault.cost, passed):
            continue
        yield fault
        clock.took(fault, time.monotonic() - began - passed)


def described(session: Session, strike: Strike) -> Iterator[str]:
    """Yield what is told of a strike: the line of figures, and what went wrong."""
    (seen,) = figures.of([strike], session.recent(strike.injected - 5)).strikes
    found = [f"{name} {_seconds(seen.figure(each), seen.least(each))}" for name, each in seen.services.items()]
    gaps = ", ".join(found)
    end = "not whole again"
    if seen.from_injection is not None and seen.from_heal is not None:
        end = f"whole after {seen.from_injection:.1f} s ({seen.from_heal:.1f} s from the heal)"
    role = "" if strike.serving else " (not serving)"
    yield f"{strike.number:3} {strike.fault} on {', '.join(map(_short, strike.nodes))}{role}: {gaps} s; {end}"
    if notes := session.notes.get(strike.number):
        yield f"    {', '.join(f'{key}: {value}' for key, value in notes.items())}"
    if strike.trouble:
        yield f"    TROUBLE: {strike.trouble}"


class _About:
    """The file ``campaign.json``."""

    def __init__(self, bed: Bed, directory: Path, plan: Plan) -> None:
        self._file = directory / "campaign.json"
        self._document: dict[str, Any] = {
            "command": list(plan.command),
            "seed": plan.seed,
            "settings": {**plan.settings, "clients": list(plan.clients)},
            "begin": _now(),
            "end": None,
            "image": bed.record.image_checksum,
            "scale": len(bed.nodes),
            "versions": _versions(bed),
        }

    def write(self) -> None:
        """Write it."""
        write_file(self._file, json.dumps(self._document, indent=1) + "\n", mode=0o644)

    def end(self) -> None:
        """Write it with the time of the end."""
        self._document["end"] = _now()
        self.write()


def _versions(bed: Bed) -> dict[str, str]:
    for node in bed.nodes:
        argv = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", *ENGINES]
        told = attempt(bed.exec, node.name, argv, timeout=20, check=False)
        if not isinstance(told, Problem) and told.stdout:
            return dict(line.split(" ", 1) for line in told.stdout.splitlines())
    return {}


def _tell(verdict: Verdict, progress: Progress) -> None:
    counts = ", ".join(f"{name} {number}" for name, number in verdict.counts.items())
    progress.say(f"{verdict.checker}: {'good' if verdict.ok else f'{len(verdict.findings)} FOUND'} ({counts})")
    for finding in itertools.islice(verdict.findings, 20):
        progress.say(f"    {finding.what}: {finding.detail}")


def _seconds(value: float, least: float | None) -> str:
    if isinf(value):
        return "unknown" if least is None else f">= {least:.2f} (still open)"
    return f"{value:.2f}"


def _short(node: str) -> str:
    return node.removeprefix("overcloud-")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
