"""What stands before the tool is installed: tools/devtest and tools/bootstrap, in a checkout of nothing else."""

import os
import shutil
from pathlib import Path

import pytest

from tripleo_ha import paths
from tripleo_ha.run import Completed, run

MACHINE = {
    "id": "echo 1000",
    "apt-get": "exit 100",
    # Has no venv module where NO_VENV is set; makes one whose pip cannot install anything.
    "python3": """
case "$*" in
    *ensurepip*) [ -z "$NO_VENV" ] ;;
    "-m venv"*)
        mkdir -p "$4/bin"
        printf '#!/bin/sh\\ncase "$*" in *install*) echo no route >&2; exit 1;; esac\\n' >"$4/bin/python"
        chmod +x "$4/bin/python"
        ;;
esac
""",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("bootstrap", "devtest"):
        shutil.copy(paths.CHECKOUT / "tools" / name, tmp_path / "tools")
    for name in ("setup.cfg", "pyproject.toml", "tools/constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / "bin").mkdir()
    for name, script in MACHINE.items():
        program(tmp_path / "bin" / name, script)
    return tmp_path


def program(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def call(checkout: Path, *argv: str, **environment: str) -> Completed:
    env = {"PATH": f"{checkout / 'bin'}:{os.environ['PATH']}", **environment}
    return run([str(checkout / "tools" / argv[0]), *argv[1:]], timeout=30, env=env, check=False)


@pytest.mark.parametrize("words", [("--help",), ("up", "-h")])
def test_help_is_everybodys(words: tuple[str, ...], checkout: Path) -> None:
    program(checkout / "tools/bootstrap", "exit 0")
    program(checkout / ".venv/bin/tripleo-ha", 'echo "called: $*"')
    done = call(checkout, "devtest", *words)
    assert (done.returncode, done.stdout) == (0, f"called: devtest {' '.join(words)}\n")


def test_a_bed_is_roots_and_nothing_is_installed_for_others(checkout: Path) -> None:
    done = call(checkout, "devtest", "status")
    assert (done.returncode, "needs root" in done.stderr) == (2, True)
    assert not (checkout / ".venv").exists()


def test_what_cannot_be_installed_is_named_last_and_is_no_finding(checkout: Path) -> None:
    done = call(checkout, "bootstrap")
    assert done.returncode == 2
    assert "no route" in done.stderr
    said = done.stderr.splitlines()[-1]
    assert said == f"bootstrap: pip could not install what is needed into {checkout}/.venv"
    program(checkout / "bin/id", "echo 0")
    done = call(checkout, "bootstrap", NO_VENV="1")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "bootstrap: apt-get could not install python3-venv")
