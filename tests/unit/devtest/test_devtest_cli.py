"""What the command says to bad input"""

import os
import re
from pathlib import Path

import pytest

from tripleo_ha.cli import devtest
from tripleo_ha.cli.main import main
from tripleo_ha.devtest import layout
from tripleo_ha.errors import UsageError


def call(*argv: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["devtest", *argv])
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv(devtest.SCALE_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["up", "--scale", "0"], "scale 0 is out of range"),
        (["up", "--scale", "2"], "--allow-even"),
        (["scale", "four"], "not a number"),
        (["status"], "no test bed"),
        (["exec", "0", "--", "true"], "no test bed"),
        (["power-off", "0"], "no test bed"),
        (["metadata", "0", "--show"], "no test bed"),
    ],
)
def test_one_clear_line(argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = call("--state", str(tmp_path / "none"), *argv, capsys=capsys)
    assert code == 2
    assert said in told.splitlines()[0]
    assert not (tmp_path / "none").exists()


def taken(scale: int) -> bool:
    try:
        return layout.check_scale(scale) == scale
    except UsageError:
        return False


@pytest.mark.parametrize("verb", ["up", "scale"])
def test_help_names_every_scale_that_is_taken(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["devtest", verb, "--help"])
    offered = re.search(r"controllers: ([0-9, ]+)", capsys.readouterr().out)
    assert offered
    assert [int(number) for number in offered[1].split(",")] == [scale for scale in range(-1, 20) if taken(scale)]


def test_the_scale_of_the_environment_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(devtest.SCALE_VARIABLE, "0")
    code, told = call("--state", str(tmp_path / "none"), capsys=capsys)
    assert (code, "scale 0 is out of range" in told) == (2, True)


def test_only_root(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, told = call("--state", str(tmp_path), "status", capsys=capsys)
    assert (code, "needs root" in told) == (2, True)


def test_state_must_be_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    code, told = call("--state", str(tmp_path / "file"), "up", capsys=capsys)
    assert (code, "not a directory" in told) == (2, True)


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "1e9", "nan"])
def test_a_timeout_is_a_number_of_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = call("up", f"--timeout={seconds}", capsys=capsys)
    assert (code, "not a number of seconds" in told) == (2, True)
