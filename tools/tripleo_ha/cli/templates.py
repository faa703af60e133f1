"""``tripleo-ha templates``: what the elements' templates read, against what the schemas declare."""

import argparse
from dataclasses import replace
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.errors import UsageError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser("templates", help="check the elements' templates against the schemas")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser(
        "check",
        help="find keys that are read and not declared, or declared and not read",
        epilog="example: tripleo-ha templates check    (prints FILE:LINE:COLUMN: RULE: what is wrong; exit 1 if any)",
    )
    check.add_argument("--elements", type=Path, help="the elements' directory (default: this installation's)")
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; return 1 if there is one."""
    from tripleo_ha.templates import drift

    elements = arguments.elements or paths.elements()
    if not elements.is_dir():
        raise UsageError(f"{elements}: no such directory")
    findings = drift.check(elements)
    for finding in findings:
        print(replace(finding, file=str(_short(Path(finding.file)))))  # noqa: T201
    count = sum(1 for _ in drift.templates(elements))
    print(f"{count} templates, {len(findings)} findings")  # noqa: T201
    return 1 if findings else 0


def _short(path: Path) -> Path:
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
