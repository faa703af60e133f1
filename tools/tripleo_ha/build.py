"""Building the controller image: what ``disk-image-create`` is given, when it need not run, and where time went."""

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata as distributions
from pathlib import Path

from tripleo_ha import debian, paths, workshop
from tripleo_ha.devtest import container
from tripleo_ha.errors import UsageError
from tripleo_ha.run import CommandFailed, run

ELEMENTS = ("debian-minimal", "ha-controller")
FORMATS = ("tar", "qcow2")
TIMEOUT = 3600.0
RECORD = "image.json"
FREE_BYTES = 6 << 30
NEEDED = {
    "debootstrap": "debootstrap",
    "gpg": "gpg",
    "kpartx": "kpartx",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "sudo": "sudo",
}
"""What a build runs, and the Debian package that holds it."""
STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) \| (.*)$")


@dataclass(frozen=True)
class BuiltImage:
    """A finished image: its unpacked root, its archive with the SHA-256 of it, and where the time went (seconds)."""

    root: Path
    tar: Path
    checksum: str
    manifest: Path
    seconds: dict[str, float]
    fresh: bool


def build(
    output: Path,
    *,
    force: bool = False,
    formats: Sequence[str] = ("tar",),
    elements: Sequence[str] = ELEMENTS,
    install_missing: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> BuiltImage:
    """Build the image into ``output``, or take the one there when nothing that goes into it has changed.

    :param formats: of disk-image-create; ``tar`` is always made, it is what a test bed boots from.
    :param install_missing: install the Debian packages a build needs, instead of naming them.
    :param say: told what is going on, a line at a time.
    :raises UsageError: this machine cannot build.
    :raises CommandFailed: disk-image-create failed; the message names its log.
    """
    output = output.resolve()
    wanted = inputs_digest(formats, elements)
    if not force and (known := _unchanged(output, wanted, say)):
        return known
    if install_missing and os.geteuid() == 0 and (installed := debian.install(NEEDED)):
        say(f"installed {', '.join(installed)}")
    check_machine(output)
    with workshop.alone(output, TIMEOUT, say):
        # Another build, which was waited for, may have made just this.
        known = None if force else _unchanged(output, wanted, say)
        return known or _built(output, wanted, formats, elements, say)


def _built(
    output: Path, wanted: str, formats: Sequence[str], elements: Sequence[str], say: Callable[[str], None]
) -> BuiltImage:
    began = time.monotonic()
    log = output / "build.log"
    say(f"building {' '.join(elements)} as {', '.join(formats)}; log: {log}")
    tar = _disk_image_create(output, log, formats, elements)
    steps = timings(log.read_text(errors="replace").splitlines())
    unpacking = time.monotonic()
    fresh = output / "root.new"
    with ThreadPoolExecutor(1) as beside:
        summing = beside.submit(_sha256, tar)
        _unpack(tar, fresh)
        checksum = summing.result()
    # By what is in it: a test bed may still run on another image of the same inputs.
    root = output / f"root-{checksum[:12]}"
    if root.exists():
        shutil.rmtree(fresh)
    else:
        fresh.rename(root)
    _prune(output, root)
    steps["unpack and checksum"] = time.monotonic() - unpacking
    steps["all"] = time.monotonic() - began
    manifest = output / "packages.txt"
    manifest.write_text(run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show"], timeout=60).stdout)
    image = BuiltImage(root, tar, checksum, manifest, steps, True)
    (output / f"{tar.name}.sha256").write_text(f"{checksum}  {tar.name}\n")
    told = {**asdict(image), "root": str(root), "tar": str(tar), "manifest": str(manifest), "inputs": wanted}
    temporary = output / f"{RECORD}.new"
    temporary.write_text(json.dumps(told, indent=2) + "\n")
    temporary.replace(output / RECORD)
    return image


def elements_path() -> tuple[Path, ...]:
    """Return where elements are looked for: first among ours, then in the directories of ``$ELEMENTS_PATH``.

    :raises UsageError: it names something else than a directory.
    """
    # Made absolute, because diskimage-builder is called in another directory.
    added = [Path(each).absolute() for each in os.environ.get("ELEMENTS_PATH", "").split(os.pathsep) if each]
    if wrong := [str(each) for each in added if not each.is_dir()]:
        raise UsageError(f"ELEMENTS_PATH: no directory {', '.join(wrong)}", "it holds directories, separated by colons")
    return tuple(dict.fromkeys((paths.elements(), *added)))


def inputs_digest(formats: Sequence[str], elements: Sequence[str]) -> str:
    """Return a digest of everything that goes into an image: ours, elements of others, diskimage-builder's version.

    :raises UsageError: ``$ELEMENTS_PATH`` is wrong, or something there cannot be read.
    """
    digest = hashlib.sha256()
    digest.update(repr((sorted(formats), list(elements), distributions.version("diskimage-builder"))).encode())
    digest.update(repr(sorted((k, v) for k, v in os.environ.items() if k.startswith("DIB_"))).encode())
    try:
        for top in (*elements_path(), paths.schemas(), paths.PACKAGE):
            # An element may be a symbolic link, which ** alone does not follow.
            for file in sorted({*top.glob("**/*"), *top.glob("*/**/*")}):
                if file.is_file() and "__pycache__" not in file.parts:
                    named = f"{file.relative_to(top)} {file.stat().st_mode & 0o111}\0"
                    digest.update(named.encode() + file.read_bytes())
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    return digest.hexdigest()


def check_machine(output: Path) -> None:
    """Refuse to begin what cannot end.

    :raises UsageError: not root, a tool missing, or too little room.
    """
    if os.geteuid() != 0:
        raise UsageError("building an image needs root", "call it with sudo")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := debian.missing(NEEDED):
        names = " ".join(missing)
        raise UsageError(f"missing here: {names}", f"--install-missing does it, or: apt-get install {names}")
    output.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(output).free) < FREE_BYTES:
        raise UsageError(f"{output} has {free / 2**30:.1f} GiB free, a build needs {FREE_BYTES >> 30}")


def timings(lines: Iterable[str]) -> dict[str, float]:
    """Return the seconds that each phase of a build took, from the stamps in its log, slowest hooks on their own.

    :param lines: of disk-image-create's log, ``DATE TIME | TEXT``.
    """
    seconds: dict[str, float] = {}
    last: tuple[float, str] | None = None
    name = "prepare"
    for line in lines:
        if not (found := STAMP.match(line)):
            continue
        at = datetime.fromisoformat(found[1]).timestamp()
        if last:
            seconds[last[1]] = seconds.get(last[1], 0.0) + at - last[0]
        text = found[2]
        if begun := re.match(r"dib-run-parts Running \S*/([a-z-]+\.d)/(\S+)", text):
            name = f"{begun[1]}/{begun[2]}"
        elif re.match(r"dib-run-parts \S+ completed", text):
            name = "between hooks"
        elif text.startswith(("Converting image", "Image file")):
            name = "write images"
        last = (at, name)
    return {name: spent for name, spent in sorted(seconds.items(), key=lambda item: -item[1]) if spent >= 0.5}


def _disk_image_create(output: Path, log: Path, formats: Sequence[str], elements: Sequence[str]) -> Path:
    chosen = list(dict.fromkeys(["tar", *formats]))
    log.unlink(missing_ok=True)
    environment = {
        "ELEMENTS_PATH": os.pathsep.join(map(str, elements_path())),
        "DIB_IMAGE_CACHE": os.environ.get("DIB_IMAGE_CACHE", str(output / "cache")),
        "DIB_DEBUG_TRACE": os.environ.get("DIB_DEBUG_TRACE", "0"),
        "TMP_DIR": os.environ.get("TMP_DIR", str(output)),
    }
    argv = ["disk-image-create", "--logfile", str(log), "-t", ",".join(chosen), "-o", str(output / "controller")]
    try:
        run([*argv, *elements], timeout=TIMEOUT, env=environment, cwd=output)
    except CommandFailed as failure:
        told = log.read_text(errors="replace") if log.exists() else failure.output
        raise CommandFailed(failure.argv, failure.reason, told, f"the whole log is {log}") from failure
    return output / "controller.tar"


def _unchanged(output: Path, wanted: str, say: Callable[[str], None]) -> BuiltImage | None:
    known = _finished(output / RECORD, wanted)
    if known:
        say(f"image unchanged since {known.tar.name} was built")
    return known


def _finished(record: Path, wanted: str) -> BuiltImage | None:
    if not record.exists():
        return None
    told = json.loads(record.read_text())
    root, tar = Path(told["root"]), Path(told["tar"])
    if told["inputs"] != wanted or not root.is_dir() or not tar.exists():
        return None
    return BuiltImage(root, tar, told["checksum"], Path(told["manifest"]), told["seconds"], False)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prune(output: Path, newest: Path) -> None:
    # The one before this may be that of a test bed whose nodes are off.
    kept = {newest, *container.images_in_use()}
    others = [root for root in output.glob("root-*") if root not in kept]
    for root in sorted(others, key=lambda root: root.stat().st_mtime)[:-1]:
        shutil.rmtree(root)


def _unpack(tar: Path, root: Path) -> None:
    if root.exists():
        shutil.rmtree(root)
    root.mkdir()
    run(["tar", "-C", str(root), "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xf", str(tar)], timeout=600)
