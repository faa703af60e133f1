"""A cluster grows from one controller to three and five, and shrinks to three; what it holds is kept."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from beds import REPORTS, Summary, assert_good, devtest, down, make, target_of

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.verify.availability import AMQP, SQL, watching

STEPS = (3, 5, 3)
SCALE_S = 600.0
TABLE = "tripleo_ha_functional"


@pytest.fixture
def growing(state: Path, image_root: Path | None, no_shared_bed: None) -> Iterator[Path]:
    """The state directory of a bed of one controller, of this test's own."""
    own = state.with_name(f"{state.name}-scale")
    down(own)
    try:
        make(own, 1, image_root, REPORTS)
        yield own
    finally:
        down(own)


def sql(bed: Bed, node: str, text: str) -> str:
    return bed.exec(node, ["mariadb", "--batch", "--skip-column-names", "-e", text]).stdout.strip()


def test_scale(growing: Path, summary: Summary) -> None:
    bed = Bed.open(growing)
    assert_good(target_of(bed))
    sql(bed, bed.nodes[0].name, f"CREATE DATABASE {TABLE}; CREATE TABLE {TABLE}.kept (id INT PRIMARY KEY)")
    held: list[int] = []
    scale = 1
    for wanted in STEPS:
        held.append(wanted * 10 + len(held))
        sql(bed, bed.nodes[0].name, f"INSERT INTO {TABLE}.kept VALUES ({held[-1]})")
        began = time.monotonic()
        devtest(
            growing, "scale", str(wanted), "--no-verify", timeout=SCALE_S, log=REPORTS / f"scale-{scale}-{wanted}.log"
        )
        bed = Bed.open(growing)
        assert len(bed.nodes) == wanted
        target = target_of(bed)
        assert_good(target)
        took = time.monotonic() - began
        summary.tell(f"scale {scale} to {wanted}", f"{took:.0f} s to verified")
        for node in bed.nodes:
            rows = sql(bed, node.name, f"SELECT id FROM {TABLE}.kept ORDER BY id").split()
            assert [int(row) for row in rows] == sorted(held), node.name
        with watching(target) as watch:
            counts = {loop.name: len(loop.acknowledged) for loop in watch.loops}
            assert watch.lost() == {}
        assert counts[SQL] > 0
        assert counts[AMQP] > 0
        scale = wanted
