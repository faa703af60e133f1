"""How the verifier reaches the nodes of a cluster, and from where on the network it plays the client."""

import contextlib
import ctypes
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.convergence import DERIVED
from tripleo_ha.devtest.handing import refusal
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.metadata.loading import read_document
from tripleo_ha.run import run

NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000
INVENTORY = "it needs `metadata: FILE`, and may have `nodes: {NAME: USER@HOST}`"
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
        """Return what was handed to the first node.

        :raises UsageError: the node refuses it, so it does not tell what the cluster is to be.
        """
        name = self.nodes[0]
        document = self.bed.metadata(name)
        if reason := refusal(document):
            hint = f"`devtest metadata {name}` mends it"
            raise UsageError(f"{name} was handed metadata that it refuses: {reason}", hint)
        return document

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

    :raises UsageError: a file cannot be read or is no such document, or a name is that of no node.
    """
    inventory = read_document(path)
    if wrong := _wrong(inventory):
        raise UsageError(f"{path}: {wrong}", INVENTORY)
    file = path.parent / inventory["metadata"]
    # A node keeps what it has accepted with what it derived from it.
    document = {key: value for key, value in read_document(file).items() if key != DERIVED}
    if reason := refusal(document):
        raise UsageError(f"{file}: {reason}", f"`tripleo-ha validate {file}` tells where, and what else")
    known = {node["name"]: f"root@{node['ip']}" for node in document["cluster"]["nodes"]}
    given = inventory.get("nodes", {})
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"{path}: nodes: no node {', '.join(unknown)} in {file}", f"there are: {', '.join(known)}")
    return SshTransport({**known, **given}, document)


def _wrong(inventory: Mapping[str, Any]) -> str:
    """Return what is wrong with the form of an inventory, or an empty string."""
    if unknown := [key for key in inventory if key not in ("metadata", "nodes")]:
        return f"an inventory has no key {', '.join(unknown)}"
    if not isinstance(inventory.get("metadata"), str):
        return "metadata: expected the name of a file"
    nodes = inventory.get("nodes", {})
    if not isinstance(nodes, dict):
        return "nodes: expected a map"
    # What begins with a dash would be an option of ssh.
    wrong = [name for name, target in nodes.items() if not isinstance(target, str) or target[:1] in ("", "-")]
    return f"nodes.{wrong[0]}: expected USER@HOST" if wrong else ""


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
