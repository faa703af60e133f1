"""The wheel alone is enough: elements and schemas are in it, and the hooks stay executable."""

import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tripleo_ha import paths
from tripleo_ha.run import run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy so that the checkout stays as it is."""
    work = tmp_path_factory.mktemp("wheel")
    run(["git", "clone", "--quiet", "--local", "--no-hardlinks", str(paths.CHECKOUT), str(work / "source")], timeout=60)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "-w", str(work), str(work / "source")], timeout=300)
    return next(work.glob("*.whl"))


def test_every_tracked_element_file_is_in_the_wheel(wheel: Path) -> None:
    """What git knows below elements/ and schemas/ is there, with its permission to be run."""
    tracked = run(["git", "-C", str(paths.CHECKOUT), "ls-tree", "-r", "HEAD", "elements", "schemas"], timeout=30).stdout
    packed = {entry.filename: entry.external_attr >> 16 for entry in zipfile.ZipFile(wheel).infolist()}
    for line in tracked.splitlines():
        mode, name = line.split()[0], line.partition("\t")[2]
        inside = f"tripleo_ha/_{name}"
        assert inside in packed
        assert bool(packed[inside] & 0o100) == (mode == "100755"), name


def test_elements_path_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """The printed directory holds the elements, without the checkout."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-deps", "--target", str(tmp_path), str(wheel)], timeout=120)
    call = "import sys; from tripleo_ha.cli.main import main; main(['elements-path'])"
    search = {"PYTHONPATH": f"{tmp_path}:{sysconfig.get_path('purelib')}"}
    printed = run([sys.executable, "-P", "-c", call], timeout=60, env=search, cwd=tmp_path).stdout.strip()
    assert Path(printed) == tmp_path / "tripleo_ha" / "_elements"
    assert (Path(printed) / "ha-controller" / "element-deps").is_file()
