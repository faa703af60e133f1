"""What one health check finds."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CheckResult:
    """Whether this node may be sent clients, and why; ``facts`` for the peers, ``metrics`` for Prometheus."""

    healthy: bool
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
