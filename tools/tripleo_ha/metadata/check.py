"""The checker: schema first, then the semantic rules on whatever passed it."""

from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from typing import Any

from tripleo_ha.metadata import rules, schema, service_rules, storage_rules, suggestions, tls_rules, validation
from tripleo_ha.metadata.findings import Finding, Path, dotted
from tripleo_ha.metadata.rule import Document
from tripleo_ha.metadata.tree import MAX_DEPTH, MAX_NODES, is_too_much


class Checker:
    """Checks documents one after the other, remembering the verdict on each section and of each rule.

    The documents of one cluster differ in one small section only, so that a thousand nodes cost little more
    than one.

    :param now: what time it is, with its zone; without it nothing is said about what ends at a date.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._rules_of_now = RULES if now is None else (*RULES, tls_rules.valid_at(now))
        self._numbers: dict[tuple[str, str], int] = {}
        self._verdicts: dict[Hashable, list[Finding]] = {}

    def versions(self, document: Any) -> dict[str, int]:
        """Return for each section of ours a number that the same value had before, and no other."""
        if not isinstance(document, Mapping):
            return {}
        # repr tells 1, 1.0 and True apart, where comparing would not.
        keys = [(name, repr(document[name])) for name in schema.sections() if name in document]
        return {key[0]: self._numbers.setdefault(key, len(self._numbers)) for key in keys}

    def check(
        self, document: Any, versions: Mapping[str, int] | None = None, *, partial: bool = False
    ) -> list[Finding]:
        """Check one document, which has no alias loops; see :func:`check_document`.

        :param versions: what :meth:`versions` told of it, when that has been asked before.
        :param partial: it is a part of a document, as it stands in a template: no section is missed.
        """
        if not isinstance(document, Mapping):
            return [
                Finding("THA007", (), f"found {suggestions.kind(document)}", "a map with the keys cluster and node")
            ]
        found = validation.check_root(document)
        if partial:
            found = [finding for finding in found if finding.rule != "THA102"]
        numbers = self.versions(document) if versions is None else versions
        valid = {}
        for name, number in numbers.items():
            verdict = self._section(name, number, document[name])
            found += verdict
            if not verdict:
                valid[name] = document[name]
        found += self._rules(valid, numbers)
        return found if partial else found + list(_missing_services(valid, frozenset(numbers)))

    def _section(self, name: str, number: int, value: Any) -> list[Finding]:
        if number not in self._verdicts:
            self._verdicts[number] = validation.check_section(name, value)
        return self._verdicts[number]

    def _rules(self, valid: Document, numbers: Mapping[str, int]) -> Iterator[Finding]:
        for index, rule in enumerate(self._rules_of_now):
            # A rule is given no more than it declared, or what is remembered of it would not hold.
            read = {name: value for name, value in valid.items() if name in rule.sections} if rule.sections else valid
            key = (index, *(numbers[name] for name in read))
            if key not in self._verdicts:
                self._verdicts[key] = list(rule(read))
            yield from self._verdicts[key]


RULES = (*rules.RULES, *service_rules.RULES, *storage_rules.RULES, *tls_rules.RULES)
"""Every semantic rule about one document that is the same at any time."""


def check_secrets(sections: Mapping[str, Any]) -> list[Finding]:
    """Check what a passwords file says of the metadata's sections: each key that is there, and none that is missing.

    ``tls.ca_key`` is at home in it alone.
    """
    from tripleo_ha.metadata.passwords import present

    there = present(sections)
    if isinstance(there.get("tls"), dict):
        there["tls"].pop("ca_key", None)
    found = validation.check_root(there)
    for name in (name for name in schema.sections() if name in there):
        found += validation.check_section(name, there[name])
    return [finding for finding in found if finding.rule != "THA102"]


def _missing_services(valid: Document, present: frozenset[str]) -> Iterator[Finding]:
    for path, needed in _needs(valid):
        if needed not in present:
            name = dotted(path)
            yield Finding(
                "THA219",
                path,
                f"{name} cannot work without {needed}, which is not run",
                f"the key {needed} beside it",
                f"add {needed}, or remove {name}",
                on_key=True,
            )


def _needs(valid: Document) -> Iterator[tuple[Path, str]]:
    """Yield what needs which key: a section, or what stands in it."""
    for name, section in valid.items():
        declared = schema.read(name)
        yield from (((name,), needed) for needed in declared.get("x-needs", ()))
        for key in section:
            below = declared.get("properties", {}).get(key, {})
            yield from (((name, key), needed) for needed in below.get("x-needs", ()))


def check_document(document: Mapping[str, Any], now: datetime | None = None) -> list[Finding]:
    """Check the metadata of one node, as it is handed to templates but for ``derived``.

    Top-level keys of the agents beside ours are tolerated. Findings of severity ``error`` mean that the document
    must not be used; a ``warning`` leaves it usable. No finding repeats a string value.

    :param document: JSON-like, without loops; it is not changed.
    :param now: see :class:`Checker`.
    """
    if is_too_much(document):
        limit = f"at most {MAX_DEPTH} levels and {MAX_NODES} values"
        return [Finding("THA004", (), "nested deeper or holding more than metadata can", limit)]
    return Checker(now).check(document)
