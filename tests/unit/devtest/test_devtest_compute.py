"""The bed's compute node: which beds have it, what it is told, and when it is started"""

import configparser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import table
from tripleo_ha.devtest import beside, cgroups, compute, container, handing, layout, show, storage, store
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.errors import Failure
from tripleo_ha.metadata.messaging import RABBIT
from tripleo_ha.run import Completed
from tripleo_ha.topology import rabbitmq

ADDRESS = "192.0.2.60"
SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that knows all services."""
    root = tmp_path_factory.mktemp("image")
    share = root / "usr/share/tripleo-ha"
    share.mkdir(parents=True)
    (share / "schemas").symlink_to(SCHEMAS)
    return root


@pytest.fixture
def bed(image: Path, tmp_path: Path) -> Bed:
    made = Bed(tmp_path / "state", record(image))
    made.cgroup = tmp_path / "cgroup"
    return made


@pytest.fixture(scope="module")
def document(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first controller is handed."""
    bed = Bed(tmp_path_factory.mktemp("state"), record(image))
    return handing.generated(bed)[bed.nodes[0].name]


@pytest.fixture(scope="module")
def files(document: dict[str, Any]) -> dict[str, str]:
    """What the node is told."""
    return compute.files(document, ADDRESS)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> dict[Path, list[str]]:
    """The commands of nodes that run, by their cgroups, and no containers."""
    started: dict[Path, list[str]] = {}
    monkeypatch.setattr(container, "start", lambda node, cgroup, netns, boot: started.update({cgroup: boot}))
    monkeypatch.setattr(cgroups, "populated", lambda cgroup: cgroup in started)
    monkeypatch.setattr(cgroups, "kill", lambda cgroup: started.pop(cgroup, None))
    return started


def record(image: Path, profile: str = "full") -> store.Record:
    return store.Record(str(image), "checksum", layout.node_names(3), profile=profile)


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, default_section="")
    parser.read_string(text)
    return parser


def secrets(value: Any, section: str = "") -> dict[str, str]:
    """Return every password in metadata, by where it is."""
    if isinstance(value, dict):
        return {where: one for key, each in value.items() for where, one in secrets(each, f"{section}.{key}").items()}
    return {section: value} if isinstance(value, str) and re.search(r"password|secret", section) else {}


def test_a_compute_node_is_for_those_that_have_what_it_belongs_to(image: Path, tmp_path: Path) -> None:
    assert compute.runs(record(image))
    assert not compute.runs(record(image, profile="core"))
    older = tmp_path / "older/usr/share/tripleo-ha/schemas"
    older.mkdir(parents=True)
    assert not compute.runs(record(tmp_path / "older"))
    shutil.copy(SCHEMAS / "nova.json", older)
    assert not compute.runs(record(tmp_path / "older"))


def test_it_takes_the_place_of_no_other_node(tmp_path: Path) -> None:
    node = compute.node(tmp_path)
    others = [*layout.bed_nodes(tmp_path, layout.node_names(layout.SCALES[-1])), storage.node(tmp_path)]
    assert node.ip == ADDRESS
    assert node.ip not in {each.ip for each in others}
    assert not {link for each in others for link in each.links} & set(node.links)


@pytest.mark.parametrize("service", ["nova", "neutron"])
def test_it_is_the_services_own_user_of_the_broker_and_talks_as_the_controllers_do(
    service: str, document: dict[str, Any], files: dict[str, str]
) -> None:
    found = parsed(files[f"{service}.conf"])
    vip = document["cluster"]["virtual_ips"]["control"]["ip"]
    url = re.fullmatch(r"rabbit://([^:@]+):([^:@]+)@(.+):5672//", found["DEFAULT"]["transport_url"])
    assert url
    assert url[1].startswith(f"{service}-")
    assert url.groups()[1:] == (document[service]["messaging_password"], vip)
    assert RABBIT.items() <= dict(found["oslo_messaging_rabbit"]).items()
    assert found["DEFAULT"]["host"] == compute.NAME


def test_each_program_may_have_the_queues_it_asks_for(files: dict[str, str]) -> None:
    rows = {row.service: row for row in table.load()}
    for service, topics in {"nova": ("compute",), "neutron": ("q-agent-notifier-port-update",)}.items():
        found = parsed(files[f"{service}.conf"])
        process = found["oslo_messaging_rabbit"]["processname"]
        names = [f"reply_{compute.NAME}:{process}:1"]
        names += [f"{topic}{end}" for topic in topics for end in ("", f".{compute.NAME}", "_fanout")]
        rights = rabbitmq.permission(rows[service])
        for right in (rights.configure, rights.write, rights.read):
            assert [name for name in names if not re.search(right, name)] == []


def test_it_knows_nothing_of_the_database_and_no_more_secrets_than_it_needs(
    document: dict[str, Any], files: dict[str, str]
) -> None:
    told = {name: {where for where, one in secrets(document).items() if one in text} for name, text in files.items()}
    assert {name: where for name, where in told.items() if where} == {
        "nova.conf": {".nova.messaging_password", ".nova.service_password"},
        "neutron.conf": {".neutron.messaging_password"},
    }
    sections = re.findall(r"^\[(.+)\]$", "".join(files.values()), re.MULTILINE)
    assert not [name for name in sections if "database" in name]


def test_it_asks_other_services_as_nova_on_the_control_network(document: dict[str, Any], files: dict[str, str]) -> None:
    found = parsed(files["nova.conf"])
    vip = document["cluster"]["virtual_ips"]["control"]["ip"]
    for section in ("cinder", "neutron", "placement", "service_user"):
        assert (found[section]["auth_url"], found[section]["username"]) == (f"http://{vip}:5000/v3", "nova"), section
    assert {found[section]["valid_interfaces"] for section in ("glance", "neutron", "placement")} == {"internal"}


def test_it_trusts_the_clouds_authority_where_it_is_asked_encrypted(document: dict[str, Any]) -> None:
    inside = json.loads(json.dumps(document))
    inside["tls"]["control"]["enabled"] = True
    told = compute.files(inside, ADDRESS)
    assert told[compute.CA] == document["tls"]["ca"]
    assert f"export REQUESTS_CA_BUNDLE={compute.AT}/{compute.CA}\n" in told["start"]
    assert parsed(told["nova.conf"])["placement"]["auth_url"] == "https://192.0.2.10:5000/v3"
    assert "REQUESTS_CA_BUNDLE" not in compute.files(document, ADDRESS)["start"]


def test_its_switch_leads_where_the_controllers_do(document: dict[str, Any], files: dict[str, str]) -> None:
    found = parsed(files["neutron.conf"])
    assert found["ovs"]["bridge_mappings"] == "external:br-ex"
    assert found["ovs"]["datapath_type"] == document["neutron"]["datapath"]
    assert "add-br br-ex" in files["start"]
    assert f"add-port br-ex {layout.EXTERNAL.interface}" in files["start"]


def test_it_starts_once_and_again_when_it_is_told_something_new(
    bed: Bed, document: dict[str, Any], on: dict[Path, list[str]]
) -> None:
    assert [compute.ensure(bed, document), compute.ensure(bed, document)] == [True, False]
    (argv,) = on.values()
    shown = compute.node(bed.state).directory / compute.SHOWN
    assert {file.name: file.stat().st_mode & 0o777 for file in shown.iterdir()} == dict.fromkeys(
        ("nova.conf", "neutron.conf", "nova-compute", "start"), 0o600
    )
    assert not [word for word in argv for one in secrets(document).values() if one in word]
    changed = json.loads(json.dumps(document))
    changed["nova"]["messaging_password"] = "another-password-of-the-broker"
    assert compute.ensure(bed, changed)


def test_another_image_leaves_it_its_identity_and_nothing_else(
    bed: Bed, document: dict[str, Any], on: dict[Path, list[str]]
) -> None:
    target = compute.node(bed.state)
    beside.renew(target, bed.cgroup)
    assert not target.directory.exists()
    compute.ensure(bed, document)
    for part in ("upper", "state"):
        (target.directory / part / "compute_id").touch()
    beside.renew(target, bed.cgroup)
    assert not beside.runs(target, bed.cgroup)
    assert [(target.directory / part / "compute_id").exists() for part in ("upper", "state")] == [False, True]


def test_it_is_waited_for_until_nova_has_found_it(
    bed: Bed, document: dict[str, Any], on: dict[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute.ensure(bed, document)
    answers = iter(["| cell1 | 12 |", f"| cell1 | 12 | {compute.NAME} |"])
    monkeypatch.setattr(bed, "exec", lambda *_, **__: Completed((), 0, next(answers), ""))
    monkeypatch.setattr("time.sleep", lambda _: None)
    compute.wait_ready(bed)
    assert list(answers) == []


def test_a_node_that_ended_is_told_with_its_last_words(bed: Bed) -> None:
    node = compute.node(bed.state)
    node.directory.mkdir(parents=True)
    node.console.write_text("ovsdb-server: it went wrong\n")
    with pytest.raises(Failure, match="it went wrong"):
        compute.wait_ready(bed)


@pytest.mark.parametrize("profile", ["core", "full"])
def test_status_shows_the_nodes_beside_the_controllers(image: Path, bed: Bed, profile: str) -> None:
    bed.record = record(image, profile)
    beside_them = {node["name"]: (node["ip"], node["power"]) for node in show.status(bed)["beside"]}
    assert beside_them == ({compute.NAME: (ADDRESS, "off")} if profile == "full" else {})
