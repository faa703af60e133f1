"""How the verifier reaches the nodes of a cluster, and from where on the network it plays the client."""

import contextlib
import ctypes
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.run import run

NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ControlMaster=no")


class Transport(Protocol):
    """A way into each node of one cluster."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in the cluster's order."""

    def metadata(self) -> Mapping[str, Any]:
        """Return the metadata of the first node, secrets included."""

    def execute(self, node: str, argv: Sequence[str], *, input: str | None = None, timeout: float = 30) -> str:
        """Run a command on a node as root and return its standard output.

        :raises Failure: it failed, ran out of time, or the node does not answer.
        """

    def enter(self) -> None:
        """Put the calling thread where the cluster's clients are on the network."""


@dataclass(frozen=True)
class BedTransport:
    """A test bed on this machine."""

    bed: Bed

    @property
    def nodes(self) -> tuple[str, ...]:
        """The bed's nodes."""
        return tuple(node.name for node in self.bed.nodes)

    def metadata(self) -> Mapping[str, Any]:
        """Return what was handed to the first node."""
        return self.bed.metadata(self.nodes[0])

    def execute(self, node: str, argv: Sequence[str], *, input: str | None = None, timeout: float = 30) -> str:
        """Run a command in a container."""
        return self.bed.exec(node, argv, input=input, timeout=timeout).stdout

    def enter(self) -> None:
        """Move the calling thread into the bed's client namespace."""
        enter_netns(NETNS / self.bed.netns)


@dataclass(frozen=True)
class SshTransport:
    """Real machines, reached with the operator's own ssh configuration; this machine is the client."""

    addresses: Mapping[str, str]
    document: Mapping[str, Any]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the metadata."""
        return tuple(node["name"] for node in self.document["cluster"]["nodes"])

    def metadata(self) -> Mapping[str, Any]:
        """Return the document that the inventory names."""
        return self.document

    def execute(self, node: str, argv: Sequence[str], *, input: str | None = None, timeout: float = 30) -> str:
        """Run a command over ssh."""
        return run([*SSH, self.addresses[node], shlex.join(argv)], input=input, timeout=timeout).stdout

    def enter(self) -> None:
        """Stay: the operator starts the verifier where clients are."""


def from_inventory(path: Path) -> SshTransport:
    """Read an inventory: ``metadata``, a file with one node's metadata, and ``nodes``, a map of name to ssh target.

    A node that ``nodes`` lacks is reached as ``root@`` its address in the metadata.

    :raises UsageError: a file cannot be read or is no such document.
    """
    try:
        inventory = yaml.safe_load(path.read_text())
        document = yaml.safe_load((path.parent / inventory["metadata"]).read_text())
        known = {node["name"]: f"root@{node['ip']}" for node in document["cluster"]["nodes"]}
        return SshTransport({**known, **inventory.get("nodes", {})}, document)
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path}: not an inventory", "it needs `metadata: FILE`, and may have `nodes: {NAME: USER@HOST}`"
        ) from error


def enter_netns(path: Path) -> None:
    """Move the calling thread, and no other, into a network namespace.

    :raises Failure: there is no such namespace, or this process has no right to it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Failure(f"cannot open the network namespace {path}: {error.strerror}") from error
        stack.callback(os.close, handle)
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise Failure(f"cannot enter the network namespace {path}: {os.strerror(ctypes.get_errno())}")
