"""``tripleo-ha elements-path``."""

import argparse

from tripleo_ha import paths


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser(
        "elements-path",
        help="print the directory for ELEMENTS_PATH",
        epilog="example: ELEMENTS_PATH=$(tripleo-ha elements-path) disk-image-create -o controller "
        "debian-minimal ha-controller",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the path."""
    print(paths.elements())  # noqa: T201
    return 0
