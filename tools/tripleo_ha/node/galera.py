"""Converging MariaDB with Galera: start it as the decision says, have it run the wanted configuration, serve SQL."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.node import applied, databases, galera_actions, galera_check, galera_facts, rolling, units
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.node.galera_facts import Files
from tripleo_ha.table import Row, Unit
from tripleo_ha.topology import galera_config
from tripleo_ha.topology.galera import NOWHERE, Action, Decision, Facts, Phase, Situation, decide
from tripleo_ha.topology.galera_patience import Stay, overdue
from tripleo_ha.waiting import wait_for

START_BOUND = 120.0
"""Seconds in which a node is to be a member of a Primary component, else the run fails and is tried again."""
GIVE_UP_RESTARTS = 3
"""Restarts by systemd after which a server that was started here counts as unable to start."""
POLL = 0.5
SYNCED = "4"
DONOR = "2"
OUTSIDE = "0"
"""The state of a server in no Primary component to which nothing is sent."""


def converge(context: Context, row: Row) -> None:
    """Have this node's server run as a Synced member, with the wanted configuration, databases and users.

    :raises Failure: no rule leads on without losing data, or a bounded wait ran out; the message says for whom.
    """
    (unit,) = row.units
    write_configuration(context)
    running = galera_facts.of_this_server()
    if running:
        galera_check.check(unit)
    if running is None or running[0].phase is not Phase.PRIMARY:
        bring_up(context, row, unit)
    if now_running := galera_facts.of_this_server():
        galera_actions.note_elected(Files(), now_running[0].uuid)
    if Files().fresh.exists():
        databases.bootstrap_accounts()
        Files().fresh.unlink()
    if running and running[1].get("cluster_size") == "1" and galera_actions.outdated(unit):
        restart_alone(context, row, unit)
    units.ensure(context, row, unit, before_restart=lambda: wait_turn(context, row))

    def caught_up() -> bool:
        if has_left():
            bring_up(context, row, unit)
        # What a donor sends may take longer than a run.
        return is_member(SYNCED, DONOR)

    wait_for("Galera on this node to be Synced", caught_up, timeout=START_BOUND, interval=0.2, why=_state)
    keep_evidence(context)
    databases.converge(context)
    forget_given_up(context, row)
    context.publish(row.service, state=galera_facts.to_publish(member(context, Facts(Phase.PRIMARY))))


def forget_given_up(context: Context, row: Row) -> None:
    """Forget whom an operator gave up, once a Primary component stands: it was meant for this outage alone."""
    galera_facts.LOST.unlink(missing_ok=True)
    context.publish(row.service, lost=[])


def bring_up(context: Context, row: Row, unit: Unit) -> None:
    """Start the server as the decision says; with the configuration it had, while others are to take the new one first.

    :raises Waiting: it was started, but not with the new configuration yet.
    """
    start = Start(context, row, unit, Files())
    if applied.digest_of(unit) and galera_actions.outdated(unit) and not rolling.is_my_turn(context):
        units.start_as_before(unit, start.bring_up)
    start.bring_up()


def wait_turn(context: Context, row: Row) -> None:
    """Wait until this server may stop: those before it are done, and every other one is there to take its clients."""
    rolling.wait_turn(context, row, healthy)
    rolling.wait_for_all(context, row, healthy)


def write_configuration(context: Context) -> None:
    """Write the option files that mustache cannot express."""
    mysql = context.metadata["mysql"]
    write_file(Path(galera_config.PROVIDER_FILE), galera_config.provider_file(mysql, context.cluster.me.ip), mode=0o644)
    write_file(Path(galera_config.EXTRA_FILE), galera_config.extra_file(mysql), mode=0o644)


def keep_evidence(context: Context) -> None:
    """Note for the next outage that this server caught up, and what its state left behind.

    A state transfer brings neither, so a member that was given a copy learns the latter from one that has it.
    """
    files, running = Files(), galera_facts.of_this_server()
    if running is None or not synced():
        return
    mine = replace(running[0], **galera_facts.evidence(files))
    others = galera_facts.situation(context, mine).facts.values()
    histories = [fact.history for fact in others if fact.phase is Phase.PRIMARY and fact.uuid == mine.uuid]
    galera_actions.note_history(files, max((*histories, mine.history), key=len))
    galera_actions.note_caught_up(files)


def member(context: Context, facts: Facts) -> Facts:
    """Add what the disk and the configuration tell to the facts of a server that runs, or starts."""
    told = galera_facts.evidence(Files())
    if facts.member and facts.member != told["member"]:
        told.update(member=facts.member, view=None)
    return replace(facts, **told, generation=galera_facts.generation(context))


def synced() -> bool:
    """Tell whether this node's server is Synced with a Primary component."""
    return is_member(SYNCED)


def is_member(*states: str) -> bool:
    """Tell whether this node's server is in a Primary component, in one of these states."""
    running = galera_facts.of_this_server()
    return bool(running and running[0].phase is Phase.PRIMARY and running[1].get("local_state") in states)


def has_left() -> bool:
    """Tell whether this node's server left the group, as one does whose transfer fails after it had become a member."""
    running = galera_facts.of_this_server()
    return bool(running and running[0].phase is Phase.LEFT)


def _state() -> str:
    running = galera_facts.of_this_server()
    return f"it is {running[1].get('local_state_comment')}" if running else "its server does not answer"


def healthy(told: Mapping[str, Any]) -> bool:
    """Judge a peer's status: whether its server may be sent clients."""
    return bool(told.get("checks", {}).get("galera", {}).get("healthy"))


def restart_alone(context: Context, row: Row, unit: Unit) -> None:
    """Restart the only member left, which finds nobody to join: its start is decided like one after an outage.

    Where somebody joined before it had stopped, that one is now the Primary component, and this node joins it.
    """
    rolling.wait_turn(context, row, healthy)
    units.stop(unit.name)
    Start(context, row, unit, Files()).bring_up()


@dataclass
class Start:
    """Bringing a server up that does not run, or runs outside any Primary component."""

    context: Context
    row: Row
    unit: Unit
    files: Files
    vote: str = ""
    disk: Facts | None = None
    seen: Stay = field(default_factory=lambda: Stay(Phase.DOWN))
    stay: Stay | None = None
    stays_since: float = 0.0
    restarts: int = 0
    earlier_restarts: int | None = None
    """Those before this run, whose reason may be mended by now."""
    failures: int = 0

    def bring_up(self) -> None:
        """Decide and act until this node's server is in a Primary component.

        :raises Failure: the decision is to refuse.
        :raises TimedOut: naming what was waited for last.
        """
        deadline = time.monotonic() + START_BOUND
        said = ""
        while True:
            decision = self.step()
            if decision.action is Action.KEEP:
                forget_given_up(self.context, self.row)
                return
            if decision.action is Action.REFUSE:
                raise Failure(
                    f"Galera does not start: {decision.reason}",
                    "tripleo-ha-node galera status shows the facts; galera recover --accept-loss-of NODE goes on",
                )
            if decision.reason != said:
                LOG.info("galera: %s: %s", decision.action.value, decision.reason)
                said = decision.reason
            if time.monotonic() >= deadline:
                told = f"waited {START_BOUND:g} s for Galera's Primary component: {decision.reason}"
                if self.seen.phase is Phase.STARTING:
                    told += f"; {self.unit.name} said last:\n{galera_actions.last_words(self.unit)}"
                raise TimedOut(told)
            time.sleep(POLL)

    def step(self) -> Decision:
        """Look, tell the peers, decide and act once."""
        mine = self.look()
        self.tell(mine)
        now = galera_facts.situation(self.context, mine)
        decision = decide(now)
        if ended := self.end_if_overdue(now):
            return ended
        if mine.phase is Phase.STARTING:
            return self.starting(decision)
        if decision.vote != self.vote:
            # Published before any peer's vote is read again, so that of two candidates one sees the other's.
            self.vote = decision.vote
            self.tell(mine)
            return Decision(Action.WAIT, decision.reason, decision.vote)
        self.act(decision, mine)
        return decision

    def look(self) -> Facts:
        """Return this node's own facts; the disk is read again only after the server ran."""
        running, mute = galera_facts.ask_this_server()
        if running:
            self.disk = None
            joining = running[1].get("local_state") != OUTSIDE
            applied = running[0].seqno if joining else -1
            copied = self.files.transfer.exists()
            self.seen = Stay(running[0].phase, receiving=copied, joining=joining, applied=applied)
            return member(self.context, running[0])
        told = units.properties(self.unit.name, "ActiveState", "NRestarts", "CPUUsageNSec")
        restarts = int(told.get("NRestarts") or 0)
        if self.earlier_restarts is None:
            self.earlier_restarts = restarts
        self.restarts = restarts - self.earlier_restarts
        if told["ActiveState"] in ("active", "activating", "deactivating"):
            self.disk = None
            started = told["ActiveState"] == "active"
            self.seen = Stay(
                Phase.STARTING,
                started=started,
                mute=mute,
                receiving=self.files.transfer.exists(),
                founding=galera_actions.BOOTSTRAP_ONCE.exists(),
                worked=0 if started else units.processor_seconds(told),
                failed=self.restarts > 0,
            )
            return member(self.context, Facts(Phase.STARTING))
        self.seen = Stay(Phase.DOWN)
        if self.disk is None:
            self.disk = replace(galera_facts.on_disk(self.files), generation=galera_facts.generation(self.context))
        return self.disk

    def tell(self, mine: Facts) -> None:
        """Publish this node's facts and its vote."""
        state = galera_facts.to_publish(replace(mine, vote=self.vote))
        self.context.publish(self.row.service, state=state)

    def end_if_overdue(self, now: Situation) -> Decision | None:
        """End a server that has gone on for too long as it does, and say so; else None.

        :raises Failure: its starts fail again and again.
        """
        stay = self.seen
        if not stay.mute or not stay.started:
            beside_primary, alone = bool(now.those(Phase.PRIMARY)), not now.those(Phase.PRIMARY, Phase.NON_PRIMARY)
            stay = replace(stay, beside_primary=beside_primary, alone=alone)
        if stay != self.stay:
            self.stay, self.stays_since = stay, time.monotonic()
        why = overdue(stay, time.monotonic() - self.stays_since)
        if not why:
            return None
        self.failures += stay.failed
        if self.failures >= GIVE_UP_RESTARTS:
            self.give_up(self.failures)
        self.end(why)
        return Decision(Action.END, why)

    def end(self, why: str) -> None:
        """End the server, so that the next look finds it down."""
        galera_actions.kill(self.unit)
        self.context.changed(f"{self.row.service}: ended, since {why}")

    def starting(self, decision: Decision) -> Decision:
        """Wait for the server that was started.

        :raises Failure: it ends again and again, for which its own last words are the reason.
        """
        if self.restarts >= GIVE_UP_RESTARTS:
            self.give_up(self.restarts)
        return Decision(Action.WAIT, f"this node's server is starting ({decision.reason})")

    def give_up(self, times: int) -> NoReturn:
        """Keep systemd from starting the server again, and say why it does not start.

        :raises Failure: always.
        """
        words = galera_actions.last_words(self.unit)
        galera_actions.kill(self.unit)
        raise Failure(f"{self.unit.name} ended {times} times in a row; it said last:\n{words}")

    def act(self, decision: Decision, mine: Facts) -> None:
        """Carry the decision out; starts are not waited for here."""
        if decision.vote not in ("", self.context.cluster.me.name) and mine.safe_to_bootstrap:
            # Once another is to bootstrap, this flag would found a second history after the next outage.
            galera_actions.set_safe_to_bootstrap(self.files, False)
            self.disk = None
        if decision.action is Action.END:
            self.end(decision.reason)
            return
        if decision.action not in (Action.CREATE, Action.BOOTSTRAP, Action.JOIN, Action.PROMOTE):
            return
        if decision.gives_up:
            # A running server keeps its state's UUID.
            galera_actions.kill(self.unit)
        if decision.action is not Action.PROMOTE:
            starts_plainly = decision.action is Action.JOIN
            self.tell(replace(mine, phase=Phase.STARTING, view=mine.view if starts_plainly else None))
        if decision.action is Action.PROMOTE:
            galera_actions.promote()
        elif decision.action is Action.JOIN:
            galera_actions.start(self.unit, mine.position)
        elif decision.action is Action.CREATE:
            galera_actions.initialise(self.files)
            galera_actions.start(self.unit, NOWHERE, bootstrap=True)
        else:
            galera_actions.prepare_bootstrap(self.files, leaves=mine if decision.gives_up else None)
            position = NOWHERE if decision.gives_up else mine.position
            galera_actions.start(self.unit, position, bootstrap=True)
        self.earlier_restarts = 0
        self.context.changed(f"{self.row.service}: {decision.action.value}, since {decision.reason}")
