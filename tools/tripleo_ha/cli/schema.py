"""``tripleo-ha schema``: what metadata may say."""

import argparse
import sys
from pathlib import Path

from tripleo_ha.cli import page

PAGE = Path("docs", "metadata-reference.md")


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "schema", help="list, show and document the metadata schemas", epilog="example: tripleo-ha schema show mysql"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="list the schemas, with what each is about").set_defaults(run=list_schemas)
    show = verbs.add_parser("show", help="print one schema")
    show.add_argument("name", metavar="NAME", help="as 'tripleo-ha schema list' prints it")
    show.set_defaults(run=show_schema)
    page.add(verbs, PAGE, "the schemas", _reference)


def list_schemas(args: argparse.Namespace) -> int:
    """Print each schema's name, title and file."""
    from tripleo_ha import paths
    from tripleo_ha.metadata import schema

    names = schema.names()
    width = max(map(len, names))
    for name in names:
        sys.stdout.write(f"{name:{width}}  {schema.read(name)['title']}  ({paths.schemas() / name}.json)\n")
    return 0


def show_schema(args: argparse.Namespace) -> int:
    """Print one schema as it is."""
    import json

    from tripleo_ha.errors import UsageError
    from tripleo_ha.metadata import schema

    if args.name not in schema.names():
        raise UsageError(f"no schema of that name: {args.name!r}", f"there are: {', '.join(schema.names())}")
    sys.stdout.write(json.dumps(schema.read(args.name), indent=2, ensure_ascii=False) + "\n")
    return 0


def _reference() -> str:
    from tripleo_ha.metadata.reference import reference

    return reference()
