"""Cycles of dependencies: whether there are any, of which kind, and a short one of each group to show to people.

Whether a group of transactions breaks snapshot isolation is decided exactly, in linear time: a cycle without two
anti-dependencies in a row is a cycle in the graph whose vertices are (transaction, reached by an anti-dependency) and
that has no anti-dependency out of a vertex reached by one. Only the choice of the cycle that is shown is a search with
a bound.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import networkx

from tripleo_ha.chaos.checkers.anomalies import Anomaly
from tripleo_ha.chaos.checkers.dependencies import (
    DEPENDENCIES,
    INFORMATION,
    PROCESS,
    RW,
    WR,
    WW,
    Component,
    Dependencies,
    Edge,
)

TRIES = 32
"""Edges of one group from which a short cycle is searched for."""
REACH = 2000
"""Vertices that such a search visits at most."""

Vertex = tuple[int, bool]
"""A transaction, and whether it was reached by an anti-dependency."""
Step = tuple[int, Edge, int]
"""One transaction, why it comes before the other, and the other."""


@dataclass(frozen=True)
class Cycle:
    """A cycle and its name; without ``steps`` where it is only counted."""

    anomaly: Anomaly
    steps: tuple[Step, ...] = ()


def find_cycles(graph: Dependencies) -> Iterator[Cycle]:
    """Yield one cycle for each kind that a group of inexplicable transactions shows, groups independent of each other.

    Write skew is named only where a group shows nothing worse; process and real-time order only where dependencies
    alone do not account for the group.
    """
    for suspects in graph.suspects():
        groups = graph.components(suspects, DEPENDENCIES)
        for group in groups:
            yield from _name(graph, group)
        sessions = graph.components(suspects, DEPENDENCIES | PROCESS)
        yield from (Cycle(Anomaly.PROCESS) for session in sessions if session not in groups)
        if suspects not in sessions:
            yield Cycle(Anomaly.REALTIME)


def _name(graph: Dependencies, group: Component) -> Iterator[Cycle]:
    worse = [*_write_cycles(graph, group), *_information_cycles(graph, group), *_skews(graph, group)]
    yield from worse
    if not worse:
        search = _Search(graph, group, DEPENDENCIES, adjacent=True)
        yield Cycle(Anomaly.G2_ITEM, search.shortest(search.starts(RW)))


def _write_cycles(graph: Dependencies, group: Component) -> Iterator[Cycle]:
    for part in graph.components(group, WW):
        search = _Search(graph, part, WW)
        yield Cycle(Anomaly.G0, search.shortest(search.starts(WW)))


def _information_cycles(graph: Dependencies, group: Component) -> Iterator[Cycle]:
    for part in graph.components(group, INFORMATION):
        search = _Search(graph, part, INFORMATION)
        starts = search.starts(WR)
        if starts:
            yield Cycle(Anomaly.G1C, search.shortest(starts))


def _skews(graph: Dependencies, group: Component) -> Iterator[Cycle]:
    """Yield a cycle for each part in which anti-dependencies are never next to each other."""
    whole = _Search(graph, group, DEPENDENCIES)
    product: networkx.DiGraph[Vertex] = networkx.DiGraph()
    for transaction in group:
        for vertex in ((transaction, False), (transaction, True)):
            product.add_edges_from((vertex, then) for then, _ in whole.next(vertex))
    for part in networkx.strongly_connected_components(product):
        starts = [
            (before, RW, then)
            for before, skewed in part
            if not skewed
            for then, edge in graph.after[before].items()
            if (then, True) in part and edge & DEPENDENCIES == RW
        ]
        if starts:
            single = _Search(graph, group, INFORMATION).shortest(starts, bounded=True)
            steps = single or whole.shortest(starts)
            single = single or (steps if [edge for _, edge, _ in steps].count(RW) == 1 else ())
            yield Cycle(Anomaly.G_SINGLE if single else Anomaly.G_NONADJACENT, steps)


class _Search:
    """Breadth-first search for short cycles within a group, over edges of some kinds.

    An edge that is a write or read dependency counts as that, even if it is an anti-dependency too.

    :param adjacent: whether one anti-dependency may follow another.
    """

    def __init__(self, graph: Dependencies, group: Component, kinds: Edge, *, adjacent: bool = False) -> None:
        self._after = graph.after
        self._graph = graph
        self._group = group
        self._kinds = kinds
        self._adjacent = adjacent

    def starts(self, kind: Edge) -> list[Step]:
        """Return the edges of the group that are of this kind and of no stronger one."""
        return [
            (before, kind, then)
            for before, then, edge in self._graph.edges(self._group)
            if edge & kind and not edge & (kind - 1)
        ]

    def next(self, vertex: Vertex) -> Iterator[tuple[Vertex, Edge]]:
        """Yield where an edge leads to, and the kind of that edge."""
        before, skewed = vertex
        for then, edge in self._after[before].items():
            if then not in self._group:
                continue
            if edge & self._kinds & INFORMATION:
                yield (then, False), WW if edge & WW else WR
            elif edge & self._kinds & RW and not edge & INFORMATION and (self._adjacent or not skewed):
                yield (then, not self._adjacent), RW

    def shortest(self, starts: Iterable[Step], *, bounded: bool = False) -> tuple[Step, ...]:
        """Return a short cycle through one of some edges, empty if none was found.

        :param bounded: give up rather than search the whole group.
        """
        best: tuple[Step, ...] = ()
        starts = list(islice(starts, TRIES))
        for start in starts:
            steps = self._cycle(start, REACH)
            if steps and (not best or len(steps) < len(best)):
                best = steps
            if len(best) == 2:
                return best
        if best or bounded:
            return best
        return next(filter(None, (self._cycle(start, 0) for start in starts)), ())

    def _cycle(self, start: Step, reach: int) -> tuple[Step, ...]:
        """Search the way back from the end of an edge to its beginning; ``reach`` 0 is without a bound."""
        before, kind, then = start
        first: Vertex = (then, kind == RW and not self._adjacent)
        goal: Vertex = (before, False)
        came: dict[Vertex, tuple[Vertex, Edge] | None] = {first: None}
        queue = deque([first])
        while queue and goal not in came and not len(came) > reach > 0:
            vertex = queue.popleft()
            for following, edge in self.next(vertex):
                if following not in came:
                    came[following] = vertex, edge
                    queue.append(following)
        return (start, *_way_back(came, goal)) if goal in came else ()


def _way_back(came: dict[Vertex, tuple[Vertex, Edge] | None], goal: Vertex) -> list[Step]:
    steps: list[Step] = []
    vertex = goal
    while (origin := came[vertex]) is not None:
        previous, edge = origin
        steps.append((previous[0], edge, vertex[0]))
        vertex = previous
    return steps[::-1]
