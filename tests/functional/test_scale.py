"""A cluster grows from one controller to three and five, and shrinks to three; what it holds is kept."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from availability import elsewhere
from beds import REPORTS, Summary, assert_good, devtest, down, make, target_of

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Account
from tripleo_ha.verify.runner import Target, trial_account
from tripleo_ha.waiting import wait_for

STEPS = (3, 5, 3)
SCALE_S = 600.0
MEMBERS_S = 120.0


@pytest.fixture
def growing(state: Path, image_root: Path | None, clear_shared_bed: Callable[[], None]) -> Iterator[Path]:
    """The state directory of a bed of one controller, of this test's own."""
    clear_shared_bed()
    own = state.with_name(f"{state.name}-scale")
    down(own)
    try:
        make(own, 1, image_root, REPORTS)
        yield own
    finally:
        down(own)


class Kept:
    """Rows and messages that were acknowledged; all of them have to be there at every scale."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.queue = f"{account.name}.kept"
        self.ids: list[str] = []

    def add(self, target: Target, count: int = 20) -> None:
        """Write rows and publish messages through the virtual IP."""
        address = target.vip("control")
        elsewhere(target.transport.enter, self._add, address, count)

    def _add(self, address: str, count: int) -> None:
        new = [f"kept-{len(self.ids) + number}" for number in range(count)]
        connection = client.sql(address, 3306, self.account)
        broker = client.broker(address, 5672, self.account)
        channel = broker.channel()
        client.declare_quorum(channel, self.queue)
        for identity in new:
            client.write_row(connection, identity, time.time())
            client.publish(channel, self.queue, identity)
        self.ids += new
        connection.close()
        broker.close()

    def check(self, target: Target) -> None:
        """Find every row on every node, and the queue with as many members as there are controllers."""
        for node in target.transport.nodes:
            told = target.ask(node, "rows", {"name": self.account.name, "ids": self.ids})
            assert told["missing"] == [], node
        wait_for(
            f"{self.queue} to have a member on every controller",
            lambda: len(self._members(target)) == min(5, len(target.transport.nodes)),
            timeout=MEMBERS_S,
            interval=2,
            why=lambda: str(self._members(target)),
        )

    def _members(self, target: Target) -> list[str]:
        told = target.ask_any("queues", {"queues": [self.queue]})
        return list(told.get(self.queue, {}).get("members", []))

    def messages(self, target: Target) -> list[str]:
        """Take every message out."""
        request = {"name": self.account.name, "password": self.account.password, "queue": self.queue, "count": 10_000}
        return list(target.ask(target.transport.nodes[-1], "take", request)["payloads"])


def test_scale(growing: Path, summary: Summary) -> None:
    target = target_of(Bed.open(growing))
    assert_good(target)
    scale = 1
    with trial_account(target) as account:
        kept = Kept(account)
        kept.add(target)
        for wanted in STEPS:
            began = time.monotonic()
            log = REPORTS / f"{growing.name}-{scale}-{wanted}.log"
            devtest(growing, "scale", str(wanted), "--no-verify", timeout=SCALE_S, log=log)
            bed = Bed.open(growing)
            assert len(bed.nodes) == wanted
            target = target_of(bed)
            assert_good(target)
            summary.tell(f"scale {scale} to {wanted}", f"{time.monotonic() - began:.0f} s to verified")
            kept.check(target)
            kept.add(target)
            scale = wanted
        assert sorted(kept.messages(target)) == sorted(kept.ids)
