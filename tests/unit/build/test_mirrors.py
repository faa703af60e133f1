"""The mirrors that an image is built from: those of the build host."""

from pathlib import Path

import pytest

from tripleo_ha import paths
from tripleo_ha.run import run

SCRIPT = paths.CHECKOUT / "elements/ha-base/environment.d/05-ha-base.bash"
SOURCES = """\
deb http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb http://fixes.example/debian-security bookworm-security main
deb http://else.example/tools stable main
"""


def mirrors(apt: Path, sources: str) -> dict[str, str]:
    """Return what diskimage-builder would be told on a host of those sources, no list of which is downloaded."""
    (apt / "lists/partial").mkdir(parents=True)
    (apt / "sources.list").write_text(sources)
    (apt / "apt.conf").write_text(
        f'Dir::State::lists "{apt}/lists";'
        f'Dir::Etc::sourcelist "{apt}/sources.list";'
        f'Dir::Etc::sourceparts "{apt}/none";'
        'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
    )
    argv = ["env", "-i", "PATH=/usr/bin:/bin", f"APT_CONFIG={apt}/apt.conf"]
    told = run([*argv, "bash", "-euc", f"source {SCRIPT}; env"], timeout=30).stdout
    return {name: value for name, _, value in (line.partition("=") for line in told.splitlines()) if "MIRROR" in name}


def test_are_known_before_any_list_is_downloaded(tmp_path: Path) -> None:
    assert mirrors(tmp_path, SOURCES) == {
        "DIB_DISTRIBUTION_MIRROR": "http://mirror.example/debian/",
        "DIB_DEBIAN_SECURITY_MIRROR": "http://fixes.example/debian-security/",
    }


@pytest.mark.parametrize("sources", ["", "deb http://else.example/tools stable main\n"])
def test_are_left_to_the_builder_where_no_archive_has_a_security_suite(sources: str, tmp_path: Path) -> None:
    assert mirrors(tmp_path, sources) == {}
