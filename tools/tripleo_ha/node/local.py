"""RabbitMQ of this very node, reached with the rights that only its root has."""

import base64
import json
import urllib.request
from collections.abc import Mapping
from typing import Any

MANAGEMENT_URL = "http://127.0.0.1:15672"


class Management:
    """RabbitMQ's management API on this node's loopback, as one of its users.

    Every call raises OSError when the API does not answer or refuses.
    """

    def __init__(self, user: str, password: str, timeout: float = 5) -> None:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._timeout = timeout

    @classmethod
    def administrator(cls, metadata: Mapping[str, Any]) -> "Management":
        """Return the API as the administrator of the accepted metadata."""
        return cls("admin", metadata["rabbit"]["admin_password"])

    def get(self, path: str) -> Any:
        """Return the decoded answer of ``path``."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request and return its decoded answer, None when it is empty."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(  # noqa: S310 — the address is a constant of loopback
            MANAGEMENT_URL + path, data, self._headers, method=method
        )
        with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None
