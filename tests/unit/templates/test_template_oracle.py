"""What the check calls clean, pystache renders without a gap: compared on generated templates and metadata."""

import copy
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from os_apply_config.renderers import JsonRenderer
from pystache.context import ContextStack, KeyNotFoundError
from pystache.renderengine import RenderEngine

from tripleo_ha import cluster, paths, table
from tripleo_ha.metadata import generate, schema
from tripleo_ha.metadata.derived import derive
from tripleo_ha.metadata.passwords import Passwords
from tripleo_ha.templates.scopes import analyse
from tripleo_ha.templates.shape import ANY, Shape, tree

ROWS = tuple(table.load_row(file) for file in sorted(paths.elements().glob("*/service.yaml")))
SHAPES = tree(ROWS)
FULL = next(
    iter(
        generate.generate(
            generate.Description(
                generate.numbered(3, memory_mb=32768),
                services=generate.profile("full"),
                overrides={
                    "base": {"ntp_servers": ["ntp.example.com"]},
                    "keystone": {"extra": {"token": {"a": 1}}},
                    "pacemaker": {"fencing": {"devices": {"overcloud-controller-0": {"agent": "fence_x"}}}},
                    "ceph": {"fsid": "6e0a5d3c-1f3b-4c53-9a6e-2f7f6f0c9b11", "mon_host": ["192.0.2.50"]},
                    "cinder_volume": {"rbd": {"key": "A" * 40}, "nfs": {"shares": ["192.0.2.50:/volumes"]}},
                },
            ),
            Passwords({}).completed(generate.profile("full")),
        ).values()
    )
)


class Gap(AssertionError):
    """Something would be rendered that nobody meant."""


class StrictEngine(RenderEngine):
    """Renders like pystache, and raises where a value is missing, is an object, or comes from a scope not meant."""

    def fetch_string(self, context: Any, name: str) -> Any:
        self.same_scope(context, name)
        try:
            value = context.get(name)
        except KeyNotFoundError as error:
            raise Gap(f"{name} is not there") from error
        if isinstance(value, dict | list):
            raise Gap(f"{name} is an object")
        return super().fetch_string(context, name)

    def fetch_section_data(self, context: Any, name: str) -> Any:
        self.same_scope(context, name)
        return super().fetch_section_data(context, name)

    @staticmethod
    def same_scope(context: Any, name: str) -> None:
        first, dot, _ = name.partition(".")
        scopes = [scope for scope in context._stack if isinstance(scope, dict)]
        holder = next((scope for scope in reversed(scopes) if first in scope), None)
        meant = holder is None or holder is scopes[-1] or (dot and holder is scopes[0])
        if name != "." and not meant:
            raise Gap(f"{name} comes from an outer scope")


def render(template: str, metadata: dict[str, Any]) -> None:
    engine = JsonRenderer(missing_tags="ignore")._make_render_engine()
    engine.__class__ = StrictEngine
    engine.render(template, ContextStack.create(metadata))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid node's metadata, with any services and optional keys left out, as the templates get it."""
    document = copy.deepcopy(FULL)
    chosen = draw(st.sets(st.sampled_from(generate.services())))
    chosen |= {needed for name in chosen for needed in SHAPES.needs[name]}
    for name in set(generate.services()) - chosen:
        del document[name]
    for name in (*chosen, "base", "node"):
        optional = sorted(set(document[name]) - set(schema.read(name).get("required", ())))
        for key in draw(st.sets(st.sampled_from(optional))) if optional else ():
            del document[name][key]
    full = schema.with_defaults(document)
    full["derived"] = derive(full, cluster.from_metadata(full), ROWS)
    return full


def names(shape: Shape) -> list[str]:
    return [name for name in shape.names() if name != ANY]


@st.composite
def keys(draw: st.DrawFn, scopes: tuple[Shape, ...], *, printed: bool) -> tuple[str, Shape]:
    """A key and what it stands for: of the innermost scope or, with dots, from the root; now and then of any other."""
    inner = scopes[-1]
    where = draw(st.sampled_from(["inner"] * 6 + ["root"] * 2 + ["any"]))
    holder = {"inner": inner, "root": SHAPES.root}.get(where) or draw(st.sampled_from(scopes))
    if not names(holder):
        return ".", inner
    parts: list[str] = []
    shape = holder
    while names(shape):
        parts.append(draw(st.sampled_from(names(shape))))
        shape = shape.child(parts[-1]) or shape
        # Printing wants a single value, a section is of use wherever it stands.
        if not printed and draw(st.booleans()):
            break
    return ".".join(parts), shape


@st.composite
def templates(draw: st.DrawFn, scopes: tuple[Shape, ...] = (SHAPES.root,), depth: int = 4) -> str:
    """One or two tags, in sections nested a few deep."""
    text = ""
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["", "#", "#", "^"])) if depth else ""
        key, shape = draw(keys(scopes, printed=not kind))
        if not kind:
            text += f"{{{{{key}}}}}"
            continue
        scope = (*scopes, shape.item() or shape) if kind == "#" else scopes
        text += f"{{{{{kind}{key}}}}}{draw(templates(scope, depth - 1))}{{{{/{key}}}}}"
    return text


@settings(max_examples=200, deadline=None)
@given(templates(), documents())
def test_a_clean_template_leaves_no_gap_for_any_valid_metadata(template: str, metadata: dict[str, Any]) -> None:
    faults = analyse(template, SHAPES).faults
    event("clean" if not faults else "faulty")
    if not faults:
        render(template, metadata)


def test_the_oracle_sees_gaps() -> None:
    for template in (
        "{{nothing}}",
        "{{cluster}}",
        "{{#cluster}}{{#node}}{{name}}{{/node}}{{/cluster}}",
        "{{#a}}{{b}}{{/a}}",
    ):
        with pytest.raises(Gap):
            render(template, {"cluster": {"name": "c"}, "node": {"name": "n"}, "a": {"x": 1}, "b": 2})


@pytest.mark.parametrize("count", [1, 3])
def test_the_projects_templates_leave_no_gap_either(count: int) -> None:
    from tripleo_ha.templates.drift import templates as found

    metadata = schema.with_defaults(FULL)
    metadata["derived"] = derive(metadata, cluster.from_metadata(metadata), ROWS)
    small = schema.with_defaults({key: FULL[key] for key in ("cluster", "node")})
    small["derived"] = derive(small, cluster.from_metadata(small), ROWS)
    for template in found(paths.elements()):
        if not template.runs:
            render(template.file.read_text(), metadata if count == 3 else small)
