"""Which faults a campaign consists of, and in which order: pure, and the same again for the same seed and list."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from random import Random

from tripleo_ha.chaos.faults.model import Fault
from tripleo_ha.chaos.model import Kind
from tripleo_ha.errors import UsageError

ROUND: Mapping[Kind, int] = {
    Kind.KILLED: 2,
    Kind.STOPPED: 2,
    Kind.POWER_CUT: 2,
    Kind.CUT_OFF: 2,
    Kind.OUTAGE: 1,
    Kind.OTHER: 2,
}
"""How many faults of each kind are in one round of a random campaign. All kinds of the table of figures are in every
round, so that a hundred faults strike each of them often enough for a median."""


FAMILIES_S = 300.0
"""One fault of each family is chosen such that all are done in this time."""
ROWS_SHARE = 0.8
"""So much of a campaign's time may go to one fault of each family and row, before chance decides."""


def endless(faults: Mapping[str, Kind], seed: int) -> Iterator[str]:
    """Yield names of faults for ever, round by round; nothing when there are none.

    Within a kind each fault comes once before any comes again. The order of ``faults`` makes no difference.
    """
    chance = Random(f"sequence {seed}")  # noqa: S311 — repeatable is what it has to be
    bags = {kind: _bag([name for name in sorted(faults) if faults[name] == kind], chance) for kind in ROUND}
    kinds = [kind for kind, number in ROUND.items() for _ in range(number) if kind in faults.values()]
    while kinds:
        chance.shuffle(kinds)
        for kind in tuple(kinds):
            yield next(bags[kind])


def opening(faults: Mapping[str, Fault], seed: int, seconds: float) -> tuple[str, ...]:
    """Return a fault of each family, and of each row of the table of figures, as far as time allows; longest first.

    What the cheapest of each family leave of the time, or of the first minutes of a long one, decides how much dearer
    ones may be. Where even those are too many, the dearest families are left out. Rows follow while there is room.
    """
    chance = Random(f"opening {seed}")  # noqa: S311
    families: dict[str, list[Fault]] = {}
    for name in sorted(faults):
        families.setdefault(faults[name].family, []).append(faults[name])
    cheapest = {family: min(fault.cost for fault in members) for family, members in families.items()}
    for family in sorted(cheapest, key=lambda family: (-cheapest[family], family)):
        if sum(cheapest.values()) > seconds:
            del cheapest[family]
    spare = max(0.0, min(seconds, FAMILIES_S) - sum(cheapest.values()))
    found = []
    for family in chance.sample(sorted(cheapest), len(cheapest)):
        affordable = [fault for fault in families[family] if fault.cost - cheapest[family] <= spare]
        found.append(chance.choice(affordable))
        spare -= found[-1].cost - cheapest[family]
    for kind in Kind:
        room = seconds * ROWS_SHARE - sum(fault.cost for fault in found)
        fitting = [fault for _, fault in sorted(faults.items()) if fault.kind is kind and fault.cost <= room]
        if fitting and kind is not Kind.OTHER and kind not in {fault.kind for fault in found}:
            found.append(chance.choice(fitting))
    return tuple(fault.name for fault in sorted(found, key=lambda fault: (-fault.cost, fault.name)))


class Clock:
    """Whether another strike can end in time, from what those before it took; it knows no time itself."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._took = self._expected = 0.0

    @property
    def slowness(self) -> float:
        """How many times as long as expected strikes take here."""
        return self._took / self._expected if self._expected else 1.0

    def took(self, fault: Fault, seconds: float) -> None:
        """Learn how long a strike took in all."""
        self._took += seconds
        self._expected += fault.cost

    def fits(self, cost: float, passed: float) -> bool:
        """Whether a strike of this cost ends in time when ``passed`` seconds of it are over."""
        return passed + cost * self.slowness <= self._seconds


def chance_of(seed: int, number: int, fault: str) -> Random:
    """Return the source of chance of one strike: the same for the same seed, number and fault, whatever came before."""
    return Random(f"strike {seed} {number} {fault}")  # noqa: S311


def chosen(wanted: str | None, catalogue: Mapping[str, Fault], fitting: Collection[str]) -> tuple[str, ...]:
    """Return the faults that a comma-separated list of faults, groups and kinds names, in its order.

    Without a list, they are all that fit. What is named twice is there twice.

    :param fitting: the names of those that make sense on the bed.
    :raises UsageError: a name is none of these, or a fault that is named makes no sense there.
    """
    if wanted is None:
        return tuple(name for name in catalogue if name in fitting)
    words = [word.strip() for word in wanted.split(",") if word.strip()]
    names = [name for word in words for name in _meant(word, catalogue, fitting)]
    if not names:
        raise UsageError("no fault is named", "`tripleo-ha chaos --list` shows them")
    return tuple(names)


def _meant(word: str, catalogue: Mapping[str, Fault], fitting: Collection[str]) -> Sequence[str]:
    if word in catalogue:
        if word not in fitting:
            raise UsageError(f"fault {word} makes no sense on this bed: too few nodes, or no disks of their own")
        return [word]
    meant = [name for name, fault in catalogue.items() if word in (*fault.groups, fault.kind.value)]
    if among := [name for name in meant if name in fitting]:
        return among
    known = {*catalogue, *(group for fault in catalogue.values() for group in fault.groups), *map(str, Kind)}
    near = difflib.get_close_matches(word, sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near and not meant else ""
    reason = f"no fault of {word!r} makes sense on this bed" if meant else f"there is no fault and no group {word!r}"
    raise UsageError(reason, f"{hint}`tripleo-ha chaos --list` shows them")


def _bag(names: Sequence[str], chance: Random) -> Iterator[str]:
    while names:
        yield from chance.sample(names, len(names))
