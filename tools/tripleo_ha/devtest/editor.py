"""Metadata as a person edits it."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha.errors import UsageError


def as_text(document: dict[str, Any]) -> str:
    """Return the document as YAML, in the order it has."""
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=False)


def read(file: Path) -> dict[str, Any]:
    """Read a document from a file of YAML or JSON.

    :raises UsageError: it cannot be read, or holds something else; what is in it is not quoted.
    """
    try:
        document = yaml.safe_load(file.read_text())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise UsageError(f"{file}{where}: not YAML") from None
    if not isinstance(document, dict):
        raise UsageError(f"{file}: not a metadata document")
    return document


def edit(document: dict[str, Any]) -> dict[str, Any]:
    """Let the user edit the document, and return what it has become.

    :raises UsageError: the editor cannot be run or fails, or what it left is no document.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "metadata.yaml"
        file.write_text(as_text(document))
        try:
            # The editor needs the terminal, which run() keeps from what it starts.
            subprocess.run([*command, str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(f"{command[0]}: {error}", "set EDITOR, or use --set FILE") from error
        return read(file)
