"""What os-apply-config would write, without writing it: its own code renders, nothing on this machine is touched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from os_apply_config import apply_config, config_exception

from tripleo_ha.errors import Failure
from tripleo_ha.templates.drift import DEFAULT_MODE, templates


@dataclass(frozen=True)
class Rendered:
    """A file as it would be: its content, mode and owner, and which element or service it comes from."""

    body: bytes
    mode: int = DEFAULT_MODE
    owner: str = "root"
    group: str = "root"
    origin: str = ""


def render(elements: Path, metadata: Mapping[str, Any]) -> dict[str, Rendered]:
    """Render every template of every element.

    Owners are names only: whether this machine knows the user doesn't matter.

    :param metadata: accepted metadata, with defaults and ``derived``.
    :return: by the path where it would be installed. A file that os-apply-config would delete is not in it.
    :raises Failure: a template or its control file is wrong; run the drift check for where.
    """
    files: dict[str, Rendered] = {}
    for template in templates(elements):
        try:
            body = apply_config.render_template(str(template.file), metadata)
            settings = yaml.safe_load(template.control.read_text()) if template.control.is_file() else None
        except (config_exception.ConfigException, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise Failure(f"{template.file}: cannot be rendered", "tripleo-ha templates check") from error
        settings = settings if isinstance(settings, dict) else {}
        if body or settings.get("allow_empty", True):
            files[template.target] = Rendered(
                body.encode(),
                int(settings.get("mode") or DEFAULT_MODE),
                str(settings.get("owner", "root")),
                str(settings.get("group", "root")),
                template.element,
            )
    return files
