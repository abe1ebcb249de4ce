"""Green on the screen, and something stands still: a monitor shows that it is dark, or "see the staff"."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from screens_bench import Screens, hang

from agent.model.effects import Cue
from agent.web import webkit
from tests.conftest import wait_for

if TYPE_CHECKING:
    from monitor import Monitor
    from playwright.sync_api import Browser

    from tests.fair_clock import FairClock

pytestmark = pytest.mark.alone
NEVER_GREEN_AFTER_S = 2.0
IN_STATUS_AFTER_S = 3.0
_WORKER_AND_REPORT_S = 1.25
"""The screen is looked at four times a second, the report written each second."""
START_S = 90.0
HERE = Path(__file__).parent
_DAEMON = "import time; from screens_bench import Screens; Screens.green_for_ever({folder!r}); time.sleep(600)"


def green(screens: Screens, monitor: Monitor) -> None:
    """Green for long, as far as the agent is concerned."""
    screens.watch._lanes["entry"]._panel._green_s = 600.0
    wait_for(lambda: monitor.is_kept() and not screens.watch.trouble("entry"), START_S)
    screens.show("entry", Cue.ADMIT)
    wait_for(lambda: monitor.is_kept() and monitor.is_green())


def until_not_green(monitor: Monitor, clock: FairClock) -> float:
    began_s = clock()
    wait_for(lambda: not monitor.is_green())
    return clock() - began_s


needs_webkit = pytest.mark.skipif(not webkit.is_installed(), reason=f"no WebKitGTK: apt install {webkit.PACKAGES}")


@pytest.mark.parametrize(
    ("browser_name", "kind"),
    [
        pytest.param("chromium", "renderer"), pytest.param("chromium", "gpu-process"), pytest.param("chromium", ""),
        pytest.param("webkit", "WebKitWebProcess", marks=needs_webkit),
        pytest.param("webkit", "webkit_window", marks=needs_webkit), pytest.param("webkit", "", marks=needs_webkit),
    ],
    ids=lambda value: value or "all",
)  # fmt: skip
def test_a_browser_that_stands_still_is_killed_and_the_lane_says_so(
    screens: Screens, monitor: Monitor, fair_clock: FairClock, browser_name: str, kind: str
) -> None:
    monitor.launch("entry", screens.port, browser_name)
    green(screens, monitor)
    processes = monitor.processes("")
    began_s = fair_clock()
    monitor.stop(kind)
    assert until_not_green(monitor, fair_clock) <= NEVER_GREEN_AFTER_S
    wait_for(lambda: screens.watch.trouble("entry"))
    assert fair_clock() - began_s <= IN_STATUS_AFTER_S - _WORKER_AND_REPORT_S
    assert monitor.launcher is not None
    assert monitor.launcher.wait(90) == 1
    wait_for(lambda: not monitor.left_behind(processes))


def test_the_screen_process_stands_still(screens: Screens, monitor: Monitor, fair_clock: FairClock) -> None:
    monitor.launch("entry", screens.port)
    green(screens, monitor)
    screens.process.send_signal(signal.SIGSTOP)
    try:
        assert until_not_green(monitor, fair_clock) <= NEVER_GREEN_AFTER_S
    finally:
        screens.process.send_signal(signal.SIGCONT)


def test_the_agent_stands_still(monitor: Monitor, fair_clock: FairClock) -> None:
    """In a process of its own, which alone stands still."""
    screens = Screens("entry")
    screens.watch.stop()
    agent = subprocess.Popen(
        [sys.executable, "-c", _DAEMON.format(folder=str(screens.folder))],
        env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[2]}"},
    )
    try:
        monitor.launch("entry", screens.port)
        wait_for(lambda: monitor.is_kept() and monitor.is_green(), START_S)
        agent.send_signal(signal.SIGSTOP)
        assert until_not_green(monitor, fair_clock) <= NEVER_GREEN_AFTER_S
    finally:
        agent.kill()
        agent.wait()
        screens.close()


def test_the_page_hangs_and_nobody_kills_it(
    screens: Screens, monitor: Monitor, browser: Browser, fair_clock: FairClock
) -> None:
    """The compositor alone ends the green."""
    window = browser.browser_type.launch(
        executable_path=shutil.which("chromium"),
        headless=False,
        args=["--no-sandbox", "--kiosk"],
        env=os.environ | {"DISPLAY": monitor.display},
    )
    try:
        page = window.new_page(no_viewport=True)
        page.set_default_timeout(1000 * START_S)
        page.goto(f"{screens.url}lanes/entry")
        green(screens, monitor)
        hang(page)
        assert until_not_green(monitor, fair_clock) <= NEVER_GREEN_AFTER_S
    finally:
        window.close()


@pytest.mark.parametrize("browser_name", ["chromium", pytest.param("webkit", marks=needs_webkit)])
def test_a_page_that_is_not_served_is_shown_when_it_is(
    screens: Screens, monitor: Monitor, browser_name: str
) -> None:
    screens.end()
    monitor.launch("entry", screens.port, browser_name)
    wait_for(lambda: monitor.pixels().max() > 200, START_S)  # “out of service”, of the launcher's own
    screens.serve(screens.port)
    green(screens, monitor)
