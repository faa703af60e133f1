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
        assert outputs["container"] in [each.name for each in cloud.object_store.containers()]


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


def _resources(cloud: Connection, stack: str) -> dict[str, str]:
    return {each.name: each.status for each in cloud.orchestration.resources(stack)}


def _template() -> dict[str, Any]:
    """Return a stack of resources of several services, each made after the one before it."""
    chain = [f"word-{number}" for number in range(12)]
    resources: dict[str, Any] = {word: {"type": "OS::Heat::RandomString"} for word in chain}
    for before, after in pairwise(chain):
        resources[after]["depends_on"] = before
    last = chain[-1]
    resources["network"] = {"type": "OS::Neutron::Net", "depends_on": chain[1]}
    subnet = {"network": {"get_resource": "network"}, "cidr": "10.81.0.0/24"}
    resources["subnet"] = {"type": "OS::Neutron::Subnet", "properties": subnet}
    resources["container"] = {"type": "OS::Swift::Container", "depends_on": ["subnet", last]}
    outputs = {
        "word": {"value": {"get_attr": [last, "value"]}},
        "network": {"value": {"get_resource": "network"}},
        "container": {"value": {"get_resource": "container"}},
    }
    return {"heat_template_version": "2021-04-16", "resources": resources, "outputs": outputs}
