"""The guard's page as a browser gets it: a running kiosk, and `gatepost screen` for it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from guard_bench import FULL_VENUE, PINS, Kiosk

from agent.web.guard import DEVICE, SESSION
from tests.conftest import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, SetCookieParam

_MAIN = "import sys; from agent.cli import main; sys.exit(main())"
LIMIT_MS = 90_000
BADGE_TRIES = 9


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Pages:
    """A kiosk, and `gatepost screen` for it."""

    def __init__(self) -> None:
        self.tls_port = free_port()
        web = f'listen = "127.0.0.1:{self.tls_port}"\nnames = ["127.0.0.1"]'
        self.kiosk = Kiosk(web, rules=FULL_VENUE, sealed=True)
        folder = str(self.kiosk.folder / "web")
        words = [sys.executable, "-c", _MAIN, "screen", "--directory", folder, "--port", "0"]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                self.url = found[0]
            if "https://" in line:
                break

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.kiosk.close()

    def log_in(self, page: Page, who: str = "G07") -> None:
        page.get_by_label("Badge number").fill(who)
        page.get_by_label("PIN").fill(PINS[who])
        page.keyboard.press("Enter")
        page.get_by_text("Waiting:").wait_for()

    def logged_in(self, who: str = "G07") -> list[SetCookieParam]:
        """The cookies of a device that was paired, and that somebody has logged in at."""
        kiosk = self.kiosk
        device = kiosk.pair()
        session = kiosk.ask(do="login", device=device, session="", staff=who, pin=PINS[who])["session"]
        url = f"https{self.url[4:]}"
        return [
            {"name": name, "value": value, "url": url, "secure": True, "httpOnly": True, "sameSite": "Strict"}
            for name, value in ((DEVICE, device), (SESSION, session))
        ]

    def empty(self) -> None:
        """Nobody waits, nobody is inside."""
        self.kiosk.login("G08")
        for card in self.kiosk.view()["waiting"]:
            self.kiosk.action("left", lane=card["lane"], number=card["number"])
        self.kiosk.action("state", type="count", number=0)


def part(page: Page, name: str) -> None:
    page.locator("#nav button", has_text=name).click()


def second_badge(kiosk: Kiosk, page: Page | Locator, who: str = "S1") -> None:
    """Show the badge of a second person until the page has it: the kiosk forgets some seconds after it was asked
    that a page waits for one, and a busy page asks again too late.
    """
    seen = page.get_by_text(f"Badge seen: {who}").first
    for _ in range(BADGE_TRIES):
        kiosk.show_badge(who)
        with contextlib.suppress(AssertionError):
            wait_for(seen.is_visible, LIMIT_MS / 1000 / BADGE_TRIES)
            return
    raise AssertionError(f"the badge of {who} is not seen")


def settle(page: Page) -> None:
    """Until the buttons of those who wait have lain for a moment where they are: before, a tap counts for none."""
    page.locator("main:not(.moved)").wait_for()


def press(button: Locator) -> None:
    """Press a button of the list, once all have lain there for a moment."""
    button.wait_for()
    settle(button.page)
    button.click()


def unfold(card: Locator) -> Locator:
    """A card with all its measures."""
    if card.locator("details[open]").count() == 0:
        card.locator("summary").click()
    return card
