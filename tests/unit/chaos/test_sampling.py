"""What is seen from outside of nodes, and how samples become overlaps."""

import pytest

from tripleo_ha.chaos import outside
from tripleo_ha.chaos.model import Overlap
from tripleo_ha.chaos.sampling import Ledger

TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 192.0.2.0/24 2 0 2
        +-- 192.0.2.0/28 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           +-- 192.0.2.10/31 1 0 0
              |-- 192.0.2.10
                 /32 host LOCAL
              |-- 192.0.2.12
                 /32 universe UNICAST
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""
STATISTICS = """\
# pxname,svname,qcur,qmax,scur,smax,status
mysql,FRONTEND,,,4,5,OPEN
mysql,one,0,0,{one},4,UP
mysql,two,0,0,{two},0,DOWN
mysql,BACKEND,0,0,4,4,UP
amqp,two,0,0,9,9,UP

"""
A, B, C = (frozenset({name}) for name in "abc")


def test_only_addresses_of_the_host_itself_are_its_own() -> None:
    assert outside.local_addresses(TRIE) == {"192.0.2.10", "127.0.0.1"}


def test_servers_are_told_apart_from_what_sums_them_up() -> None:
    rows = outside.servers(STATISTICS.format(one=4, two=0))
    assert [(row["pxname"], row["svname"], row["status"]) for row in rows] == [
        ("mysql", "one", "UP"),
        ("mysql", "two", "DOWN"),
        ("amqp", "two", "UP"),
    ]


@pytest.mark.parametrize(("one", "two", "writer"), [(4, 0, "one"), (1, 3, "two"), (0, 0, "")])
def test_the_writer_has_the_sql_sessions_and_sessions_elsewhere_do_not_count(one: int, two: int, writer: str) -> None:
    assert outside.writer_of(outside.servers(STATISTICS.format(one=one, two=two))) == writer


@pytest.mark.parametrize(
    ("names", "writer"), [(["one"], "one"), (["one", "one"], "one"), ([], ""), (["one", "two"], "")]
)
def test_without_a_session_the_writer_is_the_one_in_the_stick_table(names: list[str], writer: str) -> None:
    entries = [f"0x7f44: key={key} use=0 exp=0 shard=0 server_id=1 server_key={name}" for key, name in enumerate(names)]
    assert outside.remembered("\n".join(["# table: mysql, type: integer, size:102400, used:1", *entries])) == writer


def test_an_answer_that_was_cut_short_has_no_servers() -> None:
    assert outside.servers("") == []


def test_an_overlap_lasts_from_the_first_sample_with_two_to_the_first_without() -> None:
    ledger = Ledger()
    assert ledger.enter(1.0, {"vip x": A}) == []
    assert ledger.enter(1.2, {"vip x": A | B}) == []
    assert ledger.enter(1.4, {"vip x": B | C}) == []
    assert ledger.enter(1.6, {"vip x": B}) == [Overlap("vip x", ("a", "b", "c"), 1.2, 1.6)]
    assert ledger.enter(1.8, {"vip x": B}) == []


def test_overlaps_of_different_things_are_apart_and_nowhere_is_none() -> None:
    ledger = Ledger()
    ledger.enter(1.0, {"vip x": A | B, "singleton y": A})
    assert ledger.enter(2.0, {"vip x": frozenset(), "singleton y": A | B}) == [Overlap("vip x", ("a", "b"), 1.0, 2.0)]
    assert ledger.close(3.0) == [Overlap("singleton y", ("a", "b"), 2.0, 3.0)]
    assert ledger.close(4.0) == []


def test_a_second_overlap_is_another_one() -> None:
    ledger = Ledger()
    ledger.enter(1.0, {"vip x": A | B})
    ledger.enter(2.0, {"vip x": B})
    ledger.enter(3.0, {"vip x": B | C})
    assert ledger.enter(4.0, {"vip x": C}) == [Overlap("vip x", ("b", "c"), 3.0, 4.0)]


def test_only_moves_are_told() -> None:
    ledger = Ledger()
    assert ledger.moved({"vip x": A}) == {"vip x": A}
    assert ledger.moved({"vip x": A}) == {}
    assert ledger.moved({"vip x": B}) == {"vip x": B}
