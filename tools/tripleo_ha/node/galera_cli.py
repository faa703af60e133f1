"""``tripleo-ha-node galera``: what is known about the cluster's state, what follows from it, and the way out."""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tripleo_ha import table
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.node import galera, galera_facts, units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.topology.galera import NULL_UUID, Decision, Facts, Phase, Situation, decide


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``galera`` with its own verbs ``status`` and ``recover``."""
    text = "show the facts, the decision and the reason; go on after a loss"
    parser = subparsers.add_parser(
        "galera", help=text, description=text, epilog="example: tripleo-ha-node galera status"
    )
    verbs = parser.add_subparsers(dest="galera_verb", required=True, metavar="VERB")
    text = "show every node's facts, what this node would do now, and why"
    status_parser = verbs.add_parser("status", help=text, description=text)
    status_parser.add_argument("--format", choices=("table", "json"), default="table")
    status_parser.set_defaults(run=status)
    text = "go on without a node that stays away; commits that only it holds are given up"
    recover_parser = verbs.add_parser("recover", help=text, description=text)
    recover_parser.add_argument(
        "--accept-loss-of",
        metavar="NODE",
        required=True,
        action="append",
        dest="lost",
        help="a node of the cluster that does not answer and will not come back with its data; may be repeated",
    )
    recover_parser.set_defaults(run=recover)


def status(arguments: argparse.Namespace) -> int:
    """Print facts and decision; return 0 when this node is in a Primary component, else 1."""
    now = observe(load_context())
    decision = decide(now)
    print(as_json(now, decision) if arguments.format == "json" else "\n".join(as_text(now, decision)))  # noqa: T201
    return 0 if now.mine.phase is Phase.PRIMARY else 1


def recover(arguments: argparse.Namespace) -> int:
    """Record that nodes are lost, on this node and for its peers to read, and show what follows.

    :raises UsageError: there is no such node, or it is this one.
    :raises Failure: a node answers, or the cluster runs: nothing is lost.
    """
    context = load_context()
    now = observe(context)
    check_lost(now, arguments.lost)
    lost = sorted({*galera_facts.given_up(), *arguments.lost})
    write_file(galera_facts.LOST, json.dumps(lost))
    context.publish(galera_facts.SERVICE, lost=lost)
    now = observe(context)
    print("\n".join(as_text(now, decide(now))))  # noqa: T201
    print("The converge run acts on it: the one that waits at once, else the next (os-refresh-config).")  # noqa: T201
    print(f"Wipe {', '.join(arguments.lost)} before it is switched on again.")  # noqa: T201
    return 0


def check_lost(now: Situation, lost: Iterable[str]) -> None:
    """Refuse to give up what is not lost.

    :raises UsageError: there is no such node, or it is this one.
    :raises Failure: a node answers, or the cluster runs.
    """
    for name in lost:
        if name not in now.nodes:
            raise UsageError(f"no node {name} in this cluster", f"its nodes are {', '.join(now.nodes)}")
        if name == now.me:
            raise UsageError(f"{name} is this node", "run the command on a node that has its data")
        if name in now.facts:
            raise Failure(f"{name} answers ({now.facts[name].phase.value}), so it is not lost")
    if running := now.those(Phase.PRIMARY):
        raise Failure(f"{', '.join(running)} in the Primary component: nothing is to be recovered")


def load_context() -> Context:
    """Return the context of a converge run on this node.

    :raises Failure: no metadata was accepted, or none with a database.
    """
    context = Context.of_accepted(table.load())
    if "mysql" not in context.metadata:
        raise Failure("this cluster has no database: mysql is not in the metadata")
    return context


def observe(context: Context) -> Situation:
    """Look without touching anything: unlike a converge run, this recovers no position from the redo log."""
    running = galera_facts.of_this_server()
    if running:
        return galera_facts.situation(context, galera.member(context, running[0]))
    known = galera_facts.of_peer({"published": context.published()})
    if known is None or (known.phase is Phase.STARTING and not _runs(context)):
        found = galera_facts.on_disk(galera_facts.Files(), recover=lambda: (NULL_UUID, -1))
        known = replace(found, generation=galera_facts.generation(context))
    return galera_facts.situation(context, known)


def _runs(context: Context) -> bool:
    names = [unit.name for row in context.rows if row.service == galera_facts.SERVICE for unit in row.units]
    return any(units.properties(name, "ActiveState")["ActiveState"] not in ("inactive", "failed") for name in names)


def as_text(now: Situation, decision: Decision) -> list[str]:
    """Return a table of the facts, without columns that are empty, then the decision in words."""
    titles = ("NODE", "PHASE", "STATE", "SEQNO", "SAFE", "LAST VIEW", "WOULD HAVE START", "NOTES")
    columns = list(zip(titles, *(_row(now, name) for name in now.nodes), strict=True))
    shown = [column for column in columns if any(column[1:])]
    widths = [max(len(cell) for cell in column) for column in shown]
    rows = zip(*shown, strict=True)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"{now.me}: {decision.action.value}: {decision.reason}"]


def _row(now: Situation, name: str) -> tuple[str, ...]:
    facts = now.facts.get(name)
    if facts is None:
        return (name, "lost" if name in now.lost else "silent", "", "", "", "", "", "")
    state = "" if facts.uuid == NULL_UUID else _short(facts.uuid)
    return (
        name,
        facts.phase.value,
        state,
        str(facts.seqno) if facts.seqno >= 0 else "",
        "yes" if facts.safe_to_bootstrap else "",
        _view(now, facts),
        facts.vote,
        "; ".join(_notes(now, facts)),
    )


def _notes(now: Situation, facts: Facts) -> Iterator[str]:
    if facts.aborted:
        yield "transfer cut short"
    if facts.behind and facts.phase in (Phase.DOWN, Phase.NON_PRIMARY):
        yield "never caught up in its last view"
    if facts.history:
        yield f"went on from {', '.join(_short(uuid) for uuid in facts.history)}"
    if now.mine.generation and facts.generation not in ("", now.mine.generation):
        yield "configured for another list of controllers"


def _short(uuid: str) -> str:
    return uuid.partition("-")[0]


def _view(now: Situation, facts: Facts) -> str:
    if facts.view is None:
        return ""
    known = {other.member: name for name, other in now.facts.items() if other.member}
    return ", ".join(sorted(known.get(member, "?") for member in facts.view.members))


def as_json(now: Situation, decision: Decision) -> str:
    """Return facts and decision as one JSON document."""
    document = {
        "nodes": {name: galera_facts.to_publish(now.facts[name]) if name in now.facts else None for name in now.nodes},
        "lost": sorted(now.lost),
        "decision": {"action": decision.action.value, "reason": decision.reason, "vote": decision.vote},
    }
    return json.dumps(document, indent=2)
