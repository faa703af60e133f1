"""The good cluster as fixtures; every test spoils one thing of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from good_cluster import METADATA, told

from tripleo_ha import cluster as clusters
from tripleo_ha.cluster import Cluster
from tripleo_ha.node.facts import NodeFacts


@pytest.fixture
def cluster() -> Cluster:
    return clusters.from_metadata(METADATA)


@pytest.fixture
def facts(cluster: Cluster) -> tuple[NodeFacts, ...]:
    return tuple(told(cluster, index) for index in range(3))


@pytest.fixture
def spoil(facts: tuple[NodeFacts, ...]) -> Callable[..., tuple[NodeFacts, ...]]:
    def change(index: int, **fields: Any) -> tuple[NodeFacts, ...]:
        return tuple(replace(each, **fields) if place == index else each for place, each in enumerate(facts))

    return change
