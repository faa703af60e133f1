"""What a converge handler is given, and how controllers tell each other where they are."""

import json
import logging
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tripleo_ha import paths
from tripleo_ha.cluster import Cluster, Node
from tripleo_ha.table import Row

HEALTH_PORT = 9590
LOG = logging.getLogger("tripleo_ha")


@dataclass
class Context:
    """One converge run: the accepted metadata (``derived`` included), the cluster and the active rows."""

    metadata: Mapping[str, Any]
    cluster: Cluster
    rows: tuple[Row, ...]
    changes: list[str] = field(default_factory=list)
    """What this run changed, one line each; empty after a run that found everything in place."""

    def changed(self, what: str) -> None:
        """Record and log one change."""
        LOG.info("changed: %s", what)
        self.changes.append(what)

    def publish(self, service: str, **facts: Any) -> None:
        """Let the peers read ``facts`` about one service through this node's health endpoint.

        Facts of earlier calls in this boot are kept unless named again. Never a secret.
        """
        file = paths.RUNTIME / "published" / f"{service}.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        if {**known, **facts} != known:
            write_file(file, json.dumps({**known, **facts, "updated": time.time()}), mode=0o644)

    def peer(self, node: Node, timeout: float = 2.0) -> dict[str, Any] | None:
        """Return what ``node`` tells about itself, or None when it does not answer within ``timeout`` seconds.

        The shape is ``{"checks": {NAME: {"healthy": bool, "reason": str, "facts": {…}}}, "published": {SERVICE: {…}}}``.
        """
        url = f"http://{node.ip}:{HEALTH_PORT}/status"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                told = json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return None
        return told if isinstance(told, dict) else None


def write_file(path: Path, content: str, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> bool:
    """Replace a file atomically, unless it already has this content; return whether it was written.

    :param owner: uid and gid; by default root's.
    """
    if path.exists() and path.read_text() == content and (path.stat().st_mode & 0o777) == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as stream:
            os.fchmod(stream.fileno(), mode)
            if owner:
                os.fchown(stream.fileno(), *owner)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True
