"""`gatepost display`: a lane's page on the monitor of this machine. What gatepost-display@.service starts.

gatepost display entry                           the page of the lane `entry`, in cage and WebKitGTK or Chromium
gatepost display entry --compositor ""           in the session that is there already
gatepost display entry --monitor /dev/dri/card0    baked pictures of it, without a browser
gatepost display entry --bake pictures           bake them, on any machine with Chromium, for the panel in --config

Where there is no browser, or less than 1 GB of memory, baked pictures are shown: those of the package, for monitors
of common sizes, or those of --pictures.

The browser is asked for a frame four times a second. When none comes for a second, whatever hangs in it, it is
killed with its compositor: the monitor is dark. What shows baked pictures is killed alike. This command then ends
with status 1, and its service starts it again.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import logging
import os
import select
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.cli.help import or_nothing, port
from agent.platform import packaged, systemd
from agent.texts import CATALOGUE
from agent.web import webkit
from agent.web.browser import Browser, BrowserGone
from agent.web.options import LOCAL_PORT
from agent.web.pictures import LANG_TAGS, shown_pictures
from agent.web.webkit import WebKit

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

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
WEBKIT = "webkit"
_CONFIG = Path("/etc/gatepost/agent.toml")
PICTURES = Path("/var/lib/gatepost-pictures")
"""Where those of a lane are that were baked for it."""
SMALL_KB = 900_000
"""With less memory than this a browser makes the kiosk swap; a board of 1 GB has more."""
_CARDS = Path("/dev/dri")
_FRAME_BUFFER, _FRAME_BUFFER_MAJOR = Path("/dev/fb0"), 29
_PR_SET_PDEATHSIG = 1
_MOST_BEATS = 4096
_ZEROS = bytes(4096)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `display`."""
    parser = subparsers.add_parser("display", description=__doc__)
    parser.add_argument("lane", help="whose page is shown")
    parser.add_argument("--port", type=port, default=LOCAL_PORT, help=f"port of the pages (default: {LOCAL_PORT})")
    parser.add_argument(
        "--compositor",
        type=or_nothing,
        default="cage -d --",
        help='program in which the browser runs, "" for none (default: cage -d --)',
    )
    parser.add_argument(
        "--browser",
        default="",
        help="webkit, or a Chromium with arguments if any (default: webkit where its packages are, else chromium)",
    )
    parser.add_argument(
        "--monitor", default="", help="show baked pictures: a card (/dev/dri/card0), a frame buffer or a plain file"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        help=f"folder of baked pictures (default: {PICTURES}/LANE, else those of the package)",
    )
    parser.add_argument("--bake", type=Path, metavar="FOLDER", help="write the pictures of the lane's panel there")
    parser.add_argument(
        "-c", "--config", type=Path, default=_CONFIG, help=f"configuration file, for --bake (default: {_CONFIG})"
    )


def run(args: argparse.Namespace) -> int:
    """0 after SIGTERM or when the pictures are baked, 1 when what shows them had to be killed or has ended."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.bake is not None:
        return _bake(args.config, args.lane, args.bake, *shlex.split(args.browser)[:1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    wanted = args.browser or (WEBKIT if webkit.is_installed() else "chromium")
    words = [*shlex.split(args.compositor), *shlex.split(webkit.PYTHON if wanted == WEBKIT else wanted)]
    own = PICTURES / args.lane
    pictures = args.pictures or (own if own.is_dir() else packaged.PICTURES)
    monitor = args.monitor or (_monitor() if pictures.is_dir() and _is_small(words) else "")
    if monitor:
        return _show_baked(pictures, monitor, args.lane, args.port)
    with tempfile.TemporaryDirectory(prefix="gatepost-display-") as profile:
        try:
            browser: Browser | WebKit
            if wanted == WEBKIT:
                browser = WebKit(shlex.split(args.compositor), os.environ)
            else:
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


# -- baked pictures


def _is_small(words: Sequence[str]) -> bool:
    """Whether a browser does not fit here: a program is missing, or memory is short."""
    programs = [word for word in words if not word.startswith("-")]
    if not all(map(shutil.which, programs)):
        return True
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/meminfo").read_text().split()[1]) < SMALL_KB
    return False


def _monitor() -> str:
    """The first card, else the frame buffer; `` where there is neither."""
    cards = sorted(str(card) for card in _CARDS.glob("card*"))
    return next(iter(cards), str(_FRAME_BUFFER) if _FRAME_BUFFER.exists() else "")


def _show_baked(pictures: Path, monitor: str, lane: str, at_port: int) -> int:
    """Show them in a process of its own, which is killed when it does not come round; the screen is dark then."""
    heard, beats = os.pipe()
    painter = os.fork()
    if painter == 0:
        os.close(heard)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os._exit(_paint(pictures, monitor, lane, at_port, beats))
    os.close(beats)
    limit_s = START_S
    try:
        while select.select([heard], [], [], limit_s)[0] and os.read(heard, _MOST_BEATS):
            if limit_s == START_S:
                systemd.notify("READY=1")
            limit_s = BLOCKED_S
            systemd.notify("WATCHDOG=1")
        log.warning("nothing is painted any more: the screen is made dark")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(painter, signal.SIGKILL)
        os.waitpid(painter, 0)
        _darken(monitor)
    return 1


def _paint(pictures: Path, monitor: str, lane: str, at_port: int, beats: int) -> int:
    """What the painter does until it is killed, or cannot show anything."""
    from agent.web import painter, surface  # noqa: PLC0415 - numpy is for this process alone

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        sets, wanted_px = painter.find_sets(pictures), None
        while True:
            on = surface.open_surface(monitor, sets, wanted_px)
            shown = sets[on.size_px]
            if missing := shown.missing():
                log.warning(
                    "%d pictures are not baked, such as %s: they are shown as out of service",
                    len(missing),
                    missing[0],
                )
            if wanted_px not in (None, on.size_px):
                log.warning(
                    "the lane's screen has width_px and height_px %s, and %s shows %s: out of service",
                    wanted_px, monitor, on.size_px,
                )  # fmt: skip
            wanted_px = painter.paint(on, shown, lane, at_port, lambda: os.write(beats, b"."), wanted_px)
            on.close()
    except (painter.NoPictures, surface.NoMonitor) as error:
        log.warning("%s", error)
    except Exception:
        log.exception("the painter ends")
    return 1


def _darken(monitor: str) -> None:
    """Make a frame buffer or a file black. A card needs nothing: its picture has gone with who has shown it."""
    with contextlib.suppress(OSError), Path(monitor).open("r+b", buffering=0) as memory:
        about = os.fstat(memory.fileno())
        if stat.S_ISREG(about.st_mode):
            memory.write(bytes(about.st_size))
        elif os.major(about.st_rdev) == _FRAME_BUFFER_MAJOR:
            while memory.write(_ZEROS):
                continue


def _bake(config_file: Path, lane: str, out: Path, browser: str = "chromium") -> int:
    """Paint the pictures of the lane's panel."""
    from agent.cli import configuration  # noqa: PLC0415 - a monitor needs none of it
    from agent.web.baking import bake  # noqa: PLC0415 - the packages come with the extra `screen`

    config = configuration.read(config_file)
    if config is None:
        return 1
    options = config.lanes.get(lane)
    if options is None or options.screen is None:
        print(f"lane {lane!r} has no screen: write [lanes.{lane}.screen] into {config_file}", file=sys.stderr)
        return 1
    chromium = shutil.which(browser)
    if chromium is None:
        print(f"{browser} is not on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    panel = options.screen
    with tempfile.TemporaryDirectory(prefix="gatepost-bake-") as profile:
        try:
            names = list(bake((panel.width_px, panel.height_px), chromium, out, Path(profile), shown_pictures()))
        except (TimeoutError, BrowserGone, OSError) as error:
            print(f"the pictures cannot be painted: {error}", file=sys.stderr)
            return 1
    print(f"{len(names) - 1} pictures of {panel.width_px}x{panel.height_px} pixels: {out}")
    return 0


# -- the browser


def _show(browser: Browser | WebKit, lane: str, at_port: int) -> None:
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
