"""JSON with positions: the slow, exact reading, for when the fast one found something wrong."""

import json
import re
from bisect import bisect_right
from typing import Any

from tripleo_ha.metadata.findings import Path
from tripleo_ha.metadata.tree import MAX_DEPTH, MAX_NODES, Mark, Node, Parsed, Unreadable, too_deep, too_many

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z.])")
_WORD = re.compile(r"[A-Za-z_]+|-Infinity")
_CONSTANTS = {"true": True, "false": False, "null": None}
_NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


class Duplicate(ValueError):
    """A key stands twice in one object; the fast reading does not know where."""


def fast(text: str) -> Any:
    """Read JSON without positions.

    :raises ValueError: it is not strict JSON, or a key stands twice.
    :raises RecursionError: it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse)


def parse(text: str) -> Parsed:
    """Read JSON with the position of every key and value."""
    parsed = Parsed()
    scanner = _Scanner(text, parsed)
    try:
        parsed.value, parsed.node = scanner.document()
    except Unreadable as reason:
        parsed.usable = False
        parsed.fault(reason.rule, reason.message, reason.mark, (), reason.expected, reason.hint)
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise Duplicate("a key stands twice")
    return mapping


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class _Scanner:
    """One pass over the text; the nesting is kept in calls, which MAX_DEPTH bounds."""

    def __init__(self, text: str, parsed: Parsed) -> None:
        self.text = text
        self.parsed = parsed
        self.position = 0
        self.values = 0
        self.line_starts = [0] + [match.end() for match in re.finditer("\n", text)]

    def mark(self, start: int, end: int | None = None) -> Mark:
        line = bisect_right(self.line_starts, start)
        begin = self.line_starts[line - 1]
        width = 1 if end is None else end - start
        return Mark(line, start - begin + 1, width)

    def document(self) -> tuple[Any, Node]:
        value, node = self.value((), 0)
        self.skip()
        if self.position < len(self.text):
            raise self.wrong("something follows the end of the document", "nothing more")
        return value, node

    def skip(self) -> None:
        space = _SPACE.match(self.text, self.position)
        self.position = space.end() if space else self.position

    def peek(self) -> str:
        self.skip()
        return self.text[self.position : self.position + 1]

    def wrong(self, message: str, expected: str, hint: str = "") -> Unreadable:
        mark = self.mark(self.position)
        if self.position >= len(self.text):
            return Unreadable("THA002", "the document ends in the middle", mark, expected)
        here = self.text[self.position]
        if here in "#/":
            return Unreadable("THA002", "JSON has no comments", mark, expected, "remove the comment")
        if here == "'":
            return Unreadable("THA002", "text in single quotes", mark, "double quotes")
        return Unreadable("THA002", message, mark, expected, hint)

    def value(self, path: Path, depth: int) -> tuple[Any, Node]:
        start = self.peek()
        self.values += 1
        if self.values > MAX_NODES:
            raise too_many(self.mark(self.position))
        if depth > MAX_DEPTH:
            raise too_deep(self.mark(self.position))
        if start == "{":
            return self.mapping(path, depth)
        if start == "[":
            return self.sequence(path, depth)
        begin = self.position
        value = self.string() if start == '"' else self.bare(path)
        return value, Node(self.mark(begin, self.position))

    def string(self) -> str:
        match = _STRING.match(self.text, self.position)
        if not match:
            raise self.wrong(
                "text that has no closing quote, a raw line break or a wrong escape",
                "text in double quotes on one line",
            )
        self.position = match.end()
        text: str = json.loads(match[0])
        return text

    def bare(self, path: Path) -> Any:
        if number := _NUMBER.match(self.text, self.position):
            return self.number(number)
        word = _WORD.match(self.text, self.position)
        name = word[0] if word else ""
        if name in _CONSTANTS:
            self.position += len(name)
            return _CONSTANTS[name]
        if name in _NOT_FINITE:
            mark = self.mark(self.position, self.position + len(name))
            self.parsed.fault("THA009", f"{name} is not JSON", mark, path, "a finite number")
            self.position += len(name)
            return None
        raise self.wrong("not a JSON value", "text in double quotes, a number, true, false, null, { or [")

    def number(self, match: re.Match[str]) -> Any:
        self.position = match.end()
        if match[1] or match[2]:
            return float(match[0])
        try:
            return int(match[0])
        except ValueError:
            digits = f"a number of {len(match[0])} digits"
            raise Unreadable("THA009", digits, self.mark(match.start()), "a number that a machine can hold") from None

    def sequence(self, path: Path, depth: int) -> tuple[Any, Node]:
        begin = self.position
        self.position += 1
        values: list[Any] = []
        nodes: list[Node] = []
        while self.peek() != "]":
            value, node = self.value((*path, len(values)), depth + 1)
            values.append(value)
            nodes.append(node)
            self.separator("]")
        self.position += 1
        return values, Node(self.mark(begin, begin + 1), children=nodes)

    def mapping(self, path: Path, depth: int) -> tuple[Any, Node]:
        begin = self.position
        self.position += 1
        values: dict[str, Any] = {}
        children: dict[str, Node] = {}
        node = Node(self.mark(begin, begin + 1), children=children)
        while self.peek() != "}":
            key, mark = self.key()
            value, child = self.value((*path, key), depth + 1)
            if key in values:
                first = node.keys[key]
                self.parsed.fault("THA003", f"this key stands here already, on line {first.line}", mark, (*path, key))
            else:
                node.keys[key], values[key], children[key] = mark, value, child
            self.separator("}")
        self.position += 1
        return values, node

    def key(self) -> tuple[str, Mark]:
        if self.peek() != '"':
            raise self.wrong("not a key", "a key in double quotes")
        begin = self.position
        key = self.string()
        mark = self.mark(begin, self.position)
        if self.peek() != ":":
            raise self.wrong("no colon after a key", "a colon")
        self.position += 1
        return key, mark

    def separator(self, closing: str) -> None:
        here = self.peek()
        if here == closing:
            return
        if here != ",":
            raise self.wrong("two values with no comma between them", f"a comma or {closing}")
        comma = self.position
        self.position += 1
        if self.peek() == closing:
            self.position = comma
            raise self.wrong(f"a comma before {closing}", closing, "remove the comma")
