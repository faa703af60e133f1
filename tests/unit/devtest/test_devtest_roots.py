"""Roots of Debian packages."""

from pathlib import Path

import pytest

from tripleo_ha.devtest import roots


def test_a_root_is_made_once_from_the_mirrors_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etc = tmp_path / "image/etc"
    (etc / "apt/sources.list.d").mkdir(parents=True)
    (etc / "os-release").write_text('NAME="Debian"\nVERSION_CODENAME=trixie\n')
    (etc / "apt/sources.list.d/a.list").write_text("deb http://mirror.example.com/debian trixie main\n")
    asked: list[tuple[list[str], str]] = []

    def run(argv: list[str], *, input: str, timeout: float) -> None:
        asked.append((argv, input))
        Path(argv[-2]).mkdir(parents=True)

    monkeypatch.setattr(roots, "run", run)
    made = {
        roots.ensure(tmp_path / "cache", tmp_path / "image", "some", ("one", "two"), lambda line: None)
        for _ in range(2)
    }
    assert [root.is_dir() for root in made] == [True]
    ((argv, sources),) = asked
    assert (argv[0], argv[-3]) == ("mmdebstrap", "trixie")
    assert "--include=one,two" in argv
    assert sources == "deb http://mirror.example.com/debian trixie main\n"
