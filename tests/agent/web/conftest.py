"""A real browser, and screens for it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from guard_pages import LIMIT_MS, Pages
from monitor import Monitor
from screens_bench import Screens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-site-isolation-trials", "--renderer-process-limit=1"]
"""No machine that runs tests has a graphics card, and emulating one is work. The pages are all of one site: the new
ones share a process, rather than start two each.
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium; its headless shell where there is one, which does the same with less work."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    programs = ("chromium-headless-shell", "chromium", "chromium-browser")
    chromium = next(filter(None, map(shutil.which, programs)), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine: make browser")
    if not subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True, check=False).stdout:
        pytest.skip("no Chinese font on this machine: make browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def screens() -> Iterator[Screens]:
    made = Screens("entry")
    yield made
    made.close()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    if missing := [each for each in ("Xvfb", "chromium") if shutil.which(each) is None]:
        pytest.skip(f"no {missing[0]} on this machine: make browser")
    made = Monitor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.close()


@pytest.fixture
def page(browser: Browser, pages: Pages) -> Iterator[Page]:
    """A telephone, paired and logged in, at an empty gate."""
    pages.kiosk.door._sessions.unpair_all()
    pages.kiosk.device = ""
    pages.empty()
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB")
    context.set_default_timeout(LIMIT_MS)
    context.add_cookies(pages.logged_in())
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.goto(f"{pages.url}guard")
    made.get_by_text("Waiting:").wait_for()
    yield made
    context.close()
    assert not faults
