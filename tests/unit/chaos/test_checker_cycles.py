"""The search for cycles against the enumeration of every cycle of small random graphs."""

from itertools import pairwise, product

import networkx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from list_append_given import in_turn, together

from tripleo_ha.chaos.checkers.anomalies import Anomaly
from tripleo_ha.chaos.checkers.cycles import Cycle, find_cycles
from tripleo_ha.chaos.checkers.dependencies import INFORMATION, RW, WR, WW, Dependencies, Edge
from tripleo_ha.chaos.checkers.transactions import gather

SIZE = 6
NAMES = {Anomaly.G0, Anomaly.G1C, Anomaly.G_SINGLE, Anomaly.G_NONADJACENT, Anomaly.G2_ITEM}
VERTICES = st.integers(0, SIZE - 1)
GRAPHS = st.dictionaries(
    st.tuples(VERTICES, VERTICES).filter(lambda pair: pair[0] != pair[1]), st.integers(1, 7), max_size=14
)
Edges = dict[tuple[int, int], Edge]


def graph_of(edges: Edges) -> Dependencies:
    graph = Dependencies(gather(together(*(f"x+{number}" for number in range(SIZE)))), {})
    for (before, then), edge in edges.items():
        graph.after[before][then] = edge
    return graph


def strongest(edge: Edge) -> Edge:
    return next(kind for kind in (WW, WR, RW) if edge & kind)


def every_cycle(edges: Edges) -> list[tuple[frozenset[int], list[Edge]]]:
    """Return each simple cycle's transactions and the strongest kind of each of its edges."""
    cycles = networkx.simple_cycles(networkx.DiGraph(list(edges)))
    return [(frozenset(cycle), [strongest(edges[pair]) for pair in pairwise([*cycle, cycle[0]])]) for cycle in cycles]


def skewed_twice(kinds: list[Edge]) -> bool:
    return any(pair == (RW, RW) for pair in pairwise([*kinds, kinds[0]]))


def name_of(kinds: list[Edge]) -> Anomaly:
    skews = kinds.count(RW)
    if skewed_twice(kinds) and skews > 1:
        return Anomaly.G2_ITEM
    if skews:
        return Anomaly.G_SINGLE if skews == 1 else Anomaly.G_NONADJACENT
    return Anomaly.G1C if WR in kinds else Anomaly.G0


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(GRAPHS)
def test_snapshot_isolation_is_broken_exactly_where_some_cycle_breaks_it(edges: Edges) -> None:
    found = [cycle for cycle in find_cycles(graph_of(edges)) if cycle.anomaly in NAMES]
    names = {name_of(kinds) for _, kinds in every_cycle(edges)}
    assert any(cycle.anomaly is not Anomaly.G2_ITEM for cycle in found) == bool(names - {Anomaly.G2_ITEM})
    assert bool(found) == bool(names)
    assert {cycle.anomaly for cycle in found} & {Anomaly.G0, Anomaly.G1C} == names & {Anomaly.G0, Anomaly.G1C}
    for cycle in found:
        assert_is_what_it_is_called(cycle, edges)


def assert_is_what_it_is_called(cycle: Cycle, edges: Edges) -> None:
    for before, kind, then in cycle.steps:
        assert edges[before, then] & kind
    for step, following in pairwise([*cycle.steps, cycle.steps[0]]):
        assert step[2] == following[0]
    assert name_of([kind for _, kind, _ in cycle.steps]) is cycle.anomaly


def test_a_group_is_named_by_each_kind_of_cycle_in_it() -> None:
    edges = {(0, 1): WW, (1, 0): WW, (1, 2): WR, (2, 1): WW, (2, 3): RW, (3, 2): WR, (4, 5): RW, (5, 4): RW}
    names = [cycle.anomaly for cycle in find_cycles(graph_of(edges)) if cycle.anomaly in NAMES]
    assert sorted(names) == sorted([Anomaly.G0, Anomaly.G1C, Anomaly.G_SINGLE, Anomaly.G2_ITEM])


def test_a_write_dependency_outweighs_an_anti_dependency_between_the_same_two() -> None:
    names = {cycle.anomaly for cycle in find_cycles(graph_of({(0, 1): WW | RW, (1, 0): WW | RW}))}
    assert names & NAMES == {Anomaly.G0}


def test_an_anti_dependency_of_a_long_way_round_is_found() -> None:
    size = 300
    graph = Dependencies(gather(together(*(f"x+{number}" for number in range(size)))), {})
    for before, then in pairwise([*range(size), 0]):
        graph.after[before][then] = WR
    graph.after[size - 1][0] = RW
    (cycle,) = find_cycles(graph)
    assert cycle.anomaly is Anomaly.G_SINGLE
    assert len(cycle.steps) == size


def test_real_time_is_followed_through_any_number_of_transactions() -> None:
    for gap in (0, 1, 5):
        graph = Dependencies(gather(in_turn(*(f"x+{number}" for number in range(gap + 2)))), {})
        assert list(find_cycles(graph)) == []
        graph.after[gap + 1][0] = RW
        assert [cycle.anomaly for cycle in find_cycles(graph)] == [Anomaly.REALTIME]


def test_edges_keep_to_their_kinds() -> None:
    for kinds in product((WW, WR), repeat=3):
        edges = dict(zip([(0, 1), (1, 2), (2, 0)], kinds, strict=True))
        (cycle,) = (cycle for cycle in find_cycles(graph_of(edges)) if cycle.anomaly in NAMES)
        assert cycle.anomaly is (Anomaly.G1C if WR in kinds else Anomaly.G0)
        assert all(kind & INFORMATION for _, kind, _ in cycle.steps)
