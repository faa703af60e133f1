"""The form of a semantic rule: a pure function from a document to findings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.findings import Finding

Document = Mapping[str, Any]
"""The sections of one node's metadata that passed their schema, by name."""


@dataclass(frozen=True)
class Rule:
    """A rule and the sections without which it has nothing to say.

    It reads no others, unless it names none: then it reads all that there are.
    """

    sections: frozenset[str]
    run: Callable[[Document], Iterator[Finding]]

    def __call__(self, document: Document) -> Iterator[Finding]:
        """Judge a document, if it has what is needed."""
        return self.run(document) if self.sections <= set(document) else iter(())


def needs(*sections: str) -> Callable[[Callable[[Document], Iterator[Finding]]], Rule]:
    """Make a rule of a generator that reads these sections."""
    return lambda run: Rule(frozenset(sections), run)


def duplicates(values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield the index of each value that stood before, with the index where it stood first."""
    first: dict[Any, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            yield index, first[value]


def value_of(document: Document, section: str, key: str) -> Any:
    """Return what a section says, or the default that its schema declares."""
    return document[section].get(key, schema.read(section)["properties"][key].get("default"))
