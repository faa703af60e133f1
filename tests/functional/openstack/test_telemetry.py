"""What is measured, and kept."""

import time
from typing import Any

from beds import Summary
from clouds import BACK_S, endpoint, needs, until
from openstack.connection import Connection

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.metadata import schema


def test_measures_of_the_central_agent_are_kept(bed: Bed, cloud: Connection, summary: Summary) -> None:
    needs(bed, "ceilometer", "gnocchi")
    interval = schema.with_defaults(bed.metadata(bed.nodes[0].name))["ceilometer"]["polling_interval_s"]
    base = endpoint(cloud, "metric")
    began = time.monotonic()

    def measured() -> dict[str, list[Any]]:
        ids = {str(each["name"]): each["id"] for each in cloud.session.get(f"{base}/v1/metric?limit=10").json()}
        found = {name: cloud.session.get(f"{base}/v1/metric/{metric}/measures").json() for name, metric in ids.items()}
        return {name: measures for name, measures in found.items() if measures}

    found = until("a metric with measures", measured, timeout=2 * interval + BACK_S, interval=5)
    summary.tell("metrics with measures", f"{', '.join(sorted(found))} after {time.monotonic() - began:.0f} s")
