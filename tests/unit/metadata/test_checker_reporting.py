"""How findings are shown: every format well-formed, every place exact, and no secret in any of them."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tripleo_ha.metadata import annotate, files, masking, reading, reporting, suggestions
from tripleo_ha.metadata.catalogue import RULES
from tripleo_ha.metadata.findings import Finding, clipped, dotted
from tripleo_ha.metadata.loading import load

SECRET = "Zx81-do-not-tell-anyone"


@pytest.fixture
def bad(tmp_path: Path) -> files.Report:
    """Return the report on a document with an error on line 2, a warning, and a file that is not there."""
    file = tmp_path / "a b,c.yaml"
    nodes = "[{name: a, ip: 192.0.2.1}, {name: b, ip: 192.0.2.2}]"
    vips = "{control: {ip: 192.0.2.3, prefix: 24, interface: a}, public: {ip: 192.0.2.4, prefix: 24, interface: b}}"
    file.write_text(
        f"node: {{name: a}}\nmysql: {{gcache: 5}}\ncluster:\n  name: x\n  nodes: {nodes}\n  virtual_ips: {vips}\n"
    )
    return files.check_files([str(file), str(tmp_path / "none\n.yaml")])


def test_text(bad: files.Report) -> None:
    shown = reporting.as_text(bad)
    lines = shown.splitlines()
    name = bad.documents[0]
    assert lines[0] == f"{name}:2:9: error THA101 mysql.gcache: no key of this name is declared here"
    assert lines[1:3] == ["    hint: did you mean gcache_mb?", "    see: docs/metadata-reference.md#mysql"]
    assert f"{name}:5:3: warning THA207 cluster.nodes: 2 nodes vote, an even number" in lines
    assert lines[-1] == "1 document, 1 error, 1 warning, 1 unreadable"
    assert "cannot read: No such file" in lines[-2]


def test_json(bad: files.Report) -> None:
    told = json.loads(reporting.as_json(bad))
    assert (told["errors"], told["warnings"], len(told["unreadable"])) == (1, 1, 1)
    assert told["findings"][0] == {
        "file": bad.documents[0],
        "line": 2,
        "column": 9,
        "path": "mysql.gcache",
        "rule": "THA101",
        "severity": "error",
        "message": "no key of this name is declared here",
        "expected": "",
        "suggestion": "did you mean gcache_mb?",
        "reference": "docs/metadata-reference.md#mysql",
    }


def test_github(bad: files.Report) -> None:
    lines = reporting.as_github(bad).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("::error file=")
    assert "a b%2Cc.yaml,line=2,col=9,title=THA101::mysql.gcache: no key" in lines[0]
    assert lines[1].startswith("::warning file=")
    assert "none%0A.yaml" in lines[2]


def test_sarif(bad: files.Report) -> None:
    told = json.loads(reporting.as_sarif(bad))
    assert told["version"] == "2.1.0"
    (run,) = told["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["THA101", "THA207"]
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 2, "startColumn": 9, "endColumn": 15}
    assert place["artifactLocation"]["uri"].endswith("a%20b%2Cc.yaml")
    assert not run["invocations"][0]["executionSuccessful"]


def test_junit(bad: files.Report, corpus: Path) -> None:
    suite = ElementTree.fromstring(reporting.as_junit(bad))
    assert suite.attrib == {"name": "tripleo-ha validate", "tests": "2", "failures": "1", "errors": "1"}
    assert "2:9: error THA101 mysql.gcache" in str(suite[0][0].text)
    assert suite[1][0].attrib["message"] == "No such file or directory"
    warned = ElementTree.fromstring(reporting.as_junit(files.check_files([str(corpus / "rule-even.yaml")])))
    assert warned.attrib["failures"] == "0"
    assert warned[0][0].tag == "system-out"


def test_control_characters_do_not_break_junit(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"\x00\x1b[31m\ud800": 1}))
    report = files.check_files([str(file)])
    ElementTree.fromstring(reporting.as_junit(report))
    assert "\x1b" not in reporting.as_text(report, annotate=True)


def test_every_document_of_the_corpus_in_every_format(corpus: Path) -> None:
    report = files.check_files([str(corpus)])
    for show in reporting.FORMATS.values():
        show(report)
    ElementTree.fromstring(reporting.as_junit(report))
    shown = reporting.as_text(report, annotate=True)
    secrets = set(masking.secrets(load(reading.read(str(corpus / "good.yaml"))).value).values())
    assert len(secrets) > 10
    assert not [secret for secret in secrets if secret in shown]


def test_reference_has_every_link(corpus: Path) -> None:
    page = (corpus.parents[1] / reporting.REFERENCE).read_text()
    anchors = {heading.lower() for heading in re.findall(r"^#+ (\S+)$", page, re.MULTILINE)}
    report = files.check_files([str(corpus)])
    assert {reporting.link(finding).rpartition("#")[2] for finding in report.findings} <= anchors
    assert {rule.lower() for rule in RULES} <= anchors


def annotated(tmp_path: Path, text: str, name: str = "a.yaml") -> list[str]:
    file = tmp_path / name
    file.write_text(text)
    shown = reporting.as_text(files.check_files([str(file)]), annotate=True)
    assert SECRET not in shown
    assert "anyone" not in shown
    return shown.splitlines()


def test_marks_stand_under_what_is_wrong(tmp_path: Path) -> None:
    lines = annotated(tmp_path, "mysql:\n  gcache_mb: 5\n  # why\n\n\n\n  max_connections: 10\n")
    at = lines.index("    2 |   gcache_mb: 5")
    assert lines[at + 1] == "      |              ^ THA105 found 5"
    assert lines[at + 2 : at + 4] == ["    3 |   ********", "      …"]
    assert "    1 | mysql:" in lines


@pytest.mark.parametrize(
    "text",
    [
        f"rabbit: {{admin_password: {SECRET}, x: 1}}\n",
        f"rabbit:\n  admin_password: {SECRET}\n  x: 1\n",
        f"rabbit:\n  x: 1\n  y: >\n    {SECRET}\n    anyone\n  z: 1\n",
        f"rabbit:\n  x: 1\n  admin_password: &anchor {SECRET}\n  z: *anchor\n",
        f"rabbit:\n  x: 1 # was {SECRET}\n",
        f"rabbit:\n  x: 1 #{SECRET}\n",
        f"rabbit:\n  admin_password: a\n  admin_password: {SECRET}\n",
        f"rabbit:\n  admin_password: [{SECRET}]\n  x: {{admin_password: '{SECRET}'}}\n",
        f"rabbit: {SECRET}\n",
        f"mysql:\n  gcache_mb: {SECRET}\n  recovery: {SECRET}\n",
        f"mysql:\n  extra: {{mysqld: {{option: {SECRET}, bad/option=: {SECRET}}}}}\n",
        f"{SECRET}\n",
        f"- {SECRET}\n",
        f"rabbit:\n  admin_password: '{SECRET}\n",
        f'rabbit:\n  admin_password: "{SECRET}\n\tanyone: x\n',
        f"rabbit:\n  admin_password: *{SECRET}\n",
        f"rabbit:\n  admin_password: !{SECRET} x\n",
        f"rabbit:\n  admin_password: %{SECRET}\n",
        f"rabbit:\n  admin_password: @{SECRET}\n  {SECRET}: {{\n",
        f"rabbit:\n  admin_password: {SECRET}\n- anyone\n",
        f"x: 1\nnode: {{name: {SECRET.lower()}}}\n",
    ],
)
def test_annotated_source_keeps_secrets(tmp_path: Path, text: str) -> None:
    assert annotated(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        f"keystone: {{admin_password:{SECRET}, region: x}}\n",
        f"keystone: {{admin_password {SECRET}, region: x}}\n",
        f"keystone: {{admin_password={SECRET}, region: x}}\n",
        f"keystone: {{admin_password：{SECRET}, region: x}}\n",
        f"keystone: {{admin_password:{SECRET}, admin_password:{SECRET}}}\n",
        f"keystone: {{admin_password: {{{SECRET}}}}}\n",
        f"keystone: {{admin_password: {{a:{SECRET}: [{{{SECRET}}}]}}}}\n",
        f"keystone:\n  admin_password: {{{SECRET}: 2024-01-01, {SECRET}: !x 1}}\n",
        f"keystone: {{fernet_keys: [{{index: 0, key:{SECRET}}}]}}\n",
        f"keystone: {{extra: {{DEFAULT: {{transport_url:{SECRET}}}}}}}\n",
        f"pacemaker: {{fencing: {{devices: {{a: {{agent: x, options: {{password:{SECRET}}}}}}}}}}}\n",
        f"parameters: {{metadata: {{cluster: {{}}, keystone: {{admin_password: {{{SECRET}: 2024-01-01}}}}}}}}\n",
        f"keystone:{{admin_password: {SECRET}}}\n",
    ],
)
def test_a_secret_that_became_a_key_is_kept(tmp_path: Path, text: str) -> None:
    assert annotated(tmp_path, text)
    report = files.check_files([str(tmp_path / "a.yaml")])
    assert report.findings
    for show in reporting.FORMATS.values():
        assert SECRET not in show(report)


def test_a_colon_without_a_blank_is_told(tmp_path: Path) -> None:
    lines = annotated(tmp_path, f"keystone: {{admin_password:{SECRET}, region: x}}\n")
    name = f"{tmp_path}/a.yaml:1:12: error THA101 keystone['admin_password…']: no key of this name is declared here"
    at = lines.index(name)
    assert lines[at + 1] == "    hint: if the colon ends the key, put a blank after it"
    assert "    1 | keystone: {admin_password******** region: ********" in lines


def test_keys_twice_are_shown_but_not_in_a_secret(tmp_path: Path) -> None:
    lines = annotated(tmp_path, f"rabbit:\n  admin_password: {SECRET}\n  admin_password: {SECRET}\n")
    assert "    3 |   admin_password: ********" in lines


def test_annotated_json_on_one_line(tmp_path: Path) -> None:
    text = json.dumps({"rabbit": {"admin_password": SECRET, "x": 1, "y" * 90: 2, "z": 3}})
    lines = annotated(tmp_path, text, "a.json")
    (at,) = [
        index
        for index, line in enumerate(lines)
        if line.endswith("^^^ THA101 no key of this name is declared here") and '"z"' in lines[index - 1]
    ]
    begin = lines[at].index("^")
    assert lines[at - 1][begin : begin + 3] == '"z"'


def test_mask_maps_columns() -> None:
    text, columns = annotate.mask("key: secret, b: 1", [(0, 3), (13, 14), (16, 17)])
    assert text == "key: ******** b: 1"
    assert columns[5] == columns[10] == 5
    assert text[columns[13]] == "b"
    assert columns[-1] == len(text)


def test_paths() -> None:
    assert dotted(("a", 0, "b-c", "d.e", "f/g")) == "a[0].b-c['d.e']['f/g']"
    assert dotted(("x/y",)) == "['x/y']"
    assert dotted(("a", "x:y", "x y", "x=y")) == "a['x…']['x…']['x…']"
    assert clipped("k" * 100) == repr("k" * 60 + "…")
    assert str(Finding("THA101", (), "found")) == "THA101 found"


@pytest.mark.parametrize(
    ("keyword", "value", "declared", "words"),
    [
        ("type", float("inf"), {}, "a number that is not finite"),
        ("type", object(), {}, "something that JSON does not have"),
        ("type", None, {"x-secret": True}, "nothing (null)"),
        ("type", {"a": 1}, {"x-secret": True}, "a map"),
        ("type", True, {"x-secret": True}, "a boolean"),
        ("pattern", "a", {"x-secret": True}, "text of another form"),
        ("minProperties", {}, {}, "an empty map"),
        ("format", "2001:db8::1", {"format": "ipv4"}, "an IPv6 address"),
        ("format", "2001:db8::", {"x-secret": True}, "text of another form"),
        ("type", True, {}, "true"),
        ("minLength", "", {"x-secret": True}, "text that is empty"),
        ("minItems", [], {}, "a list of 0"),
        ("maximum", 10**60, {}, "a number of 61 digits"),
    ],
)
def test_what_was_found_in_words(keyword: str, value: object, declared: dict[str, object], words: str) -> None:
    assert suggestions.found(keyword, value, declared) == words


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"type": "integer", "minimum": 3, "x-unit": "s"}, "an integer of at least 3 s"),
        ({"type": "integer", "maximum": 3}, "an integer of at most 3"),
        ({"type": "number", "x-unit": "s"}, "a number in s"),
        ({"type": "string", "format": "cidr"}, "text: a network as ADDRESS/PREFIX, with no bit set after the prefix"),
        ({}, "a map"),
        ({"type": "object", "minProperties": 1}, "a map that is not empty"),
    ],
)
def test_what_is_expected_in_words(declared: dict[str, object], words: str) -> None:
    assert suggestions.describe(declared) == words


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ("mysql: {max_connections: '10'}", "write the number without quotes"),
        ("mysql: {gcache_mb: 1GB}", "write the number alone, in MiB"),
        ("mysql: {gcache_mb: much}", ""),
        ("keystone: {debug: 'yes'}", "write true or false, without quotes"),
        ("base: {ntp_servers: a}", "write it as a list"),
        ("base: {ntp_servers: 5}", "write it as a list"),
        ("cluster: {name: 5}", "put it in quotes"),
        ("mysql: {gcache_mb: 5.0}", "write it without a fraction"),
        ("mysql: {recovery: availability!}", "did you mean availability?"),
        ("mysql: {recovery: xyz}", ""),
        ("mysql: {net_ticktime_s: 5}", "it belongs at rabbit.net_ticktime_s"),
        ("node: {name: {get_param: x}}", suggestions.UNRESOLVED),
        ("cluster: {nodes: [{name: a, ip: '2001:db8::1'}]}", "IPv6 cannot be used here"),
        ("base: {ssh_sources: ['2001:db8::1']}", ""),
        ("haproxy: {get_param: x}", suggestions.UNRESOLVED),
        ("mysql: {wsrep_slave_threads: 5}", "what has no key of its own goes under mysql.extra, in a section"),
        ("node: {wsrep_slave_threads: 5}", "declared here: name, memory_mb"),
        ("max_connections: 5", "it belongs at mysql.max_connections or memcached.max_connections"),
    ],
)
def test_suggestions(document: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(document)
    found = files.check_files([str(file)]).findings
    section = document.partition(":")[0]
    (finding,) = [one for one in found if one.path and one.path[0] == section and one.rule not in ("THA102", "THA219")]
    assert finding.suggestion == hint
