"""Rows that a transaction has locked are free again soon after the balancer that its client came by is gone."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pymysql
import pytest
from availability import elsewhere
from beds import Summary, assert_good, holders, writer

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify import client
from tripleo_ha.verify.client import Account
from tripleo_ha.verify.runner import Target, trial_account
from tripleo_ha.waiting import wait_for

VIP = "control"
MOVE_S = 60.0
BACK_S = 240.0
ANSWER_S = 2.0
FREE_S = 12.0
"""The address moves in 4 s, and what is gone is noticed in as many; the rest is for a machine that is busy."""
TRY_S = 60.0


def keep_apart(bed: Bed, target: Target) -> str:
    """Have the virtual IPs on a node that is not the writer, and return that node."""
    writes = writer(target)
    node = next(name for name in target.transport.nodes if name != writes)
    resource = f"vip-{VIP}"
    bed.exec(node, ["crm_resource", "--move", "--resource", resource, "--node", node], timeout=30)
    try:
        wait_for(f"{resource} to be on {node}", lambda: holders(target).get(VIP) == node, timeout=MOVE_S)
    finally:
        bed.exec(node, ["crm_resource", "--clear", "--resource", resource], timeout=30)
    assert writer(target) != node
    return node


class Locked:
    """A row that a client has changed in a transaction which it never ends."""

    def __init__(self, target: Target, account: Account) -> None:
        self.enter, self.address, self.account = target.transport.enter, target.vip(VIP), account
        self.holds: Any = None
        elsewhere(self.enter, self._lock)

    def _lock(self) -> None:
        self.holds = client.sql(self.address, 3306, self.account)
        client.write_row(self.holds, "locked", time.time())
        self.holds.begin()
        with self.holds.cursor() as cursor:
            cursor.execute("UPDATE written SET at = 1 WHERE id = 'locked'")

    def wait_free(self) -> float:
        """Change the row by other connections until one does, and return the seconds that took."""
        began = time.monotonic()
        elsewhere(self.enter, self._change, began + TRY_S, timeout=2 * TRY_S)
        return time.monotonic() - began

    def _change(self, deadline: float) -> None:
        while True:
            try:
                connection = client.sql(self.address, 3306, self.account, timeout=ANSWER_S)
                with connection.cursor() as cursor:
                    cursor.execute("UPDATE written SET at = 2 WHERE id = 'locked'")
                connection.close()
                return
            except pymysql.MySQLError:
                if time.monotonic() > deadline:
                    raise


def freeze_balancer(bed: Bed, node: str) -> None:
    assert bed.signal(node, signal.SIGSTOP, "haproxy.service", "haproxy")


def cut_power(bed: Bed, node: str) -> None:
    bed.power_off(node)


@pytest.mark.parametrize("strike", [freeze_balancer, cut_power])
def test_locks_of_clients_that_are_gone_are_given_up(
    strike: Callable[[Bed, str], None], target: Target, bed: Bed, summary: Summary
) -> None:
    node = keep_apart(bed, target)
    with trial_account(target) as account:
        locked = Locked(target, account)
        strike(bed, node)
        took = locked.wait_free()
        if not bed.running(node):
            bed.power_on(node)
            bed.wait_converged([node], timeout=BACK_S)
        summary.tell(f"a locked row, after {strike.__name__.replace('_', ' ')}", f"free after {took:.1f} s")
    assert_good(target, BACK_S)
    assert took <= FREE_S
