"""The screens' process of the demonstration, and pictures of everything that a screen can show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from agent.cli.demo import child
from agent.cli.demo.broker import MissingProgram
from agent.control import watch
from agent.control.watch import Watch
from agent.indicators import LampPanel
from agent.model.effects import Cue, ShowCue
from agent.web.browser import Browser
from agent.web.options import PanelOptions, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_STOP_S = 5.0
_MAIN = "import sys; from agent.cli import main; sys.exit(main())"
_SHOWN_S = 60.0
_PICTURE_LIMIT_S = 60.0
_LINK = "https://gate-1.local:8471/guard#pair=demonstration-only-000"
SHOWN = {
    **{str(cue): ShowCue("", cue) for cue in Cue if cue is not Cue.RETRY},
    "once_more": ShowCue("", Cue.RETRY),
    "another_card": ShowCue("", Cue.RETRY, "another_card"),
    "closed": ShowCue("", Cue.FAULT, "closed"),
    "full": ShowCue("", Cue.REFER, "full"),
    "rest": ShowCue("", Cue.REFER, rest_s=598.0),
    "refer_register": ShowCue("", Cue.REFER, "register"),
    watch.PAIR: ShowCue("", Cue.READY),
}
"""Name of the picture → what its lane is told; a hint only where one may stand."""
PANELS = {
    "kiosk": PanelOptions(gate=Side.RIGHT),
    "standing": PanelOptions(136.0, 217.0, 800, 1280, gate=Side.RIGHT),
    "tablet": PanelOptions(154.0, 86.0, 1024, 600, distance_mm=400.0, gate=Side.RIGHT),
    "phone": PanelOptions(65.0, 140.0, 390, 844, distance_mm=300.0, gate=Side.RIGHT),
}
"""Folder → the screen: 10.1 inches lying and standing, 7 inches, a telephone."""


class ScreenProcess:
    """`gatepost screen` on a free port of this machine. It ends with the thread that starts it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the agent's sockets."""
        words = child.words(sys.executable, "-c", _MAIN, "screen", "--directory", str(folder), "--port", "0")
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            process_group=0,
        )
        self.url = self._address()
        """Of the list of lanes; empty when it does not run, as where its packages are missing."""

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self._process.kill()
        self._process.wait()
        self._drain.join(_STOP_S)

    def _address(self) -> str:
        """What it says of itself; all else that it says is read and dropped, so that it never waits for us."""
        stream = self._process.stderr
        if stream is None:
            raise RuntimeError("the screens were started without a pipe")
        found = next(filter(None, (re.search(r"http://\S+", line) for line in stream)), None)
        self._drain = threading.Thread(target=_drain, args=(stream,), name="drain screens", daemon=True)
        self._drain.start()
        return found[0] if found else ""


def _drain(stream: IO[str]) -> None:
    with stream:
        for _ in stream:
            pass


def write_pictures(out: Path, sockets: Path, panels: Mapping[str, PanelOptions] = PANELS) -> Iterator[Path]:
    """A picture of everything that a screen can show, on each panel, as a browser paints it; gives each file when
    it is there. Raises MissingProgram, TimeoutError or BrowserGone. `sockets`: an empty folder with a short path.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise MissingProgram("chromium is not on this machine: apt-get install chromium")
    lamps = {name: LampPanel(_SHOWN_S, _SHOWN_S) for name in SHOWN}
    for folder, panel in panels.items():
        (out / folder).mkdir(parents=True, exist_ok=True)
        pictures = Watch(sockets / watch.NAME, lamps, dict.fromkeys(SHOWN, panel), moves=lambda: True)
        pictures.start()
        screens = ScreenProcess(sockets)
        profile = sockets / f"profile-{folder}"
        browser = Browser([chromium, "--headless", "--disable-gpu", "--hide-scrollbars"], profile, os.environ)
        try:
            for name, shown in SHOWN.items():
                pictures.on_effect(ShowCue(name, Cue.READY))
                pictures.on_effect(replace(shown, lane=name))
            for name in SHOWN:
                if name == watch.PAIR:  # it takes the place of all that stand ready
                    pictures.show_pairing(_LINK, "042137", "3F:A2:91:BC:07:D1:55:E0", _SHOWN_S)
                browser.open(f"{screens.url}lanes/{name}", _PICTURE_LIMIT_S)
                _until_painted(browser, pictures, name)
                file = out / folder / f"{name}.png"
                file.write_bytes(browser.picture(panel.width_px, panel.height_px, _PICTURE_LIMIT_S))
                yield file
        finally:
            browser.kill()
            screens.stop()
            pictures.stop()


def _until_painted(browser: Browser, pictures: Watch, name: str) -> None:
    """Until the page has said that the screen shows what the lane shows. Raises TimeoutError."""
    until_s = time.monotonic() + _PICTURE_LIMIT_S
    while pictures.trouble(name):
        if time.monotonic() > until_s:
            raise TimeoutError(f"the browser did not paint {name} within {_PICTURE_LIMIT_S:.0f} s")
        browser.paint("true", _PICTURE_LIMIT_S)
