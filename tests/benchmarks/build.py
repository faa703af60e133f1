"""How long the image build takes, against mmdebstrap installing the very same packages in one transaction.

usage: .venv/bin/python tests/benchmarks/build.py [--limit 1.5] [--rounds 1]

Both fetch from the build host's own mirrors with an empty package cache, and both leave a tar. What the build does
beyond the floor is the rest of the distance: the agents' environment, hooks, templates, identity. The list of packages
is the manifest of the image just built, so the floor runs after it, twice in the first round.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tripleo_ha import build
from tripleo_ha.run import run

LIMIT = 1.5
RELEASE = "trixie"
TIMEOUT_S = 3600.0
DPKG = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
)
"""What the elements tell dpkg; the floor gets the same, which makes it faster."""


def sources() -> list[str]:
    """Return the lines of a sources.list, from the build host's own mirrors as the element ha-base takes them."""
    argv = ["apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)"]
    told = run(argv, timeout=30).stdout
    mirrors = dict(line.split(maxsplit=1) for line in told.splitlines() if line.strip())
    security = next(name for name in mirrors if name.endswith("-security"))
    main = mirrors[security.removesuffix("-security")]
    return [
        f"deb {main} {RELEASE} main",
        f"deb {main} {RELEASE}-updates main",
        f"deb {mirrors[security]} {RELEASE}-security main",
    ]


def packages(manifest: Path) -> list[str]:
    """Return the names in a manifest, NAME and VERSION a line."""
    return [line.split()[0] for line in manifest.read_text().splitlines() if line.strip()]


def floor(names: list[str], lines: list[str], place: Path) -> float:
    """Install the packages in one transaction into a tar, and return the seconds that took."""
    listing = place / "sources.list"
    listing.write_text("\n".join(lines) + "\n")
    options = [f"--dpkgopt={option}" for option in DPKG]
    target = place / "floor.tar"
    argv = ["mmdebstrap", "--variant=essential", *options, f"--include={','.join(names)}", RELEASE, str(target)]
    began = time.monotonic()
    run([*argv, str(listing)], timeout=TIMEOUT_S)
    took = time.monotonic() - began
    target.unlink()
    return took


def built(place: Path) -> build.BuiltImage:
    """Build the image with nothing cached."""
    return build.build(place / "build", force=True, say=print)


def main() -> int:
    """Measure, print, and return 1 when the ratio is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=LIMIT, help="exit 1 over this ratio (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="builds to take the median of (default: %(default)s)")
    parser.add_argument(
        "--place", type=Path, default=Path("/var/tmp"), help="where there is room (default: %(default)s)"
    )
    arguments = parser.parse_args()
    builds: list[float] = []
    floors: list[float] = []
    for number in range(arguments.rounds):
        place = Path(tempfile.mkdtemp(prefix="tripleo-ha-benchmark-", dir=arguments.place))
        try:
            image = built(place)
            builds.append(image.seconds["all"])
            names = packages(image.manifest)
            shutil.rmtree(place / "build")
            floors += [floor(names, sources(), place) for _ in range(2 if number == 0 else 1)]
            print(f"round {number + 1}: build {builds[-1]:.1f} s, floor {floors[-1]:.1f} s, {len(names)} packages")
            for step, seconds in list(image.seconds.items())[:10]:
                print(f"    {step:<44} {seconds:7.1f} s")
        finally:
            shutil.rmtree(place, ignore_errors=True)
    ratio = statistics.median(builds) / statistics.median(floors)
    print(f"image build {statistics.median(builds):.1f} s / one transaction {statistics.median(floors):.1f} s")
    print(f"ratio {ratio:.2f} (limit {arguments.limit})")
    return 0 if ratio <= arguments.limit else 1


if __name__ == "__main__":
    sys.exit(main())
