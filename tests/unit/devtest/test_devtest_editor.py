"""A person edits a node's metadata; what was typed is not lost to a mistake in it."""

import re
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha.devtest import editor
from tripleo_ha.errors import UsageError

DOCUMENT: dict[str, Any] = {"node": {"name": "a"}, "keystone": {"admin_password": "2024-01-01", "region": "on"}}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "places"))
    (tmp_path / "places").mkdir()
    return tmp_path / "places"


def typing(script: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an editor whose path has a space, and which does what the script says to the file ``$1``."""
    program = places.parent / "my editor"
    program.write_text(f"#!/bin/sh -e\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"'{program}'")


def test_what_is_left_as_it_is_stays_the_same_document(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typing("true", places, monkeypatch)
    assert editor.edit(DOCUMENT) == DOCUMENT


def test_what_was_typed_is_returned_and_no_secret_left_behind(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typing('echo "mysql: {}" >>"$1"', places, monkeypatch)
    assert editor.edit(DOCUMENT) == {**DOCUMENT, "mysql": {}}
    assert list(places.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('printf "a: [\\n" >"$1"', r"metadata\.yaml:\d:\d"),
        ('echo "a: 2024-99-99" >"$1"', r"metadata\.yaml:1:4"),
        ('printf "a: 1\\na: 2\\n" >"$1"', r"metadata\.yaml:2:1"),
        ('head -c 5000 /dev/zero | tr "\\0" "[" >"$1"', r"metadata\.yaml:1:\d+"),
        ('echo typed >"$1"; exit 3', "exit status 3"),
    ],
)
def test_a_mistake_is_told_and_what_was_typed_kept(
    script: str, said: str, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(script, places, monkeypatch)
    with pytest.raises(UsageError, match=said) as refused:
        editor.edit(DOCUMENT)
    named = re.search(r"--set (\S+metadata\.yaml)`", refused.value.hint)
    assert named
    assert Path(named[1]).read_text()
    assert stat.S_IMODE(Path(named[1]).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/nowhere/vi", r"cannot start \(No such file"),
        ("false", "exit status 1"),
        ("vi 'x", "EDITOR is no command: No closing quotation"),
    ],
)
def test_without_an_editor_nothing_is_kept(
    command: str, said: str, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", command)
    with pytest.raises(UsageError, match=said):
        editor.edit(DOCUMENT)
    assert list(places.iterdir()) == []
