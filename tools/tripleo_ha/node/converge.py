"""One converge run: every active service in the order of the table, side by side where none waits for the other."""

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from tripleo_ha import paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.node import draining, handlers, rolling, settling, units
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.run import run
from tripleo_ha.table import Row

CONVERGED = paths.RUNTIME / "converged.json"
TIMELINE = paths.RUNTIME / "timeline.json"

Handler = Callable[[Context, Row], None]


@dataclass
class Outcome:
    """How a run ended: what failed, what was left out because of that, and when each step began and ended."""

    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    timeline: list[dict[str, object]] = field(default_factory=list)


def converge() -> None:
    """Bring this node to what the accepted metadata says.

    :raises Failure: naming every service that did not converge, after all others have.
    """
    rows = table.load()
    context = Context.of_accepted(rows)
    draining.forget()
    rolling.announce(context)
    stop_absent(context, [row for row in rows if row not in context.rows])
    outcome = go_through(context, context.rows, handlers.find)
    report(context, outcome)
    settling.settle(context)
    settling.finish(context)


def stop_absent(context: Context, rows: Iterable[Row]) -> None:
    """Stop what runs of services whose key is not in the metadata; one that did not end well is not held against it."""
    names = [unit.name for row in rows for unit in row.units]
    if not names:
        return
    told = run(["systemctl", "is-active", *names], timeout=30, check=False).stdout.split()
    for name, state in zip(names, told, strict=True):
        if state in ("inactive", "unknown"):
            continue
        if state != "failed":
            units.stop(name)
            context.changed(f"{name} stopped: its key is not in the metadata")
        run(["systemctl", "reset-failed", name], timeout=30, check=False)


def go_through(context: Context, rows: Iterable[Row], find: Callable[[Row], Handler]) -> Outcome:
    """Run each row's handler once those it comes after have succeeded; leave out what depends on a failed one."""
    by_name = {row.service: row for row in rows}
    sorter = TopologicalSorter({row.service: [name for name in row.after if name in by_name] for row in rows})
    sorter.prepare()
    outcome = Outcome()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(by_name))) as pool:
        while sorter.is_active():
            for name in sorted(sorter.get_ready()):
                row = by_name[name]
                if blocked := [other for other in row.after if other in {**outcome.failures, **outcome.skipped}]:
                    outcome.skipped[name] = f"waits for {', '.join(blocked)}"
                    sorter.done(name)
                else:
                    running[pool.submit(_timed, outcome, context, row, find(row))] = name
            if not running:
                continue
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                name = running.pop(future)
                if error := future.exception():
                    if not isinstance(error, Failure):
                        LOG.error("%s: %s", name, error, exc_info=error)
                    outcome.failures[name] = str(error) or type(error).__name__
                    LOG.error("%s did not converge: %s", name, outcome.failures[name])
                sorter.done(name)
    return outcome


def _timed(outcome: Outcome, context: Context, row: Row, handler: Handler) -> None:
    began = time.time()
    try:
        handler(context, row)
    finally:
        outcome.timeline.append({"step": row.service, "start": began, "end": time.time()})


def report(context: Context, outcome: Outcome) -> None:
    """Leave the outcome for ``status`` and the test bed.

    :raises Failure: something did not converge.
    """
    generation = rolling.of_controller(context.metadata)
    told = {
        "generation": generation,
        "ok": not outcome.failures,
        "at": time.time(),
        "changes": context.changes,
        "failures": outcome.failures,
        "skipped": outcome.skipped,
    }
    write_file(CONVERGED, json.dumps(told, indent=2), mode=0o644)
    context.publish(rolling.CONTROLLER, generation=generation, ok=not outcome.failures)
    if context.changes or not TIMELINE.exists():
        write_file(TIMELINE, json.dumps(outcome.timeline, indent=2), mode=0o644)
    if outcome.failures:
        lines = [f"  {name}: {reason}" for name, reason in outcome.failures.items()]
        lines += [f"  {name}: left out, {reason}" for name, reason in outcome.skipped.items()]
        raise Failure("not converged:\n" + "\n".join(lines))
    LOG.info("converged, %s", f"{len(context.changes)} changes" if context.changes else "nothing to change")
