"""How a verifier asks the nodes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from good_cluster import METADATA, ROWS

from tripleo_ha import cluster as clusters
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.run import CommandFailed
from tripleo_ha.verify.runner import Target


class Coming:
    """A way to nodes that answer from the third time on."""

    nodes = ("a",)

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], Any, float]] = []

    def metadata(self) -> Mapping[str, Any]:
        return METADATA

    def enter(self) -> None:
        """Stay."""

    def execute(self, node: str, argv: Sequence[str], *, input: str | None = None, timeout: float = 30) -> str:
        self.asked.append((node, list(argv), json.loads(input or ""), timeout))
        if len(self.asked) < 3:
            raise CommandFailed(argv, "exit status 1", f"a trace\ntoo early, {len(self.asked)}")
        return json.dumps({"count": 1})


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> tuple[Coming, Target]:
    monkeypatch.setattr("tripleo_ha.waiting.time.sleep", lambda seconds: None)
    transport = Coming()
    return transport, Target(transport, METADATA, clusters.from_metadata(METADATA), ROWS)


def test_a_node_that_comes_back_is_asked_until_it_can_tell(there: tuple[Coming, Target]) -> None:
    transport, target = there
    with pytest.raises(Failure):
        target.ask("a", "rows", {"ids": []})
    assert target.ask_until_told("a", "rows", {"ids": ["x"]}, answer_s=7, timeout=60) == {"count": 1}
    assert transport.asked[1:] == [("a", ["tripleo-ha-node", "probe", "rows"], {"ids": ["x"]}, 7)] * 2


def test_a_node_that_does_not_tell_in_time_is_named_with_the_last_reason(there: tuple[Coming, Target]) -> None:
    with pytest.raises(TimedOut, match="for a to tell what it holds: exit status 1: too early, 1"):
        there[1].ask_until_told("a", "rows", {}, answer_s=7, timeout=0)
