"""A fresh bed is what it should be."""

import json

from beds import DEVTEST, Summary

from tripleo_ha.devtest.bed import Bed
from tripleo_ha.run import run
from tripleo_ha.verify.runner import Target

CHECKS = {
    "balance.amqp.control",
    "balance.keystone.control",
    "balance.keystone.public",
    "balance.mysql.control",
    "galera.members",
    "galera.write",
    "image.identity",
    "keystone.token",
    "listening",
    "nodes.facts",
    "rabbitmq.members",
    "rabbitmq.message",
    "rabbitmq.quorum-queue",
    "rabbitmq.users",
    "rabbitmq.copies",
    "secrets",
    "singleton.ceilometer-agent-central",
    "tls.certificate",
    "units",
    "vip.control",
    "vip.public",
}
VERIFY_S = 10.0


def test_every_check_is_made_and_good(target: Target, bed: Bed, summary: Summary) -> None:
    command = [DEVTEST[0], "verify", "--state", str(bed.state), "--format", "json"]
    done = run(command, timeout=60, check=False)
    told = json.loads(done.stdout)
    bad = {check["name"]: check["evidence"] for check in told["checks"] if not check["ok"]}
    assert bad == {}
    assert done.returncode == 0
    assert {check["name"] for check in told["checks"]} >= CHECKS
    summary.tell("verify", f"{len(told['checks'])} checks in {told['seconds']:.1f} s")
    assert told["seconds"] <= VERIFY_S


def test_verify_fails_when_a_stranger_listens(target: Target, bed: Bed) -> None:
    node = bed.nodes[-1].name
    stranger = "setsid python3 -m http.server 8099 </dev/null >/dev/null 2>&1 & echo $! >/run/stranger"
    bed.exec(node, ["bash", "-c", stranger])
    try:
        done = run([DEVTEST[0], "verify", "--state", str(bed.state), "--format", "json"], timeout=60, check=False)
    finally:
        bed.exec(node, ["bash", "-c", "kill -9 $(cat /run/stranger); rm /run/stranger"])
    bad = {check["name"]: check["evidence"] for check in json.loads(done.stdout)["checks"] if not check["ok"]}
    assert done.returncode == 1
    assert list(bad) == ["listening"]
    assert f"{node}: python3" in bad["listening"]
    assert "8099" in bad["listening"]
