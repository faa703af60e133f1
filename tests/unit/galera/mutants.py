"""Rules that are wrong on purpose, each in one point, for tests of the tests of the right one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from unittest import mock

from cluster_model import Cluster

from tripleo_ha.topology import galera
from tripleo_ha.topology.galera import NULL_UUID, Decision, Facts, Phase, Proof, Recovery, Situation

Rule = Callable[[Situation], Decision]


@dataclass(frozen=True)
class Mutant:
    """A wrong rule, or a right one with wrong code around it, and what finds it."""

    name: str
    rule: Rule = galera.decide
    model: type[Cluster] = Cluster
    in_tables: bool = True
    in_machine: bool = True

    def __str__(self) -> str:
        return self.name


def seeing(change: Callable[[Facts], Facts]) -> Rule:
    """Return the right rule with every node's facts changed."""
    return lambda now: galera.decide(replace(now, facts={name: change(fact) for name, fact in now.facts.items()}))


def patched(name: str, wrong: object) -> Rule:
    """Return the right rule with one of its parts replaced."""

    def rule(now: Situation) -> Decision:
        with mock.patch.object(galera, name, wrong):
            return galera.decide(now)

    return rule


def one_uuid(fact: Facts) -> Facts:
    return fact if fact.uuid == NULL_UUID else replace(fact, uuid="same")


def flag_is_a_position(fact: Facts) -> Facts:
    return replace(fact, uuid=one_uuid(fact).uuid, seqno=max(fact.seqno, 99)) if fact.safe_to_bootstrap else fact


def votes_for_me(now: Situation) -> Decision:
    return galera.decide(replace(now, facts={name: replace(fact, vote=now.me) for name, fact in now.facts.items()}))


def only_those_that_answer(now: Situation) -> Decision:
    return galera.decide(replace(now, nodes=[name for name in now.nodes if name in now.facts]))


def majority_suffices(now: Situation) -> Decision:
    return replace(galera.decide(replace(now, recovery=Recovery.AVAILABILITY)), gives_up=False)


def own_view_is_the_last(now: Situation, best: str) -> bool:
    """Take the best node's last view for everybody's."""
    last = now.facts[best].view
    return bool(last and last.members <= {fact.member for fact in now.facts.values()})


def most_of_the_view(now: Situation, best: str) -> bool:
    last = now.facts[best].view
    agreeing = [fact for fact in now.facts.values() if fact.view == last and fact.phase is not Phase.STARTING]
    return bool(last and 2 * len(agreeing) > len(last.members))


def flag_wins(now: Situation, name: str) -> tuple[bool, int, int]:
    return (now.facts[name].safe_to_bootstrap, now.facts[name].seqno, -now.nodes.index(name))


def first_wins(now: Situation, name: str) -> int:
    return -now.nodes.index(name)


def any_flag(now: Situation, eligible: list[str], best: str) -> Proof | None:
    flagged = any(now.facts[name].safe_to_bootstrap for name in eligible)
    return Proof("somebody was the last") if flagged else RIGHT_PROOF(now, eligible, best)


def blind_to(phase: Phase, taken_for: Phase = Phase.DOWN) -> Rule:
    """Return the right rule for one that takes a node in this phase for one in another."""
    return seeing(lambda fact: replace(fact, phase=taken_for) if fact.phase is phase else fact)


def creates_without_the_silent(now: Situation) -> Decision:
    blank = now.those(Phase.BLANK)
    if set(blank) == set(now.facts) and blank[0] == now.me:
        return Decision(galera.Action.CREATE, "nobody here has data", now.me)
    return galera.decide(now)


def creates_beside_data(now: Situation) -> Decision:
    if now.mine.phase is Phase.BLANK and now.me == now.nodes[0] and not now.those(Phase.PRIMARY, Phase.STARTING):
        return Decision(galera.Action.CREATE, "the first node creates", now.me)
    return galera.decide(now)


RIGHT_PROOF = galera.nobody_silent_is_ahead


class KeepsName(Cluster):
    """What goes on after a loss keeps the state's UUID."""

    renames_state = False


# The last to leave holds everything, so that no sequence of events of the model gives its flag to less than the best:
# what stands against that in the tables is a flag that somebody set by hand.
BY_HAND = {"in_machine": False}

MUTANTS = (
    Mutant("a state's UUID is ignored", seeing(one_uuid)),
    Mutant("only the seqno counts", patched("nobody_silent_is_ahead", lambda now, eligible, best: Proof("highest"))),
    Mutant("the first node wins", patched("_rank", first_wins)),
    Mutant("a flag is believed without a position", seeing(flag_is_a_position)),
    Mutant("a flag wins over a higher seqno", patched("_rank", flag_wins), **BY_HAND),
    Mutant("any flag is proof", patched("nobody_silent_is_ahead", any_flag), **BY_HAND),
    Mutant("silent nodes are ignored", only_those_that_answer),
    Mutant("a majority suffices", majority_suffices),
    Mutant("an aborted transfer is ignored", seeing(lambda fact: replace(fact, aborted=False))),
    Mutant("a member that never caught up is believed", seeing(lambda fact: replace(fact, behind=False))),
    Mutant("votes are ignored", votes_for_me),
    Mutant("a stale view is accepted", patched("whole_view", own_view_is_the_last)),
    Mutant("most of the last view suffice", patched("whole_view", most_of_the_view)),
    # In the model its vote, which is for nobody, stands against that as well.
    Mutant("one that starts is taken for stopped", blind_to(Phase.STARTING), in_machine=False),
    Mutant("a Primary component is not seen", blind_to(Phase.PRIMARY)),
    Mutant("one that left the group is taken for stopped", blind_to(Phase.LEFT)),
    Mutant("one that left the group is taken for a member", blind_to(Phase.LEFT, Phase.NON_PRIMARY)),
    Mutant("blank nodes create while others are silent", creates_without_the_silent),
    Mutant("the first node creates beside data", creates_beside_data),
    # It then takes two states for two clusters, and founds nothing at all.
    Mutant("a state left behind is not known", seeing(lambda fact: replace(fact, history=())), in_tables=False),
    Mutant("another configuration is ignored", seeing(lambda fact: replace(fact, generation="")), in_machine=False),
    Mutant("a loss is not written into the state's name", model=KeepsName, in_tables=False),
)
