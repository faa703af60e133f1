"""Each configuration file judged by the program that reads it, where this machine has that program."""

import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tripleo_ha.run import CommandFailed, run
from tripleo_ha.table import Oslo, Row
from tripleo_ha.topology.haproxy import CERTIFICATES

TIMEOUT = 60.0
CHECKED = {"corosync": ".check-corosync.conf", "haproxy": ".check-haproxy.cfg", "mariadb": ".check-mariadb.cnf"}
"""Files that are made for a check only, in the root of the tree."""
RABBITMQ = "/usr/lib/rabbitmq/lib"
CUTTLEFISH = """
code:add_pathsa(filelib:wildcard("{home}/*/plugins/*/ebin")),
Schemas = filelib:wildcard("{home}/*/plugins/*/priv/schema/*.schema"),
case cuttlefish_schema:files(Schemas) of
    {{errorlist, E}} -> io:format("~p~n", [E]), halt(1);
    Schema ->
        case cuttlefish_conf:files({confs}) of
            {{errorlist, E}} -> io:format("~p~n", [E]), halt(1);
            Conf ->
                case cuttlefish_generator:map(Schema, Conf) of
                    {{error, _, {{errorlist, E}}}} ->
                        [io:format("~s~n", [cuttlefish_error:xlate(X)]) || {{error, X}} <- E], halt(1);
                    _ -> halt(0)
                end
        end
end.
"""
"""RabbitMQ has no command that checks a configuration; this is what its start-up does with one."""

Verdict = Literal["good", "bad", "not checked"]


@dataclass(frozen=True)
class Judgement:
    """What a program says of a file: ``reason`` is its own words, or why it was not asked."""

    file: str
    verdict: Verdict
    program: str
    reason: str = ""


@dataclass(frozen=True)
class Judge:
    """A program that can check a file; ``command`` makes its argv from the root of the rendered tree."""

    file: str
    program: str
    command: Callable[[Path], Sequence[str]]


def of_rows(rows: Iterable[Row]) -> tuple[Judge, ...]:
    """Return who checks the files that rows say oslo.config reads."""
    return tuple(_oslo(row.oslo) for row in rows if row.oslo)


def _oslo(oslo: Oslo) -> Judge:
    return Judge(
        oslo.file,
        "oslo-config-validator",
        lambda root: [
            "oslo-config-validator",
            *(word for namespace in oslo.namespace for word in ("--namespace", namespace)),
            *_OSLO,
            *_FROM_PLUGINS,
            *(word for group in (*oslo.unjudged, *oslo.credentials) for word in ("--exclude-group", group)),
            "--input-file",
            f"{root}{oslo.file}",
        ],
    )


_OSLO = tuple(
    word
    for namespace in (
        "oslo.log",
        "oslo.concurrency",
        "oslo.messaging",
        "oslo.db",
        "oslo.cache",
        "oslo.middleware",
        "oslo.policy",
        "oslo.service.service",
        "keystonemiddleware.auth_token",
    )
    for word in ("--namespace", namespace)
)
"""The libraries whose options every service's file may hold."""
_FROM_PLUGINS = ("--exclude-group", "service_credentials", "--exclude-group", "keystone_authtoken")
"""Groups whose options keystoneauth's chosen plugin declares at run time, so that no list of options has them."""


def _corosync(root: Path) -> Sequence[str]:
    # It reads the key too, looks for this machine among the nodes, and tells what is wrong where the file says.
    text = (root / "etc/corosync/corosync.conf").read_text()
    me = (root / "etc/hostname").read_text().strip()
    text = text.replace(f"name: {me}\n", f"name: {socket.gethostname()}\n")
    text = text.replace("/etc/corosync/authkey", f"{root}/etc/corosync/authkey").replace(
        "to_stderr: no", "to_stderr: yes"
    )
    (root / CHECKED["corosync"]).write_text(text)
    return ["corosync", "-t", "-c", f"{root}/{CHECKED['corosync']}"]


def _haproxy(root: Path) -> Sequence[str]:
    # It reads the certificates as well, where the file says.
    text = (root / "etc/haproxy/haproxy.cfg").read_text()
    checked = root / CHECKED["haproxy"]
    checked.touch(mode=0o600)
    checked.write_text(text.replace(f"crt-base {CERTIFICATES}", f"crt-base {root}{CERTIFICATES}"))
    return ["haproxy", "-c", "-f", str(checked)]


def _mariadb(root: Path) -> Sequence[str]:
    (root / CHECKED["mariadb"]).write_text(f"!includedir {root}/etc/mysql/mariadb.conf.d\n")
    # --help makes it read and judge every option, and end.
    return ["mariadbd", f"--defaults-file={root}/{CHECKED['mariadb']}", "--verbose", "--help"]


def _rabbitmq(root: Path) -> Sequence[str]:
    files = [root / "etc/rabbitmq/rabbitmq.conf", *sorted((root / "etc/rabbitmq/conf.d").glob("*.conf"))]
    listed = "[" + ", ".join(f'"{file}"' for file in files) + "]"
    return ["erl", "-noinput", "-eval", CUTTLEFISH.format(home=RABBITMQ, confs=listed)]


JUDGES: tuple[Judge, ...] = (
    Judge("/etc/chrony/conf.d/tripleo-ha.conf", "chronyd", lambda root: ["chronyd", "-p", "-f", _at(root, "chrony")]),
    Judge("/etc/corosync/corosync.conf", "corosync", _corosync),
    Judge("/etc/haproxy/haproxy.cfg", "haproxy", _haproxy),
    Judge("/etc/mysql/mariadb.conf.d/90-tripleo-ha.cnf", "mariadbd", _mariadb),
    Judge("/etc/nftables.conf", "nft", lambda root: ["nft", "-c", "-f", _at(root, "nftables")]),
    Judge("/etc/rabbitmq/rabbitmq.conf", "erl", _rabbitmq),
)


def _at(root: Path, part: str) -> str:
    return f"{root}{next(judge.file for judge in JUDGES if part in judge.file)}"


def judge(
    root: Path, files: Mapping[str, object], judges: Sequence[Judge] = JUDGES, rows: Iterable[Row] = ()
) -> Iterator[Judgement]:
    """Ask every program that is installed about its file.

    :param root: the directory under which the files stand at their own paths.
    :param files: the paths that were rendered; a program whose file is not among them is not asked.
    :param rows: of services, whose own files are checked as well.
    """
    for item in (*judges, *of_rows(rows)):
        if item.file in files:
            yield _ask(item, root)


def _ask(item: Judge, root: Path) -> Judgement:
    if shutil.which(item.program) is None:
        return Judgement(item.file, "not checked", item.program, "not installed here")
    try:
        run(item.command(root), timeout=TIMEOUT, env={"ERL_CRASH_DUMP": "/dev/null"})
    except CommandFailed as error:
        return Judgement(item.file, "bad", item.program, error.output.strip() or error.reason)
    finally:
        for name in CHECKED.values():
            (root / name).unlink(missing_ok=True)
    return Judgement(item.file, "good", item.program)
