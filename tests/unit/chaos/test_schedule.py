"""The order of a campaign's faults."""

from collections import Counter
from collections.abc import Collection
from itertools import islice

import pytest

from tripleo_ha.chaos import schedule
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.faults.model import Fault, Roles
from tripleo_ha.chaos.model import Kind
from tripleo_ha.errors import UsageError

KINDS = {name: fault.kind for name, fault in catalogue.ALL.items()}


def fault(name: str, kind: Kind = Kind.OTHER, *, groups: tuple[str, ...] = (), scale: int = 1) -> Fault:
    return Fault(
        name, kind, "", lambda roles, random: (), lambda field: None, lambda field: None, groups=groups, scale=scale
    )


SMALL = {
    each.name: each
    for each in (
        fault("kill-a", Kind.KILLED, groups=("kill", "process")),
        fault("kill-b", Kind.KILLED, groups=("kill",)),
        fault("cut", Kind.POWER_CUT, groups=("power",), scale=3),
    )
}


def first(number: int, seed: int, kinds: dict[str, Kind] = KINDS) -> list[str]:
    return list(islice(schedule.endless(kinds, seed), number))


def test_the_same_seed_gives_the_same_sequence_whatever_the_order_of_the_catalogue() -> None:
    assert first(300, 7) == first(300, 7, dict(reversed(KINDS.items())))


def test_another_seed_gives_another_sequence() -> None:
    assert first(30, 7) != first(30, 8)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_the_table_is_in_every_round(seed: int) -> None:
    length = sum(schedule.ROUND.values())
    for begin in range(0, 10 * length, length):
        struck = Counter(KINDS[name] for name in first(begin + length, seed)[begin:])
        assert struck == Counter(schedule.ROUND)


def test_a_hundred_faults_strike_every_kind_at_least_five_times() -> None:
    struck = Counter(KINDS[name] for name in first(100, 1))
    assert all(struck[kind] >= 5 for kind in Kind)


def test_within_a_kind_none_comes_again_before_all_have_come() -> None:
    kills = [name for name in first(200, 3) if KINDS[name] is Kind.KILLED]
    many = sum(kind is Kind.KILLED for kind in KINDS.values())
    assert sorted(kills[:many]) == sorted(set(kills))
    assert sorted(kills[many : 2 * many]) == sorted(set(kills))


def test_kinds_that_are_not_there_are_left_out_and_nothing_yields_nothing() -> None:
    assert set(first(20, 1, {"kill-a": Kind.KILLED})) == {"kill-a"}
    assert first(20, 1, {}) == []


def test_a_strike_has_a_chance_of_its_own() -> None:
    def draw(seed: int, number: int, name: str) -> float:
        return schedule.chance_of(seed, number, name).random()

    draws = [draw(1, 1, "a"), draw(2, 1, "a"), draw(1, 2, "a"), draw(1, 1, "b")]
    assert len(set(draws)) == 4
    assert draw(1, 1, "a") == draws[0]


def test_a_list_keeps_its_order_and_what_is_named_twice() -> None:
    assert schedule.chosen("cut, kill-a,kill-a", SMALL, SMALL) == ("cut", "kill-a", "kill-a")


def test_groups_and_kinds_stand_for_their_faults() -> None:
    assert schedule.chosen("kill", SMALL, SMALL) == ("kill-a", "kill-b")
    assert schedule.chosen("process killed,power", SMALL, SMALL) == ("kill-a", "kill-b", "cut")


def test_without_a_list_all_that_fit_the_cluster_are_chosen() -> None:
    assert schedule.chosen(None, SMALL, {"kill-a", "kill-b"}) == ("kill-a", "kill-b")
    assert schedule.chosen(None, SMALL, SMALL) == tuple(SMALL)


@pytest.mark.parametrize(
    ("wanted", "fitting", "said"),
    [
        ("kil-a", SMALL, "did you mean kill-a"),
        ("cut", {"kill-a"}, "fault cut makes no sense on this bed"),
        ("power", {"kill-a"}, "no fault of 'power' makes sense"),
        (" , ", SMALL, "no fault is named"),
    ],
)
def test_what_cannot_be_struck_is_refused(wanted: str, fitting: Collection[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        schedule.chosen(wanted, SMALL, fitting)


def test_every_fault_can_choose_when_roles_are_on_one_node_or_apart() -> None:
    nodes = ("a", "b", "c")
    for holders in ({"control": "a", "public": "a"}, {"control": "b", "public": "c"}):
        roles = Roles(nodes, "a", holders)
        for each in catalogue.ALL.values():
            struck = each.choose(roles, schedule.chance_of(1, 1, each.name))
            assert struck
            assert set(struck) <= set(nodes)
