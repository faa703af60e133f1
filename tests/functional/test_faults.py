"""Each fault of the catalogue by its name: nothing is lost, clients are served again, and nobody is called.

A strike also tells whether nodes that were cut from a majority gave their virtual IPs up and took no write. Without
``--long`` a few faults stand for all: those that the short campaign leaves out and that need a rule of their own.
"""

import shutil

import pytest
from beds import REPORTS, Summary

from tripleo_ha.chaos import campaign, report
from tripleo_ha.chaos.faults.catalogue import ALL, fitting
from tripleo_ha.chaos.model import Kind
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.verify.runner import Target

ALWAYS = (
    "freeze-mariadbd",
    "freeze-beam",
    "lose-out-serving",
    "split",
    "disk-wiped",
    "disk-full-other",
    "outage-stopped",
)
SEED = 4
pytestmark = pytest.mark.long


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take every fault with ``--long``, and else a few."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", list(ALL) if metafunc.config.getoption("--long") else list(ALWAYS))


def test_the_cluster_survives_by_itself(name: str, target: Target, bed: Bed, summary: Summary) -> None:
    if name not in fitting(bed):
        pytest.skip("this bed lacks what the fault needs: nodes, or disks with a bound")
    directory = REPORTS / "faults" / name
    shutil.rmtree(directory, ignore_errors=True)
    plan = campaign.Plan(iter([ALL[name]]), SEED)
    status = campaign.conduct(bed, directory, plan, Progress(directory / "chaos.log"))
    found, _ = report.read(directory)
    (figures,) = found.figures.strikes
    strike = figures.strike
    gaps = ", ".join(f"{service} {seen.longest.seconds:.1f} s" for service, seen in figures.services.items())
    whole = "never" if strike.redundant is None else f"{strike.redundant - strike.healed:.0f} s"
    summary.tell(f"{name} ({', '.join(strike.nodes)})", f"{gaps}; whole {whole} after it was healed")
    assert strike.trouble == ""
    assert strike.redundant is not None
    assert status == campaign.GOOD
    if strike.kind is Kind.OUTAGE:
        assert strike.powered is not None
