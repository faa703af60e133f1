"""The commands ``validate`` and ``schema`` as they are called."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tripleo_ha import paths
from tripleo_ha.cli.main import main
from tripleo_ha.metadata import passwords, schema

PROGRAM = "from tripleo_ha.cli.main import main; main()"


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    return int(ended.value.code or 0)


def test_clean_document(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", str(corpus / "good.yaml")) == 0
    assert capsys.readouterr().out == "1 document, 0 errors, 0 warnings\n"


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
def test_findings_exit_1(corpus: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", "--format", form, str(corpus / "unknown-mysql-key.yaml")) == 1
    assert "THA101" in capsys.readouterr().out


def test_warnings_count_when_strict(corpus: Path) -> None:
    assert call("validate", str(corpus / "rule-even.yaml")) == 0
    assert call("validate", "--strict", str(corpus / "rule-even.yaml")) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["validate"],
        ["validate", "--format", "xml", "a"],
        ["validate", "/nonexistent"],
        ["validate", "--annotate", "--format", "json", "a"],
        ["schema"],
        ["schema", "show", "nothing"],
        ["schema", "show", "../../etc/passwd"],
    ],
)
def test_wrong_usage_exits_2(argv: list[str]) -> None:
    assert call(*argv) == 2


def test_an_empty_name_is_not_this_directory(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(corpus)
    assert call("validate", "") == 2
    told = capsys.readouterr()
    assert (told.out, "an empty file name" in told.err) == ("", True)


def test_a_document_instead_of_its_name_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", "keystone: {admin_password: Hunter2Secret99}\n" * 99) == 2
    told = capsys.readouterr()
    assert "<a name of 4356 characters>: cannot read: File name too long" in told.out
    assert "Hunter2" not in told.out + told.err


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
def test_a_name_that_is_no_text(form: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.yaml"
    with open(file, "w") as stream:  # noqa: PTH123
        stream.write("mysql: {gcache: 5}\n")
    assert call("validate", "--format", form, os.fsdecode(file)) == 1
    told = capsysbinary.readouterr().out
    if form == "sarif":
        place = json.loads(told)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"].endswith("/%FF.yaml")


def test_all_that_is_generated_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("metadata", "generate", "--out", str(tmp_path)) == 0
    assert call("validate", str(tmp_path)) == 0
    assert "5 documents, 0 errors" in capsys.readouterr().out
    store = tmp_path / "passwords.yaml"
    without = yaml.safe_load(store.read_text())
    without |= {"haproxy": {"stats_password": None}, "rabbit": None, "tls": {**without["tls"], "public": None}}
    store.write_text(passwords.HEADER + yaml.safe_dump(without))
    assert call("validate", str(tmp_path)) == 0
    assert call("metadata", "generate", "--out", str(tmp_path)) == 0
    store.write_text(store.read_text().replace("  stats_password: ", "  stats_password: x\n  stats_passwort: "))
    capsys.readouterr()
    assert call("validate", str(tmp_path)) == 1
    told = capsys.readouterr().out
    assert "error THA107 haproxy.stats_password: " in told
    assert "error THA101 haproxy.stats_passwort: " in told
    assert "5 documents, 2 errors" in told


def test_annotate_shows_the_line(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", "--annotate", str(corpus / "range-gcache-zero.yaml")) == 1
    assert "   18 |   gcache_mb: 0\n      |              ^ THA105 found 0\n" in capsys.readouterr().out


def test_standard_input_and_any_locale(corpus: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", "-"],
        input=(corpus / "json-non-ascii-before.json").read_bytes(),
        capture_output=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"<stdin>:1:46: error THA101" in done.stdout


def test_output_that_nobody_reads(corpus: Path) -> None:
    line = shlex.join([sys.executable, "-c", PROGRAM, "validate", "--format", "json", str(corpus)]) + " | head -c 10"
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr


def test_schema_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema", "list") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(schema.names())
    for name in listed:
        assert call("schema", "show", name) == 0
        assert json.loads(capsys.readouterr().out) == schema.read(name)


def test_schema_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(paths, "CHECKOUT", tmp_path)
    monkeypatch.setattr(paths, "schemas", lambda: Path(__file__).parents[3] / "schemas")
    assert call("schema", "reference", "--check") == 1
    assert call("schema", "reference", "--write") == 0
    assert call("schema", "reference", "--check") == 0
    capsys.readouterr()
    assert call("schema", "reference") == 0
    assert capsys.readouterr().out == (tmp_path / "docs" / "metadata-reference.md").read_text()


def test_reference_without_its_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_markdown", None)
    assert call("schema", "reference") == 2
    assert "jsonschema-markdown is not installed" in capsys.readouterr().err
