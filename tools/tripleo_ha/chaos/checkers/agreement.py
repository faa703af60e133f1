"""Judge whether there is one history after all has healed: every node ends with the same, whatever it is."""

from collections.abc import Mapping
from typing import Any

from tripleo_ha.chaos.checkers.tally import Tally
from tripleo_ha.chaos.model import Verdict

NAME = "agreement"
DIVERGENCE, UNDECIDED = "nodes differ", "cannot be judged"


def check(finals: Mapping[str, Mapping[str, Any]], nodes: int | None = None) -> Verdict:
    """Compare what nodes ended with.

    :param finals: by what was read (``lists``, ``bank``, queues …), each node's state by its name.
    :param nodes: how many nodes must have been read; without it, as many as there are for any of them.
    """
    tally = Tally(NAME)
    wanted = nodes if nodes is not None else max(map(len, finals.values()), default=0)
    tally.count(states=len(finals), nodes=wanted)
    for what, states in finals.items():
        if len(states) < wanted:
            tally.find(UNDECIDED, f"{what}: read on {len(states)} of {wanted} nodes")
        groups: list[tuple[list[str], Any]] = []
        for node, state in states.items():
            same = next((names for names, other in groups if other == state), None)
            if same is None:
                groups.append(([node], state))
            else:
                same.append(node)
        if len(groups) > 1:
            sides = "; ".join(f"{' and '.join(names)}: {_differing(state, groups)}" for names, state in groups)
            tally.find(DIVERGENCE, f"{what}: {sides}")
    return tally.verdict()


def _differing(state: Any, groups: list[tuple[list[str], Any]]) -> str:
    """Show what a state has that others do not, cut to what a person reads."""
    others = [other for _, other in groups if other is not state]
    if isinstance(state, Mapping):
        own = {
            key: value
            for key, value in state.items()
            if not all(isinstance(other, Mapping) and key in other and other[key] == value for other in others)
        }
        return f"{own!r:.200}"
    return f"{state!r:.200}"
