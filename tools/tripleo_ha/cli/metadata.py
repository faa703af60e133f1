"""``tripleo-ha metadata``: generate the metadata of a cluster, rotate its fernet keys, and renew its certificates."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tripleo_ha.errors import Failure, UsageError

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
    from tripleo_ha.files import write_file
    from tripleo_ha.metadata import authority, description, generate, passwords

    wanted = description.parse(_description(arguments), allow_even=arguments.allow_even)
    generate.check(wanted)
    store = arguments.passwords or arguments.out / PASSWORDS
    now = datetime.now(UTC)
    if renew and not generate.certified_hosts(wanted):
        raise UsageError("there is no certificate of the cloud's own authority to renew", _BROUGHT)
    known = authority.ensure(store, wanted, now)
    # What is to be renewed may have expired.
    _judge(generate.generate(wanted, known), None if renew else now)
    if renew:
        known = authority.ensure(store, wanted, now, renew=True)
    if max_active_keys is not None:
        known = passwords.update(store, lambda kept: kept.rotated(max_active_keys))
    documents = generate.generate(wanted, known)
    written = {arguments.out / NODES / f"{name}.json": document for name, document in documents.items()}
    written[arguments.out / HEAT] = generate.for_heat(wanted, known)
    for file, document in written.items():
        try:
            changed = write_file(file, json.dumps(document, indent=2) + "\n", mode=0o600)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
        print(f"{'wrote' if changed else 'kept '} {file}")  # noqa: T201
    for file in _left_over(arguments.out / NODES, wanted.name, set(written)):
        file.unlink()
        print(f"removed {file}, which is no controller any more")  # noqa: T201
    print(f"secrets: {store}")  # noqa: T201
    return 0


_BROUGHT = "the description brings them in overrides, or runs no haproxy"


def _judge(documents: dict[str, dict[str, Any]], now: datetime | None) -> None:
    """Let nothing out that the gate on the node would refuse, nor, with ``now``, what is not valid at that time.

    :raises Failure: naming every finding.
    """
    from tripleo_ha.metadata import check

    findings = [finding for document in documents.values() for finding in check.check_document(document, now)]
    found = {str(finding): finding for finding in findings}
    for told, finding in found.items():
        if finding.severity != "error":
            print(f"warning: {told}", file=sys.stderr)  # noqa: T201
    if errors := [told for told, finding in found.items() if finding.severity == "error"]:
        raise Failure("\n  ".join(["this description gives wrong metadata, nothing was written:", *errors]))


def _left_over(directory: Path, cluster: str, written: set[Path]) -> list[Path]:
    """Return the documents of controllers that this cluster had before it was made smaller."""
    return [file for file in sorted(directory.glob("*.json")) if file not in written and _cluster(file) == cluster]


def _cluster(file: Path) -> str | None:
    try:
        name = json.loads(file.read_text())["cluster"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def _description(arguments: argparse.Namespace) -> dict[str, Any]:
    from tripleo_ha.metadata import description

    document = description.load(arguments.description) if arguments.description else {}
    if arguments.controllers is not None:
        document["controllers"] = arguments.controllers
    if arguments.profile is not None:
        if "services" in document:
            raise UsageError("the description lists services itself, so that --profile chooses none")
        document["profile"] = arguments.profile
    return document
