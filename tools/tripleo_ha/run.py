"""The one place where a subprocess is started."""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tripleo_ha.errors import Failure, UsageError

TAIL_LINES = 15
KILLED_S = 30.0
"""What was killed is gone at once, unless the kernel holds it in a call: for as long as a disk takes, or for ever."""
LAST_WORDS_S = 10.0
"""What reads its input no more has this long to say why, and to end."""


@dataclass(frozen=True)
class Completed:
    """What a finished command left behind; the streams are decoded text."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class CommandFailed(Failure):
    """A command exited non-zero, ran out of time or could not be started.

    The message holds the command as it can be pasted into a shell, and the end of what it said.
    Input and environment, where secrets travel, are never part of it.
    """

    def __init__(self, argv: Sequence[str], reason: str, output: str = "", hint: str = "") -> None:
        tail = "\n".join("    " + line for line in output.strip().splitlines()[-TAIL_LINES:])
        super().__init__(f"{reason}: {shlex.join(argv)}" + (f"\n{tail}" if tail else ""), hint)
        self.argv = tuple(argv)
        self.reason = reason
        self.output = output


class NotStarted(CommandFailed):
    """A command could not be started: there is none of that name, or this process has no right to it."""

    exit_code = UsageError.exit_code

    def __init__(self, argv: Sequence[str], error: OSError) -> None:
        super().__init__(argv, f"cannot start ({error.strerror})")


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    check: bool = True,
    log: Path | None = None,
) -> Completed:
    """Run one command to its end and return what it printed.

    :param argv: the program and its arguments; no secret belongs here, pass those by ``input`` or ``env``.
    :param timeout: seconds; when it runs out the whole process group is killed.
    :param env: variables added to this process's environment.
    :param check: raise on a non-zero exit status.
    :param log: append both streams to this file instead of capturing them.
    :raises CommandFailed: it could not be started, ran out of time, or failed with ``check`` set.
    """
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(log.open("a")) if log else None
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                stdout=sink or subprocess.PIPE,
                stderr=subprocess.STDOUT if sink else subprocess.PIPE,
                env={**os.environ, **env} if env else None,
                cwd=cwd,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise NotStarted(argv, error) from error
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            reason = f"no end after {timeout:g} s" + _kill_group(process)
            raise CommandFailed(argv, reason, _text(error.stderr)) from error
        except BaseException:
            _kill_group(process)
            raise
    done = Completed(tuple(argv), process.returncode, stdout or "", stderr or "")
    if check and done.returncode != 0:
        output = done.stderr.strip() or done.stdout
        where = f"see {log}" if log else ""
        raise CommandFailed(argv, f"exit status {done.returncode}", output, where)
    return done


def start(argv: Sequence[str], *, input: str, log: Path) -> "subprocess.Popen[str]":
    """Start a command that goes on beside this process, in a session of its own, and return it.

    Signals of the terminal do not reach it, and it is told to end when this process's main thread is gone.

    :param input: what it reads from its standard input, where secrets travel.
    :param log: both streams are appended to this file.
    :raises CommandFailed: it could not be started, or did not take its input.
    """
    supervised = ["setpriv", "--pdeathsig", "TERM", "--", *argv]
    try:
        with log.open("a") as sink:
            process = subprocess.Popen(
                supervised, stdin=subprocess.PIPE, stdout=sink, stderr=sink, text=True, start_new_session=True
            )
    except OSError as error:
        raise NotStarted(argv, error) from error
    assert process.stdin
    try:
        with process.stdin as stream:
            stream.write(input)
    except BrokenPipeError as error:
        reason = "ended before it had read its input"
        try:
            process.wait(LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            reason = f"did not read its input, nor end within {LAST_WORDS_S:g} s" + _kill_group(process)
        raise CommandFailed(argv, reason, log.read_text(), f"see {log}") from error
    return process


def interactive(argv: Sequence[str]) -> None:
    """Run a command that a person works with, such as an editor: it has the terminal, and all the time it is given.

    :raises CommandFailed: it could not be started, or failed.
    """
    # As system(3) does: Ctrl-C is for the command. What handles a signal here is not handed down to it.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        status = subprocess.call(argv)
    except OSError as error:
        raise NotStarted(argv, error) from error
    finally:
        signal.signal(signal.SIGINT, before)
    if status != 0:
        raise CommandFailed(argv, f"exit status {status}")


def _kill_group(process: "subprocess.Popen[str]") -> str:
    """Kill a command and whatever it has started, and return what a failure is to say of that: mostly nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(KILLED_S)
    except subprocess.TimeoutExpired:
        return f", nor {KILLED_S:g} s after it was killed"
    return ""


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
