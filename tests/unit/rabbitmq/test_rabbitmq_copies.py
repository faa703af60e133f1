"""What brokers are asked in Erlang, and which copies of queues are missing."""

import re
from typing import Any

import pytest

from tripleo_ha.errors import Failure
from tripleo_ha.node import rabbitmq_api, rabbitmq_broker, rabbitmq_copies
from tripleo_ha.run import Completed


@pytest.mark.parametrize(
    ("printed", "returned"),
    [
        ("{ok, {true, 0}}", "{true, 0}"),
        ("{error, \"*** eval: {'EXIT',{undef,[{ra,members,[],[]}]}}\"}", "the broker on c-1 failed at .*undef"),
        ("", "the broker on c-1 failed at what it was asked"),
    ],
)
def test_an_expression_is_answered_or_told_to_have_failed(
    printed: str, returned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, Any]] = []

    def run(argv: tuple[str, ...], **options: Any) -> Completed:
        asked.append((argv[-3:], options["input"]))
        return Completed(argv, 0, printed, "")

    monkeypatch.setattr(rabbitmq_broker, "run", run)
    if printed.startswith("{ok"):
        assert rabbitmq_broker.evaluate("\nasked().\n", at="c-1") == returned
    else:
        with pytest.raises(Failure, match=returned):
            rabbitmq_broker.evaluate("asked().", at="c-1")
    assert asked == [(["-sname", "rabbit@c-1", "-e"], "asked().\n")]


def test_a_broker_lacks_its_copy_of_a_stream_and_of_a_quorum_queue_with_too_few(fake_broker: Any) -> None:
    def queue(name: str, kind: str, holders: str) -> dict[str, Any]:
        return {"name": name, "type": kind, "members": [f"rabbit@{holder}" for holder in holders]}

    fake_broker.answers["/api/queues?columns=name,type,members"] = [
        queue("whole", "quorum", "abc"), queue("calls", "quorum", "bc"), queue("elsewhere", "quorum", "bcd"),
        queue("fanout", "stream", "bcd"), queue("copied", "stream", "ab"), queue("reply", "classic", "b"),
        {"name": "going", "type": "quorum"},
    ]  # fmt: skip
    with rabbitmq_api.Api("admin", "admin-pw") as api:
        assert api.queues_without("a", 3) == ("calls", "fanout")
        assert api.queues_without("a", 5) == ("calls", "elsewhere", "fanout")


@pytest.mark.parametrize("expression", [rabbitmq_copies.DROP_COPIES, rabbitmq_copies.TAKE_COPIES])
def test_what_asks_all_at_once_binds_no_variable_that_stood_before(expression: str) -> None:
    """Erlang would match the value that it has, and take no answer for one."""
    before, asking, _ = expression.partition(rabbitmq_copies.ASK)
    assert asking
    words = re.compile(r"\b[A-Z]\w*")
    assert set(words.findall(before)) & set(words.findall(asking)) == {"Asks"}
