"""What is done to this node's broker from outside the management API: its cookie, its data, and Erlang's own call."""

import contextlib
import pwd
import re
import shutil
import stat
from pathlib import Path

from tripleo_ha import paths
from tripleo_ha.errors import Failure
from tripleo_ha.node.context import LOG, Context, write_file
from tripleo_ha.run import run

HOME = Path("/var/lib/rabbitmq")
COOKIE = HOME / ".erlang.cookie"
JOINED = HOME / "tripleo-ha-joined"
"""There since this disk's broker was first seen as a member; lost with the data, as it has to be."""
FIRST_START = Path("/etc/rabbitmq/conf.d/first-start.conf")
SETTINGS = paths.RUNTIME / "applied" / "rabbitmq-settings"
HANGS = paths.RUNTIME / "applied" / "rabbitmq-patience"
RAN_WITH = paths.RUNTIME / "applied" / "rabbitmq-ran-with"
ASIDE = HOME / "unreadable"
"""What a broker could not start with, until the one that began anew has copies of all queues."""
CTL_TIMEOUT = 180.0
LEAVE_S = 3.0
"""Seconds that a broker has to tell the others that it is about to stop; it stops in any case."""
START_S = 90.0
"""Seconds that a start may take beside a majority of the members: three busy nodes on two cores take up to 25."""
ANSWER = re.compile(r"\{ok, (.*)\}", re.DOTALL)
USER = "rabbitmq"
BECOME = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--")


def owner() -> tuple[int, int]:
    """Return uid and gid of the broker's system user."""
    entry = pwd.getpwnam(USER)
    return entry.pw_uid, entry.pw_gid


def ctl(*arguments: str, input: str | None = None) -> str:
    """Run ``rabbitmqctl`` as the broker's user and return what it prints. It boots an Erlang machine: a second of CPU.

    :param input: a password, which does not belong on the command line.
    """
    # With any further option, the script that starts it would no longer let it read its input.
    options = [] if input is not None else ["--quiet"]
    argv = [*BECOME, "/usr/lib/rabbitmq/bin/rabbitmqctl", *options, *arguments]
    return run(argv, timeout=CTL_TIMEOUT, input=input, env={"HOME": str(HOME)}, cwd=HOME).stdout


def evaluate(expression: str, *, at: str, timeout: float = CTL_TIMEOUT) -> str:
    """Return what a controller's broker makes of an Erlang expression, as ``erl_call`` prints it.

    :param expression: ends with a full stop.
    :param at: the controller; the broker's cookie opens it.
    :raises CommandFailed: the broker does not answer.
    :raises Failure: the expression failed there.
    """
    argv = [*BECOME, "erl_call", "-sname", f"rabbit@{at}", "-e"]
    done = run(argv, timeout=timeout, input=f"{expression.strip()}\n", env={"HOME": str(HOME)}, cwd=HOME)
    if (answer := ANSWER.fullmatch(done.stdout.strip())) is None:
        raise Failure(f"the broker on {at} failed at what it was asked: {done.stdout.strip()[:300]}")
    return answer[1]


def leave(context: Context) -> None:
    """Have queues that are declared from now on placed on other brokers than this one, which is about to stop.

    Whoever declares one that is placed here would wait until its stop is noticed. Its next boot takes the mark away.
    """
    try:
        evaluate("rabbit_maintenance:mark_as_being_drained().", at=context.cluster.me.name, timeout=LEAVE_S)
    except Failure as failure:
        LOG.warning("%s; going on", failure)


def cookie_is(wanted: str) -> bool:
    """Tell whether the cookie file has this content and nobody else can read it."""
    try:
        return COOKIE.read_text() == wanted and stat.S_IMODE(COOKIE.stat().st_mode) == 0o400
    except FileNotFoundError:
        return False


def write_cookie(wanted: str) -> None:
    """Write the cookie for the next start."""
    write_file(COOKIE, wanted, mode=0o400, owner=owner())


def change_cookie(wanted: str, *, at: str) -> bool:
    """Give a running broker another cookie, and write it; return False when the broker did not take it.

    Connections between members outlive the change, so members may follow each other without losing their majority,
    which a restart of each with a new cookie would take away.
    """
    staged = COOKIE.with_suffix(".next")
    write_file(staged, wanted, mode=0o400, owner=owner())
    expression = f'{{ok,C}}=file:read_file("{staged}"),erlang:set_cookie(binary_to_atom(string:trim(C))),ok.'
    try:
        evaluate(expression, at=at)
    except Failure:
        return False
    finally:
        staged.replace(COOKIE)
    return True


def patience() -> float:
    """Return the seconds that the broker's next start may take once it has all that it waits for."""
    return float(HANGS.read_text()) if HANGS.exists() else START_S


def note_hang(waited: float) -> None:
    """Give the next start of this boot twice as long as this one had, which was ended."""
    write_file(HANGS, str(2 * waited))


def forget_hangs() -> None:
    """The broker has started."""
    HANGS.unlink(missing_ok=True)


def ran_with() -> str | None:
    """Return the digest of the configuration with which the broker has started last in this boot, or None."""
    return RAN_WITH.read_text() if RAN_WITH.exists() else None


def note_ran_with(digest: str) -> None:
    """The broker has started with this configuration."""
    if ran_with() != digest:
        write_file(RAN_WITH, digest)


def has_joined() -> bool:
    """Tell whether the broker on this disk was ever a member."""
    return JOINED.exists()


def has_begun(name: str) -> bool:
    """Tell whether a broker was ever started on this disk."""
    return (HOME / "mnesia" / f"rabbit@{name}").exists()


def note_joined() -> None:
    """Remember that this disk holds a member; what only the first start needs, a password, goes."""
    write_file(JOINED, "", owner=owner())
    FIRST_START.unlink(missing_ok=True)


def prepare_first_start(admin_password: str) -> None:
    """Have the cluster's first user be ``admin`` instead of ``guest``; read by the very first node only."""
    content = f"default_user = admin\ndefault_pass = {admin_password}\n"
    write_file(FIRST_START, content, owner=owner())


def wipe(name: str) -> None:
    """Remove all that the broker on this disk knows, its membership included; it must not run."""
    # Cut short, what is left must not pass for a member's.
    JOINED.unlink(missing_ok=True)
    base = HOME / "mnesia"
    shutil.rmtree(base / f"rabbit@{name}", ignore_errors=True)
    for leftover in base.glob(f"rabbit@{name}-*"):
        leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover)


def put_aside(name: str) -> None:
    """Keep what the broker on this disk holds for a person to look at, and have it begin anew; it must not run."""
    JOINED.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (HOME / "mnesia" / f"rabbit@{name}").rename(ASIDE)
    wipe(name)


def is_aside() -> bool:
    """Tell whether the data of a broker that could not start are still kept."""
    return ASIDE.exists()


def drop_aside() -> None:
    """Remove the data of a broker that could not start."""
    if is_aside():
        shutil.rmtree(ASIDE)


def apply_settings(context: Context, expression: str, *, just_started: bool) -> None:
    """Give the running broker settings that its files hold as well, unless it has them.

    :param just_started: it read the files a moment ago.
    """
    known = SETTINGS.read_text() if SETTINGS.exists() else ""
    if known == expression:
        return
    if not just_started:
        evaluate(expression, at=context.cluster.me.name)
        context.changed("rabbitmq: the cluster's size applied to the running broker")
    write_file(SETTINGS, expression)
