"""Showing a report: for people, for machines, and in the forms that CI systems read."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.files import Report
from tripleo_ha.metadata.findings import Finding, dotted

REFERENCE = "docs/metadata-reference.md"
TOOL = "tripleo-ha validate"


def link(finding: Finding) -> str:
    """Return where the reference explains what a finding is about: the section of its path, or the rule."""
    section = next((part for part in finding.path if part in schema.sections()), "")
    return f"{REFERENCE}#{section or finding.rule.lower()}"


def explanation(finding: Finding) -> str:
    """Return what was found, what was expected and what to do, in one line."""
    text = finding.message
    if finding.expected:
        text += f"; expected {finding.expected}"
    return f"{text}; {finding.suggestion}" if finding.suggestion else text


def as_text(report: Report, *, annotate: bool = False) -> str:
    """Return the report for people, optionally with the lines that it is about."""
    lines = list(_text_lines(report, annotate=annotate))
    lines += [f"{name}: cannot read: {problem}" for name, problem in report.unreadable]
    return "\n".join([*lines, _summary(report)]) + "\n"


def _text_lines(report: Report, *, annotate: bool) -> Iterator[str]:
    for finding in report.findings:
        where = f"{dotted(finding.path)}: " if finding.path else ""
        yield f"{_place(finding)}: {finding.severity} {finding.rule} {where}{finding.message}"
        if finding.expected:
            yield f"    expected: {finding.expected}"
        if finding.suggestion:
            yield f"    hint: {finding.suggestion}"
        yield f"    see: {link(finding)}"
    if annotate:
        from tripleo_ha.metadata.annotate import annotate as marked

        for name, document in report.texts.items():
            yield f"\n{_shown_name(name)}:"
            yield from marked(document, [finding for finding in report.findings if finding.file == name])
            yield ""


def _summary(report: Report) -> str:
    parts = [_count(len(report.documents), "document"), _count(report.errors, "error")]
    parts += [_count(report.warnings, "warning")]
    parts += [f"{len(report.unreadable)} unreadable"] if report.unreadable else []
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _shown_name(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


def _place(finding: Finding) -> str:
    return f"{_shown_name(finding.file)}:{finding.line}:{finding.column}"


def as_json(report: Report) -> str:
    """Return the report as one JSON object: ``documents``, ``findings``, ``unreadable``, ``errors``, ``warnings``."""
    told = {
        "documents": report.documents,
        "errors": report.errors,
        "warnings": report.warnings,
        "findings": [_as_dict(finding) for finding in report.findings],
        "unreadable": [{"file": name, "problem": problem} for name, problem in report.unreadable],
    }
    return _dump(told)


def _as_dict(finding: Finding) -> dict[str, Any]:
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "path": dotted(finding.path),
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "expected": finding.expected,
        "suggestion": finding.suggestion,
        "reference": link(finding),
    }


def as_github(report: Report) -> str:
    """Return the report as workflow commands, which GitHub shows beside the lines."""
    lines = []
    for finding in report.findings:
        place = f"file={_property(finding.file)},line={finding.line},col={finding.column},title={finding.rule}"
        told = f"{dotted(finding.path)}: {explanation(finding)}" if finding.path else explanation(finding)
        lines.append(f"::{finding.severity} {place}::{_message(told)}")
    lines += [f"::error file={_property(name)}::{_message(problem)}" for name, problem in report.unreadable]
    return "".join(line + "\n" for line in lines)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(report: Report) -> str:
    """Return the report as SARIF 2.1.0 (OASIS)."""
    used = sorted({finding.rule for finding in report.findings})
    rules = [_sarif_rule(name) for name in used]
    notes = [
        {"level": "error", "message": {"text": f"{name}: cannot read: {problem}"}}
        for name, problem in report.unreadable
    ]
    run = {
        "tool": {"driver": {"name": TOOL, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not report.unreadable, "toolExecutionNotifications": notes}],
        "results": [_sarif_result(finding, used.index(finding.rule)) for finding in report.findings],
    }
    return _dump({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]})


def _sarif_rule(name: str) -> dict[str, Any]:
    from tripleo_ha.metadata.catalogue import RULES

    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    from os import fsencode
    from urllib.parse import quote

    region = {"startLine": finding.line, "startColumn": finding.column}
    if finding.width:
        region["endColumn"] = finding.column + finding.width
    place = {"artifactLocation": {"uri": quote(fsencode(finding.file))}, "region": region}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": explanation(finding)},
        "locations": [
            {"physicalLocation": place, "logicalLocations": [{"fullyQualifiedName": dotted(finding.path)}]},
        ],
    }


def as_junit(report: Report) -> str:
    """Return the report as JUnit's XML: a test case for each document, failed when it has errors."""
    from xml.etree.ElementTree import Element, SubElement, tostring

    suite = Element("testsuite", name=TOOL)
    failed = 0
    by_file: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_file.setdefault(finding.file, []).append(finding)
    for name in report.documents:
        case = SubElement(suite, "testcase", classname=TOOL, name=_shown_name(name))
        found = by_file.get(name, [])
        told = "\n".join(f"{finding.line}:{finding.column}: {finding.severity} {finding}" for finding in found)
        if any(finding.severity == "error" for finding in found):
            failed += 1
            SubElement(case, "failure", message=_count(len(found), "finding")).text = told
        elif told:
            SubElement(case, "system-out").text = told
    for name, problem in report.unreadable:
        case = SubElement(suite, "testcase", classname=TOOL, name=_shown_name(name))
        SubElement(case, "error", message=problem)
    suite.set("tests", str(len(report.documents) + len(report.unreadable)))
    suite.set("failures", str(failed))
    suite.set("errors", str(len(report.unreadable)))
    return tostring(suite, encoding="unicode") + "\n"


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
    "junit": as_junit,
}
