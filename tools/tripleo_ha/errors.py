"""Failures that a person is told about, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager


class Failure(Exception):
    """Something the user can act on.

    :param message: what went wrong, in one line where possible; never a secret.
    :param hint: what to do about it, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(Failure):
    """The command was called wrongly, or cannot run here: exit code 2."""

    exit_code = 2


@contextmanager
def unable() -> Iterator[None]:
    """Have a failure mean that the command could not run, where its exit code 1 is for what it found.

    :raises UsageError: in place of any other failure.
    """
    try:
        yield
    except Failure as failure:
        raise UsageError(failure.message, failure.hint) from failure


class TimedOut(Failure):
    """A bounded wait ran out; the message names what was waited for."""
