"""One node as a container: boot it, cut its power, shut it down, run a command inside.

Everything a node has on this machine hangs on the processes in its cgroup: its overlay, its network namespace and
its cables are made in the private mount namespace of a small keeper process, and are gone when the last of these
processes is. A call that is killed half-way therefore leaves nothing behind that ``down`` would have to know of.
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tripleo_ha.devtest import cgroups, disk, network
from tripleo_ha.devtest.layout import BedNode
from tripleo_ha.errors import Failure
from tripleo_ha.run import run
from tripleo_ha.waiting import wait_for

BOOT_TIMEOUT = 60.0
SIGRTMIN_POWEROFF = signal.SIGRTMIN + 4
INSIDE_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "container=systemd-nspawn",
)

# nspawn leaves a reboot to its caller with exit status 133. Each boot gets a new network namespace, since addresses,
# rules and sysctls do not survive one either, and a new cgroup. The older systemd's nspawn and the image's systemd
# refuse a mixed hierarchy, so where version 2 is not at its place it is mounted there, for these processes only.
KEEPER = """
set -eu
cd "$NODE_DIR"
mkdir "$NODE_CGROUP/keeper"
echo $$ >"$NODE_CGROUP/keeper/cgroup.procs"
mkdir -p /run/netns /run/systemd/nspawn
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs /run/systemd/nspawn
disk=.
if [ -e disk.img ]; then
    mkdir -p disk
    mount -o loop disk.img disk
    disk=disk
    mkdir -p disk/upper disk/work disk/state
    mount --bind disk/state state
fi
mount -t overlay overlay -o "lowerdir=image,upperdir=$disk/upper,workdir=$disk/work" root
mkdir /run/netns/.cgroup
mount --bind "$NODE_CGROUP" /run/netns/.cgroup
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
take_away_cables() {
    for link in $LINKS; do
        ip link del "$link" 2>/dev/null || :
    done
}
boot=0
while :; do
    boot=$((boot + 1))
    take_away_cables
    ip netns add node
    ip -batch cables
    ip -n node -batch addresses
    if [ ! -e isolated ]; then
        for link in $LINKS; do
            ip link set "$link" up
        done
    fi
    mkdir "/run/netns/.cgroup/boot$boot"
    status=0
    sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "/run/netns/.cgroup/boot$boot" "$@" || status=$?
    take_away_cables
    ip netns delete node
    find "/run/netns/.cgroup/boot$boot" -depth -type d -exec rmdir {} +
    [ "$status" = 133 ] || exit "$status"
done
"""


COLDPLUG = """[Service]
ExecStart=
ExecStart=-udevadm trigger --type=all --action=add --subsystem-match=net
"""
"""A node sees all devices of the machine and owns but its cables. To go through all costs it a second of CPU a boot."""
COLDPLUG_FILE = "coldplug.conf"


def boot_argv(node: BedNode, machine: str, machine_id: str) -> list[str]:
    """Return the command that boots the node's root as a container, in the keeper's namespaces."""
    binds = {node.directory / "state": "/mnt/state", node.metadata_file.parent: "/var/lib/os-collect-config/local-data"}
    argv = [
        "systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--boot",
        f"--directory={node.directory / 'root'}", f"--machine={machine}", f"--hostname={node.name}",
        f"--uuid={machine_id}", "--network-namespace-path=/run/netns/node", "--capability=all",
        "--console=read-only", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
    ]  # fmt: skip
    argv += [f"--bind={bind_path(source)}:{target}" for source, target in binds.items()]
    argv += tun()
    argv.append(
        f"--bind-ro={bind_path(node.directory / COLDPLUG_FILE)}"
        ":/etc/systemd/system/systemd-udev-trigger.service.d/devtest.conf"
    )
    # The image's fstab names a disk by its label; here the root is an overlay, and there is nothing to remount.
    return [*argv, f"systemd.hostname={node.name}", "systemd.mask=systemd-remount-fs.service"]


def furnish(node: BedNode) -> None:
    """Make the node's directories; what is in those that are there stays."""
    # Its disks hold its secrets, whatever directory the bed was given.
    node.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("root", *disk.PARTS):
        (node.directory / name).mkdir(parents=True, exist_ok=True)
    node.metadata_file.parent.mkdir(mode=0o700, exist_ok=True)


def prepare(node: BedNode, image_root: Path) -> None:
    """Make what the keeper of a node needs to boot it; what is on its disks stays."""
    furnish(node)
    image = node.directory / "image"
    image.unlink(missing_ok=True)
    image.symlink_to(image_root.resolve())
    (node.directory / "cables").write_text("\n".join(network.cable_lines(node, "node")) + "\n")
    (node.directory / COLDPLUG_FILE).write_text(COLDPLUG)
    (node.directory / "addresses").write_text("\n".join(network.node_lines(node)) + "\n")


def image_of(node: BedNode) -> Path | None:
    """Return the root of the image beneath what is on the node's system disk, or None of one that never booted."""
    link = node.directory / "image"
    return link.readlink() if link.is_symlink() else None


def images_in_use() -> set[Path]:
    """Return the roots of the images that nodes run on now, of whatever bed on this machine."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # A node's keeper stays in the node's directory for as long as the node is on.
        with contextlib.suppress(OSError):
            found.add((process / "cwd" / "image").readlink())
    return found


def reimage(node: BedNode, image_root: Path) -> None:
    """Put another image on the system disk of a node that is off; its state stays."""
    furnish(node)
    disk.empty(node, ["upper", "work"])
    prepare(node, image_root)


def wipe(node: BedNode) -> None:
    """Empty the state disk of a node that is off."""
    disk.empty(node, ["state"])


def start(node: BedNode, cgroup: Path, netns: str, boot: Sequence[str]) -> None:
    """Start the node's keeper, which boots it; does not wait for the boot.

    :param boot: what ``boot_argv`` returns.
    """
    cgroups.kill(cgroup)
    disk.wait_released(node)
    cgroup.mkdir(parents=True)
    launcher = 'echo $$ >"$NODE_CGROUP/cgroup.procs" && exec "$@" </dev/null'
    keeper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", KEEPER, f"{boot[0]}-keeper", *boot]
    run(
        ["sh", "-c", launcher, "sh", "setsid", "--fork", "nsenter", f"--net={network.NAMESPACES / netns}", *keeper],
        env={
            "NODE_DIR": str(node.directory),
            "NODE_CGROUP": str(cgroup),
            "LINKS": " ".join(node.links),
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",
            "TERM": "dumb",
        },
        timeout=10,
        log=node.console,
    )


def wait_booting(node: BedNode, cgroup: Path) -> int:
    """Wait until the node's PID 1 is at work and return its pid on this machine.

    :raises Failure: the container ended before it came so far; the message holds the end of its console.
    """

    def probe() -> int | None:
        if not cgroups.populated(cgroup):
            raise Failure(f"{node.name} did not boot:\n{tail(node)}", f"see {node.console}")
        return leader(cgroup)

    return wait_for(f"{node.name} to boot", probe, timeout=BOOT_TIMEOUT, interval=0.05)


def tail(node: BedNode) -> str:
    """Return the end of what a node wrote on its console, for a message."""
    return "\n".join("    " + line for line in node.console.read_text(errors="replace").splitlines()[-8:])


def leader(cgroup: Path) -> int | None:
    """Return the pid on this machine of the node's PID 1, or None when there is none at work."""
    # It is first in nspawn's payload itself, then moves to a scope of its own: two places, not a walk over all.
    boots = sorted(cgroup.glob("boot*"))
    for pid in cgroups.pids(*(boot / place for boot in boots for place in ("payload/init.scope", "payload"))):
        with contextlib.suppress(OSError, StopIteration, ValueError):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            inside = next(line for line in status if line.startswith("NSpid:")).split()[1:]
            # nspawn's own child is number 1 inside for a moment before it becomes the node's init.
            if inside[1:2] == ["1"] and Path(f"/proc/{pid}/comm").read_text().strip() in ("systemd", "init"):
                return pid
    return None


def enter_argv(pid: int, argv: Sequence[str], terminal: str = "") -> list[str]:
    """Return the command that runs ``argv`` inside the node whose PID 1 is ``pid`` here.

    :param terminal: the value of TERM, for what a person runs.
    """
    environment = [*INSIDE_ENVIRONMENT, *([f"TERM={terminal}"] if terminal else [])]
    return ["nsenter", f"--target={pid}", "--all", "--", "/usr/bin/env", "-i", *environment, *argv]


def shut_down(node: BedNode, cgroup: Path, timeout: float) -> None:
    """Ask the node's PID 1 to power off, and wait for the end.

    :raises TimedOut: it is still at it; cutting its power is the caller's decision.
    """
    pid = leader(cgroup)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGRTMIN_POWEROFF)
    wait_for(f"{node.name} to shut down", lambda: not cgroups.populated(cgroup), timeout=timeout, interval=0.1)
    cgroups.kill(cgroup)


def tun() -> list[str]:
    """Return the option with which a switch within can make interfaces, where this machine can."""
    return ["--bind=/dev/net/tun"] if Path("/dev/net/tun").exists() else []


def bind_path(path: Path) -> str:
    """Return a path as nspawn takes it on either side of a bind."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:")
