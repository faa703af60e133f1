"""Every bad document of the corpus is refused with the expected rules at the expected places, and no others."""

import json
from pathlib import Path

import pytest

from tripleo_ha.metadata import files
from tripleo_ha.metadata.catalogue import RULES

CORPUS = Path(__file__).parents[2] / "corpus"
EXPECTED = json.loads((CORPUS / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_findings_of(name: str) -> None:
    report = files.check_files([str(CORPUS / name)])
    assert sorted([found.rule, found.line, found.column] for found in report.findings) == sorted(EXPECTED[name])
    assert report.exit_code(strict=True) == 1


@pytest.mark.parametrize("name", ["good.yaml", "good.json"])
def test_good_document_is_clean(name: str) -> None:
    report = files.check_files([str(CORPUS / name)])
    assert report.findings == []
    assert report.exit_code(strict=True) == 0


def test_corpus_is_complete() -> None:
    on_disk = {path.name for path in CORPUS.iterdir()} - {"expected.json", "good.yaml", "good.json", "README.rst"}
    assert on_disk == set(EXPECTED)
    assert len(EXPECTED) >= 120


def test_every_rule_of_one_document_is_in_the_corpus() -> None:
    seen = {rule for findings in EXPECTED.values() for rule, _, _ in findings}
    assert {rule for rule in RULES if not rule.startswith("THA3")} == seen
