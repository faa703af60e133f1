"""Reading the description of a cloud, as somebody writes it down."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import generate
from tripleo_ha.metadata.generate import Controller, Description, Network

KEYS = ("name", "controllers", "networks", "memory_mb", "services", "profile", "overrides")


def load(path: Path) -> dict[str, Any]:
    """Read a description file: YAML, a mapping.

    :raises UsageError: it cannot be read or is no mapping of the known keys.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise UsageError(f"{path}{where}: not YAML") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected a mapping of {', '.join(KEYS)}")
    return document


def parse(document: Mapping[str, Any], *, allow_even: bool = False) -> Description:
    """Turn a description document into a :class:`Description`.

    All keys may be left out: ``name``; ``controllers``, a number or a list of ``{name, ip, memory_mb}``, names or
    addresses; ``networks``, by name ``{cidr, interface, vip}``; ``memory_mb`` of every controller; ``services``, a
    list of metadata keys, or a ``profile``'s name; ``overrides``, merged over the generated metadata.

    :raises UsageError: naming the key that is wrong.
    """
    if unknown := sorted(str(key) for key in document if key not in KEYS):
        raise UsageError(f"the description has an unknown key {unknown[0]}", f"there are: {', '.join(KEYS)}")
    name = _typed(document, "name", str, "overcloud")
    networks = _networks(_typed(document, "networks", dict, {}))
    memory_mb = _typed(document, "memory_mb", int, None)
    controllers = document.get("controllers", 3)
    return Description(
        controllers=_controllers(controllers, name, networks, memory_mb),
        name=name,
        networks=networks,
        services=_services(document),
        overrides=_typed(document, "overrides", dict, {}),
        allow_even=allow_even,
    )


def _typed(document: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = document.get(key, default)
    if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
        raise UsageError(f"the description's {key} is not what it should be, a {_NAMES[kind]}")
    return value


_NAMES = {str: "text", dict: "mapping", int: "number", list: "list"}


def _networks(document: Mapping[str, Any]) -> dict[str, Network]:
    networks = dict(generate.LOCAL_NETWORKS)
    for name, settings in document.items():
        if not isinstance(settings, dict) or set(settings) != {"cidr", "interface", "vip"}:
            raise UsageError(f"the description's network {name} needs cidr, interface and vip, and nothing else")
        networks[str(name)] = Network(**{key: str(value) for key, value in settings.items()})
    return networks


def _controllers(
    given: Any, name: str, networks: Mapping[str, Network], memory_mb: int | None
) -> tuple[Controller, ...]:
    if isinstance(given, int) and not isinstance(given, bool):
        if not 1 <= given <= generate.MOST_CONTROLLERS:
            raise UsageError(f"{given} controllers: a cluster has 1 to {generate.MOST_CONTROLLERS}")
        return generate.numbered(given, name=name, networks=networks, memory_mb=memory_mb)
    if not isinstance(given, list) or not given:
        raise UsageError("the description's controllers are neither a number nor a list")
    if len(given) > generate.MOST_CONTROLLERS:
        raise UsageError(f"{len(given)} controllers: a cluster has 1 to {generate.MOST_CONTROLLERS}")
    numbered = generate.numbered(len(given), name=name, networks=networks, memory_mb=memory_mb)
    return tuple(_controller(item, default) for item, default in zip(given, numbered, strict=True))


def _controller(item: Any, default: Controller) -> Controller:
    if isinstance(item, str):
        is_address = generate.is_address(item)
        return Controller(default.name if is_address else item, item if is_address else default.ip, default.memory_mb)
    if not isinstance(item, dict) or not set(item) <= {"name", "ip", "memory_mb"}:
        raise UsageError("a controller of the description is neither a name, an address nor {name, ip, memory_mb}")
    return Controller(
        str(item.get("name", default.name)),
        str(item.get("ip", default.ip)),
        _typed(item, "memory_mb", int, default.memory_mb),
    )


def _services(document: Mapping[str, Any]) -> tuple[str, ...]:
    profile = generate.profile(_typed(document, "profile", str, "core"))
    services = _typed(document, "services", list, list(profile))
    return tuple(str(service) for service in services)
