"""The parser with positions takes apart what pystache takes apart."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pystache import parser as reference

from tripleo_ha.templates.mustache import Tag, parse

KEYS = st.sampled_from(["a", "b", "a.b", "é", "x-y", "."])
SPACE = st.sampled_from(["", " ", "\n"])


@st.composite
def tags(draw: st.DrawFn, depth: int = 2) -> str:
    """Well-formed mustache, of all kinds of tags and odd whitespace."""
    kind = draw(st.sampled_from(["text", "variable", "literal", "raw", "comment", "section", "inverted", "partial"]))
    key, gap = draw(KEYS), draw(SPACE)
    simple = {
        "text": draw(st.sampled_from(["x", "\n", " }} ", " { ", "\r\n"])),
        "variable": f"{{{{{gap}{key}{gap}}}}}",
        "literal": f"{{{{&{gap}{key}}}}}",
        "raw": f"{{{{{{{key}}}}}}}",
        "comment": f"{{{{! {key} {{ }}}}",
        "partial": f"{{{{>{key}}}}}",
    }
    if kind in simple:
        return simple[kind]
    inner = draw(st.lists(tags(depth=depth - 1), max_size=3)) if depth else []
    sign = "#" if kind == "section" else "^"
    return f"{{{{{sign}{key}}}}}{''.join(inner)}{{{{/{key}}}}}"


def walked(found: list[Tag]) -> list[Any]:
    return [(tag.kind, tag.key, walked(tag.children)) for tag in found]


def of_pystache(parsed: Any) -> Iterator[Any]:
    for node in parsed._parse_tree:
        kind = type(node).__name__
        if kind in ("_EscapeNode", "_LiteralNode"):
            yield "variable", node.key, []
        elif kind == "_PartialNode":
            yield "partial", node.key, []
        elif kind == "_SectionNode":
            yield "section", node.key, list(of_pystache(node.parsed))
        elif kind == "_InvertedNode":
            yield "inverted", node.key, list(of_pystache(node.parsed_section))


@settings(max_examples=100, deadline=None)
@given(st.lists(tags(), max_size=6))
def test_it_finds_the_tags_that_pystache_finds(parts: list[str]) -> None:
    text = "".join(parts)
    parsed = parse(text)
    assert walked(parsed.tags) == list(of_pystache(reference.parse(text)))
    assert not parsed.problems


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["{{#a}}", "{{/a}}", "{{^b}}", "{{/b}}", "{{c}}", "text", "{{"]), max_size=8))
def test_it_has_a_problem_wherever_pystache_has_one(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        reference.parse(text, raise_on_mismatch=True)
        good = True
    except (reference.ParsingError, IndexError):
        good = False
    assert good or parse(text).problems


@given(st.text(alphabet="{}#^/&!=> ab\n", max_size=40))
def test_no_text_makes_it_raise(text: str) -> None:
    parse(text)


def test_a_key_stands_where_it_is_said_to_stand() -> None:
    text = "one\n {{# two }}{{three}}{{/ two }}{{{four}}}"
    section, literal = parse(text).tags
    for tag in (section, section.children[0], literal):
        assert text[tag.offset :].startswith(tag.key)


def test_changed_delimiters_hold_from_there_on() -> None:
    parsed = parse("{{a}}<% b %>{{=<% %>=}}<% c %>{{d}}<%={{ }}=%>{{e}}")
    assert [tag.key for tag in parsed.tags] == ["a", "c", "e"]


@pytest.mark.parametrize(
    ("text", "rule", "at"),
    [
        ("{{#a}}x", "unclosed-section", "a}}x"),
        ("x{{/a}}", "unclosed-section", "a}}"),
        ("{{#a}}{{#b}}{{/a}}", "unclosed-section", "b}}"),
        ("{{#a}}{{/b}}{{/a}}", "unclosed-section", "b}}"),
        ("{{a b}}", "malformed-tag", "a b"),
        ("{{a\n{{b}}", "malformed-tag", "a\n"),
        ("x {{a", "malformed-tag", "{{a"),
        ("{{=<%=}}", "malformed-tag", "<%"),
    ],
)
def test_what_is_wrong_is_found_where_it_is(text: str, rule: str, at: str) -> None:
    problems = parse(text).problems
    assert [problem.rule for problem in problems] == [rule]
    assert text[problems[0].offset :].startswith(at)


def test_closing_an_outer_section_leaves_nothing_open() -> None:
    parsed = parse("{{#a}}{{#b}}{{/a}}{{c}}")
    assert walked(parsed.tags) == [("section", "a", [("section", "b", [])]), ("variable", "c", [])]
