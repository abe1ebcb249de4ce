"""Writes the pictures of docs/guard.md, at a running agent, as Chromium paints them: `make guard-pictures`."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from guard_bench import ELEVATED_C, NORMAL_C, WANTED
from playwright.sync_api import sync_playwright
from test_guard_page import Pages

from tests.conftest import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

STATES = ("fever", "keypad", "visitor", "watch", "full", "handover", "override", "lanes")
LANGUAGES = ("en", "zh")
OUT = Path(__file__).parents[3] / "docs" / "guard"
_SIZE = {"width": 360, "height": 600}
_QUALITY = 45


def write(out: Path) -> None:
    """A picture of each state in both languages."""
    out.mkdir(exist_ok=True)
    pages = Pages()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_context(viewport=_SIZE, locale="en-GB").new_page()
            shown = pages.kiosk.door.begin_pairing()
            page.goto(f"{pages.url}guard#pair={shown['secret']}")
            page.get_by_label("Number on the kiosk").fill(shown["number"])
            page.keyboard.press("Enter")
            pages.log_in(page)
            for state in STATES:
                pages.empty()
                page.get_by_text("Waiting: 0").wait_for(state="attached")
                _bring_about(pages, page, state)
                for language in LANGUAGES:
                    _in_language(page, language)
                    _open(page, state)
                    page.wait_for_timeout(400)
                    _photograph(page, out / f"{state}.{language}.webp")
                    page.keyboard.press("Escape")
                _in_language(page, "en")
                page.locator("#nav button").first.click()
    finally:
        pages.close()


def _bring_about(pages: Pages, page: Page, state: str) -> None:
    kiosk = pages.kiosk
    match state:
        case "fever" | "keypad":
            kiosk.come("bert" if state == "fever" else "carl", ELEVATED_C)
        case "visitor":
            kiosk.come("somebody", NORMAL_C)
        case "watch":
            kiosk.come(WANTED, NORMAL_C)
            page.wait_for_timeout(2000)
        case "full":
            kiosk.action("state", type="count", number=3)
            kiosk.come("dora", NORMAL_C)
        case "override":
            kiosk.login("G07")
            kiosk.action("accept")
            kiosk.come("fay", ELEVATED_C)
            wait_for(lambda: kiosk.view()["waiting"])
            about = {"lane": "entry", "number": kiosk.view()["waiting"][0]["number"]}
            kiosk.action("attest", **about, type="travel", value="risk")
            kiosk.action("remeasure", **about, tenths=366)
        case "handover":
            kiosk.come("emil", ELEVATED_C)
            for who in ("G08", "G07"):
                kiosk.show_badge(who)
                wait_for(lambda who=who: kiosk.view()["on_duty"] == who)
    if state != "lanes":
        page.locator("#waiting .card").first.wait_for()


def _in_language(page: Page, language: str) -> None:
    if page.evaluate("document.documentElement.lang")[:2] != language:
        page.locator("[data-key='language']").click()
        page.wait_for_timeout(700)


def _open(page: Page, state: str) -> None:
    match state:
        case "keypad" | "override":
            card = page.locator("#waiting .card").first
            if card.locator("details[open]").count() == 0:
                card.locator("summary").click()
            card.locator(f"[data-key$=' {'temperature' if state == 'keypad' else state}']").click()
        case "visitor" | "watch":
            page.locator("#waiting button.first").click()
        case "lanes":
            page.locator("#nav button").nth(3).click()


def _photograph(page: Page, file: Path) -> None:
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
    file.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    write(OUT)
