"""Whether a node has converged on what it was handed, judged from what it left in its runtime directory; pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

COMPLETED = {"derived", "base"}
"""What a node may add to the metadata at the top; below that it may add any default."""


def judge(
    handed: Mapping[str, Any],
    accepted: Mapping[str, Any] | None,
    converged: Mapping[str, Any] | None,
    refused: Mapping[str, Any] | None,
) -> tuple[bool, str]:
    """Return whether a node has converged on ``handed``, and otherwise why not, in one line.

    :param accepted: the node's ``metadata.json``, which holds defaults and derived values as well.
    :param converged: its ``converged.json``: ``generation``, ``ok``, ``failures`` by service.
    :param refused: its ``refused.json``: the ``reason`` why the last metadata was not accepted.
    """
    if refused:
        return False, "metadata refused: " + one_line(str(refused.get("reason", "")))
    if accepted is None:
        return False, "no metadata accepted yet"
    if not contains(accepted, handed) or set(accepted) - set(handed) - COMPLETED:
        return False, "still has its former metadata"
    if converged is None or converged.get("generation") != generation(accepted):
        return False, "at its first run with this metadata"
    if not converged.get("ok"):
        failures = converged.get("failures") or {}
        return False, "; ".join(f"{name}: {one_line(str(why))}" for name, why in failures.items()) or "not converged"
    return True, ""


def generation(accepted: Mapping[str, Any]) -> str:
    """Return the generation of accepted metadata: a digest of what all nodes have in common."""
    common = {key: value for key, value in accepted.items() if key not in ("node", "derived")}
    return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()[:16]


def contains(whole: Any, part: Any) -> bool:
    """Whether every value of ``part`` is in ``whole``: mappings may hold more, anything else is equal."""
    if isinstance(whole, Mapping) and isinstance(part, Mapping):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    return bool(whole == part)


def one_line(text: str, width: int = 160) -> str:
    """Return the text with line breaks removed, cut to ``width`` characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= width else joined[: width - 1] + "…"
