"""What a campaign's figures say of histories whose figures are known."""

from math import inf

import pytest
from histories import bad, ok, steady, strike

from tripleo_ha.chaos import figures
from tripleo_ha.chaos.gaps import merged, tracks
from tripleo_ha.chaos.model import Kind, Outcome, Service, Workload

BANK, PUBLISH, TOKEN = Workload.BANK, Workload.PUBLISH, Workload.TOKEN_ISSUE


def test_gap_is_between_the_last_success_before_and_the_first_after() -> None:
    history = [*steady(BANK, (0, 11)), bad(BANK, 12.0), bad(BANK, 13.0), *steady(BANK, (15, 40))]
    seen = figures.of([strike()], history).strikes[0].services[Service.SQL]
    assert (seen.longest.began, seen.longest.ended, seen.longest.errors) == (11.0, 15.0, 2)
    assert seen.longest.seconds == pytest.approx(3.0)  # beyond the usual second
    assert seen.unavailable == pytest.approx(3.0)
    assert seen.errors == {"refused": {"fail": 2}}
    assert seen.successes == 17


def test_times_to_redundancy_count_from_injection_and_from_heal() -> None:
    one = figures.of([strike(injected=10, healed=20, redundant=33.5)], steady(BANK, (0, 40))).strikes[0]
    assert (one.from_injection, one.from_heal) == (23.5, 13.5)


def test_operation_that_spans_the_outage_has_no_error_and_all_of_the_gap() -> None:
    history = [*steady(BANK, (0, 9)), ok(BANK, 18.5, began=9.5), *steady(BANK, (19, 40))]
    seen = figures.of([strike()], history).strikes[0].services[Service.SQL]
    assert seen.longest.seconds == pytest.approx(8.5)
    assert seen.unavailable == pytest.approx(8.5)
    assert seen.errors == {}


def test_no_success_after_is_open_and_over_every_limit() -> None:
    history = [*steady(BANK, (0, 11)), bad(BANK, 39.0, began=38.0), *steady(PUBLISH, (0, 40))]
    found = figures.of([strike()], history)
    seen = found.strikes[0].services[Service.SQL]
    assert seen.longest.open
    assert (seen.longest.began, seen.longest.ended) == (11.0, 40.0)
    cell = found.cells[Kind.POWER_CUT][Service.SQL]
    assert (cell.worst, cell.at_least, cell.reached) == (inf, 28.0, False)


def test_client_that_goes_silent_without_an_error_is_an_open_gap() -> None:
    found = figures.of([strike()], [*steady(BANK, (0, 12)), *steady(PUBLISH, (0, 40))])
    assert found.strikes[0].services[Service.SQL].longest.open


def test_end_of_a_campaign_is_no_gap() -> None:
    history = [*steady(BANK, (0, 39)), ok(PUBLISH, 39.8), ok(Workload.CONSUME, 47.0)]
    assert not figures.of([strike(redundant=None)], history).strikes[0].services[Service.SQL].longest.open


def test_no_success_before_counts_from_the_first_attempt() -> None:
    history = [bad(BANK, 10.5, began=9.0), *steady(BANK, (14, 40))]
    longest = figures.of([strike()], history).strikes[0].services[Service.SQL].longest
    assert (longest.began, longest.ended) == (9.0, 14.0)


def test_worst_process_is_the_services() -> None:
    history = [*steady(BANK, (0, 40)), *steady(BANK, (0, 10), (16, 40), process=1)]
    seen = figures.of([strike()], history).strikes[0].services[Service.SQL]
    assert (seen.longest.process, seen.longest.seconds) == (1, 5.0)


def test_one_process_at_two_workloads_hides_nothing() -> None:
    validates = [ok(Workload.TOKEN_VALIDATE, at + 0.5) for at in range(40)]
    seen = figures.of([strike()], [*validates, *steady(TOKEN, (0, 10), (17, 40))]).strikes[0]
    assert seen.services[Service.TOKEN].longest.seconds == 6.0
    assert seen.workloads[Workload.TOKEN_VALIDATE].longest.seconds == 0.0


def test_unavailability_counts_a_time_once_for_all_processes() -> None:
    history = [*steady(BANK, (0, 10), (14, 40)), *steady(BANK, (0, 12), (16, 40), process=1)]
    assert figures.of([strike()], history).strikes[0].services[Service.SQL].unavailable == pytest.approx(5.0)


def test_own_pace_is_no_unavailability() -> None:
    history = steady(BANK, (0, 11), (14, 40))
    assert figures.of([strike()], history).strikes[0].services[Service.SQL].unavailable == 0
    assert figures.of([strike()], [*history, bad(BANK, 12.0)]).strikes[0].services[Service.SQL].unavailable == 2.0


def test_unknown_outcome_is_no_success_and_counted_apart() -> None:
    unknown = bad(BANK, 12.5, outcome=Outcome.INFO, error="OperationalError 2013")
    history = [*steady(BANK, (0, 11)), unknown, bad(BANK, 13.0, error=""), *steady(BANK, (14, 40))]
    found = figures.of([strike()], history)
    seen = found.strikes[0].services[Service.SQL]
    assert seen.longest.seconds == 2.0
    assert seen.errors == {"OperationalError 2013": {"info": 1}, "without a reason": {"fail": 1}}
    assert found.outcomes[BANK] == {Outcome.OK: 39, Outcome.INFO: 1, Outcome.FAIL: 1}


@pytest.mark.parametrize("error", ["OperationalError 1020", "OperationalError 1213", "ShortOfMoney"])
def test_conflict_is_an_answer(error: str) -> None:
    refused = [bad(BANK, float(at), error=error) for at in (11, 12, 13)]
    # As when it is told while a client's last transaction was in conflict.
    history = [*steady(BANK, (0, 10), (14, 29)), *refused, bad(BANK, 30.0, error=error)]
    found = figures.of([strike()], history)
    seen = found.strikes[0].services[Service.SQL]
    assert (seen.longest.open, seen.longest.seconds, seen.unavailable, seen.errors) == (False, 0.0, 0.0, {})
    assert (seen.conflicts, seen.successes) == (4, 16)
    assert found.outcomes[BANK][Outcome.FAIL] == 4


@pytest.mark.parametrize(
    ("workload", "outcome", "error"),
    [
        (BANK, Outcome.INFO, "OperationalError 1213"),
        (BANK, Outcome.FAIL, "OperationalError 1205"),
        (PUBLISH, Outcome.FAIL, "OperationalError 1213"),
    ],
)
def test_what_only_looks_like_a_conflict_is_none(workload: Workload, outcome: Outcome, error: str) -> None:
    assert not bad(workload, 1.0, outcome=outcome, error=error).served


def test_read_is_no_success_of_a_write() -> None:
    reads = [ok(BANK, at + 0.5, value=["read", {"1": 5}]) for at in range(40)]
    looks = [ok(Workload.LIST_APPEND, at + 0.5, value=[["r", 1, None]]) for at in range(40)]
    appends = [ok(Workload.LIST_APPEND, float(at), value=[["r", 1, []], ["append", 1, at]]) for at in (9, 13, 40)]
    found = figures.of([strike()], [*steady(BANK, (0, 10), (15, 40)), *reads, *looks, *appends]).strikes[0]
    assert found.workloads[BANK].longest.seconds == 4.0
    assert found.workloads[Workload.LIST_APPEND].longest.seconds == 27.0 - 4.0


def test_process_that_only_reads_has_no_figure() -> None:
    assert not figures.of([strike()], [ok(BANK, 12.0, value=["read", {}])]).strikes[0].services


def test_gap_counts_for_the_strike_that_it_has_a_part_in_only() -> None:
    first, second = strike(10, 12, 15), strike(20, 22, 25, number=2)
    found = figures.of([second, first], steady(BANK, (0, 16), (19, 20), (24, 40)))
    assert [one.services[Service.SQL].longest.seconds for one in found.strikes] == [0.0, 3.0]
    assert found.outside[Service.SQL].seconds == 2.0


def test_strike_without_redundancy_ends_where_the_next_begins() -> None:
    first, second = strike(10, 12, None), strike(20, 22, 25, number=2)
    found = figures.of([first, second], steady(BANK, (0, 15), (18, 21), (26, 40)))
    assert [one.services[Service.SQL].longest.seconds for one in found.strikes] == [2.0, 4.0]
    assert (found.strikes[0].from_injection, found.faults[0].not_redundant) == (None, 1)


def test_only_strikes_on_a_serving_node_count_into_the_rows() -> None:
    idle = strike(40, 42, 45, number=2, serving=False)
    found = figures.of([strike(), idle], steady(BANK, (0, 10), (13, 60)))
    assert found.cells[Kind.POWER_CUT][Service.SQL].values == (2.0,)
    assert found.faults[0].services[Service.SQL].values == (2.0, 0.0)


def test_other_kind_is_in_no_row_and_in_the_faults() -> None:
    found = figures.of([strike(kind=Kind.OTHER, fault="clock")], steady(BANK, (0, 40)))
    assert Kind.OTHER not in found.cells
    assert (found.faults[0].fault, found.faults[0].services[Service.SQL].limit) == ("clock", None)
    assert found.faults[0].services[Service.SQL].reached is None


def test_outage_counts_from_the_last_nodes_agents() -> None:
    outage = strike(10, 20, 60, Kind.OUTAGE, powered=22.0, serving=False)
    history = [
        *steady(BANK, (0, 10), (37, 70)),
        *steady(BANK, (0, 10), (39, 70), process=1),
        *steady(PUBLISH, (0, 70)),
        *steady(TOKEN, (0, 10), (21, 70)),
    ]
    cells = figures.of([outage], history).cells[Kind.OUTAGE]
    assert {service: cells[service].values for service in (Service.SQL, Service.PUBLISH, Service.TOKEN)} == {
        Service.SQL: (17.0,),
        Service.PUBLISH: (0.0,),
        Service.TOKEN: (0.0,),
    }


def test_lucky_success_is_not_served() -> None:
    outage = strike(10, 20, 60, Kind.OUTAGE, powered=22.0)
    history = [*steady(BANK, (0, 10), (25, 25), (35, 38), (41, 70))]
    assert figures.of([outage], history).cells[Kind.OUTAGE][Service.SQL].values == (13.0,)


def test_outage_whose_power_on_is_unknown_is_not_reached() -> None:
    outage = strike(10, 20, 60, Kind.OUTAGE)
    assert figures.of([outage], steady(BANK, (0, 10), (30, 70))).cells[Kind.OUTAGE][Service.SQL].reached is False


def test_declare_is_as_slow_as_its_slowest_type() -> None:
    classic, quorum = Workload.DECLARE_CLASSIC, Workload.DECLARE_QUORUM
    history = [*steady(classic, (0, 10), (12, 40)), *steady(quorum, (0, 10), (20, 40), process=1)]
    found = figures.of([strike()], history)
    assert found.cells[Kind.POWER_CUT][Service.DECLARE].values == (9.0,)
    types = found.types[Kind.POWER_CUT]
    assert (types[classic].reached, types[quorum].reached) == (True, False)
    assert types[Workload.DECLARE_STREAM].reached is None


def test_median_worst_and_few_runs() -> None:
    strikes = [strike(10 + 100 * n, 12 + 100 * n, 50 + 100 * n, number=n) for n in range(5)]
    lengths = [2, 3, 4, 5, 9]
    spans = [(100 * n + 10 + length, 100 * n + 110) for n, length in enumerate(lengths)]
    found = figures.of(strikes, steady(BANK, (0, 10), *spans))
    cell = found.cells[Kind.POWER_CUT][Service.SQL]
    assert (cell.runs, cell.few, cell.median, cell.worst, cell.reached) == (5, False, 3.0, 8.0, False)
    assert figures.of(strikes[:4], steady(BANK, (0, 600))).cells[Kind.POWER_CUT][Service.SQL].few


def test_worst_at_the_limit_is_reached() -> None:
    assert figures.Cell((1.0, 2.0), 2.0).reached is True
    assert figures.Cell((1.0, 2.001), 2.0).reached is False


def test_service_without_clients_has_no_run() -> None:
    cell = figures.of([strike()], steady(BANK, (0, 40))).cells[Kind.POWER_CUT][Service.RPC]
    assert (cell.runs, cell.median, cell.worst, cell.reached, cell.limit) == (0, None, None, None, 15.0)


def test_campaigns_combine_without_mixing_their_clocks() -> None:
    one = figures.of([strike()], [*steady(BANK, (0, 10), (14, 40))])
    other = figures.of([strike()], [*steady(BANK, (0, 12), (17, 40)), bad(BANK, 14.0)])
    both = figures.combined([one, other])
    assert both.cells[Kind.POWER_CUT][Service.SQL].values == (3.0, 4.0)
    assert both.outcomes[BANK] == {Outcome.OK: 38 + 37, Outcome.FAIL: 1}
    assert (both.faults[0].from_injection.values, both.outside[Service.SQL].seconds) == ((20.0, 20.0), 0.0)
    assert both.faults[0].errors[Service.SQL] == {"refused": {"fail": 1}}
    assert both.faults[0].unavailable[Service.SQL] == pytest.approx(7.0)


def test_accounting_workload_is_of_no_service() -> None:
    assert not figures.of([strike()], steady(Workload.CONSUME, (0, 40))).strikes[0].workloads


def test_every_row_of_the_issue_has_a_limit_for_every_service() -> None:
    assert set(figures.LIMITS) == set(Kind) - {Kind.OTHER}
    assert all(set(limits) == set(Service) for limits in figures.LIMITS.values())


def test_no_operations_at_all() -> None:
    found = figures.of([], [])
    assert (found.strikes, found.faults, tracks([])) == ((), (), ())


def test_union_of_intervals() -> None:
    assert merged([(5, 6), (0, 2), (1, 3), (3, 4)]) == [(0, 4), (5, 6)]
