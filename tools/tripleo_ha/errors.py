"""Failures that a person is told about, without a traceback."""


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


class TimedOut(Failure):
    """A bounded wait ran out; the message names what was waited for."""
