"""``tripleo-ha devtest``: a cluster of controllers on this machine."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.devtest import container, disk, flow, prerequisites, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.convergence import CONVERGE_S
from tripleo_ha.devtest.layout import SCALES, check_scale
from tripleo_ha.devtest.progress import Progress
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata.generate import PROFILES

SCALE_VARIABLE = "OVERCLOUD_CONTROLSCALE"
CONTROLLERS = f"controllers: {', '.join(map(str, SCALES))}"
LEFT_LOGS = """
for journal in upper/var/log/journal state/var/log/journal; do
    if [ -d "$journal" ] && [ ! -L "$journal" ]; then
        exec journalctl --directory="$journal" "$@"
    fi
done
exec tail -n 200 "$0"
"""
"""Shows the journal that a node left, or else the end of its console."""
Action = Callable[[argparse.Namespace, Path], int]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command and its own commands."""
    parser = commands.add_parser(
        "devtest",
        help="run a cluster of controllers on this machine",
        description="Run a cluster of controllers on this machine, as containers of the real image.",
        epilog=f"example: {SCALE_VARIABLE}=3 tools/devtest    (then: tools/devtest status)",
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="where the bed is kept (default: .devtest)")
    verbs = parser.add_subparsers(metavar="COMMAND", title="commands (default: up)")
    up = _add_whole(verbs)
    parser.set_defaults(**vars(up.parse_args([])))
    _add_nodes(verbs)
    _add_inside(verbs)


def _add_whole(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Declare the commands for the whole bed, and return that of ``up``."""
    up = _verb(verbs, "up", _up, "make the cluster, or complete what is there of it, and verify it", locks=True)
    up.add_argument("--scale", metavar="N", help=f"{CONTROLLERS} (default: ${SCALE_VARIABLE}, else 3)")
    up.add_argument(
        "--profile", choices=PROFILES, help="which services run, from the same image (default: as it is, or core)"
    )
    up.add_argument("--force-build", action="store_true", help="build the image anew even if nothing has changed")
    up.add_argument("--disk-mb", type=int, metavar="N", help="size of a node's disk (default: 4000; 0: no bound)")
    up.add_argument(
        "--fencing",
        action=argparse.BooleanOptionalAction,
        help="give each node a BMC, by which the others power-cycle it when it is lost (default: with fencing)",
    )
    scale = _verb(verbs, "scale", _scale, "change the number of controllers; data is kept", locks=True)
    scale.add_argument("scale", metavar="N", help=CONTROLLERS)
    upgrade = _verb(
        verbs,
        "upgrade",
        _upgrade,
        "bring the image up to date on one controller after the other, while the others serve; data is kept",
        locks=True,
    )
    for parser in (up, upgrade):
        parser.add_argument("--image-root", type=Path, help=argparse.SUPPRESS)
    for parser in (up, scale):
        parser.add_argument("--allow-even", action="store_true", help="accept an even number of controllers")
    for parser in (up, scale, upgrade):
        parser.add_argument("--no-verify", action="store_true", help="leave out the verification")
        parser.add_argument(
            "--timeout",
            type=_seconds,
            default=CONVERGE_S,
            metavar="S",
            help=f"seconds to converge in (default: {CONVERGE_S:g})",
        )
    status = _verb(verbs, "status", _status, "show nodes, virtual IPs, services and where the credentials are")
    status.add_argument("--format", choices=("table", "json"), default="table")
    _verb(verbs, "timeline", _timeline, "show where the time of the last call went")
    _verb(verbs, "down", _down, "clear everything away", locks=True)
    _rest(_verb(verbs, "run", _run, "run a command of this machine where the cluster's clients are"))
    return up


def _add_nodes(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    texts = {
        "stop": "shut a node down in order",
        "start": "boot a node that is off",
        "power-off": "cut a node's power",
        "power-on": "boot a node that is off",
        "isolate": "pull a node's network cables",
        "rejoin": "plug a node's network cables in again",
    }
    for name, text in texts.items():
        _node(_verb(verbs, name, partial(_power, name), text, locks=True))


def _add_inside(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    execute = _node(_verb(verbs, "exec", _exec, "run a command in a node, as root"))
    _rest(execute)
    console = _node(_verb(verbs, "console", _console, "open a root shell in a node"))
    console.add_argument("--follow", action="store_true", help="follow what the node writes on its console instead")
    logs = _node(_verb(verbs, "logs", _logs, "show a node's journal; of a node that is off, what it left"))
    logs.add_argument("arguments", nargs=argparse.REMAINDER, help="for journalctl, such as -- -u mariadb -f")
    metadata = _node(_verb(verbs, "metadata", _metadata, "edit a node's metadata and push it", locks=True))
    metadata.add_argument("--set", type=Path, metavar="FILE", help="take the whole document from FILE (YAML or JSON)")
    metadata.add_argument("--show", action="store_true", help="print it, secrets included, and change nothing")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: Action,
    text: str,
    *,
    locks: bool = False,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", default=argparse.SUPPRESS, help="where the bed is kept (default: .devtest)"
    )
    parser.set_defaults(run=partial(_call, action, locks))
    return parser


def _node(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("node", metavar="NODE", help="a node's name or its number")
    return parser


def _rest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")


def _seconds(text: str) -> float:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return float(text)


def default_state() -> Path:
    """Return where a bed is kept unless ``--state`` says otherwise."""
    return paths.workplace() / ".devtest"


def _call(action: Action, locks: bool, arguments: argparse.Namespace) -> int:
    state = (arguments.state or default_state()).absolute()
    if action is _up or action is _scale:
        _check_wish(arguments)
    prerequisites.check_root()
    if locks and action not in (_up, _down) and not state.is_dir():
        raise UsageError(f"there is no test bed in {state}", "`tools/devtest` makes one")
    if action is _up:
        flow.refuse_foreign(state)
        prerequisites.check_space(state, 0)
    lock: AbstractContextManager[None] = store.locked(state) if locks else nullcontext()
    with lock:
        return action(arguments, state)


def _check_wish(arguments: argparse.Namespace) -> None:
    if arguments.scale is None:
        arguments.scale = os.environ.get(SCALE_VARIABLE) or None
    disk.size(getattr(arguments, "disk_mb", None))
    if arguments.scale is not None:
        arguments.scale = check_scale(arguments.scale, allow_even=arguments.allow_even)


def _up(arguments: argparse.Namespace, state: Path) -> int:
    progress = _progress(state)
    wish = flow.Wish(
        arguments.scale,
        arguments.image_root,
        arguments.force_build,
        arguments.timeout,
        arguments.disk_mb,
        arguments.fencing,
        arguments.profile,
    )
    with progress.keeping(state / "timeline.json"):
        bed = flow.up(state, wish, progress)
        return _prove(bed, arguments.no_verify, progress)


def _scale(arguments: argparse.Namespace, state: Path) -> int:
    progress = _progress(state)
    with progress.keeping(state / "timeline.json"):
        bed = flow.scale(Bed.open(state), arguments.scale, arguments.timeout, progress)
        return _prove(bed, arguments.no_verify, progress)


def _upgrade(arguments: argparse.Namespace, state: Path) -> int:
    progress = _progress(state)
    wish = flow.Wish(image_root=arguments.image_root, timeout=arguments.timeout)
    with progress.keeping(state / "timeline.json"):
        bed = flow.upgrade(Bed.open(state), wish, progress)
        return _prove(bed, arguments.no_verify, progress)


def _prove(bed: Bed, no_verify: bool, progress: Progress) -> int:
    from tripleo_ha.devtest import proof, show

    code = 0 if no_verify else proof.verify(bed, progress)
    show.render(show.status(bed), show.console())
    return code


def _progress(state: Path) -> Progress:
    return Progress(state / "devtest.log")


def _status(arguments: argparse.Namespace, state: Path) -> int:
    from tripleo_ha.devtest import show

    told = show.status(Bed.open(state))
    if arguments.format == "json":
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        show.render(told, show.console())
    return 0


def _timeline(arguments: argparse.Namespace, state: Path) -> int:
    from tripleo_ha.devtest import show

    show.render_timeline(Bed.open(state), show.console())
    return 0


def _down(arguments: argparse.Namespace, state: Path) -> int:
    flow.down(state, _progress(state))
    return 0


def _power(verb: str, arguments: argparse.Namespace, state: Path) -> int:
    bed = Bed.open(state)
    node = bed.node(arguments.node).name
    actions: dict[str, Callable[[str], None]] = {
        "stop": bed.stop,
        "start": bed.power_on,
        "power-off": bed.power_off,
        "power-on": bed.power_on,
        "isolate": bed.isolate,
        "rejoin": bed.rejoin,
    }
    actions[verb](node)
    return 0


def _exec(arguments: argparse.Namespace, state: Path) -> int:
    bed = Bed.open(state)
    argv = _command(arguments.argv, "devtest exec NODE -- CMD")
    return _become(container.enter_argv(bed.leader(arguments.node), argv, os.environ.get("TERM", "")))


def _run(arguments: argparse.Namespace, state: Path) -> int:
    bed = Bed.open(state)
    return _become(bed.client_argv(_command(arguments.argv, "devtest run -- CMD")))


def _console(arguments: argparse.Namespace, state: Path) -> int:
    bed = Bed.open(state)
    node = bed.node(arguments.node)
    if arguments.follow:
        return _become(["tail", "-n", "50", "-F", str(node.console)])
    return _become(container.enter_argv(bed.leader(node.name), ["bash", "-l"], os.environ.get("TERM", "")))


def _logs(arguments: argparse.Namespace, state: Path) -> int:
    bed = Bed.open(state)
    node = bed.node(arguments.node)
    more = _without_dashes(arguments.arguments) or ["--no-pager", "-n", "200"]
    if bed.running(node.name):
        return _become(container.enter_argv(bed.leader(node.name), ["journalctl", *more], os.environ.get("TERM", "")))
    return _become(disk.reading_argv(node, ["sh", "-c", LEFT_LOGS, str(node.console), *more]))


def _metadata(arguments: argparse.Namespace, state: Path) -> int:
    from tripleo_ha.devtest import editor, handing
    from tripleo_ha.metadata.loading import read_document

    bed = Bed.open(state)
    node = bed.node(arguments.node).name
    if arguments.show:
        sys.stdout.write(editor.as_text(bed.metadata(node)))
        return 0
    document = read_document(arguments.set) if arguments.set else editor.edit(bed.metadata(node))
    if not handing.edit(bed, node, document):
        told = "nothing new"
    elif reason := handing.refusal(bed.metadata(node)):
        told = f"pushed, but the node will refuse it: {reason}"
    else:
        told = "pushed; `devtest status` shows when it has converged"
    sys.stderr.write(f"{node}: {told}\n")
    return 0


def _command(argv: Sequence[str], usage: str) -> list[str]:
    command = _without_dashes(argv)
    if not command:
        raise UsageError(f"no command given: {usage}")
    return command


def _without_dashes(argv: Sequence[str]) -> list[str]:
    return list(argv[1:] if argv[:1] == ["--"] else argv)


def _become(argv: list[str]) -> int:
    program = shutil.which(argv[0])
    if program is None:
        raise UsageError(f"{argv[0]} is not installed")
    sys.stdout.flush()
    os.execv(program, argv)  # noqa: S606  # the terminal and the exit status are the command's own
