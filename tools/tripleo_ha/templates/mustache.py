"""Mustache as pystache reads it, with positions.

pystache keeps no positions, and drops what stands before a section that is never closed. This parser takes apart the
same language: the tests compare the two on generated templates.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["variable", "section", "inverted", "partial"]

_KINDS: dict[str, Kind] = {"": "variable", "&": "variable", "#": "section", "^": "inverted", ">": "partial"}
_KEY = re.compile(r"[^\s{}]+\Z")


@dataclass
class Tag:
    """One tag that reads the metadata; ``offset`` is that of its key, ``children`` are what a section holds."""

    kind: Kind
    key: str
    offset: int
    children: list["Tag"] = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """Something that is not mustache; ``rule`` is one of ``unclosed-section`` and ``malformed-tag``."""

    rule: str
    offset: int
    message: str


@dataclass
class Parsed:
    """A template taken apart: the tags at its top level, and what is wrong with it."""

    tags: list[Tag] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Take a template apart. Never raises: what is wrong is in ``problems``."""
    return _Parser(text).parse()


def _pattern(opening: str, closing: str) -> re.Pattern[str]:
    start, end = re.escape(opening), re.escape(closing)
    return re.compile(
        rf"{start}\s*(?:=\s*(?P<delimiters>.+?)\s*=|\{{\s*(?P<raw>.+?)\s*\}}"
        rf"|(?P<sign>[!>&/\#^]?)\s*(?P<key>[\s\S]+?))\s*{end}"
    )


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.parsed = Parsed()
        self.open: list[Tag] = []
        self.opening = "{{"
        self.pattern = _pattern("{{", "}}")

    def parse(self) -> Parsed:
        start = 0
        while match := self.pattern.search(self.text, start):
            self._stray(start, match.start())
            self._take(match)
            start = match.end()
        self._stray(start, len(self.text))
        for tag in self.open:
            self._problem("unclosed-section", tag.offset, f"section {tag.key} is never closed")
        return self.parsed

    def _take(self, match: re.Match[str]) -> None:
        if match["delimiters"] is not None:
            self._change(match)
        elif match["raw"] is not None:
            self._read("variable", match["raw"], match.start("raw"))
        elif match["sign"] == "/":
            self._close(match["key"], match.start("key"))
        elif match["sign"] != "!":
            self._read(_KINDS[match["sign"]], match["key"], match.start("key"))

    def _change(self, match: re.Match[str]) -> None:
        parts = match["delimiters"].split()
        if len(parts) != 2:
            self._problem("malformed-tag", match.start("delimiters"), "delimiters are two words")
            return
        self.opening = parts[0]
        self.pattern = _pattern(parts[0], parts[1])

    def _read(self, kind: Kind, key: str, offset: int) -> None:
        if not _KEY.match(key):
            self._problem("malformed-tag", offset, f"{key.splitlines()[0]!r} is no key; is a tag before it not closed?")
        tag = Tag(kind, key, offset)
        (self.open[-1].children if self.open else self.parsed.tags).append(tag)
        if kind in ("section", "inverted"):
            self.open.append(tag)

    def _close(self, key: str, offset: int) -> None:
        if not self.open:
            self._problem("unclosed-section", offset, f"{key} is closed but was not opened")
        elif self.open[-1].key == key:
            self.open.pop()
        elif any(tag.key == key for tag in self.open):
            while self.open[-1].key != key:
                tag = self.open.pop()
                self._problem("unclosed-section", tag.offset, f"section {tag.key} is not closed before {key} is")
            self.open.pop()
        else:
            self._problem("unclosed-section", offset, f"{key} is closed where {self.open[-1].key} is open")

    def _stray(self, start: int, end: int) -> None:
        found = self.text.find(self.opening, start, end)
        if found >= 0:
            self._problem("malformed-tag", found, "a tag is opened and not closed")

    def _problem(self, rule: str, offset: int, message: str) -> None:
        self.parsed.problems.append(Problem(rule, offset, message))
