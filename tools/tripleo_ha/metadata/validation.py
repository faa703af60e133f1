"""JSON Schema's verdict on one section, translated into findings that hold no value of a string."""

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from tripleo_ha.metadata import formats, heat, schema, suggestions
from tripleo_ha.metadata.findings import Finding, Path, clipped, name_in

MAX_FINDINGS = 200
"""Findings of one section after which no more are looked for: a wrong kind of file fails everywhere."""


class Error(Protocol):
    """What is read of a ``jsonschema.ValidationError``."""

    validator: str
    instance: Any
    schema: Any

    @property
    def absolute_path(self) -> Any: ...

    @property
    def absolute_schema_path(self) -> Any: ...


class Validator(Protocol):
    """What is used of a jsonschema validator."""

    def iter_errors(self, instance: Any) -> Iterator[Any]: ...


def check_section(name: str, value: Any) -> list[Finding]:
    """Validate the value of one top-level key against its schema.

    :param name: one of :func:`tripleo_ha.metadata.schema.sections`.
    """
    return _findings(_validator(name), value, (name,))


def check_root(document: Any) -> list[Finding]:
    """Validate the top level alone: that it is a map, of declared keys, with the required ones."""
    return _findings(_root_validator(), document, ())


@functools.cache
def _validator(name: str) -> Validator:
    return of_schema(schema.read(name))


@functools.cache
def _root_validator() -> Validator:
    root = schema.read(schema.ROOT)
    shallow = {key: {} if "$ref" in value else value for key, value in root["properties"].items()}
    return of_schema({**root, "properties": shallow})


def of_schema(of: schema.Schema) -> Validator:
    """Return a validator of one schema, or part of one, that has no reference."""
    # No section's schema has a reference, so the empty registry keeps this offline at no cost.
    import referencing

    validator: Validator = _validator_class()(of, registry=referencing.Registry(), format_checker=_format_checker())
    return validator


@functools.cache
def _validator_class() -> Any:
    from jsonschema import validators

    types = validators.Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number})
    keywords = {"pattern": _pattern, "uniqueItems": _unique_items}
    extend: Any = validators.extend
    return extend(validators.Draft202012Validator, keywords, type_checker=types)


@functools.cache
def _format_checker() -> Any:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, check in formats.CHECKS.items():
        checker.checkers[name] = (_on_strings(check), ())
    return checker


def _on_strings(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or check(value)


def _is_integer(_: Any, value: object) -> bool:
    # JSON Schema counts 1.0 as an integer, but a template would write "1.0" into a configuration file.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


@functools.lru_cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a schema's pattern as ECMA 262 means it: ``$`` is the very end, not before a last newline."""
    return re.compile(re.sub(r"\$\Z", r"\\Z", pattern))


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not compiled(pattern).search(instance):
        yield _validation_error()("pattern")


def _unique_items(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[Any]:
    # jsonschema compares every pair where it cannot sort, which a huge list turns into hours.
    if not wanted or not isinstance(instance, list):
        return
    seen: set[str] = set()
    for index, item in enumerate(instance):
        key = repr(item)
        if key in seen:
            yield _validation_error()("uniqueItems", path=[index], instance=item, schema={}, validator="uniqueItems")
        seen.add(key)


def _validation_error() -> Any:
    from jsonschema import ValidationError

    return ValidationError


def _findings(validator: Validator, value: Any, prefix: Path) -> list[Finding]:
    found: dict[tuple[str, Path, str], Finding] = {}
    for error in islice(validator.iter_errors(value), MAX_FINDINGS):
        for finding in _translate(error, prefix):
            found.setdefault((finding.rule, finding.path, finding.message), finding)
    mistyped = {path for rule, path, _ in found if rule == "THA103"}
    telling = (finding for finding in found.values() if finding.rule == "THA103" or finding.path not in mistyped)
    return list(islice(telling, MAX_FINDINGS))


def _translate(error: Error, prefix: Path) -> Iterator[Finding]:
    path = prefix + tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_key_name(error, path)
    elif error.validator == "additionalProperties":
        # What is not read from a file may have keys that JSON does not have.
        unknown = sorted(map(str, set(error.instance) - set(error.schema.get("properties", ()))))
        for key in islice(unknown, MAX_FINDINGS):
            yield _unknown_key(path, key, error.schema, heat.is_call(error.instance))
    elif error.validator == "required":
        for key in (key for key in error.schema["required"] if key not in error.instance):
            yield _missing_key(path, key, error.schema)
    else:
        yield _bad_value(error, path)


def _unknown_key(path: Path, key: str, parent: schema.Schema, is_call: bool) -> Finding:
    """Describe a key that no schema declares, with the nearest one that is declared."""
    where = "at the top level" if not path else "here"
    hint = suggestions.UNRESOLVED if is_call else _of_colon(key)
    suggestion = hint or suggestions.for_key(path, name_in(key), parent)
    return Finding("THA101", (*path, key), f"no key of this name is declared {where}", "", suggestion, on_key=True)


def _missing_key(path: Path, key: str, parent: schema.Schema) -> Finding:
    declared = schema.read(key) if not path else parent.get("properties", {}).get(key, {})
    return Finding(
        "THA102", path, f"the key {key} is missing", suggestions.describe(declared), f"add {key}", on_key=True
    )


def _bad_key_name(error: Error, path: Path) -> Finding:
    key = str(error.instance)
    return Finding(
        "THA109",
        (*path, key),
        f"{clipped(key)} cannot be a name here",
        f"a name that matches {error.schema.get('pattern', '')}",
        _of_colon(key),
        on_key=True,
    )


def _of_colon(key: str) -> str:
    return "if the colon ends the key, put a blank after it" if ":" in key else ""


_RULES = {
    "type": "THA103",
    "enum": "THA104",
    "minimum": "THA105",
    "maximum": "THA105",
    "pattern": "THA106",
    "format": "THA106",
    "minLength": "THA107",
    "maxLength": "THA107",
    "minItems": "THA107",
    "minProperties": "THA107",
    "uniqueItems": "THA108",
}


def _bad_value(error: Error, path: Path) -> Finding:
    declared = error.schema if isinstance(error.schema, Mapping) else {}
    if error.validator == "uniqueItems":
        return Finding("THA108", path, "this item is in the list already", "every item once", "remove it")
    return Finding(
        _RULES.get(error.validator, "THA103"),
        path,
        f"found {suggestions.found(error.validator, error.instance, declared)}",
        suggestions.describe(declared),
        suggestions.for_value(error.validator, error.instance, declared),
    )
