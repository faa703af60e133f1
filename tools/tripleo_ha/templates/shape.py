"""What a template may find in the metadata: the schemas and the derived keys as one tree that can be walked."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.derived import extra_files
from tripleo_ha.table import Row

Path = tuple[str, ...]
ITEM = "[]"
"""Stands in a path for any item of a list."""
ANY = "*"
"""Stands in a path for any key of a mapping whose keys are not declared one by one."""
COMPOUND = frozenset({"object", "array"})


@dataclass(frozen=True)
class Shape:
    """The part of the tree at one path.

    ``present`` tells that a value is surely there when everything above it is.
    """

    path: Path
    declared: Mapping[str, Any]
    present: bool = True

    @property
    def types(self) -> frozenset[str]:
        """The JSON types a value may have; all of them where the schema names none."""
        named = self.declared.get("type", ["object", "array", "string", "number", "boolean"])
        return frozenset([named] if isinstance(named, str) else named)

    @property
    def secret(self) -> bool:
        """Whether a value at or above this path is a secret."""
        return bool(self.declared.get("x-secret"))

    @property
    def required(self) -> Sequence[str]:
        """The keys that the value must have."""
        required: Sequence[str] = self.declared.get("required", ())
        return required

    def child(self, key: str) -> "Shape | None":
        """Return what is under ``key``, or None when no such key is declared."""
        properties = self.declared.get("properties", {})
        if key in properties:
            found = properties[key]
            return self._below(key, found, key in self.required or "default" in found)
        other = self.declared.get("additionalProperties")
        return self._below(ANY, other, False) if isinstance(other, Mapping) else None

    def item(self) -> "Shape | None":
        """Return what any item of a list has, or None when it is not a list."""
        items = self.declared.get("items")
        return self._below(ITEM, items, True) if isinstance(items, Mapping) else None

    def names(self) -> list[str]:
        """Return the keys that are declared by name."""
        return list(self.declared.get("properties", {}))

    def leaves(self) -> Iterable["Shape"]:
        """Return every key below that has none below itself; an ``extra`` is one key."""
        below = [self.child(key) for key in self.names()]
        below += [self.child(ANY) if isinstance(self.declared.get("additionalProperties"), Mapping) else None]
        below += [self.item()]
        found = [shape for shape in below if shape]
        if not found or self.declared.get("x-extra"):
            yield self
            return
        for shape in found:
            yield from shape.leaves()

    def _below(self, key: str, declared: Mapping[str, Any], present: bool) -> "Shape":
        if self.secret and not declared.get("x-secret"):
            declared = {**declared, "x-secret": True}
        return Shape((*self.path, key), declared, present)


@dataclass(frozen=True)
class Tree:
    """The whole of it.

    ``implied`` maps a path under ``derived`` to the metadata key whose presence brings it about; ``needs`` maps a
    metadata key to those without which the checker refuses it.
    """

    root: Shape
    implied: Mapping[Path, str]
    needs: Mapping[str, frozenset[str]]


def tree(rows: Iterable[Row]) -> Tree:
    """Put the sections' schemas and ``derived`` under one root; what is derived from rows has their keys by name."""
    sections = {name: schema.read(name) for name in schema.sections()}
    derived = copy.deepcopy(schema.read("derived"))
    implied: dict[Path, str] = {}
    for row in rows:
        for path in _from_row(row):
            _declare(derived, path)
            implied |= {("derived", *path[:depth]): row.metadata for depth in range(2, len(path) + 1)}
    for name in sections:
        if "extra" in sections[name].get("properties", {}):
            for path in _of_extra(name):
                _declare(derived, path)
                implied |= {("derived", *path[:depth]): name for depth in range(2, len(path) + 1)}
    for group in derived["properties"].values():
        if group.get("properties") and "additionalProperties" in group:
            group["additionalProperties"] = False
    required = ["derived", "cluster", "node", *(name for name, found in sections.items() if found.get("x-always"))]
    root = Shape((), {"type": "object", "properties": {**sections, "derived": derived}, "required": required})
    direct = {name: frozenset(found.get("x-needs", ())) for name, found in sections.items()}
    return Tree(root, implied, {name: _closure(name, direct) for name in direct})


def _closure(name: str, direct: Mapping[str, frozenset[str]]) -> frozenset[str]:
    reached: set[str] = set()
    ahead = [name]
    while ahead:
        fresh = direct[ahead.pop()] - reached
        reached |= fresh
        ahead += fresh
    return frozenset(reached)


def _of_extra(name: str) -> list[Path]:
    by_file: list[Path] = [("extra_files", name, file) for file in extra_files(name)]
    return by_file or [("extra", name)]


def _from_row(row: Row) -> Iterable[Path]:
    for database in row.databases:
        yield "databases", database.name
    if row.broker:
        yield "brokers", row.metadata
    if row.oslo:
        yield "oslo", row.metadata
        if "policy" in row.oslo.sections:
            yield "policies", row.metadata
    for listener in row.balanced:
        if listener.protocol == "http" and listener.balance:
            for vip in listener.balance.vips:
                yield "urls", listener.name, vip


def _declare(derived: dict[str, Any], path: Path) -> None:
    """Give ``path`` a property of its own at each level that takes any key."""
    at = derived
    for key in path:
        properties = at.setdefault("properties", {})
        if key not in properties:
            other = at.get("additionalProperties")
            properties[key] = copy.deepcopy(other) if isinstance(other, dict) else {}
        at = properties[key]
