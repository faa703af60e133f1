"""Every bad document of the corpus is refused with the expected rules at the expected places, and no others."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tripleo_ha.metadata import files
from tripleo_ha.metadata.catalogue import RULES

CORPUS = Path(__file__).parents[2] / "corpus"
GOOD = ("good.yaml", "good.json", "good-full.yaml", "good-tls.yaml")
NOW = datetime(2027, 1, 1, tzinfo=UTC)
EXPECTED = json.loads((CORPUS / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_findings_of(name: str) -> None:
    report = files.check_files([str(CORPUS / name)], NOW)
    assert sorted([found.rule, found.line, found.column] for found in report.findings) == sorted(EXPECTED[name])
    assert report.exit_code(strict=True) == 1


@pytest.mark.parametrize("name", GOOD)
def test_good_document_is_clean(name: str) -> None:
    report = files.check_files([str(CORPUS / name)], NOW)
    assert report.findings == []
    assert report.exit_code(strict=True) == 0


def test_corpus_is_complete() -> None:
    on_disk = {path.name for path in CORPUS.iterdir()} - {"expected.json", "README.rst", *GOOD}
    assert on_disk == set(EXPECTED)
    assert len(EXPECTED) >= 120


def test_every_rule_of_one_document_is_in_the_corpus() -> None:
    seen = {rule for findings in EXPECTED.values() for rule, _, _ in findings}
    assert {rule for rule in RULES if not rule.startswith("THA3")} == seen


def test_what_ends_at_a_date_is_judged_by_the_date_and_not_at_all_without_one() -> None:
    expired = [str(CORPUS / "rule-tls-expired.yaml")]
    assert files.check_files(expired, datetime(2026, 11, 1, tzinfo=UTC)).errors == 0
    # The gate of a node asks without: a controller that boots with an expired certificate serves everything else.
    assert files.check_files(expired).findings == []


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("rule-tls-")])
def test_what_is_switched_off_is_not_judged(name: str, tmp_path: Path) -> None:
    off = "\n  public:\n    enabled: false\n"
    text = (CORPUS / name).read_text().replace("\n    enabled: true\n", "\n    enabled: false\n")
    text = text if off in text else text.replace("\n  public:\n", off)
    (tmp_path / name).write_text(text)
    assert files.check_files([str(tmp_path / name)], NOW).findings == []
