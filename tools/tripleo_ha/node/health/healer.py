"""Watches what the checks and systemd say of this node, and asks for a converge run when that would mend it."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.errors import Failure
from tripleo_ha.node import draining, healing, room
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.run import run
from tripleo_ha.topology.healing import FIRST_AFTER, Answer, Cause, Condition, answer, pause

LOG = logging.getLogger("tripleo_ha.health")
INTERVAL = 1.0
UNITS_INTERVAL = 10.0
DOWN = ("inactive", "failed")
INVOCATIONS = Path("/run/systemd/units")
"""Where systemd tells journald which start of a unit is which."""
CHANGING = ("activating", "deactivating", "reloading")
RUN = "the converge run"


@dataclass(frozen=True)
class UnitState:
    """What systemd tells of a unit; the invocation changes with each start."""

    active: str
    invocation: str = ""


def watched_file() -> Path:
    """Return where a converge run writes what :func:`watched_units` returns."""
    return paths.RUNTIME / "watched.json"


def watched_units() -> dict[str, str]:
    """Return the units that have to run on this node, each with the check that speaks for it, or an empty string."""
    found: dict[str, str] = json.loads(watched_file().read_text())
    return found


class Healer:
    """Remembers for how long what has been unwell, and how often that was asked for to be mended.

    :param checks: what each check found last, by its name.
    :param watched: tells the units that this node runs now, with the check that speaks for each, or an empty string.
    """

    def __init__(
        self, checks: Mapping[str, Callable[[], CheckResult]], watched: Callable[[], Mapping[str, str]]
    ) -> None:
        self._checks = checks
        self._watched = watched
        self._units: Mapping[str, str] = {}
        self._states: dict[str, UnitState] = {}
        self._starting: set[str] = set()
        self._failing: set[str] = set()
        self._looked_at_units: float | None = None
        self._since: dict[str, float] = {}
        self._asked = 0
        self._asked_at = 0.0
        self._well_since: float | None = None

    def start(self) -> None:
        """Watch from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="healer", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.look(time.monotonic())
            except Exception as error:  # without it the endpoint would go on and heal nothing, unnoticed
                LOG.error("the healer cannot look: %s: %s", type(error).__name__, error)
            time.sleep(INTERVAL)

    def look(self, now: float) -> Mapping[str, Answer]:
        """Look once, and ask where it is time; return the answer for all that is unwell.

        :param now: monotonic seconds.
        """
        if self._looked_at_units is None or now - self._looked_at_units >= UNITS_INTERVAL:
            self._looked_at_units = now
            self._look_at_units()
        unwell = self.unwell()
        counted = [name for name, (cause, _) in unwell.items() if cause in (Cause.MENDABLE, Cause.PASSING)]
        self._since = {name: self._since.get(name, now) for name in counted}
        self._forget_requests(now, well=not unwell)
        answers = {}
        for name, (cause, why) in unwell.items():
            answers[name] = told = answer(self._condition(cause, now - self._since.get(name, now), now))
            if told.ask:
                healing.request(f"{name} has been unwell {told.reason}: {why}")
                self._asked, self._asked_at = self._asked + 1, now
        return answers

    def _condition(self, cause: Cause, seconds: float, now: float) -> Condition:
        return Condition(
            cause,
            seconds,
            self._asked,
            now - self._asked_at,
            converged=(paths.RUNTIME / "converged.json").exists(),
            converging=healing.requested() or healing.converging(),
            draining=any(draining.flags().glob("*")),
        )

    def _forget_requests(self, now: float, *, well: bool) -> None:
        if not well:
            self._well_since = None
            return
        self._well_since = now if self._well_since is None else self._well_since
        if now - self._well_since >= pause(self._asked):
            self._asked = 0

    def unwell(self) -> dict[str, tuple[Cause, str]]:
        """Return what is not well, what can be done about it, and why it is not."""
        found = {}
        for name, latest in self._checks.items():
            result = latest()
            if not result.healthy:
                found[name] = (self._cause(name, mendable=result.mendable), result.reason)
        for unit, check in self._units.items():
            state = self._states.get(unit)
            if state and state.active in DOWN:
                found[unit] = (self._cause(check, mendable=True), f"systemd says that it is {state.active}")
        if self._asked and not self._last_run_succeeded():
            # What failed because of something that is over by now would otherwise stay the last word.
            found[RUN] = (Cause.MENDABLE, "the one that was asked for did not succeed")
        return found

    def _cause(self, check: str, *, mendable: bool) -> Cause:
        if _lacks_room(check):
            return Cause.NO_ROOM
        speaks_for = {unit for unit, spoken_for in self._units.items() if check and spoken_for == check}
        if self._failing & speaks_for:
            return Cause.MENDABLE
        if self._starting & speaks_for:
            return Cause.PASSING
        return Cause.MENDABLE if mendable else Cause.OTHER

    def _look_at_units(self) -> None:
        self._units = self._watched()
        before, self._states = self._states, _states(self._units)
        changing = {unit: state for unit, state in self._states.items() if state.active in CHANGING}
        another = {unit for unit, state in changing.items() if before.get(unit, state).invocation != state.invocation}
        # One start may take long, as with a state transfer; what is started again and again does not get there alone.
        self._starting = set(changing) - another
        self._failing = {unit for unit in another if before[unit].active in CHANGING}

    @staticmethod
    def _last_run_succeeded() -> bool:
        try:
            return bool(json.loads((paths.RUNTIME / "converged.json").read_text())["ok"])
        except (OSError, ValueError, KeyError):
            return False


def _lacks_room(check: str) -> bool:
    if check == "galera":
        return bool(room.lacking(room.DATABASE, room.DATABASE_MB))
    # One that stepped aside is started by what stopped it.
    return check == "rabbitmq" and (room.WANTED.exists() or bool(room.lacking(room.BROKER, room.BROKER_MB)))


def _states(units: Mapping[str, str]) -> dict[str, UnitState]:
    """Ask systemd about all units at once; nothing is known where it does not answer.

    Not by ``systemctl show``: for that, systemd reads what each unit's control group counts, two thousand files a look.
    """
    if not units:
        return {}
    command = ["systemctl", "list-units", "--all", "--output=json", *units]
    try:
        told = json.loads(run(command, timeout=FIRST_AFTER).stdout)
    except (Failure, ValueError):
        return {}
    found = {unit["unit"]: unit["active"] for unit in told}
    # What is not loaded is not listed, and does not run.
    return {unit: UnitState(found.get(unit, "inactive"), _invocation(unit)) for unit in units}


def _invocation(unit: str) -> str:
    try:
        return str((INVOCATIONS / f"invocation:{unit}").readlink())
    except OSError:
        return ""
