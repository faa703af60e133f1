"""The schemas: reading them, walking them, filling in their defaults. Validation is in ``validation``."""

import copy
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha import paths
from tripleo_ha.metadata.findings import Path

Schema = Mapping[str, Any]

ROOT = "controller"
"""The schema of a whole document; the others are each of one top-level key."""


@functools.cache
def read(name: str) -> dict[str, Any]:
    """Return one schema, read once in a process.

    :param name: of a file in ``schemas/``, without its suffix.
    :raises OSError: there is none of that name.
    """
    schema: dict[str, Any] = json.loads((paths.schemas() / f"{name}.json").read_text(encoding="utf-8"))
    return schema


@functools.cache
def sections() -> tuple[str, ...]:
    """Return the top-level keys that are ours, in the order of the root schema."""
    return tuple(key for key, value in read(ROOT)["properties"].items() if "$ref" in value)


def names() -> tuple[str, ...]:
    """Return the names of all schemas: the root, the sections in order, then any other by name."""
    found = {path.stem for path in paths.schemas().glob("*.json")}
    first = (ROOT, *sections())
    return first + tuple(sorted(found.difference(first)))


def subschema(path: Path) -> Schema | None:
    """Return what declares the value at ``path``, or None where nothing does.

    A key that may be anything (a node's name under ``fencing.devices``) is declared by its parent.
    """
    if not path or path[0] not in sections():
        return None
    schema: Schema | None = read(str(path[0]))
    for part in path[1:]:
        schema = _child(schema, part)
        if schema is None:
            return None
    return schema


def _child(schema: Schema | None, part: str | int) -> Schema | None:
    if schema is None:
        return None
    if isinstance(part, int):
        items: Schema | None = schema.get("items")
        return items
    found = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    return found if isinstance(found, Mapping) else None


def declared(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Walk a schema's properties, parents first; ``[]`` stands for any list item, ``*`` for any key."""
    for key, child in schema.get("properties", {}).items():
        yield (*path, key), child
        yield from declared(child, (*path, key))
    for keyword, stand_in in (("items", "[]"), ("additionalProperties", "*")):
        child = schema.get(keyword)
        if isinstance(child, Mapping):
            yield (*path, stand_in), child
            yield from declared(child, (*path, stand_in))


def is_secret(path: Path) -> bool:
    """Tell whether the value at ``path``, or something it is part of, is declared secret."""
    return any((subschema(path[:length]) or {}).get("x-secret", False) for length in range(1, len(path) + 1))


def hides_keys(path: Path) -> bool:
    """Tell whether a secret that is no map is declared at ``path``: a key below it is a value that is written wrongly.

    :param path: in a document, or in a template that has one somewhere in it.
    """
    declared = (subschema(path[begin:]) or {} for begin, part in enumerate(path) if part in sections())
    return any(each.get("x-secret") and each.get("type") != "object" for each in declared)


def without_hidden(path: Path) -> Path:
    """Return a path up to the first part that :func:`hides_keys`."""
    return next((path[:length] for length in range(1, len(path)) if hides_keys(path[:length])), path)


def with_defaults(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a valid document in which every declared default stands.

    Sections that are absent stay absent, because absence means that the service is not run; only what every
    controller has (``x-always``) is added. The document itself is left alone.
    """
    filled = copy.deepcopy(dict(document))
    for name in sections():
        schema = read(name)
        if schema.get("x-always"):
            filled.setdefault(name, {})
        if name in filled:
            _fill(filled[name], schema)
    return filled


def _fill(value: Any, schema: Schema) -> None:
    if isinstance(value, list):
        for item in value:
            _fill(item, schema.get("items", {}))
    if not isinstance(value, dict):
        return
    for key, child in schema.get("properties", {}).items():
        if "default" in child:
            value.setdefault(key, copy.deepcopy(child["default"]))
    for key, item in value.items():
        _fill(item, _child(schema, key) or {})
