"""The reference page of the metadata, made of the schemas and the catalogue of rules."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import schema
from tripleo_ha.metadata.catalogue import RULES

_HEAD = """# Metadata reference

<!-- Made by "tripleo-ha schema reference --write" from schemas/ and the rules; change those. -->

What a controller is told, by key. A service whose key is absent is not run. `tripleo-ha validate` checks documents
against this page; for an editor, name the schema in the first line of a YAML document
(`# yaml-language-server: $schema=schemas/controller.json`) or as the key `$schema` of a JSON document.
"""


def reference() -> str:
    """Return the page as Markdown.

    :raises UsageError: the library that writes the tables is not installed.
    """
    try:
        from jsonschema_markdown import generate
        from loguru import logger
    except ImportError as error:
        raise UsageError("jsonschema-markdown is not installed", "pip install 'tripleo-ha-elements[test]'") from error
    logger.disable("jsonschema_markdown")
    pages = [_HEAD]
    for name in schema.sections():
        page = generate(_prepared(name), footer=False, hide_empty_columns=True, examples_format="json")
        pages.append(_one_level_down(page))
    return "\n".join([*pages, *_rules()])


def _prepared(name: str) -> dict[str, Any]:
    """Return a section's schema as the library shows it best: every map as a definition, units in the description."""
    source = schema.read(name)
    definitions: dict[str, Any] = {}
    properties = {key: _leaf(child, f"{name}-{key}", definitions) for key, child in source["properties"].items()}
    notes = [f"**{source['title']}.** {source['description']}"]
    if needed := source.get("x-needs"):
        notes.append(f"Needs {', '.join(needed)}.")
    kept = {"type": "object", "properties": properties, "required": source.get("required", [])}
    return {"title": name, "description": " ".join(notes), **kept, "$defs": definitions}


def _leaf(declared: schema.Schema, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in declared.items() if key in _SHOWN}
    shown["description"] = _described(declared)
    if "pattern" in declared and "x-charset" not in declared:
        shown["pattern"] = declared["pattern"]
    if declared.get("x-extra"):
        return shown
    if "properties" in declared:
        return {"$ref": _defined(declared, name, definitions), "description": shown["description"]}
    for keyword in ("items", "additionalProperties"):
        child = declared.get(keyword)
        if isinstance(child, Mapping) and "properties" in child:
            link = _defined(child, name, definitions)
            shown["description"] += f" Each is a [{link.rpartition('/')[2]}](#{link.rpartition('/')[2].lower()})."
    return shown


def _defined(declared: schema.Schema, name: str, definitions: dict[str, Any]) -> str:
    definitions[name] = {}  # before what it holds, so that the page goes from the outside in
    properties = {key: _leaf(child, f"{name}-{key}", definitions) for key, child in declared["properties"].items()}
    definitions[name] = {
        "type": "object",
        "description": declared["description"],
        "required": declared.get("required", []),
        "properties": properties,
    }
    return f"#/$defs/{name}"


_SHOWN = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "format", "default", "examples")


def _described(declared: schema.Schema) -> str:
    parts = [declared["description"]]
    if "x-charset" in declared:
        parts.append(f"Form: {declared['x-charset']}.")
    if declared.get("x-unit"):
        parts.append(f"Unit: {declared['x-unit']}.")
    if declared.get("x-secret"):
        parts.append("Secret: never shown.")
    return " ".join(parts)


def _one_level_down(page: str) -> str:
    lines = [
        line for line in page.splitlines() if line not in ("# Definitions", "---") and "Type: `object`" not in line
    ]
    shifted = (f"#{line}" if re.match(r"#+ ", line) else line for line in lines)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(shifted)).strip() + "\n"


def _rules() -> Iterator[str]:
    yield "## Rules\n"
    yield "What `tripleo-ha validate` finds. Identifiers are stable.\n"
    for rule in RULES.values():
        yield f"### {rule.id}\n\n**{rule.title}.** {rule.why} *{rule.fix}*\n"
