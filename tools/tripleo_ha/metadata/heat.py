"""Finding a controller's metadata in a Heat template, or in what ``openstack stack show`` prints."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.findings import Path
from tripleo_ha.metadata.tree import is_too_much

FUNCTIONS = frozenset(
    {
        "get_param", "get_attr", "get_resource", "get_file", "resource_facade",
        "str_replace", "str_replace_strict", "str_replace_vstrict", "str_split",
        "list_join", "list_concat", "list_concat_unique", "map_merge", "map_replace",
        "repeat", "digest", "yaql", "contains", "filter", "make_url",
        "if", "equals", "and", "or", "not", "condition", "Ref",
    }
)  # fmt: skip
"""Heat's functions: what they stand for is not known before the stack is made."""
_TEMPLATE = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")
_ENVIRONMENT = ("parameters", "parameter_defaults")
_HOLDERS = ("metadata", "config", "Metadata")
"""Keys of a resource or its properties that may hold metadata."""


def is_template(value: Mapping[str, Any]) -> bool:
    """Tell whether this is a Heat template."""
    return any(key in value for key in _TEMPLATE)


def is_stack(value: Mapping[str, Any]) -> bool:
    """Tell whether this is what Heat says about a stack that exists."""
    return "stack_name" in value and ("outputs" in value or "stack_status" in value)


def is_environment(value: Mapping[str, Any]) -> bool:
    """Tell whether this is a Heat environment: parameters for a template, and no section of ours beside them."""
    return any(key in value for key in _ENVIRONMENT) and not _is_metadata(value)


def is_heat(value: Any) -> bool:
    """Tell whether this is anything of Heat's, which holds metadata but is none itself."""
    return isinstance(value, Mapping) and (is_template(value) or is_stack(value) or is_environment(value))


def metadata_in(value: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """Return each part of a template, a stack or an environment that is metadata of controllers, with its path.

    A text that holds JSON is read; what is found in it has the text's own path.
    """
    if is_template(value):
        return [found for key in ("resources", "Resources") for found in _in_resources(value.get(key), (key,))]
    if is_stack(value):
        return list(_in_outputs(value.get("outputs")))
    return [found for key in _ENVIRONMENT for found in _in_value(value.get(key), (key,), 0)]


def _in_resources(resources: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if not isinstance(resources, Mapping):
        return
    for name, resource in resources.items():
        places: list[tuple[Path, Any]] = [((*path, name), resource)]
        for key in ("properties", "Properties"):
            if isinstance(resource, Mapping):
                places.append(((*path, name, key), resource.get(key)))
        for place, holder in places:
            for key in _HOLDERS:
                if isinstance(holder, Mapping):
                    yield from _merged(holder.get(key), (*place, key))


def _merged(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield metadata, or what of it is written down among the arguments of ``map_merge``."""
    if _is_metadata(value):
        yield path, value
    elif isinstance(value, Mapping) and isinstance(value.get("map_merge"), list):
        for index, item in enumerate(value["map_merge"]):
            yield from _merged(item, (*path, "map_merge", index))


def _in_outputs(outputs: Any) -> Iterator[tuple[Path, Any]]:
    if not isinstance(outputs, list):
        return
    for index, output in enumerate(outputs):
        if isinstance(output, Mapping):
            path: Path = ("outputs", index, "output_value")
            yield from _in_value(output.get("output_value"), path, 0)


def _in_value(value: Any, path: Path, depth: int) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return
    if _is_metadata(value):
        if not is_too_much(value):
            yield path, value
    elif depth == 0 and isinstance(value, (Mapping, list)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _in_value(item, (*path, key), 1)


def _is_metadata(value: Any) -> bool:
    return isinstance(value, Mapping) and any(name in value for name in schema.sections())


def unknown_places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each call of one of Heat's functions in a template."""
    if is_call(value):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unknown_places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_places(item, (*path, index))


def is_call(value: Any) -> bool:
    """Tell whether a value is a call of one of Heat's functions."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    (name,) = value
    return isinstance(name, str) and (name in FUNCTIONS or name.startswith("Fn::"))
