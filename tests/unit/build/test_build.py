"""What decides whether an image is built, and the reading of a build's log."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tripleo_ha import build, debian, paths
from tripleo_ha.errors import UsageError

LOG = """\
2026-01-02 10:00:00.000 | diskimage-builder version 3
2026-01-02 10:00:02.000 | dib-run-parts Running /tmp/x/hooks/root.d/08-debootstrap
2026-01-02 10:01:02.000 | dib-run-parts 08-debootstrap completed
not stamped
2026-01-02 10:01:03.000 | dib-run-parts Running /tmp/in_target.d/install.d/30-ha-agents
2026-01-02 10:01:13.500 | dib-run-parts 30-ha-agents completed
2026-01-02 10:01:13.600 | Converting image using qemu-img convert
2026-01-02 10:01:23.600 | Image file x created...
"""


def test_time_is_counted_to_the_hook_that_took_it() -> None:
    spent = {"root.d/08-debootstrap": 60, "install.d/30-ha-agents": 10.5, "write images": 10, "prepare": 2}
    assert build.timings(LOG.splitlines()) == pytest.approx({**spent, "between hooks": 1.1})


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "elements" / "e").mkdir(parents=True)
    (tmp_path / "elements" / "e" / "hook").write_text("one")
    monkeypatch.setattr(paths, "elements", lambda: tmp_path / "elements")
    monkeypatch.setattr(paths, "schemas", lambda: tmp_path / "elements")
    return tmp_path


def test_inputs_are_content_mode_and_settings(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {build.inputs_digest(["tar"], ["e"])}
    hook = tree / "elements" / "e" / "hook"
    own, linked = tree / "own" / "fence" / "hook", tree / "kept" / "hook"
    for file in (own, linked):
        file.parent.mkdir(parents=True)
        file.touch()
    (tree / "own" / "linked").symlink_to(linked.parent)
    for change in (
        lambda: hook.write_text("two"),
        lambda: hook.chmod(0o755),
        lambda: monkeypatch.setenv("DIB_RELEASE", "forky"),
        lambda: monkeypatch.setenv("ELEMENTS_PATH", str(tree / "own")),
        lambda: own.write_text("two"),
        lambda: linked.write_text("two"),
    ):
        change()
        seen.add(build.inputs_digest(["tar"], ["e"]))
    seen |= {build.inputs_digest(["tar", "qcow2"], ["e"]), build.inputs_digest(["tar"], ["e", "f"])}
    assert len(seen) == 9
    assert build.inputs_digest(["tar"], ["e"]) == build.inputs_digest(["tar"], ["e"])


def test_other_elements_come_after_ours_from_wherever_it_is_called(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "own").mkdir()
    monkeypatch.chdir(tree)
    monkeypatch.setenv("ELEMENTS_PATH", f"own:{tree / 'elements'}:")
    assert build.elements_path() == (tree / "elements", tree / "own")
    monkeypatch.setenv("ELEMENTS_PATH", "own:typo")
    with pytest.raises(UsageError, match=f"ELEMENTS_PATH: no directory {tree / 'typo'}"):
        build.inputs_digest(["tar"], ["e"])


def test_an_unchanged_image_is_not_built_again(tree: Path) -> None:
    root, tar = tree / "root", tree / "controller.tar"
    root.mkdir()
    tar.write_text("")
    told = {"root": str(root), "tar": str(tar), "checksum": "c", "manifest": "p", "seconds": {}, "fresh": True}
    told["inputs"] = build.inputs_digest(["tar"], ["e"])
    (tree / "image.json").write_text(json.dumps(told))
    image = build.build(tree, elements=["e"])
    assert (image.fresh, image.checksum) == (False, "c")


def test_a_machine_without_room_or_tools_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian, "missing", lambda programs: [])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(UsageError, match=r"0\.0 GiB free, a build needs 6"):
        build.check_machine(tmp_path)
    monkeypatch.setattr(debian, "missing", lambda programs: ["kpartx"])
    with pytest.raises(UsageError, match="missing here: kpartx"):
        build.check_machine(tmp_path)
    monkeypatch.setattr(build.os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="needs root"):
        build.check_machine(tmp_path)


def test_what_nodes_run_on_is_kept_however_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = {name: tmp_path / "out" / f"root-{name}" for name in ("used", "old", "last", "new")}
    for age, root in enumerate(reversed(roots.values())):
        root.mkdir(parents=True)
        os.utime(root, (1_000_000 - age, 1_000_000 - age))
    # As the keeper of a node that is on.
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "image").symlink_to(roots["used"])
    monkeypatch.chdir(tmp_path / "node")
    build._prune(tmp_path / "out", roots["new"])
    assert {name for name, root in roots.items() if root.exists()} == {"used", "last", "new"}
