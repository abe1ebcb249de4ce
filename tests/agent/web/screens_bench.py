"""A real browser before real screens: the watch door in this process, `gatepost screen` in its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.control.watch import NAME, Watch
from agent.indicators import LampPanel
from agent.model.effects import Cue, ShowCue
from agent.web.options import PanelOptions

if TYPE_CHECKING:
    from playwright.sync_api import Page

GREEN_S, ANSWER_S = 3.0, 5.0
ROOT = Path(__file__).parents[3]
UNIT = ROOT / "systemd" / "gatepost-screen.service"


def start_screens(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """`gatepost screen` for the sockets of a folder, with the priority of its service; and its port."""
    main = "import sys; from agent.cli import main; sys.exit(main())"
    nice = re.search(r"^Nice=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert nice is not None
    words = [sys.executable, "-c", main, "screen", "--directory", str(folder), "--port", str(port)]
    words = ["nice", "-n", nice[1], *words]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return process, int(found[1])
    raise AssertionError("gatepost screen ended")


class Screens:
    """The screens of some lanes. `moves` may be set: whether the agent's loop does."""

    def __init__(self, *lanes: str, panel: PanelOptions | None = None) -> None:
        self.moves = True
        self.folder = Path(tempfile.mkdtemp(prefix="gp-"))  # a socket's path is short
        sizes = dict.fromkeys(lanes, panel or PanelOptions())
        panels = {lane: LampPanel(GREEN_S, ANSWER_S) for lane in lanes}
        self.watch = Watch(self.folder / NAME, panels, sizes, moves=lambda: self.moves)
        self.watch.start()
        for lane in lanes:
            self.show(lane, Cue.READY)
        self.process: subprocess.Popen[str]
        self.url = ""
        self.serve()

    @staticmethod
    def green_for_ever(folder: str) -> None:
        """Serve a lane that stays green, in this process."""
        panels = {"entry": LampPanel(600.0, 600.0)}
        watch = Watch(Path(folder) / NAME, panels, {"entry": PanelOptions()}, moves=lambda: True)
        watch.start()
        for cue in (Cue.READY, Cue.ADMIT):
            watch.on_effect(ShowCue("entry", cue, ""))

    def serve(self, port: int = 0) -> None:
        """Start the screen process."""
        self.process, self.port = start_screens(self.folder, port)
        self.url = f"http://127.0.0.1:{self.port}/"

    def show(self, lane: str, cue: Cue, hint: str = "", rest_s: float = 0.0) -> None:
        self.watch.on_effect(ShowCue(lane, cue, hint, rest_s))

    def hold(self, lane: str, seconds: float) -> None:
        """The agent stays with the picture, whatever the screens were told."""
        panel = self.watch._lanes[lane]._panel
        panel._latest = replace(panel._latest, until_s=panel._latest.since_s + seconds)

    def end(self) -> None:
        """End the screen process."""
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def close(self) -> None:
        self.end()
        self.watch.stop()
        shutil.rmtree(self.folder)


def hang(page: Page, seconds: float = 4.0) -> None:
    """From now on the page's script does nothing else."""
    page.evaluate(
        f"setTimeout(() => {{ const end = Date.now() + {1000 * seconds}; while (Date.now() < end); }}, 0)"
    )


def tone(page: Page) -> str:
    return page.evaluate("document.body.dataset.tone")


def open_lane(page: Page, screens: Screens, lane: str = "entry") -> None:
    page.goto(f"{screens.url}lanes/{lane}")


def lines(page: Page) -> list[str]:
    return page.locator(".lines p").all_text_contents()
