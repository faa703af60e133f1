import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "boot.py"


@pytest.fixture(scope="module")
def boot() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boot_benchmark", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_heaviest_chain_is_found_and_not_the_longest(boot: ModuleType) -> None:
    weights = {"base": 1.0, "a": 2.0, "b": 0.1, "c": 0.1, "heavy": 9.0, "alone": 5.0}
    after = {"base": (), "a": ("base",), "b": ("a",), "c": ("b", "absent"), "heavy": ("base",), "alone": ()}
    assert boot.longest_chain(weights, after) == ["base", "heavy"]


def test_the_end_of_the_first_election_is_read_from_the_journal(boot: ModuleType) -> None:
    line = "[  123.456789] pacemaker-controld[77]: notice: State transition S_POLICY_ENGINE -> S_IDLE"
    found = boot.IDLE.search(line)
    assert found
    assert float(found[1]) == 123.456789
    assert not boot.IDLE.search(line.replace("S_IDLE", "S_PENDING"))
