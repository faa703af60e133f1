"""Judge a positive control: a history that is known to lose updates, in which the checker must find that.

A checker that finds nothing proves nothing until it has found something where there was something to find. Under READ
COMMITTED, transactions that read on the client's side and write back what they computed overwrite each other.
"""

from collections.abc import Iterable

from tripleo_ha.chaos.checkers import list_append
from tripleo_ha.chaos.checkers.anomalies import Anomaly
from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.checkers.versions import Final
from tripleo_ha.chaos.model import Operation, Verdict

NAME = "positive control"
SILENT = "the checker sees no lost update"
OVERWRITTEN = (Anomaly.LOST_UPDATE, Anomaly.LOST_COMMIT)
"""An update that was overwritten is both, where the client tells what it read before; the latter alone where not."""


def check(operations: Iterable[Operation], final: Final) -> Verdict:
    """Have ``list_append`` judge a history under READ COMMITTED; that it finds no lost update is the finding.

    :raises ValueError: see ``list_append.check``.
    """
    judged = list_append.check(operations, final)
    tally = Tally(NAME)
    tally.count(**{name.replace(" ", "_"): number for name, number in judged.counts.items()})
    if not any(judged.counts.get(kind, 0) for kind in OVERWRITTEN):
        tally.find(SILENT, f"among {judged.counts['acknowledged']} transactions under READ COMMITTED")
    return tally.verdict()
