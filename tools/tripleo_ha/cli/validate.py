"""``tripleo-ha validate``: check metadata before anything is done with it."""

import argparse
import sys
from datetime import UTC, datetime

FORMATS = ("text", "json", "github", "sarif", "junit")


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "validate",
        help="check metadata documents",
        description="Check metadata documents, YAML or JSON: each alone, and those of a directory as one cluster. "
        "A Heat template or what 'openstack stack show' prints is searched for metadata. Of a passwords file, what "
        "is there is checked.",
        epilog="exit status: 0 clean, 1 findings (with --strict warnings count), 2 something could not be read",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a document, a directory of nodes, or - for stdin")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to show findings (default: text)")
    parser.add_argument("--annotate", action="store_true", help="show the lines in question, with secrets hidden")
    parser.add_argument("--strict", action="store_true", help="fail for warnings, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check and report; see ``--help`` for the exit status."""
    from tripleo_ha.errors import UsageError
    from tripleo_ha.metadata import files, reporting

    if args.annotate and args.format != "text":
        raise UsageError("--annotate goes with --format text only")
    report = files.check_files(args.files, datetime.now(UTC))
    if args.format == "text":
        text = reporting.as_text(report, annotate=args.annotate)
    else:
        text = reporting.FORMATS[args.format](report)
    sys.stdout.buffer.write(text.encode("utf-8", errors="backslashreplace"))
    sys.stdout.buffer.flush()
    return report.exit_code(strict=args.strict)
