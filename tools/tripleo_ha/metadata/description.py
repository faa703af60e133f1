"""Reading the description of a cloud, as somebody writes it down."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import generate, suggestions
from tripleo_ha.metadata.findings import Path, clipped, dotted
from tripleo_ha.metadata.generate import Controller, Description, Network

KEYS = ("name", "controllers", "networks", "memory_mb", "services", "profile", "overrides")
_KINDS = {str: "text", dict: "a map", int: "a whole number", list: "a list"}
_GENERATED: Mapping[Path, str] = {
    ("cluster", "name"): "name",
    ("cluster", "nodes"): "controllers",
    ("cluster", "virtual_ips"): "networks",
}
"""What the cluster's metadata is generated from."""


class Misdescribed(UsageError):
    """A description is wrong.

    :param path: of what is wrong, in the description.
    """

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(f"{dotted(path)}: {message}", hint)
        self.path = path


def sources(path: Path) -> Iterator[Path]:
    """Yield where in a description the value may stand that has come to be at ``path`` of the metadata."""
    yield ("overrides", *path)
    if key := _GENERATED.get(path[:2]):
        yield (key, *path[2:3])
        yield (key,)


def parse(document: Mapping[str, Any], *, allow_even: bool = False) -> Description:
    """Turn a description document into a :class:`Description`.

    All keys may be left out: ``name``; ``controllers``, a number or a list of ``{name, ip, memory_mb}``, names or
    addresses; ``networks``, by name ``{cidr, interface, vip}``; ``memory_mb`` of every controller; ``services``, a
    list of metadata keys, or a ``profile``'s name; ``overrides``, merged over the generated metadata.

    :raises Misdescribed: naming the key or the item that is wrong.
    """
    _known(document, KEYS, ())
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


def _known(document: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> None:
    if unknown := sorted(str(key) for key in document if key not in keys):
        near = suggestions.nearest(unknown[0], keys)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(keys)}"
        raise Misdescribed((*path, unknown[0]), "no key of this name", hint)


def _typed(document: Mapping[str, Any], key: str, kind: type, default: Any, path: Path = ()) -> Any:
    value = document.get(key, default)
    if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
        raise Misdescribed((*path, key), f"found {suggestions.kind(value)}", f"expected {_KINDS[kind]}")
    return value


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    try:
        yield
    except Misdescribed:
        raise
    except UsageError as error:
        raise Misdescribed(path, error.message, error.hint) from error


def _networks(document: Mapping[str, Any]) -> dict[str, Network]:
    networks = dict(generate.LOCAL_NETWORKS)
    keys = ("cidr", "interface", "vip")
    for name, settings in document.items():
        path: Path = ("networks", str(name))
        if not isinstance(settings, dict):
            raise Misdescribed(path, f"found {suggestions.kind(settings)}", f"expected {{{', '.join(keys)}}}")
        _known(settings, keys, path)
        if missing := [key for key in keys if key not in settings]:
            raise Misdescribed(path, f"the key {missing[0]} is missing", f"a network has {', '.join(keys)}")
        networks[str(name)] = Network(**{key: _typed(settings, key, str, "", path) for key in keys})
        with _about((*path, "cidr")):
            generate.network_of(networks[str(name)].cidr)
    return networks


def _controllers(
    given: Any, name: str, networks: Mapping[str, Network], memory_mb: int | None
) -> tuple[Controller, ...]:
    path: Path = ("controllers",)
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if not is_number and not isinstance(given, list):
        raise Misdescribed(path, f"found {suggestions.kind(given)}", "expected how many, or a list of them")
    count = given if is_number else len(given)
    if not 1 <= count <= generate.MOST_CONTROLLERS:
        raise Misdescribed(path, f"{count} of them", f"a cluster has 1 to {generate.MOST_CONTROLLERS}")
    with _about(path):
        numbered = generate.numbered(count, name=name, networks=networks, memory_mb=memory_mb)
    if is_number:
        return numbered
    items = enumerate(zip(given, numbered, strict=True))
    return tuple(_controller(item, default, (*path, index)) for index, (item, default) in items)


def _controller(item: Any, default: Controller, path: Path) -> Controller:
    if isinstance(item, str):
        is_address = generate.is_address(item)
        return Controller(default.name if is_address else item, item if is_address else default.ip, default.memory_mb)
    keys = ("name", "ip", "memory_mb")
    if not isinstance(item, dict):
        wanted = f"expected a name, an address or {{{', '.join(keys)}}}"
        raise Misdescribed(path, f"found {suggestions.kind(item)}", wanted)
    _known(item, keys, path)
    return Controller(
        _typed(item, "name", str, default.name, path),
        _typed(item, "ip", str, default.ip, path),
        _typed(item, "memory_mb", int, default.memory_mb, path),
    )


def _services(document: Mapping[str, Any]) -> tuple[str, ...]:
    with _about(("profile",)):
        profile = generate.profile(_typed(document, "profile", str, "core"))
    services = _typed(document, "services", list, list(profile))
    return tuple(_service(service, ("services", index)) for index, service in enumerate(services))


def _service(service: Any, path: Path) -> str:
    if not isinstance(service, str):
        raise Misdescribed(path, f"found {suggestions.kind(service)}", "expected the key of a service")
    if service not in generate.services():
        near = suggestions.nearest(service, generate.services())
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(generate.services())}"
        raise Misdescribed(path, f"no service {clipped(service)}", hint)
    return service
