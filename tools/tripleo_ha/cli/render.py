"""``tripleo-ha render``: what a node would have on disk, and what a change of metadata would change there."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripleo_ha import paths
from tripleo_ha.errors import Failure, UsageError

if TYPE_CHECKING:
    from tripleo_ha.metadata.masking import Mask
    from tripleo_ha.templates.render import Rendered

CONTENTS = ".tripleo-ha-render"
"""Lists what an earlier run put into the output directory, so that this one takes away what is left over."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser(
        "render",
        help="write what a node's configuration would be, and check it",
        epilog="example: tripleo-ha render --metadata nodes/overcloud-controller-0.json --out node-0    "
        "or: tripleo-ha render --diff before.json after.json",
    )
    parser.add_argument("--metadata", type=Path, metavar="FILE", help="one node's metadata (YAML or JSON)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files are written; it holds secrets")
    parser.add_argument("--diff", type=Path, nargs=2, metavar=("A", "B"), help="show what going from A to B changes")
    parser.add_argument("--elements", type=Path, help="the elements' directory (default: this installation's)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write and check, or compare."""
    if arguments.diff and not (arguments.metadata or arguments.out):
        return _diff(arguments)
    if arguments.diff or not (arguments.metadata and arguments.out):
        raise UsageError("render takes --metadata FILE and --out DIR, or --diff A B")
    return _render(arguments)


def _elements(arguments: argparse.Namespace) -> Path:
    elements: Path = arguments.elements or paths.elements()
    if not elements.is_dir():
        raise UsageError(f"{elements}: no such directory")
    return elements


def _accepted(path: Path, rows: Any) -> dict[str, Any]:
    from tripleo_ha.metadata.loading import read_document
    from tripleo_ha.node import preview

    document = read_document(path)
    try:
        return preview.accepted(document, rows)
    except Failure as refused:
        raise Failure(f"{path}: {refused.message}", f"tripleo-ha validate {path}") from refused


def _render(arguments: argparse.Namespace) -> int:
    from tripleo_ha import table
    from tripleo_ha.metadata.masking import Mask
    from tripleo_ha.node import preview, programs

    elements, rows = _elements(arguments), _rows(arguments)
    metadata = _accepted(arguments.metadata, rows)
    files = preview.files(elements, metadata, rows)
    try:
        _write(arguments.out, files)
    except OSError as error:
        raise UsageError(f"{error.filename or arguments.out}: {error.strerror}") from error
    for path, file in sorted(files.items()):
        print(f"{file.mode:04o} {file.owner}:{file.group} {path}  ({file.origin})")  # noqa: T201
    judged = list(programs.judge(arguments.out.resolve(), files, rows=rows))
    mask = Mask(metadata=metadata)
    for item in judged:
        reason = mask(item.reason).replace("\n", "\n    ")
        print(f"{item.verdict:11} {item.file} by {item.program}{': ' + reason if reason else ''}")  # noqa: T201
    print(f"{len(files)} files for {len(table.active(rows, metadata))} services in {arguments.out}")  # noqa: T201
    return 1 if any(item.verdict == "bad" for item in judged) else 0


def _rows(arguments: argparse.Namespace) -> Any:
    from tripleo_ha import table

    return table.order([table.load_row(path) for path in sorted(_elements(arguments).glob("*/service.yaml"))])


def _write(out: Path, files: "Mapping[str, Rendered]") -> None:
    contents = out / CONTENTS
    if out.is_dir() and any(out.iterdir()) and not contents.is_file():
        raise UsageError(f"{out}: holds something else", "name a new directory")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in contents.read_text().splitlines() if contents.is_file() else ():
        (out / name).unlink(missing_ok=True)
    names = sorted(path.lstrip("/") for path in files)
    contents.write_text("\n".join(names) + "\n")
    for path, file in files.items():
        target = out / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_bytes(file.body)
        target.chmod(file.mode)


def _diff(arguments: argparse.Namespace) -> int:
    from tripleo_ha.metadata.masking import Mask
    from tripleo_ha.node import preview

    elements, rows = _elements(arguments), _rows(arguments)
    before, after = (_accepted(path, rows) for path in arguments.diff)
    old, new = (preview.files(elements, metadata, rows) for metadata in (before, after))
    mask = Mask(A=before, B=after)
    changed = [path for path in sorted({**old, **new}) if old.get(path) != new.get(path)]
    for path in changed:
        sys.stdout.writelines(f"{line}\n" for line in _difference(path, old.get(path), new.get(path), mask))
    for unit, action in preview.touched(old, new, rows).items():
        print(f"{action}: {unit}")  # noqa: T201
    print(f"{len(changed)} files differ")  # noqa: T201
    return 0


def _difference(path: str, old: "Rendered | None", new: "Rendered | None", mask: "Mask") -> list[str]:
    from difflib import unified_diff

    names = (f"A{path}" if old else "/dev/null", f"B{path}" if new else "/dev/null")
    lines = list(unified_diff(_lines(old, mask), _lines(new, mask), *names, lineterm=""))
    if old and new and (old.mode, old.owner, old.group) != (new.mode, new.owner, new.group):
        lines.append(f"mode {old.mode:04o} {old.owner}:{old.group} becomes {new.mode:04o} {new.owner}:{new.group}")
    return lines or [f"A{path} and B{path} differ, and are not text"]


def _lines(file: "Rendered | None", mask: "Mask") -> list[str]:
    if file is None:
        return []
    try:
        return mask(file.body.decode()).splitlines()
    except UnicodeDecodeError:
        return ["(not text)"]
