"""Good documents, spoilt at random: never a traceback, never accepted when known to be broken, never a secret told."""

import contextlib
import copy
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tripleo_ha.cli.main import main
from tripleo_ha.metadata import schema
from tripleo_ha.metadata.check import Checker, check_document
from tripleo_ha.metadata.findings import Path as KeyPath
from tripleo_ha.metadata.findings import dotted

GOOD = json.loads((Path(__file__).parents[2] / "corpus" / "good.json").read_text())
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FORMATS = ("text", "json", "github", "sarif", "junit")


def places(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def value_at(document: Any, path: KeyPath) -> Any:
    for part in path:
        document = document[part]
    return document


PLACES = list(places(GOOD))
IN_MAPS = [path for path in PLACES if isinstance(path[-1], str)]
SECRETS = [path for path in PLACES if schema.is_secret(path) and isinstance(value_at(GOOD, path), str)]
DECLARED = [path for path in PLACES if (schema.subschema(path) or {}).get("type")]
FREE = [path for path in PLACES if "extra" in path or "options" in path or "devices" in path]
WRONG_TYPES: dict[str, list[Any]] = {
    "string": [None, True, 5, 1.5, [], {}],
    "integer": [None, True, 1.5, 5.0, "5", [], {}],
    "number": [None, False, "5", [], {}],
    "boolean": [None, 0, 1, "true", [], {}],
    "array": [None, True, 5, "a", {}],
    "object": [None, True, 5, "a", []],
}


@dataclass(frozen=True)
class Mutant:
    """A spoilt document as text, whether it is known to be broken, and what must not be told."""

    text: str
    suffix: str
    broken: bool
    secrets: tuple[str, ...]


def with_secrets(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a good document with fresh values at all secret places that take any text."""
    document = copy.deepcopy(GOOD)
    told = []
    for index, path in enumerate(SECRETS):
        if path[-1] in ("key", "corosync_authkey"):
            told.append(value_at(document, path))
        else:
            letters = draw(st.text(alphabet="ghjkmnpqrstuvwxyz", min_size=16, max_size=20))
            value = f"{letters.upper() if path[-1] == 'erlang_cookie' else letters}{index:04}"
            value_at(document, path[:-1])[path[-1]] = value
            told.append(value)
    return document, tuple(told)


def drop(draw: st.DrawFn, document: Any) -> bool:
    path = draw(st.sampled_from(IN_MAPS))
    parent = schema.subschema(path[:-1]) or (schema.read(schema.ROOT) if len(path) == 1 else {})
    del value_at(document, path[:-1])[path[-1]]
    return path[-1] in parent.get("required", ())


def rename(draw: st.DrawFn, document: Any) -> bool:
    path = draw(st.sampled_from(IN_MAPS))
    parent = value_at(document, path[:-1])
    name = path[-1] + draw(st.sampled_from(["x", "_", "-1", " ", "é", "\t", ".y", "\x07"]))
    assume(name not in parent)
    parent[name] = parent.pop(path[-1])
    return path not in FREE or path[-1] in ("extra", "options", "devices")


def retype(draw: st.DrawFn, document: Any) -> bool:
    path = draw(st.sampled_from(DECLARED))
    wanted = (schema.subschema(path) or {})["type"]
    assume(isinstance(wanted, str))
    value_at(document, path[:-1])[path[-1]] = draw(st.sampled_from(WRONG_TYPES[wanted]))
    return True


def nest(draw: st.DrawFn, document: Any) -> bool:
    path = draw(st.sampled_from(DECLARED))
    parent = value_at(document, path[:-1])
    deep: Any = parent[path[-1]]
    for _ in range(draw(st.sampled_from([1, 2, 70, 400]))):
        deep = {"x": deep} if draw(st.booleans()) else [deep]
    parent[path[-1]] = deep
    wanted = (schema.subschema(path) or {})["type"]
    # One more map around options is a section of options that is declared in none.
    return wanted not in ("object", "array") and "extra" not in path and "options" not in path


def enlarge(draw: st.DrawFn, document: Any) -> bool:
    path = draw(st.sampled_from([path for path in DECLARED if path not in FREE]))
    parent = value_at(document, path[:-1])
    wanted = (schema.subschema(path) or {})["type"]
    huge: dict[str, Any] = {
        "string": "a" * 100_000,
        "integer": 10**300,
        "number": 1e300,
        "array": [None] * 1000,
        "object": {f"k{index}": index for index in range(1000)},
        "boolean": 10**300,
    }
    parent[path[-1]] = huge[wanted]
    return True


def move(draw: st.DrawFn, document: Any) -> bool:
    """Put a secret where something else belongs."""
    here, there = draw(st.sampled_from(SECRETS)), draw(st.sampled_from(DECLARED))
    assume(there[: len(here)] != here and here[: len(there)] != there)
    value_at(document, there[:-1])[there[-1]] = value_at(document, here)
    return False


MUTATIONS = (drop, rename, retype, nest, enlarge, move)


@st.composite
def mutants(draw: st.DrawFn) -> Mutant:
    """Draw a document with one to three things wrong."""
    document, secrets = with_secrets(draw)
    broken = draw(st.sampled_from(MUTATIONS))(draw, document)
    suffix = draw(st.sampled_from([".json", ".yaml"]))
    if suffix == ".json":
        text = json.dumps(document, indent=draw(st.sampled_from([None, 1])))
    else:
        flow = draw(st.sampled_from([None, False]))
        text = yaml.dump(document, Dumper=DUMPER, default_flow_style=flow, width=1000)
    spoil = draw(st.sampled_from(["no", "no", "cut", "insert", "twice"]))
    if spoil == "cut":
        at = draw(st.integers(0, len(text) - 1))
        text, broken = text[:at], False
    elif spoil == "insert":
        at = draw(st.integers(0, len(text) - 1))
        text, broken = (
            text[:at] + draw(st.sampled_from([*"{}[]\"':,#&*!%@\t\0\x01\n", "<<: "])) + text[at:],
            False,
        )
    elif spoil == "twice" and suffix == ".yaml":
        lines = text.splitlines(keepends=True)
        at = draw(st.integers(0, len(lines) - 1))
        text, broken = "".join(lines[: at + 1] + lines[at:]), False
    return Mutant(text, suffix, broken, secrets)


def call(argv: list[str]) -> tuple[int, str]:
    """Run the command in this process; return its exit status and all that it printed."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(argv)
    return int(ended.value.code or 0), out.buffer.getvalue().decode() + err.getvalue()  # type: ignore[attr-defined]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants(), st.sampled_from(FORMATS))
def test_mutants_are_refused_without_telling_a_secret(mutant: Mutant, form: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=mutant.suffix, encoding="utf-8") as file:
        file.write(mutant.text)
        file.flush()
        code, shown = call(["validate", "--format", form, *(["--annotate"] if form == "text" else []), file.name])
    assert code in (0, 1)
    if mutant.broken:
        assert code == 1
    assert "Traceback" not in shown
    for secret in mutant.secrets:
        assert secret not in shown


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants())
def test_gate_of_the_node_refuses_the_same(mutant: Mutant) -> None:
    try:
        document = json.loads(mutant.text) if mutant.suffix == ".json" else yaml.safe_load(mutant.text)
    except (ValueError, yaml.YAMLError, RecursionError):
        return
    findings = check_document(document)
    assert not mutant.broken or any(finding.severity == "error" for finding in findings)
    for secret in mutant.secrets:
        assert all(secret not in str(finding) for finding in findings)


@pytest.mark.parametrize("there", DECLARED, ids=dotted)
def test_secret_in_any_place_is_not_told(there: KeyPath) -> None:
    checker = Checker()
    for value in ("Xq9-very-private", "xq9veryprivate", "Xq9 very private", "Xq9", "Xq9" * 2000):
        for wrapped in (value, [value], {"x": value}, [{"x": {"y": [value]}}]):
            document = copy.deepcopy(GOOD)
            value_at(document, there[:-1])[there[-1]] = wrapped
            told = "".join(map(str, checker.check(document)))
            assert "xq9" not in told.lower()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_defaults_do_not_break_what_is_good(data: st.DataObject) -> None:
    document = copy.deepcopy(GOOD)
    for path in data.draw(st.lists(st.sampled_from([path for path in IN_MAPS if path not in FREE]), max_size=6)):
        with contextlib.suppress(KeyError, IndexError, TypeError):
            parent = schema.subschema(path[:-1]) or {}
            if "default" in parent.get("properties", {}).get(path[-1], {}):
                del value_at(document, path[:-1])[path[-1]]
    assume(not check_document(document))
    assert check_document(schema.with_defaults(document)) == []


def test_recursion_limit_is_left_alone() -> None:
    limit = sys.getrecursionlimit()
    check_document(GOOD)
    assert sys.getrecursionlimit() == limit
