"""Verdicts for people."""

from collections.abc import Iterable, Iterator

from tripleo_ha.chaos.model import Verdict

INDENT = "    "


def verdict_lines(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield a line for each verdict with its counts, and below it each finding with what shows it."""
    for verdict in verdicts:
        counts = ", ".join(f"{number:g} {name}" for name, number in verdict.counts.items())
        found = "ok" if verdict.ok else f"{len(verdict.findings)} findings"
        yield f"{verdict.checker}: {found}" + (f" ({counts})" if counts else "")
        for finding in verdict.findings:
            first, *others = finding.detail.splitlines() or [""]
            yield f"{INDENT}{finding.what}: {first}".rstrip(": ")
            yield from (f"{INDENT}{INDENT}{line}" for line in others)
