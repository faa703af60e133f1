"""The verb ``reference`` of a command that makes a page of the documentation."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tripleo_ha import paths


def add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", page: Path, source: str, make: Callable[[], str]
) -> None:
    """Register the verb.

    :param page: the file, from the top of a checkout.
    :param source: what ``make`` makes it of, as a person calls it.
    """
    parser = verbs.add_parser("reference", help=f"print the reference page, which is made of {source}")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--write", action="store_true", help=f"write it to {page} of this checkout")
    change.add_argument("--check", action="store_true", help=f"fail when {page} of this checkout is stale")
    parser.set_defaults(run=partial(_run, parser.prog, page, make))


def _run(command: str, page: Path, make: Callable[[], str], arguments: argparse.Namespace) -> int:
    file, made = paths.CHECKOUT / page, make()
    if arguments.write:
        file.parent.mkdir(exist_ok=True)
        file.write_text(made, encoding="utf-8")
    elif arguments.check:
        if not file.exists() or file.read_text(encoding="utf-8") != made:
            sys.stderr.write(f"{page} is stale: {command} --write\n")
            return 1
    else:
        sys.stdout.write(made)
    return 0
