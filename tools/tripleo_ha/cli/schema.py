"""``tripleo-ha schema``: what metadata may say."""

import argparse
import sys
from pathlib import Path

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
    reference = verbs.add_parser("reference", help="print the reference page, which is made of the schemas")
    change = reference.add_mutually_exclusive_group()
    change.add_argument("--write", action="store_true", help=f"write it to {PAGE} of this checkout")
    change.add_argument("--check", action="store_true", help=f"fail when {PAGE} of this checkout is stale")
    reference.set_defaults(run=reference_page)


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


def reference_page(args: argparse.Namespace) -> int:
    """Print, write or check the reference page."""
    from tripleo_ha import paths
    from tripleo_ha.metadata.reference import reference

    page, made = paths.CHECKOUT / PAGE, reference()
    if args.write:
        page.parent.mkdir(exist_ok=True)
        page.write_text(made, encoding="utf-8")
    elif args.check:
        if not page.exists() or page.read_text(encoding="utf-8") != made:
            sys.stderr.write(f"{PAGE} is stale: tripleo-ha schema reference --write\n")
            return 1
    else:
        sys.stdout.write(made)
    return 0
