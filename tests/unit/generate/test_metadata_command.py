"""``tripleo-ha metadata``: what it writes, what it keeps, and how it refuses."""

import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tripleo_ha import endpoints
from tripleo_ha.cli import main as cli
from tripleo_ha.metadata import authority, schema
from tripleo_ha.metadata.generate import Description, numbered


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def nodes(out: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in sorted((out / "nodes").iterdir())}


def test_it_writes_private_documents_and_one_for_heat(tmp_path: Path) -> None:
    assert command("metadata", "generate", "--controllers", 3, "--out", tmp_path) == 0
    assert len(nodes(tmp_path)) == 3
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    parameters = json.loads((tmp_path / "heat.json").read_text())["parameters"]
    assert parameters["nodes"] == [document["node"] for document in nodes(tmp_path).values()]


def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("metadata", "generate", "--controllers", 3, "--out", tmp_path)
    capsys.readouterr()
    assert command("metadata", "generate", "--controllers", 3, "--out", tmp_path) == 0
    told = capsys.readouterr().out
    assert "wrote" not in told
    assert told.count("kept") == 4


def test_growing_and_shrinking_keeps_the_values_and_drops_the_gone(tmp_path: Path) -> None:
    command("metadata", "generate", "--controllers", 1, "--out", tmp_path)
    small = nodes(tmp_path)["overcloud-controller-0"]
    command("metadata", "generate", "--controllers", 5, "--out", tmp_path)
    large = nodes(tmp_path)
    assert len(large) == 5
    assert {**large["overcloud-controller-0"], "cluster": 0} == {**small, "cluster": 0}
    (tmp_path / "nodes" / "notes.json").write_text("[]")
    command("metadata", "generate", "--controllers", 1, "--out", tmp_path)
    assert set(nodes(tmp_path)) == {"overcloud-controller-0", "notes"}


def test_a_rotation_reaches_every_node(tmp_path: Path) -> None:
    command("metadata", "generate", "--controllers", 3, "--out", tmp_path)
    before = nodes(tmp_path)
    assert command("metadata", "rotate-fernet", "--controllers", 3, "--out", tmp_path) == 0
    for name, document in nodes(tmp_path).items():
        keys = {item["index"]: item["key"] for item in document["keystone"]["fernet_keys"]}
        assert set(keys) == {0, 1, 2}
        assert keys[2] == before[name]["keystone"]["fernet_keys"][0]["key"]
        document["keystone"]["fernet_keys"] = before[name]["keystone"]["fernet_keys"]
        assert document == before[name]


def test_public_endpoints_are_encrypted_unless_one_value_says_otherwise(tmp_path: Path) -> None:
    assert command("metadata", "generate", "--out", tmp_path) == 0
    for document in nodes(tmp_path).values():
        assert set(endpoints.encrypted(document)) == {"public"}
    (tmp_path / "plain.yaml").write_text("overrides: {tls: {public: {enabled: false}}}\n")
    assert command("metadata", "generate", "--description", tmp_path / "plain.yaml", "--out", tmp_path) == 0
    for document in nodes(tmp_path).values():
        assert endpoints.encrypted(document) == {}
    (tmp_path / "inside.yaml").write_text("overrides: {tls: {control: {enabled: true}}}\n")
    assert command("metadata", "generate", "--description", tmp_path / "inside.yaml", "--out", tmp_path) == 0
    for document in nodes(tmp_path).values():
        assert set(endpoints.encrypted(document)) == {"control", "public"}


def test_a_renewed_certificate_reaches_every_node_and_nothing_else_changes(tmp_path: Path) -> None:
    command("metadata", "generate", "--controllers", 3, "--out", tmp_path)
    before = nodes(tmp_path)
    assert command("metadata", "renew-certificate", "--controllers", 3, "--out", tmp_path) == 0
    renewed = set()
    for name, document in nodes(tmp_path).items():
        for vip in ("control", "public"):
            assert document["tls"][vip]["key"] != before[name]["tls"][vip]["key"]
            renewed.add(document["tls"][vip].pop("certificate"))
            document["tls"][vip] = before[name]["tls"][vip]
        assert document == before[name]
    assert len(renewed) == 2
    authoritys = yaml.safe_load((tmp_path / "passwords.yaml").read_text())["tls"]["ca_key"].splitlines()[1]
    assert authoritys not in (tmp_path / "heat.json").read_text()


def test_one_that_has_expired_is_told_and_can_be_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "CERTIFICATE", timedelta(minutes=-1))
    authority.ensure(tmp_path / "passwords.yaml", Description(numbered(3)), datetime.now(UTC))
    monkeypatch.undo()
    assert command("metadata", "generate", "--out", tmp_path) == 1
    assert re.search(r"passwords\.yaml:\d+:5: THA228 tls\.public\.certificate", capsys.readouterr().err)
    assert command("metadata", "renew-certificate", "--out", tmp_path) == 0
    assert "issued anew: tls.public.certificate, with another key" in capsys.readouterr().out
    assert command("metadata", "generate", "--out", tmp_path) == 0


def test_a_certificate_from_elsewhere_is_not_renewed_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("metadata", "generate", "--out", tmp_path / "first")
    own = next(iter(nodes(tmp_path / "first").values()))["tls"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"overrides": {"tls": own}}))
    arguments = ("--description", tmp_path / "own.yaml", "--out", tmp_path / "second")
    assert command("metadata", "generate", *arguments) == 0
    assert next(iter(nodes(tmp_path / "second").values()))["tls"] == own
    assert "tls" not in yaml.safe_load((tmp_path / "second" / "passwords.yaml").read_text())
    assert command("metadata", "renew-certificate", *arguments) == 2
    assert "overrides" in capsys.readouterr().err


def test_a_description_and_passwords_elsewhere(tmp_path: Path) -> None:
    file, store = tmp_path / "cloud.yaml", tmp_path / "secrets" / "p.yaml"
    file.write_text("controllers: [ctl-a]\nname: cloud\nservices: [mysql, haproxy, pacemaker]\n")
    arguments = ("--description", file, "--passwords", store, "--out", tmp_path / "out")
    assert command("metadata", "generate", *arguments) == 0
    assert set(nodes(tmp_path / "out")) == {"ctl-a"}
    assert set(yaml.safe_load(store.read_text())) == {"haproxy", "pacemaker", "tls"}


def test_what_the_gate_would_refuse_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text("overrides: {keystone: {workers: many}}\n")
    assert command("metadata", "generate", "--description", file, "--out", tmp_path / "out") == 1
    assert f"\n  {file}:1:24: THA103 keystone.workers: found text" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bad_password_is_blamed_on_its_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "passwords.yaml"
    store.touch(mode=0o600)
    store.write_text("haproxy:\n  stats_password: s3cret\n")
    assert command("metadata", "generate", "--out", tmp_path) == 1
    told = capsys.readouterr().err
    assert f"\n  {store}:2:3: THA107 haproxy.stats_password: " in told
    assert "s3cret" not in told
    assert store.read_text() == "haproxy:\n  stats_password: s3cret\n"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("{tls: 5}", "THA103 tls: found an integer"),
        ("{tls: {public: true}}", "THA103 tls.public: found true"),
        ("{tls: {public: {name: 7}}}", "THA103 tls.public.name: found an integer"),
        ('{tls: {public: {name: "a b ü"}}}', "THA106 tls.public.name: found other text"),
        ("{cluster: null}", "THA103 cluster: found nothing (null)"),
        ("{cluster: {virtual_ips: {public: null}}}", "THA103 cluster.virtual_ips.public: found nothing (null)"),
        ("{cluster: {virtual_ips: {public: {ip: 5}}}}", "THA103 cluster.virtual_ips.public.ip: found an integer"),
        ("{mysql: {extra: {mysqld: {1: 2}}}}", "a key that is not text"),
    ],
)
@pytest.mark.parametrize("verb", ["generate", "renew-certificate"])
def test_a_wrong_override_is_told_with_its_place(
    verb: str, overrides: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text(f"overrides: {overrides}\n")
    assert command("metadata", verb, "--description", file, "--out", tmp_path / "out") in (1, 2)
    told = capsys.readouterr().err
    assert words in told
    assert f"{file}:1:" in told


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ("{ca: x, ca_key: x}", "THA106 tls.ca: found other text"),
        ("{ca: [x], ca_key: x}", "THA103 tls.ca: found a list of 1"),
        ("{public: 5}", "THA103 tls.public: found an integer"),
        ("{ca_key: x}", "tls.ca_key is there, and tls.ca is not"),
        ("5", "not a passwords file"),
    ],
)
def test_an_authority_that_is_none_is_told_and_kept(
    tls: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "passwords.yaml"
    store.touch(mode=0o600)
    store.write_text(f"tls: {tls}\n")
    assert command("metadata", "generate", "--out", tmp_path) == 2
    assert f"{store}: {words}" in capsys.readouterr().err
    assert store.read_text() == f"tls: {tls}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name: a\ncontrolers: 3\n", ":2:1: controlers: no key of this name\n  hint: did you mean controllers?"),
        ("controllers:\n- a\n- {memory_mb: much}\n", ":3:4: controllers[1].memory_mb: found text"),
        ("controllers:\n- a\n- {nam: b}\n", ":3:4: controllers[1].nam: no key of this name"),
        ("controllers: [a, 3]\n", ":1:18: controllers[1]: found an integer"),
        ("services: [mysql, rabit]\n", ":1:19: services[1]: no service 'rabit'\n  hint: did you mean rabbit?"),
        ("name: a\nname: b\n", ":2:1: this key stands here already, on line 1"),
        ("networks: {control: {cidr: a, interface: b, vip: c}}", ":1:22: networks.control.cidr: not a network"),
        ("networks: {control: {cidr: a, vip: c}}", ":1:12: networks.control: the key interface is missing"),
        ("profile: huge\n", ":1:1: profile: no profile 'huge'"),
    ],
)
def test_a_wrong_description_is_told_with_its_place(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text(content)
    assert command("metadata", "generate", "--description", file, "--out", tmp_path / "out") == 2
    assert f"{file}{words}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_the_command_line_says_is_not_blamed_on_the_description(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text("controllers: 3\n")
    arguments = ("--description", file, "--controllers", 10, "--out", tmp_path / "out")
    assert command("metadata", "generate", *arguments) == 2
    assert str(file) not in capsys.readouterr().err


def test_a_failed_rotation_rotates_nothing(tmp_path: Path) -> None:
    command("metadata", "generate", "--out", tmp_path)
    before = (tmp_path / "passwords.yaml").read_bytes()
    for few in (2, 0, -1):
        assert command("metadata", "rotate-fernet", "--max-active-keys", few, "--out", tmp_path) == 2
    (tmp_path / "bad.yaml").write_text("overrides: {mysql: {gcache_mb: 1}}\n")
    assert command("metadata", "rotate-fernet", "--description", tmp_path / "bad.yaml", "--out", tmp_path) == 1
    assert (tmp_path / "passwords.yaml").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--controllers", 0),
        ("--controllers", 4),
        ("--controllers", 11),
        ("--controllers", "three"),
        ("--description", "absent"),
        (),
    ],
)
def test_wrong_use_is_two(arguments: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", tmp_path / "new") if arguments else ()
    assert command("metadata", "generate", *arguments, *out) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", ["- a\n", "a: [\n", "a: \x00", "true\n"])
def test_a_description_that_is_none_is_two(content: str, tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(content)
    assert command("metadata", "generate", "--description", tmp_path / "d.yaml", "--out", tmp_path / "out") == 2


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("metadata", "generate", "--out", "/proc/nowhere") == 2
    (tmp_path / "nodes").write_text("")
    assert command("metadata", "generate", "--out", tmp_path) == 2
    assert "nodes" in capsys.readouterr().err


def test_heats_templates_take_what_is_generated(tmp_path: Path) -> None:
    command("metadata", "generate", "--controllers", 3, "--profile", "full", "--out", tmp_path)
    parameters = json.loads((tmp_path / "heat.json").read_text())["parameters"]
    heat = Path(__file__).parents[3] / "heat"
    outer = yaml.safe_load((heat / "controllers.yaml").read_text())
    inner = yaml.safe_load((heat / "controller.yaml").read_text())
    assert set(parameters) <= set(outer["parameters"])
    handed_on = outer["resources"]["controllers"]["properties"]["resource_def"]["properties"]
    assert set(handed_on) == set(inner["parameters"])
    shared, node = inner["resources"]["controller"]["metadata"]["map_merge"]
    assert shared == {"get_param": "metadata"}
    described = {name for name in schema.sections() if schema.read(name).get("x-external")}
    assert set(parameters["metadata"]) | set(node) == set(schema.sections()) - described
