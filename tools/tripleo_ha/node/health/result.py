"""What one health check finds."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CheckResult:
    """Whether this node may be sent clients, and why; ``facts`` for the peers, ``metrics`` for Prometheus.

    ``mendable``: it is unhealthy for a reason that a converge run does something about.
    """

    healthy: bool
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    mendable: bool = False
