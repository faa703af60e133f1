"""When a cluster counts as whole again, and what the time until then went to."""

from collections.abc import Callable

import pytest

from tripleo_ha.chaos.recovery import Recovery, Whole
from tripleo_ha.verify.result import CheckResult

BAD = CheckResult("units", False, "b: one has failed")
GOOD = CheckResult("units", True, "none has failed")


class Ground:
    """A cluster whose clock goes on by itself: one second a look, and three seconds a verification."""

    def __init__(self, nodes: list[str], verified: list[CheckResult], late: list[str]) -> None:
        self.now = 0.0
        self.verifications: list[float] = []
        self._verified = verified
        cheap = {"nodes": self._next(nodes), "roles": lambda: ""}
        self.recovery = Recovery(cheap, self._verify, self._next(late), clock=lambda: self.now)

    def recover(self) -> Whole:
        for _ in range(100):
            self.now += 1
            if whole := self.recovery.look():
                return whole
        pytest.fail(self.recovery.reason)

    def _verify(self) -> list[CheckResult]:
        self.verifications.append(self.now)
        self.now += 3
        return [GOOD, self._verified.pop(0) if self._verified else GOOD]

    @staticmethod
    def _next(told: list[str]) -> Callable[[], str]:
        return lambda: told.pop(0) if told else ""


def test_what_lacks_nothing_is_whole_after_one_verification() -> None:
    assert Ground([], [], []).recover() == Whole(4.0, {"verification": 4.0})


def test_nothing_is_verified_before_the_nodes_are_there() -> None:
    ground = Ground(["b is off", "b: at its first run"], [], [])
    assert ground.recover() == Whole(6.0, {"nodes": 2.0, "verification": 4.0})
    assert ground.verifications == [3.0]


def test_clients_resume_while_it_is_verified_and_are_waited_for_after_that() -> None:
    ground = Ground([], [], ["sql 0: refused", "sql 0: refused"])
    assert ground.recover() == Whole(6.0, {"verification": 4.0, "clients": 2.0})
    assert len(ground.verifications) == 1


def test_a_check_that_is_not_good_is_told_and_verified_again_after_a_pause() -> None:
    ground = Ground([], [BAD], [])
    whole = ground.recover()
    assert whole.found == (f"units: {BAD.evidence}",)
    assert ground.verifications[1] - ground.verifications[0] >= 3 + 3, "half of the time at most"


def test_a_cluster_that_breaks_while_clients_are_waited_for_is_verified_again() -> None:
    ground = Ground(["", "b is off"], [], ["sql 0: refused"] * 2)
    ground.recover()
    assert len(ground.verifications) == 2


def test_a_bad_check_and_clients_that_are_not_served_are_the_reason() -> None:
    ground = Ground([], [BAD], [])
    assert ground.recovery.look() is None
    assert ground.recovery.reason == "units: b: one has failed"
    assert Ground([], [], ["sql 0: refused"]).recovery.look() is None


def test_an_observation_that_fails_is_no_good_sign() -> None:
    def broken() -> str:
        raise OSError("no such process")

    recovery = Recovery({"nodes": broken}, list, str)
    assert recovery.look() is None
    assert "no such process" in recovery.reason
