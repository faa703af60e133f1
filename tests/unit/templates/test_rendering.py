"""Rendering gives what os-apply-config gives, and owners need not exist here."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tripleo_ha.errors import Failure
from tripleo_ha.templates.render import Rendered, render

Write = Callable[..., Path]
METADATA = {
    "cluster": {"name": "c", "nodes": [{"ip": "192.0.2.11"}]},
    "n": 1.5,
    "yes": True,
    "none": None,
    "text": "<&'\"",
}


def test_content_mode_and_owner(element: Write, tmp_path: Path) -> None:
    element("etc/a.conf", "{{cluster.name}} {{text}}\n")
    element("etc/a.conf.oac", "mode: 0640\nowner: nobody-of-that-name\ngroup: g\n")
    expected = Rendered(b"c <&'\"\n", 0o640, "nobody-of-that-name", "g", "one")
    assert render(tmp_path, METADATA) == {"/etc/a.conf": expected}


def test_an_executable_template_is_run(element: Write, tmp_path: Path) -> None:
    element("etc/a", "#!/bin/sh\ngrep -o 192.0.2.11\n", run=True)
    assert render(tmp_path, METADATA)["/etc/a"].body == b"192.0.2.11\n"


def test_an_empty_file_is_left_out_where_it_would_be_deleted(element: Write, tmp_path: Path) -> None:
    element("etc/kept", "{{#absent}}x{{/absent}}")
    element("etc/gone", "{{#absent}}x{{/absent}}")
    element("etc/gone.oac", "allow_empty: false\n")
    assert list(render(tmp_path, METADATA)) == ["/etc/kept"]


@pytest.mark.parametrize(("text", "control"), [("{{/a}}", None), ("x", "{"), ("#!/bin/false", None)])
def test_what_cannot_be_rendered_is_told(text: str, control: str | None, element: Write, tmp_path: Path) -> None:
    element("etc/a", text, run=text.startswith("#!"))
    if control:
        element("etc/a.oac", control)
    with pytest.raises(Failure, match="cannot be rendered"):
        render(tmp_path, METADATA)


def test_a_control_file_that_is_no_mapping_says_nothing(element: Write, tmp_path: Path) -> None:
    element("etc/a", "x")
    element("etc/a.oac", "[1]")
    assert render(tmp_path, METADATA)["/etc/a"].mode == 0o644


def test_it_is_what_os_apply_config_writes(element: Write, tmp_path: Path) -> None:
    import json

    element("etc/a", "{{n}} {{yes}} {{none}} {{cluster.nodes}} {{absent}}{{#cluster.nodes}}{{ip}}{{/cluster.nodes}}\n")
    element("etc/b", "b\n")
    element("etc/b.oac", "mode: 0600\n")
    (tmp_path / "m.json").write_text(json.dumps(METADATA))
    command = [
        sys.executable,
        "-c",
        "from os_apply_config.apply_config import install_config as i; "
        "i(['m.json'], 'one/os-apply-config', 'out', False)",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    for path, file in render(tmp_path, METADATA).items():
        written = tmp_path / "out" / path.lstrip("/")
        assert written.read_bytes() == file.body
        assert written.stat().st_mode & 0o777 == file.mode
