"""What is remembered of a bed, and that two calls do not work on it at once"""

import subprocess
import sys
from pathlib import Path

import pytest

from tripleo_ha.devtest import store
from tripleo_ha.errors import Failure, UsageError

RECORD = store.Record("/image/root", "abc", ("overcloud-controller-0",), ("overcloud-controller-1",))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store.save(tmp_path, RECORD)
    assert store.load(tmp_path) == RECORD


def test_no_record_is_no_bed(tmp_path: Path) -> None:
    assert store.load(tmp_path) is None
    assert store.load(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 0}', '{"version": 1}', '{"version": 1, "nodes": 3}'])
def test_a_damaged_record_says_so(tmp_path: Path, content: str) -> None:
    store.record_file(tmp_path).write_text(content)
    with pytest.raises(Failure, match=r"not a record.*"):
        store.load(tmp_path)


def test_a_second_call_is_turned_away(tmp_path: Path) -> None:
    attempt = (
        "import sys; from pathlib import Path; from tripleo_ha.devtest import store\n"
        "with store.locked(Path(sys.argv[1])): print('in')"
    )
    argv = [sys.executable, "-c", attempt, str(tmp_path / "bed")]
    with store.locked(tmp_path / "bed"):
        second = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode != 0
        assert "is at work" in second.stderr
    third = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert third.stdout == "in\n"


def test_the_lock_is_for_what_others_see(tmp_path: Path) -> None:
    with store.locked(tmp_path):
        (tmp_path / "lock").unlink()
        with store.locked(tmp_path):
            assert (tmp_path / "lock").exists()


def test_the_message_names_the_holder(tmp_path: Path) -> None:
    import os

    with store.locked(tmp_path), pytest.raises(UsageError, match=f"pid {os.getpid()}"), store.locked(tmp_path):
        pass


def test_the_state_is_for_root_only(tmp_path: Path) -> None:
    with store.locked(tmp_path / "bed"):
        assert (tmp_path / "bed").stat().st_mode & 0o777 == 0o700
