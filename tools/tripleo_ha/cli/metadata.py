"""``tripleo-ha metadata``: generate the metadata of a cluster, rotate its fernet keys, and renew its certificates."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripleo_ha.errors import Failure, UsageError

if TYPE_CHECKING:
    from tripleo_ha.metadata.findings import Finding
    from tripleo_ha.metadata.findings import Path as KeyPath
    from tripleo_ha.metadata.generate import Description

PASSWORDS = "passwords.yaml"
NODES = "nodes"
HEAT = "heat.json"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = commands.add_parser("metadata", help="generate metadata for a cluster, rotate keys, renew certificates")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    generate = verbs.add_parser(
        "generate",
        help="write the metadata of each controller, and one document for Heat",
        epilog="example: tripleo-ha metadata generate --controllers 3 --out cloud    "
        "(a second run reuses cloud/passwords.yaml; every value stays)",
    )
    _common(generate)
    generate.set_defaults(run=run_generate)
    rotate = verbs.add_parser(
        "rotate-fernet",
        help="promote the staged fernet key and stage a new one, then generate again",
        epilog="example: tripleo-ha metadata rotate-fernet --controllers 3 --out cloud    "
        "(not twice before every node has taken the first rotation)",
    )
    _common(rotate)
    rotate.add_argument("--max-active-keys", type=int, default=3, metavar="N", help="keys kept (default: %(default)s)")
    rotate.set_defaults(run=run_rotate)
    renew = verbs.add_parser(
        "renew-certificate",
        help="have the cloud's own authority issue other certificates for the endpoints, then generate again",
        epilog="example: tripleo-ha metadata renew-certificate --controllers 3 --out cloud    "
        "(clients go on trusting the same authority; what the description brings is not touched)",
    )
    _common(renew)
    renew.set_defaults(run=run_renew)


def _common(parser: argparse.ArgumentParser) -> None:
    from tripleo_ha.metadata.generate import PROFILES

    parser.add_argument("--controllers", type=int, metavar="N", help="how many (default: the description's, or 3)")
    parser.add_argument(
        "--profile", choices=PROFILES, help="which services run (default: what the description says, or core)"
    )
    parser.add_argument("--description", type=Path, metavar="FILE", help="the cloud: networks, sizes, overrides (YAML)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where nodes/NAME.json and heat.json go (0600)"
    )
    parser.add_argument("--passwords", type=Path, metavar="FILE", help=f"kept secrets (default: DIR/{PASSWORDS})")
    parser.add_argument("--allow-even", action="store_true", help="permit an even number of controllers")


def run_generate(arguments: argparse.Namespace) -> int:
    """Generate and write."""
    return _write(arguments)


def run_rotate(arguments: argparse.Namespace) -> int:
    """Rotate the fernet keys, then generate and write."""
    return _write(arguments, max_active_keys=arguments.max_active_keys)


def run_renew(arguments: argparse.Namespace) -> int:
    """Renew the certificates, then generate and write."""
    return _write(arguments, renew=True)


def _write(arguments: argparse.Namespace, max_active_keys: int | None = None, *, renew: bool = False) -> int:
    from tripleo_ha.metadata import authority, generate, passwords

    wanted = _described(arguments)
    generate.check(wanted)
    store: Path = arguments.passwords or arguments.out / PASSWORDS
    origin = partial(_origin, described=arguments.description, store=store)
    _refuse(generate.faults(wanted), origin)
    now = datetime.now(UTC)
    if renew and not generate.certified_hosts(wanted):
        raise UsageError("there is no certificate of the cloud's own authority to renew", _BROUGHT)
    news: list[str] = []

    def changed(kept: passwords.Passwords) -> passwords.Passwords:
        known = authority.certified(kept.completed(wanted.services), wanted, now)
        # What is to be renewed may have expired.
        _judge(generate.generate(wanted, known), None if renew else now, origin)
        if renew:
            known = authority.certified(known, wanted, now, renew=True)
        if max_active_keys is not None:
            known = known.rotated(max_active_keys)
        news.extend(authority.news(kept, known))
        return known

    known = passwords.update(store, changed)
    documents = generate.generate(wanted, known)
    written = {arguments.out / NODES / f"{name}.json": document for name, document in documents.items()}
    _save({**written, arguments.out / HEAT: generate.for_heat(wanted, known)})
    for file in _left_over(arguments.out / NODES, wanted.name, set(written)):
        file.unlink()
        print(f"removed {file}, which is no controller any more")  # noqa: T201
    for line in (*news, f"secrets: {store}"):
        print(line)  # noqa: T201
    return 0


_BROUGHT = "the description brings them in overrides, or runs no haproxy"


def _save(documents: dict[Path, dict[str, Any]]) -> None:
    from tripleo_ha.files import write_file

    for file, document in documents.items():
        try:
            changed = write_file(file, json.dumps(document, indent=2) + "\n", mode=0o600)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
        print(f"{'wrote' if changed else 'kept '} {file}")  # noqa: T201


def _origin(path: "KeyPath", described: Path | None, store: Path) -> str:
    """Return where the value at a path of the metadata was written; nothing if nobody has written it."""
    from tripleo_ha.metadata import description

    places = [_place(described, at) for at in description.sources(path)]
    # That a section is in the passwords file says nothing about what stands beside its secrets.
    places += [_place(store, path)] if len(path) > 1 else []
    return next(filter(None, places), "")


def _place(file: Path | None, path: "KeyPath") -> str:
    """Return ``FILE:LINE:COLUMN: `` of a key or an item, or nothing if it is not in the file."""
    from tripleo_ha.metadata import reading
    from tripleo_ha.metadata.loading import load

    if file is None or not file.is_file():
        return ""
    document = load(reading.read(str(file)))
    if not document.usable or not document.holds(path):
        return ""
    mark = document.node.mark_of(path, on_key=True)
    return f"{file}:{mark.line}:{mark.column}: "


def _refuse(findings: "Iterable[Finding]", origin: "Callable[[KeyPath], str]") -> None:
    """Tell of each fault once, with its origin.

    :raises Failure: naming every error.
    """
    found = {str(finding): finding for finding in findings}
    told = {f"{origin(finding.path)}{text}": finding.severity for text, finding in found.items()}
    for text, severity in told.items():
        if severity != "error":
            print(f"warning: {text}", file=sys.stderr)  # noqa: T201
    if errors := [text for text, severity in told.items() if severity == "error"]:
        raise Failure("\n  ".join(["the metadata would be wrong, nothing was written:", *errors]))


def _judge(documents: dict[str, dict[str, Any]], now: datetime | None, origin: "Callable[[KeyPath], str]") -> None:
    """Let nothing out that the gate on the node would refuse, nor, with ``now``, what is not valid at that time.

    :raises Failure: as :func:`_refuse`.
    """
    from tripleo_ha.metadata import check

    _refuse((finding for document in documents.values() for finding in check.check_document(document, now)), origin)


def _left_over(directory: Path, cluster: str, written: set[Path]) -> list[Path]:
    """Return the documents of controllers that this cluster had before it was made smaller."""
    return [file for file in sorted(directory.glob("*.json")) if file not in written and _cluster(file) == cluster]


def _cluster(file: Path) -> str | None:
    try:
        name = json.loads(file.read_text())["cluster"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _described(arguments: argparse.Namespace) -> "Description":
    from tripleo_ha.metadata import description
    from tripleo_ha.metadata.loading import read_document

    file: Path | None = arguments.description
    document = read_document(file, may_be_empty=True) if file else {}
    given = {key: value for key in ("controllers", "profile") if (value := getattr(arguments, key)) is not None}
    if "profile" in given and "services" in document:
        raise UsageError("the description lists services itself, so that --profile chooses none")
    try:
        return description.parse({**document, **given}, allow_even=arguments.allow_even)
    except description.Misdescribed as wrong:
        place = "" if wrong.path[0] in given else _place(file, wrong.path)
        raise UsageError(f"{place}{wrong.message}", wrong.hint) from wrong
