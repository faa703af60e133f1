"""Reading documents: values as the usual parsers read them, places exact, and nothing that raises."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tripleo_ha.errors import UsageError
from tripleo_ha.metadata import json_tree, loading, reading, yaml_tree
from tripleo_ha.metadata.reading import Input
from tripleo_ha.metadata.tree import Mark, Node

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 0, 2]))
def test_json_is_read_as_the_library_reads_it(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    parsed = json_tree.parse(text)
    assert parsed.usable
    assert parsed.findings == []
    assert repr(parsed.value) == repr(json_tree.fast(text)) == repr(json.loads(text))


@given(JSON, st.sampled_from([True, False, None]))
def test_yaml_is_read_as_the_library_reads_it(value: Any, style: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=style, allow_unicode=True)
    parsed = yaml_tree.parse(text)
    if parsed.usable and not parsed.findings:
        assert repr(parsed.value) == repr(yaml.safe_load(text))
    else:
        assert parsed.findings


@given(JSON)
def test_json_places_hold_what_stands_there(value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    parsed = json_tree.parse(text)
    assert parsed.node is not None
    lines = text.split("\n")

    def look(node: Node, at: Any) -> None:
        here = lines[node.mark.line - 1][node.mark.column - 1 :]
        if isinstance(at, dict):
            assert here.startswith("{")
            assert isinstance(node.children, dict)
            for key, child in node.children.items():
                mark = node.keys[key]
                shown = lines[mark.line - 1][mark.column - 1 : mark.column - 1 + mark.width]
                assert json.loads(shown) == key
                look(child, at[key])
        elif isinstance(at, list):
            assert here.startswith("[")
            assert isinstance(node.children, list)
            for child, item in zip(node.children, at, strict=True):
                look(child, item)
        else:
            assert here.startswith(json.dumps(at, ensure_ascii=False))

    look(parsed.node, value)


@settings(max_examples=300)
@given(st.text(alphabet="{}[],:\"\\ \t\nab01.e+-#&*!|>?%@'~<", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("a.json", "a.yaml", "<stdin>"):
        document = loading.load(Input(name, text.encode()))
        assert document.usable or document.findings
        for finding in document.findings:
            assert finding.line >= 1
            assert finding.column >= 1


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for name in ("a.json", "a.yaml"):
        document = loading.load(Input(name, content))
        assert document.usable or document.findings


@given(st.text(alphabet='{}[]":,1a ', max_size=30))
def test_what_the_fast_reading_takes_the_exact_one_takes(text: str) -> None:
    try:
        value = json_tree.fast(text)
    except (ValueError, RecursionError):
        return
    parsed = json_tree.parse(text)
    assert parsed.usable
    assert repr(parsed.value) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 010\nb: 0x1f\nc: 1_000\nd: 1:30\n", {"a": 8, "b": 31, "c": 1000, "d": 90}),
        ("a: yes\nb: Off\nc: ~\nd: null\n", {"a": True, "b": False, "c": None, "d": None}),
        ("a: 1.5e+3\nb: .5\nc: 1e3\n", {"a": 1500.0, "b": 0.5, "c": "1e3"}),
        ("a: !!str 5\nb: ! 6\nc: '7'\n", {"a": "5", "b": "6", "c": "7"}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n", {"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
        ("a: &x {p: 1}\nb: &y {q: 2}\nc: {<<: [*x, *y]}\n", {"a": {"p": 1}, "b": {"q": 2}, "c": {"p": 1, "q": 2}}),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: |\n  x\n  y\nb: >-\n  c\n  d\n", {"a": "x\ny\n", "b": "c d"}),
        ("a: =\n&k b: 1\n", {"a": "=", "b": 1}),
        ("a: !!map {b: !!seq [!!int 1]}\n", {"a": {"b": [1]}}),
        ("\ufeffa: 1\n", {"a": 1}),
        ("%YAML 1.1\n---\na: 1\n...\n", {"a": 1}),
    ],
)
def test_yaml_values(text: str, value: Any) -> None:
    document = loading.load(Input("a.yaml", text.encode()))
    assert document.findings == []
    assert document.value == value


@pytest.mark.parametrize(
    ("text", "rule", "place"),
    [
        ("a: {<<: 5}\n", "THA002", (1, 9)),
        ("a: {<<: [1]}\n", "THA002", (1, 9)),
        ("a: &x b\n*x : c\n", "THA008", (2, 1)),
        ("a: !!set {b}\n", "THA014", (1, 4)),
        ("a: !!int b\n", "THA009", (1, 4)),
        ("a: !!float x\n", "THA009", (1, 4)),
        ("a: !!bool maybe\n", "THA009", (1, 4)),
        ("a: " + "9" * 5000 + "\n", "THA009", (1, 4)),
        ("a: [\n", "THA002", (2, 1)),
        ("? {a: b}\n: c\n", "THA008", (1, 3)),
        ("~: a\n", "THA008", (1, 1)),
        ("2026-01-01: a\n", "THA008", (1, 1)),
        ("a: \ud7ff\x07\n", "THA010", (1, 5)),
    ],
)
def test_yaml_faults(text: str, rule: str, place: tuple[int, int]) -> None:
    found = loading.load(Input("a.yaml", text.encode())).findings
    assert [(finding.rule, (finding.line, finding.column)) for finding in found] == [(rule, place)]


def test_the_parser_written_in_python_gives_the_same(monkeypatch: pytest.MonkeyPatch, corpus: Path) -> None:
    text = (corpus / "good.yaml").read_text()
    with_library = yaml_tree.parse(text)
    monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    alone = yaml_tree.parse(text)
    assert alone.value == with_library.value
    assert alone.node == with_library.node


def test_json_without_a_suffix_is_recognised() -> None:
    assert loading.load(Input("<stdin>", b'{"a": 1}')).is_json
    assert loading.load(Input("<stdin>", b'{"a": 1,}')).findings[0].message == "a comma before }"
    assert loading.load(Input("<stdin>", b"{a: 1}")).value == {"a": 1}
    assert loading.load(Input("a.yaml", b'{"a": 1, # why\n "b": 2}')).value == {"a": 1, "b": 2}
    assert loading.load(Input("a.yaml", b'{"a": 1, "a": 2}')).findings[0].rule == "THA003"


def test_large_and_deep_inputs_end_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_NODES", 20_000)
    huge = b"[" * (reading.MAX_BYTES + 1)
    assert [found.rule for found in loading.load(Input("a.json", huge)).findings] == ["THA005"]
    flat, lists = b"[" + b"1," * 250_000 + b"1]", b"[" + b"[]," * 250_000 + b"[]]"
    for name, content, rule in (
        ("a.json", b"[" * 3_000_000, "THA004"),
        ("a.yaml", b"[" * 3_000_000, "THA004"),
        ("a.yaml", b"- " * 1_000_000, "THA004"),
        ("a.json", flat, "THA005"),
        ("a.yaml", b"a: [" + flat[-50_000:], "THA005"),
        ("a.json", lists, "THA005"),
    ):
        assert [found.rule for found in loading.load(Input(name, content)).findings] == [rule]


def test_overflowing_number_is_not_finite() -> None:
    document = loading.load(Input("a.json", b'{"a": 1e999}'))
    assert math.isinf(document.value["a"])
    assert document.node.child("a") == Node(Mark(1, 7, 5))


def test_place_of_what_is_not_there_is_its_parents() -> None:
    node = loading.load(Input("a.yaml", b"a:\n  - b: c\n")).node
    assert node.mark_of(("a", 0, "x"), on_key=False) == Mark(2, 5, 1)
    assert node.mark_of(("a", 7), on_key=False) == Mark(1, 1, 1)
    assert node.mark_of(("x",), on_key=True) == node.mark
    assert node.mark_of((), on_key=False) == node.mark


def test_names_that_cannot_be_read(tmp_path: Path) -> None:
    assert reading.read(str(tmp_path)).problem == "Is a directory"
    assert reading.read(str(tmp_path / "none")).problem == "No such file or directory"
    assert reading.read("a\0b").problem == "not a usable file name"
    assert reading.read("x" * 5000).problem == "File name too long"


def test_endless_file_is_cut_off() -> None:
    assert len(reading.read("/dev/zero").content) == reading.MAX_BYTES + 1


def test_pipe_is_read_to_its_end() -> None:
    out, into = os.pipe()
    os.write(into, b"{}")
    os.close(into)
    try:
        assert reading.read(f"/dev/fd/{out}").content == b"{}"
    finally:
        os.close(out)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "a: {b: 1}\n"), ("a.json", '{"a":\t{"b": 1}}'), ("a", '{"a": {"b": 1}}'), ("a.yml", "{a: {b: 1}}")],
)
def test_a_map_is_read_from_yaml_and_json(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert loading.read_document(tmp_path / name) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"a: s3cret\na: s3cret\n", ":2:1: this key stands here already, on line 1"),
        ("a.yaml", b"a: 's3cret\n", ":2:1: a quote that is not closed"),
        ("a.yaml", b"a: 2024-01-01\n", ":1:4: a date"),
        ("a.yaml", b"- s3cret\n", ":1:1: found a list of 1\n  hint: expected a map"),
        ("a.yaml", b"", ":1:1: the document is empty"),
        ("a.yaml", b"# s3cret\n", ":1:1: the document is empty"),
        ("a.yaml", b"~\n", ":1:1: found nothing (null)"),
        ("a.yaml", b"a: \xff\n", ":1:4: not text in UTF-8"),
        ("a.json", b'{"a": 1,}', ":1:8: a comma before }"),
        ("a.json", b"a: 1", ":1:1: "),
        ("a.json", None, ": No such file or directory"),
    ],
)
def test_what_is_no_map_is_told_with_its_place(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        loading.read_document(file)
    assert f"{file}{words}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# only this\n", "~\n"])
def test_nothing_may_be_an_empty_map(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert loading.read_document(tmp_path / "a.yaml", may_be_empty=True) == {}


def test_a_name_that_is_too_long_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^<a name of \d+ characters>: File name too long$"):
        loading.read_document(tmp_path / ("s3cret" * 100))
