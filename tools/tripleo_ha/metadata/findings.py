"""What the checker says: one finding a fault, as a value."""

import re
from dataclasses import dataclass, replace
from typing import Literal

Path = tuple[str | int, ...]
Severity = Literal["error", "warning"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_IN_NO_NAME = re.compile(r"[^\w./$-]")


@dataclass(frozen=True)
class Finding:
    """One fault of one document. What is shown of it never holds a secret: keys are repeated, string values are not.

    :param rule: stable identifier, a key of :data:`tripleo_ha.metadata.catalogue.RULES`.
    :param path: keys and list indices from the document's root to the offending place.
    :param message: what was found, in one line.
    :param expected: what would be right, or empty.
    :param suggestion: what to do, or empty.
    :param on_key: whether the key itself is at fault, rather than its value.
    :param file: where the document came from, as the user named it; empty when it came from no file.
    :param line: 1-based; 0 when not known.
    :param column: 1-based, in characters; 0 when not known.
    :param width: characters of the key or value on that line; 0 when not known.
    """

    rule: str
    path: Path
    message: str
    expected: str = ""
    suggestion: str = ""
    severity: Severity = "error"
    on_key: bool = False
    file: str = ""
    line: int = 0
    column: int = 0
    width: int = 0

    def located(self, file: str, line: int, column: int, width: int = 0) -> "Finding":
        """Return the same finding with its place in a file."""
        return replace(self, file=file, line=line, column=column, width=width)

    def __str__(self) -> str:
        where = f"{dotted(self.path)}: " if self.path else ""
        details = "; ".join(part for part in (self.expected and f"expected {self.expected}", self.suggestion) if part)
        return f"{self.rule} {where}{self.message}" + (f" ({details})" if details else "")


def dotted(path: Path) -> str:
    """Write a path as ``mysql.extra.mysqld`` or ``cluster.nodes[0]``; odd keys stand in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{clipped(part)}]"
    return text


def clipped(key: str, limit: int = 60) -> str:
    """Quote the name in a key for showing: one line, printable, at most ``limit`` characters."""
    shown = name_in(key)[:limit]
    return repr(shown if shown == key else shown + "…")


def name_in(key: str) -> str:
    """Return a key as far as it looks like a name.

    In ``{password:secret}`` and ``{password secret}`` all is key to YAML, and none is value.
    """
    return _IN_NO_NAME.split(key, maxsplit=1)[0]
