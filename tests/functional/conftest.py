"""The bed that the functional tests share, what they print, and what is left of a failure.

``--bed DIR`` is a test bed's state directory. One that is there is used and left; otherwise three controllers are
made, and cleared away at the end.
"""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from beds import REPORTS, Summary, down, make, save_journals, up_and_good

from tripleo_ha.cli.devtest import default_state
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.verify.runner import Target

HERE = Path(__file__).parent
ORDER = (
    "test_topology",
    "test_idempotent",
    "test_gate",
    "test_locks",
    "test_power_cut",
    "test_process_kill",
    "test_outage",
    "test_rolling",
    "test_tls",
    "test_faults",
    "test_fencing",
    "test_chaos",
    "test_upgrade",
    "test_scale",
    "test_services",
    "test_apis",
    "test_volumes",
    "test_servers",
    "test_horizon",
    "test_tempest",
    "test_networks",
    "test_ha_routers",
    "test_stacks",
    "test_objects",
    "test_images",
    "test_telemetry",
)
SUMMARY = pytest.StashKey[list[tuple[str, str]]]()
OURS = pytest.StashKey[Path]()
"""The shared bed's state directory, when these tests made it."""
NEVER_UP = pytest.StashKey[bool]()
"""Set when the shared bed could not be made: what needs it then fails at once instead of after minutes each."""
SPENT = pytest.StashKey[dict[str, float]]()
"""The seconds of a test's phases."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("test bed")
    group.addoption("--bed", type=Path, default=os.environ.get("TRIPLEO_HA_BED"), help="the bed's state directory")
    group.addoption("--image-root", type=Path, help="boot from this unpacked image instead of building one")
    group.addoption("--keep-bed", action="store_true", help="leave the bed as it is at the end")
    group.addoption("--long", action="store_true", help="three rounds of every fault")


def pytest_configure(config: pytest.Config) -> None:
    """Have a place for what the tests want to tell."""
    config.addinivalue_line("markers", "long: takes minutes; run with --long, or when its file or directory is named")
    config.addinivalue_line("markers", "quick: of the whole control plane's tests, run with every change")
    config.stash[SUMMARY] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the modules from the gentle to the destructive: what breaks in a fault must not look like bad topology."""
    places = {name: place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: places.get(item.path.stem, len(ORDER)))
    named = any(HERE in (config.invocation_params.dir / word.partition("::")[0]).parents for word in config.args)
    if not named and not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured, and keep it in a file."""
    told = config.stash[SUMMARY]
    if not told:
        return
    width = max(len(what) for what, _ in told)
    lines = [f"{what:<{width}}  {measured}" for what, measured in told]
    terminalreporter.section("what clients saw")
    for line in lines:
        terminalreporter.write_line(line)
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "functional.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def summary(pytestconfig: pytest.Config) -> Summary:
    """Where measurements go."""
    return Summary(pytestconfig.stash[SUMMARY])


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> int:
    """How often each fault is repeated."""
    return 3 if pytestconfig.getoption("--long") else 1


@pytest.fixture(scope="session")
def state(pytestconfig: pytest.Config) -> Path:
    """The state directory of the shared bed."""
    given = pytestconfig.getoption("--bed")
    return Path(given).absolute() if given else default_state()


@pytest.fixture(scope="session")
def image_root(pytestconfig: pytest.Config) -> Path | None:
    """The unpacked image to boot from, None for the checkout's own."""
    root: Path | None = pytestconfig.getoption("--image-root")
    return root


@pytest.fixture(scope="module")
def bed(state: Path, image_root: Path | None, pytestconfig: pytest.Config) -> Bed:
    """The shared bed, made when it is not there."""
    if NEVER_UP in pytestconfig.stash:
        pytest.fail("the test bed never came up; see the first test's error", pytrace=False)
    with suppress(UsageError):
        return Bed.open(state)
    # Whether it is ours has to be known before it is made: an interrupted `up` has to be cleared away too.
    pytestconfig.stash[OURS] = state
    try:
        return make(state, 3, image_root, REPORTS)
    except Failure:
        pytestconfig.stash[NEVER_UP] = True
        raise


@pytest.fixture
def target(bed: Bed) -> Target:
    """The shared bed's cluster, every node of it on and every check good."""
    return up_and_good(bed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell how long a test took; save every node's journal as soon as one has failed, before the next changes them."""
    report = yield
    spent = item.stash.setdefault(SPENT, {})
    spent[report.when or ""] = report.duration
    if report.when == "teardown":
        told = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in spent.items())
        sys.stdout.write(f"\n    {item.name}: {told}\n")
    if report.failed and isinstance(opened := getattr(item, "funcargs", {}).get("bed"), Bed):
        with suppress(Failure, OSError):
            save_journals(opened, REPORTS / "journals" / item.name)
    return report


@pytest.fixture(scope="session")
def clear_shared_bed(pytestconfig: pytest.Config) -> Callable[[], None]:
    """Clear the shared bed away if these tests made it: two beds at once are too much for a small machine."""
    return partial(_clear, pytestconfig)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clear the bed away if these tests made it."""
    if not session.config.getoption("--keep-bed"):
        _clear(session.config)


def _clear(config: pytest.Config) -> None:
    ours = config.stash.get(OURS, None)
    if ours is not None:
        del config.stash[OURS]
        down(ours)
