"""What a parser brings home: the document, where each part of it stands, and what was wrong with its notation."""

from dataclasses import dataclass, field
from typing import Any

from tripleo_ha.metadata.findings import Finding, Path

MAX_DEPTH = 64
"""Levels of nesting; the metadata needs six, and a parser's own stack must not be what runs out."""
MAX_NODES = 200_000
"""Values of one document, each alias counted as what it stands for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text: 1-based line and column, and the width of what stands there, of which nothing has none.

    What goes on in further lines has the width 1.
    """

    line: int
    column: int
    width: int = 0


@dataclass(slots=True)
class Node:
    """Where one value stands, where its keys stand, and the nodes of what it holds, by key or by index."""

    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)
    children: "dict[str, Node] | list[Node] | None" = None
    size: int = 1

    def child(self, part: str | int) -> "Node | None":
        """Return the node of one item, or None."""
        if isinstance(self.children, dict):
            return self.children.get(str(part))
        if isinstance(self.children, list) and isinstance(part, int) and part < len(self.children):
            return self.children[part]
        return None

    def mark_of(self, path: Path, *, on_key: bool) -> Mark:
        """Return the place of a key or of its value; what is not there has its nearest parent's place."""
        node, mark = self, self.mark
        for index, part in enumerate(path):
            last = index == len(path) - 1
            key = node.keys.get(str(part))
            child = node.child(part)
            if child is None:
                return key or mark
            # An empty value has no place of its own.
            mark = key if key and (on_key or not last or not child.mark.width) else child.mark
            node = child
        return mark


@dataclass(slots=True)
class Parsed:
    """A document as far as it could be read. ``value`` means nothing when ``usable`` is false."""

    value: Any = None
    node: Node | None = None
    findings: list[Finding] = field(default_factory=list)
    usable: bool = True

    def fault(self, rule: str, message: str, mark: Mark, path: Path = (), expected: str = "", hint: str = "") -> None:
        """Record what is wrong with the notation at ``mark``."""
        self.findings.append(
            Finding(rule, path, message, expected, hint, "error", True, "", mark.line, mark.column, mark.width)
        )


class Unreadable(Exception):
    """Parsing cannot go on from here."""

    def __init__(self, rule: str, message: str, mark: Mark, expected: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.mark = mark
        self.expected = expected
        self.hint = hint


def too_deep(mark: Mark) -> Unreadable:
    """Say that a document is nested too deeply to be metadata."""
    return Unreadable("THA004", f"nested deeper than {MAX_DEPTH} levels", mark, f"at most {MAX_DEPTH} levels")


def too_many(mark: Mark) -> Unreadable:
    """Say that a document holds too much, or that its aliases multiply to too much."""
    return Unreadable(
        "THA005",
        f"more than {MAX_NODES} values, with every alias written out",
        mark,
        f"at most {MAX_NODES} values",
    )


def is_too_much(value: Any) -> bool:
    """Tell whether a value is nested deeper or holds more than metadata can, without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    values = 1
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return False
        values += sum(map(len, level))
        if values > MAX_NODES:
            return True
        level = [
            item
            for parent in level
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, (dict, list))
        ]
    return bool(level)
