"""``tripleo-ha render`` and ``tripleo-ha templates``, over the project's own elements."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tripleo_ha import table
from tripleo_ha.cli import main as cli
from tripleo_ha.metadata import generate, masking
from tripleo_ha.metadata.generate import Description, numbered
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.node import preview, programs
from tripleo_ha.templates.render import Rendered

SECRETS = Passwords({}).completed(generate.CORE)
Save = Callable[..., Path]


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write the first node's metadata of a cluster into a file."""

    def write(name: str, count: int = 3, secrets: Passwords = SECRETS, **overrides: Any) -> Path:
        documents = generate.generate(Description(numbered(count), overrides=overrides), secrets)
        file = tmp_path / name
        file.write_text(json.dumps(next(iter(documents.values()))))
        return file

    return write


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda _: None)


def test_it_writes_the_files_of_templates_and_of_handlers(save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("render", "--metadata", save("a.json"), "--out", out) == 0
    expected = [
        "keystone/keystone.conf",
        "haproxy/haproxy.cfg",
        "nftables.conf",
        "hosts",
        "corosync/authkey",
        "keystone/fernet-keys/1",
    ]
    assert [name for name in expected if not (out / "etc" / name).is_file()] == []
    assert stat.S_IMODE((out / "etc/haproxy/haproxy.cfg").stat().st_mode) == 0o600
    assert "{{" not in (out / "etc/keystone/keystone.conf").read_text()


def test_another_run_takes_away_what_is_left_over(save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command("render", "--metadata", save("a.json"), "--out", out)
    (out / "etc" / "mine").write_text("kept")
    less = json.loads(save("b.json").read_text())
    for key in ("keystone", "ceilometer"):
        del less[key]
    (tmp_path / "b.json").write_text(json.dumps(less))
    assert command("render", "--metadata", tmp_path / "b.json", "--out", out) == 0
    assert not (out / "etc/keystone/fernet-keys/1").exists()
    assert (out / "etc" / "mine").exists()


def test_no_secret_is_printed(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Passwords({}).completed(generate.CORE)
    one, two = save("a.json"), save("b.json", secrets=other)
    command("render", "--metadata", one, "--out", tmp_path / "out")
    command("render", "--diff", one, two)
    told = capsys.readouterr().out
    values = {value for file in (one, two) for value in masking.secrets(json.loads(file.read_text())).values()}
    assert len(values) > 15
    assert not [value for value in values if value in told]
    assert "<keystone.database_password of A>" in told
    assert "<keystone.database_password of B>" in told


def test_a_difference_shows_files_and_units(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command("render", "--diff", save("a.json"), save("b.json", keystone={"workers": 7}, haproxy={"maxconn": 9000}))
        == 0
    )
    told = capsys.readouterr().out
    assert "\n-processes = 1\n+processes = 7\n" in told
    assert "restart: keystone.service" in told
    assert "reload: haproxy.service" in told
    assert "2 files differ" in told


def test_nothing_differs_from_itself(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("render", "--diff", save("a.json"), save("b.json")) == 0
    assert capsys.readouterr().out == "0 files differ\n"


def test_a_changed_key_of_bytes_is_told_without_them(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    values = {**SECRETS.values, "pacemaker": Passwords({}).completed(["pacemaker"]).of("pacemaker")}
    command("render", "--diff", save("a.json"), save("b.json", secrets=Passwords(values)))
    assert "A/etc/corosync/authkey and B/etc/corosync/authkey differ, and are not text" in capsys.readouterr().out


def test_a_file_that_comes_or_goes(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after = save("b.json", secrets=SECRETS.rotated())
    command("render", "--diff", save("a.json"), after)
    assert "--- /dev/null\n+++ B/etc/keystone/fernet-keys/2\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [(), ("--out", "x"), ("--metadata", "x"), ("--diff", "a", "b", "--out", "x")])
def test_wrong_use_is_two(arguments: tuple[str, ...]) -> None:
    assert command("render", *arguments) == 2


@pytest.mark.parametrize("content", [b"\xff", b"[]", b"{", b"a: 1\na: 2\n", None])
def test_what_is_no_document_is_two(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    if content is not None:
        file.write_bytes(content)
    assert command("render", "--metadata", file, "--out", tmp_path / "out") == 2


def test_the_place_of_a_fault_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"a": 1,\n "a": 2}')
    assert command("render", "--metadata", file, "--out", tmp_path / "out") == 2
    assert f"{file}:2:2: this key stands here already" in capsys.readouterr().err


def test_which_of_two_is_refused_is_told(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = save("a.json"), save("b.json", mysql={"gcache": 1})
    assert command("render", "--diff", good, bad) == 1
    told = capsys.readouterr().err
    assert f"{bad}: metadata refused:\n  THA101 mysql.gcache" in told
    assert str(good) not in told


def test_metadata_that_the_gate_refuses_is_one(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("render", "--metadata", save("a.json", mysql={"gcache": 1}), "--out", tmp_path / "out") == 1
    assert "mysql.gcache" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_directory_with_something_else_in_it_is_left_alone(save: Save, tmp_path: Path) -> None:
    file = save("a.json")
    assert command("render", "--metadata", file, "--out", tmp_path) == 2
    assert command("render", "--metadata", file, "--out", file) == 2
    assert command("render", "--metadata", file, "--out", tmp_path / "out", "--elements", tmp_path / "none") == 2


def test_a_program_that_refuses_makes_it_fail(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing = programs.Judge(
        "/etc/haproxy/haproxy.cfg", "cat", lambda root: ["sh", "-c", f"cat {root}/etc/haproxy/haproxy.cfg >&2; false"]
    )
    content = programs.Judge(
        "/etc/hosts", "grep", lambda root: ["grep", "-q", "overcloud-controller-2", f"{root}/etc/hosts"]
    )
    monkeypatch.setattr(programs.judge, "__defaults__", ((refusing, content), ()))
    monkeypatch.setattr(programs, "of_rows", lambda rows: ())
    monkeypatch.setattr(programs.shutil, "which", lambda name: name)
    assert command("render", "--metadata", save("a.json"), "--out", tmp_path / "out") == 1
    told = capsys.readouterr().out
    assert "bad         /etc/haproxy/haproxy.cfg by cat: " in told
    assert "good        /etc/hosts by grep" in told
    assert SECRETS.of("haproxy")["stats_password"] not in told


EVERY = (*programs.JUDGES, *programs.of_rows(table.active(table.load(), dict.fromkeys((*generate.CORE, "cluster")))))


@pytest.mark.parametrize("item", EVERY, ids=lambda item: item.file)
def test_every_program_is_asked_about_files_that_are_there(item: programs.Judge, save: Save, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command("render", "--metadata", save("a.json"), "--out", out)
    assert (out / item.file.lstrip("/")).is_file()
    named = [word for word in item.command(out) if word.startswith(str(out))]
    assert all(Path(word).is_file() for word in named)


def test_files_made_for_a_check_are_taken_away(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    command("render", "--metadata", save("a.json"), "--out", out)
    monkeypatch.setattr(programs.shutil, "which", lambda name: name)
    corosync = next(item for item in programs.JUDGES if item.program == "corosync")
    fake = programs.Judge(corosync.file, "cat", lambda root: ["cat", corosync.command(root)[-1]])
    assert [item.verdict for item in programs.judge(out, {corosync.file: None}, [fake])] == ["good"]
    assert not [name for name in programs.CHECKED.values() if (out / name).exists()]


def test_modes_and_owners_are_differences_too() -> None:
    from tripleo_ha.cli.render import _difference

    told = _difference("/a", Rendered(b"x\n", 0o644), Rendered(b"x\n", 0o600, "k"), masking.Mask())
    assert told == ["mode 0644 root:root becomes 0600 k:root"]


def test_a_mask_knows_a_secret_in_a_url_and_leaves_short_words() -> None:
    document = {"keystone": {"admin_password": "a+b/c=d-long", "database_password": "root"}}
    mask = masking.Mask(metadata=document)
    assert mask("a+b/c=d-long a%2Bb%2Fc%3Dd-long root") == "<keystone.admin_password> <keystone.admin_password> root"


def test_a_node_without_services_has_the_files_of_every_node(save: Save) -> None:
    document = json.loads(save("a.json").read_text())
    small = {key: document[key] for key in ("cluster", "node")}
    rows = table.load()
    from tripleo_ha import paths

    found = preview.files(paths.elements(), preview.accepted(small, rows), rows)
    assert {"/etc/hosts", "/etc/hostname", "/etc/nftables.conf"} <= set(found)
    bodies = {path: file.body for path, file in found.items() if file.origin in ("keystone", "haproxy")}
    # A policy's template has to be YAML, as its file's name says, so it begins with a comment.
    assert not [path for path, body in bodies.items() if body.strip() not in (b"", b"#")]


def test_the_check_of_templates_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tmp_path / "one" / "os-apply-config"
    tree.mkdir(parents=True)
    (tree / "a").write_text("{{nonsense}}")
    assert command("templates", "check", "--elements", tmp_path) == 1
    assert f"{tree}/a:1:3: undeclared-key: " in capsys.readouterr().out
    assert command("templates", "check") == 0
    assert capsys.readouterr().out.endswith("templates, 0 findings\n")
    assert command("templates", "check", "--elements", tmp_path / "none") == 2


def test_paths_are_shown_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "one" / "os-apply-config"
    tree.mkdir(parents=True)
    (tree / "a").write_text("{{nonsense}}")
    monkeypatch.chdir(tmp_path)
    command("templates", "check", "--elements", tmp_path)
    assert "one/os-apply-config/a:1:3: " in capsys.readouterr().out
