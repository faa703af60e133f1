"""``tripleo-ha-node rabbitmq``: this node's view of the broker's cluster, and the way out of a split or a loss."""

import argparse
import json
import logging

from tripleo_ha import table
from tripleo_ha.errors import Failure
from tripleo_ha.node import healing, rabbitmq, rabbitmq_room, units
from tripleo_ha.node import rabbitmq_broker as broker
from tripleo_ha.node import rabbitmq_peers as peers
from tripleo_ha.node.context import LOG, Context
from tripleo_ha.node.health.rabbitmq import Memory, check
from tripleo_ha.node.health.result import CheckResult
from tripleo_ha.table import Row
from tripleo_ha.topology.rabbitmq import Membership
from tripleo_ha.topology.rabbitmq_outlook import Outlook, Step, joinable

HANDLER = "rabbitmq"


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``rabbitmq`` with its own verbs ``status`` and ``recover``."""
    text = "show the broker's cluster as this node sees it; join it anew"
    parser = subparsers.add_parser(
        "rabbitmq", help=text, description=text, epilog="example: tripleo-ha-node rabbitmq status"
    )
    verbs = parser.add_subparsers(dest="rabbitmq_verb", required=True, metavar="VERB")
    text = "show members, who runs, alarms, whether clients are sent here, what follows, and why"
    status_parser = verbs.add_parser("status", help=text, description=text)
    status_parser.add_argument("--format", choices=("table", "json"), default="table")
    status_parser.set_defaults(run=status)
    text = "give up what this node's broker holds, and join the cluster of the others as a new member"
    recover_parser = verbs.add_parser("recover", help=text, description=text)
    recover_parser.add_argument(
        "--discard",
        action="store_true",
        required=True,
        help="agree to lose the messages that only this node has",
    )
    recover_parser.add_argument(
        "--majority-is-lost",
        action="store_true",
        help="there is no cluster to join, and will not be: every node that is left is to begin anew",
    )
    recover_parser.set_defaults(run=recover)
    text = "stop this node's broker while its disk has no room, and have it started again after (systemd calls this)"
    verbs.add_parser("aside", help=text, description=text).set_defaults(run=aside)


def aside(arguments: argparse.Namespace) -> int:
    """Have the broker out of the others' way until there is room."""
    logging.getLogger("tripleo_ha").setLevel(logging.INFO)
    rabbitmq_room.step_aside(*load())
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print what this node's broker says; return 0 when it may be sent clients, else 1."""
    context, row = load()
    found = look(context)
    next_step = foresee(context, row, found)
    names = [node.name for node in context.cluster.nodes]
    lines = [*as_text(found, names), f"{context.cluster.me.name}: {next_step.step.value}: {next_step.reason}"]
    print(as_json(found, next_step) if arguments.format == "json" else "\n".join(lines))  # noqa: T201
    return 0 if found.healthy else 1


def look(context: Context) -> CheckResult:
    """Ask this node's broker, and leave no word of what was found."""
    return check(context.metadata, Memory(), leaves_word=False)


def foresee(context: Context, row: Row, found: CheckResult) -> Outlook:
    """Say what follows from what this node's broker and its peers' tell."""
    facts = found.facts
    mine = Membership(frozenset(facts["members"]), frozenset(facts["running"])) if facts.get("running") else None
    return peers.foresee(context, row, mine)


def recover(arguments: argparse.Namespace) -> int:
    """Stop the broker, drop its data and have it join again.

    :raises Failure: the broker is well, there is no cluster to join, a converge run is under way, or the broker does
        not come back.
    """
    context, row = load()
    with healing.no_run():
        found = look(context)
        if found.healthy and (step := foresee(context, row, found)).step is not Step.RECOVER:
            raise Failure(f"this node's broker is healthy ({step.reason}): nothing is to be recovered")
        peer = joinable(context.cluster.me.name, peers.told_by_peers(context))
        if peer is None and not arguments.majority_is_lost:
            # What this node holds may be what a majority comes back with.
            raise Failure(
                "the other controllers' brokers have no majority without this one: no cluster to join",
                "bring them back; where that will never be, --majority-is-lost on every node that is left begins anew",
            )
        logging.getLogger("tripleo_ha").setLevel(logging.INFO)
        follows = f"joins {peer} as a new member" if peer else "begins anew"
        LOG.info("rabbitmq: what this node's broker holds is dropped, and it %s", follows)
        units.stop(row.units[0].name)
        broker.wipe(context.cluster.me.name)
        rabbitmq.converge(context, row, anew=arguments.majority_is_lost)
    return status(argparse.Namespace(format="table"))


def as_text(found: CheckResult, names: list[str]) -> list[str]:
    """Return one line a controller and the verdict; a member that the metadata does not name is told as such."""
    members, running = found.facts.get("members", []), found.facts.get("running", [])
    lines = []
    listed = [*names, *(member for member in members if member not in names)]
    width = max(len(name) for name in listed)
    for name in listed:
        outside = "not a member" if members else "unknown"
        state = "running" if name in running else "down" if name in members else outside
        lines.append(f"{name:<{width}}  {state}" + ("" if name in names else ", not in cluster.nodes"))
    if alarms := found.facts.get("alarms"):
        lines.append(f"alarms here: {', '.join(alarms)}")
    return [*lines, f"{'healthy' if found.healthy else 'unhealthy'}: {found.reason}"]


def as_json(found: CheckResult, next_step: Outlook) -> str:
    """Return the same as a JSON object: ``healthy``, ``reason``, ``members``, ``running``, ``alarms``, ``decision``."""
    decision = {"action": next_step.step.value, "reason": next_step.reason}
    return json.dumps({"healthy": found.healthy, "reason": found.reason, **found.facts, "decision": decision}, indent=2)


def load() -> tuple[Context, Row]:
    """Return the context of a converge run on this node, and the broker's row.

    :raises Failure: no metadata was accepted, or none with a broker.
    """
    context = Context.of_accepted(table.load())
    row = next((row for row in context.rows if row.handler == HANDLER), None)
    if row is None:
        raise Failure("this cluster has no message broker: rabbit is not in the metadata")
    return context, row
