"""A user's browser where a bed's clients are: Debian's Chromium without a screen, that trusts the cloud's authority."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clouds import away
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

from tripleo_ha import debian
from tripleo_ha.run import run

CHROMIUM, DRIVER, CERTUTIL = "/usr/bin/chromium", "/usr/bin/chromedriver", "certutil"
NEEDED = {CHROMIUM: "chromium", DRIVER: "chromium-driver", CERTUTIL: "libnss3-tools"}
SIZE = "1400,1000"
ARGUMENTS = (
    "--headless=new",
    # Tests are root's, for whom it has no sandbox. It opens nothing but pages of the bed.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    f"--window-size={SIZE}",
)


class Browser(webdriver.Chrome):
    """A browser and its driver in another network namespace; the thread that gives a command is back after it."""

    def __init__(self, enter: Callable[[], None], options: webdriver.ChromeOptions, service: webdriver.ChromeService):
        self._enter = enter
        with away(enter):
            super().__init__(options, service)

    def execute(self, driver_command: Any, params: dict[str, Any] | None = None) -> Any:
        """Give a command."""
        with away(self._enter):
            return super().execute(driver_command, params)

    def quit(self) -> None:
        """End both."""
        with away(self._enter):
            super().quit()


@contextmanager
def browser(enter: Callable[[], None], home: Path, authority: Path, failed: Path) -> Iterator[Browser]:
    """Have a browser with nothing but what is told here for the time of a ``with`` statement.

    :param enter: takes the calling thread where the browser is on the network.
    :param home: an empty directory for all that it keeps.
    :param authority: a certificate authority's certificate, which it trusts beside those of the system.
    :param failed: where a picture is kept of what it showed when the statement failed.
    :raises Failure: what it needs cannot be installed.
    """
    debian.install(NEEDED)
    _trust(home, authority)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.ignore_local_proxy_environment_variables()
    for argument in (*ARGUMENTS, f"--user-data-dir={home / 'profile'}"):
        options.add_argument(argument)
    service = webdriver.ChromeService(DRIVER, env={**os.environ, "HOME": str(home)})
    opened = Browser(enter, options, service)
    try:
        yield opened
    except BaseException:
        with suppress(WebDriverException):
            opened.save_screenshot(str(failed))
        raise
    finally:
        opened.quit()


def _trust(home: Path, authority: Path) -> None:
    """Have the user whose home this is trust an authority; Chromium reads the database of Mozilla's NSS."""
    database = home / ".pki/nssdb"
    database.mkdir(parents=True)
    certutil = [CERTUTIL, "-d", f"sql:{database}"]
    run([*certutil, "-N", "--empty-password"], timeout=30)
    run([*certutil, "-A", "-n", "cloud", "-t", "C,,", "-i", str(authority)], timeout=30)
