"""`gatepost display`: a lane's page on the monitor of this machine. What gatepost-display@.service starts.

gatepost display entry                           the page of the lane `entry`, in cage and Chromium
gatepost display entry --compositor ""           in the session that is there already

The browser is asked for a frame four times a second. When none comes for a second, whatever hangs in it, it is
killed with its compositor: the monitor is dark. This command then ends with status 1, and its service starts it
again.
"""

from __future__ import annotations

import http.client
import logging
import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.cli.help import port
from agent.platform import systemd
from agent.texts import CATALOGUE
from agent.web.browser import Browser, BrowserGone
from agent.web.options import LOCAL_PORT
from agent.web.pictures import LANG_TAGS

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)

BLOCKED_S = 1.0
"""So long without a frame, and the browser is killed."""
FRAME_EVERY_S = 0.25
START_S = 20.0
"""Until the first frame."""
_SHOWN = "Boolean(document.body?.dataset.tone)"
"""Whether it is our page, and not a page of the browser that says why ours cannot be had."""
_WAITING = "data:text/html;charset=utf-8," + quote(
    "<body style='background:#000;color:#fff;font:8vmin sans-serif;text-align:center'>"
    + "".join(f"<p lang={tag}>{getattr(CATALOGUE['cue']['fault'], name)}" for name, tag in LANG_TAGS.items())
)
"""What stands there while nobody serves the page."""
_RETRY_S = 0.5


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `display`."""
    parser = subparsers.add_parser("display", description=__doc__)
    parser.add_argument("lane", help="whose page is shown")
    parser.add_argument("--port", type=port, default=LOCAL_PORT, help=f"of the screens (default: {LOCAL_PORT})")
    parser.add_argument(
        "--compositor", default="cage -d --", help='what it runs in, "" for nothing (default: cage -d --)'
    )
    parser.add_argument(
        "--browser", default="chromium", help="a Chromium, with arguments if any (default: chromium)"
    )


def run(args: argparse.Namespace) -> int:
    """0 after SIGTERM, 1 when the browser had to be killed or has ended."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    words = [*shlex.split(args.compositor), *shlex.split(args.browser)]
    with tempfile.TemporaryDirectory(prefix="gatepost-display-") as profile:
        try:
            browser = Browser(words, Path(profile), os.environ)
        except OSError as error:
            print(f"{words[0]} cannot be started: {error.strerror}", file=sys.stderr)
            return 1
        try:
            _show(browser, args.lane, args.port)
        except TimeoutError:
            log.warning("the browser painted nothing for %.0f s: it is killed", BLOCKED_S)
        except BrowserGone as error:
            log.warning("the browser has gone: %s", error)
        finally:
            browser.kill()
    return 1


def _show(browser: Browser, lane: str, at_port: int) -> None:
    """Show the page, and see that it is painted, for ever. Raises TimeoutError or BrowserGone."""
    browser.open(_WAITING, START_S)
    systemd.notify("READY=1")
    while True:
        if _is_served(at_port):
            browser.open(f"http://127.0.0.1:{at_port}/lanes/{lane}", START_S)
            limit_s = START_S
            while browser.paint(_SHOWN, limit_s):
                limit_s = BLOCKED_S
                systemd.notify("WATCHDOG=1")
                time.sleep(FRAME_EVERY_S)
            browser.open(_WAITING, START_S)
        systemd.notify("WATCHDOG=1")
        time.sleep(_RETRY_S)


def _is_served(at_port: int) -> bool:
    """Whether there is a page to show: else the browser would show one of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", at_port, timeout=BLOCKED_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit(0)
