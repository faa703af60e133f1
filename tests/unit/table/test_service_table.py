"""The table of services: read, ordered, refused when it is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripleo_ha import table
from tripleo_ha.errors import Failure
from tripleo_ha.table import Row


def row(service: str, *after: str) -> Row:
    return Row(service=service, metadata=service, summary="", after=after)


@given(st.data())
def test_every_row_stands_after_what_it_needs(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.text("abcdefgh", min_size=1, max_size=3), unique=True, max_size=8))
    rows = [
        row(name, *data.draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else ())
        for place, name in enumerate(names)
    ]
    ordered = [each.service for each in table.order(data.draw(st.permutations(rows)))]
    assert sorted(ordered) == sorted(names)
    for each in rows:
        assert all(ordered.index(other) < ordered.index(each.service) for other in each.after)


def test_an_unknown_dependency_is_named() -> None:
    with pytest.raises(Failure, match="service api: after names no such service: databse"):
        table.order([row("api", "databse")])


def test_a_circle_is_told_with_its_members() -> None:
    with pytest.raises(Failure, match=r"in a circle: .*one.*two|in a circle: .*two.*one"):
        table.order([row("one", "two"), row("two", "one")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "not a service row"),
        ("service: x\n", "missing"),
        ("service: x\nmetadata: x\nsummary: x\nlisteners: [{name: a, port: 1}]\n", "processes"),
        ("service: x\nmetadata: x\nsummary: x\nnonsense: 1\n", "nonsense"),
        ("service: [\n", "not a service row"),
    ],
)
def test_a_wrong_row_names_its_file_and_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(text)
    with pytest.raises(Failure) as failure:
        table.load_row(file)
    assert str(file) in str(failure.value)
    assert told in str(failure.value)


def test_a_row_may_ask_for_a_value_of_its_metadata_which_has_a_default() -> None:
    choice = replace(row("choice"), metadata="glance", where={"store": "file"})
    other = replace(choice, service="other", where={"store": "swift"})
    for section, wanted in (({}, other), ({"store": "file"}, choice), ({"store": "swift"}, other)):
        assert table.active([choice, other], {"glance": section}) == (wanted,)
    assert table.active([choice, other], {}) == ()


def test_the_trees_own_rows_hold_together() -> None:
    rows = table.load()
    listened = [(listener.port, listener.transport, listener.address) for each in rows for listener in each.listeners]
    assert len(listened) == len(set(listened)), "two services on one port"
    for each in rows:
        assert bool(each.singleton_process) == (each.manager == "pacemaker"), each.service


def test_a_service_without_its_key_is_not_active() -> None:
    rows = [row("keystone"), row("glance")]
    assert [each.service for each in table.active(rows, {"keystone": {}})] == ["keystone"]
