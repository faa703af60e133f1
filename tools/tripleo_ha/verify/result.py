"""What a check says, and how an observation that failed is carried to its judge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tripleo_ha.run import CommandFailed

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class CheckResult:
    """One thing that must be true of a cluster: whether it is, and what was seen. Evidence is one line."""

    name: str
    ok: bool
    evidence: str


@dataclass(frozen=True)
class Problem:
    """An observation that could not be made, and why; never a secret."""

    reason: str


def attempt(observe: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "T | Problem":
    """Return what ``observe`` returns, or why it could not."""
    try:
        return observe(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 RUF100 — whatever goes wrong is a finding of the check, not of the verifier
        return Problem(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, CommandFailed):
        # The command is the transport's; what it said last is the reason.
        said = error.output.strip().splitlines()[-1:] or [""]
        return f"{error.reason}: {said[0].strip()}"
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def listed(items: "list[str] | tuple[str, ...] | set[str]", empty: str = "none") -> str:
    """Return names for a person: sorted, with commas."""
    return ", ".join(sorted(items)) or empty
