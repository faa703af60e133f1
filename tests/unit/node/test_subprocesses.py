"""The one place where subprocesses are started: every wait for one has an end, and says what it was for."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tripleo_ha import run
from tripleo_ha.run import CommandFailed, NotStarted
from tripleo_ha.waiting import wait_for

LARGE = "x" * 10**6
"""More than a pipe holds."""


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Process groups that no signal ends, as one that the kernel holds; they are killed in the end."""
    groups: list[int] = []
    kill = os.killpg
    monkeypatch.setattr(os, "killpg", lambda group, _: groups.append(group))
    monkeypatch.setattr(run, "KILLED_S", 0.05)
    yield groups
    for group in groups:
        kill(group, signal.SIGKILL)
        os.waitpid(group, 0)


def gone(pid: int) -> bool:
    """Whether a process has ended; somebody else's may not have been reaped yet."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_without_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    said = tmp_path / "pids"
    with pytest.raises(CommandFailed, match=r"^no end after 2 s: sh"):
        run.run(["sh", "-c", f"sleep 60 & echo $$ $! >{said}; wait"], timeout=2)
    pids = [int(word) for word in said.read_text().split()]
    wait_for("both to be gone", lambda: all(map(gone, pids)), timeout=10, interval=0.02)


def test_one_that_even_outlives_that_is_left_and_told_of(held: list[int]) -> None:
    with pytest.raises(CommandFailed, match=r"^no end after 0\.05 s, nor 0\.05 s after it was killed: sleep"):
        run.run(["sleep", "60"], timeout=0.05)
    assert not gone(held[0])


def test_an_interruption_is_not_kept_waiting(held: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.run(["sleep", "60"], timeout=60)
    assert not gone(held[0])


def test_one_that_ends_before_it_has_read_its_input_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^ended before it had read its input: sh") as caught:
        run.start(["sh", "-c", "echo broken; exit 3"], input=LARGE, log=tmp_path / "log")
    assert "broken" in str(caught.value)
    assert LARGE[:100] not in str(caught.value)


def test_one_that_closes_its_input_and_goes_on_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LAST_WORDS_S", 0.05)
    script = "echo $$; exec <&-; exec sleep 60"
    with pytest.raises(CommandFailed, match=r"^did not read its input, nor end within 0\.05 s: sh"):
        run.start(["sh", "-c", script], input=LARGE, log=tmp_path / "log")
    assert gone(int((tmp_path / "log").read_text()))


def test_what_a_person_works_with_has_ctrl_c_to_itself(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run.interactive(["sh", "-c", f"kill -INT {os.getpid()}; echo done >{tmp_path / 'said'}"])
    assert (tmp_path / "said").read_text() == "done\n"
    with pytest.raises(CommandFailed, match=r"^exit status -2: sh"):
        run.interactive(["sh", "-c", "kill -INT $$"])
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("start", [lambda argv: run.run(argv, timeout=5), run.interactive])
def test_what_cannot_be_started_has_found_nothing(start: Callable[[list[str]], object]) -> None:
    with pytest.raises(NotStarted, match=r"^cannot start \(No such file or directory\): /nowhere/tool") as failed:
        start(["/nowhere/tool"])
    assert (failed.value.exit_code, CommandFailed([], "exit status 1").exit_code) == (2, 1)
