"""What can be wrong with a history of list-append transactions, and which of it is a finding here.

Names and meanings follow Adya ("Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed
Transactions", 1999) and Kingsbury and Alvaro ("Elle: Inferring Isolation Anomalies from Experimental Observations",
VLDB 2020).
"""

from enum import StrEnum


class Anomaly(StrEnum):
    """One kind of thing that an isolation level, or durability, rules out."""

    LOST_COMMIT = "lost commit"
    """An acknowledged append is missing from the final state of a node."""
    SEEN_AND_LOST = "seen and lost"
    """A transaction of unknown end was seen, and an append of it is missing from the final state of a node."""
    PHANTOM = "phantom value"
    """A value was seen that nobody attempted to append."""
    DIVERGENCE = "nodes differ"
    """Two nodes ended with different lists."""
    G0 = "G0 write cycle"
    """The writes of two or more transactions interleave: a cycle of write dependencies only."""
    G1A = "G1a aborted read"
    """A value was seen whose transaction was refused or rolled back."""
    G1B = "G1b intermediate read"
    """A read ended with a value that its own transaction had appended to further."""
    G1C = "G1c circular information flow"
    """A cycle of write and read dependencies."""
    G_SINGLE = "G-single read skew"
    """A cycle with exactly one anti-dependency (a read of what the next transaction overwrote)."""
    G_NONADJACENT = "G-nonadjacent"
    """A cycle with several anti-dependencies, of which no two follow each other; a long fork is one."""
    G2_ITEM = "G2-item write skew"
    """A cycle in which two anti-dependencies follow each other."""
    LOST_UPDATE = "lost update"
    """Two committed transactions read the same version of a key, and both appended to it."""
    INTERNAL = "internal inconsistency"
    """A transaction contradicts itself: a read does not show its own earlier reads and appends, or shows later ones."""
    DUPLICATE = "duplicate append"
    """A value is twice in one list."""
    INCOMPATIBLE = "incompatible order"
    """Two states of one key of which neither is the beginning of the other."""
    DIRTY_UPDATE = "dirty update"
    """Something was appended to a value whose transaction was refused or rolled back."""
    UNDECIDED = "cannot be judged"
    """The history does not allow a judgement: no final state, a value used twice, nothing acknowledged."""
    STALE_READ = "stale read"
    """A read misses a value that was acknowledged before the read's transaction began."""
    PROCESS = "process order"
    """A cycle that exists only because one client did one transaction after the other."""
    REALTIME = "realtime order"
    """A cycle that exists only because one transaction ended before the other began."""


COUNTED = frozenset({Anomaly.G2_ITEM, Anomaly.STALE_READ, Anomaly.PROCESS, Anomaly.REALTIME})
"""What is counted and no finding; ``list_append`` says why."""

FINDINGS = frozenset(Anomaly) - COUNTED
"""What must not happen under REPEATABLE READ with snapshot isolation and one writer at a time."""
