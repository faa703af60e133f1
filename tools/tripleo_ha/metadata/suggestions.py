"""The words of a finding: what was found (never a string's own text), what is expected, what to do."""

import math
import re
from collections.abc import Iterable, Mapping

from tripleo_ha.metadata import formats, heat, schema
from tripleo_ha.metadata.findings import Path, dotted

_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}
UNRESOLVED = "one of Heat's functions, which nobody has resolved: validate the template, or what the stack shows"
_NUMBER_WITH_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]{0,8})\s*\Z")
_DOTTED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?\Z")
"""An address with a number out of bounds is the one text that is worth showing and cannot be a secret."""
_BOOLEAN_WORDS = frozenset({"yes", "no", "on", "off", "true", "false"})


def kind(value: object) -> str:
    """Name a value's type in words; never the value."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number" if math.isfinite(value) else "a number that is not finite"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a map" if isinstance(value, Mapping) else "something that JSON does not have"


def found(keyword: str, value: object, declared: schema.Schema) -> str:
    """Say what stands there. Numbers, booleans and addresses are shown, unless declared secret; other text is not."""
    if declared.get("x-secret"):
        return _of_secret(keyword, value)
    if keyword in ("minimum", "maximum") or isinstance(value, bool):
        shown = str(value).lower()
        return shown if len(shown) <= 40 else f"a number of {len(shown)} digits"
    if keyword in ("pattern", "format", "enum") and isinstance(value, str):
        return value if _DOTTED.match(value) else _other(value)
    return _size(value) if keyword.startswith(("min", "max")) else kind(value)


def _of_secret(keyword: str, value: object) -> str:
    if keyword in ("minLength", "maxLength"):
        return _size(value)
    return kind(value) if keyword == "type" else f"{kind(value)} of another form"


def _other(value: str) -> str:
    return "an IPv6 address" if formats.is_ipv6(value) else "other text"


def _size(value: object) -> str:
    if isinstance(value, str):
        return "text that is empty" if not value else "text of another length"
    return "an empty map" if value == {} else kind(value)


def describe(declared: schema.Schema) -> str:
    """Say in words what a schema asks for, with its unit."""
    if "enum" in declared:
        return "one of " + ", ".join(str(value) for value in declared["enum"])
    wanted = declared.get("type", "object")
    text = " or ".join(_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted))
    return text + _range(declared) + _form(declared)


def _range(declared: schema.Schema) -> str:
    unit = declared.get("x-unit", "")
    if declared.get("minProperties") == 1:
        return " that is not empty"
    for low_key, high_key in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        low, high = declared.get(low_key), declared.get(high_key)
        if low is not None and high is not None:
            return f" from {low} to {high} {unit}".rstrip()
        if low is not None:
            return f" of at least {low} {unit}".rstrip()
        if high is not None:
            return f" of at most {high} {unit}".rstrip()
    return f" in {unit}" if unit and declared.get("type") in ("integer", "number") else ""


def _form(declared: schema.Schema) -> str:
    if "x-charset" in declared:
        return f": {declared['x-charset']}"
    if "format" in declared:
        return f": {formats.DESCRIPTIONS[declared['format']]}"
    return ""


def for_key(path: Path, key: str, parent: schema.Schema) -> str:
    """Suggest what to do about an undeclared key: the nearest name, its right place, or the ``extra`` map."""
    siblings = [name for name, child in parent.get("properties", {}).items() if "x-owner" not in child]
    if near := nearest(key, siblings):
        return f"did you mean {near}?"
    if places := _places(key):
        return f"it belongs at {' or '.join(places)}"
    if path and "extra" in siblings:
        return f"what has no key of its own goes under {dotted((*path, 'extra'))}, in a section"
    if path and schema.subschema(path) is parent:
        return f"declared here: {', '.join(siblings)}" if siblings else "remove it"
    return f"declared here: {', '.join(siblings)}"


def nearest(word: str, among: Iterable[str]) -> str:
    """Return the most similar of ``among``, or an empty string when none is similar."""
    import difflib

    by_plain = {_plain(name): name for name in among}
    matches = difflib.get_close_matches(_plain(word[:80]), by_plain, n=1, cutoff=0.6)
    return by_plain[matches[0]] if matches else ""


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def _places(key: str) -> list[str]:
    found_at = [
        dotted((name, *path))
        for name in schema.sections()
        for path, _ in schema.declared(schema.read(name))
        if path[-1] == key and not {"[]", "*"} & set(map(str, path))
    ]
    return found_at[:3]


def for_value(keyword: str, value: object, declared: schema.Schema) -> str:
    """Suggest the fix for a wrong value, as far as its form tells."""
    if keyword == "enum" and isinstance(value, str):
        near = nearest(value, [str(item) for item in declared["enum"]])
        return f"did you mean {near}?" if near else ""
    if declared.get("format") == "ipv4" and isinstance(value, str) and formats.is_ipv6(value):
        return "IPv6 cannot be used here"
    if keyword != "type":
        return ""
    if heat.is_call(value):
        return UNRESOLVED
    if isinstance(value, str) and not declared.get("x-secret"):
        return _for_text(value, declared)
    if declared.get("type") == "string" and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    if declared.get("type") == "integer" and isinstance(value, float):
        return "write it without a fraction"
    if declared.get("type") == "array":
        return "write it as a list"
    return ""


def _for_text(value: str, declared: schema.Schema) -> str:
    wanted = declared.get("type")
    if wanted in ("integer", "number") and (match := _NUMBER_WITH_UNIT.match(value)):
        unit = declared.get("x-unit")
        return f"write the number alone, in {unit}" if match[2] and unit else "write the number without quotes"
    if wanted == "boolean" and value.lower() in _BOOLEAN_WORDS:
        return "write true or false, without quotes"
    if wanted == "array":
        return "write it as a list"
    return ""
