"""The drift check over elements: every rule fires where it should, and the project's own elements are clean."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tripleo_ha import paths
from tripleo_ha.errors import Failure
from tripleo_ha.templates import drift, readers
from tripleo_ha.templates.findings import RULES, Finding, position

Write = Callable[..., Path]
ROW = "service: keystone\nmetadata: keystone\nsummary: Identity\n"


def findings(root: Path, rule: str = "") -> list[Finding]:
    """All findings but those of the schemas, of which this small tree reads almost nothing."""
    found = [finding for finding in drift.check(root) if finding.rule != "unread-key"]
    assert all(finding.rule in RULES for finding in found)
    return [finding for finding in found if finding.rule == rule] if rule else found


def test_the_projects_own_elements_and_schemas_agree() -> None:
    assert [str(finding) for finding in drift.check(paths.elements())] == []


def test_a_clean_element_has_no_finding(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{cluster.name}}\n")
    assert findings(tmp_path) == []


def test_a_finding_tells_file_line_and_column(element: Write, tmp_path: Path) -> None:
    file = element("etc/a.conf", "x\ny = {{nonsense}}\n")
    (finding,) = findings(tmp_path)
    assert str(finding).startswith(f"{file}:2:7: undeclared-key: ")


def test_a_hint_stands_in_brackets_behind() -> None:
    assert str(Finding("f", 1, 2, "partial", "m", "h")) == "f:1:2: partial: m (h)"


@pytest.mark.parametrize(("text", "offset", "expected"), [("abc", 0, (1, 1)), ("a\nbc", 3, (2, 2)), ("\n", 1, (2, 1))])
def test_positions_count_from_one(text: str, offset: int, expected: tuple[int, int]) -> None:
    assert position(text, offset) == expected


def test_an_executable_template_is_not_taken_for_mustache(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "#!/bin/sh\n# reads: cluster.name\necho '{{x}}'\n", run=True)
    assert findings(tmp_path) == []


def test_a_template_that_is_no_text_is_told(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "").write_bytes(b"\xff\xfe")
    with pytest.raises(Failure, match="not a readable text file"):
        drift.check(tmp_path)


@pytest.mark.parametrize("control", [None, "mode: 0644\n", "group: keystone\n", ""])
def test_a_secret_in_a_file_for_all_is_found(control: str | None, element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{#keystone}}{{admin_password}}{{/keystone}}\n")
    if control is not None:
        element("etc/a.conf.oac", control)
    (finding,) = findings(tmp_path)
    assert (finding.rule, finding.line, finding.column) == ("secret-readable", 1, 16)


def test_a_secret_in_a_private_file_is_good(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{#keystone}}{{admin_password}}{{/keystone}}\n")
    element("etc/a.conf.oac", "mode: 0640\ngroup: keystone\n")
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    "control",
    [
        "mode: '0600'\n",
        "mode: 0o600\n",
        "mode: true\n",
        "mode: 4096\n",
        "made: 0600\n",
        "allow_empty: maybe\n",
        "[a]\n",
        "{\n",
    ],
)
def test_a_control_file_that_would_be_refused_is_found(control: str, element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{#keystone}}{{admin_password}}{{/keystone}}\n")
    element("etc/a.conf.oac", control)
    assert [finding.rule for finding in findings(tmp_path)] == ["control-file"]


def test_a_control_file_without_its_template_is_found(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf.oac", "mode: 0600\n")
    assert [finding.rule for finding in findings(tmp_path)] == ["control-file"]


@pytest.mark.parametrize("name", ["README.rst", "LICENSE", "a.conf~", "a.conf.orig"])
def test_what_was_not_meant_to_be_installed_is_found(name: str, element: Write, tmp_path: Path) -> None:
    element(f"etc/{name}", "words\n")
    assert [finding.rule for finding in findings(tmp_path)] == ["not-a-template"]


def test_the_same_file_from_two_elements_is_found(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "1\n")
    second = element("etc/a.conf", "2\n", of="two")
    (finding,) = findings(tmp_path)
    assert (finding.rule, finding.file) == ("duplicate-template", str(second))
    assert "one brings /etc/a.conf" in finding.message


def unread(root: Path) -> set[str]:
    return {
        finding.message.removeprefix("nothing reads ") for finding in drift.check(root) if finding.rule == "unread-key"
    }


def test_a_declared_key_that_nothing_reads_is_found_at_its_declaration(tmp_path: Path) -> None:
    found = next(finding for finding in drift.check(tmp_path) if finding.message == "nothing reads keystone.debug")
    line = Path(found.file).read_text().splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith('"debug"')


def test_what_stands_in_a_list_is_found_at_its_declaration(tmp_path: Path) -> None:
    found = next(f for f in drift.check(tmp_path) if f.message == "nothing reads keystone.fernet_keys[].key")
    line = Path(found.file).read_text().splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith('"key"')


def test_what_a_template_reads_is_not_unread(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{#keystone}}{{region}}{{#workers}}many{{/workers}}{{/keystone}}")
    assert not {"keystone.region", "keystone.workers"} & unread(tmp_path)


def test_asking_whether_a_section_is_there_reads_nothing_in_it(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{#keystone}}on{{/keystone}}")
    assert "keystone.debug" in unread(tmp_path)


def test_extra_settings_are_read_where_their_lists_are(element: Write, tmp_path: Path) -> None:
    before = unread(tmp_path)
    element("etc/a.conf", "{{#derived.extra.keystone}}{{section}}{{/derived.extra.keystone}}")
    assert before - unread(tmp_path) == {"keystone.extra", "derived.extra"}


def test_rules_are_read_by_the_row_that_has_a_file_for_them(tmp_path: Path) -> None:
    element = tmp_path / "one"
    element.mkdir()
    (element / "service.yaml").write_text(
        "service: keystone\nmetadata: keystone\nsummary: it\n"
        "oslo: {file: /etc/a.conf, namespace: a, sections: [policy]}\n"
    )
    assert "derived.policies" in unread(tmp_path)
    assert not any(path.startswith("keystone.policy") for path in unread(tmp_path))


def test_extra_settings_of_several_files_are_read_file_by_file(element: Write, tmp_path: Path) -> None:
    before = unread(tmp_path)
    lists = "derived.extra_files.swift.proxy-server"
    element("etc/a.conf", f"{{{{#swift}}}}{{{{#{lists}}}}}{{{{section}}}}{{{{/{lists}}}}}{{{{/swift}}}}")
    assert before - unread(tmp_path) == {"swift.extra.proxy-server", "derived.extra_files"}


def test_a_row_reads_the_metadata_that_it_names(tmp_path: Path) -> None:
    element = tmp_path / "one"
    element.mkdir()
    (element / "service.yaml").write_text(
        ROW
        + "databases: [{name: keystone, user: keystone}]\nbroker: {user: k}\nidentity: {user: k}\n"
        + "keys: {/etc/k: keystone.fernet_keys}\n"
        + "once: [{name: a, evidence: {token: {password: keystone.admin_password}}, run: ['{keystone.region}'],"
        + " env: {A: keystone.debug}}]\n"
    )
    found = findings(tmp_path)
    # Keystone's schema has neither, and a row that wants them is as wrong as a template that does.
    assert [finding.message for finding in found] == [
        "no schema declares keystone.messaging_password",
        "no schema declares keystone.service_password",
    ]
    names = {"database_password", "admin_password", "region", "debug", "fernet_keys[].key"}
    assert not {f"keystone.{name}" for name in names} & unread(tmp_path)


def test_a_path_in_a_row_is_found_where_it_stands(tmp_path: Path) -> None:
    element = tmp_path / "one"
    element.mkdir()
    (element / "service.yaml").write_text(ROW + "keys:\n  /etc/k: keystone.nonsense\n")
    (finding,) = findings(tmp_path)
    assert (finding.rule, finding.line, finding.column) == ("undeclared-key", 5, 11)


def test_a_module_that_no_longer_mentions_its_key_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("X = 'region'\n")
    said = {"a.py": ("keystone.region", "keystone.debug"), "gone.py": ("keystone.workers",)}
    found, stale = readers.of_package(tmp_path, said)
    assert [(reader.path, reader.line, reader.column) for reader in found] == [(("keystone", "region"), 1, 5)]
    assert {Path(finding.file).name for finding in stale} == {"a.py", "gone.py"}
    assert {finding.rule for finding in stale} == {"stale-reader"}


def test_every_module_that_is_said_to_read_does() -> None:
    assert readers.of_package(paths.PACKAGE)[1] == []


def test_the_documentation_has_every_rule_in_its_words() -> None:
    lines = (Path(__file__).parents[3] / "docs" / "templates.rst").read_text().replace("``", "`").splitlines()
    documented = dict(line.split(None, 1) for line in lines if line.split(" ")[0] in RULES)
    assert documented == RULES
