"""Debian's tempest against the public virtual IP: what ``tempest.yaml`` names passes, and nothing else goes unsaid."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from beds import REPORTS, Summary, up_and_good
from clouds import needs
from openstack.connection import Connection
from tempests import LIST_S, PACKAGES, Named, Outcome, Tempest, options, spent, wrong

from tripleo_ha.devtest import roots
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.images import cache

FILE = yaml.safe_load(Path(__file__).with_name("tempest.yaml").read_text())
SERVICES = {name: Named(**each) for name, each in FILE["run"].items()}
LEFT_OUT = [pattern for each in FILE["left_out"] for pattern in each["tests"]]


@pytest.fixture(scope="module")
def tempest(bed: Bed) -> Iterator[Tempest]:
    """Tempest, not configured yet."""
    root = roots.ensure(cache(), Path(bed.record.image_root), "tempest", PACKAGES, print)
    with TemporaryDirectory() as workspace:
        called = Tempest(root, Path(workspace))
        called.configure({})
        yield called


@pytest.fixture(scope="module")
def ids(tempest: Tempest) -> dict[str, str]:
    """What tempest and its plugin have: the id of each test, by its name."""
    return tempest.ids()


@pytest.fixture(scope="module")
def outcomes(
    bed: Bed, cloud: Connection, image: str, tempest: Tempest, ids: dict[str, str]
) -> Iterator[dict[str, Outcome]]:
    """How the tests of all services went, by name."""
    needs(bed, "cinder_volume", "heat", "neutron", "nova", "swift")
    metadata = up_and_good(bed).metadata
    wanted = [ids[name] for named in SERVICES.values() for name in named.names if name in ids]
    limit = LIST_S + 2 * sum(named.budget_s for named in SERVICES.values())
    REPORTS.mkdir(exist_ok=True)
    with options(cloud, metadata, image) as (settings, accounts):
        tempest.configure(settings, accounts)
        tempest.trust(bed.state)
        yield tempest.run(bed, wanted, limit, REPORTS / "tempest.txt")


def test_every_test_of_tempest_is_named_or_left_out_for_a_reason(ids: dict[str, str]) -> None:
    named = {name for each in SERVICES.values() for name in each.names}
    assert named - set(ids) == set(), "tempest has no such tests"
    others = [name for name in ids if not any(each.has(name) for each in SERVICES.values())]
    matching = {name: [pattern for pattern in LEFT_OUT if re.match(pattern, name)] for name in others}
    assert [name for name, patterns in matching.items() if not patterns] == [], "neither named nor left out"
    used = {pattern for patterns in matching.values() for pattern in patterns}
    assert [pattern for pattern in LEFT_OUT if pattern not in used] == [], "nothing is left out by these"


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_named_of_a_service_passes_in_time(
    service: str, outcomes: dict[str, Outcome], summary: Summary
) -> None:
    named = SERVICES[service]
    seconds = spent(SERVICES, outcomes).get(service, 0.0)
    failed = wrong(named, outcomes)
    passed = len(named.names) - len(failed.keys() & set(named.names))
    summary.tell(f"tempest, {service}", f"{passed} of {len(named.names)} pass in {seconds:.0f} s")
    assert not failed, "\n" + "\n".join(f"{name}: {why}" for name, why in failed.items())
    assert seconds <= named.budget_s
