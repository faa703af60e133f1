"""What a timeline shows, and that it stays small."""

import re
from itertools import pairwise
from random import Random
from xml.etree import ElementTree

import pytest
from histories import bad, ok, steady, strike

from tripleo_ha.chaos import figures, lanes, timeline
from tripleo_ha.chaos.document import Campaign
from tripleo_ha.chaos.model import Kind, Operation, Outcome, Strike, Workload

BANK = Workload.BANK
MEGABYTE = 1_000_000


def test_lane_has_the_density_the_gaps_and_the_first_error_of_each_bin() -> None:
    history = [*steady(BANK, (1, 10), (20, 40)), bad(BANK, 12.5), bad(BANK, 13.5), bad(BANK, 15.0)]
    history.append(bad(BANK, 16.5, outcome=Outcome.INFO))
    (lane,) = lanes.lanes(history, 0.0, 40.0)
    assert len(lane.density) == 20
    assert lane.density[0] == 1 / 3  # the last bin holds the end as well, and is the fullest
    assert lane.density[5:10] == (pytest.approx(1 / 3), 0, 0, 0, 0)
    assert (lane.gaps, lane.refused, lane.unknown) == (((10.0, 20.0),), (12.5, 15.0), (16.5,))


def test_gap_of_one_process_shows_while_another_succeeds() -> None:
    history = [*steady(BANK, (0, 40)), *steady(BANK, (0, 10), (20, 40), process=1)]
    (lane,) = lanes.lanes(history, 0.0, 40.0)
    assert lane.gaps == ((10.0, 20.0),)


def test_client_that_only_accounts_has_no_outage() -> None:
    (lane,) = lanes.lanes(steady(Workload.CONSUME, (0, 10), (20, 40)), 0.0, 40.0)
    assert lane.gaps == ()


def test_lanes_are_in_one_order_and_no_longer_than_a_screen() -> None:
    history = [ok(Workload.TOKEN_ISSUE, 1.0), ok(BANK, 2.0), ok(BANK, 1e6)]
    found = lanes.lanes(history, 0.0, 1e6)
    assert [lane.workload for lane in found] == [BANK, Workload.TOKEN_ISSUE]
    assert len(found[0].density) == lanes.BINS


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([], []),
        ([5], [5]),
        ([0, 20], [0, 20]),
        ([10, 10], [5, 15]),
        ([10, 11, 12], [1, 11, 21]),
        ([0, 9, 18], [-1, 9, 19]),
    ],
)
def test_labels_keep_their_distance_near_what_they_name(wanted: list[float], placed: list[float]) -> None:
    assert lanes.spread(wanted, 10) == pytest.approx(placed)


def test_labels_never_overlap_and_keep_their_order() -> None:
    chance = Random(7)
    for _ in range(50):
        placed = lanes.spread(sorted(chance.uniform(0, 300) for _ in range(30)), 11)
        assert all(after - before >= 11 - 1e-9 for before, after in pairwise(placed))


def drawn(strikes: list[Strike], history: list[Operation]) -> str:
    return timeline.draw(Campaign("c", figures.of(strikes, history)), history)


def test_picture_names_lanes_and_strikes_and_takes_the_pages_colours() -> None:
    picture = drawn([strike(fault="power-cut <b>")], [*steady(BANK, (0, 10), (15, 40)), bad(BANK, 12.0)])
    ElementTree.fromstring(picture)
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", picture)
    assert {"bank", "1 power-cut &lt;b&gt; a", "successes"} <= set(texts)
    assert "currentColor" in picture
    assert timeline.INK not in picture
    assert "prefers-color-scheme" in picture
    assert timeline.GAP in picture


def test_same_campaign_same_picture() -> None:
    history = steady(BANK, (0, 10), (15, 40))
    assert drawn([strike()], history) == drawn([strike()], history)


def test_label_is_cut_to_its_room_and_trouble_is_coloured() -> None:
    long = strike(fault="a-fault-with-a-very-long-name-indeed", redundant=None)
    history = steady(BANK, (0, 40))
    struck = figures.of([long], history).strikes[0]
    assert timeline.label(struck) == "1 a-fault-with-a-very-long-name-i…"
    text = next(line for line in drawn([long], history).splitlines() if "a-fault" in line and "<text" in line)
    assert timeline.GAP in text


def test_campaign_without_an_operation_is_drawn() -> None:
    assert "<svg" in drawn([], [])


def test_hour_with_a_hundred_strikes_stays_below_a_megabyte() -> None:
    chance = Random(1)
    strikes = [
        Strike(number, "power-cut-of-the-writer", Kind.POWER_CUT, ("node-1",), True, at, at + 5, at + 20)
        for number, at in ((number, 30.0 + 35 * number) for number in range(1, 101))
    ]
    history = []
    for workload in Workload:
        at = 0.0
        while at < 3600:
            at += chance.uniform(0.2, 0.6)
            down = 5 < at % 35 < chance.uniform(6, 12) + 5
            outcome = chance.choice([Outcome.FAIL, Outcome.INFO]) if down else Outcome.OK
            history.append(Operation(workload, 0, at - 0.05, at, outcome, "x", "refused" if down else ""))
    assert len(history) > 90_000
    assert len(drawn(strikes, history)) < MEGABYTE
