"""The resident health endpoint: ``/NAME`` for HAProxy, ``/status`` for the peers, ``/metrics`` for Prometheus.

Checks run in threads of their own about once a second, so an answer is always at hand; one that hangs makes its
last result stale, and a stale result is unhealthy. That is how a frozen server leaves the balancer as fast as a
dead one.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tripleo_ha import paths
from tripleo_ha.node import draining
from tripleo_ha.node.context import HEALTH_PORT
from tripleo_ha.node.health.healer import Healer, watched_units
from tripleo_ha.node.health.result import CheckResult

LOG = logging.getLogger("tripleo_ha.health")
INTERVAL = 0.5
STALE_AFTER = 3.0

Check = Callable[[Mapping[str, Any]], CheckResult]


class Monitor:
    """Runs one check again and again; ``latest`` is what it found, or that it found nothing for too long."""

    def __init__(self, name: str, check: Check, metadata: Mapping[str, Any], interval: float = INTERVAL) -> None:
        self.name = name
        self._check = check
        self._metadata = metadata
        self._interval = interval
        self._result = CheckResult(False, "not checked yet")
        self._at = time.monotonic()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Check from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Check no more."""
        self._stopped.set()

    def latest(self) -> CheckResult:
        """Return the last result; an unhealthy one when clients are to leave, or it is older than ``STALE_AFTER``."""
        age = time.monotonic() - self._at
        if age > STALE_AFTER:
            # Without facts: peers must not take a frozen server for the member that it was.
            return CheckResult(False, f"no answer for {age:.0f} s", {}, self._result.metrics)
        if self._result.healthy and draining.asked(self.name):
            return CheckResult(False, "draining", self._result.facts, self._result.metrics)
        return self._result

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                result = self._check(self._metadata)
            except Exception as error:  # a check that breaks is a server that cannot be vouched for
                result = CheckResult(False, f"{type(error).__name__}: {error}")
            if result.healthy != self._result.healthy:
                LOG.info("%s is %s: %s", self.name, "healthy" if result.healthy else "unhealthy", result.reason)
            self._result, self._at = result, time.monotonic()
            self._stopped.wait(self._interval)


def status(monitors: Mapping[str, Monitor]) -> dict[str, Any]:
    """Return what the peers read: every check, and what this node's converge run published."""
    checks = {}
    for name, monitor in monitors.items():
        latest = monitor.latest()
        checks[name] = {"healthy": latest.healthy, "reason": latest.reason, "facts": latest.facts}
    published = {}
    for file in (paths.RUNTIME / "published").glob("*.json"):
        published[file.stem] = json.loads(file.read_text())
    return {"checks": checks, "published": published}


def metrics(monitors: Mapping[str, Monitor]) -> str:
    """Return the checks in Prometheus' text format (exposition format 0.0.4)."""
    lines = [
        "# HELP tripleo_ha_healthy Whether the balancer may send clients to this node.",
        "# TYPE tripleo_ha_healthy gauge",
    ]
    latest = {name: monitor.latest() for name, monitor in monitors.items()}
    lines += [f'tripleo_ha_healthy{{service="{name}"}} {int(result.healthy)}' for name, result in latest.items()]
    for name, result in latest.items():
        for metric, value in sorted(result.metrics.items()):
            lines += [f"# TYPE tripleo_ha_{name}_{metric} gauge", f"tripleo_ha_{name}_{metric} {value:g}"]
    return "\n".join(lines) + "\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], monitors: Mapping[str, Monitor]) -> None:
        super().__init__(address, _Handler)
        self.monitors = monitors

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away: on a busy machine HAProxy gives checks up, several a second."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5
    server_version = "tripleo-ha"
    sys_version = ""

    def do_GET(self) -> None:
        name = self.path.strip("/")
        monitors = self.server.monitors
        if name == "status":
            self._answer(200, json.dumps(status(monitors)), "application/json")
        elif name == "metrics":
            self._answer(200, metrics(monitors), "text/plain; version=0.0.4")
        elif name in monitors:
            latest = monitors[name].latest()
            self._answer(200 if latest.healthy else 503, latest.reason + "\n")
        else:
            self._answer(404, f"no such check; there are {', '.join(sorted(monitors)) or 'none'}\n")

    do_HEAD = do_OPTIONS = do_GET

    def _answer(self, code: int, body: str, content_type: str = "text/plain") -> None:
        content = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: HAProxy asks several times a second."""


def serve() -> None:
    """Serve until killed. What to check and where to listen stands in ``health.json``, written by a converge run.

    So do the units to watch, in a file of their own, which is read again and again: a restart would have the balancers
    take every server of this node for down.
    """
    metadata = json.loads((paths.RUNTIME / "health.json").read_text())
    monitors = {name: Monitor(name, check, metadata) for name, check in _checks(metadata).items()}
    for monitor in monitors.values():
        monitor.start()
    Healer({name: monitor.latest for name, monitor in monitors.items()}, watched_units).start()
    _Server((metadata["node"]["ip"], HEALTH_PORT), monitors).serve_forever()


def _checks(metadata: Mapping[str, Any]) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    if "mysql" in metadata:
        # PyMySQL does without it, and would keep it in memory for ways of signing in that a socket does not know.
        sys.modules["cryptography"] = None  # type: ignore[assignment]
        from tripleo_ha.node.health import galera

        checks["galera"] = galera.check
    if "rabbit" in metadata:
        from tripleo_ha.node.health import rabbitmq

        checks["rabbitmq"] = rabbitmq.check
    return checks
