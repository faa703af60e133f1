"""Where the time went: the bed's own steps and each node's, on one axis."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

WIDTH = 40


class Step(TypedDict):
    """One step; ``start`` and ``end`` are seconds since the epoch."""

    step: str
    start: float
    end: float


def load(file: Path) -> list[Step]:
    """Read a file of steps; none where there is no such file or it is not one of steps."""
    try:
        return [
            Step(step=str(s["step"]), start=float(s["start"]), end=float(s["end"]))
            for s in json.loads(file.read_text())
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def rows(timelines: Mapping[str, Sequence[Step]], width: int = WIDTH) -> list[tuple[str, str, float, float, str]]:
    """Return a row for each step: who, step, seconds after the first of all, seconds it took, and a bar."""
    every = [step for steps in timelines.values() for step in steps]
    if not every:
        return []
    zero, span = min(step["start"] for step in every), 1e-9
    span = max(span, max(step["end"] for step in every) - zero)
    table = []
    for who, steps in timelines.items():
        for step in sorted(steps, key=lambda step: (step["start"], step["end"])):
            left = round((step["start"] - zero) / span * width)
            length = max(1, round((step["end"] - step["start"]) / span * width))
            bar = " " * min(left, width - 1) + "█" * min(length, width - min(left, width - 1))
            table.append((who, step["step"], step["start"] - zero, step["end"] - step["start"], bar))
    return table
