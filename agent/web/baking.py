"""Paints every picture of a panel with a browser, for boards that cannot run one: the page is the same."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.web import baked
from agent.web.browser import Browser
from agent.web.feed import Feed
from agent.web.pictures import STAFF, compose
from agent.web.server import Server, config
from agent.web.site import person_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from agent.web.options import PanelOptions

LIMIT_S = 60.0
_BEAT_S = 0.25
_BOX = """(() => {
  const part = document.querySelector(".{part}");
  if (part.hasAttribute("hidden")) return null;
  const box = part.getBoundingClientRect();
  part.style.visibility = "hidden";
  return [box.left, box.top, box.width, box.height].map(Math.round);
})()"""
"""Where a part stands that is drawn at the time; it is taken off the picture."""


class FixedFeed(Feed):
    """In the place of an agent: each lane shows one picture for ever."""

    def __init__(self, shown: Mapping[str, Mapping[str, Any]], panel: PanelOptions, port: int) -> None:
        """`shown`: lane → line of the watch door."""
        super().__init__(Path(os.devnull), port)
        self._panels = dict.fromkeys(shown, panel)
        self._pictures = {lane: dict(line) for lane, line in shown.items()}
        self.lanes_painted: set[str] = set()
        """Lanes whose page has painted."""

    async def follow(self, lane: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The picture, and beats."""
        yield "picture", self.picture(lane)
        while True:
            yield "beat", {}
            await asyncio.sleep(_BEAT_S)

    async def painted(self, lane: str, number: int) -> None:  # noqa: ARG002 - there is one
        """It is on the screen."""
        self.lanes_painted.add(lane)


def bake(
    panel: PanelOptions, chromium: str, out: Path, profile: Path, shown: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Write pictures for a panel; gives the name of each, and last that of the index. `chromium`: the program;
    `profile`: an empty folder; `shown`: as of `shown_pictures`, with that of the staff. Raises TimeoutError,
    BrowserGone or OSError.
    """
    out.mkdir(parents=True, exist_ok=True)
    boxes: dict[str, dict[str, list[int]]] = {}
    names: dict[str, str] = {}
    with _served(shown, panel) as (feed, url):
        browser = Browser([chromium, "--headless", "--disable-gpu", "--hide-scrollbars"], profile, os.environ)
        try:
            browser.open("about:blank", LIMIT_S)
            browser.still()
            browser.resize(panel.width_px, panel.height_px, LIMIT_S)
            for name, line in shown.items():
                browser.open(f"{url}lanes/{name}", LIMIT_S)
                _until_painted(browser, feed, name)
                key = baked.key_of(compose(line, panel))
                found = {part: browser.paint(_BOX.replace("{part}", part), LIMIT_S) for part in ("code", "figure")}
                boxes[key], names[key] = {part: box for part, box in found.items() if box}, name
                pixels = baked.decode(browser.picture(panel.width_px, panel.height_px, LIMIT_S))
                (out / f"{key}.png").write_bytes(baked.encode(pixels))
                yield name
        finally:
            browser.kill()
    index = {
        "panel": asdict(panel), "staff": baked.key_of(compose(shown[STAFF], panel)),
        "boxes": {key: each for key, each in boxes.items() if each}, "names": names,
    }  # fmt: skip
    (out / baked.INDEX).write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")
    yield baked.INDEX


def _until_painted(browser: Browser, feed: FixedFeed, name: str) -> None:
    until_s = time.monotonic() + LIMIT_S
    while name not in feed.lanes_painted:
        if time.monotonic() > until_s:
            raise TimeoutError(f"the browser did not paint {name} within {LIMIT_S:.0f} s")
        browser.paint("true", LIMIT_S)


@contextmanager
def _served(shown: Mapping[str, Mapping[str, Any]], panel: PanelOptions) -> Iterator[tuple[FixedFeed, str]]:
    """The pages of some lanes, on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        feed = FixedFeed(shown, panel, port)
        server = Server(config(person_site(feed, port)))
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), name="pages", daemon=True)
        thread.start()
        try:
            yield feed, f"http://127.0.0.1:{port}/"
        finally:
            server.should_exit = True
            thread.join(LIMIT_S)
