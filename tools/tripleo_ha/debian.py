"""Debian packages of this machine: those whose programs are missing are installed."""

import shutil
from collections.abc import Mapping

from tripleo_ha.errors import Failure
from tripleo_ha.run import CommandFailed, run


def missing(programs: Mapping[str, str]) -> list[str]:
    """Return the packages of the programs that are not there.

    :param programs: a program's name, and the Debian package that holds it.
    """
    return sorted({package for program, package in programs.items() if shutil.which(program) is None})


def install(programs: Mapping[str, str]) -> list[str]:
    """Install the packages of the programs that are missing, and return their names.

    :raises Failure: this is no Debian, or apt-get fails.
    """
    packages = missing(programs)
    if not packages:
        return []
    if shutil.which("apt-get") is None:
        raise Failure(f"{', '.join(packages)} must be installed first; without apt-get that is left to you")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(command, timeout=600, env=environment)
    except CommandFailed:
        # Fresh machines have no package lists, and old lists name files that are gone.
        run(["apt-get", "update"], timeout=600, env=environment)
        run(command, timeout=600, env=environment)
    return packages
