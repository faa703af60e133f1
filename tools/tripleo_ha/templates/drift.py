"""Templates and schemas cannot drift apart: every key that is read is declared, every declared key is read."""

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import yaml

from tripleo_ha import paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import schema
from tripleo_ha.table import Row
from tripleo_ha.templates import executable, readers, scopes
from tripleo_ha.templates.findings import Finding, position
from tripleo_ha.templates.scopes import Read, Reads, dotted
from tripleo_ha.templates.shape import ANY, ITEM, Path, Shape, Tree, tree

TREE = "os-apply-config"
CONTROL = ".oac"
CONTROL_KEYS = {"allow_empty": bool, "mode": int, "owner": (str, int), "group": (str, int)}
DEFAULT_MODE = 0o644
"""What os-apply-config gives a file that is new and has no mode of its own."""
LITTER = ("readme", "copying", "license")


@dataclass(frozen=True)
class Template:
    """A file of an element's template tree; ``target`` is where it is installed, from the root."""

    file: File
    target: str
    element: str

    @property
    def runs(self) -> bool:
        """Whether os-apply-config executes it instead of rendering it."""
        return os.access(self.file, os.X_OK)

    @property
    def control(self) -> File:
        """The file that says mode and owner; it need not be there."""
        return self.file.with_name(self.file.name + CONTROL)


def check(elements: File, package: File = paths.PACKAGE) -> list[Finding]:
    """Judge the templates of all elements against the schemas, and the schemas against all who read.

    :param elements: the directory of the elements.
    :param package: the directory of the package ``tripleo_ha``, whose modules read metadata too.
    :return: in order of file and position; file names are as ``elements`` and ``package`` are given.
    :raises Failure: a service row or a template cannot be read.
    """
    rows = {file: table.load_row(file) for file in sorted(elements.glob("*/service.yaml"))}
    shapes = tree(rows.values())
    findings: list[Finding] = []
    covered = _Coverage()
    found = list(templates(elements))
    findings += _duplicates(found)
    for template in found:
        reads = read(template, shapes)
        covered.add(reads.reads)
        findings += _faults(template, reads)
        findings += _control(template, reads)
    findings += _orphans(elements)
    findings += _other_readers(rows, package, shapes, covered)
    findings += _unread(shapes, covered)
    return sorted(set(findings))


def templates(elements: File) -> Iterator[Template]:
    """Return every template of every element."""
    for root in sorted(elements.glob(f"*/{TREE}")):
        for file in sorted(root.rglob("*")):
            if file.is_file() and file.suffix != CONTROL:
                yield Template(file, f"/{file.relative_to(root)}", root.parent.name)


def read(template: Template, shapes: Tree) -> Reads:
    """Return what one template reads.

    :raises Failure: it is not a text file.
    """
    text = _text(template.file)
    return executable.analyse(text, shapes) if template.runs else scopes.analyse(text, shapes)


def _text(file: File) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: not a readable text file") from error


def _faults(template: Template, reads: Reads) -> Iterator[Finding]:
    text = _text(template.file)
    for fault in reads.faults:
        line, column = position(text, fault.offset)
        yield Finding(str(template.file), line, column, fault.rule, fault.message, fault.hint)
    name = template.file.name.lower()
    if name.startswith(LITTER) or name.endswith(("~", ".swp", ".orig", ".rej")):
        yield Finding(str(template.file), 1, 1, "not-a-template", f"it would be installed as {template.target}")


def _control(template: Template, reads: Reads) -> Iterator[Finding]:
    mode = DEFAULT_MODE
    if template.control.is_file():
        settings, problems = _settings(template.control)
        yield from (Finding(str(template.control), 1, 1, "control-file", problem) for problem in problems)
        mode = settings.get("mode", DEFAULT_MODE) if not problems else 0
    if not mode & 0o007:
        return
    text = _text(template.file)
    for secret in (found for found in reads.reads if found.secret):
        line, column = position(text, secret.offset)
        message = f"{dotted(secret.path)} is a secret, and the file's mode is {mode:04o}"
        hint = f"write `mode: 0600` into {template.control.name}"
        yield Finding(str(template.file), line, column, "secret-readable", message, hint)


def _settings(file: File) -> tuple[dict[str, Any], list[str]]:
    try:
        settings = yaml.safe_load(_text(file)) or {}
    except yaml.YAMLError:
        return {}, ["not YAML"]
    if not isinstance(settings, dict):
        return {}, ["not a mapping"]
    return settings, list(_wrong(settings))


def _wrong(settings: dict[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        kind = CONTROL_KEYS.get(key)
        if kind is None:
            yield f"os-apply-config knows no {key!r}"
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):  # type: ignore[arg-type]
            yield f"{key} has a value of the wrong type; a mode is written 0600"
        elif key == "mode" and not 0 <= value <= 0o777:
            yield f"mode {value:o} is out of range; a mode is written 0600"


def _orphans(elements: File) -> Iterator[Finding]:
    for control in sorted(elements.glob(f"*/{TREE}/**/*{CONTROL}")):
        if not control.with_suffix("").is_file():
            yield Finding(str(control), 1, 1, "control-file", "there is no template of that name beside it")


def _duplicates(found: Sequence[Template]) -> Iterator[Finding]:
    first: dict[str, Template] = {}
    for template in found:
        other = first.setdefault(template.target, template)
        if other is not template:
            message = f"{other.element} brings {template.target} too"
            yield Finding(str(template.file), 1, 1, "duplicate-template", message)


class _Coverage:
    """Which declared keys somebody reads."""

    def __init__(self) -> None:
        self.exact: set[Path] = set()
        self.whole: set[Path] = set()

    def add(self, reads: Iterable[Read]) -> None:
        for found in reads:
            (self.whole if found.whole else self.exact).add(found.path)
            if found.path[:2] == ("derived", "extra"):
                # derive() only turns an `extra` into lists; it is read where those are.
                self.whole.add((*found.path[2:3], "extra"))
            elif found.path[:2] == ("derived", "extra_files"):
                self.whole.add((*found.path[2:3], "extra", *found.path[3:4]))

    def has(self, path: Path) -> bool:
        above = {path[:length] for length in range(1, len(path) + 1)}
        return path in self.exact or bool(above & self.whole)

    def has_below(self, path: Path) -> bool:
        return self.has(path) or any(found[: len(path)] == path for found in self.exact | self.whole)


def _other_readers(rows: dict[File, Row], package: File, shapes: Tree, covered: _Coverage) -> Iterator[Finding]:
    found, findings = readers.of_package(package)
    yield from findings
    found += [reader for file, row in rows.items() for reader in readers.of_row(row, file)]
    for reader in found:
        steps = executable.resolve(shapes, reader.path)
        if len(steps) < len(reader.path):
            message = f"no schema declares {dotted(reader.path)}"
            yield Finding(str(reader.file), reader.line, reader.column, "undeclared-key", message)
        else:
            covered.add([Read(steps[-1].path, 0, whole=True)])


def _unread(shapes: Tree, covered: _Coverage) -> Iterator[Finding]:
    for name in (*schema.sections(), "derived"):
        section = shapes.root.child(name)
        assert section is not None
        for path in _unread_paths(name, section, covered):
            line, column = _declared_at(name, path[1:])
            file = str(paths.schemas() / f"{name}.json")
            yield Finding(file, line, column, "unread-key", f"nothing reads {dotted(path)}")


def _unread_paths(name: str, section: Shape, covered: _Coverage) -> Iterator[Path]:
    if name == "derived":
        yield from (("derived", key) for key in section.names() if not covered.has_below(("derived", key)))
        return
    for leaf in section.leaves():
        if not covered.has(leaf.path):
            yield leaf.path


def _declared_at(name: str, path: Path) -> tuple[int, int]:
    """Return the line and column of the key that declares ``path`` in a schema file."""
    node = _composed((paths.schemas() / f"{name}.json").read_text())
    mark = node.start_mark
    for key in path:
        steps = {ITEM: ["items"], ANY: ["additionalProperties"]}.get(key, ["properties", key])
        for step in steps:
            mark, node = next((key.start_mark, value) for key, value in node.value if key.value == step)
    return mark.line + 1, mark.column + 1


@functools.cache
def _composed(text: str) -> Any:
    """JSON is YAML, and PyYAML keeps the positions; the one in C is a hundred times faster where it is there."""
    return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
