"""What a bed's networks are told to lose."""

from pathlib import Path

from tripleo_ha.devtest import severing
from tripleo_ha.devtest.layout import NETWORKS, bed_nodes, node_names

A, B, C = NODES = bed_nodes(Path("/bed"), node_names(3))


def rules(ways: frozenset[severing.Way]) -> set[str]:
    return {rule.strip() for line in severing.ruleset(ways).splitlines() for rule in line.split(";") if "drop" in rule}


def test_a_node_cut_from_its_peers_still_reaches_the_client() -> None:
    found = rules(severing.between([A], NODES))
    assert 'iifname "ctl0" oifname "ctl1" drop' in found
    assert 'iifname "pub2" oifname "pub0" drop' in found
    assert not any('"ctl1" oifname "ctl2"' in rule for rule in found)
    assert len(found) == 2 * 2 * len(NETWORKS)


def test_losing_all_that_arrives_leaves_what_is_sent() -> None:
    found = rules(severing.to(C, NODES))
    assert all(any(f'oifname "{link}"' in rule for link in C.links) for rule in found)
    assert 'oifname "ctl2" drop' in found, "what the client sends is lost as well"


def test_losing_all_that_is_sent_is_the_other_way_round() -> None:
    assert severing.out_of(C, NODES) == {(target, source) for source, target in severing.to(C, NODES)}


def test_each_hook_gets_what_passes_it() -> None:
    text = severing.ruleset(frozenset({(A, None), (None, A), (A, B)}))
    hooks = {line.split()[1]: line for line in text.splitlines() if line.startswith("  chain")}
    assert 'iifname "ctl0" drop' in hooks["input"]
    assert 'oifname "ctl0" drop' in hooks["output"]
    assert 'iifname "ctl0" oifname "ctl1" drop' in hooks["forward"]
    assert "accept" not in text
