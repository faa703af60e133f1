"""Refusals and clearing away, without a container"""

from pathlib import Path

import pytest

from tripleo_ha import debian
from tripleo_ha.devtest import cgroups, flow, images, network, prerequisites, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import node_names
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure, UsageError


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory on a machine without containers."""
    monkeypatch.setattr(cgroups, "find", lambda state: tmp_path / "cgroup2")
    monkeypatch.setattr(network, "NAMESPACES", tmp_path / "netns")
    monkeypatch.setattr(prerequisites, "adjust_kernel", list)
    monkeypatch.setattr(debian, "install", lambda programs: [])
    (tmp_path / "bed").mkdir()
    return tmp_path / "bed"


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "log")


def bed_of(state: Path, scale: int, leaving: tuple[str, ...] = ()) -> Bed:
    store.save(state, store.Record("/image", "x", node_names(scale), leaving))
    return Bed.open(state)


def test_a_directory_with_other_files_is_left_alone(state: Path, progress: Progress) -> None:
    (state / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        flow.up(state, flow.Wish(image_root=Path("/")), progress)
    assert (state / "thesis.tex").exists()


def test_another_scale_than_the_beds_is_refused(state: Path, progress: Progress) -> None:
    bed_of(state, 3)
    with pytest.raises(UsageError, match=r"has 3 controllers.*scale 5"):
        flow.up(state, flow.Wish(scale=5), progress)


def test_too_little_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GB free"):
        prerequisites.check_space(tmp_path / "deep" / "bed", needed=10**18)


@pytest.mark.parametrize(("there", "wanted", "least"), [(3, 1, 2), (5, 1, 3), (9, 3, 5)])
def test_what_stays_has_to_be_a_majority(state: Path, progress: Progress, there: int, wanted: int, least: int) -> None:
    bed = bed_of(state, there)
    with pytest.raises(UsageError, match=f"at least {least}"):
        flow.scale(bed, wanted, 1, progress)
    assert Bed.open(state).record.nodes == node_names(there)


def test_nodes_half_gone_still_count(state: Path, progress: Progress) -> None:
    bed = bed_of(state, 3, leaving=node_names(5)[3:])
    with pytest.raises(UsageError, match="no majority"):
        flow.scale(bed, 1, 1, progress)


def test_who_goes_is_remembered_before_anything_is_done(
    state: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "settle", lambda bed, timeout, progress: bed)
    flow.scale(bed_of(state, 5), 3, 1, progress)
    record = Bed.open(state).record
    assert (record.nodes, record.leaving) == (node_names(3), node_names(5)[3:])


def test_down_clears_a_bed_whose_record_is_damaged(state: Path, progress: Progress) -> None:
    store.record_file(state).write_text("{")
    (state / "nodes" / "overcloud-controller-0" / "upper").mkdir(parents=True)
    (state / "passwords.yaml").touch()
    flow.down(state, progress)
    assert not state.exists()


def test_down_leaves_what_no_bed_made(state: Path, progress: Progress) -> None:
    bed_of(state, 1)
    (state / "notes").touch()
    flow.down(state, progress)
    assert [path.name for path in state.iterdir()] == ["notes"]


def test_nothing_is_deleted_through_a_mount() -> None:
    flow.refuse_mounted(Path("/bed"), "tmpfs / tmpfs rw 0 0\ntmpfs /bedroom tmpfs rw 0 0\n")
    with pytest.raises(Failure, match="/bed/nodes/root"):
        flow.refuse_mounted(Path("/bed"), "overlay /bed/nodes/root overlay rw 0 0\n")


def test_an_image_root_that_is_none_is_refused(state: Path, progress: Progress) -> None:
    with pytest.raises(UsageError, match="not the root"):
        images.find(state, False, progress)


def test_nodes_are_known_by_name_and_number(state: Path) -> None:
    bed = bed_of(state, 3)
    assert bed.node("1") == bed.node("overcloud-controller-1") == bed.nodes[1]
    with pytest.raises(UsageError, match="no node '3'"):
        bed.node("3")


def test_a_node_that_is_off_is_told_so(state: Path) -> None:
    bed = bed_of(state, 1)
    assert not bed.running("0")
    assert bed.converged("0") == (False, "not running")
    with pytest.raises(Failure, match="not running"):
        bed.exec("0", ["true"])


def test_metadata_that_says_the_same_is_not_new(state: Path) -> None:
    bed = bed_of(state, 1)
    assert bed.push("0", {"a": 1, "b": 2})
    assert not bed.push("0", {"b": 2, "a": 1})
    assert bed.push("0", {"a": 1})
    assert bed.metadata("0") == {"a": 1}


def test_nobody_else_gets_at_a_nodes_disks_and_metadata(state: Path) -> None:
    bed = bed_of(state, 1)
    bed.write_metadata("0", {"a": 1})
    file = bed.nodes[0].metadata_file
    assert [path.stat().st_mode & 0o777 for path in (state / "nodes", file.parent, file)] == [0o700, 0o700, 0o600]


def test_the_kernel_is_adjusted_once_and_only_where_it_has_the_setting(tmp_path: Path) -> None:
    instances, autogroup, none = tmp_path / "instances", tmp_path / "autogroup", tmp_path / "none"
    instances.write_text("128\n")
    autogroup.write_text("1\n")
    assert prerequisites.adjust_kernel(instances, none) == [f"raised {instances} to 1024"]
    assert prerequisites.adjust_kernel(instances, autogroup) == [f"set {autogroup} to 0"]
    assert prerequisites.adjust_kernel(instances, autogroup) == []
    assert autogroup.read_text() == "0\n"
