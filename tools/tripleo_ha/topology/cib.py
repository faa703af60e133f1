"""The words of a CIB: primitives, their operations and parameters, as elements."""

from collections.abc import Mapping
from xml.etree import ElementTree

Element = ElementTree.Element


def add(parent: Element, tag: str, **attributes: str) -> Element:
    """Return a new last child of ``parent``."""
    return ElementTree.SubElement(parent, tag, attributes)


def nvset(parent: Element, tag: str, name: str, values: Mapping[str, str]) -> None:
    """Add a set of names and values, in the order of the names."""
    found = add(parent, tag, id=name)
    for key in sorted(values):
        add(found, "nvpair", id=f"{name}-{key}", name=key, value=values[key])


def primitive(
    parent: Element, name: str, agent: tuple[str, str, str], parameters: Mapping[str, str], meta: Mapping[str, str]
) -> Element:
    """Add a resource.

    :param agent: its class, type and provider; the provider may be empty.
    """
    standard, kind, provider = agent
    attributes = {"id": name, "class": standard, "type": kind}
    if provider:
        attributes["provider"] = provider
    found = ElementTree.SubElement(parent, "primitive", attributes)
    if meta:
        nvset(found, "meta_attributes", f"{name}-meta", meta)
    if parameters:
        nvset(found, "instance_attributes", f"{name}-parameters", parameters)
    return found


def operations(parent: Element, **timed: tuple[str, str]) -> Element:
    """Give a primitive its operations, each with its interval and timeout, and return the element that holds them."""
    found = add(parent, "operations")
    for name, (interval, timeout) in timed.items():
        add(found, "op", id=f"{parent.get('id')}-{name}", name=name, interval=interval, timeout=timeout)
    return found
