"""``tripleo-ha chaos``: faults for a test bed at work, and what its clients saw of them."""

import argparse
import importlib.util
import itertools
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tripleo_ha import paths
from tripleo_ha.chaos import rst, schedule
from tripleo_ha.chaos.campaign import FOUND, GOOD, Plan, conduct, new_directory, positive_control
from tripleo_ha.chaos.crew import ALL
from tripleo_ha.chaos.faults import catalogue
from tripleo_ha.chaos.faults.model import Fault
from tripleo_ha.cli.devtest import default_state
from tripleo_ha.devtest import prerequisites, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import UsageError, unable

MINUTES = 5.0
NEEDED = {"jinja2": "Jinja2", "matplotlib": "matplotlib", "oslo_messaging": "oslo.messaging"}
SEEDS = 100_000


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser(
        "chaos",
        help="strike a test bed with faults under load, and judge what its clients saw",
        description="Strike a test bed with faults while clients work on it, and judge what they saw. With neither "
        f"--faults, --budget nor --count: random faults for {MINUTES:g} minutes.",
        epilog="example: tripleo-ha chaos --budget 15 --seed 7    (the same seed strikes the same faults again)",
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="the test bed's state directory (default: .devtest)")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--budget",
        type=_minutes,
        metavar="MINUTES",
        help="strike random faults for so long; begin none that would take longer",
    )
    limit.add_argument("--count", type=_count, metavar="N", help="strike so many random faults")
    parser.add_argument("--seed", type=_seed, metavar="N", help="repeat the sequence of a campaign with this seed")
    parser.add_argument(
        "--faults",
        metavar="LIST",
        help="faults or groups, separated by commas; all of them once in this order, or, with --budget or --count, "
        "the ones to choose from",
    )
    parser.add_argument("--clients", type=_clients, default=ALL, metavar="LIST", help=f"default: {','.join(ALL)}")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where the campaign is kept (default: reports/…)")
    parser.add_argument(
        "--format",
        choices=["table", "json", "rst"],
        default="table",
        help="how the report is shown; rst: the figures against their limits alone, as they stand in docs/chaos.rst",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--list", action="store_true", help="list the faults and the groups that they are in")
    other.add_argument("--report", nargs="+", type=Path, metavar="DIR", help="report on finished campaigns again")
    other.add_argument(
        "--control", action="store_true", help="prove that lost updates are seen where READ COMMITTED allows them"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked.

    :returns: 0 when nothing was found, 1 when something was, or when a report has a figure over its limit, 130 when
        told to stop.
    :raises UsageError: a campaign could not begin, or not be judged.
    """
    if arguments.list:
        return _list(arguments.format)
    if arguments.report:
        told = _report(arguments.report, arguments.format)
        return GOOD if told["ok"] and told["limits_reached"] is not False else FOUND
    with unable():
        return _campaign(arguments)


def _campaign(arguments: argparse.Namespace) -> int:
    prerequisites.check_root()
    check_extra()
    state = (arguments.state or default_state()).absolute()
    seed = secrets.randbelow(SEEDS) if arguments.seed is None else arguments.seed
    bed = Bed.open(state)
    # What was called wrongly has to be said before anything is done.
    names = schedule.chosen(arguments.faults, catalogue.ALL, catalogue.fitting(bed))
    random = arguments.faults is None or arguments.budget is not None or arguments.count is not None
    minutes = arguments.budget or (MINUTES if random and arguments.count is None else None)
    seconds = None if minutes is None else minutes * 60
    first, faults = sequence(names, seed, count=arguments.count, seconds=seconds)
    directory = (arguments.directory or new_directory(seed, paths.workplace() / "reports" / "chaos")).absolute()
    if (directory / "campaign.json").exists():
        raise UsageError(f"{directory} holds a campaign already", "leave --directory out, or name a new one")
    directory.mkdir(parents=True, exist_ok=True)
    progress = Progress(directory / "chaos.log")
    progress.say(f"seed {seed}; everything about this campaign is kept in {directory}; this log: {progress.log}")
    with store.locked(state):
        if arguments.control:
            return positive_control(bed, directory, seed, progress)
        settings = {"faults": arguments.faults or "all", "count": arguments.count, "budget": minutes}
        cheapest = min(catalogue.ALL[name].cost for name in names)
        command = tuple(_command(seed))
        plan = Plan(faults, seed, seconds, first, cheapest, arguments.clients, command, settings)
        status = conduct(bed, directory, plan, progress)
    told = _report([directory], arguments.format)
    progress.say(f"the report: {directory / 'report.html'}")
    # One run on a machine that is busy with other things must not fail for a figure; whoever measures asks --report.
    return status or (GOOD if told["ok"] else FOUND)


def sequence(
    names: Sequence[str], seed: int, *, count: int | None = None, seconds: float | None = None
) -> tuple[int, Iterator[Fault]]:
    """Return the faults to strike, in order: as they are named, or, with a number or a time, random ones of these.

    :param seconds: the first are then one of each family that fit into this time together; it is told how many they
        are.
    :raises UsageError: the time is too short for any of them.
    """
    if count is None and seconds is None:
        return 0, (catalogue.ALL[name] for name in names)
    faults = {name: catalogue.ALL[name] for name in names}
    cheapest = min(faults.values(), key=lambda fault: fault.cost)
    if seconds is not None and cheapest.cost > seconds:
        raise UsageError(
            f"no fault that was asked for ends in {seconds:g} s", f"{cheapest.name} takes about {cheapest.cost:g} s"
        )
    first = () if seconds is None else schedule.opening(faults, seed, seconds)
    rest = schedule.endless({name: fault.kind for name, fault in faults.items()}, seed)
    drawn = itertools.islice(itertools.chain(first, rest), count)
    return len(first), (catalogue.ALL[name] for name in drawn)


def _list(shape: str) -> int:
    faults = [
        {"name": each.name, "kind": each.kind.value, "groups": list(each.groups), "summary": each.summary}
        for each in catalogue.ALL.values()
    ]
    if shape == "json":
        print(json.dumps(faults, indent=1))  # noqa: T201
        return GOOD
    width = max(len(each.name) for each in catalogue.ALL.values())
    for each in catalogue.ALL.values():
        print(f"{each.name:<{width}}  {each.kind.value:<18}  {each.summary} [{', '.join(each.groups)}]")  # noqa: T201
    return GOOD


def _report(directories: list[Path], shape: str) -> dict[str, Any]:
    """Write the report on campaigns, show it, and return it."""
    from tripleo_ha.chaos import report

    found = report.write(directories)
    where = directories[0] if len(directories) == 1 else directories[0].parent / report.COMBINED
    text = (where / report.JSON).read_text()
    if shape == "json":
        sys.stdout.write(text)
    elif shape == "rst":
        sys.stdout.write(rst.limits(found))
    else:
        from rich.console import Console

        from tripleo_ha.chaos.tables import show

        show(found, Console())
    told: dict[str, Any] = json.loads(text)
    return told


def _command(seed: int) -> list[str]:
    given = sys.argv[1:]
    return ["tripleo-ha", *given, *([] if any(word.startswith("--seed") for word in given) else ["--seed", str(seed)])]


def check_extra() -> None:
    """Stop where what a campaign needs beside the tool is not installed.

    :raises UsageError: it is not.
    """
    if lacking := [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]:
        raise UsageError(f"chaos needs {', '.join(lacking)}", "install the extra: tools/bootstrap chaos")


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1
    if not 0 < minutes <= 7 * 24 * 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes")
    return minutes


def _clients(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    if unknown := set(words) - set(ALL):
        raise argparse.ArgumentTypeError(f"no client {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    return words


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of faults")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: 0 or a positive number")
    return int(text)
