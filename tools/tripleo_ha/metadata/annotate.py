"""Showing a document's lines with marks under what is wrong, and nothing of what might be secret."""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tripleo_ha.metadata import formats, schema
from tripleo_ha.metadata.findings import Finding, Path, name_in
from tripleo_ha.metadata.loading import Document
from tripleo_ha.metadata.tree import Mark, Node

HIDDEN = "********"
CONTEXT = 1
"""Lines shown before and after one with a finding."""
WIDTH = 100
"""Columns shown of a longer line: those around what is wrong."""
Span = tuple[int, int]
"""Begin and end of a part of a line, 0-based, the end not included."""

_TOKEN = re.compile(r"\S+")
_STRUCTURE = re.compile(r"[-{}\[\],:?]{1,2}\Z|[{}\[\],:]+\Z")
_LEADING_KEY = re.compile(r'[\s{\[-]*"?([A-Za-z_][\w.-]*)"?\s*:')
_SHOWN_TYPES = ("integer", "number", "boolean")
_SHOWN_FORMATS = ("ipv4", "cidr")


def annotate(document: Document, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines around each finding, numbered, with marks below and the identifiers of the rules.

    Names of keys are shown, and values of the kinds that cannot be secrets where the schema declares one. All else,
    comments included, stands as ``********``. Of a document that cannot be parsed only declared keys are shown.
    """
    lines = document.text.split("\n")
    safe = _safe_spans(document, findings) if document.usable else None
    by_line: dict[int, list[Finding]] = {}
    for finding in findings:
        by_line.setdefault(finding.line, []).append(finding)
    last = 0
    for number in _shown(by_line, len(lines)):
        if last and number > last + 1:
            yield "      …"
        last = number
        line = lines[number - 1].rstrip("\r")
        spans = _declared_key(line) if safe is None else safe.get(number, [])
        yield from _marked(number, line, spans, by_line.get(number, []))


def _shown(marked: Iterable[int], count: int) -> list[int]:
    wanted = {near for line in marked for near in range(line - CONTEXT, line + CONTEXT + 1)}
    return sorted(number for number in wanted if 1 <= number <= count)


def _marked(number: int, line: str, spans: Iterable[Span], findings: Sequence[Finding]) -> Iterator[str]:
    text, columns = mask(line, spans)
    if len(text) > WIDTH and findings:
        # A document on one line: each finding gets its own excerpt.
        for finding in findings:
            yield from _excerpt(number, text, columns, [finding])
        return
    yield from _excerpt(number, text, columns, findings)


def _excerpt(number: int, text: str, columns: Sequence[int], findings: Sequence[Finding]) -> Iterator[str]:
    places = [_column(columns, finding.column) for finding in findings]
    begin = max(0, places[0] - WIDTH // 2) if places and len(text) > WIDTH else 0
    yield f"{number:5} | {text[begin : begin + WIDTH]}".rstrip()
    for finding, place in zip(findings, places, strict=True):
        width = _column(columns, finding.column + finding.width) - place
        indent = place - begin
        yield f"      | {' ' * indent}{'^' * max(1, min(width, WIDTH - indent))} {finding.rule} {finding.message}"


def _column(columns: Sequence[int], column: int) -> int:
    return columns[min(max(column, 1), len(columns)) - 1]


def mask(line: str, spans: Iterable[Span]) -> tuple[str, list[int]]:
    """Hide what is not in ``spans`` and is no punctuation.

    :return: the text to show, and for each column of the line (and its end) the column in that text.
    """
    pieces: list[tuple[int, int, str]] = []
    at = 0
    for begin, end in sorted(spans):
        if begin >= at:
            pieces += _outside(line, at, begin)
            pieces.append((begin, end, line[begin:end]))
            at = end
    pieces += _outside(line, at, len(line))
    text, columns = "", []
    for begin, end, shown in pieces:
        exact = len(shown) == end - begin and shown != HIDDEN
        columns += [len(text) + (offset if exact else 0) for offset in range(end - begin)]
        text += shown
    columns.append(len(text))
    return "".join(character if character.isprintable() else " " for character in text), columns


def _outside(line: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the pieces of a part that is not known to be harmless: blanks, punctuation, and what is hidden."""
    hidden_from = -1
    at = begin
    for token in _TOKEN.finditer(line[begin:end]):
        start, stop = begin + token.start(), begin + token.end()
        if _STRUCTURE.match(token[0]):
            if hidden_from >= 0:
                yield hidden_from, at, HIDDEN
                hidden_from = -1
            yield at, stop, line[at:stop]
        elif hidden_from < 0:
            yield at, start, line[at:start]
            hidden_from = start
        at = stop
    if hidden_from >= 0:
        yield hidden_from, at, HIDDEN
    yield at, end, line[at:end]


def _safe_spans(document: Document, findings: Iterable[Finding]) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for finding in findings:
        if finding.rule == "THA003" and finding.on_key:
            line, span = _name(Mark(finding.line, finding.column, finding.width), str(finding.path[-1]))
            found.setdefault(line, []).append(span)
    for line, span in _safe_in(document.node, document.value, ()):
        found.setdefault(line, []).append(span)
    return found


def _safe_in(node: Node, value: Any, path: Path) -> Iterator[tuple[int, Span]]:
    if node.children is not None and schema.hides_keys(path):
        return
    for key, mark in node.keys.items():
        yield _name(mark, key)
    if isinstance(node.children, dict) and isinstance(value, dict):
        for key, child in node.children.items():
            yield from _safe_in(child, value[key], (*path, key))
    elif isinstance(node.children, list) and isinstance(value, list):
        for index, child in enumerate(node.children):
            yield from _safe_in(child, value[index], (*path, index))
    elif node.children is None and _harmless(value, path):
        yield node.mark.line, (node.mark.column - 1, node.mark.column - 1 + node.mark.width)


def _name(mark: Mark, key: str) -> tuple[int, Span]:
    name = name_in(key)
    begin = mark.column - 1
    return mark.line, (begin, begin + (mark.width if name == key else min(len(name), mark.width)))


def _harmless(value: Any, path: Path) -> bool:
    declared = schema.subschema(path)
    if declared is None or schema.is_secret(path):
        return False
    if declared.get("type") in _SHOWN_TYPES:
        return isinstance(value, (bool, int, float))
    if declared.get("format") in _SHOWN_FORMATS:
        return isinstance(value, str) and formats.CHECKS[declared["format"]](value)
    return "enum" in declared and value in declared["enum"]


def _declared_key(line: str) -> list[Span]:
    match = _LEADING_KEY.match(line)
    return [match.span(1)] if match and match[1] in _key_names() else []


@functools.cache
def _key_names() -> frozenset[str]:
    below = {str(path[-1]) for name in schema.sections() for path, _ in schema.declared(schema.read(name)) if path}
    return frozenset(below.union(schema.sections()))
