"""Baked pictures on a screen without a browser: `gatepost display` at real screens; the screen is a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from guard_pages import LIMIT_MS
from screens_bench import Screens
from test_baked import lay

from agent.model.effects import Cue
from agent.web import baked
from agent.web.baking import FixedFeed, bake, page_to_paint, wanted_pictures
from agent.web.options import PanelOptions, Side
from agent.web.painter import Baked
from agent.web.pictures import compose, shown_pictures
from agent.web.surface import FrameBuffer, NoMonitor
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.fair_clock import FairClock

SIZE = (640, 400)
PANEL = PanelOptions(width_px=SIZE[0], height_px=SIZE[1])
NEVER_GREEN_AFTER_S, LAUNCHER_S = 2.0, 60.0
BAKED = ("admit", "fault", "pair", "ready", "refer", "refer.register", "rest")
_MAIN = "import sys; from agent.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def folder(browser: Browser) -> Iterator[Path]:
    """Some pictures, as a browser paints them."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None
    shown = {name: line for name, line in shown_pictures().items() if name in BAKED}
    with tempfile.TemporaryDirectory(prefix="gp-") as made, pytest.MonkeyPatch.context() as patched:
        (Path(made) / "tmp").mkdir()
        patched.setenv("TMPDIR", f"{made}/tmp")
        names = list(bake(SIZE, chromium, Path(made) / "pictures", Path(made) / "profile", shown))
        assert set(names) == {*BAKED, baked.INDEX}
        yield Path(made) / "pictures"


def test_a_browser_that_is_killed_leaves_nothing_outside_its_profile(folder: Path) -> None:
    assert not list((folder.parent / "tmp").iterdir())


def test_a_picture_is_the_same_whatever_was_shown_before_it(browser: Browser) -> None:
    """Else each build of a package has other pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium is not None
    size = (1920, 1080)
    shown = {name: shown_pictures()[name] for name in ("admit", "admit_with_notice")}
    pictures = list(wanted_pictures(size, shown))
    found: set[tuple[str, Side, str]] = set()
    with (
        tempfile.TemporaryDirectory(prefix="gp-") as profile,
        page_to_paint(size, chromium, Path(profile)) as paint,
    ):
        for name, line, panel in (*pictures, *pictures[::-1], *pictures[::2], *pictures[1::2]):
            found.add((name, panel.gate, sha256(paint(line, panel, name)[2].tobytes()).hexdigest()))
    assert len(found) == len(pictures)


class Painted:
    """`gatepost display` with baked pictures on a file."""

    def __init__(self, screens: Screens, folder: Path, clock: FairClock, shows: Path | None = None) -> None:
        self.screens, self.file, self.clock = screens, screens.folder / "monitor", clock
        self.file.touch()
        self._words = [sys.executable, "-c", _MAIN, "display", "entry", "--port", str(screens.port)]
        self._words += ["--monitor", str(self.file), "--pictures", str(folder)]
        self.pictures = Baked(shows or folder)
        self.start()

    def start(self) -> None:
        self.launcher = subprocess.Popen(self._words, cwd=Path(__file__).parents[3])

    def is_kept(self) -> bool:
        """True. A painter that a busy machine has held up for long was killed: its service starts it again."""
        if self.launcher.poll() is not None:
            self.start()
        return True

    def pixels(self) -> np.ndarray:
        data = self.file.read_bytes()
        if len(data) != PANEL.width_px * PANEL.height_px * 4:
            return np.zeros((PANEL.height_px, PANEL.width_px, 3), np.uint8)
        return np.frombuffer(data, np.uint8).reshape(PANEL.height_px, PANEL.width_px, 4)[:, :, 2::-1]

    def shows(self, name: str) -> bool:
        key = baked.key_of(compose(shown_pictures()[name], PANEL))
        return bool((self.pixels() == self.pictures.pixels(key, (), None)[1]).all())

    def is_dark(self) -> bool:
        return not self.pixels().any()

    def painter(self) -> int:
        children = Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text().split()
        return int(children[0])

    def show_for(self, seconds: float) -> None:
        """How long green and any other answer last, as far as the agent is concerned."""
        panel = self.screens.watch._lanes["entry"]._panel
        panel._green_s = panel._indication_s = seconds

    def green(self) -> None:
        """Green for long."""
        self.show_for(600.0)
        wait_for(lambda: self.is_kept() and not self.screens.watch.trouble("entry"))
        self.screens.show("entry", Cue.ADMIT)
        wait_for(lambda: self.is_kept() and self.shows("admit"))

    def until(self, condition: object) -> float:
        began_s = self.clock()
        wait_for(condition)  # type: ignore[arg-type]
        return self.clock() - began_s

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.launcher.send_signal(signal.SIGCONT)
        self.launcher.terminate()
        self.launcher.wait(LAUNCHER_S)


@pytest.fixture
def small(folder: Path) -> Iterator[Screens]:
    """Screens for the panel of the pictures."""
    made = Screens("entry", panel=PANEL)
    yield made
    made.close()


@pytest.fixture
def painted(small: Screens, folder: Path, fair_clock: FairClock) -> Iterator[Painted]:
    made = Painted(small, folder, fair_clock)
    yield made
    made.close()


def test_each_cue_is_on_the_screen_and_acknowledged(painted: Painted) -> None:
    screens = painted.screens
    painted.show_for(600.0)
    wait_for(lambda: painted.shows("ready"))
    for cue, hint, name in (
        (Cue.ADMIT, "", "admit"), (Cue.REFER, "register", "refer.register"), (Cue.REFER, "", "refer"),
        (Cue.WAIT, "", "fault"),
    ):  # fmt: skip
        screens.show("entry", cue, hint)
        wait_for(lambda name=name: painted.shows(name))
        number = screens.watch._lanes["entry"].now(time.monotonic()).number
        wait_for(lambda number=number: screens.watch._painted["entry"][0] == number)
    assert not screens.watch.trouble("entry")


def test_green_ends_when_the_agent_says_so_and_when_it_says_nothing(painted: Painted) -> None:
    painted.show_for(8.0)
    wait_for(lambda: painted.shows("ready"))
    painted.screens.show("entry", Cue.ADMIT)
    wait_for(lambda: painted.shows("admit"))
    wait_for(lambda: painted.shows("ready"))
    painted.green()
    painted.screens.moves = False
    assert painted.until(lambda: painted.shows("fault")) <= NEVER_GREEN_AFTER_S


def test_the_screen_process_stands_still_or_ends(painted: Painted) -> None:
    painted.green()
    painted.screens.process.send_signal(signal.SIGSTOP)
    assert painted.until(lambda: painted.shows("fault")) <= NEVER_GREEN_AFTER_S
    painted.screens.process.send_signal(signal.SIGCONT)
    painted.green()
    painted.screens.end()
    assert painted.until(lambda: painted.shows("fault")) <= NEVER_GREEN_AFTER_S
    painted.screens.serve(painted.screens.port)
    painted.green()


def test_a_painter_that_stands_still_is_killed_and_the_screen_is_dark(painted: Painted) -> None:
    painted.green()
    os.kill(painted.painter(), signal.SIGSTOP)
    assert painted.until(painted.is_dark) <= NEVER_GREEN_AFTER_S
    assert painted.launcher.wait(LAUNCHER_S) == 1
    wait_for(lambda: painted.screens.watch.trouble("entry"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_painter_outlives_its_launcher(painted: Painted, number: signal.Signals) -> None:
    painted.green()
    painter = painted.painter()
    painted.launcher.send_signal(number)
    painted.launcher.wait(LAUNCHER_S)
    wait_for(lambda: not Path(f"/proc/{painter}").exists())
    if number == signal.SIGTERM:
        assert painted.is_dark()


def test_the_code_for_a_tablet_and_a_count_down_are_drawn(painted: Painted) -> None:
    painted.show_for(600.0)
    wait_for(lambda: painted.shows("ready"))
    link = "https://gate-1.local:8471/guard#pair=abcdefghijklmnopqrstuv"
    painted.screens.watch.show_pairing(link, "042137", "3F:A2:91:BC:07:D1:55:E0", 60.0)
    decoder = cv2.QRCodeDetector()
    wait_for(lambda: decoder.detectAndDecode(np.ascontiguousarray(painted.pixels()))[0] == link)
    painted.screens.watch.show_pairing("", "", "", 0.0)
    painted.screens.show("entry", Cue.REFER, rest_s=598.0)
    rest = painted.pictures.pixels(baked.key_of(compose(shown_pictures()["rest"], PANEL)), (), None)[1]
    wait_for(lambda: (painted.pixels() == rest).mean() > 0.9)
    first = painted.pixels()
    assert (first != rest).any(), "the figures are over it"
    wait_for(lambda: bool((painted.pixels() != first).any()))


def test_a_baked_picture_is_what_the_page_shows(browser: Browser, small: Screens, folder: Path) -> None:
    with browser.new_context(viewport={"width": 640, "height": 400}, reduced_motion="reduce") as context:
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        page.goto(f"{small.url}lanes/entry")
        for cue, hint, name in ((Cue.ADMIT, "", "admit"), (Cue.REFER, "register", "refer.register")):
            small.watch._lanes["entry"]._panel._green_s = 60.0
            small.show("entry", cue, hint)
            page.locator(f'body[data-tone="{cue}"]').wait_for()
            key = baked.key_of(compose(shown_pictures()[name], PANEL))
            wanted = Baked(folder).pixels(key, (), None)[1]

            def equals(wanted: np.ndarray = wanted) -> bool:
                return bool((baked.decode(page.screenshot()) == wanted).all())

            wait_for(equals)


@pytest.mark.parametrize("lacks", ["pictures", "monitor"])
def test_what_is_missing_is_said(small: Screens, folder: Path, tmp_path: Path, lacks: str) -> None:
    words = [sys.executable, "-c", _MAIN, "display", "entry", "--port", str(small.port)]
    monitor, pictures = tmp_path / "monitor", tmp_path if lacks == "pictures" else folder
    words += ["--monitor", str(monitor), "--pictures", str(pictures)]
    said = subprocess.run(
        words, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 1
    assert ("gatepost display LANE --bake" if lacks == "pictures" else "cannot be used as a screen") in said.stderr


def test_the_size_is_that_of_the_lanes_screen_in_the_settings(
    small: Screens, tmp_path: Path, fair_clock: FairClock
) -> None:
    """Pictures of several sizes, as they come with a package; the first is shown until the agent's is known."""
    lay(tmp_path / "320x240")
    lay(tmp_path / "640x400", SIZE)
    painted = Painted(small, tmp_path, fair_clock, shows=tmp_path / "640x400")
    try:
        wait_for(lambda: painted.shows("ready"))
        wait_for(lambda: not small.watch.trouble("entry"))
    finally:
        painted.close()


def test_a_fixed_feed_serves_its_picture_alone() -> None:
    feed = FixedFeed(8470)
    number = feed.show({"picture": "ready"}, PANEL)
    assert (feed.picture("lane")["sign"], feed.picture("lane")["number"]) == ("ready", number)
    assert feed.show({"picture": "ready"}, PANEL) > number


@pytest.mark.parametrize(("bits", "pad"), [(32, 0), (32, 64), (16, 0), (16, 32)])
def test_a_frame_buffer_has_its_own_pixels_and_rows(tmp_path: Path, bits: int, pad: int) -> None:
    width, height, row = 5, 3, 5 * bits // 8 + pad
    file = tmp_path / "fb"
    file.touch()
    pixels = np.random.default_rng(bits).integers(0, 256, (height, width, 3)).astype(np.uint8)
    monitor = FrameBuffer(os.open(file, os.O_RDWR), "fb", [(width, height)], (width, height), bits, row)
    monitor.show(pixels)
    rows = np.frombuffer(file.read_bytes(), np.uint8).reshape(height, row)[:, : width * bits // 8]
    if bits == 32:
        assert (rows.reshape(height, width, 4)[:, :, 2::-1] == pixels).all()
    else:
        packed = rows.copy().view("<u2")
        red, green, blue = (packed >> 11) << 3, ((packed >> 5) & 63) << 2, (packed & 31) << 3
        assert (np.dstack([red, green, blue]) == pixels & np.array([248, 252, 248], np.uint8)).all()
    monitor.close()
    assert not any(file.read_bytes())


def test_a_frame_buffer_of_another_size_says_which_it_has(tmp_path: Path) -> None:
    file = tmp_path / "fb"
    file.touch()
    with pytest.raises(NoMonitor, match=r"has 5x3 pixels of 8 bits; there are pictures of 5x3, for 16 or 32"):
        FrameBuffer(os.open(file, os.O_RDWR), str(file), [(5, 3)], (5, 3), 8, 5)
