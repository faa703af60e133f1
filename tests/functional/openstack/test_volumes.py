"""Volumes, from all that they can be made of."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from beds import Summary
from clouds import invent, is_, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

VOLUME_S = 180.0


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


def _ends(what: str, ask: Callable[[], str], wanted: str) -> None:
    """Wait for a status, or for one that nothing leads out of.

    :raises AssertionError: it is the latter.
    """
    assert until(f"{what} to be {wanted}", ask, is_(wanted, "error"), timeout=VOLUME_S) == wanted, what


def _deleted(what: str, identity: str, delete: Callable[[str], object], ask: Callable[[], Any]) -> None:
    removed(what, lambda: delete(identity), VOLUME_S)
    ids = f"{what} to be gone"
    until(ids, lambda: {each.id: each.status for each in ask()}, lambda found: identity not in found, timeout=VOLUME_S)
