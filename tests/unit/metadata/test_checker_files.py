"""Checking files, directories and Heat's own documents, and the exit codes of it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import cluster_rules, files, heat
from tripleo_ha.metadata.check import check_document


def rules(report: files.Report) -> list[str]:
    return [finding.rule for finding in report.findings]


def write_cluster(directory: Path, good: dict[str, Any], count: int = 3) -> list[dict[str, Any]]:
    documents = []
    for index in range(count):
        document = json.loads(json.dumps(good))
        document["node"]["name"] = f"overcloud-controller-{index}"
        documents.append(document)
    save(directory, documents)
    return documents


def save(directory: Path, documents: list[dict[str, Any]]) -> None:
    for index, document in enumerate(documents):
        (directory / f"node-{index}.json").write_text(json.dumps(document, indent=1))


def test_directory_of_a_cluster_is_clean(tmp_path: Path, good: dict[str, Any]) -> None:
    write_cluster(tmp_path, good)
    report = files.check_files([str(tmp_path)])
    assert report.findings == []
    assert len(report.documents) == 3


def test_directory_is_searched_but_not_its_hidden_parts(tmp_path: Path, good: dict[str, Any]) -> None:
    (tmp_path / "nodes").mkdir()
    write_cluster(tmp_path / "nodes", good)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.json").write_text("nonsense")
    (tmp_path / ".hidden.json").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    assert files.check_files([str(tmp_path)]).documents == [
        str(tmp_path / "nodes" / f"node-{n}.json") for n in range(3)
    ]


def test_empty_directory_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no document"):
        files.check_files([str(tmp_path)])


def test_one_node_twice(tmp_path: Path, good: dict[str, Any]) -> None:
    documents = write_cluster(tmp_path, good)
    documents[2]["node"]["name"] = "overcloud-controller-0"
    save(tmp_path, documents)
    report = files.check_files([str(tmp_path)])
    assert rules(report) == ["THA303", "THA301"]
    assert report.findings[1].file.endswith("node-2.json")
    assert report.findings[1].path == ("node", "name")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mysql", "gcache_mb"), 300),
        (("mysql", "extra", "mysqld", "innodb_io_capacity"), 501),
        (("mysql", "extra", "mysqld", "other"), 1),
        (("cluster", "nodes", 2, "ip"), "192.0.2.14"),
        (("rabbit", "admin_password"), "another-password-entirely"),
        (("keystone", "debug"), True),
    ],
)
def test_nodes_that_differ(tmp_path: Path, good: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    documents = write_cluster(tmp_path, good)
    place = documents[1]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    save(tmp_path, documents)
    (finding,) = files.check_files([str(tmp_path)]).findings
    assert (finding.rule, finding.path, finding.file) == ("THA302", path, str(tmp_path / "node-1.json"))
    assert finding.line > 1
    assert "another-password" not in str(finding)


def test_booleans_and_numbers_differ(tmp_path: Path, good: dict[str, Any]) -> None:
    documents = write_cluster(tmp_path, good)
    documents[0]["mysql"]["extra"]["mysqld"]["x"] = 1
    documents[1]["mysql"]["extra"]["mysqld"]["x"] = True
    documents[2]["mysql"]["extra"]["mysqld"]["x"] = True
    save(tmp_path, documents)
    assert rules(files.check_files([str(tmp_path)])) == ["THA302"]


def test_section_on_some_nodes_only(tmp_path: Path, good: dict[str, Any]) -> None:
    documents = write_cluster(tmp_path, good)
    del documents[0]["base"]
    documents[1]["ceilometer"] = documents[1].pop("ceilometer")
    save(tmp_path, documents)
    (finding,) = files.check_files([str(tmp_path)]).findings
    assert (finding.rule, finding.path) == ("THA302", ())
    del documents[1]["base"]
    save(tmp_path, documents)
    (finding,) = files.check_files([str(tmp_path)]).findings
    assert (finding.file, finding.path) == (str(tmp_path / "node-2.json"), ("base",))


def test_lists_of_different_length_differ_as_a_whole() -> None:
    assert cluster_rules.first_difference({"a": [1, 2]}, {"a": [1]}) == ("a",)
    assert cluster_rules.first_difference({"a": 1}, {"a": 1, "b": 2}) == ()


def test_member_without_a_document(tmp_path: Path, good: dict[str, Any]) -> None:
    write_cluster(tmp_path, good, count=2)
    report = files.check_files([str(tmp_path)])
    assert [(finding.rule, finding.path) for finding in report.findings] == [
        ("THA303", ("cluster", "nodes", 2, "name"))
    ]
    assert report.exit_code() == 0
    assert report.exit_code(strict=True) == 1


def test_broken_documents_in_a_cluster_do_not_raise(tmp_path: Path, good: dict[str, Any]) -> None:
    documents: list[Any] = list(write_cluster(tmp_path, good))
    documents[0]["cluster"] = {"nodes": [5, {"name": 3}, {"name": "x"}]}
    documents[1]["node"] = []
    documents[2]["cluster"]["nodes"] = "none"
    documents += [{"cluster": 5}, {"node": {"name": None}}, [], "text"]
    save(tmp_path, documents)
    assert files.check_files([str(tmp_path)]).exit_code() == 1


def test_unreadable_file_among_others(tmp_path: Path, good: dict[str, Any], corpus: Path) -> None:
    report = files.check_files([str(tmp_path / "none.yaml"), str(corpus / "good.yaml")])
    assert report.exit_code() == 2
    assert report.documents == [str(corpus / "good.yaml")]
    assert report.unreadable == [(str(tmp_path / "none.yaml"), "No such file or directory")]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, good: dict[str, Any]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps({**good, "x": 1}).encode())))
    (finding,) = files.check_files(["-"]).findings
    assert (finding.file, finding.rule) == ("<stdin>", "THA101")


def test_functions_of_heat_are_unknown_values(tmp_path: Path, good: dict[str, Any]) -> None:
    good["mysql"]["gcache_mb"] = {"get_param": "gcache"}
    good["keystone"] = {"get_attr": ["keys", "value"]}
    good["rabbit"]["net_ticktime_s"] = {"Fn::Join": ["", ["a"]]}
    template = {"heat_template_version": "2021-04-16", "resources": {"a": {"properties": {"config": good}}}}
    file = tmp_path / "t.yaml"
    file.write_text(yaml.safe_dump(template))
    assert files.check_files([str(file)]).findings == []
    good["mysql"]["max_connections"] = {"get_params": "not a function"}
    file.write_text(yaml.safe_dump(template))
    assert rules(files.check_files([str(file)])) == ["THA103"]


def test_cloudformation_template(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "AWSTemplateFormatVersion: 2010-09-09\n"
        "Resources:\n  a:\n    Metadata:\n      mysql: {gcache_mb: 1}\n    Properties: {Name: !Ref x}\n"
    )
    (finding,) = files.check_files([str(file)]).findings
    assert (finding.rule, finding.line, finding.column) == ("THA105", 5, 26)


@pytest.mark.parametrize(
    "text",
    [
        "heat_template_version: 1\n",
        "heat_template_version: 1\nresources: [1]\n",
        "heat_template_version: 1\nresources: {a: 1, b: {properties: 2}, c: {metadata: {x: 1}}}\n",
        "stack_name: a\noutputs: 5\n",
        "stack_name: a\noutputs: [1, {output_value: 2}, {output_value: '{broken'}, {output_value: [1]}]\n",
        "parameters: 5\n",
        "parameters: {a: {b: {mysql: {}}}}\n",
    ],
)
def test_heat_documents_without_metadata(text: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    report = files.check_files([str(file)])
    assert rules(report) == ["THA015"]
    assert report.exit_code() == 0


def test_outputs_of_a_stack() -> None:
    stack = {
        "stack_name": "a",
        "outputs": [
            {"output_value": {"controller-0": {"mysql": {}}}},
            {"output_value": [{"mysql": {}}, 1]},
            {"output_value": json.dumps([{"rabbit": {}}])},
            {"output_value": '{"mysql": ' + "[" * 500 + "]" * 500 + "}"},
        ],
    }
    assert [path for path, _ in heat.metadata_in(stack)] == [
        ("outputs", 0, "output_value", "controller-0"),
        ("outputs", 1, "output_value", 0),
        ("outputs", 2, "output_value", 0),
    ]


def test_what_cannot_come_from_a_file_is_checked_too(good: dict[str, Any]) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    good["deployments"] = deep
    assert [finding.rule for finding in check_document(good)] == ["THA004"]
    assert [finding.rule for finding in check_document([])] == ["THA007"]  # type: ignore[arg-type]
    good["deployments"] = []
    good["mysql"]["failure_detection_s"] = float("nan")
    assert [finding.rule for finding in check_document(good)] == ["THA103"]


def test_checking_does_not_change_the_document(good: dict[str, Any]) -> None:
    before = repr(good)
    check_document(good)
    assert repr(good) == before
