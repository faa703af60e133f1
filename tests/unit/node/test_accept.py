"""The gate's own decisions; the checker behind it is tested with the metadata."""

import json
from pathlib import Path

import pytest

from tripleo_ha import paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.metadata import generate, passwords
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.node import accept, main


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, file in (("ACCEPTED", "metadata"), ("SOURCES", "sources"), ("REFUSED", "refused")):
        monkeypatch.setattr(accept, name, tmp_path / f"{file}.json")
    monkeypatch.setattr(accept, "COLLECTED", tmp_path / "collected.json")
    monkeypatch.setattr(paths, "RUNTIME", tmp_path)
    monkeypatch.delenv("OS_CONFIG_FILES", raising=False)
    return tmp_path


@pytest.fixture
def document(tmp_path: Path) -> dict[str, object]:
    services = sorted({row.metadata for row in table.load()} - {"cluster"})
    secrets = passwords.ensure(tmp_path / "passwords.yaml", services)
    return generate.generate(Description(numbered(3)), secrets)["overcloud-controller-1"]


def collect(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    monkeypatch.setenv("OS_CONFIG_FILES", ":".join(str(file) for file in files))


def write(file: Path, document: object) -> Path:
    file.write_text(json.dumps(document))
    return file


def test_sources_are_merged_completed_and_kept_from_others(
    runtime: Path, document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = {"keystone": document.pop("keystone")}
    collect(monkeypatch, write(runtime / "heat.json", document), write(runtime / "more.json", part))
    accept.accept()
    full = json.loads((runtime / "metadata.json").read_text())
    assert full["derived"]["node"]["name"] == "overcloud-controller-1"
    assert full["keystone"]["token_expiration_s"] > 0
    assert (runtime / "metadata.json").stat().st_mode & 0o777 == 0o600
    assert not (runtime / "refused.json").exists()


def test_what_is_refused_leaves_the_last_good_and_says_so_until_good_comes(
    runtime: Path, document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(monkeypatch, write(runtime / "heat.json", document))
    accept.accept()
    good = (runtime / "metadata.json").read_text()
    write(runtime / "heat.json", {**document, "keystoned": {}})
    with pytest.raises(Failure, match="keystoned"):
        accept.accept()
    assert (runtime / "metadata.json").read_text() == good
    assert "keystoned" in json.loads((runtime / "refused.json").read_text())["reason"]
    write(runtime / "heat.json", document)
    accept.accept()
    assert not (runtime / "refused.json").exists()


def test_a_source_that_is_gone_is_named(
    runtime: Path, document: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    heat, more = write(runtime / "heat.json", document), write(runtime / "more.json", {})
    collect(monkeypatch, heat, more)
    accept.accept()
    collect(monkeypatch, heat)
    with pytest.raises(Failure, match="metadata source gone: more"):
        accept.accept()


def test_what_the_collector_left_is_used_by_hand(runtime: Path, document: dict[str, object]) -> None:
    with pytest.raises(Failure, match="no metadata has been collected yet"):
        accept.accept()
    heat = write(runtime / "heat.json", document)
    write(runtime / "collected.json", [str(heat)])
    accept.accept()
    assert (runtime / "metadata.json").exists()


def test_what_the_checker_trips_over_is_a_refusal(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runtime / "heat.json").write_text("[" * 100_000)
    collect(monkeypatch, runtime / "heat.json")
    with pytest.raises(Failure, match="the checker failed on this metadata"):
        accept.accept()
    assert (runtime / "refused.json").exists()


def test_a_failed_run_is_followed_by_another_whatever_is_collected_then(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os-collect-config runs when what it collects differs from ``*.last``, or where there is none."""
    last = write(runtime / "heat.json.last", {})
    with pytest.raises(SystemExit) as ended:
        main.main(["accept"])
    assert ended.value.code == 1
    assert not last.exists()
