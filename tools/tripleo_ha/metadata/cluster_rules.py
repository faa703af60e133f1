"""Rules over the documents of all nodes of one cluster; the time is linear in their size."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tripleo_ha.metadata import schema
from tripleo_ha.metadata.findings import Finding, Path, dotted

Document = Mapping[str, Any]
Located = tuple[int, Finding]
"""A finding, and which of the documents it is about."""
MISSING_SHOWN = 5
"""Members without a document that are named; of the others only the number is told."""


def check(documents: Sequence[Document], versions: Sequence[Mapping[str, int]]) -> Iterator[Located]:
    """Compare the documents of one cluster with each other.

    :param documents: maps, otherwise of any content: what is wrong within one is not told here.
    :param versions: for each document and section a number that is the same where the values are.
    """
    yield from _same_node_twice(documents)
    yield from _shared_sections_differ(documents, versions)
    yield from _nobody(documents)


def _name(document: Document) -> str | None:
    node = document.get("node")
    name = node.get("name") if isinstance(node, Mapping) else None
    return name if isinstance(name, str) else None


def _same_node_twice(documents: Sequence[Document]) -> Iterator[Located]:
    first: dict[str, int] = {}
    for index, document in enumerate(documents):
        name = _name(document)
        if name is not None and first.setdefault(name, index) != index:
            message = "another document of this cluster is for the same node"
            yield index, Finding("THA301", ("node", "name"), message, "one document for each node")


def _shared_sections_differ(
    documents: Sequence[Document], versions_of: Sequence[Mapping[str, int]]
) -> Iterator[Located]:
    for section in schema.sections():
        if schema.read(section).get("x-scope") != "cluster":
            continue
        versions = [versions.get(section) for versions in versions_of]
        counted = Counter(versions)
        if len(counted) < 2:
            continue
        # What most nodes have is taken for right; among equals what the first document has.
        usual = max(counted, key=lambda version: counted[version])
        right = documents[versions.index(usual)].get(section)
        for index, version in enumerate(versions):
            if version != usual:
                yield index, _difference(section, documents[index], right, counted[usual])


def _difference(section: str, document: Document, right: Any, agreeing: int) -> Finding:
    others = f"{agreeing} other document{'s' if agreeing > 1 else ''} of this cluster"
    if section not in document:
        message = f"{section} is missing, though {others} have it"
        return Finding("THA302", (), message, "the same services on every node", f"add {section}", on_key=True)
    if right is None:
        message = f"{others} do not have this key"
        return Finding("THA302", (section,), message, "the same services on every node", on_key=True)
    path = (section, *first_difference(document[section], right))
    return Finding("THA302", path, f"differs from {others}", f"the same {dotted((section,))} on every node")


def first_difference(one: Any, other: Any) -> Path:
    """Return the path to the first place where two values differ, as deep as both have it."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in one:
            if key not in other:
                return (key,)
            if repr(one[key]) != repr(other[key]):
                return (key, *first_difference(one[key], other[key]))
    elif isinstance(one, list) and isinstance(other, list):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if repr(mine) != repr(theirs):
                return (index, *first_difference(mine, theirs))
    return ()


def _nobody(documents: Sequence[Document]) -> Iterator[Located]:
    """Tell of members that no document is for, at the first document that lists them."""
    have = {_name(document) for document in documents}
    for index, document in enumerate(documents):
        nodes = _nodes(document)
        if not isinstance(nodes, list) or (index and nodes == _nodes(documents[0])):
            continue
        missing = [place for place, node in enumerate(nodes) if _lacks_document(node, have)]
        have |= {nodes[place]["name"] for place in missing}
        shown = missing[:MISSING_SHOWN]
        more = f", nor for {len(missing) - MISSING_SHOWN} after it" if len(missing) > MISSING_SHOWN else ""
        for place in shown:
            path = ("cluster", "nodes", place, "name")
            message = f"no document of this directory is for this node{more if place == shown[-1] else ''}"
            yield index, Finding("THA303", path, message, "one document for each node", severity="warning")


def _lacks_document(node: Any, have: set[str | None]) -> bool:
    name = node.get("name") if isinstance(node, Mapping) else None
    return isinstance(name, str) and name not in have


def _nodes(document: Document) -> Any:
    cluster = document.get("cluster")
    return cluster.get("nodes") if isinstance(cluster, Mapping) else None
