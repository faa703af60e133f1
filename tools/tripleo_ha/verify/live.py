"""Verifying until a cluster is good or time is over, and showing the results."""

import sys
import time
from collections.abc import Callable, Collection, Sequence

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify import nodes
from tripleo_ha.verify.result import CheckResult
from tripleo_ha.verify.runner import Target, verify
from tripleo_ha.verify.transport import BedTransport
from tripleo_ha.waiting import rest_after

SETTLE_S = 60.0
"""A converged cluster may still elect a leader or move a virtual IP back to rest."""


def verify_bed(bed: Bed) -> int:
    """Verify a test bed, which may take a while to settle, print the table, and return 0 when all is good, else 1."""
    results = until_good(Target.of(BedTransport(bed)), SETTLE_S, waiting_for)
    print(table(results, color=sys.stdout.isatty()), flush=True)  # noqa: T201
    return 0 if all(result.ok for result in results) else 1


def spares_one(bed: Bed) -> list[CheckResult]:
    """Verify a test bed in the middle of an upgrade until it can spare a controller; return what is not good then."""
    results = until_good(Target.of(BedTransport(bed)), SETTLE_S, waiting_for, but=(nodes.IMAGE,))
    return [result for result in results if not result.ok and result.name != nodes.IMAGE]


def until_good(
    target: Target,
    wait: float,
    tell: Callable[[list[CheckResult]], None] = lambda results: None,
    but: Collection[str] = (),
) -> list[CheckResult]:
    """Verify, again and again for ``wait`` seconds at most, until every check is good; return the last results.

    :param tell: called with the results of each verification that is followed by another.
    :param but: names of checks that need not be good.
    """
    deadline = time.monotonic() + wait
    while True:
        began = time.monotonic()
        results = verify(target)
        rest = rest_after(time.monotonic() - began)
        good = all(result.ok or result.name in but for result in results)
        if good or time.monotonic() + rest >= deadline:
            return results
        tell(results)
        time.sleep(rest)


def waiting_for(results: Sequence[CheckResult]) -> None:
    """Say on standard error what is not good yet."""
    for result in results:
        if not result.ok:
            print(f"not yet: {result.name}: {result.evidence}", file=sys.stderr, flush=True)  # noqa: T201


def table(results: Sequence[CheckResult], *, color: bool = False) -> str:
    """Return results as lines for a person, failures last, where they are seen."""
    width = max((len(result.name) for result in results), default=0)
    marks = {True: "\033[32mok\033[0m  ", False: "\033[31mFAIL\033[0m"} if color else {True: "ok  ", False: "FAIL"}
    ordered = sorted(results, key=lambda result: (not result.ok, result.name))
    lines = [f"{marks[result.ok]}  {result.name:<{width}}  {result.evidence}" for result in ordered]
    failed = sum(not result.ok for result in results)
    return "\n".join([*lines, f"{len(results)} checks, {f'{failed} failed' if failed else 'all good'}"])
