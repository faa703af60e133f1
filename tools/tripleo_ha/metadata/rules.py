"""What JSON Schema cannot say about one document: pure rules, each on sections that passed their schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from tripleo_ha.metadata.findings import Finding

Document = Mapping[str, Any]


def check(document: Document, present: frozenset[str]) -> list[Finding]:
    """Run every rule whose sections are there.

    :param document: only the sections that are valid.
    :param present: every top-level key of the original document, valid or not.
    """
    return list(_node_in_list(document))


def _node_in_list(document: Document) -> Iterator[Finding]:
    if "cluster" in document and "node" in document:
        names = [node["name"] for node in document["cluster"]["nodes"]]
        if document["node"]["name"] not in names:
            yield Finding("THA203", ("node", "name"), "this node is not in cluster.nodes")
