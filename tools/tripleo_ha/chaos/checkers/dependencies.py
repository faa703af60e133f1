"""What comes before what among list-append transactions, and which of them no order explains.

Following Adya: ``ww`` (the next version of a key is mine), ``wr`` (I read your version), ``rw`` (I read a version, and
you wrote the next one). Process and real-time order are kinds of their own, so that a cycle that needs one of them is
never mistaken for one that Adya names.
"""

import itertools
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import networkx

from tripleo_ha.chaos.checkers.transactions import History, Key, Transaction
from tripleo_ha.chaos.checkers.versions import Versions

Edge = int
"""A set of reasons for which one transaction comes before another, as bits; integers, for there are millions."""
WW, WR, RW, PROCESS = 1, 2, 4, 8
INFORMATION = WW | WR
DEPENDENCIES = WW | WR | RW

Component = frozenset[int]


class Dependencies:
    """The graph of the committed transactions of one history.

    ``after[a][b]`` are the reasons for which transaction ``a`` comes before ``b``, both by their numbers.
    """

    def __init__(self, history: History, seen: Mapping[Key, Versions]) -> None:
        self.transactions = history.transactions
        self.after: list[dict[int, Edge]] = [{} for _ in history.transactions]
        for key, versions in seen.items():
            writers = history.writers.get(key, {})
            self._writes([writers.get(value) for value in versions.order])
        for reader in history.transactions:
            if reader.committed:
                for key, state in reader.reads.items():
                    self._read(reader, state, seen.get(key) or Versions(), history.writers.get(key, {}))
        self._processes()

    def _add(self, before: Transaction | None, then: Transaction | None, edge: Edge) -> None:
        if before is not None and then is not None and before is not then:
            edges = self.after[before.number]
            edges[then.number] = edges.get(then.number, 0) | edge

    def _writes(self, writers: Sequence[Transaction | None]) -> None:
        for before, then in itertools.pairwise(writers):
            self._add(before, then, WW)

    def _read(
        self, reader: Transaction, state: list[Hashable], versions: Versions, writers: Mapping[Hashable, Transaction]
    ) -> None:
        if state:
            self._add(writers.get(state[-1]), reader, WR)
        if len(state) < len(versions.order) and versions.begins_with(state):
            self._add(reader, writers.get(versions.order[len(state)]), RW)

    def _processes(self) -> None:
        """One client's transactions in a row; one that may still happen later comes before nothing."""
        last: dict[int, Transaction] = {}
        for transaction in sorted(self.transactions, key=lambda each: each.operation.began):
            process = transaction.operation.process
            self._add(last.pop(process, None), transaction, PROCESS)
            if transaction.acknowledged:
                last[process] = transaction

    def suspects(self) -> list[Component]:
        """Return the groups of transactions that no order explains, when real time counts as well.

        Every cycle is within one of them, so that nothing else has to be searched.
        """
        found: list[Component] = []
        for segment in self._segments():
            graph: networkx.DiGraph[int] = networkx.DiGraph()
            graph.add_edges_from((before, then) for before, then, _ in self.edges(segment))
            graph.add_edges_from(_realtime([self.transactions[number] for number in segment]))
            parts = (part for part in networkx.strongly_connected_components(graph) if len(part) > 1)
            found += [frozenset(number for number in part if number >= 0) for part in parts]
        return found

    def _segments(self) -> Iterator[Component]:
        """Yield stretches of the history, by the time of the answers, such that no cycle leaves one of them.

        In a cycle something leads back in time past every answer that lies within it. Real-time order never does, and
        dependencies do so only between transactions at the same time, or where something is wrong: so these stretches
        are short and few, and the graph that has to be built for them is small.
        """
        order = sorted(self.transactions, key=lambda each: each.operation.ended)
        place = [0] * len(order)
        for index, transaction in enumerate(order):
            place[transaction.number] = index
        reach = list(range(len(order)))
        for before, edges in enumerate(self.after):
            for then in edges:
                reach[place[then]] = max(reach[place[then]], place[before])
        first = end = 0
        for index, farthest in enumerate(reach):
            if index > end:
                if end > first:
                    yield frozenset(each.number for each in order[first : end + 1])
                first = index
            end = max(end, farthest)
        if end > first:
            yield frozenset(each.number for each in order[first : end + 1])

    def components(self, within: Component, kinds: Edge) -> list[Component]:
        """Return the strongly connected components of several transactions over edges of these kinds."""
        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_edges_from((before, then) for before, then, edge in self.edges(within) if edge & kinds)
        return [frozenset(part) for part in networkx.strongly_connected_components(graph) if len(part) > 1]

    def edges(self, within: Iterable[int]) -> Iterator[tuple[int, int, Edge]]:
        """Yield the edges between transactions of a group."""
        group = within if isinstance(within, frozenset) else frozenset(within)
        for before in group:
            for then, edge in self.after[before].items():
                if then in group:
                    yield before, then, edge


def _realtime(transactions: list[Transaction]) -> Iterator[tuple[int, int]]:
    """Yield real-time order in linear space, through a chain of moments (negative numbers).

    A transaction comes before the moment at which it was acknowledged, that before all later moments, and the last
    moment before a transaction began before that.
    """
    acknowledged = [each for each in transactions if each.acknowledged]
    acknowledged.sort(key=lambda each: each.operation.ended)
    ends = [each.operation.ended for each in acknowledged]
    for index, transaction in enumerate(acknowledged, 1):
        yield transaction.number, -index
        yield -index, -index - 1
    for transaction in transactions:
        if earlier := bisect_left(ends, transaction.operation.began):
            yield -earlier, transaction.number
