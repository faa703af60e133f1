"""Stacks of several services' resources."""

import time
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from beds import Summary, holders
from clouds import invent, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

SETTLE_S = 60.0
STACK_S = 300.0
SLOW_S = 20
PAUSE_S = 3


def test_a_stack_completes_while_a_controller_dies(
    target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    needs(bed, "heat", "neutron", "swift")
    victim = holders(target)["public"]
    orchestration, name = cloud.orchestration, invent()
    with ExitStack() as undo:
        began = time.monotonic()
        stack = orchestration.create_stack(name=name, template=_template())
        undo.callback(removed, "the stack", lambda: orchestration.delete_stack(stack.id))
        under_way = until(
            "the stack to have begun",
            lambda: [each.status for each in orchestration.resources(stack.id)],
            lambda states: "CREATE_COMPLETE" in states,
            timeout=SETTLE_S,
            interval=0.1,
        )
        bed.power_off(victim)
        open_ = sum(state != "CREATE_COMPLETE" for state in under_way)
        ended = until(
            "the stack to be complete",
            lambda: (orchestration.get_stack(stack.id).status, _resources(cloud, stack.id)),
            lambda told: not told[0].endswith("IN_PROGRESS"),
            timeout=STACK_S,
        )
        took = time.monotonic() - began
        summary.tell(f"a stack while {victim} dies", f"{ended[0]} in {took:.0f} s; {open_} resources were to be made")
        assert open_, "it was made before the power was cut"
        assert ended[0] == "CREATE_COMPLETE", ended
        assert set(ended[1].values()) == {"CREATE_COMPLETE"}
        outputs = {each["output_key"]: each["output_value"] for each in orchestration.get_stack(stack.id).outputs}
        assert len(outputs["word"]) == 32
        assert cloud.network.get_network(outputs["network"]).status == "ACTIVE"
        # What lists an account's containers may learn of this one later.
        assert cloud.object_store.get_container_metadata(outputs["container"]).name == outputs["container"]


def test_a_stack_goes_on_when_the_engine_that_works_on_it_is_killed(
    bed: Bed, cloud: Connection, summary: Summary
) -> None:
    needs(bed, "heat")
    orchestration = cloud.orchestration
    slow = {"type": "OS::Heat::TestResource", "properties": {"wait_secs": SLOW_S}}
    after = {"type": "OS::Heat::RandomString", "depends_on": "slow"}
    template = {"heat_template_version": "2021-04-16", "resources": {"slow": slow, "after": after}}
    with ExitStack() as undo:
        stack = orchestration.create_stack(name=invent(), template=template)
        undo.callback(removed, "the stack", lambda: orchestration.delete_stack(stack.id))
        killed = _kill_the_engine_of(bed, stack.id)
        began = time.monotonic()
        made = until(
            "the stack to be complete",
            lambda: orchestration.get_stack(stack.id),
            lambda stack: not stack.status.endswith("IN_PROGRESS"),
            timeout=STACK_S,
        )
        summary.tell(f"a stack while the engine of {killed} is killed", f"{made.status} {_since(began)} after that")
        assert made.status == "CREATE_COMPLETE", made.status_reason
        assert set(_resources(cloud, stack.id).values()) == {"CREATE_COMPLETE"}
        orchestration.delete_stack(stack.id)
        killed = _kill_the_engine_of(bed, stack.id)
        began = time.monotonic()
        until(
            "the stack to be deleted",
            lambda: [each.id for each in orchestration.stacks()],
            lambda there: stack.id not in there,
            timeout=STACK_S,
        )
        summary.tell(f"its deletion while the engine of {killed} is killed", f"done {_since(began)} after that")


def test_a_signal_signed_with_ec2_keys_is_taken_and_a_forged_one_is_not(bed: Bed, cloud: Connection) -> None:
    needs(bed, "heat")
    orchestration = cloud.orchestration
    handle = {"type": "AWS::CloudFormation::WaitConditionHandle"}
    outputs = {"url": {"value": {"get_resource": "handle"}}}
    template = {"heat_template_version": "2021-04-16", "resources": {"handle": handle}, "outputs": outputs}
    with ExitStack() as undo:
        stack = orchestration.create_stack(name=invent(), template=template)
        undo.callback(removed, "the stack", lambda: orchestration.delete_stack(stack.id))
        made = until(
            "the stack to be complete",
            lambda: orchestration.get_stack(stack.id),
            lambda stack: not stack.status.endswith("IN_PROGRESS"),
            timeout=SETTLE_S,
        )
        assert made.status == "CREATE_COMPLETE", made.status_reason
        (output,) = made.outputs
        url, signed, signature = output["output_value"].partition("Signature=")
        assert signature
        signal = {"Status": "SUCCESS", "UniqueId": "1", "Reason": "done", "Data": "painted"}
        answers = [
            cloud.session.put(url + signed + each, json=signal, authenticated=False, raise_exc=False).status_code
            for each in (signature, f"A{signature}")
        ]
        assert answers == [200, 403]


def _kill_the_engine_of(bed: Bed, stack: str) -> str:
    """Kill the engine that works on a resource of the stack; return its node's name."""
    holder = (
        "SELECT hostname FROM heat.service JOIN heat.resource USING (engine_id)"
        f" WHERE stack_id = '{stack}' AND resource.status = 'IN_PROGRESS' LIMIT 1"
    )
    asked = next(node.name for node in bed.nodes if bed.powered(node.name))
    node = until(
        "an engine to work on the stack",
        lambda: bed.exec(asked, ["mariadb", "-Ne", holder], timeout=30).stdout.strip(),
        lambda name: bool(name),
        timeout=SETTLE_S,
    )
    bed.exec(node, ["systemctl", "kill", "--signal=KILL", "heat-engine.service"], timeout=30)
    return node


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


def _resources(cloud: Connection, stack: str) -> dict[str, str]:
    return {each.name: each.status for each in cloud.orchestration.resources(stack)}


def _template() -> dict[str, Any]:
    """Return a stack of resources of several services, each made after the one before it."""
    chain = [f"word-{number}" for number in range(12)]
    resources: dict[str, Any] = {word: {"type": "OS::Heat::RandomString"} for word in chain}
    for before, after in pairwise(chain):
        resources[after]["depends_on"] = before
    last = chain[-1]
    # However fast the machine is, something is left to be made when the power is cut.
    pause = {"wait_secs": PAUSE_S}
    resources["pause"] = {"type": "OS::Heat::TestResource", "properties": pause, "depends_on": chain[1]}
    resources["network"] = {"type": "OS::Neutron::Net", "depends_on": "pause"}
    subnet = {"network": {"get_resource": "network"}, "cidr": "10.81.0.0/24"}
    resources["subnet"] = {"type": "OS::Neutron::Subnet", "properties": subnet}
    resources["container"] = {"type": "OS::Swift::Container", "depends_on": ["subnet", last]}
    outputs = {
        "word": {"value": {"get_attr": [last, "value"]}},
        "network": {"value": {"get_resource": "network"}},
        "container": {"value": {"get_resource": "container"}},
    }
    return {"heat_template_version": "2021-04-16", "resources": resources, "outputs": outputs}
