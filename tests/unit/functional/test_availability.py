import threading
import time
from dataclasses import dataclass, field

import pytest
from availability import Gap, Loop, Loops, Sample, describe, elsewhere, longest_gap, resumed
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.errors import TimedOut
from tripleo_ha.waiting import wait_for


def good(ended: float) -> Sample:
    return Sample(ended - 0.01, ended)


def bad(ended: float) -> Sample:
    return Sample(ended - 0.01, ended, "refused")


def test_the_gap_is_between_two_successes() -> None:
    samples = [good(1), good(2), bad(3), bad(4), good(6.5), good(7)]
    assert longest_gap(samples, 0.5, 7.5) == Gap(4.5, 2)


def test_silence_at_either_end_counts() -> None:
    assert longest_gap([good(9)], 0, 10) == Gap(9, 0)
    assert longest_gap([good(1)], 0, 10) == Gap(9, 1)
    assert longest_gap([bad(5)], 0, 10) == Gap(10, 0)


def test_what_lies_outside_of_the_time_does_not_count() -> None:
    assert longest_gap([good(1), good(50)], 10, 12) == Gap(2, 10)


@given(st.lists(st.floats(0, 100), max_size=30), st.lists(st.floats(0, 100), max_size=30))
def test_failures_never_shorten_a_gap_and_successes_never_lengthen_one(ends: list[float], errors: list[float]) -> None:
    alone = longest_gap([good(end) for end in ends], 0, 100)
    assert longest_gap([*map(good, ends), *map(bad, errors)], 0, 100) == alone
    assert longest_gap([*map(good, ends), *map(good, errors)], 0, 100).seconds <= alone.seconds
    assert alone.seconds >= 100 / (len(ends) + 1) - 1e-9


@pytest.mark.parametrize(
    ("samples", "answer"),
    [
        ([], False),
        ([good(11), good(12)], True),
        ([good(11)], False),
        ([good(9), good(12)], False),
        ([good(11), bad(12)], False),
        ([bad(10.5), good(11), good(12)], True),
    ],
)
def test_resumed(samples: list[Sample], answer: bool) -> None:
    assert resumed(samples, 10, 2) is answer


@dataclass
class Flaky:
    """Fails from the third call to the fifth."""

    calls: list[str] = field(default_factory=list)
    resets: int = 0

    def __call__(self, identity: str) -> None:
        self.calls.append(identity)
        if 3 <= len(self.calls) <= 5:
            raise OSError("gone")

    def reset(self) -> None:
        self.resets += 1


def test_a_loop_goes_on_through_failures_and_knows_what_was_acknowledged() -> None:
    operation = Flaky()
    entered: list[bool] = []
    loop = Loop("sql write", operation, 0.001, lambda: entered.append(True))
    began = time.monotonic()
    loop.start()
    wait_for("ten calls", lambda: len(operation.calls) >= 10, timeout=10, interval=0.01)
    loop.stop()
    assert entered == [True]
    assert loop.acknowledged[:4] == ["sql-1", "sql-2", "sql-6", "sql-7"]
    assert [sample.error for sample in loop.samples][1:4] == ["", "OSError: gone", "OSError: gone"]
    assert operation.resets == 4
    assert longest_gap(loop.samples, began, time.monotonic()).seconds >= 0.1


def test_gaps_are_told_in_one_line() -> None:
    assert describe({"sql write": Gap(2.25, 1), "token issue": Gap(0.31, 2)}) == "sql write 2.2 s, token issue 0.3 s"


def test_loops_are_at_work_until_each_has_succeeded_and_end_together() -> None:
    operations = {"one": Flaky(), "other": Flaky()}
    loops = Loops(tuple(Loop(name, operation, 0.01, lambda: None) for name, operation in operations.items()))
    with loops.at_work(10):
        since = time.monotonic()
        loops.wait_working(since, 10)
    assert set(loops.gaps(since)) == set(operations)
    assert all(resumed(loop.samples, since, 5) for loop in loops.loops)
    # After each of three failures, and at the end.
    assert [operation.resets for operation in operations.values()] == [4, 4]


def test_loops_that_do_not_succeed_are_stopped_and_named() -> None:
    class Refused(Flaky):
        def __call__(self, identity: str) -> None:
            raise OSError("refused")

    loops = Loops((Loop("one", Refused(), 0.01, lambda: None),))
    with pytest.raises(TimedOut, match="one: OSError: refused"), loops.at_work(0.2):
        pytest.fail("entered")


def test_what_is_done_elsewhere_is_done_after_the_move_and_its_failure_is_the_callers() -> None:
    here, steps = threading.get_ident(), list[str]()
    threads = set[int]()

    def do(step: str) -> None:
        threads.add(threading.get_ident())
        steps.append(step)
        if step == "fail":
            raise OSError("refused")

    elsewhere(lambda: do("move"), do, "work")
    assert steps == ["move", "work"]
    assert here not in threads
    with pytest.raises(OSError, match="refused"):
        elsewhere(lambda: None, do, "fail")


def test_what_does_not_end_elsewhere_is_given_up_and_named_without_its_arguments() -> None:
    given_up = threading.Event()

    def hang(secret: str) -> None:
        given_up.wait(10)

    try:
        with pytest.raises(TimedOut, match=r"waited 0\.05 s for .*hang") as caught:
            elsewhere(lambda: None, hang, "s3cret", timeout=0.05)
        assert "s3cret" not in str(caught.value)
    finally:
        given_up.set()
