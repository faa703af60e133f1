"""``tripleo-ha-node``: what runs on a controller. Hooks, units and operators call it."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence

from tripleo_ha import paths
from tripleo_ha.errors import Failure

VERBS = {
    "accept": "check the collected metadata; what fails here reaches no template",
    "bake": "prepare an image at the end of its build",
    "clear-routers": "leave nothing of Neutron's routers on this node (a unit does)",
    "converge": "bring this node to what the accepted metadata says",
    "drain": "have clients, virtual IPs and singletons leave this node, which is about to stop (a unit does)",
    "end-sessions": "end HAProxy's long sessions when the virtual IPs have left this node (a unit does)",
    "heal": "take up the health endpoint's request for a converge run, which then follows (a unit does)",
    "health": "serve the health endpoint (the unit tripleo-ha-health does)",
    "status": "show what this node accepted, converged to, and why not",
}
RUN = ("accept", "converge")
"""Verbs that os-refresh-config's hooks call."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb; exit with 0, with 1 on a failure, told in words, or with 2 when called wrongly."""
    parser = argparse.ArgumentParser(
        prog="tripleo-ha-node",
        description="Converge and inspect this controller.",
        epilog="example: tripleo-ha-node status",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    given = list(sys.argv[1:] if argv is None else argv)
    for name, text in VERBS.items():
        verbs.add_parser(name, help=text, description=text)
    _add_engines(verbs, given)
    arguments = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    run: Callable[[argparse.Namespace], int] = getattr(arguments, "run", _run)
    try:
        sys.exit(run(arguments))
    except Failure as failure:
        if arguments.verb in RUN:
            from tripleo_ha.node.accept import run_again

            run_again()
        print(f"tripleo-ha-node {arguments.verb}: {failure}", file=sys.stderr)  # noqa: T201
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _add_engines(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", given: list[str]) -> None:
    # The engines' own commands are imported only when asked for: every converge run would pay for it.
    for name, module in (("galera", "galera_cli"), ("probe", "probe"), ("rabbitmq", "rabbitmq_cli")):
        if given[:1] == [name] or given[:1] in ([], ["-h"], ["--help"]):
            from importlib import import_module

            import_module(f"tripleo_ha.node.{module}").add(verbs)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.verb == "accept":
        from tripleo_ha.node.accept import accept

        accept()
    elif arguments.verb == "converge":
        from tripleo_ha.node.converge import converge

        converge()
    elif arguments.verb == "drain":
        from tripleo_ha.node.leaving import drain

        drain()
    elif arguments.verb == "end-sessions":
        from tripleo_ha.node.leaving import end_sessions

        end_sessions()
    elif arguments.verb == "health":
        from tripleo_ha.node.health.server import serve

        serve()
    elif arguments.verb == "heal":
        from tripleo_ha.node.healing import take_up

        take_up()
    elif arguments.verb == "clear-routers":
        from tripleo_ha.node.routers import clear

        clear()
    elif arguments.verb == "bake":
        from tripleo_ha.node.image import bake

        bake()
    else:
        return status()
    return 0


def status() -> int:
    """Print the outcome of the last run, and why this node last asked for one.

    Return 1 when metadata was refused or something did not converge.
    """
    from tripleo_ha.node import healing

    converged, refused = paths.RUNTIME / "converged.json", paths.RUNTIME / "refused.json"
    if refused.exists():
        print(json.loads(refused.read_text())["reason"])  # noqa: T201
    if not converged.exists():
        print("this node has not converged since it booted")  # noqa: T201
        return 1
    told = json.loads(converged.read_text())
    print(f"configuration {told['generation']}: {'converged' if told['ok'] else 'not converged'}")  # noqa: T201
    for service, reason in {**told["failures"], **told["skipped"]}.items():
        print(f"  {service}: {reason}")  # noqa: T201
    if healed := healing.last():
        print(healed)  # noqa: T201
    for problem in _fencing():
        print(f"  fencing: {problem}")  # noqa: T201
    return 0 if told["ok"] and not refused.exists() else 1


def _fencing() -> tuple[str, ...]:
    accepted = paths.RUNTIME / "metadata.json"
    metadata = json.loads(accepted.read_text()) if accepted.exists() else {}
    if not metadata.get("pacemaker", {}).get("fencing"):
        return ()
    from tripleo_ha.node import fencing

    return fencing.problems(metadata)
