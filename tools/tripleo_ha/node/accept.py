"""The gate: what the collectors brought is merged, checked and completed before any template sees it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from os_apply_config import collect_config

from tripleo_ha import cluster, paths, table
from tripleo_ha.errors import Failure
from tripleo_ha.node.context import ACCEPTED, LOG, write_file

SOURCES = paths.RUNTIME / "sources.json"
REFUSED = paths.RUNTIME / "refused.json"
COLLECTED = Path("/run/os-collect-config/os_config_files.json")


def accept() -> None:
    """Check the merged metadata and write it, with what is derived from it, for templates and handlers.

    :raises Failure: it is wrong, or a source of the last good run is missing; nothing was changed.
    """
    files = source_files(os.environ)
    try:
        refuse_vanished(files)
        document = collect_config.collect_config([str(file) for file in files])
        complete(document)
    except Failure as failure:
        refuse(files, str(failure))
        raise
    except Exception as error:  # whatever the checker trips over is refused as well, and shown where people look
        reason = f"the checker failed on this metadata: {type(error).__name__}"
        refuse(files, reason)
        raise Failure(reason, "journalctl -u os-collect-config has the whole error") from error
    write_file(SOURCES, json.dumps([file.name for file in files]))
    REFUSED.unlink(missing_ok=True)


def run_again() -> None:
    """Have os-collect-config run until a run succeeds, even where the metadata goes back to what it last applied.

    It compares what it collects with what it last committed, so that taking a bad change back would be no change to
    it, and the failure of the bad one would stay the last word.
    """
    for last in COLLECTED.parent.glob("*.last"):
        last.unlink(missing_ok=True)


def refuse(files: list[Path], reason: str) -> None:
    """Leave word of a refusal for ``tripleo-ha-node status``."""
    write_file(REFUSED, json.dumps({"reason": reason, "sources": [str(file) for file in files]}))


def source_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the files that os-collect-config collected, in its order.

    :raises Failure: nothing has been collected yet.
    """
    if named := environment.get("OS_CONFIG_FILES"):
        return [Path(name) for name in named.split(":")]
    if COLLECTED.exists():
        return [Path(name) for name in json.loads(COLLECTED.read_text())]
    raise Failure("no metadata has been collected yet", f"OS_CONFIG_FILES is not set and {COLLECTED} is not there")


def refuse_vanished(files: list[Path]) -> None:
    """Stop when a source that was there in the last good run is not among ``files``.

    os-collect-config leaves out a source that does not answer; what it told would then render as empty strings.
    """
    if not SOURCES.exists():
        return
    present = {_source(file) for file in files if file.exists()}
    known = {_source(Path(name)) for name in json.loads(SOURCES.read_text())}
    if missing := sorted(known - present):
        raise Failure(
            f"metadata source gone: {', '.join(missing)}; the node keeps its last good configuration",
            f"bring it back, or remove {SOURCES} to go on without it",
        )


def complete(document: dict[str, Any]) -> None:
    """Check ``document``, fill in defaults and what is derived, and put it where templates and handlers read it.

    :raises Failure: naming every finding.
    """
    from tripleo_ha.metadata import check, derived, schema
    from tripleo_ha.node import fencing

    findings = check.check_document(document)
    errors = [finding for finding in findings if finding.severity == "error"]
    for finding in findings:
        if finding not in errors:
            LOG.warning("metadata: %s", finding)
    if errors:
        told = "\n".join(f"  {finding}" for finding in errors)
        raise Failure(f"metadata refused, the last good configuration stays:\n{told}")
    full = schema.with_defaults(document)
    fencing.refuse_missing_agents(full)
    rows = table.active(table.load(), full)
    full["derived"] = derived.derive(full, cluster.from_metadata(full), rows)
    write_file(ACCEPTED, json.dumps(full, sort_keys=True))


def _source(file: Path) -> str:
    return file.name.removesuffix(".orig").removesuffix(".json")
