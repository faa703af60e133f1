"""How long three controllers take from power to verified, against the engines' own start times in the same run.

usage: .venv/bin/python tests/benchmarks/boot.py [--limit 1.5] [--image-root DIR]

The floor is the slowest chain of what nobody can leave out: systemd's own boot, then along the service table's
``after`` each engine's own start as systemd and the engine measured it, with no waiting of ours in it. Galera counts
twice, since nobody can join before the first has bootstrapped, and with the making of its empty database; Pacemaker
counts until its first election is over, and what it runs by its own record of the start; an API counts with its own
migration and bootstrap commands, and until it has loaded.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.run import run
from tripleo_ha.table import Row
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport

LIMIT = 1.5
UP_S = 2700.0
MICROSECONDS = 1e6
GALERA, PACEMAKER = "mariadb-galera", "pacemaker"
TOOK = re.compile(r"^(\S+): (.+) took (\d+\.\d) s$", re.MULTILINE)
IDLE = re.compile(r"^\[\s*(\d+\.\d+)\].*State transition \S+ -> S_IDLE")


def longest_chain(weights: Mapping[str, float], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the services of the heaviest path along ``after``, first to last."""
    best: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in best:
            before = max((chain(other) for other in after[name] if other in weights), key=weigh, default=[])
            best[name] = [*before, name]
        return best[name]

    def weigh(names: list[str]) -> float:
        return sum(weights[name] for name in names)

    return max((chain(name) for name in weights), key=weigh, default=[])


def shown(bed: Bed, node: str, unit: str, *properties: str) -> list[float]:
    """Return monotonic timestamps of a unit (or, with an empty name, of the manager) in seconds, 0 for never."""
    argv = ["systemctl", "show", f"--property={','.join(properties)}", *([unit] if unit else [])]
    told = dict(line.split("=", 1) for line in bed.exec(node, argv).stdout.splitlines() if "=" in line)
    return [int(told.get(name) or 0) / MICROSECONDS for name in properties]


def own_start(bed: Bed, node: str, unit: str) -> float:
    """Return the seconds from a unit's start to its readiness."""
    begun, ready = shown(bed, node, unit, "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    return max(0.0, ready - begun)


def boot(bed: Bed, node: str) -> float:
    """Return the seconds systemd took from its first step to the basic target."""
    (begun,) = shown(bed, node, "", "UserspaceTimestampMonotonic")
    (ready,) = shown(bed, node, "basic.target", "ActiveEnterTimestampMonotonic")
    return ready - begun


def election(bed: Bed, node: str) -> float:
    """Return the seconds from Pacemaker's readiness to the end of its first election, 0 if this node held none."""
    (ready,) = shown(bed, node, "pacemaker.service", "ActiveEnterTimestampMonotonic")
    journal = bed.exec(
        node, ["journalctl", "-b", "-u", "pacemaker.service", "-o", "short-monotonic", "--no-pager", "--no-hostname"]
    )
    idle = [float(found[1]) for line in journal.stdout.splitlines() if (found := IDLE.search(line))]
    return max(0.0, idle[0] - ready) if idle else 0.0


def own_work(bed: Bed, node: str, service: str) -> float:
    """Return the seconds of a service's own commands and of its loading, as the first converge run logged them."""
    argv = ["journalctl", "-b", "-u", "os-collect-config.service", "-o", "cat", "--no-pager"]
    found = TOOK.findall(bed.exec(node, argv).stdout)
    return sum(float(seconds) for name, _, seconds in found if name == service)


def pacemakers_start(bed: Bed, node: str, resource: str) -> float:
    """Return the seconds that starting a resource took, as Pacemaker recorded them, 0 where it was not started."""
    status = ElementTree.fromstring(bed.exec(node, ["cibadmin", "--query", "--scope", "status"]).stdout)
    operations = status.iterfind(f".//lrm_resource[@id='{resource}']/lrm_rsc_op[@operation='start']")
    return max((int(each.get("exec-time", "0")) / 1000 for each in operations), default=0.0)


def weight(bed: Bed, row: Row) -> float:
    """Return one service's own start time on its slowest node."""
    each = [
        sum(own_start(bed, node.name, unit.name) for unit in row.units) + own_work(bed, node.name, row.service)
        for node in bed.nodes
    ]
    if row.manager == "pacemaker":
        return pacemakers_start(bed, bed.nodes[0].name, row.service)
    if row.service == GALERA:
        return each[0] + max(each[1:], default=0.0)
    if row.service == PACEMAKER:
        elections = [found for node in bed.nodes if (found := election(bed, node.name))]
        return max(each) + min(elections, default=0.0)
    return max(each)


def measured(state: Path) -> float:
    """Return the seconds from the first node's power to the verifier's good answer, as the bed's timeline has it."""
    steps = {step["step"]: step for step in json.loads((state / "timeline.json").read_text())}
    return float(steps["verify"]["end"] - steps["boot"]["start"])


def main() -> int:
    """Boot, measure, print, clear away, and return 1 when the ratio is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=LIMIT, help="exit 1 over this ratio (default: %(default)s)")
    parser.add_argument("--image-root", type=Path, help="boot from this unpacked image instead of building one")
    parser.add_argument(
        "--place", type=Path, default=Path("/var/tmp"), help="where there is room (default: %(default)s)"
    )
    arguments = parser.parse_args()
    state = Path(tempfile.mkdtemp(prefix="tripleo-ha-benchmark-", dir=arguments.place)) / "bed"
    devtest = [str(Path(sys.executable).with_name("tripleo-ha")), "devtest", "--state", str(state)]
    image = ["--image-root", str(arguments.image_root)] if arguments.image_root else []
    try:
        run([*devtest, "up", "--scale", "3", *image], timeout=UP_S)
        bed = Bed.open(state)
        rows = Target.of(BedTransport(bed)).rows
        weights = {row.service: weight(bed, row) for row in rows}
        print(run([*devtest, "timeline"], timeout=60).stdout)
        return tell(measured(state), max(boot(bed, node.name) for node in bed.nodes), weights, rows, arguments.limit)
    finally:
        run([*devtest, "down"], timeout=300)
        shutil.rmtree(state.parent, ignore_errors=True)


def tell(took: float, booting: float, weights: Mapping[str, float], rows: Sequence[Row], limit: float) -> int:
    """Print the engines' own times, the slowest chain and the ratio; return 1 when it is over ``limit``."""
    chain = longest_chain(weights, {row.service: row.after for row in rows})
    print("engines' own start times, slowest node:")
    for name, seconds in sorted(weights.items(), key=lambda item: -item[1]):
        print(f"    {name:<28} {seconds:6.1f} s")
    floor = booting + sum(weights[name] for name in chain)
    told = " + ".join(f"{name} {weights[name]:.1f}" for name in chain)
    print(f"slowest chain: systemd {booting:.1f} + {told} = {floor:.1f} s")
    print(f"boot to verified {took:.1f} s, ratio {took / floor:.2f} (limit {limit})")
    return 0 if took / floor <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
