"""Edits to a node's metadata outlive its being generated again"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha.devtest.edits import Edits, apply, difference

KEYS = st.sampled_from(["mysql", "rabbit", "debug", "extra", "size"])
LEAVES = st.one_of(st.integers(0, 3), st.booleans(), st.lists(st.integers(0, 2), max_size=2))
DOCUMENTS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6), max_size=4
)


@given(DOCUMENTS, DOCUMENTS)
def test_the_difference_makes_one_document_of_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply(old, difference(old, new)) == new


@given(DOCUMENTS)
def test_equal_documents_have_no_difference(document: dict[str, Any]) -> None:
    assert difference(document, document) == Edits()


def test_members_are_the_beds_own_business() -> None:
    old = {"cluster": {"name": "x", "nodes": [1]}, "node": {"name": "a"}}
    new = {"cluster": {"name": "y", "nodes": [1, 2]}, "node": {"name": "b", "memory_mb": 4096}}
    edits = difference(old, new)
    assert edits == Edits({"cluster": {"name": "y"}, "node": {"memory_mb": 4096}})
    grown = apply({"cluster": {"name": "x", "nodes": [1, 2, 3]}, "node": {"name": "c"}}, edits)
    assert grown == {"cluster": {"name": "y", "nodes": [1, 2, 3]}, "node": {"name": "c", "memory_mb": 4096}}


def test_removing_what_is_not_there_is_nothing() -> None:
    assert apply({"a": 1}, Edits({}, (("b", "c"), ("a", "d")))) == {"a": 1}


def test_a_removed_service_stays_removed() -> None:
    edits = difference({"ceilometer": {"x": 1}, "mysql": {}}, {"mysql": {}})
    assert apply({"ceilometer": {"x": 2}, "mysql": {"y": 1}}, edits) == {"mysql": {"y": 1}}
