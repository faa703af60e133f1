"""Every table of facts that a node may see, and what may be founded on it, told independently of how it is decided."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, product

from tripleo_ha.topology.galera import NULL_UUID, Action, Decision, Facts, Phase, Situation, View

UUID = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
LATER = "33333333-3333-3333-3333-333333333333"
FOUNDING = (Action.CREATE, Action.BOOTSTRAP, Action.PROMOTE)
VOTES = ("me", "nobody", "another")

Option = Facts | None


def view(size: int, *members: int) -> View:
    return View(f"view-{size}-{members}", frozenset(f"m{index}" for index in members))


def options(size: int) -> list[Option]:
    """What a node may say; its own group id and its vote are put in later. One is silent."""
    everybody = view(size, *range(size))
    most = view(size, *range(size // 2 + 1))
    return [
        None,
        Facts(Phase.BLANK),
        Facts(Phase.PRIMARY, UUID, 9),
        Facts(Phase.NON_PRIMARY, UUID, 5, view=everybody),
        Facts(Phase.DOWN, UUID, 5, view=everybody),
        Facts(Phase.DOWN, UUID, 6, view=most),
        Facts(Phase.DOWN, UUID, 6, view=most, behind=True),
        Facts(Phase.DOWN, UUID, 6, safe_to_bootstrap=True),
        Facts(Phase.DOWN, UUID, 9, aborted=True, view=most),
        Facts(Phase.DOWN, OTHER, 7),
    ]


def more_options(size: int) -> list[Option]:
    """Return further facts, which are put in where there are few nodes."""
    everybody = view(size, *range(size))
    most = view(size, *range(size // 2 + 1))
    return [
        *options(size),
        Facts(Phase.BLANK, view=everybody),
        Facts(Phase.STARTING),
        Facts(Phase.STARTING, view=everybody),
        Facts(Phase.LEFT, UUID, 9, view=everybody),
        Facts(Phase.NON_PRIMARY, UUID, 6, view=most),
        Facts(Phase.NON_PRIMARY, UUID, 6),
        Facts(Phase.DOWN, UUID, 6, view=everybody),
        Facts(Phase.DOWN, UUID, 7),
        Facts(Phase.DOWN, UUID, -1, safe_to_bootstrap=True),
        Facts(Phase.DOWN, NULL_UUID, 8, safe_to_bootstrap=True),
        Facts(Phase.DOWN, LATER, 2, history=(UUID,)),
        Facts(Phase.DOWN, UUID, 8, generation="other"),
    ]


def tables(size: int) -> Iterator[tuple[Option, ...]]:
    """Give every table; of five nodes, one of those that differ only by who is called what.

    The first three of five are the members of the smaller view: within them, and within the others, order is nothing.
    """
    if size <= 3:
        yield from product(more_options(size), repeat=size)
        return
    inside = combinations_with_replacement(options(size), size // 2 + 1)
    outside = list(combinations_with_replacement(options(size), size - size // 2 - 1))
    for first, last in product(inside, outside):
        yield (*first, *last)


def situations(size: int, votes: Sequence[str] = ("me",)) -> Iterator[Situation]:
    """Give what each node that answers sees of every table, with everybody's vote for it, for nobody or another."""
    names = [f"n{index}" for index in range(size)]
    for table, vote in product(tables(size), votes):
        for me in {fact: name for name, fact in zip(names, table, strict=True) if fact}.values():
            voted = {"me": me, "nobody": "", "another": "n9"}[vote]
            yield Situation(
                names,
                me,
                {
                    name: replace(fact, member=f"m{index}", vote=voted, generation=fact.generation or "one")
                    for index, (name, fact) in enumerate(zip(names, table, strict=True))
                    if fact
                },
            )


def may_found(now: Situation) -> bool:
    """Say whether founding here can lose nothing, whoever is silent, and happens at most once."""
    mine, others = now.mine, {name: fact for name, fact in now.facts.items() if name != now.me}
    if any(fact.phase in (Phase.PRIMARY, Phase.STARTING, Phase.LEFT) for fact in now.facts.values()):
        return False
    if any(fact.generation != mine.generation for fact in others.values()):
        return False
    if any(fact.vote != now.me for fact in others.values() if fact.phase in (Phase.BLANK, Phase.DOWN)):
        return False
    if any(fact.vote not in ("", now.me) for fact in others.values()):
        return False
    if all(fact.phase is Phase.BLANK for fact in now.facts.values()):
        return set(now.nodes) == set(now.facts)
    return holds_everything(mine, others) and nobody_unknown_is_ahead(now)


def whole(fact: Facts) -> bool:
    """Say whether this is a state with a name and a number, and all of it."""
    started = fact.phase not in (Phase.DOWN, Phase.NON_PRIMARY)
    return not (started or fact.aborted or fact.seqno < 0 or fact.uuid == NULL_UUID)


def holds_everything(mine: Facts, others: dict[str, Facts]) -> bool:
    """Say whether no other that answered holds more, or another state."""
    if not whole(mine) or any(mine.uuid in fact.history for fact in others.values()):
        return False
    for fact in others.values():
        left = any(fact.uuid in other.history for other in (mine, *others.values()))
        if whole(fact) and not left and (fact.uuid != mine.uuid or fact.seqno > mine.seqno):
            return False
    return True


def nobody_unknown_is_ahead(now: Situation) -> bool:
    """Say whether one of the proofs holds."""
    mine, silent = now.mine, set(now.nodes) - set(now.facts)
    if not silent:
        return True
    if mine.view and not silent & {f"n{member[1:]}" for member in mine.view.members}:
        members = [now.facts[f"n{member[1:]}"] for member in mine.view.members]
        if all(member.view == mine.view for member in members) and not all(member.behind for member in members):
            return any(not member.behind and not member.aborted and member.uuid == mine.uuid for member in members)
    others = [fact for name, fact in now.facts.items() if name != now.me and whole(fact)]
    return mine.safe_to_bootstrap and not any(fact.safe_to_bootstrap for fact in others)


def first_loss(decide: Callable[[Situation], Decision], size: int) -> Situation | None:
    """Return the first table on which ``decide`` founds what could lose a commit, or None."""
    votes = VOTES if size <= 3 else VOTES[:1]
    return next((now for now in situations(size, votes) if decide(now).action in FOUNDING and not may_found(now)), None)
