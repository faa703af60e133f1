"""What a converge handler is given, and how controllers tell each other where they are."""

import http.client
import json
import logging
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tripleo_ha import paths
from tripleo_ha.cluster import Cluster, Node, from_metadata
from tripleo_ha.errors import Failure
from tripleo_ha.files import write_file as write_file
from tripleo_ha.table import Row, active

ACCEPTED = paths.RUNTIME / "metadata.json"
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

    kept: dict[str, Any] = field(default_factory=dict)
    """What one service's handler found out and the others need not: by a name of the module that keeps it."""

    @classmethod
    def of_accepted(cls, rows: Sequence[Row]) -> "Context":
        """Return the context of a converge run on this node, with those of ``rows`` that are active.

        :raises Failure: no metadata was accepted.
        """
        if not ACCEPTED.exists():
            raise Failure("no metadata has been accepted yet", "run os-refresh-config, which checks it first")
        metadata = json.loads(ACCEPTED.read_text())
        return cls(metadata, from_metadata(metadata), active(rows, metadata))

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

    def published(self) -> dict[str, Any]:
        """Return what this node lets its peers read, by service."""
        files = (paths.RUNTIME / "published").glob("*.json")
        return {file.stem: json.loads(file.read_text()) for file in files}

    def peer(self, node: Node, timeout: float = 2.0) -> dict[str, Any] | None:
        """Return what ``node`` tells about itself, or None when it does not answer within ``timeout`` seconds.

        The shape is ``{"checks": {NAME: {"healthy": bool, "reason": str, "facts": {…}}},
        "published": {SERVICE: {…}}}``.
        """
        url = f"http://{node.ip}:{HEALTH_PORT}/status"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                told = json.load(answer)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        return told if isinstance(told, dict) else None
