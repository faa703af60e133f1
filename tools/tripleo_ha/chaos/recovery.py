"""Whether a cluster is whole again, looked at again and again; pure but for the looks and the clock it is given."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from tripleo_ha.verify.result import CheckResult, Problem, attempt
from tripleo_ha.waiting import rest_after

CLIENTS, VERIFICATION = "clients", "verification"


@dataclass(frozen=True)
class Whole:
    """When full redundancy was reached (seconds of ``time.monotonic()``), and what that had to wait for.

    ``waited``: seconds by what was still lacking. ``found``: the checks of a verification that were not good at first,
    each with what it said then.
    """

    at: float
    waited: Mapping[str, float]
    found: tuple[str, ...] = ()


class Recovery:
    """Looks at a cluster: first what costs nothing, then a verification while clients that were not served resume."""

    def __init__(
        self,
        cheap: Mapping[str, Callable[[], str]],
        verify: Callable[[], Sequence[CheckResult]],
        late: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        :param cheap: what can be told without a verification, by its name, in order: each says what is lacking, or
            returns an empty string.
        :param verify: verifies the cluster once.
        :param late: says which clients have not been served yet, or returns an empty string.
        """
        self.reason = "nothing seen yet"
        """What was lacking last."""
        self._cheap = cheap
        self._verify = verify
        self._late = late
        self._clock = clock
        self._counted = clock()
        self._waited: dict[str, float] = {}
        self._found: dict[str, str] = {}
        self._good = False
        self._again = -inf

    def look(self) -> Whole | None:
        """Look once, and return what was seen when nothing is lacking."""
        what, self.reason = self._lacking()
        now = self._clock()
        self._waited[what] = self._waited.get(what, 0.0) + now - self._counted
        self._counted = now
        if self.reason:
            return None
        return Whole(now, self._waited, tuple(f"{name}: {evidence}" for name, evidence in self._found.items()))

    def _lacking(self) -> tuple[str, str]:
        for what, ask in self._cheap.items():
            if reason := _said(ask):
                self._good = False
                return what, reason
        if self._good:
            return CLIENTS, _said(self._late)
        began = self._clock()
        if began < self._again:
            return VERIFICATION, self.reason
        bad = [result for result in self._verify() if not result.ok]
        self._good = not bad
        if self._good:
            return VERIFICATION, _said(self._late)
        ended = self._clock()
        self._again = ended + rest_after(ended - began)
        self._found = {result.name: result.evidence for result in bad} | self._found
        return VERIFICATION, "; ".join(f"{result.name}: {result.evidence}" for result in bad)


def _said(ask: Callable[[], str]) -> str:
    told = attempt(ask)
    return told.reason if isinstance(told, Problem) else told
