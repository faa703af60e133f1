"""What somebody changed in a node's metadata, kept apart from what is generated, so that scaling keeps it; pure."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha.metadata.generate import merged

Path = tuple[str, ...]
OURS: tuple[Path, ...] = (("cluster", "nodes"), ("node", "name"))
"""What a bed itself decides."""


@dataclass(frozen=True)
class Edits:
    """``changed`` is merged over the generated document, then the keys at ``removed`` are taken out."""

    changed: Mapping[str, Any] = field(default_factory=dict)
    removed: tuple[Path, ...] = ()


def difference(old: Mapping[str, Any], new: Mapping[str, Any], at: Path = ()) -> Edits:
    """Return the edits that make ``new`` of ``old``, other than in what a bed itself decides."""
    changed: dict[str, Any] = {}
    removed = [(*at, key) for key in old if key not in new and (*at, key) not in OURS]
    for key, value in new.items():
        here = (*at, key)
        if here in OURS or (key in old and old[key] == value):
            continue
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            below = difference(old[key], value, here)
            removed += below.removed
            if below.changed:
                changed[key] = below.changed
        else:
            changed[key] = copy.deepcopy(value)
    return Edits(changed, tuple(removed))


def apply(document: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """Return a copy of ``document`` with the edits made."""
    result = merged(document, edits.changed)
    for *above, last in edits.removed:
        section: Any = result
        for key in above:
            section = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.pop(last, None)
    return result
