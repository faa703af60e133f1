"""What is done to units of services whose key is not in the metadata."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tripleo_ha.node import converge
from tripleo_ha.table import Row, Unit


@pytest.mark.parametrize(
    ("state", "stopped", "forgotten"),
    [
        ("active", True, True),
        ("activating", True, True),
        ("deactivating", True, True),
        ("failed", False, True),
        ("inactive", False, False),
        ("unknown", False, False),
    ],
)
def test_nothing_of_an_absent_service_runs_or_counts_as_failed(
    state: str, stopped: bool, forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run(argv: Sequence[str], **how: object) -> Any:
        done.append(argv[1])
        return SimpleNamespace(stdout=f"{state}\n")

    monkeypatch.setattr(converge, "run", run)
    monkeypatch.setattr(converge.units, "stop", lambda name: done.append(f"stop {name}"))
    changes: list[str] = []
    context: Any = SimpleNamespace(changed=changes.append)
    converge.stop_absent(context, [Row("x", "x", "", units=(Unit("x.service"),))])
    assert done == ["is-active", *["stop x.service"] * stopped, *["reset-failed"] * forgotten]
    assert len(changes) == stopped
