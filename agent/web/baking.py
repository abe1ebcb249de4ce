"""Paints every picture of a screen with a browser, for boards that cannot run one: the page is the same."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.web import baked
from agent.web.browser import Browser
from agent.web.feed import Feed
from agent.web.options import PanelOptions, Side
from agent.web.pictures import STAFF, compose
from agent.web.server import Server, config
from agent.web.site import person_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    _Painted = tuple[dict[str, list[int]], float, NDArray[np.uint8]]

LIMIT_S = 60.0
SIZES = ((800, 480), (1024, 600), (1280, 800), (1920, 1080), (800, 1280), (1080, 1920))
"""Pixels of the monitors that are common at gates: their pictures come with a package."""
_BEAT_S, _LOOK_S = 0.25, 0.01
_LANE = "lane"
_FLAGS = ("--headless", "--disable-gpu", "--hide-scrollbars", "--disable-partial-raster")
"""The last: where only a part of a tile is painted again, the edges at its border are a shade different, so that a
picture would depend on what was shown before it.
"""
_NEAR_MM = 1.0
"""From so near everything can be read: the texts are as large as they fit."""
_BOX = """(() => {
  const part = document.querySelector(".{part}");
  if (part.hasAttribute("hidden")) return null;
  const box = part.getBoundingClientRect();
  part.style.visibility = "hidden";
  return [box.left, box.top, box.width, box.height].map(Math.round);
})()"""
"""Where a part stands that is drawn at the time; it is taken off the picture."""
_STILL = "document.getAnimations().forEach((each) => each.cancel())"
"""The curtain of a page that is slow here is not on its picture."""
_SHOWS_AND_RESET = """(() => {
  document.querySelectorAll(".code, .figure").forEach((part) => part.style.removeProperty("visibility"));
  return document.querySelector(".symbol use").getAttribute("href");
})()"""
_FONT = """parseFloat(getComputedStyle(document.querySelector(".lines")).fontSize)"""
_TRIES = 5


class FixedFeed(Feed):
    """In the place of an agent: each page shows the picture that was given last."""

    def __init__(self, port: int) -> None:
        """`port`: of the pages."""
        super().__init__(Path(os.devnull), port)
        self._shown: dict[str, Any] = compose({"picture": STAFF}, PanelOptions())
        self._number = self.painted_number = 0
        """Of the picture that the page has painted last."""

    def show(self, line: Mapping[str, Any], panel: PanelOptions) -> int:
        """Another picture; its number. `line`: of the watch door."""
        self._number += 1
        self._shown = compose({**line, "number": self._number}, panel)
        return self._number

    def picture(self, lane: str) -> dict[str, Any]:  # noqa: ARG002 - there is one
        """What was given last."""
        return self._shown

    async def follow(self, lane: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Each picture, and beats."""
        told: dict[str, Any] = {}
        beat_s = time.monotonic()
        while True:
            if (picture := self.picture(lane)) is not told:
                told = picture
                yield "picture", picture
            if time.monotonic() - beat_s >= _BEAT_S:
                beat_s = time.monotonic()
                yield "beat", {}
            await asyncio.sleep(_LOOK_S)

    async def painted(self, lane: str, number: int) -> None:  # noqa: ARG002 - there is one
        """It is on the screen."""
        self.painted_number = number


def bake(
    size_px: tuple[int, int], chromium: str, out: Path, profile: Path, shown: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Write pictures for a screen of so many pixels, with arrows to each side; gives the name of each, last that of
    the index. `chromium`: the program; `profile`: an empty folder; `shown`: as of `shown_pictures`, with that of
    the staff. Raises TimeoutError, BrowserGone or OSError.
    """
    out.mkdir(parents=True, exist_ok=True)
    boxes: dict[str, dict[str, list[int]]] = {}
    fonts: dict[str, float] = {}
    names: dict[str, baked.PictureKey] = {}
    with page_to_paint(size_px, chromium, profile) as paint:
        for name, line, panel in wanted_pictures(size_px, shown):
            key = baked.key_of(compose(line, panel))
            names.setdefault(name, key)
            if key.sign in boxes and key.text in fonts:
                continue
            boxes[key.sign], fonts[key.text], pixels = paint(line, panel, name)
            rows = baked.sign_rows(size_px[1])
            (out / f"{key.sign}.png").write_bytes(baked.encode(pixels[:rows]))
            (out / f"{key.text}.png").write_bytes(baked.encode(pixels[rows:]))
            yield name
    index = {
        "size_px": size_px, "staff": names[STAFF][:2], "fonts_px": fonts,
        "boxes": {key: each for key, each in boxes.items() if each},
    }  # fmt: skip
    (out / baked.INDEX).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")
    yield baked.INDEX


@contextmanager
def page_to_paint(size_px: tuple[int, int], chromium: str, profile: Path) -> Iterator[Callable[..., _Painted]]:
    """A lane's page in a browser; what is given paints one picture. Raises TimeoutError, BrowserGone or OSError."""
    with _served() as (feed, url):
        browser = Browser([chromium, *_FLAGS], profile, os.environ)
        try:
            browser.open("about:blank", LIMIT_S)
            browser.still()
            browser.resize(*size_px, LIMIT_S)
            browser.open(f"{url}lanes/{_LANE}", LIMIT_S)
            yield partial(_painted, browser, feed)
        finally:
            browser.kill()


def wanted_pictures(
    size_px: tuple[int, int], shown: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any], PanelOptions]]:
    """Every picture, with its arrow to each side if it has one."""
    for name, line in shown.items():
        for side in Side:
            panel = PanelOptions(
                width_px=size_px[0], height_px=size_px[1], distance_mm=_NEAR_MM, gate=side, thermometer=side
            )
            yield name, line, panel
            if not compose(line, panel)["arrow"]:
                break


def _painted(
    browser: Browser, feed: FixedFeed, line: Mapping[str, Any], panel: PanelOptions, name: str
) -> _Painted:
    """One picture: where its parts stand that are drawn at the time, its font size, its pixels. Raises
    TimeoutError.
    """
    for _ in range(_TRIES):
        number = feed.show(line, panel)
        until_s = time.monotonic() + LIMIT_S
        while feed.painted_number < number and time.monotonic() < until_s:
            browser.paint(_STILL, LIMIT_S)
        found = {part: browser.paint(_BOX.replace("{part}", part), LIMIT_S) for part in ("code", "figure")}
        font_px = browser.paint(_FONT, LIMIT_S)
        pixels = baked.decode(browser.picture(panel.width_px, panel.height_px, LIMIT_S))
        if browser.paint(_SHOWS_AND_RESET, LIMIT_S) == f"#{line['picture']}":  # still: no beat was missed
            return {part: box for part, box in found.items() if box}, font_px, pixels
    raise TimeoutError(f"the browser did not paint {name} within {LIMIT_S:.0f} s")


@contextmanager
def _served() -> Iterator[tuple[FixedFeed, str]]:
    """The pages, on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        feed = FixedFeed(port)
        server = Server(config(person_site(feed, port)))
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), name="pages", daemon=True)
        thread.start()
        try:
            yield feed, f"http://127.0.0.1:{port}/"
        finally:
            server.should_exit = True
            thread.join(LIMIT_S)
