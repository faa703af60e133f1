"""``tripleo-ha build``."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tripleo_ha import build


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser(
        "build",
        help="build the controller image",
        description="Build the controller image with disk-image-create, unless nothing that goes into it has changed.",
        epilog="example: tripleo-ha build --output .build --type qcow2",
    )
    parser.add_argument("--output", type=Path, default=Path(".build"), help="directory for the image (.build)")
    parser.add_argument(
        "--type",
        dest="formats",
        action="append",
        choices=build.FORMATS,
        help="image format beside tar; may be given more than once",
    )
    parser.add_argument("--force", action="store_true", help="build although nothing has changed")
    parser.add_argument("--install-missing", action="store_true", help="install the Debian packages a build needs")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how the result is shown")
    parser.add_argument(
        "element",
        nargs="*",
        default=list(build.ELEMENTS),
        help="elements instead of debian-minimal ha-controller, for example with baremetal added",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build, and print what came out."""
    image = build.build(
        arguments.output,
        force=arguments.force,
        formats=arguments.formats or ["tar"],
        elements=arguments.element,
        install_missing=arguments.install_missing,
        say=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
    )
    if arguments.format == "json":
        print(json.dumps(asdict(image), default=str, indent=2))  # noqa: T201
        return 0
    print(f"image     {image.tar}\nsha256    {image.checksum}\npackages  {image.manifest}")  # noqa: T201
    if image.fresh:
        print("seconds   where")  # noqa: T201
        for step, seconds in image.seconds.items():
            print(f"{seconds:7.1f}   {step}")  # noqa: T201
    return 0
