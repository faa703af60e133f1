"""A test bed's cluster while a campaign is at work on it: whether it is whole, and what it holds in the end."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tripleo_ha.chaos.outside import View
from tripleo_ha.chaos.recovery import Recovery, Whole
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, TimedOut
from tripleo_ha.verify.client import Account
from tripleo_ha.verify.result import Problem, attempt
from tripleo_ha.verify.runner import Target, verify
from tripleo_ha.verify.transport import BedTransport
from tripleo_ha.waiting import wait_for

LOOK_S = 0.5
READ_S = 60.0
"""Within this long each node must tell what it holds."""
ANSWER_S = 90.0
MINORITY_S = 10.0


class Cluster:
    """One bed, its cluster, and how both look from outside."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.target = Target.of(BedTransport(bed))
        self.view = View(bed, self.target)
        self.nodes = tuple(node.name for node in bed.nodes)

    def wait_whole(self, timeout: float, late: Callable[[], Iterable[str]] = tuple) -> Whole:
        """Wait until every node is on, plugged in and converged, and every check of a verification is good.

        :param late: returns what else is still waited for.
        :raises TimedOut: it was not in time; with the reason.
        """
        cheap = {"nodes": self._nodes, "roles": self.view.unsettled, "balance": self.view.unbalanced}
        recovery = Recovery(cheap, lambda: verify(self.target), lambda: "; ".join(late()))
        return wait_for("full redundancy", recovery.look, timeout=timeout, interval=LOOK_S, why=lambda: recovery.reason)

    def open_account(self) -> Account:
        """Return a new account for the clients, with what they need in the cluster.

        :raises Failure: no node could make it.
        """
        account = Account.invent("chaos")
        self.target.ask_any("open", {"name": account.name, "password": account.password, "campaign": True})
        return account

    def close_account(self, account: Account) -> None:
        """Remove an account and all that it holds, as far as any node can."""
        attempt(self.target.ask_any, "close", {"name": account.name})

    def told_by_all(self, action: str, request: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what each node answers; one may need some time until it can, and one that cannot is left out."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            answers = pool.map(lambda node: attempt(self.told, node, action, request), self.nodes)
            told = dict(zip(self.nodes, answers, strict=True))
        return {node: answer for node, answer in told.items() if not isinstance(answer, Problem)}

    def told(self, node: str, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a node answers.

        :raises TimedOut: it does not in time.
        """
        return self.target.ask_until_told(node, action, request, answer_s=ANSWER_S, timeout=READ_S)

    def minority_serves(self, nodes: Iterable[str], account: Account) -> str:
        """Say what nodes that are cut from a majority still serve, or return an empty string; takes seconds."""
        cut = set(nodes)
        try:
            wait_for("them to give their virtual IPs up", lambda: not self._held(cut), timeout=MINORITY_S, interval=0.1)
        except TimedOut:
            return f"cut from the others, still with a virtual IP: {self._held(cut)}"
        return "; ".join(filter(None, (self._takes(node, account) for node in sorted(cut))))

    def _nodes(self) -> str:
        """Say which node is not what its metadata make of it, or return an empty string."""
        for node in self.nodes:
            if not self.bed.running(node):
                return f"{node} is off"
            if self.bed.isolated(node):
                return f"{node} has its cables out"
            done, why = self.bed.converged(node)
            if not done:
                return f"{node}: {why}"
        return ""

    def _held(self, nodes: set[str]) -> str:
        held = [f"{name} on {node}" for name, on in self.view.holders().items() for node in sorted(on & nodes)]
        return ", ".join(held)

    def _takes(self, node: str, account: Account) -> str:
        statement = f"INSERT INTO {account.name}.written (id, at) VALUES ('minority of {time.monotonic()}', 0)"  # noqa: S608
        argv = ["mariadb", "--connect-timeout=3", "--execute", f"SET SESSION lock_wait_timeout=3; {statement}"]
        try:
            done = self.bed.exec(node, argv, timeout=6, check=False)
        except Failure:
            return ""
        return "" if done.returncode else f"{node}, cut from the others, took a write"
