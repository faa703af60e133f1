"""``tripleo-ha``: build images, run test beds, check metadata, verify clusters."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from tripleo_ha.errors import Failure

COMMANDS = {
    "build": "build the controller image",
    "chaos": "strike a test bed with faults, and judge what clients saw",
    "devtest": "run a cluster of controllers on this machine",
    "elements-path": "print the directory for ELEMENTS_PATH",
    "metadata": "generate metadata for a cluster and rotate its keys",
    "render": "write what a node's configuration would be, and check it",
    "schema": "list, show and document the metadata schemas",
    "services": "list the table of services",
    "templates": "check the elements' templates against the schemas",
    "validate": "check metadata documents",
    "verify": "prove that a running cluster is what it should be",
}
MODULES = {"elements-path": "elements_path"}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    It exits with 0 when good, 1 when a problem was found, 2 when called wrongly or unable to run, 130 when stopped.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        # As Ctrl-C: what a command has started, and mounted, ends with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(_run(given))
    except Failure as failure:
        print(f"tripleo-ha: {failure}", file=sys.stderr)  # noqa: T201
        sys.exit(failure.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("tripleo-ha: interrupted; the same command goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def _run(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tripleo-ha",
        description="Images that boot into a highly available OpenStack control plane.",
        epilog="example: tripleo-ha devtest up    (a cluster of three on this machine)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in given if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        if name == chosen:  # only the chosen command is imported: a check of one file must not pay for the others
            import_module(f"tripleo_ha.cli.{MODULES.get(name, name)}").add(commands)
        else:
            commands.add_parser(name, help=text, add_help=False)
    arguments = parser.parse_args(given)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)
