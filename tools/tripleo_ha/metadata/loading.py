"""From text to a document, with the place of every key known once it is asked for."""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import reading, schema, suggestions
from tripleo_ha.metadata.findings import Finding
from tripleo_ha.metadata.findings import Path as KeyPath
from tripleo_ha.metadata.reading import MAX_BYTES, Input
from tripleo_ha.metadata.tree import Mark, Node, Parsed, is_too_much

SECRETS = "# Secrets of one cloud."
"""How a file of ``metadata.passwords`` begins."""
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_LOOKS_LIKE_JSON = re.compile(r'\s*(?:\{\s*["}]|\[)')


@dataclass
class Document:
    """One document as it was read: its value, and what was wrong with the notation.

    ``value`` means nothing when ``usable`` is false. ``versions`` is set by the check: see ``Checker.versions``.
    """

    name: str
    text: str
    is_json: bool
    value: Any = None
    usable: bool = True
    findings: list[Finding] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)

    @cached_property
    def node(self) -> Node:
        """Where everything stands. Reading it takes another pass, which a document without findings is spared."""
        return _parse(self.text, is_json=self.is_json).node or Node(Mark(1, 1))

    @property
    def is_of_passwords(self) -> bool:
        """Whether this is a cloud's passwords file, which has some keys of each section and no node."""
        return self.text.startswith(SECRETS) and isinstance(self.value, dict)

    def holds(self, path: KeyPath) -> bool:
        """Tell whether something stands at ``path``."""
        value = self.value
        for part in path:
            if isinstance(value, dict) and part in value:
                value = value[str(part)]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return False
        return True

    def locate(self, finding: Finding) -> Finding:
        """Return a finding with this file's name, the line and column of its path, and no key in the path to hide."""
        mark = Mark(finding.line, finding.column, finding.width)
        if not finding.line:
            mark = self.node.mark_of(finding.path, on_key=finding.on_key)
        path = schema.without_hidden(finding.path)
        shown = replace(finding, path=path, on_key=finding.on_key and path == finding.path)
        return shown.located(self.name, mark.line, mark.column, mark.width)


def read_document(path: Path, *, may_be_empty: bool = False) -> dict[str, Any]:
    """Read a file of YAML or JSON that holds one map, just as ``tripleo-ha validate`` reads it.

    Nothing that is in it is quoted, because it may be a secret.

    :param may_be_empty: take a file without content, or with nothing but comments, for an empty map.
    :raises UsageError: naming the file, or FILE:LINE:COLUMN: it cannot be read, its notation has a fault (a key that
        stands twice is one, a date that was meant as text another), or it holds something else than a map.
    """
    source = reading.read(str(path))
    if source.problem:
        raise UsageError(f"{source.name}: {source.problem}")
    document = load(source)
    faults = [fault for fault in document.findings if not (may_be_empty and fault.rule == "THA013")]
    value = {} if may_be_empty and document.value is None else document.value
    if not faults and not isinstance(value, dict):
        faults = [document.locate(Finding("THA007", (), f"found {suggestions.kind(value)}", "a map"))]
    if faults:
        fault = faults[0]
        hint = "; ".join(part for part in (fault.expected and f"expected {fault.expected}", fault.suggestion) if part)
        raise UsageError(f"{source.name}:{fault.line}:{fault.column}: {fault.message}", hint)
    return dict(value)


def load(source: Input) -> Document:
    """Read what one input holds. Nothing that it may hold raises.

    :param source: without a ``problem``.
    """
    name = source.name
    if len(source.content) > MAX_BYTES:
        limit = f"at most {MAX_BYTES // 1024 // 1024} MiB"
        return _refused(name, Finding("THA005", (), "larger than metadata can be", limit, line=1, column=1))
    if source.content.startswith(_UTF16_BOMS):
        return _refused(name, _not_text(b""))
    if b"\0" in source.content:
        return _refused(name, _not_text(source.content[: source.content.index(b"\0")]))
    try:
        text = source.content.decode("utf-8")
    except UnicodeDecodeError as error:
        return _refused(name, _not_text(source.content[: error.start]))
    with_bom = source.content.startswith(_UTF8_BOM)
    return _load_text(name, text[1:] if with_bom else text, with_bom=with_bom)


def _refused(name: str, finding: Finding) -> Document:
    return Document(
        name, "", is_json=False, usable=False, findings=[finding.located(name, finding.line, finding.column)]
    )


def _not_text(before: bytes) -> Finding:
    line_start = before.rfind(b"\n") + 1
    column = len(before[line_start:].decode("utf-8", errors="replace")) + 1
    return Finding("THA010", (), "not text in UTF-8", "text in UTF-8", "", line=before.count(b"\n") + 1, column=column)


def _load_text(name: str, text: str, *, with_bom: bool) -> Document:
    from tripleo_ha.metadata import json_tree

    is_json = name.endswith(".json")
    if is_json or text.lstrip()[:1] in ("{", "["):
        try:
            value = json_tree.fast(text)
        except (ValueError, RecursionError):
            is_json = is_json or (not name.endswith((".yaml", ".yml")) and bool(_LOOKS_LIKE_JSON.match(text)))
        else:
            document = Document(name, text, is_json=True, value=value)
            if with_bom or is_too_much(value):
                _take(document, document_parse(text, is_json=True, with_bom=with_bom))
            return document
    document = Document(name, text, is_json=is_json)
    _take(document, document_parse(text, is_json=is_json, with_bom=with_bom))
    return document


def document_parse(text: str, *, is_json: bool, with_bom: bool = False) -> Parsed:
    """Read text with positions; a byte order mark is a fault in JSON, whose parsers on the nodes refuse it."""
    parsed = _parse(text, is_json=is_json)
    if with_bom and is_json:
        parsed.fault("THA010", "a byte order mark before the first character", Mark(1, 1), (), "UTF-8 without it")
    return parsed


def _parse(text: str, *, is_json: bool) -> Parsed:
    if is_json:
        from tripleo_ha.metadata import json_tree

        return json_tree.parse(text)
    from tripleo_ha.metadata import yaml_tree

    return yaml_tree.parse(text)


def _take(document: Document, parsed: Parsed) -> None:
    document.value, document.usable = parsed.value, parsed.usable
    document.findings = [document.locate(finding) for finding in parsed.findings]
