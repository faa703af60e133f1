"""How long ``tripleo-ha validate`` takes, as ratios to what the same machine needs for the least and for the usual.

Run it with the interpreter that ``tripleo_ha`` is installed for. All commands of a comparison are run in turn, so that
another program on the machine slows each of them alike; what is compared is the least processor time of each, since
none of them waits for anything.

- cold: one document, against the same interpreter importing jsonschema and yaml and loading the same files
  (at most 1.5 times as long)
- linear: the documents of all 1001 nodes of a cluster, against a quarter of them (at most 1.25 times as long for each)
- many: the same documents, against check-jsonschema with the same schema (at least 5 times faster)
"""

import argparse
import copy
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha import paths

CORPUS = Path(__file__).parents[1] / "corpus"
OURS = [sys.executable, "-c", "from tripleo_ha.cli.main import main; main()", "validate"]
THEIRS = [sys.executable, "-m", "check_jsonschema"]
FLOOR = """
import glob, json, sys
import jsonschema, yaml
for name in glob.glob(sys.argv[1] + "/*.json"):
    json.load(open(name))
for name in sys.argv[2:]:
    (json.load if name.endswith(".json") else yaml.safe_load)(open(name))
"""
COLD_LIMIT, FASTER_LIMIT, LINEAR_LIMIT = 1.5, 5.0, 1.25
NODES = 1001


def seconds(argv: Sequence[str]) -> float:
    """Run a command that must succeed and return how much processor time it took, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1800, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"exit status {done.returncode}: {argv}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Run all commands in turn, several times, and return the least time of each."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            taken[name].append(seconds(argv))
    return {name: min(times) for name, times in taken.items()}


def cold(rounds: int) -> bool:
    """Compare one document's check with the least that any check in Python must do."""
    good = True
    for name in ("good.json", "good.yaml"):
        file = str(CORPUS / name)
        floor = [sys.executable, "-c", FLOOR, str(paths.schemas()), file]
        times = fastest({"floor": floor, "ours": [*OURS, file]}, rounds)
        ratio = times["ours"] / times["floor"]
        good &= verdict(
            f"cold, {name}: {times['ours'] * 1000:.0f} ms, import and load {times['floor'] * 1000:.0f} ms",
            ratio,
            lambda value: value <= COLD_LIMIT,
            f"at most {COLD_LIMIT}",
        )
    return good


def write_cluster(directory: Path, members: int, documents: int) -> None:
    """Write the documents of the first nodes of one cluster, every document listing all members."""
    good: dict[str, Any] = json.loads((CORPUS / "good.json").read_text())
    addresses = [f"10.{index // 62500}.{index // 250 % 250}.{index % 250 + 2}" for index in range(members)]
    names = [f"overcloud-controller-{index}" for index in range(members)]
    good["cluster"]["nodes"] = [{"name": name, "ip": ip} for name, ip in zip(names, addresses, strict=True)]
    good["cluster"]["virtual_ips"]["control"] = {"ip": "10.255.0.1", "prefix": 8, "interface": "host0"}
    del good["ceilometer"], good["pacemaker"]["fencing"]  # a thousand fence devices would be most of each document
    directory.mkdir()
    for name in names[:documents]:
        document = copy.copy(good)
        document["node"] = {"name": name, "memory_mb": 8192}
        (directory / f"{name}.json").write_text(json.dumps(document))


def many(directory: Path, rounds: int) -> bool:
    """Compare a whole cluster's check with check-jsonschema's, and with that of a quarter of it."""
    write_cluster(directory / "all", NODES, NODES)
    write_cluster(directory / "quarter", NODES, NODES // 4)
    write_cluster(directory / "one", NODES, 1)
    names = ("all", "quarter", "one")
    times = fastest({name: [*OURS, str(directory / name)] for name in names}, rounds)
    each = {
        name: (times[name] - times["one"]) / (count - 1) for name, count in (("all", NODES), ("quarter", NODES // 4))
    }
    good = verdict(
        f"linear: {each['all'] * 1000:.2f} ms a document with {NODES}, {each['quarter'] * 1000:.2f} ms with a quarter",
        each["all"] / each["quarter"],
        lambda value: value <= LINEAR_LIMIT,
        f"at most {LINEAR_LIMIT}",
    )
    if importlib.util.find_spec("check_jsonschema") is None:
        print("check-jsonschema is not installed: pip install 'tripleo-ha-elements[benchmark]'")
        return False
    files = sorted(str(file) for file in (directory / "all").iterdir())
    usual = seconds([*THEIRS, "--schemafile", str(paths.schemas() / "controller.json"), *files])
    return good & verdict(
        f"many: {times['all']:.2f} s for {NODES} documents, check-jsonschema {usual:.2f} s",
        usual / times["all"],
        lambda value: value >= FASTER_LIMIT,
        f"at least {FASTER_LIMIT}",
    )


def verdict(what: str, ratio: float, holds: Callable[[float], bool], bound: str) -> bool:
    """Print one comparison and return whether its bound holds."""
    print(f"{'ok  ' if holds(ratio) else 'FAIL'} {what}: ratio {ratio:.2f} ({bound})")
    return holds(ratio)


def main() -> int:
    """Compare, print and return 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is run (default: 15)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as directory:
        # An installed package comes compiled; here the first round compiles all modules, and leaves the checkout clean.
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(directory, "compiled"))
        os.environ["PYTHONDONTWRITEBYTECODE"] = ""
        good = cold(rounds)
        good &= many(Path(directory), max(2, rounds // 5))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
