"""The screens' process of the demonstration, and pictures of everything that a screen can show."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from agent.checkpoint.effects import ShowCue
from agent.cli.demo import child
from agent.cli.demo.broker import MissingProgram
from agent.control import watch
from agent.control.watch import Watch
from agent.indicators import Cue, LampPanel
from agent.web.options import PanelOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STOP_S = 5.0
_MAIN = "import sys; from agent.cli import main; sys.exit(main())"
_SHOWN_S = 60.0
_PAINT_MS = (1500, 4000, 12000)
"""So long a page may take; longer on a machine that is busy."""
_PICTURE_LIMIT_S = 60.0
_OWN_PICTURES = {"once_more": (Cue.RETRY, ""), "another_card": (Cue.RETRY, "another_card")}


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


def write_pictures(out: Path, sockets: Path, panel: PanelOptions | None = None) -> Iterator[Path]:
    """A picture of each cue, as a browser paints it; gives each file as it is there. Raises MissingProgram or
    OSError. `sockets`: an empty folder with a short path.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise MissingProgram("chromium is not on this machine: apt-get install chromium")
    out.mkdir(parents=True, exist_ok=True)
    panel = panel or PanelOptions()
    shown: dict[str, tuple[Cue, str]] = {str(cue): (cue, "") for cue in Cue if cue is not Cue.RETRY}
    shown |= {"closed": (Cue.FAULT, "closed"), "full": (Cue.FAULT, "full"), **_OWN_PICTURES}
    lamps = {name: LampPanel(_SHOWN_S, _SHOWN_S) for name in shown}
    pictures = Watch(sockets / watch.NAME, lamps, dict.fromkeys(shown, panel), moves=lambda: True)
    pictures.start()
    screens = ScreenProcess(sockets)
    taken: set[bytes] = set()
    try:
        for name, (cue, hint) in shown.items():
            pictures.on_effect(ShowCue(name, Cue.READY))
            pictures.on_effect(ShowCue(name, cue, hint))
            file = out / f"{name}.png"
            for paint_ms in _PAINT_MS:
                _photograph(chromium, f"{screens.url}lanes/{name}", file, panel, paint_ms)
                # it was on the glass, and not only after the picture was taken: no two cues look alike
                if not pictures.trouble(name) and file.read_bytes() not in taken:
                    break
            taken.add(file.read_bytes())
            yield file
    finally:
        screens.stop()
        pictures.stop()


def _photograph(chromium: str, url: str, file: Path, panel: PanelOptions, paint_ms: int) -> None:
    size = f"--window-size={panel.width_px},{panel.height_px}"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", size, f"--timeout={paint_ms}"]
    done = subprocess.run(  # noqa: S603 - our own words
        [chromium, *options, f"--screenshot={file.absolute()}", url],
        capture_output=True, timeout=_PICTURE_LIMIT_S, check=False,
    )  # fmt: skip
    if done.returncode or not file.is_file():
        raise OSError(f"chromium took no picture of {url}: exit status {done.returncode}")
