"""Whether a node has converged on what it was handed, judged from what it left in its runtime directory; pure."""

from collections.abc import Mapping
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.node import rolling

CONVERGE_S = 1800.0
"""Seconds that a cluster may take unless somebody says otherwise. A first boot of three whole control planes on two
cores has taken 5 minutes and, on a machine that was busy with others, 13."""
DERIVED = "derived"
"""What a node adds to the metadata beside the defaults."""


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
    kept = {key: value for key, value in accepted.items() if key != DERIVED}
    if not follows(kept, handed, schema.with_defaults(handed)):
        return False, "still has its former metadata"
    if converged is None or converged.get("generation") != rolling.of_controller(accepted):
        return False, "at its first run with this metadata"
    if not converged.get("ok"):
        failures = converged.get("failures") or {}
        return False, "; ".join(f"{name}: {one_line(str(why))}" for name, why in failures.items()) or "not converged"
    return True, ""


def follows(accepted: Any, handed: Any, filled: Any) -> bool:
    """Whether accepted metadata are the handed ones: all of these, and beyond them nothing but defaults.

    A key that was taken away is thereby seen, unless it held the default. A default that is not there is none that the
    node knows: its image may be older than this checkout.

    :param filled: the handed ones with all defaults.
    """
    if isinstance(accepted, Mapping) and isinstance(handed, Mapping):
        return all(
            key in accepted and follows(accepted[key], value, filled[key]) for key, value in handed.items()
        ) and all(
            key in filled and follows(value, {} if isinstance(value, Mapping) else filled[key], filled[key])
            for key, value in accepted.items()
            if key not in handed
        )
    if isinstance(accepted, list) and isinstance(handed, list):
        return len(accepted) == len(handed) and all(map(follows, accepted, handed, filled))
    return bool(accepted == handed)


def one_line(text: str, width: int = 160) -> str:
    """Return the text with line breaks removed, cut to ``width`` characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= width else joined[: width - 1] + "…"
