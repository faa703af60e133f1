"""One build at a time in a directory, and what a killed one left there, which is mounted for real."""

import os
from pathlib import Path

import pytest

from tripleo_ha import workshop
from tripleo_ha.errors import TimedOut
from tripleo_ha.run import run

MOUNTINFO = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:30 / /srv/a\040b/dib_build.X rw,relatime - tmpfs tmpfs rw
31 30 0:31 / /srv/a\040b/dib_build.X/mnt/dev/shm rw,relatime - tmpfs tmpfs rw
32 22 0:32 / /srv/a\040b/dib_build.XY rw,relatime - tmpfs tmpfs rw
""".strip()


def quiet(_: str) -> None:
    """Tell nobody."""


def test_mounts_below_a_directory_are_told_in_their_order() -> None:
    top = Path("/srv/a b/dib_build.X")
    assert workshop.mounted_in(top, MOUNTINFO) == [top, top / "mnt/dev/shm"]
    assert workshop.mounted_in(Path("/srv/other"), MOUNTINFO) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_what_a_killed_build_left_is_unmounted_and_gone_before_the_next(tmp_path: Path) -> None:
    scratch = tmp_path / "dib_build.a b"
    scratch.mkdir()
    kept = tmp_path / "cache" / "kept"
    kept.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "none", str(scratch)], timeout=30)
    (scratch / "mnt").mkdir()
    run(["mount", "--bind", str(kept.parent), str(scratch / "mnt")], timeout=30)
    with workshop.alone(tmp_path, 1, quiet):
        assert not scratch.exists()
    assert kept.is_dir(), "what was mounted there is somebody else's"
    assert workshop.mounted_in(tmp_path, workshop.MOUNTS.read_text()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_build_that_fails_leaves_nothing_mounted(tmp_path: Path) -> None:
    scratch = tmp_path / "dib_image.b"
    with pytest.raises(KeyboardInterrupt), workshop.alone(tmp_path, 1, quiet):
        scratch.mkdir()
        run(["mount", "-t", "tmpfs", "none", str(scratch)], timeout=30)
        raise KeyboardInterrupt
    assert not scratch.exists()


def test_another_build_is_waited_for_and_named(tmp_path: Path) -> None:
    said: list[str] = []
    late = pytest.raises(TimedOut, match=f"waited 0.1 s for another build in {tmp_path} to end")
    with workshop.alone(tmp_path, 1, quiet), late, workshop.alone(tmp_path, 0.1, said.append):
        pytest.fail("two builds at a time")
    assert said == [f"waiting for another build in {tmp_path}"]
    with workshop.alone(tmp_path, 1, said.append):
        assert len(said) == 1
