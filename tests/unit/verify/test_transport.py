"""How a cluster to verify is described, and what is said where it is described wrongly."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tripleo_ha.cli.main import main
from tripleo_ha.devtest import store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import passwords
from tripleo_ha.metadata.generate import CORE, Description, generate, numbered
from tripleo_ha.verify.runner import Target
from tripleo_ha.verify.transport import BedTransport, from_inventory

NAMES = tuple(f"overcloud-controller-{index}" for index in range(3))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kept = passwords.ensure(tmp_path_factory.mktemp("kept") / "passwords.yaml", CORE)
    return generate(Description(numbered(len(NAMES))), kept)[NAMES[0]]


@pytest.fixture
def document(good: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(good)


def inventory(place: Path, told: dict[str, Any] | str, **rest: Any) -> Path:
    text = told if isinstance(told, str) else yaml.safe_dump(told)
    (place / "node.yaml").write_text(text)
    (place / "inventory.yaml").write_text(yaml.safe_dump({"metadata": "node.yaml", **rest}))
    return place / "inventory.yaml"


def test_nodes_are_reached_where_the_inventory_or_else_the_metadata_has_them(
    document: dict[str, Any], tmp_path: Path
) -> None:
    # As the node itself keeps it.
    document["derived"] = {"urls": {}}
    transport = from_inventory(inventory(tmp_path, document, nodes={NAMES[1]: "admin@there"}))
    assert transport.addresses == {NAMES[0]: "root@192.0.2.11", NAMES[1]: "admin@there", NAMES[2]: "root@192.0.2.13"}
    assert Target.of(transport).vip("public") == "198.51.100.10"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.pop("node"), "the key node is missing"),
        (lambda document: document["cluster"].pop("virtual_ips"), "cluster: the key virtual_ips is missing"),
        (lambda document: document["node"].update(name="elsewhere"), "node.name: this node is not in cluster.nodes"),
        (lambda document: document.update(tls=None), "tls: found nothing"),
    ],
)
def test_metadata_that_no_node_accepts_is_told_of_with_its_file(
    change: Any, said: str, document: dict[str, Any], tmp_path: Path
) -> None:
    change(document)
    with pytest.raises(UsageError) as refused:
        from_inventory(inventory(tmp_path, document))
    assert f"{tmp_path}/node.yaml: " in refused.value.message
    assert said in refused.value.message


@pytest.mark.parametrize("text", ["cluster:\n  name: [\n", "cluster:\n  name: 1\n  name: 2\n", "a:\n  b: 2024-99-99\n"])
def test_a_fault_in_the_notation_has_file_and_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"node\.yaml:[23]:\d+: "):
        from_inventory(inventory(tmp_path, text))


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ({"nodes": {"overcloud-controler-1": "root@there"}}, "nodes: no node overcloud-controler-1 in "),
        ({"nodes": {NAMES[1]: None}}, f"nodes.{NAMES[1]}: expected USER@HOST"),
        ({"nodes": {NAMES[1]: "-oProxyCommand=reboot"}}, f"nodes.{NAMES[1]}: expected USER@HOST"),
        ({"nodes": [NAMES[1]]}, "nodes: expected a map"),
        ({"node": {}}, "an inventory has no key node"),
        ({"metadata": ["node.yaml"]}, "metadata: expected the name of a file"),
    ],
)
def test_what_an_inventory_cannot_have_is_refused(
    rest: dict[str, Any], said: str, document: dict[str, Any], tmp_path: Path
) -> None:
    file = inventory(tmp_path, document, **rest)
    with pytest.raises(UsageError) as refused:
        from_inventory(file)
    assert refused.value.message.startswith(f"{file}: {said}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text("metadata: nowhere.yaml\n")
    with pytest.raises(UsageError, match=r"/nowhere\.yaml: No such file"):
        from_inventory(tmp_path / "inventory.yaml")


@pytest.fixture
def bed(tmp_path: Path, good: dict[str, Any]) -> Bed:
    store.save(tmp_path / "state", store.Record(str(tmp_path / "image"), "checksum", NAMES))
    found = Bed.open(tmp_path / "state")
    for node in found.nodes:
        node.metadata_file.parent.mkdir(parents=True)
        node.metadata_file.write_text(json.dumps(good))
    return found


def test_a_bed_whose_metadata_is_refused_cannot_be_verified(bed: Bed, good: dict[str, Any]) -> None:
    assert Target.of(BedTransport(bed)).metadata == good
    bed.nodes[0].metadata_file.write_text(json.dumps({**good, "cluster": None}))
    with pytest.raises(UsageError, match=f"{NAMES[0]} was handed metadata that it refuses: THA103 cluster: "):
        Target.of(BedTransport(bed))


def test_a_bed_that_the_machine_has_forgotten_is_no_finding(
    bed: Bed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot of this machine its record is there, and no network."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "--state", str(bed.state)])
    assert ended.value.code == 2
    assert "networks of the bed in" in capsys.readouterr().err
