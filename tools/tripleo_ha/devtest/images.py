"""Images that a bed's nodes boot from: finding one, and exchanging what is on system disks for it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tripleo_ha import build, paths
from tripleo_ha.devtest import beside, compute, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.devtest.shutdown import shut_down
from tripleo_ha.errors import UsageError


def cache() -> Path:
    """Return where what is built for beds is kept."""
    return paths.CHECKOUT / ".build" if paths.in_checkout() else Path("/var/cache/tripleo-ha")


def find(given: Path | None, force_build: bool, progress: Progress) -> tuple[Path, str]:
    """Return the root of an unpacked image, and its checksum or what stands for it.

    :param given: the root, when somebody chose one; otherwise the tree's own image is built where that is needed.
    :raises UsageError: ``given`` is no such root.
    """
    if given is not None:
        if not (given / "usr").is_dir():
            raise UsageError(f"{given} is not the root of an unpacked image")
        return given.resolve(), f"path:{given.resolve()}"
    built = build.build(cache(), force=force_build, install_missing=True, say=progress.say)
    progress.say(f"image: sha256 {built.checksum}")
    return built.root, built.checksum


def outdated(bed: Bed, root: Path) -> list[str]:
    """Return the names of the controllers that boot from another image."""
    return [node.name for node in bed.nodes if bed.image(node.name) != root]


def exchange(bed: Bed, name: str, root: Path, progress: Progress) -> None:
    """Shut a controller down and put the image on its system disk; what is on its state disk is kept."""
    shut_down(bed, name, progress)
    bed.reimage(name, root)


def exchange_all(bed: Bed, root: Path, checksum: str, progress: Progress) -> store.Record:
    """Put the image on the system disk of every controller that has another, all at once, and remember it."""
    names = outdated(bed, root)
    if any(map(bed.running, names)):
        progress.say("the image has changed: nodes shut down and boot from the new one, their state is kept")
    with ThreadPoolExecutor(max_workers=len(bed.nodes)) as pool:
        list(pool.map(lambda name: exchange(bed, name, root, progress), names))
    return remember(bed, root, checksum)


def remember(bed: Bed, root: Path, checksum: str) -> store.Record:
    """Record that the bed's nodes are all to be of that image, and have those beside them boot from it next."""
    if root != Path(bed.record.image_root):
        beside.renew(compute.node(bed.state), bed.cgroup)
    record = replace(bed.record, image_root=str(root), image_checksum=checksum)
    store.save(bed.state, record)
    return record
