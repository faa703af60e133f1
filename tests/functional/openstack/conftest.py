"""The bed of the tests of the whole control plane, as users of a cloud see it.

All of them share one, with the profile ``full``, which is theirs: ``--bed DIR`` of a bed with that profile takes that
one, and leaves it. A test may leave controllers off. What ``target`` is has them all on and good; what ``one_off`` is
has one off.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from beds import REPORTS, down, make
from clouds import connect, invent, is_, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import UsageError
from tripleo_ha.verify.transport import BedTransport

FULL = "full"
IMAGE_BYTES = 20_000_000


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this directory that not every change runs: most take a controller and wait for its return."""
    if not item.get_closest_marker("quick"):
        item.add_marker("long")


@pytest.fixture(scope="session")
def bed(
    state: Path, image_root: Path | None, clear_shared_bed: Callable[[], None], pytestconfig: pytest.Config
) -> Iterator[Bed]:
    """A bed that runs every service."""
    with suppress(UsageError):
        if (given := Bed.open(state)).record.profile == FULL:
            yield given
            return
    clear_shared_bed()
    own = state.with_name(f"{state.name}-openstack")
    down(own)
    try:
        yield make(own, 3, image_root, REPORTS, FULL)
    finally:
        if not pytestconfig.getoption("--keep-bed"):
            down(own)


@pytest.fixture(scope="session")
def cloud(bed: Bed) -> Connection:
    """The administrator's connection to the cloud."""
    return connect(bed, BedTransport(bed).enter)


@pytest.fixture
def one_off(bed: Bed) -> str:
    """The name of a controller that has no power; the test before may have cut it."""
    off = [node.name for node in bed.nodes if not bed.powered(node.name)]
    if not off:
        off = [bed.nodes[-1].name]
        bed.power_off(off[0])
    assert len(off) == 1
    return off[0]


@pytest.fixture(scope="session")
def content() -> bytes:
    """What an image holds; no part of it is like another."""
    return random.randbytes(IMAGE_BYTES)


@pytest.fixture(scope="session")
def image(bed: Bed, cloud: Connection, content: bytes) -> Iterator[str]:
    """The id of an image for every project, which was uploaded through the public virtual IP."""
    needs(bed, "glance")
    uploaded = cloud.image.create_image(
        invent(), data=content, container_format="bare", disk_format="raw", visibility="public"
    )
    try:
        until("the image to be active", lambda: cloud.image.get_image(uploaded.id).status, is_("active"), timeout=60)
        yield uploaded.id
    finally:
        removed("the image", lambda: cloud.image.delete_image(uploaded.id))
