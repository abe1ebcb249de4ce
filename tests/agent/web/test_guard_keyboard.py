"""A guard's day by the keyboard alone, on a small page and on an enlarged one, without colours and motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from guard_bench import ELEVATED_C, NORMAL_C, ON_ROSTER, PINS, WANTED
from guard_pages import LIMIT_MS, Pages, second_badge

from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

MOST_TABS = 150
HELD_MS = 1250
_FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const name = element.labels?.length ? element.labels[0].firstChild.textContent : element.textContent;
  const box = element.getBoundingClientRect();
  const at = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 20));
  return {
    name: name.trim(),
    outlined: getComputedStyle(element).outlineStyle !== "none",
    uncovered: element.contains(at) || Boolean(at?.contains(element)),
    inside: box.left >= -1 && box.right <= innerWidth + 1 && box.top >= -1 && box.bottom <= innerHeight + 1,
  };
}"""


@dataclass(frozen=True)
class Keys:
    """Somebody with neither mouse nor finger. What they reach must be seen, and not lie below something else."""

    page: Page
    people: tuple[str, str, str, str] = ON_ROSTER[:4]
    """Who come: somebody else each time, since the kiosk knows who has just been there."""

    def focused(self) -> dict[str, Any] | None:
        return self.page.evaluate(_FOCUSED)

    def to(self, name: str) -> None:
        """By Tab to what is called so."""
        passed = []
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            found = self.focused()
            if found is None:
                continue
            passed.append(found["name"])
            if found["name"].startswith(name):
                assert found["outlined"], f"nobody sees that {name} has the focus"
                assert found["uncovered"], f"{name} lies below something else"
                assert found["inside"], f"{name} is outside the window"
                return
        pytest.fail(f"{name} cannot be reached by Tab: {passed}")

    def press(self, name: str) -> None:
        self.to(name)
        self.page.keyboard.press("Enter")

    def hold(self, name: str) -> None:
        self.to(name)
        self.page.keyboard.down("Enter")
        self.page.wait_for_timeout(HELD_MS)
        self.page.keyboard.up("Enter")

    def write(self, name: str, text: str) -> None:
        self.to(name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, name: str, option: str) -> None:
        """By the first letters of an entry, as in any list."""
        self.to(name)
        self.page.keyboard.type(option)
        assert self.page.evaluate("document.activeElement.selectedOptions[0].textContent").startswith(option)

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def sees_no_more(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for(state="hidden")


@pytest.fixture(
    params=[
        ((360, 740), "none", "no-preference", ON_ROSTER[:4]),
        ((640, 360), "active", "reduce", ON_ROSTER[4:8]),
    ],
    ids=["telephone", "200 %, forced colours, no motion"],
)
def keys(request: pytest.FixtureRequest, page: Page) -> Iterator[Keys]:
    (width, height), forced, motion, people = request.param
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(forced_colors=forced, reduced_motion=motion)
    yield Keys(page, people)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "something is cut off"


def test_a_fever(pages: Pages, keys: Keys) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come(keys.people[0], ELEVATED_C)
    card = keys.page.locator(".card", has_text="The temperature is raised.")
    card.wait_for()
    assert "A normal temperature would change this." in card.inner_text()
    assert "Measured: 37" in card.inner_text()
    keys.press("Other measures")
    keys.press("Enter temperature")
    keys.page.keyboard.type("366")
    assert keys.page.get_by_label("Temperature, °C").input_value() == "36.6"
    assert "limit" not in keys.page.locator("dialog").inner_text(), "the limit is told after the entry"
    keys.page.keyboard.press("Enter")
    wait_for(lambda: kiosk.opened() == opened + 1)
    wait_for(lambda: kiosk.actions()[-1] == ("remeasure", "G07"))
    keys.sees("The limit was")
    keys.sees("Waiting: 0")


def test_measured_again(pages: Pages, keys: Keys) -> None:
    pages.kiosk.come("again, by key", ELEVATED_C)
    keys.sees("The temperature is raised.")
    keys.press("Measure again")
    wait_for(lambda: pages.kiosk.actions()[-1] == ("retest", "G07"))


def test_a_visitor(pages: Pages, keys: Keys) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come(f"a visitor beside {keys.people[0]}", NORMAL_C)
    keys.sees("A record in the register would change this.")
    keys.press("Visitor form")
    keys.choose("Reason", "Delivery")
    keys.write("Name", "Canary Visitor")
    keys.write("Telephone", "no number")
    keys.page.keyboard.press("Enter")
    keys.sees("telephone does not fit")
    keys.write("Telephone", "0123456789")
    keys.press("OK")
    wait_for(lambda: kiosk.opened() == opened + 1)
    wait_for(lambda: kiosk.actions()[-2:] == [("form", "G07"), ("record", "G07")])
    keys.sees("Waiting: 0")


def test_a_form_is_left_by_escape_and_the_focus_is_where_it_was(pages: Pages, keys: Keys) -> None:
    pages.kiosk.come(f"a visitor who leaves {keys.people[0]}", NORMAL_C)
    keys.sees("A record in the register would change this.")
    keys.press("Visitor form")
    keys.page.locator("dialog").wait_for()
    keys.page.keyboard.press("Escape")
    keys.page.locator("dialog").wait_for(state="detached")
    wait_for(lambda: (keys.focused() or {}).get("name") == "Visitor form")


def test_a_watch_hit_to_its_end(pages: Pages, keys: Keys) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come(WANTED, NORMAL_C)
    keys.sees("On a watch list")
    keys.press("Follow the case")
    for name in ("Received", "Compared with ID", "Checked on the spot"):
        keys.press(name)
        keys.sees(f"{name}: done by G07")
    keys.choose("Feedback", "Handed over")
    keys.press("Answered")
    keys.page.locator("dialog").wait_for(state="detached")
    keys.press("Other measures")
    keys.press("Has left")
    keys.sees("Nobody waits.")
    assert kiosk.opened() == opened
    assert [each for each, _ in kiosk.actions()[-5:]] == ["step", "step", "step", "feedback", "left"]


def test_a_full_room(pages: Pages, keys: Keys) -> None:
    kiosk = pages.kiosk
    kiosk.action("state", type="count", number=3)
    opened = kiosk.opened()
    kiosk.come(keys.people[2], NORMAL_C)
    keys.sees("Room inside would change this.")
    keys.press("Count people")
    keys.page.keyboard.type("2")
    keys.page.keyboard.press("Enter")
    wait_for(lambda: kiosk.view()["venue"]["occupancy"]["inside"] == 2)
    keys.press("Place")
    keys.sees("Inside: 2 of 3")
    keys.press("Correct")
    keys.write("People inside", "1")
    keys.press("OK")
    keys.sees("Inside: 1 of 3")
    kiosk.come(keys.people[3], NORMAL_C)
    wait_for(lambda: kiosk.opened() == opened + 1)


def test_an_override_with_a_second_badge_held_for_a_second(pages: Pages, keys: Keys) -> None:
    kiosk = pages.kiosk
    kiosk.come(keys.people[1], ELEVATED_C)
    wait_for(lambda: kiosk.view()["waiting"])
    number = kiosk.view()["waiting"][0]["number"]
    kiosk.action("attest", lane="entry", number=number, type="travel", value="risk")
    kiosk.action("remeasure", lane="entry", number=number, tenths=366)
    opened = kiosk.opened()
    keys.press("Other measures")
    keys.press("Let in")
    keys.choose("Reason", "Documents checked")
    keys.write("In words", "seen by both")
    keys.sees("Waiting for their badge.")
    second_badge(kiosk, keys.page)
    keys.press("Hold one second")
    keys.page.wait_for_timeout(300)
    assert kiosk.opened() == opened, "a short press does nothing"
    keys.hold("Hold one second")
    wait_for(lambda: kiosk.opened() == opened + 1)
    wait_for(lambda: kiosk.actions()[-1] == ("override", "G07"))
    assert kiosk.events()[-1]["answers"]["second"] == "S1"


def test_open_once_with_the_second_persons_pin(pages: Pages, keys: Keys) -> None:
    out = pages.kiosk.opened("exit")
    keys.press("Lanes")
    keys.to("Open once")  # of the entry
    keys.press("Open once")
    keys.choose("Reason", "Emergency")
    keys.press("Their number and PIN")
    keys.write("Badge number", "S1")
    keys.write("PIN", PINS["S1"])
    keys.hold("Hold one second")
    wait_for(lambda: pages.kiosk.opened("exit") == out + 1)


def test_a_lane_is_closed_and_reopened_and_all_go_out(pages: Pages, keys: Keys) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    keys.press("Lanes")
    keys.press("Close")
    keys.sees("entry · closed")
    assert kiosk.door.state.closed == {"entry"}
    kiosk.forget_closing()
    keys.press("Reopen")
    wait_for(lambda: not kiosk.door.state.closed)
    keys.hold("All out")
    wait_for(lambda: kiosk.opened("exit") == out + 1)
    keys.sees("Open: exit.")


def test_a_shift_is_taken_over(pages: Pages, keys: Keys) -> None:
    kiosk = pages.kiosk
    kiosk.come("fever at the end of a shift, by key", ELEVATED_C)
    for who in ("G08", "G07"):
        kiosk.show_badge(who)
        wait_for(lambda who=who: kiosk.view()["on_duty"] == who)
    keys.sees("Shift from G08")
    keys.press("Accept the shift")
    keys.sees_no_more("Shift from G08")
    wait_for(lambda: kiosk.actions()[-1] == ("handover", "G07"))


def test_roster_absence_symptom_and_duty(pages: Pages, keys: Keys) -> None:
    kiosk = pages.kiosk
    keys.press("Place")
    keys.sees("all-day 00:00–24:00: going on")
    keys.press("Note an absence")
    keys.choose("Reason", "Leave")
    keys.press("OK")
    wait_for(lambda: kiosk.actions()[-1] == ("absence", "G07"))
    keys.press("Note a symptom")
    keys.choose("Symptom", "Cough")
    keys.press("OK")
    wait_for(lambda: kiosk.actions()[-1] == ("symptom", "G07"))
    keys.press("Done: disinfect")
    wait_for(lambda: kiosk.actions()[-1] == ("duty", "G07"))


def test_another_form_of_the_venue(pages: Pages, keys: Keys) -> None:
    keys.press("Place")
    keys.press("Inspection")
    keys.choose("Subject", "Masks")
    keys.choose("Finding", "To be mended")
    keys.press("OK")
    wait_for(lambda: pages.kiosk.events()[-1]["answers"] == {"subject": "masks", "finding": "mend"})


def test_out_and_in_again_another_language_and_the_technicians_view(pages: Pages, keys: Keys) -> None:
    keys.press("中文")
    keys.press("English")
    keys.press("Kiosk")
    keys.press("Log out")
    keys.write("Badge number", "S1")
    keys.write("PIN", PINS["S1"])
    keys.press("OK")
    keys.sees("Waiting:")
    keys.press("Kiosk")
    keys.press("Connect a tablet")
    wait_for(lambda: pages.kiosk.door._sessions.pairing is not None)
    keys.press("Technician's view")
    keys.page.locator("table", has_text="thermometer").wait_for()


def test_a_tablet_is_connected(browser: Browser, pages: Pages) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB") as context:
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        shown = pages.kiosk.door.begin_pairing()
        page.goto(f"{pages.url}guard#pair={shown['secret']}")
        keys = Keys(page)
        keys.sees("Number on the kiosk")
        keys.write("Number on the kiosk", "000000" if shown["number"] != "000000" else "000001")
        keys.page.keyboard.press("Enter")
        keys.sees("That is not the number on the screen.")
        keys.write("Number on the kiosk", shown["number"])
        keys.press("OK")
        keys.sees("Badge number")
