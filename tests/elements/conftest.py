"""The image under test: the archive that ``tripleo-ha build`` made last."""

import json
import tarfile
from pathlib import Path

import pytest

from tripleo_ha import paths


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    default = paths.CHECKOUT / ".build"
    parser.addoption("--image", type=Path, default=default, help="output directory of tripleo-ha build")


class Image:
    """An image archive, read without unpacking it."""

    def __init__(self, archive: Path) -> None:
        self._tar = tarfile.open(archive)  # noqa: SIM115 - read until the session ends
        self.members = {member.name.removeprefix("./"): member for member in self._tar}

    def text(self, name: str) -> str:
        """Return a file's content."""
        stream = self._tar.extractfile(self.members[name])
        assert stream is not None, name
        return stream.read().decode()

    def below(self, directory: str) -> list[str]:
        """Return the names of everything below a directory."""
        return [name for name in self.members if name.startswith(f"{directory}/")]

    def mode(self, name: str) -> int:
        """Return a file's permission bits."""
        return self.members[name].mode & 0o777


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> Image:
    """The archive of the last build."""
    record = pytestconfig.getoption("--image") / "image.json"
    return Image(Path(json.loads(record.read_text())["tar"]))


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> dict[str, str]:
    """Name and version of every package in the image, from the manifest."""
    record = pytestconfig.getoption("--image") / "image.json"
    lines = Path(json.loads(record.read_text())["manifest"]).read_text().splitlines()
    return dict(line.split("\t") for line in lines)
