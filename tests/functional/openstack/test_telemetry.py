"""What is measured, and kept, and what the loss of the controller that measures does to it."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from beds import Summary, singletons
from clouds import BACK_S, RESUME_S, endpoint, invent, is_, needs, removed, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.metadata import schema
from tripleo_ha.verify.runner import Target
from tripleo_ha.waiting import wait_for

AGENT = "ceilometer-agent-central"
METRIC = "image.size"
TO_THE_SECOND = "high"
"""An archive policy that Gnocchi makes itself. Ceilometer's own keeps means of five minutes."""
TOLD_S = 120.0
"""Longest time until what was done is known by its notification; Aodh's listener looks for new alarms once a minute."""
ALONE = 0.6
"""Of the polling interval: of what two agents send, one of two gaps in a row is half of it at the most."""


def test_measures_of_the_central_agent_are_kept(bed: Bed, cloud: Connection, summary: Summary) -> None:
    needs(bed, "ceilometer", "gnocchi")
    base = endpoint(cloud, "metric")
    began = time.monotonic()

    def measured() -> dict[str, list[Any]]:
        ids = {str(each["name"]): each["id"] for each in cloud.session.get(f"{base}/v1/metric?limit=10").json()}
        found = {name: cloud.session.get(f"{base}/v1/metric/{metric}/measures").json() for name, metric in ids.items()}
        return {name: measures for name, measures in found.items() if measures}

    found = until("a metric with measures", measured, timeout=2 * _interval(bed) + BACK_S, interval=5)
    summary.tell("metrics with measures", f"{', '.join(sorted(found))} after {time.monotonic() - began:.0f} s")


def test_measures_go_on_after_the_loss_of_the_central_agents_controller_and_come_once(
    target: Target, bed: Bed, cloud: Connection, summary: Summary
) -> None:
    needs(bed, "ceilometer", "glance", "gnocchi")
    interval = _interval(bed)
    with polled(cloud) as polls:
        until("a first measure", polls, timeout=2 * interval + RESUME_S)
        node = singletons(target)[AGENT]
        cut, began = time.time(), time.monotonic()
        bed.power_off(node)
        wait_for(
            "the central agent to run elsewhere",
            lambda: singletons(target).get(AGENT, node) != node,
            timeout=RESUME_S,
        )
        moved = time.monotonic() - began

        def since() -> dict[float, int]:
            # What was on its way at the cut may come again, with the time that it has.
            return {at: count for at, count in sorted(polls().items()) if at > cut}

        until("a measure after the power cut", since, timeout=2 * interval + BACK_S)
        seen = time.monotonic() - began
        summary.tell(
            f"{node} (central agent) power cut, next measure",
            f"{seen:.0f} s, polled every {interval} s; the agent runs elsewhere after {moved:.0f} s",
        )
        assert seen <= 2 * interval + moved
        found = until("three measures", since, lambda found: len(found) >= 3, timeout=4 * interval, interval=5)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    summary.tell("  seconds between measures", ", ".join(f"{gap:.0f}" for gap in gaps))
    assert set(found.values()) == {1}, "a measure came more than once"
    assert min(gaps) > ALONE * interval, "two agents are at it"


@pytest.mark.quick
def test_what_is_done_to_a_volume_rings_an_alarm_and_its_end_is_known(
    bed: Bed, cloud: Connection, summary: Summary
) -> None:
    needs(bed, "aodh", "ceilometer", "cinder", "gnocchi")
    alarms, resources = f"{endpoint(cloud, 'alarming')}/v2/alarms", f"{endpoint(cloud, 'metric')}/v1/resource/volume"
    storage = cloud.block_storage
    with ExitStack() as undo:
        volume = storage.create_volume(name=invent(), size=1)
        undo.callback(removed, "the volume", lambda: storage.delete_volume(volume))
        this = {"field": "traits.resource_id", "type": "string", "value": volume.id}
        rule = {"event_type": "volume.update.end", "query": [this]}
        described = {"name": invent(), "type": "event", "event_rule": rule}
        alarm = cloud.session.post(alarms, json=described).json()["alarm_id"]
        undo.callback(removed, "the alarm", lambda: cloud.session.delete(f"{alarms}/{alarm}"))

        def resource() -> dict[str, Any]:
            answer = cloud.session.get(f"{resources}/{volume.id}", raise_exc=False)
            return dict(answer.json()) if answer.ok else {}

        def rings() -> str:
            # A listener looks for alarms once a minute: what is done once may come too early for this one.
            storage.update_volume(volume, description=invent())
            return str(cloud.session.get(f"{alarms}/{alarm}").json()["state"])

        until("the volume", lambda: storage.get_volume(volume).status, is_("available"), timeout=BACK_S)
        until("the alarm", rings, is_("alarm"), timeout=TOLD_S, interval=5)
        until("the volume to be measured", lambda: "volume.size" in resource().get("metrics", {}), timeout=TOLD_S)
        undo.callback(removed, "the resource", lambda: cloud.session.delete(f"{resources}/{volume.id}"))
        assert not resource()["ended_at"]
        storage.delete_volume(volume)
        began = time.monotonic()
        until("the resource to end", lambda: resource()["ended_at"], timeout=TOLD_S)
        summary.tell("a volume deleted, and its end known to Gnocchi", f"{time.monotonic() - began:.0f} s")


def _interval(bed: Bed) -> int:
    """Return the seconds between two polls."""
    return int(schema.with_defaults(bed.metadata(bed.nodes[0].name))["ceilometer"]["polling_interval_s"])


@contextmanager
def polled(cloud: Connection) -> Iterator[Callable[[], dict[float, int]]]:
    """Have an image whose size is measured, and give what asks at which times it was, and how often at each."""
    identity, name = str(uuid.uuid4()), invent()
    resources = f"{endpoint(cloud, 'metric')}/v1/resource/image"
    described: dict[str, Any] = {"name": name, "container_format": "bare", "disk_format": "raw"}
    measures = f"{resources}/{identity}/metric/{METRIC}/measures?aggregation=count&granularity=1&refresh=true"

    def polls() -> dict[float, int]:
        told = cloud.session.get(measures).json()
        return {datetime.fromisoformat(at).timestamp(): round(count) for at, _, count in told}

    with ExitStack() as undo:
        # Before its first sample, by which it would be made with Ceilometer's own archive policy.
        metrics = {METRIC: {"archive_policy_name": TO_THE_SECOND}}
        cloud.session.post(resources, json={"id": identity, **described, "metrics": metrics})
        undo.callback(removed, "the resource", lambda: cloud.session.delete(f"{resources}/{identity}"))
        cloud.image.create_image(**described, id=identity, data=name.encode())
        undo.callback(removed, "the image", lambda: cloud.image.delete_image(identity))
        yield polls
