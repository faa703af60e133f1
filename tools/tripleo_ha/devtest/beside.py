"""Nodes beside the controllers: what a cloud has outside of them, small enough for a bed.

Such a node boots no systemd. A script starts what it is for and ends when a part of that does, and the node with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tripleo_ha.devtest import cgroups, container, disk
from tripleo_ha.devtest.layout import CONTROL, FIRST_HOST, PUBLIC, BedNode, machine_id
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file


def node(state: Path, name: str, host: int) -> BedNode:
    """Return the node of that name, with the addresses of that host."""
    directory = state.resolve() / "nodes" / name
    return BedNode(name, host - FIRST_HOST, CONTROL.address(host), PUBLIC.address(host), directory)


def boot_argv(
    target: BedNode, state: Path, netns: str, options: Sequence[str], environment: Mapping[str, str], script: str
) -> list[str]:
    """Return the command that starts the node as a container, in the keeper's namespaces.

    :param state: the bed's directory, and with ``netns`` what makes its machine-id and name unlike another bed's.
    :param options: further ones of ``systemd-nspawn``.
    :param script: of ``bash``, as a path within.
    """
    return [
        "systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--as-pid2",
        f"--directory={target.directory / 'root'}", f"--machine={netns}-{target.name}",
        f"--hostname={target.name}", f"--uuid={machine_id(state, target)}",
        "--network-namespace-path=/run/netns/node", "--console=pipe", "--link-journal=no", "--resolv-conf=off",
        "--timezone=off", *options,
        *(f"--setenv={name}={value}" for name, value in environment.items()),
        "/bin/bash", script,
    ]  # fmt: skip


def bind(target: BedNode, place: str, at: str, *, writable: bool = False) -> str:
    """Return the option that shows one of the node's own directories within."""
    return f"--bind{'' if writable else '-ro'}={container.bind_path(target.directory / place)}:{at}"


def ensure(
    target: BedNode, cgroup: Path, netns: str, root: Path, files: Mapping[str, str], boot: Sequence[str]
) -> bool:
    """Have a node run with these files; return whether it had to be started, again where a file is new.

    :param cgroup: the bed's; ``down`` kills what is in it.
    :param root: what it boots from.
    :param files: by their paths in the node's directory; nobody else may read them.
    :param boot: what :func:`boot_argv` returned.
    """
    container.prepare(target, root)
    new = [write_file(target.directory / name, text, mode=0o600) for name, text in files.items()]
    if runs(target, cgroup) and not any(new):
        return False
    container.start(target, cgroup / target.name, netns, boot)
    return True


def runs(target: BedNode, cgroup: Path) -> bool:
    """Whether the node is on."""
    return cgroups.populated(cgroup / target.name)


def check(target: BedNode, cgroup: Path) -> None:
    """See that the node is on.

    :raises Failure: it ended; the message holds the end of its console.
    """
    if not runs(target, cgroup):
        raise Failure(f"{target.name} ended:\n{container.tail(target)}", f"see {target.console}")


def stop(target: BedNode, cgroup: Path) -> None:
    """Switch the node off, if there is any; what is on its disks stays."""
    cgroups.kill(cgroup / target.name)


def renew(target: BedNode, cgroup: Path) -> None:
    """Switch the node off and drop what is on its system disk, for another image; its state stays."""
    stop(target, cgroup)
    if target.directory.exists():
        disk.empty(target, ["upper", "work"])
