"""Metadata as a person edits it."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha.errors import Failure, UsageError
from tripleo_ha.metadata.loading import read_document
from tripleo_ha.run import interactive


def as_text(document: dict[str, Any]) -> str:
    """Return the document as YAML, in the order it has."""
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False)


def edit(document: dict[str, Any]) -> dict[str, Any]:
    """Let the user edit the document, and return what it has become.

    :raises UsageError: the editor cannot be run or fails, or what it left is no document; that is kept, and named.
    """
    command = _command()
    directory = Path(tempfile.mkdtemp(prefix="tripleo-ha-"))
    file = directory / "metadata.yaml"
    text = as_text(document)
    file.write_text(text)
    kept = False
    try:
        interactive([*command, str(file)])
        return read_document(file)
    except Failure as failure:
        kept = file.exists() and file.read_bytes() != text.encode()
        hint = "set EDITOR, or use --set FILE"
        if kept:
            hint = f"what you typed is kept: mend it, and `--set {file}` takes it"
        raise UsageError(failure.message, "; ".join(filter(None, (failure.hint, hint)))) from None
    finally:
        if not kept:
            shutil.rmtree(directory)


def _command() -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        try:
            if command := shlex.split(os.environ.get(name, "")):
                return command
        except ValueError as error:
            raise UsageError(f"{name} is no command: {error}") from error
    return ["vi"]
