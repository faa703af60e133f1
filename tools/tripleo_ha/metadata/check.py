"""The checker: schema first, then the semantic rules on whatever passed it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tripleo_ha.metadata import rules, schema, service_rules, suggestions, validation
from tripleo_ha.metadata.findings import Finding
from tripleo_ha.metadata.rule import Document
from tripleo_ha.metadata.tree import MAX_DEPTH, MAX_NODES, is_too_much


class Checker:
    """Checks documents one after the other, remembering the verdict on each section.

    The documents of one cluster differ in one small section only, so that a thousand nodes cost little more
    than one.
    """

    def __init__(self) -> None:
        self._verdicts: dict[tuple[str, str], tuple[Finding, ...]] = {}

    def check(self, document: Any, *, partial: bool = False) -> list[Finding]:
        """Check one document, which has no alias loops; see :func:`check_document`.

        :param partial: it is a part of a document, as it stands in a template: no section is missed.
        """
        if not isinstance(document, Mapping):
            return [
                Finding("THA007", (), f"found {suggestions.kind(document)}", "a map with the keys cluster and node")
            ]
        found = validation.check_root(document)
        if partial:
            found = [finding for finding in found if finding.rule != "THA102"]
        broken = set()
        for name in schema.sections():
            if name in document:
                verdict = self._section(name, document[name])
                found += verdict
                broken |= {name} if verdict else set()
        valid = {name: document[name] for name in schema.sections() if name in document and name not in broken}
        present = frozenset(schema.sections()) if partial else frozenset(document)
        found += self._remembered(f"rules {sorted(present, key=str)}", valid, lambda: list(judge(valid, present)))
        return found

    def _section(self, name: str, value: Any) -> tuple[Finding, ...]:
        return self._remembered(name, value, lambda: validation.check_section(name, value))

    def _remembered(self, name: str, value: Any, work: Callable[[], list[Finding]]) -> tuple[Finding, ...]:
        # repr tells 1, 1.0 and True apart, where comparing would not.
        key = (name, repr(value))
        if key not in self._verdicts:
            self._verdicts[key] = tuple(work())
        return self._verdicts[key]


def judge(valid: Document, present: frozenset[str]) -> Iterator[Finding]:
    """Run every semantic rule.

    :param valid: only the sections that passed their schema.
    :param present: every top-level key of the original document, valid or not.
    """
    for rule in (*rules.RULES, *service_rules.RULES):
        yield from rule(valid)
    for name in valid:
        for needed in schema.read(name).get("x-needs", ()):
            if needed not in present:
                yield Finding(
                    "THA219",
                    (name,),
                    f"{name} cannot work without {needed}, which is not run",
                    f"the key {needed} beside it",
                    f"add {needed}, or remove {name}",
                    on_key=True,
                )


def check_document(document: Mapping[str, Any]) -> list[Finding]:
    """Check the metadata of one node, as it is handed to templates but for ``derived``.

    Top-level keys of the agents beside ours are tolerated. Findings of severity ``error`` mean that the document
    must not be used; a ``warning`` leaves it usable. No finding repeats a string value.

    :param document: JSON-like, without loops; it is not changed.
    """
    if is_too_much(document):
        limit = f"at most {MAX_DEPTH} levels and {MAX_NODES} values"
        return [Finding("THA004", (), "nested deeper or holding more than metadata can", limit)]
    return Checker().check(document)
