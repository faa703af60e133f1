"""Clients at work on a test bed, faults that strike it meanwhile, and the judgement of what the clients were told."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from tripleo_ha.chaos import crew as crews
from tripleo_ha.chaos.clients.settings import REPEATABLE_READ, Settings
from tripleo_ha.chaos.cluster import Cluster
from tripleo_ha.chaos.crew import Crew
from tripleo_ha.chaos.evidence import save_journals
from tripleo_ha.chaos.faults.healing import restore
from tripleo_ha.chaos.faults.model import POWERED, Fault, Roles
from tripleo_ha.chaos.history import History
from tripleo_ha.chaos.interrupt import NoInterrupts
from tripleo_ha.chaos.judging import judge, write_verdicts
from tripleo_ha.chaos.model import Finding, Operation, Strike, Verdict, write_lines
from tripleo_ha.chaos.recovery import Whole
from tripleo_ha.chaos.sampling import Sampler
from tripleo_ha.chaos.schedule import chance_of
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.waiting import wait_for

WHOLE_S = 300.0
"""A cluster must be whole so soon before the first strike, and again before the last reads."""
SETTLED_S = 150.0
SERVED_S = 60.0
"""Clients must be served again so soon while the cause of a fault that leaves a majority lasts."""
LOOK_S = 0.1
JOURNALS = 10
"""Journals are kept after so many strikes in trouble; each time they are megabytes, and a hundred may be alike."""
SEEN_OUT_S = 15.0
"""So long after a strike the clients get to end the gaps that they are in."""
ALL = crews.ALL
Tell = Callable[[str], None]


class Holding(Protocol):
    """What can keep signals back."""

    def held(self) -> AbstractContextManager[None]:
        """Keep them back for the time of a ``with`` statement."""


@dataclass
class Ground:
    """Where one strike happens: the ``Field`` of its fault."""

    bed: Bed
    roles: Roles
    nodes: tuple[str, ...]
    random: Random
    _served: Callable[[float, float], None]
    notes: dict[str, object] = field(default_factory=dict)

    def note(self, key: str, value: object) -> None:
        """Keep something about this strike."""
        self.notes[key] = value

    def wait_served(self, timeout: float) -> None:
        """Wait until every client has succeeded again, with operations begun from now on."""
        self._served(time.monotonic(), timeout)


class Session:
    """A context manager: on entry the clients are at work and served; on exit everything is healed and gone."""

    def __init__(
        self,
        bed: Bed,
        directory: Path,
        settings: dict[str, object],
        kinds: Sequence[str],
        interrupts: Holding,
        tell: Tell,
    ) -> None:
        self.bed = bed
        self.directory = directory
        self.cluster = Cluster(bed)
        self.strikes: list[Strike] = []
        self.unfinished = ""
        """Why no further strike could be done, where that was so."""
        self.notes: dict[int, dict[str, object]] = {}
        """What the faults noted, by number of strike."""
        self._settings = settings
        self._kinds = kinds
        self._interrupts = interrupts
        self._tell = tell
        self._stack = ExitStack()
        self._causes = False
        self._troubles = 0

    @classmethod
    def open(
        cls,
        bed: Bed,
        directory: Path,
        *,
        workloads: Sequence[str] = ALL,
        seed: int = 0,
        isolation: str = REPEATABLE_READ,
        pace: float = 1.0,
        interrupts: Holding | None = None,
        tell: Tell = lambda text: None,
    ) -> "Session":
        """Return a session that is not at work yet.

        :param directory: the campaign's; made when it is not there.
        :param workloads: kinds of clients, from :data:`ALL`.
        :param pace: how many times as often as usual SQL clients do a transaction.
        :param tell: called with a line for a person now and then.
        """
        given: dict[str, object] = {"seed": seed, "isolation": isolation, "pace": pace}
        return cls(bed, directory, given, workloads, interrupts or NoInterrupts(), tell)

    def __enter__(self) -> "Session":
        """Start.

        :raises Failure: the cluster is not whole, or the clients are not served.
        """
        (self.directory / "history").mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            restore(self.bed)  # what a campaign that was killed may have left
            self._tell("waiting for the cluster to be whole")
            self.cluster.wait_whole(WHOLE_S)
            self.account = self.cluster.open_account()
            stack.callback(self.cluster.close_account, self.account)
            self.sampler = stack.enter_context(Sampler(self.cluster.view, self.directory))
            self._history = History(self.directory / "history")
            self.settings = Settings.of(self.cluster.target, self.account, **self._settings)
            self._crew = Crew(self.bed, self.directory, self.settings, self._kinds)
            stack.callback(self._crew.kill)
            self._crew.start()
            self._tell(f"waiting for the clients to be served: {', '.join(self._kinds)}")
            self.wait_served(time.monotonic(), SETTLED_S)
            stack.callback(self.heal)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._interrupts.held():
            self._stack.close()

    def roles(self) -> Roles:
        """Return who does what, once every role is somebody's.

        :raises TimedOut: one is not.
        """
        view = self.cluster.view
        wait_for("every role to be on one node", lambda: not view.unsettled(), timeout=SETTLED_S, why=view.unsettled)
        return view.roles()

    def wait_served(self, since: float, timeout: float) -> None:
        """Wait until every client has succeeded several times in a row, with operations begun after ``since``.

        :raises TimedOut: naming those that have not.
        :raises Failure: a client has ended.
        """
        why: list[str] = []

        def served() -> bool:
            self._crew.check()
            why[:] = self._waiting(since)
            return not why

        wait_for("clients to be served", served, timeout=timeout, interval=LOOK_S, why=lambda: "; ".join(why))

    def recent(self, since: float) -> list[Operation]:
        """Return what the clients have done since a moment (monotonic seconds) after the last strike's beginning."""
        self._history.follow()
        return [operation for operation in self._history.recent if operation.ended >= since]

    def strike(self, fault: Fault, nodes: Sequence[str] | None = None, random: Random | None = None) -> Strike:
        """Do a fault, wait until the cluster is whole again, and return what was done.

        :param nodes: whom it strikes, instead of whom it would choose.
        :raises KeyboardInterrupt: one came; the strike has been healed and recorded before.
        """
        number = len(self.strikes) + 1
        chance = random or chance_of(int(str(self._settings["seed"])), number, fault.name)
        roles = self.roles()
        ground = Ground(self.bed, roles, tuple(nodes or fault.choose(roles, chance)), chance, self.wait_served)
        doing = _Doing(self, fault, ground)
        self._causes = True
        doing.run(self._interrupts)
        self._causes = False
        strike = doing.record(number)
        self._keep(strike, ground)
        if doing.interrupt:
            raise doing.interrupt
        self._see_out(strike)
        return strike

    def heal(self) -> None:
        """Take the cause of whatever was being done away; nothing happens when that has been done."""
        if self._causes:
            restore(self.bed)
            self._causes = False

    def finish(self) -> tuple[Verdict, ...]:
        """Stop the clients, read what every node holds, and judge the histories.

        :raises Failure: a client did not end in order.
        """
        self.heal()
        whole = [] if self._lost() else self._whole_in_the_end()
        if self.unfinished:
            whole.append(Finding("whole", "no further strike could be done", self.unfinished))
        self.stop_clients()
        kinds, overlaps = self._crew.kinds, self.sampler.overlaps
        verdicts = judge(self.directory, self.cluster, self.settings, kinds, overlaps, self.strikes)
        if whole:
            verdicts = (Verdict("whole", tuple(whole)), *verdicts)
            write_verdicts(self.directory, verdicts)
        return verdicts

    def stop_clients(self) -> None:
        """Have the clients and the sampler finish, the consumer last, so that little is left to drain.

        :raises Failure: a client did not end in order.
        """
        self._crew.stop([kind for kind in ALL if kind != crews.CONSUME])
        self._crew.stop([crews.CONSUME])
        self.sampler.stop()

    def _lost(self) -> bool:
        """Whether the last strike has shown already that the cluster does not become whole."""
        return bool(self.strikes) and self.strikes[-1].redundant is None

    def _whole_in_the_end(self) -> list[Finding]:
        try:
            self.cluster.wait_whole(WHOLE_S)
        except Failure as failure:
            return [Finding("whole", "not whole in the end", failure.message)]
        return []

    def begin(self) -> float:
        """Forget what the clients did before now, and return now."""
        now = time.monotonic()
        self._history.follow()
        self._history.forget(now - SETTLED_S)
        return now

    def wait_whole(self, since: float, timeout: float) -> Whole:
        """Wait for full redundancy, with clients served by operations begun after ``since``.

        :raises TimedOut: it was not reached; with the reason.
        """
        return self.cluster.wait_whole(timeout, lambda: self._waiting(since))

    def _waiting(self, since: float) -> Iterable[str]:
        self._history.follow()
        return self._history.waiting(since, self._crew.workloads)

    def _see_out(self, strike: Strike) -> None:
        """Let every client be served once more, so that no gap of the strike is still open when it is told."""

        def seen_out() -> bool:
            self._history.follow()
            return not self._history.silent(strike.redundant or strike.healed)

        with contextlib.suppress(TimedOut):
            wait_for("clients to go on", seen_out, timeout=SEEN_OUT_S, interval=LOOK_S)

    def _keep(self, strike: Strike, ground: Ground) -> None:
        self.strikes.append(strike)
        self.notes[strike.number] = ground.notes
        write_lines(self.directory / "strikes.jsonl", [strike])
        if strike.trouble:
            self._troubles += 1
        if strike.trouble and self._troubles <= JOURNALS:
            with contextlib.suppress(OSError):
                save_journals(self.bed, self.directory / "journals" / str(strike.number))


class _Doing:
    """One strike being done."""

    def __init__(self, session: Session, fault: Fault, ground: Ground) -> None:
        self._session = session
        self._fault = fault
        self.ground = ground
        self._serving = False
        self._injected = self._healed = time.monotonic()
        self._redundant: float | None = None
        self._troubles: list[str] = []
        self.interrupt: KeyboardInterrupt | None = None

    def run(self, interrupts: Holding) -> None:
        """Do it all; whatever goes wrong is kept, not raised."""
        try:
            self._cause()
        except Failure as failure:
            self._troubles.append(failure.message)
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
        try:
            with interrupts.held():
                self._heal()
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
        self._recover()

    def record(self, number: int) -> Strike:
        """Return what was done."""
        powered = self.ground.notes.get(POWERED)
        return Strike(
            number,
            self._fault.name,
            self._fault.kind,
            self.ground.nodes,
            self._serving,
            self._injected,
            self._healed,
            self._redundant,
            powered if isinstance(powered, float) else None,
            "; ".join(self._troubles),
        )

    def _cause(self) -> None:
        began = time.monotonic()
        self._fault.prepare(self.ground)
        self.ground.roles = self._session.roles()
        self._serving = any(self.ground.roles.serving(node) for node in self.ground.nodes)
        self.ground.note("prepared in (s)", round(time.monotonic() - began, 1))
        self._injected = self._session.begin()
        self._fault.inject(self.ground)
        there = time.monotonic()
        if self._fault.served:
            self._last(there)
        if self._fault.minority:
            serves = self._session.cluster.minority_serves(self.ground.nodes, self._session.account)
            self._troubles += [serves] if serves else []
        time.sleep(max(0.0, there + self._fault.hold - time.monotonic()))  # the cause has to last

    def _last(self, since: float) -> None:
        try:
            self._session.wait_served(since, SERVED_S)
        except TimedOut as late:
            self._troubles.append(f"while the cause lasted: {late.message}")

    def _heal(self) -> None:
        try:
            self._fault.heal(self.ground)
        except Failure as failure:
            self._troubles.append(f"not healed: {failure.message}")
        self._healed = time.monotonic()

    def _tell(self, whole: Whole) -> None:
        waited = sorted(whole.waited.items(), key=lambda each: -each[1])
        self.ground.note("waited for (s)", ", ".join(f"{what} {seconds:.1f}" for what, seconds in waited))
        if whole.found:
            self.ground.note("a verification found", "; ".join(whole.found))

    def _recover(self) -> None:
        try:
            whole = self._session.wait_whole(self._healed, self._fault.timeout)
            self._redundant = whole.at
            self._tell(whole)
        except Failure as failure:
            self._troubles.append(failure.message)
        except KeyboardInterrupt as interrupt:
            if self.interrupt:
                raise
            self.interrupt = interrupt
            self._recover()
