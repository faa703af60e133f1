"""Every API, for its clients, over the loss of each controller."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from availability import Loop, Loops, describe, elsewhere
from beds import Summary, assert_good, holders
from clouds import BACK_S, RESUME_S, STEADY, Question, endpoint, invent, removed, token_of
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.runner import Target

SETTLE_S = 60.0
GAP_S = 60.0
"""Longest time for which an API may not answer. How much shorter it is depends on the machine; it is told."""


@contextmanager
def listed(cloud: Connection, target: Target) -> Iterator[dict[str, Question]]:
    """Have something in each API's list, and give the question for each by the service's type."""
    name, token = invent(), token_of(cloud)

    def field(key: str, each: str = "name") -> Callable[[Any], list[str]]:
        return lambda body: [item[each] for item in (body[key] if key else body)]

    lists = {
        "identity": ("/projects", field("projects")),
        "image": ("/v2/images", field("images")),
        "placement": ("/resource_classes", field("resource_classes")),
        "compute": ("/flavors", field("flavors")),
        "network": ("/v2.0/networks", field("networks")),
        "block-storage": ("/types", field("volume_types")),
        "orchestration": ("/stacks", field("stacks", "stack_name")),
        "object-store": ("?format=json", field("")),
        "metric": ("/v1/archive_policy", field("")),
        "alarming": ("/v2/alarms", field("")),
    }
    offered = [item.type for row in target.rows for item in row.catalogue if item.type in lists]
    with ExitStack() as undo:
        for service in offered:
            _have_one(cloud, service, name, undo)
        questions = {}
        for service in offered:
            path, names = lists[service]
            version = "placement 1.2" if service == "placement" else ""
            question = questions[service] = Question(target, endpoint(cloud, service) + path, token, names, version)
            elsewhere(target.transport.enter, question.learn)
        yield questions


def _have_one(cloud: Connection, service: str, name: str, undo: ExitStack) -> None:
    """Make one thing, where a service has none by itself."""
    if service == "image":
        image = cloud.image.create_image(name, container_format="bare", disk_format="raw")
        undo.callback(removed, "the image", lambda: cloud.image.delete_image(image.id))
    elif service == "compute":
        flavor = cloud.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
        undo.callback(removed, "the flavor", lambda: cloud.compute.delete_flavor(flavor.id))
    elif service == "network":
        network = cloud.network.create_network(name=name)
        undo.callback(removed, "the network", lambda: cloud.network.delete_network(network.id))
    elif service == "orchestration":
        template = {"heat_template_version": "2021-04-16", "resources": {"word": {"type": "OS::Heat::RandomString"}}}
        stack = cloud.orchestration.create_stack(name=name, template=template)
        undo.callback(removed, "the stack", lambda: cloud.orchestration.delete_stack(stack.id))
    elif service == "object-store":
        cloud.object_store.create_container(name)
        undo.callback(removed, "the container", lambda: cloud.object_store.delete_container(name))
    elif service == "alarming":
        url = f"{endpoint(cloud, service)}/v2/alarms"
        alarm = cloud.session.post(url, json={"name": name, "type": "event", "event_rule": {}}).json()["alarm_id"]
        undo.callback(removed, "the alarm", lambda: cloud.session.delete(f"{url}/{alarm}"))


@pytest.mark.parametrize("index", range(3))
def test_every_api_goes_on_without_a_controller_and_takes_it_back(
    index: int, target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    node = bed.nodes[index].name
    with listed(cloud, target) as questions:
        enter = target.transport.enter
        loops = Loops(tuple(Loop(service, asked, 0.5, enter) for service, asked in questions.items()))
        held = [name for name, holder in holders(target).items() if holder == node]
        with loops.at_work(SETTLE_S):
            at = time.monotonic()
            bed.power_off(node)
            loops.wait_working(at, RESUME_S, STEADY)
            gaps, back = loops.gaps(at), time.monotonic()
            summary.tell(f"{node} ({', '.join(held) or 'no virtual IP'}) power cut, all APIs", describe(gaps))
            bed.power_on(node)
            bed.wait_converged([node], timeout=BACK_S)
            took = time.monotonic() - back
            loops.wait_working(time.monotonic(), RESUME_S, STEADY)
            back_gaps = loops.gaps(back)
        summary.tell("  it came back by itself in", f"{took:.0f} s; meanwhile {describe(back_gaps)}")
        assert {service: asked.wrong[:5] for service, asked in questions.items() if asked.wrong} == {}
        assert {name: gap.seconds for name, gap in {**gaps, **back_gaps}.items() if gap.seconds > GAP_S} == {}
        assert_good(target, BACK_S)
