"""Making a bed, changing its size, and clearing it away; each may be interrupted anywhere and called again."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tripleo_ha import debian
from tripleo_ha.devtest import (
    beside,
    bmcs,
    cgroups,
    compute,
    credentials,
    disk,
    handing,
    images,
    network,
    prerequisites,
    proof,
    shutdown,
    storage,
    store,
)
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.convergence import CONVERGE_S
from tripleo_ha.devtest.layout import NODE_PREFIX, bed_name, node_names
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import Failure, UsageError

SECRETS = ("passwords.yaml", credentials.OPENRC, credentials.CA)
REMADE = ("bed.json", "nodes", "cgroup", "timeline.json", bmcs.LOG, *SECRETS)
KEPT = ("devtest.log", "lock")


@dataclass(frozen=True)
class Wish:
    """What ``up`` is asked for; ``scale`` None means as it is, or 3; ``disk_mb`` None, whatever suits;
    ``fencing`` None, as it is, or with it if the image can; ``profile`` None, as it is, or ``core``."""

    scale: int | None = None
    image_root: Path | None = None
    force_build: bool = False
    timeout: float = CONVERGE_S
    disk_mb: int | None = None
    fencing: bool | None = None
    profile: str | None = None


def up(state: Path, wish: Wish, progress: Progress) -> Bed:
    """Make the bed, or complete what is there of it: every node on, plugged in and converged.

    :raises UsageError: there is a bed of another scale, or ``state`` is something else.
    :raises Failure: a node did not boot or converge.
    """
    record = store.load(state)
    if record is None:
        refuse_foreign(state)
        prerequisites.check_space(state)
        sweep(state)
    elif wish.scale not in (None, len(record.nodes)):
        raise UsageError(
            f"the bed in {state} has {len(record.nodes)} controllers; `devtest scale {wish.scale}` changes it"
        )
    progress.say(f"state and log in {state}")
    if packages := debian.install(prerequisites.PROGRAMS):
        progress.say(f"installed {', '.join(packages)}")
    for change in prerequisites.adjust_kernel():
        progress.say(f"{change}, until the next boot")
    with progress.step("image"):
        root, checksum = images.find(wish.image_root, wish.force_build, progress)
    if record is None:
        names = node_names(wish.scale or 3)
        fencing = bmcs.usable(root) if wish.fencing is None else wish.fencing
        record = store.Record(str(root), checksum, names, disk_mb=disk.size(wish.disk_mb), fencing=fencing)
        store.save(state, record)
    else:
        record = images.exchange_all(Bed(state, record), root, checksum, progress)
    if wish.fencing is not None and wish.fencing != record.fencing:
        record = replace(record, fencing=wish.fencing)
        store.save(state, record)
    if wish.profile not in (None, record.profile):
        record = replace(record, profile=wish.profile)
        store.save(state, record)
    bed = Bed(state, record)
    bed.mend()
    for node in bed.nodes:
        bed.thaw(node.name)
        bed.rejoin(node.name)
    settle(bed, wish.timeout, progress)
    return bed


def scale(bed: Bed, wanted: int, timeout: float, progress: Progress) -> Bed:
    """Bring the bed to another number of controllers; what the cluster holds is kept.

    Nodes that go are shut down one after the other, the last first, while the others still know them; then the others
    are told, and forget them by majority.

    :raises UsageError: those that would stay are no majority of those there are.
    :raises Failure: a node did not boot or converge.
    """
    names = node_names(wanted)
    there = (*bed.record.nodes, *bed.record.leaving)
    if wanted * 2 <= len(there):
        most = len(there) // 2 + 1
        raise UsageError(f"{wanted} of {len(there)} controllers are no majority, which has to stay: at least {most}")
    gone = tuple(sorted(set(there) - set(names), key=_number))
    bed = Bed(bed.state, replace(bed.record, nodes=names, leaving=gone))
    store.save(bed.state, bed.record)
    return settle(bed, timeout, progress)


def settle(bed: Bed, timeout: float, progress: Progress) -> Bed:
    """Bring every node to where the record says it is to be, and wait until the cluster has converged."""
    network.create(bed.netns)
    if bed.record.fencing and bmcs.ensure(bed.state, bed.cgroup, bed.netns):
        progress.say(f"the nodes' BMCs answer at {bmcs.ADDRESS}, from port {bmcs.FIRST_PORT} on")
    store_up(bed, progress)
    with progress.step("leave"):
        for name in reversed(bed.record.leaving):
            shutdown.shut_down(bed, name, progress)
    with progress.step("boot"):
        documents = handing.documents(bed)
        handing.give_credentials(bed, documents)
        off = [node.name for node in bed.nodes if not bed.running(node.name)]
        for name in off:
            bed.write_metadata(name, documents[name])
            if bed.record.disk_mb:
                disk.make(bed.node(name), bed.record.disk_mb)
            bed.launch(name)
        for name in off:
            bed.wait_booting(name)
            progress.node(name, f"booting, console in {bed.node(name).console}")
        with ThreadPoolExecutor(max_workers=len(bed.nodes)) as pool:
            list(pool.map(lambda node: bed.push(node.name, documents[node.name]), bed.nodes))
    with progress.step("converge"):
        bed.wait_converged(timeout=timeout, tell=progress.node)
        if storage.runs(bed.record):
            storage.wait_ready(bed.state, bed.cgroup)
    compute_up(bed, documents[bed.nodes[0].name], progress)
    handing.keep_timelines(bed)
    if bed.record.leaving:
        for name in bed.record.leaving:
            shutil.rmtree(bed.node(name).directory, ignore_errors=True)
        bed = Bed(bed.state, replace(bed.record, leaving=()))
        store.save(bed.state, bed.record)
    return bed


def store_up(bed: Bed, progress: Progress) -> None:
    """Have the bed's storage run where its profile has use for it, and nowhere else; it is waited for later."""
    if not storage.runs(bed.record):
        beside.stop(storage.node(bed.state), bed.cgroup)
        return
    with progress.step("storage"):
        root = storage.root(images.cache(), Path(bed.record.image_root), progress.say)
        if storage.ensure(bed.state, bed.cgroup, bed.netns, root):
            told = storage.node(bed.state)
            progress.node(told.name, f"Ceph starts at {told.ip}, console in {told.console}")


def compute_up(bed: Bed, document: Mapping[str, Any], progress: Progress) -> None:
    """Have the bed's compute node run, and wait for it, where its profile has use for it, and nowhere else.

    It starts when the cluster has converged: ``nova-compute`` gives up where it finds no Keystone.

    :param document: what a controller was handed.
    """
    target = compute.node(bed.state)
    if not compute.runs(bed.record):
        beside.stop(target, bed.cgroup)
        return
    with progress.step("compute"):
        if compute.ensure(bed, document):
            progress.node(target.name, f"nova-compute starts at {target.ip}, console in {target.console}")
        compute.wait_ready(bed)


def upgrade(bed: Bed, wish: Wish, progress: Progress) -> Bed:
    """Put another image on one controller's system disk after the other, while the others serve; state is kept.

    Each is shut down in order, and has what clients use of it moved first. The next one's turn comes when it has
    converged and every check holds. Metadata that only the new image knows are handed out when all have it. What an
    interrupted call left to do, the next one does.

    :raises Failure: a controller did not boot or converge, or the others cannot spare one; those that were not reached
        keep what they have.
    """
    with progress.step("image"):
        root, checksum = images.find(wish.image_root, wish.force_build, progress)
    for name in images.outdated(bed, root):
        if not bed.running(name):
            images.exchange(bed, name, root, progress)
    bed = settle(bed, wish.timeout, progress)
    outdated = images.outdated(bed, root)
    if not outdated:
        progress.say("every controller has this image")
    for name in outdated:
        proof.require_spare(bed, name)
        with progress.step(name):
            images.exchange(bed, name, root, progress)
            bed.power_on(name)
            bed.wait_converged([name], timeout=wish.timeout, tell=progress.node)
    return settle(Bed(bed.state, images.remember(bed, root, checksum)), wish.timeout, progress)


def down(state: Path, progress: Progress) -> None:
    """Clear the bed away; works on whatever is left of one, whether or not its record can be read.

    :raises Failure: something is still mounted below ``state``, or a process cannot be killed.
    """
    sweep(state)
    progress.say("nodes, networks and disks are gone")
    for name in KEPT:
        (state / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        state.rmdir()


def sweep(state: Path) -> None:
    """End and remove whatever a bed in ``state`` may have left, other than its log and its lock.

    :raises Failure: something is still mounted below ``state``, or a process cannot be killed.
    """
    # First of all, so that an interrupted call leaves no bed that looks whole and has lost half its disks.
    store.record_file(state).unlink(missing_ok=True)
    name = bed_name(state)
    cgroups.kill(cgroups.find(state.resolve()) / name)
    for pid in network.namespace_pids(name):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    network.delete(name)
    cgroups.release(state.resolve())
    refuse_mounted(state.resolve(), Path("/proc/self/mounts").read_text())
    for entry in REMADE:
        path = state / entry
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def refuse_foreign(state: Path) -> None:
    """Keep off a directory that holds something else.

    :raises UsageError: there is a file in it that no bed made.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if others := sorted({path.name for path in state.iterdir()} - {*REMADE, *KEPT}):
            raise UsageError(f"{state} is not a test bed's: it holds {', '.join(others[:3])}")


def refuse_mounted(state: Path, mounts: str) -> None:
    """Keep from deleting through a mount.

    :raises Failure: something is mounted below ``state``.
    """
    targets: Iterable[Path] = (
        Path(line.split(" ")[1].encode().decode("unicode_escape")) for line in mounts.splitlines()
    )
    if below := [str(target) for target in targets if state in target.parents]:
        raise Failure(f"still mounted: {', '.join(below)}", "umount it and call again")


def _number(name: str) -> int:
    return int(name.removeprefix(NODE_PREFIX))
