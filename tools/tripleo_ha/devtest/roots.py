"""Roots of Debian packages that no image has: of the release of an image, from the mirrors that it names."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tripleo_ha.run import run

TIMEOUT = 1200.0


def ensure(cache: Path, image_root: Path, name: str, packages: Sequence[str], say: Callable[[str], None]) -> Path:
    """Return the root of that name with these packages, and what they need; made at the first call.

    :param cache: where roots are kept, of each release of its own.
    :raises CommandFailed: mmdebstrap failed.
    """
    release = _release(image_root)
    made = cache / f"{name}-{release}"
    if not made.exists():
        say(f"making a root with {', '.join(packages)}: {made}")
        fresh = made.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        sources = "".join(file.read_text() for file in sorted((image_root / "etc/apt/sources.list.d").glob("*.list")))
        argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", "--dpkgopt=force-unsafe-io"]
        argv += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")]
        run([*argv, release, str(fresh), "-"], input=sources, timeout=TIMEOUT)
        fresh.rename(made)
    return made


def _release(image_root: Path) -> str:
    lines = (image_root / "etc/os-release").read_text().splitlines()
    told = dict(line.partition("=")[::2] for line in lines)
    return told["VERSION_CODENAME"].strip('"')
