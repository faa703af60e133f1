"""What executable templates read is found without running them."""

import pytest

from tripleo_ha.templates.executable import analyse
from tripleo_ha.templates.scopes import dotted
from tripleo_ha.templates.shape import Tree

HEAD = "#!/usr/bin/python3\nimport json, sys\nmetadata = json.load(sys.stdin)\n"

READS = [
    ("print(metadata['cluster']['name'])", {"cluster.name"}),
    ("c = metadata['cluster']\nprint(c['name'])", {"cluster", "cluster.name"}),
    ("for n in metadata['cluster']['nodes']:\n    print(n['ip'])", {"cluster.nodes", "cluster.nodes[].ip"}),
    (
        "print([n['ip'] for n in metadata['cluster']['nodes'] if n['name']])",
        {"cluster.nodes", "cluster.nodes[].ip", "cluster.nodes[].name"},
    ),
    ("print(list(n['ip'] for n in metadata['cluster']['nodes']))", {"cluster.nodes", "cluster.nodes[].ip"}),
    ("print(metadata['cluster']['nodes'][0]['ip'])", {"cluster.nodes[].ip"}),
    ("k = metadata.get('keystone') or {}\nprint(k.get('region'))", {"keystone", "keystone.region"}),
    ("for s, o in metadata['mysql'].get('extra', {}).items():\n    print(s, o)", {"mysql.extra", "mysql.extra.*"}),
    ("for v in metadata['cluster']['virtual_ips'].values():\n    print(v)", {"cluster.virtual_ips"}),
    ("a, b = 1, 2\nx = y = 3\nprint(a, len('b'), x == y, 'z' in {})", set()),
    ("[x] = sys.argv\nfor (p, q[0]) in []:\n    pass\nfor t in zip([], []):\n    pass", set()),
]


@pytest.mark.parametrize(("code", "expected"), READS)
def test_reads_are_followed_through_names_and_loops(code: str, expected: set[str], shapes: Tree) -> None:
    found = analyse(HEAD + "if 'mysql' in metadata: pass\n" + code + "\n", shapes)
    assert not found.faults
    assert {dotted(read.path) for read in found.reads} == expected


@pytest.mark.parametrize(
    ("code", "rule", "at"),
    [
        ("print('ä', metadata['clustre'])", "undeclared-key", "metadata['clustre']"),
        ("print(metadata['keystone']['region'])", "", ""),
        ("print(metadata['keystone'])", "optional-unguarded", "metadata['keystone']"),
        ("use(metadata)", "undeclared-reads", "metadata)"),
        ("print(metadata['base']['nonsense'])", "undeclared-key", "metadata['base']['nonsense']"),
    ],
)
def test_a_fault_is_found_where_it_is(code: str, rule: str, at: str, shapes: Tree) -> None:
    text = HEAD + code + "\n"
    faults = analyse(text, shapes).faults
    assert [fault.rule for fault in faults] == ([rule] if rule else [])
    if at:
        assert text[faults[0].offset :].startswith(at)


def test_a_program_in_another_language_says_what_it_reads(shapes: Tree) -> None:
    found = analyse("#!/bin/sh\n# reads: cluster.nodes[].ip, keystone.region\njq .\n", shapes)
    assert not found.faults
    assert {dotted(read.path) for read in found.reads} == {"cluster.nodes[].ip", "keystone.region"}


def test_a_declaration_of_what_is_not_declared_is_a_fault_there(shapes: Tree) -> None:
    text = "#!/bin/sh\n# reads: cluster.name nonsense.key\n"
    (fault,) = analyse(text, shapes).faults
    assert fault.rule == "undeclared-key"
    assert text[fault.offset :].startswith("nonsense")


def test_a_program_that_says_nothing_is_a_fault(shapes: Tree) -> None:
    assert [fault.rule for fault in analyse("#!/bin/sh\njq .\n", shapes).faults] == ["undeclared-reads"]


def test_python_that_hands_the_metadata_on_may_say_what_it_reads(shapes: Tree) -> None:
    found = analyse(HEAD + "# reads: keystone\nuse(metadata)\n", shapes)
    assert not found.faults
    assert [(dotted(read.path), read.whole) for read in found.reads] == [("keystone", True)]


def test_python_that_does_not_parse_is_a_fault(shapes: Tree) -> None:
    assert [fault.rule for fault in analyse("#!/usr/bin/python3\nif\n", shapes).faults] == ["undeclared-reads"]
