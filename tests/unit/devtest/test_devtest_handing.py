"""What a bed's nodes are handed depends on what their image knows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import endpoints
from tripleo_ha.devtest import credentials, handing, layout, show, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.metadata import check, schema

SCHEMAS = Path(__file__).parents[3] / "schemas"


def bed(state: Path, image: Path) -> Bed:
    return Bed(state, store.Record(str(image), "checksum", ("overcloud-controller-0",)))


def test_public_services_are_encrypted_where_the_image_can(tmp_path: Path) -> None:
    schemas = tmp_path / "image/usr/share/tripleo-ha/schemas"
    schemas.mkdir(parents=True)
    state = tmp_path / "state"
    (before,) = handing.generated(bed(state, tmp_path / "image")).values()
    assert endpoints.encrypted(before) == {}
    shutil.copy(SCHEMAS / "tls.json", schemas)
    (after,) = handing.generated(bed(state, tmp_path / "image")).values()
    assert set(endpoints.encrypted(after)) == {"public"}
    assert {key: value for key, value in after.items() if key != "tls"} == before
    assert handing.generated(bed(state, tmp_path / "image")) == {"overcloud-controller-0": after}


def test_an_image_of_before_is_handed_no_certificate_for_the_inside(tmp_path: Path) -> None:
    schemas = tmp_path / "image/usr/share/tripleo-ha/schemas"
    schemas.mkdir(parents=True)
    declared = json.loads((SCHEMAS / "tls.json").read_text())
    (schemas / "tls.json").write_text(json.dumps(declared))
    state = tmp_path / "state"
    (now,) = handing.generated(bed(state, tmp_path / "image")).values()
    del declared["properties"]["control"]
    (schemas / "tls.json").write_text(json.dumps(declared))
    (before,) = handing.generated(bed(state, tmp_path / "image")).values()
    assert now["tls"].pop("control")
    assert before == now


def test_a_profile_is_handed_as_far_as_the_image_knows_it(tmp_path: Path) -> None:
    schemas = tmp_path / "usr/share/tripleo-ha/schemas"
    schemas.mkdir(parents=True)
    shutil.copy(SCHEMAS / "tls.json", schemas)
    (schemas / "glance.json").touch()
    (schemas / "neutron.json").touch()
    full = store.Record(str(tmp_path), "checksum", ("overcloud-controller-0",), profile="full")
    (handed,) = handing.generated(Bed(tmp_path / "state", full)).values()
    assert {"keystone", "glance"} <= set(handed)
    assert "placement_api" not in handed
    assert handed["neutron"]["physical_networks"][0]["interface"] == layout.EXTERNAL.interface
    assert [found for found in check.check_document(handed) if found.severity == "error"] == []
    (core,) = handing.generated(bed(tmp_path / "state", tmp_path)).values()
    assert "glance" not in core


def test_samples_that_are_kept_come_more_often_than_deployers_want_them(tmp_path: Path) -> None:
    schemas = tmp_path / "usr/share/tripleo-ha/schemas"
    schemas.mkdir(parents=True)
    shutil.copy(SCHEMAS / "tls.json", schemas)
    (schemas / "gnocchi.json").touch()
    full = store.Record(str(tmp_path), "checksum", ("overcloud-controller-0",), profile="full")
    (often,) = handing.generated(Bed(tmp_path / "state", full)).values()
    (seldom,) = handing.generated(bed(tmp_path / "state", tmp_path)).values()
    intervals = [schema.with_defaults(each)["ceilometer"]["polling_interval_s"] for each in (often, seldom)]
    assert intervals[0] < intervals[1]
    assert [found for found in check.check_document(often) if found.severity == "error"] == []


def changed(document: dict[str, Any], section: str, value: Any) -> dict[str, Any]:
    return {**document, section: {**document[section], **value} if isinstance(value, dict) else value}


@pytest.mark.parametrize(
    ("section", "value"),
    [("tls", None), ("keystone", None), ("keystone", {"admin_password": 12345}), ("cluster", {"virtual_ips": {}})],
)
def test_what_the_node_will_refuse_is_pushed_and_leaves_the_credentials(
    section: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bed, "running", lambda bed, node: False)
    monkeypatch.setattr(Bed, "powered", lambda bed, node: False)
    ours = bed(tmp_path / "state", tmp_path / "image")
    name = ours.nodes[0].name
    openrc = ours.state / credentials.OPENRC
    good = handing.generated(ours)[name]
    assert handing.edit(ours, name, good)
    before = openrc.read_text()
    bad = changed(good, section, value)
    assert handing.edit(ours, name, bad)
    assert ours.metadata(name) == bad
    assert handing.refusal(bad)
    assert openrc.read_text() == before
    # The command that is offered next.
    assert show.status(ours)["services"] == []
    # As a later `up` does.
    handing.give_credentials(ours, handing.documents(ours))
    assert handing.edit(ours, name, changed(good, "keystone", {"region": "elsewhere"}))
    assert "elsewhere" in openrc.read_text()
