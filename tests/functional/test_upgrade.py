"""A new image reaches one controller after the other, while clients are served; the data stay."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from beds import REPORTS, Summary, assert_good, devtest, everywhere, target_of
from test_rolling import under_load

from tripleo_ha import paths
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.run import run
from tripleo_ha.verify.runner import Target

ID = paths.IMAGE_SHARE / "image.json"
UPGRADE_S = 1800.0


@pytest.fixture
def other_image(bed: Bed, clear_shared_bed: Callable[[], None]) -> Iterator[Path]:
    """The root of an image that is the bed's but for its name; a bed that is left is back on its own in the end."""
    own = bed.image(bed.nodes[0].name)
    other = own.with_name(f"other-than-{own.name}")
    shutil.rmtree(other, ignore_errors=True)
    try:
        run(["cp", "--archive", "--link", str(own), str(other)], timeout=300)
        file = other / ID.relative_to("/")
        text = json.dumps({**json.loads(file.read_text()), "id": "other"})
        # Written in place it would change in the bed's own image as well.
        file.unlink()
        file.write_text(text)
        yield other
    finally:
        clear_shared_bed()
        if any(bed.image(node.name) == other for node in bed.nodes):
            devtest(bed.state, "up", "--no-verify", "--image-root", str(own), log=REPORTS / "upgrade-back.log")
        shutil.rmtree(other)


def test_an_image_reaches_one_controller_after_the_other(
    target: Target, bed: Bed, other_image: Path, summary: Summary
) -> None:
    before = boots(bed)

    def act() -> None:
        call = ("upgrade", "--image-root", str(other_image), "--no-verify")
        devtest(bed.state, *call, timeout=UPGRADE_S, log=REPORTS / "upgrade.log")

    under_load(target, "another image, on one controller after the other", act, summary)
    told = everywhere(bed, ["cat", str(ID)], timeout=30)
    assert {json.loads(output)["id"] for _, _, output in told.values()} == {"other"}
    after = boots(bed)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    told = everywhere(bed, ["journalctl", "--list-boots", "--output=json"], timeout=30)
    assert {node: len(json.loads(output)) > 1 for node, (_, _, output) in told.items()} == dict.fromkeys(after, True)
    assert_good(target_of(Bed.open(bed.state)))
    # A second call finds nothing to do.
    devtest(bed.state, "upgrade", "--image-root", str(other_image), "--no-verify", timeout=UPGRADE_S)
    assert boots(bed) == after


def boots(bed: Bed) -> dict[str, str]:
    """Return what is another after each boot of a node."""
    started = ["systemctl", "show", "--property=UserspaceTimestampMonotonic", "--value"]
    return {node: output.strip() for node, (_, _, output) in everywhere(bed, started, timeout=30).items()}
