"""A second run of everything, on every node at once, changes nothing."""

from beds import Summary, await_no_run, everywhere, facts_of

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.node.facts import NodeFacts
from tripleo_ha.verify.runner import Target

RUN_S = 7.0
"""Three nodes at once on two cores take 3.5 to 4 s, and were seen to take 5 beside what a boot had left to do."""


def services(facts: NodeFacts, target: Target) -> set[tuple[str, str, int, int]]:
    """Return the long-lived processes of the table's own units: a restart, or a reload of HAProxy, changes them."""
    units = {unit.name for row in target.rows for unit in row.units}
    # By unit: Pacemaker's own short-lived probes bear other services' names.
    names = {
        unit.name: {name[:15] for listener in row.listeners for name in listener.processes}
        for row in target.rows
        for unit in row.units
    }
    first = {unit: min(each.pid for each in facts.processes if each.unit == unit) for unit in units & units_of(facts)}
    return {
        (each.unit, each.name, each.pid, each.started)
        for each in facts.processes
        if each.unit in units and (each.name in names[each.unit] or each.pid == first[each.unit])
    }


def units_of(facts: NodeFacts) -> set[str]:
    return {each.unit for each in facts.processes}


def reloads(bed: Bed, target: Target) -> dict[str, str]:
    """Return, by node, when each unit was started and last reloaded, as systemd knows it."""
    units = sorted({unit.name for row in target.rows for unit in row.units})
    wanted = "Id,InvocationID,NRestarts,ExecReload,ExecMainStartTimestampMonotonic,StateChangeTimestampMonotonic"
    told = everywhere(bed, ["systemctl", "show", f"--property={wanted}", *units], timeout=30)
    return {node: output for node, (_, _, output) in told.items()}


def test_a_second_run_restarts_and_reloads_nothing(target: Target, bed: Bed, summary: Summary) -> None:
    await_no_run(bed)
    before, since = facts_of(target), reloads(bed, target)
    told = everywhere(bed, ["os-refresh-config"], timeout=120)
    after, now = facts_of(target), reloads(bed, target)
    slowest = max(seconds for _, seconds, _ in told.values())
    summary.tell("second os-refresh-config, all nodes at once", f"{slowest:.1f} s")
    assert {node: status for node, (status, _, _) in told.items()} == dict.fromkeys(told, 0), told
    for node in told:
        assert services(before[node], target), "no service process was seen at all"
        assert services(after[node], target) == services(before[node], target)
    assert now == since
    assert slowest <= RUN_S
