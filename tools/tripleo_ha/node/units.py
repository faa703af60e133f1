"""systemd units: asked with one fork for all, started, and restarted when what they were started with changed."""

from collections.abc import Callable, Mapping
from typing import NoReturn

from tripleo_ha.errors import Failure
from tripleo_ha.node import applied, draining
from tripleo_ha.node.applied import digest as digest
from tripleo_ha.node.context import Context
from tripleo_ha.run import run
from tripleo_ha.table import Row, Unit

START_TIMEOUT = 600.0
"""Seconds; the units have shorter limits of their own where they need any: a busy machine boots a broker in minutes."""


def properties(unit: str, *names: str) -> dict[str, str]:
    """Return properties of a unit as systemd tells them, ``{"ActiveState": "active", …}``."""
    told = run(["systemctl", "show", "--property", ",".join(names), unit], timeout=30).stdout
    return dict(line.partition("=")[::2] for line in told.splitlines())


def processor_seconds(told: Mapping[str, str]) -> int:
    """Return the whole seconds of ``CPUUsageNSec`` among a unit's properties, 0 where systemd does not count them."""
    used = told.get("CPUUsageNSec", "")
    # What is not known is told as the largest number that fits.
    return int(used) // 10**9 if used.isdecimal() and int(used) < 2**63 else 0


def is_active(unit: str) -> bool:
    """Tell whether the unit runs."""
    return properties(unit, "ActiveState")["ActiveState"] in ("active", "reloading")


def is_starting(unit: str) -> bool:
    """Tell whether the unit has been started and does not serve yet."""
    return properties(unit, "ActiveState")["ActiveState"] == "activating"


def start(unit: str, timeout: float = START_TIMEOUT) -> None:
    """Start a unit and wait until systemd counts it as started.

    :raises CommandFailed: it did not start; the unit's last words are in the message's output.
    """
    run(["systemctl", "reset-failed", unit], timeout=30, check=False)
    run(["systemctl", "start", unit], timeout=timeout)


def restart(unit: str) -> None:
    """Stop a unit and start it again."""
    run(["systemctl", "restart", unit], timeout=START_TIMEOUT)


def reload(unit: str) -> None:
    """Let a unit read its configuration again without ending."""
    run(["systemctl", "reload", unit], timeout=60)


def stop(unit: str, timeout: float = START_TIMEOUT) -> None:
    """Stop a unit; nothing happens when it does not run."""
    run(["systemctl", "stop", unit], timeout=timeout)


def kill(unit: str) -> None:
    """End a unit at once, and keep systemd from starting it again."""
    run(["systemctl", "kill", "--signal=SIGKILL", unit], timeout=30, check=False)
    run(["systemctl", "stop", unit], timeout=120)


class Waiting(Failure):
    """Something waits for this node's turn; the next run looks again."""


def ensure(
    context: Context,
    row: Row,
    unit: Unit,
    *,
    before_restart: Callable[[], None] | None = None,
    is_my_turn: Callable[[], bool] = lambda: True,
) -> str:
    """Have a unit run with the present content of its files.

    What a running process was started with is recorded beside its invocation. systemd restarting a process by itself
    does not change what counts as applied. Before a restart, the service's clients are asked to leave. Until then the
    files hold what the process was started with: what restarts it meanwhile must not be what applies a change.

    :param before_restart: waits for this node's turn; not called for a start, which takes nothing away from anybody.
    :param is_my_turn: whether a start may be with the new content.
    :return: ``unchanged``, ``started``, ``restarted`` or ``reloaded``.
    """
    wanted = digest(unit.files)
    known = applied.digest_of(unit)
    outcome = "unchanged"
    if not is_active(unit.name):
        if known not in (None, wanted) and not is_my_turn():
            start_as_before(unit, start_it=lambda: start(unit.name))
        start(unit.name)
        outcome = "started"
    elif known != wanted or _is_still_to_be_replaced(unit):
        if before_restart:
            with applied.held(unit):
                before_restart()
        # Noted before, not after: when it does not come up, it is this content that did not.
        applied.note(unit, wanted, replaces=_invocation(unit))
        outcome = _renew(context, row, unit)
    if outcome != "unchanged":
        context.changed(f"{row.service}: {unit.name} {outcome}")
        applied.note(unit, wanted)
    return outcome


def start_as_before(unit: Unit, start_it: Callable[[], None]) -> NoReturn:
    """Start a unit with what it was started with last, and say that the new configuration is still to come.

    :raises Waiting: always.
    """
    with applied.held(unit):
        start_it()
        raise Waiting(f"{unit.name} started with the configuration it had: this node's turn has not come")


def _is_still_to_be_replaced(unit: Unit) -> bool:
    """Whether a run that was killed halfway left the old process running."""
    replaced = applied.to_replace(unit)
    return bool(replaced) and replaced == _invocation(unit)


def _invocation(unit: Unit) -> str:
    return properties(unit.name, "InvocationID")["InvocationID"]


def _renew(context: Context, row: Row, unit: Unit) -> str:
    if unit.reload:
        reload(unit.name)
        return "reloaded"
    with draining.drained(context, row.drained_with(unit)):
        restart(unit.name)
    return "restarted"
