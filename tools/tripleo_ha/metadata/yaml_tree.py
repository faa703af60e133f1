"""YAML with positions, built from the parser's events, so that no depth, alias or loop can hurt."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from tripleo_ha.metadata.findings import Path
from tripleo_ha.metadata.tree import MAX_DEPTH, MAX_NODES, Mark, Node, Parsed, Unreadable, too_deep, too_many

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVERS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
_TAG = "tag:yaml.org,2002:"
_MERGE = object()
_NOTHING = object()
_NOT_PRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# libyaml reads ahead on a line, and may come to its own limit, which is far above MAX_DEPTH, before we come to ours.
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"
_KNOWN_PROBLEMS = {
    "mapping values are not allowed in this context": "a colon where no key can stand, or a wrong indentation",
    "did not find expected key": "a line that is no key: the indentation, a quote or a dash is wrong",
    "did not find expected '-' indicator": "a line of a list that does not begin with a dash",
    "could not find expected ':'": "a key without a colon",
    "did not find expected ',' or '}'": "a { that is not closed, or a comma missing",
    "did not find expected ',' or ']'": "a [ that is not closed, or a comma missing",
    "found unexpected end of stream": "a quote that is not closed",
    "found character that cannot start any token": "a character that cannot begin a value",
    "control characters are not allowed": "a control character",
    "found unknown escape character": "an unknown escape in double quotes",
}


def parse(text: str) -> Parsed:
    """Read one YAML document with the position of every key and value."""
    parsed = Parsed()
    builder = _Builder(parsed)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
        parsed.value, parsed.node = builder.result()
    except Unreadable as reason:
        parsed.usable = False
        parsed.fault(reason.rule, reason.message, reason.mark, (), reason.expected, reason.hint)
    except yaml.MarkedYAMLError as error:
        parsed.usable = False
        _syntax_error(parsed, error, text)
    except (yaml.YAMLError, RecursionError, ValueError):
        parsed.usable = False
        _forbidden_character(parsed, text)
    return parsed


def _forbidden_character(parsed: Parsed, text: str) -> None:
    match = _NOT_PRINTABLE.search(text)
    before = text[: match.start()] if match else ""
    mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
    parsed.fault("THA010", "a character that YAML does not allow", mark, (), "printable text")


def _syntax_error(parsed: Parsed, error: yaml.MarkedYAMLError, text: str) -> None:
    # The parser's own words may quote the document, and with it a secret: only words known beforehand are used.
    mark = error.problem_mark or error.context_mark
    place = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: max(place.column, 1)] and not line[: place.column].strip():
        parsed.fault("THA011", "a tab in the indentation", place, (), "spaces")
        return
    if error.problem == _LIBYAML_TOO_DEEP:
        reason = too_deep(place)
        parsed.fault(reason.rule, reason.message, place, (), reason.expected)
        return
    message = _KNOWN_PROBLEMS.get(str(error.problem), "not YAML")
    parsed.fault("THA002", message, place, (), "", "check the quotes, the brackets and the indentation around here")


@dataclass(slots=True)
class _Open:
    """A list or a map that has begun and not ended."""

    node: Node
    value: Any
    path: Path
    anchor: str | None
    key: Any = _NOTHING
    merges: list[tuple[dict[str, Any], Node]] = field(default_factory=list)


class _Builder:
    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, Node]] = {}
        self.root: tuple[Any, Node] | None = None
        self.documents = 0
        self.values = 0
        self.handlers: dict[type, Callable[[Any, Mark], None]] = {
            yaml.DocumentStartEvent: self.begin_document,
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.begin,
            yaml.SequenceStartEvent: self.begin,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
        }

    def take(self, event: Any) -> None:
        if handler := self.handlers.get(type(event)):
            handler(event, _mark(event))

    def result(self) -> tuple[Any, Node]:
        if self.root is None:
            raise Unreadable("THA013", "the document is empty", Mark(1, 1), "a map with the keys cluster and node")
        return self.root

    def begin_document(self, _: Any, mark: Mark) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Unreadable("THA012", "a second document begins", mark, "one document in a file")

    def scalar(self, event: Any, mark: Mark) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is _NOTHING:
            self.key(top, event, mark)
            return
        self.add(_scalar(self, event, mark), Node(mark), event.anchor)

    def key(self, top: _Open, event: Any, mark: Mark) -> None:
        tag = _tag(event)
        if tag == "merge":
            top.key = _MERGE
            return
        key = event.value
        if tag != "str":
            hint = "put it in quotes" if tag != "null" else ""
            self.parsed.fault("THA008", "a key that is not text", mark, top.path, "a key of text", hint)
        if event.anchor:
            self.anchors[event.anchor] = (key, Node(mark))
        if key in top.node.keys:
            first = top.node.keys[key]
            message = f"this key stands here already, on line {first.line}"
            self.parsed.fault("THA003", message, mark, (*top.path, key))
        else:
            top.node.keys[key] = mark
        top.key = key

    def alias(self, event: Any, mark: Mark) -> None:
        if any(level.anchor == event.anchor for level in self.stack):
            raise Unreadable("THA006", "an alias of something that it is part of: a loop without end", mark)
        if event.anchor not in self.anchors:
            raise Unreadable("THA002", "an alias whose anchor is not there", mark, "text in quotes, if * begins it")
        value, node = self.anchors[event.anchor]
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is _NOTHING:
            raise Unreadable("THA008", "an alias as a key", mark, "a key of text")
        self.add(value, Node(mark, node.keys, node.children, node.size), None)

    def begin(self, event: Any, mark: Mark) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is _NOTHING:
            raise Unreadable("THA008", "a list or a map as a key", mark, "a key of text")
        if len(self.stack) >= MAX_DEPTH:
            raise too_deep(mark)
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_map else "seq")):
            self.parsed.fault("THA014", "a tag, which JSON does not have", mark, self.path(), "the value without it")
        # A block collection begins with nothing that could be seen.
        node = Node(replace(mark, width=mark.width or 1), children={} if is_map else [])
        self.stack.append(_Open(node, {} if is_map else [], self.path(), event.anchor))

    def path(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, dict):
            return (*top.path, top.key) if isinstance(top.key, str) else top.path
        return (*top.path, len(top.value))

    def end(self, _: Any, mark: Mark) -> None:
        done = self.stack.pop()
        for values, node in done.merges:
            _merge(done, values, node)
        self.add(done.value, done.node, done.anchor)

    def add(self, value: Any, node: Node, anchor: str | None) -> None:
        self.values += 1
        if anchor:
            self.anchors[anchor] = (value, node)
        if not self.stack:
            self.root = (value, node)
            return
        top = self.stack[-1]
        top.node.size += node.size
        if self.values > MAX_NODES or top.node.size > MAX_NODES:
            raise too_many(node.mark)
        if isinstance(top.value, list):
            top.value.append(value)
            _list(top.node).append(node)
        elif top.key is _MERGE:
            top.merges += list(self.mergeable(value, node))
            top.key = _NOTHING
        else:
            top.value.setdefault(top.key, value)
            _dict(top.node).setdefault(top.key, node)
            top.key = _NOTHING

    def mergeable(self, value: Any, node: Node) -> Iterator[tuple[dict[str, Any], Node]]:
        items = [(value, node)]
        if isinstance(value, list):
            items = list(zip(value, _list(node), strict=True))
        for item, place in items:
            if not isinstance(item, dict):
                raise Unreadable("THA002", "<< takes a map or a list of maps", node.mark, "an alias of a map")
            yield item, place


def _merge(into: _Open, values: dict[str, Any], node: Node) -> None:
    for key, value in values.items():
        if key not in into.value:
            into.value[key] = value
            into.node.keys[key] = node.keys[key]
            _dict(into.node)[key] = _dict(node)[key]


def _dict(node: Node) -> dict[str, Node]:
    return node.children if isinstance(node.children, dict) else {}


def _list(node: Node) -> list[Node]:
    return node.children if isinstance(node.children, list) else []


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    return Mark(start.line + 1, start.column + 1, end.column - start.column if end.line == start.line else 1)


def _tag(event: Any) -> str:
    """Return the short name of a scalar's type: the one it is tagged with, or the one its notation means."""
    tag: str | None = event.tag
    if tag is not None and tag != "!":
        return tag.removeprefix(_TAG)
    text: str = event.value
    if tag == "!" or not event.implicit[0]:
        return "str"
    for name, pattern in _RESOLVERS.get(text[:1], []):
        if pattern.match(text):
            return name.removeprefix(_TAG)
    return "str"


def _scalar(builder: _Builder, event: Any, mark: Mark) -> Any:
    tag, text = _tag(event), event.value
    if tag in ("str", "merge", "value"):
        return text
    if tag not in _CONSTRUCT:
        is_date = tag == "timestamp"
        what = "a date" if is_date else "a tag, which JSON does not have"
        hint = "put it in quotes, if it is text" if is_date else ""
        builder.parsed.fault("THA009" if is_date else "THA014", what, mark, builder.path(), "what JSON has", hint)
        return None
    try:
        return _CONSTRUCT[tag](text)
    except (ValueError, OverflowError, LookupError):
        builder.parsed.fault("THA009", "a value that its type does not have", mark, builder.path(), "a finite number")
    return None


def _construct(name: str, text: str) -> Any:
    node = yaml.ScalarNode(_TAG + name, text)
    constructor = yaml.constructor.SafeConstructor()
    value = getattr(constructor, f"construct_yaml_{name}")(node)
    if isinstance(value, float) and value - value != 0:  # infinities and NaN
        raise ValueError(name)
    return value


_CONSTRUCT: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: _construct("bool", text),
    "int": lambda text: int(text) if text.isdigit() and text[0] != "0" else _construct("int", text),
    "float": lambda text: _construct("float", text),
}
