"""What is kept of a cluster that is not as it should be, before anything changes the picture."""

import json
from pathlib import Path

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.verify.result import Problem, attempt

LINES = "20000"
"""A balancer without a server logs every refusal; what came before must be there too."""


def save_journals(bed: Bed, directory: Path) -> None:
    """Save the end of every running node's journal, and why it has not converged."""
    directory.mkdir(parents=True, exist_ok=True)
    for node in bed.nodes:
        try:
            text = bed.exec(node.name, ["journalctl", "--no-pager", "-o", "short-precise", "-n", LINES]).stdout
        except Failure as failure:
            text = str(failure)
        (directory / f"{node.name}.log").write_text(text)
    states = {node.name: attempt(bed.converged, node.name) for node in bed.nodes}
    said = {name: state.reason if isinstance(state, Problem) else list(state) for name, state in states.items()}
    (directory / "converged.json").write_text(json.dumps(said, indent=1) + "\n")
