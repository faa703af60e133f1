"""Volumes, from all that they can be made of, and what the loss of the controller that makes them leaves."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from beds import Summary, singletons
from clouds import RESUME_S, invent, is_, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest import storage as ceph
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

VOLUME_S = 180.0
AT_ONCE = 4
"""Volumes of an image that are made at once: while one is written another has been begun only just."""


@pytest.mark.quick
def test_volumes_are_made_from_images_snapshots_and_volumes_and_deleted(
    target: Target, bed: Bed, cloud: Connection, request: pytest.FixtureRequest, summary: Summary
) -> None:
    needs(bed, "cinder", "cinder_volume")
    image = request.getfixturevalue("image")
    storage, name, began = cloud.block_storage, invent(), time.monotonic()
    made: dict[str, Any] = {}

    def volume(what: str, **of: Any) -> str:
        made[what] = storage.create_volume(name=f"{name}-{what}", size=1, **of)
        _ends(f"the volume ({what})", lambda: storage.get_volume(made[what].id).status, "available")
        return str(made[what].id)

    try:
        first = volume("empty")
        snapshot = made["snapshot"] = storage.create_snapshot(volume_id=first, name=name)
        _ends("the snapshot", lambda: storage.get_snapshot(snapshot.id).status, "available")
        volume("of a snapshot", snapshot_id=snapshot.id)
        volume("of a volume", source_volume_id=first)
        of_image = volume("of an image", image_id=image)
        assert storage.get_volume(of_image).is_bootable
    finally:
        if "snapshot" in made:
            _deleted("the snapshot", made["snapshot"].id, storage.delete_snapshot, storage.snapshots)
            del made["snapshot"]
        for what, one in made.items():
            _deleted(f"the volume ({what})", one.id, storage.delete_volume, storage.volumes)
    summary.tell("volumes: empty, of a snapshot, a volume and an image", f"{time.monotonic() - began:.0f} s")
    assert _unexplained(bed, cloud) == []


class Batch:
    """Volumes of an image, all of one name, and made at once."""

    def __init__(self, cloud: Connection, image: str) -> None:
        self._storage, self._image, self._name = cloud.block_storage, image, invent()

    def make(self) -> str:
        """Ask for one more, and return its id."""
        return str(self._storage.create_volume(name=self._name, size=1, image_id=self._image).id)

    def statuses(self) -> dict[str, str]:
        """Return the status of each by its id; ``scheduling`` is that of one that cinder-volume does not know of."""

        def status(volume: Any) -> str:
            return "scheduling" if volume.status == "creating" and not volume.host else str(volume.status)

        return {each.id: status(each) for each in self._storage.volumes(name=self._name)}

    def ended(self) -> dict[str, str]:
        """Return the statuses as soon as each is one of those in which a creation ends."""
        ends = {"available", "error"}
        what = "every volume to be available, or in error"
        return until(what, self.statuses, lambda found: ends.issuperset(found.values()), timeout=VOLUME_S + RESUME_S)

    def delete(self, volume: str) -> None:
        """Delete one, as its owner does, and see it gone."""
        _deleted("the volume", volume, self._storage.delete_volume, self._storage.volumes)

    def clear(self) -> None:
        """Have all deleted, whatever their status."""
        for volume in until("the volumes", lambda: (self.statuses(),), timeout=RESUME_S)[0]:
            removed("the volume", partial(self._storage.delete_volume, volume, force=True))


def test_volumes_that_were_being_made_at_a_power_cut_can_be_made_again_and_leave_nothing_behind(
    target: Target, bed: Bed, cloud: Connection, request: pytest.FixtureRequest, summary: Summary
) -> None:
    needs(bed, "cinder", "cinder_volume")
    batch = Batch(cloud, request.getfixturevalue("image"))
    node = singletons(target)["cinder-volume"]
    try:
        volumes = {batch.make() for _ in range(AT_ONCE)}
        # What only a scheduler has been told dies with its controller, and Cinder has nothing that would mend it.
        before = until(
            "cinder-volume to have all volumes to make, and to write one",
            batch.statuses,
            lambda found: "scheduling" not in found.values() and "downloading" in found.values(),
            timeout=VOLUME_S,
            interval=0.1,
        )
        bed.power_off(node)
        began = time.monotonic()
        after = batch.ended()
        told = " -> ".join(", ".join(sorted(found.values())) for found in (before, after))
        summary.tell(f"{node} (cinder-volume) power cut, volumes", f"{told} after {time.monotonic() - began:.0f} s")
        assert set(after) == volumes
        assert _unexplained(bed, cloud) == []
        for volume in [volume for volume, status in after.items() if status == "error"]:
            batch.delete(volume)
            batch.make()
        again = batch.ended()
        assert (len(again), set(again.values())) == (AT_ONCE, {"available"})
        for volume in again:
            batch.delete(volume)
        assert _unexplained(bed, cloud) == []
    finally:
        batch.clear()


def _unexplained(bed: Bed, cloud: Connection) -> list[str]:
    """Return the images on the bed's storage, its trash included, that are no listed volume's."""

    def rbd(*words: str) -> Any:
        return json.loads(ceph.execute(bed.cgroup, ["rbd", *words, "--pool", ceph.POOL, "--format", "json"]).stdout)

    stored = [*rbd("ls"), *(each["name"] for each in rbd("trash", "ls", "--all"))]
    listed = {f"volume-{each.id}" for each in cloud.block_storage.volumes(details=False, all_projects=True)}
    return [image for image in stored if image not in listed]


def _ends(what: str, ask: Callable[[], str], wanted: str) -> None:
    """Wait for a status, or for one that nothing leads out of.

    :raises AssertionError: it is the latter.
    """
    assert until(f"{what} to be {wanted}", ask, is_(wanted, "error"), timeout=VOLUME_S) == wanted, what


def _deleted(what: str, identity: str, delete: Callable[[str], object], ask: Callable[[], Any]) -> None:
    removed(what, lambda: delete(identity), VOLUME_S)
    ids = f"{what} to be gone"
    until(ids, lambda: {each.id: each.status for each in ask()}, lambda found: identity not in found, timeout=VOLUME_S)
