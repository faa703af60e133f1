"""What the nodes of a bed are handed, and what is taken from them to be kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tripleo_ha import endpoints
from tripleo_ha.devtest import bmcs, credentials, edits, storage
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.devtest.edits import Edits
from tripleo_ha.devtest.layout import EXTERNAL
from tripleo_ha.files import write_file
from tripleo_ha.metadata import authority, check, passwords
from tripleo_ha.metadata.generate import CORE, Description, generate, numbered, profile

NETWORKING = {
    "datapath": "netdev",
    "tenant_network_type": "vlan",
    "physical_networks": [
        {"name": "external", "bridge": "br-ex", "interface": EXTERNAL.interface, "vlans": ["100:199"]}
    ],
}
"""The kernel under a bed need not know Open vSwitch, which then forwards by itself."""
POLLING_S = 60
"""Between two samples of the same, where somebody keeps them: no test is to wait for minutes to see three."""


def generated(bed: Bed) -> dict[str, dict[str, Any]]:
    """Return what is generated for the bed's nodes, by name, with the passwords it has had from the start."""
    overrides: dict[str, Any] = {}
    if bed.record.fencing:
        overrides["pacemaker"] = {"fencing": bmcs.fencing(bed.state, bed.nodes)}
    if storage.runs(bed.record):
        overrides |= storage.metadata(bed.state)
    services = [key for key in profile(bed.record.profile) if key in CORE or bed.record.knows(key)]
    if "neutron" in services:
        overrides["neutron"] = NETWORKING
    if "gnocchi" in services:
        overrides["ceilometer"] = {"polling_interval_s": POLLING_S}
    wanted = Description(numbered(len(bed.nodes)), services=tuple(services), overrides=overrides, allow_even=True)
    if not bed.record.knows("tls"):
        return generate(wanted, passwords.ensure(bed.passwords_file, CORE))
    handed = generate(wanted, authority.ensure(bed.passwords_file, wanted, datetime.now(UTC)))
    if not bed.record.knows_below("tls", endpoints.CONTROL):
        for document in handed.values():
            del document["tls"][endpoints.CONTROL]
    return handed


def documents(bed: Bed) -> dict[str, dict[str, Any]]:
    """Return what the bed's nodes are to be handed: generated, and edited as the node was, a new one as the first."""
    first = bed.nodes[0].directory
    chosen = {}
    for node in bed.nodes:
        own = _edits_file(node.directory)
        chosen[node.name] = load_edits(own if own.exists() else _edits_file(first))
    return {name: edits.apply(document, chosen[name]) for name, document in generated(bed).items()}


def edit(bed: Bed, node: str, document: dict[str, Any]) -> bool:
    """Make ``document`` what a node is handed from now on, push it, and return whether that was anything new.

    What the node will refuse is pushed as well: that is how the gate is seen at work.
    """
    target = bed.node(node)
    wanted = edits.difference(generated(bed)[target.name], document)
    write_file(_edits_file(target.directory), json.dumps(asdict(wanted), indent=1) + "\n")
    handed = documents(bed)
    give_credentials(bed, handed)
    return bed.push(target.name, handed[target.name])


def give_credentials(bed: Bed, handed: Mapping[str, dict[str, Any]]) -> None:
    """Write what the cloud's clients need; it stays as it was where the first node refuses its metadata, as the cloud.

    :param handed: as :func:`documents` returns it.
    """
    document = handed[bed.nodes[0].name]
    if not refusal(document):
        credentials.write(bed.state, document)


def refusal(document: Mapping[str, Any]) -> str:
    """Return the first reason why a node of this checkout's image refuses metadata, or an empty string."""
    errors = (finding for finding in check.check_document(document) if finding.severity == "error")
    return str(next(errors, ""))


def load_edits(file: Path) -> Edits:
    """Read what was edited in a node's metadata; nothing where there is no such file."""
    if not file.exists():
        return Edits()
    document = json.loads(file.read_text())
    return Edits(document["changed"], tuple(tuple(path) for path in document["removed"]))


def keep_timelines(bed: Bed) -> None:
    """Copy each node's timeline next to its disks, where it outlives the boot it tells of."""
    for node in bed.nodes:
        if (steps := bed.read(node.name, "timeline.json")) is not None:
            write_file(node.directory / "timeline.json", json.dumps(steps) + "\n")


def _edits_file(directory: Path) -> Path:
    return directory / "edits.json"
