"""What runs on one controller at a time: configured on all of them, started by Pacemaker on one."""

import json
import time

from tripleo_ha import paths
from tripleo_ha.node import identity, pacemaker, rolling, service, units
from tripleo_ha.node.context import Context, write_file
from tripleo_ha.table import Row, Unit
from tripleo_ha.topology import pacemaker as topology


def converge(context: Context, row: Row) -> None:
    """Have a singleton configured here and in Pacemaker, and where it runs, run with its present configuration.

    The first node puts it into Pacemaker once its own configuration and user are in place; the others' files are, as
    templates are rendered before anything converges.

    :raises TimedOut: Pacemaker does not know it, or does not start it.
    """
    service.write_keys(context, row)
    service.do_once(context, row, "stopped")
    identity.ensure(context, row)
    for unit in row.units:
        follow(context, row, unit)
    pacemaker.configure(context, row, (row,))
    if context.cluster.i_am_first:
        pacemaker.wait_until_started(context, [topology.resource_of(row, unit.name) for unit in row.units])


def follow(context: Context, row: Row, unit: Unit) -> None:
    """Restart the unit if it runs here since before its configuration became what it is.

    Pacemaker starts it, so what a process was started with is known by when: nothing but this run, in this boot,
    changes the files, and the first run of a boot comes before Pacemaker.
    """
    record = paths.RUNTIME / "applied" / f"{unit.name}.json"
    wanted = units.digest(unit.files)
    known = json.loads(record.read_text()) if record.exists() else {}
    since = float(known.get("since", 0)) if known.get("digest", wanted) == wanted else time.monotonic()
    write_file(record, json.dumps({"digest": wanted, "since": since}))
    told = units.properties(unit.name, "ActiveState", "ActiveEnterTimestampMonotonic")
    entered = int(told["ActiveEnterTimestampMonotonic"]) / 1e6
    if told["ActiveState"] == "active" and entered < since:
        rolling.wait_turn(context, row)
        units.restart(unit.name)
        context.changed(f"{row.service}: {unit.name} restarted")
