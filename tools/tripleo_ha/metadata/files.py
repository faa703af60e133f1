"""Checking files: every finding with its place, the documents of a directory compared as one cluster."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tripleo_ha.metadata import heat, reading
from tripleo_ha.metadata.check import Checker, check_secrets
from tripleo_ha.metadata.findings import Finding, Path
from tripleo_ha.metadata.loading import Document, load


@dataclass
class Report:
    """What was found in all documents, in their order and by place, and what could not be read at all."""

    documents: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    texts: dict[str, Document] = field(default_factory=dict)
    """The documents that have findings, by name."""

    @property
    def errors(self) -> int:
        """The number of findings that make a document unusable."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """The number of the others."""
        return len(self.findings) - self.errors

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 when clean, 1 with findings (warnings count when ``strict``), 2 when something was unreadable."""
        if self.unreadable:
            return 2
        return 1 if self.errors or (strict and self.warnings) else 0


def check_files(names: Iterable[str], now: datetime | None = None) -> Report:
    """Check files, standard input (``-``) and directories.

    :param now: see :class:`tripleo_ha.metadata.check.Checker`.
    :raises UsageError: a directory holds no document.
    """
    report, checker = Report(), Checker(now)
    groups: dict[str, list[Document]] = {}
    for name, group in reading.expand(names):
        source = reading.read(name, group)
        if source.problem:
            report.unreadable.append((source.name, source.problem))
            continue
        document = load(source)
        report.documents.append(document.name)
        _add(report, document, check_loaded(document, checker))
        if group and document.usable and _is_of_a_node(document.value):
            groups.setdefault(group, []).append(document)
    for members in groups.values():
        _add_cluster(report, members)
    order = {name: index for index, name in enumerate(report.documents)}
    report.findings.sort(key=lambda finding: (order[finding.file], finding.line, finding.column, finding.rule))
    return report


def _add(report: Report, document: Document, findings: Sequence[Finding]) -> None:
    if findings:
        report.findings += findings
        report.texts[document.name] = document


def _is_of_a_node(value: Any) -> bool:
    return isinstance(value, Mapping) and ("cluster" in value or "node" in value) and not heat.is_heat(value)


def _add_cluster(report: Report, members: Sequence[Document]) -> None:
    if len(members) > 1:
        from tripleo_ha.metadata import cluster_rules

        for index, finding in cluster_rules.check(
            [member.value for member in members], [member.versions for member in members]
        ):
            _add(report, members[index], [members[index].locate(finding)])


def check_loaded(document: Document, checker: Checker) -> list[Finding]:
    """Check one loaded document; the findings know their places."""
    if not document.usable:
        return document.findings
    if heat.is_heat(document.value):
        return _check_heat(document, checker)
    if document.is_of_passwords:
        return document.findings + [document.locate(finding) for finding in check_secrets(document.value)]
    document.versions = checker.versions(document.value)
    found = checker.check(document.value, document.versions)
    return document.findings + [document.locate(finding) for finding in found]


def _check_heat(document: Document, checker: Checker) -> list[Finding]:
    parts = heat.metadata_in(document.value)
    # Dates and tags are at home in templates; in metadata, and keys twice anywhere, they are faults as usual.
    found = [
        finding
        for finding in document.findings
        if finding.rule == "THA003" or _below(finding.path, {path for path, _ in parts})
    ]
    if not parts:
        message = "nothing that is written down in it looks like metadata"
        found.append(document.locate(Finding("THA015", (), message, severity="warning", on_key=True)))
    for path, part in parts:
        unknown = set(heat.unknown_places(part))
        for finding in checker.check(part, partial=True):
            if not _below(finding.path, unknown):
                found.append(document.locate(replace(finding, path=path + finding.path)))
    return found


def _below(path: Path, places: set[Path]) -> bool:
    """Tell whether a path is at or below one of these places."""
    return any(path[: len(place)] == place for place in places)
