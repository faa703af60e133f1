"""The dashboard, in a browser, over the loss of the controller that a user signed in on."""

import time
from pathlib import Path

from availability import Loop, Loops, describe
from beds import REPORTS, Summary
from browsers import Browser, browser
from clouds import RESUME_S, STEADY, needs, until
from openstack.connection import Connection
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.wait import WebDriverWait

from tripleo_ha import endpoints
from tripleo_ha.devtest import credentials
from tripleo_ha.devtest.bed import Bed
from tripleo_ha.endpoints import PUBLIC
from tripleo_ha.errors import Failure
from tripleo_ha.verify.runner import Target

FIRST_PAGES_S = 120.0
"""The browser has nothing yet of what all pages share."""
PAGE_S = 20.0
"""A user reloads a page that is not there after this long."""
SETTLE_S = 90.0
GAP_S = 60.0
"""Longest time for which a user may be without a page. How much shorter it is depends on the machine; it is told."""
SIGNED_IN = 'Login successful for user "admin"'
SESSION = "sessionid"


class Images:
    """Opens the page of images and waits for one: an operation for a ``Loop``."""

    def __init__(self, window: Browser, dashboard: str, name: str) -> None:
        self._window, self._url, self._name = window, f"{dashboard}/project/images", name

    def __call__(self, identity: str) -> None:
        """Do so once.

        :raises Failure: the dashboard wants a password instead.
        :raises WebDriverException: the page did not come, or without the image.
        """
        self._window.get(self._url)
        if self._window.find_elements(By.NAME, "password"):
            raise Failure("the session has ended")
        row = expected.visibility_of_element_located((By.LINK_TEXT, self._name))
        WebDriverWait(self._window, PAGE_S).until(row, f"no image {self._name}")

    def reset(self) -> None:
        """Nothing is kept but the browser's own."""


def test_a_session_goes_on_without_the_controller_that_it_began_on(
    target: Target, bed: Bed, cloud: Connection, image: str, tmp_path: Path, summary: Summary
) -> None:
    needs(bed, "horizon")
    REPORTS.mkdir(exist_ok=True)
    dashboard, authority = address(target), bed.state / credentials.CA
    name = cloud.image.get_image(image).name
    with browser(target.transport.enter, tmp_path, authority, REPORTS / "horizon-failed.png") as window:
        since = time.time()
        sign_in(window, dashboard, cloud)
        images = Images(window, dashboard, name)
        until("the image to be listed", lambda: (images("first"),), timeout=FIRST_PAGES_S)
        assert window.save_screenshot(str(REPORTS / "horizon.png"))
        session = window.get_cookie(SESSION)
        assert session
        assert session["secure"], "the session's cookie travels in the clear as well"
        node = until("a controller to tell of the session", lambda: began_on(bed, since), timeout=RESUME_S)
        loops = Loops((Loop("images in a browser", images, 1.0, target.transport.enter),))
        with loops.at_work(SETTLE_S):
            at = time.monotonic()
            bed.power_off(node)
            loops.wait_working(at, RESUME_S, STEADY)
            gaps = loops.gaps(at)
        images("last")
        assert window.save_screenshot(str(REPORTS / f"horizon-without-{node}.png"))
        summary.tell(f"{node} (signed in on) power cut, dashboard", describe(gaps))
        # Not the cookies themselves: what fails is printed.
        kept = window.get_cookie(SESSION)
        assert kept
        same = kept["value"] == session["value"]
        assert same, "it is another session"
        assert {what: gap.seconds for what, gap in gaps.items() if gap.seconds > GAP_S} == {}


def address(target: Target) -> str:
    """Return the dashboard's public URL."""
    (listener,) = (each for row in target.rows for each in row.balanced if each.name == "horizon")
    return endpoints.base_url(target.metadata, listener, PUBLIC)


def sign_in(window: Browser, dashboard: str, cloud: Connection) -> None:
    """Fill in the form as the administrator, and wait for the page after it."""
    window.set_page_load_timeout(FIRST_PAGES_S)
    window.get(f"{dashboard}/")
    window.find_element(By.NAME, "username").send_keys(cloud.config.auth["username"])
    window.find_element(By.NAME, "password").send_keys(cloud.config.auth["password"])
    window.find_element(By.ID, "loginBtn").click()
    WebDriverWait(window, FIRST_PAGES_S).until(lambda _: "/auth/login" not in window.current_url, "not signed in")
    window.set_page_load_timeout(PAGE_S)


def began_on(bed: Bed, since: float) -> str:
    """Return the controller whose dashboard tells that the administrator signed in, or an empty string.

    :param since: seconds since the epoch.
    """
    journal = ["journalctl", "--unit=horizon.service", "--output=cat", f"--since=@{int(since)}"]
    told = [node.name for node in bed.nodes if SIGNED_IN in bed.exec(node.name, journal).stdout]
    assert len(told) <= 1, told
    return "".join(told)
