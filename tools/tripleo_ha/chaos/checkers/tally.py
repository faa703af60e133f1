"""Gather what a checker finds, so that the thousandth finding of a kind is counted but not spelled out."""

from collections import Counter
from collections.abc import Collection, Mapping

from tripleo_ha.chaos.model import Finding, Verdict

SHOWN = 20
"""Findings of one kind that are spelled out; all are counted."""


class Tally:
    """Findings and counts of one checker while it works.

    :param findings: what is a finding, by name; the rest is counted. None: all that is found.
    :param shown: how many findings of one kind are kept with their details.
    """

    def __init__(self, checker: str, *, findings: Collection[str] | None = None, shown: int = SHOWN) -> None:
        self._checker = checker
        self._kinds = findings
        self._shown = shown
        self._findings: list[Finding] = []
        self._found: Counter[str] = Counter()
        self._counts: dict[str, int | float] = {}

    def find(self, what: str, detail: str) -> None:
        """Note that something happened that must not have, or count it where it is no finding."""
        if self._kinds is not None and what not in self._kinds:
            self.add(what)
            return
        self._found[what] += 1
        if self._found[what] <= self._shown:
            self._findings.append(Finding(self._checker, what, detail))

    def count(self, **counts: float) -> None:
        """Set counts a person wants to see; an underscore in a name becomes a space."""
        self._counts.update({name.replace("_", " "): number for name, number in counts.items()})

    def add(self, name: str, number: int = 1) -> None:
        """Add to a count that is no finding."""
        self._counts[name] = self._counts.get(name, 0) + number

    def found(self, what: str) -> int:
        """Return how often something was found so far."""
        return self._found[str(what)]

    def verdict(self) -> Verdict:
        """Return all of it: the counts hold how often each finding occurred, also those not spelled out."""
        counts: Mapping[str, int | float] = {**self._counts, **self._found}
        rest = tuple(
            Finding(self._checker, what, f"{number - self._shown} more of these")
            for what, number in self._found.items()
            if number > self._shown
        )
        return Verdict(self._checker, (*self._findings, *rest), counts)
