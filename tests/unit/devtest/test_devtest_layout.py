"""Names and addresses of a bed, and which scales it takes"""

from pathlib import Path

import pytest

from tripleo_ha.devtest import layout, network
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata.generate import numbered


def test_nodes_are_those_of_the_generated_metadata() -> None:
    nodes = layout.bed_nodes(Path("/bed"), layout.node_names(5))
    assert [(node.name, node.ip) for node in nodes] == [(each.name, each.ip) for each in numbered(5)]


def test_a_nodes_interface_to_the_outside_carries_no_address() -> None:
    (node,) = layout.bed_nodes(Path("/bed"), ["overcloud-controller-2"])
    lines = network.node_lines(node)
    assert "link set host2 up" in lines
    assert [line.split()[2] for line in lines if line.startswith("addr add")] == ["192.0.2.13/24", "198.51.100.13/24"]


def test_a_node_keeps_its_index_whatever_stands_before_it() -> None:
    (node,) = layout.bed_nodes(Path("/bed"), ["overcloud-controller-4"])
    assert (node.index, node.ip, node.public_ip) == (4, "192.0.2.15", "198.51.100.15")


def test_link_names_are_distinct_and_fit_an_interface_name() -> None:
    links = [link for node in layout.bed_nodes(Path("/bed"), layout.node_names(9)) for link in node.links]
    assert len(set(links)) == 27
    assert max(map(len, links)) <= 15


def test_beds_in_different_places_have_different_names_and_machine_ids(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    assert layout.bed_name(one) != layout.bed_name(other)
    ids = {layout.machine_id(state, layout.bed_node(state, index)) for state in (one, other) for index in range(3)}
    assert len(ids) == 6
    assert all(len(each) == 32 and int(each, 16) for each in ids)


def test_a_bed_has_one_name_by_whichever_path_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert layout.bed_name(Path("link")) == layout.bed_name(tmp_path / "real")


@pytest.mark.parametrize(("text", "scale"), [("1", 1), ("3", 3), (" 5 ", 5), (7, 7), ("9", 9)])
def test_odd_scales_are_taken(text: str | int, scale: int) -> None:
    assert layout.check_scale(text) == scale


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "out of range"), ("-3", "out of range"), ("11", "out of range"), ("three", "not a number"),
        ("", "not a number"), ("3.0", "not a number"), ("2", "--allow-even"), ("4", "--allow-even"),
    ],
)  # fmt: skip
def test_other_scales_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        layout.check_scale(text)
    assert "\n" not in str(refused.value)


def test_an_even_scale_is_taken_on_demand() -> None:
    assert layout.check_scale("2", allow_even=True) == 2
