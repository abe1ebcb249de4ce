"""The guard's page in a real browser, at a running agent: no command line is needed."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from guard_bench import ELEVATED_C, NORMAL_C, PINS, Kiosk
from test_person_page import RULES

from agent.control.sessions import IDLE_S
from agent.model import Colour
from agent.web.guard import DEVICE, MAX_STREAMS, SESSION
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

MAIN = "import sys; from agent.cli import main; sys.exit(main())"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Pages:
    """A kiosk, and `gatepost screen` for it."""

    def __init__(self) -> None:
        self.tls_port = free_port()
        self.kiosk = Kiosk(f'listen = "127.0.0.1:{self.tls_port}"\nnames = ["127.0.0.1"]')
        words = [sys.executable, "-c", MAIN, "screen", "--directory", str(self.kiosk.folder / "web"), "--port", "0"]
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


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    made = Pages()
    yield made
    made.close()


@pytest.fixture
def page(browser: Browser, pages: Pages) -> Iterator[Page]:
    """A telephone, paired and logged in."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    shown = pages.kiosk.door.begin_pairing()
    made.goto(f"{pages.url}guard#pair={shown['secret']}")
    made.get_by_label("Number on the kiosk").fill(shown["number"])
    made.keyboard.press("Enter")
    made.get_by_label("Badge number").fill("G07")
    made.get_by_label("PIN").fill(PINS["G07"])
    made.keyboard.press("Enter")
    made.get_by_text("Waiting:").wait_for()
    yield made
    context.close()
    assert not faults


def test_a_guard_handles_a_fever_by_keyboard_alone(pages: Pages, page: Page) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come("fever", ELEVATED_C)
    card = page.locator(".card", has_text="The temperature is raised.")
    card.wait_for()
    assert "A normal temperature would change this." in card.inner_text()
    card.get_by_role("button", name="Enter temperature").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("36.6")
    page.keyboard.press("Enter")
    wait_for(lambda: kiosk.opened() == opened + 1)
    wait_for(lambda: kiosk.deeds()[-1] == ("remeasure", "G07"))
    page.get_by_text("Waiting: 0").wait_for()


def test_a_guard_closes_a_lane_and_sets_the_count(pages: Pages, page: Page) -> None:
    page.get_by_role("button", name="Close").click()
    page.get_by_text("closed").first.wait_for()
    assert pages.kiosk.door.state.closed == {"entry"}
    page.get_by_role("button", name="Reopen").click()
    wait_for(lambda: not pages.kiosk.door.state.closed)
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("People inside").fill("2")
    page.keyboard.press("Enter")
    page.get_by_text("Inside: 2 of 3").wait_for()


def test_opening_asks_for_a_whole_second_and_a_second_person(pages: Pages, page: Page) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    page.get_by_role("button", name="Open once").last.click()
    page.get_by_label("Second person: badge number").fill("S1")
    page.get_by_label("Second person: PIN").fill(PINS["S1"])
    held = page.get_by_role("button", name="Hold one second")
    held.click()
    page.wait_for_timeout(200)
    assert kiosk.opened("exit") == out
    held.click(delay=1200)
    wait_for(lambda: kiosk.opened("exit") == out + 1)


def test_a_key_that_stays_down_is_one_press(pages: Pages, page: Page) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    page.get_by_role("button", name="All out").focus()
    page.keyboard.down("Enter")
    wait_for(lambda: kiosk.opened("exit") == out + 1)
    for _ in range(12):  # as a keyboard repeats it, for longer than a second press would take
        page.keyboard.down("Enter")
        page.wait_for_timeout(100)
    page.keyboard.up("Enter")
    assert kiosk.opened("exit") == out + 1


def test_a_page_comes_back_once_there_is_room_for_its_stream(pages: Pages, page: Page) -> None:
    pages.kiosk.login("G08")
    page.goto("about:blank")
    full = [open_stream(pages) for _ in range(MAX_STREAMS)]
    assert all(b" 200 " in each.recv(64) for each in full)
    with open_stream(pages) as refused:
        assert b" 503 " in refused.recv(64)
    with page.expect_response("**/guard/events") as answer:
        page.goto(f"{pages.url}guard")
    assert answer.value.status == 503
    for each in full:
        each.close()
    page.get_by_text("Waiting:").wait_for()


def test_follow_on_a_card_opens_that_persons_case_or_none(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    for holder in ("red, came first", "red, came later"):
        kiosk.come(holder, NORMAL_C, Colour.RED)
    kiosk.login("G08")
    wait_for(lambda: len(kiosk.view()["waiting"]) >= 2)
    _, first = kiosk.view()["waiting"][:2]
    card = page.locator(".card", has_text=f"entry {first['number']} ·")
    button = card.get_by_role("button", name="Follow the case")
    button.click()
    page.get_by_role("heading", name=first["case"]).wait_for()
    page.get_by_role("button", name="OK").click()
    wait_for(lambda: first["case"] not in {each["case"] for each in kiosk.view()["venue"]["cases"]})
    page.get_by_text("Waiting:").wait_for()
    wait_for(lambda: first["case"] not in page.locator("main").inner_text())
    button.click()
    page.get_by_text("The case is closed already.").wait_for()


def test_a_locked_page_asks_for_the_pin_in_place_of_the_form(pages: Pages, page: Page) -> None:
    pages.kiosk.come("fever at a locked page", ELEVATED_C)
    page.get_by_role("button", name="Enter temperature").first.click()
    page.get_by_label("Temperature").fill("36.6")
    sessions = pages.kiosk.door._sessions._sessions
    for key, session in sessions.items():
        sessions[key] = replace(session, active_s=session.active_s - IDLE_S)
    page.keyboard.press("Enter")
    page.get_by_label("PIN").fill(PINS["G07"])
    page.keyboard.press("Enter")
    page.get_by_text("Waiting:").wait_for()


@pytest.mark.parametrize("size", [(360, 740), (1024, 600), (640, 360)])
def test_axe_finds_nothing_and_nothing_is_cut_off(pages: Pages, page: Page, size: tuple[int, int]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    pages.kiosk.come(f"axe {size}", ELEVATED_C)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.locator(".card").first.wait_for()
    rules: dict[str, Any] = {**RULES, "rules": {"color-contrast-enhanced": {"enabled": True}}}
    for name in ("", "Enter temperature", "Visitor form"):
        if name:
            page.get_by_role("button", name=name).first.click()
        assert not axe.run(page, options=rules).response["violations"], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        if name:
            page.get_by_role("button", name="Back").click()


def test_without_the_agent_no_button_does_anything(pages: Pages, page: Page) -> None:
    page.route("**/guard/events", lambda route: route.abort())
    page.evaluate("window.stop()")
    page.get_by_text("No connection").wait_for()
    assert page.locator("main button:not([disabled])").count() == 0


def test_a_draft_is_cleared_alone_and_in_time(pages: Pages, page: Page) -> None:
    pages.kiosk.come("fever beside a draft", ELEVATED_C)
    page.clock.install()
    for left in (True, False):
        page.get_by_role("button", name="Visitor form").first.click()
        if left:
            page.get_by_role("button", name="Back").click()
            page.get_by_role("button", name="Enter temperature").first.click()
        page.clock.fast_forward(121_000)
        page.wait_for_timeout(100)
        assert page.get_by_label("Temperature").is_visible() is left
        if left:
            page.get_by_role("button", name="Back").click()
    page.get_by_text("Waiting:").wait_for()


def test_a_page_does_not_say_that_the_connection_is_lost_once_it_is_back(pages: Pages, page: Page) -> None:
    with pages.kiosk.door._view._lock:
        page.get_by_text("No connection").wait_for()
    page.get_by_text("No connection").wait_for(state="hidden")
    page.locator("main button:not([disabled])").first.wait_for()


def test_a_supervisor_alone_connects_and_ends_tablets(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    assert page.get_by_role("button", name="Connect a tablet").count() == 0, "not for a guard"
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Badge number").fill("S1")
    page.get_by_label("PIN").fill(PINS["S1"])
    page.keyboard.press("Enter")
    assert kiosk.door._sessions.pairing is None
    page.get_by_role("button", name="Connect a tablet").click()
    wait_for(lambda: kiosk.door._sessions.pairing is not None)
    page.get_by_role("button", name="End all tablets").click(delay=1200)
    page.get_by_label("Number on the kiosk").wait_for()
    assert not kiosk.door.state.devices
    kiosk.device = ""


# -- the network


def open_stream(pages: Pages) -> socket.socket:
    """A page that looks, and never ends; refused when there are too many."""
    client = socket.create_connection(("127.0.0.1", urlsplit(pages.url).port), timeout=20)
    cookies = f"{DEVICE}={pages.kiosk.device}; {SESSION}={pages.kiosk.session}"
    head = f"GET /guard/events HTTP/1.1\r\nHost: {urlsplit(pages.url).netloc}\r\nCookie: {cookies}\r\n\r\n"
    client.sendall(head.encode())
    return client


def over_tls(pages: Pages, method: str, path: str, said: object = None, **headers: str) -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", pages.tls_port, context=context, timeout=20)
    own = f"127.0.0.1:{pages.tls_port}"
    given = {"Origin": f"https://{own}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, None if said is None else json.dumps(said), given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_on_the_network_there_is_the_guards_page_alone_by_tls(pages: Pages) -> None:
    assert over_tls(pages, "GET", "/guard")[0] == 200
    assert over_tls(pages, "GET", "/lanes/entry")[0] == 404
    assert over_tls(pages, "GET", "/")[0] == 404
    with socket.create_connection(("127.0.0.1", pages.tls_port), timeout=10) as plain:
        plain.sendall(b"GET /guard HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"Gatepost" not in plain.recv(4096), "nothing without TLS"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"}, {"Content_Type": "text/plain"},
    ],
)  # fmt: skip
def test_another_site_does_nothing(pages: Pages, headers: dict[str, str]) -> None:
    assert over_tls(pages, "POST", "/guard/ask", {"do": "who"}, **headers)[0] == 403


def test_an_address_gives_no_rights_and_hello_stays_inside(pages: Pages) -> None:
    entry, out = pages.kiosk.opened(), pages.kiosk.opened("exit")
    forwarded = {"X_Forwarded_For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    said = {"do": "all_out", "id": "from-nowhere", "at_s": 1}
    assert json.loads(over_tls(pages, "POST", "/guard/ask", said, **forwarded)[1]) == {"refused": "not_logged_in"}
    for do in ("hello", "view", "status"):
        assert over_tls(pages, "POST", "/guard/ask", {"do": do})[0] == 404
    assert over_tls(pages, "POST", "/guard/ask", {"do": "x" * 5000})[0] == 413
    assert "over" in over_tls(pages, "GET", "/guard/events")[1]
    assert (pages.kiosk.opened(), pages.kiosk.opened("exit")) == (entry, out)
