"""The window of a lane's page in WebKitGTK: frames, nothing but pages of this machine, nothing left behind."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from monitor import Monitor
from screens_bench import Screens

from agent.web import webkit
from agent.web.browser import BrowserGone
from agent.web.webkit import WebKit
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 60.0
needs_webkit = pytest.mark.skipif(not webkit.is_installed(), reason=f"no WebKitGTK: apt install {webkit.PACKAGES}")


@pytest.fixture
def window(monitor: Monitor) -> Iterator[WebKit]:
    made = WebKit([], os.environ | {"DISPLAY": monitor.display, "HOME": str(monitor.folder)})
    yield made
    made.kill()


@needs_webkit
def test_it_says_what_is_on_the_page_once_a_frame_was_shown(window: WebKit) -> None:
    window.open("data:text/html,<title>t</title><p id=p>shown", LIMIT_S)
    assert window.paint("document.querySelector('p').textContent", LIMIT_S) == "shown"
    assert window.paint("[1, null, {a: 'b'}]", LIMIT_S) == [1, None, {"a": "b"}]
    assert window.paint("undefined", LIMIT_S) is None
    assert window.paint("nothing.like.this", LIMIT_S) is None


@needs_webkit
@pytest.mark.parametrize(
    "address", ["http://192.0.2.1/", "http://127.0.0.1.evil.example/", "https://127.0.0.1:1/", "file:///etc/passwd"]
)
def test_no_other_page_is_shown(window: WebKit, address: str) -> None:
    window.open("data:text/html,<p id=p>ours", LIMIT_S)
    window.open(address, LIMIT_S)
    assert window.paint("document.querySelector('#p')?.textContent", LIMIT_S) == "ours"
    window.paint(f"void (location.href = '{address}')", LIMIT_S)
    assert window.paint("document.querySelector('#p')?.textContent", LIMIT_S) == "ours"
    assert window.paint("window.open('about:blank')", LIMIT_S) is None


@needs_webkit
def test_a_page_that_is_not_there_is_no_page_of_the_browsers_own(window: WebKit) -> None:
    window.open("http://127.0.0.1:1/lanes/entry", LIMIT_S)
    assert window.paint("document.body?.textContent ?? ''", LIMIT_S) == ""


@needs_webkit
def test_a_page_that_hangs_is_noticed(window: WebKit) -> None:
    window.open("data:text/html,x", LIMIT_S)
    window.paint("setTimeout(() => { const end = Date.now() + 9000; while (Date.now() < end); }, 0)", LIMIT_S)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        window.paint("1", 1.0)
    assert time.monotonic() - began_s < 2.0


@needs_webkit
def test_nothing_outlives_the_launcher(screens: Screens, monitor: Monitor) -> None:
    monitor.launch("entry", screens.port, "webkit")
    wait_for(lambda: not screens.watch.trouble("entry"), LIMIT_S)
    processes = monitor.processes("")
    assert len(processes) >= 3
    assert monitor.launcher is not None
    monitor.launcher.send_signal(signal.SIGKILL)
    wait_for(lambda: not monitor.left_behind(processes))


def test_a_window_that_cannot_be_made_has_gone(tmp_path: Path) -> None:
    made = WebKit([], {"PATH": os.environ["PATH"], "HOME": str(tmp_path)})  # no display
    try:
        with pytest.raises(BrowserGone):
            made.open("about:blank", LIMIT_S)
    finally:
        made.kill()


def test_it_is_installed_where_its_packages_are(tmp_path: Path) -> None:
    assert not webkit.is_installed(tmp_path)
    for name in ("aarch64-linux-gnu/girepository-1.0/WebKit2-4.1.typelib", "python3/dist-packages/gi/__init__.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        assert not webkit.is_installed(tmp_path)
        file.touch()
    assert webkit.is_installed(tmp_path)
