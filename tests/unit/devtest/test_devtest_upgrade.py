"""Another image on one controller after the other, without a container."""

from pathlib import Path

import pytest

from tripleo_ha.devtest import beside, cgroups, flow, images, network, proof, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.layout import node_names
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure

NAMES = node_names(3)


class Machine:
    """Stands for the nodes: what was done to them, who is on, and who does not converge or cannot be spared."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.on = set(NAMES)
        self.ill: set[str] = set()
        self.spared = True

    def stop(self, bed: Bed, name: str, timeout: float) -> None:
        self.did.append(f"stop {name}")
        self.on.remove(name)

    def power_on(self, bed: Bed, name: str) -> None:
        self.did.append(f"boot {name} from {bed.image(name).name}")
        self.on.add(name)

    def wait_converged(self, bed: Bed, nodes: list[str], **_: object) -> None:
        if sick := self.ill & set(nodes):
            raise Failure(f"{sick.pop()} did not converge")

    def require_spare(self, bed: Bed, name: str) -> None:
        self.did.append(f"verify without {name}")
        if not self.spared:
            raise Failure(f"1 checks failed before {name} is shut down")

    def settle(self, bed: Bed, timeout: float, progress: Progress) -> Bed:
        for name in NAMES:
            if name not in self.on:
                self.power_on(bed, name)
        return bed


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(cgroups, "find", lambda state: tmp_path / "cgroup2")
    monkeypatch.setattr(network, "NAMESPACES", tmp_path / "netns")
    monkeypatch.setattr(images, "find", lambda given, force_build, progress: (given, f"sum of {given}"))
    monkeypatch.setattr(flow, "settle", made.settle)
    monkeypatch.setattr(proof, "require_spare", made.require_spare)
    monkeypatch.setattr(beside, "renew", lambda target, cgroup: made.did.append(f"renew {target.name}"))
    monkeypatch.setattr(Bed, "running", lambda bed, name: name in made.on)
    monkeypatch.setattr(Bed, "power_off", lambda bed, name: made.on.discard(name))
    for name in ("stop", "power_on", "wait_converged"):
        method = getattr(made, name)
        monkeypatch.setattr(Bed, name, lambda bed, *args, method=method, **kwargs: method(bed, *args, **kwargs))
    return made


@pytest.fixture
def bed(tmp_path: Path, machine: Machine) -> Bed:
    """A running bed of three, all of them with something on both disks."""
    former = tmp_path / "former"
    former.mkdir()
    store.save(tmp_path / "bed", store.Record(str(former), "sum", NAMES))
    made = Bed.open(tmp_path / "bed")
    for node in made.nodes:
        made.reimage(node.name, former)
        for part in ("upper", "state"):
            (node.directory / part / "kept").touch()
    return made


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "log")


@pytest.fixture
def wish(tmp_path: Path) -> flow.Wish:
    (tmp_path / "new").mkdir()
    return flow.Wish(image_root=tmp_path / "new")


def turn(name: str) -> list[str]:
    return [f"verify without {name}", f"stop {name}", f"boot {name} from new"]


def test_each_has_its_turn_once_every_check_holds(
    bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress
) -> None:
    flow.upgrade(bed, wish, progress)
    assert machine.did == [line for name in NAMES for line in turn(name)] + ["renew compute-0"]
    for node in bed.nodes:
        assert not (node.directory / "upper" / "kept").exists()
        assert (node.directory / "state" / "kept").exists()
    record = Bed.open(bed.state).record
    assert (record.image_root, record.image_checksum) == (str(wish.image_root), f"sum of {wish.image_root}")


def test_a_second_call_touches_nobody(bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress) -> None:
    flow.upgrade(bed, wish, progress)
    machine.did.clear()
    flow.upgrade(Bed.open(bed.state), wish, progress)
    assert machine.did == []


def test_who_does_not_get_well_is_the_last(bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress) -> None:
    machine.ill = {NAMES[1]}
    with pytest.raises(Failure, match="did not converge"):
        flow.upgrade(bed, wish, progress)
    assert machine.did == [*turn(NAMES[0]), *turn(NAMES[1])]
    assert Bed.open(bed.state).record == bed.record
    assert [bed.image(name).name for name in NAMES] == ["new", "new", "former"]
    machine.ill, machine.did = set(), []
    flow.upgrade(Bed.open(bed.state), wish, progress)
    assert machine.did == [*turn(NAMES[2]), "renew compute-0"]


def test_nobody_is_shut_down_while_a_check_fails(
    bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress
) -> None:
    machine.spared = False
    with pytest.raises(Failure, match=f"failed before {NAMES[0]} is shut down"):
        flow.upgrade(bed, wish, progress)
    assert machine.on == set(NAMES)


def test_who_is_off_boots_from_the_new_image_first(
    bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress
) -> None:
    machine.on.remove(NAMES[2])
    flow.upgrade(bed, wish, progress)
    assert machine.did[0] == f"boot {NAMES[2]} from new"
    assert machine.did[1:] == [line for name in NAMES[:2] for line in turn(name)] + ["renew compute-0"]


def test_what_an_upgrade_left_is_given_the_image_at_once(
    bed: Bed, machine: Machine, wish: flow.Wish, progress: Progress
) -> None:
    machine.ill = {NAMES[0]}
    with pytest.raises(Failure):
        flow.upgrade(bed, wish, progress)
    machine.did.clear()
    assert wish.image_root
    record = images.exchange_all(bed, wish.image_root, "sum", progress)
    assert sorted(machine.did) == ["renew compute-0", f"stop {NAMES[1]}", f"stop {NAMES[2]}"]
    assert record == Bed.open(bed.state).record
    assert {bed.image(name).name for name in NAMES} == {"new"}


def test_an_image_that_all_have_is_no_reason_to_stop_anybody(bed: Bed, machine: Machine, progress: Progress) -> None:
    record = images.exchange_all(bed, Path(bed.record.image_root), "told otherwise", progress)
    assert (machine.did, record.image_checksum) == ([], "told otherwise")
