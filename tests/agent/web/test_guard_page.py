"""The guard's page in a real browser, at a running agent: no command line is needed."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from accessibility import violations
from guard_bench import ELEVATED_C, NORMAL_C, PINS, WANTED
from guard_pages import LIMIT_MS, Pages, part, press, second_badge, settle, unfold

from agent import log
from agent.control.badges import Badges
from agent.control.sessions import IDLE_S
from agent.model import Colour
from agent.texts import CATALOGUE
from agent.web.guard import DEVICE, MAX_STREAMS, SESSION
from agent.web.site import PAGES
from tests.conftest import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route


# -- a guard's day


def test_the_keypad_types_tenths_and_an_instrument_is_remembered(pages: Pages, page: Page) -> None:
    pages.kiosk.come("fever, by keypad", ELEVATED_C)
    for instrument in ("T12", None):
        press(unfold(page.locator(".card").first).get_by_role("button", name="Enter temperature"))
        dialog = page.locator("dialog")
        if instrument:
            dialog.get_by_label("Number of the thermometer").fill(instrument)
        assert dialog.get_by_label("Number of the thermometer").input_value() == "T12"
        for digit in "385":
            dialog.get_by_role("button", name=digit, exact=True).click()
        dialog.get_by_role("button", name="OK").click()
        dialog.wait_for(state="hidden")
        page.get_by_text("Measured:").wait_for(state="hidden")
    wait_for(lambda: pages.kiosk.events()[-1]["answers"].get("instrument") == "T12")
    page.locator(".card", has_text="The temperature is raised.").wait_for()


def test_a_visitor_is_recorded_on_the_form_and_let_in_and_nothing_private_stays(pages: Pages, page: Page) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come("a visitor", NORMAL_C)
    card = page.locator(".card", has_text="A record in the register would change this.")
    press(card.get_by_role("button", name="Visitor form"))
    dialog = page.locator("dialog")
    dialog.get_by_text("sealed at once").wait_for()
    dialog.get_by_label("Reason").select_option("Delivery")
    dialog.get_by_label("Name").fill("Canary Visitor")
    dialog.get_by_label("Telephone").fill("no number")
    dialog.get_by_role("button", name="OK").click()
    dialog.get_by_text("telephone does not fit").wait_for()
    dialog.get_by_label("Telephone").fill("0123456789")
    page.keyboard.press("Enter")
    wait_for(lambda: kiosk.opened() == opened + 1)
    page.get_by_text("Waiting: 0").wait_for()
    wait_for(lambda: kiosk.actions()[-2:] == [("form", "G07"), ("record", "G07")])
    form = kiosk.events()[-2]
    assert form["answers"] == {"reason": "delivery"}
    assert form["sealed"]
    kept = [path.read_bytes() for path in kiosk.folder.rglob("*") if path.is_file()]
    assert not [data for data in kept if b"Canary" in data or b"0123456789" in data]
    assert "Canary" not in page.content() + json.dumps([kiosk.view(), kiosk.events(), log.recent()])


def test_a_form_that_was_begun_for_somebody_who_has_gone_lets_nobody_else_in(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    kiosk.come("the first visitor", NORMAL_C)
    press(page.locator(".card").get_by_role("button", name="Visitor form"))
    dialog = page.locator("dialog")
    dialog.get_by_label("Reason").select_option("Delivery")
    dialog.get_by_label("Name").fill("Canary Visitor")
    dialog.get_by_label("Telephone").fill("0123456789")
    (first,) = kiosk.view()["waiting"]
    assert kiosk.action("left", lane="entry", number=first["number"])["done"]
    kiosk.come("the second visitor", NORMAL_C)
    (second,) = kiosk.view()["waiting"]
    assert second["number"] != first["number"]
    page.locator(".card", has_text=f"No. {second['number']}").wait_for()  # what it says of that comes before
    opened = kiosk.opened()
    dialog.get_by_role("button", name="OK").click()
    dialog.wait_for(state="detached")
    page.get_by_text("Nobody waits here any more.").wait_for()
    wait_for(lambda: kiosk.actions()[-1] == ("form", "G07"))
    assert kiosk.opened() == opened
    assert [each["number"] for each in kiosk.view()["waiting"]] == [second["number"]]


TAP = """([left, right, top, bottom]) => {
    const list = document.querySelector("#waiting");
    const look = new MutationObserver(() => {
        if (list.querySelectorAll(".card").length < 2) return;
        for (let y = top; y < bottom; y += 2) {
            const under = document.elementFromPoint((left + right) / 2, y);
            if (!under?.dataset.key?.endsWith(" visitor")) continue;
            look.disconnect();
            document.body.dataset.tapped = under.dataset.key;
            under.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1, clientX: (left + right) / 2, clientY: y }));
            return;
        }
    });
    look.observe(list, { childList: true, subtree: true });
}"""  # noqa: E501 - a finger that was on its way as another card came in


def test_a_tap_is_for_the_button_that_lay_there_and_not_for_what_a_new_card_has_put_in_its_place(
    pages: Pages, page: Page
) -> None:
    kiosk = pages.kiosk
    kiosk.come("the first visitor", NORMAL_C)
    (first,) = kiosk.view()["waiting"]
    button = page.locator(".card").get_by_role("button", name="Visitor form")
    box = button.bounding_box()
    assert box is not None
    page.evaluate(TAP, [box["x"], box["x"] + box["width"], box["y"] + 2, box["y"] + box["height"] - 2])
    kiosk.come("the second visitor", NORMAL_C)
    page.get_by_text("The list has just moved").wait_for()
    assert page.evaluate("document.body.dataset.tapped") != f"entry {first['number']} visitor"
    assert page.locator("dialog").count() == 0
    press(page.locator(".card").first.get_by_role("button", name="Visitor form"))
    page.locator("dialog").wait_for()


SCROLL_AND_TAP = """() => {
    const [upper, lower] = document.querySelectorAll("#waiting button[data-key$=' visitor']");
    const box = lower.getBoundingClientRect();
    document.body.style.paddingBottom = "";
    scrollBy({ top: upper.getBoundingClientRect().top - box.top, behavior: "instant" });
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const under = document.elementFromPoint(x, y);
    const tap = { bubbles: true, cancelable: true, detail: 1, clientX: x, clientY: y };
    under.dispatchEvent(new MouseEvent("click", tap));
    return under === upper;
}"""


def test_a_tap_is_for_the_button_that_lay_on_that_place_of_the_screen(pages: Pages, page: Page) -> None:
    """A card below that goes makes the page shorter, and the browser scrolls it."""
    for name in ("the first visitor", "the second visitor"):
        pages.kiosk.come(name, NORMAL_C)
    page.locator(".card").nth(1).wait_for()
    page.set_viewport_size({"width": 360, "height": 400})
    page.evaluate('document.body.style.paddingBottom = "10px"')
    lower = "document.querySelectorAll(\"#waiting button[data-key$=' visitor']\")[1]"
    page.evaluate(f'{lower}.scrollIntoView({{ block: "center", behavior: "instant" }})')
    settle(page)
    assert page.evaluate(SCROLL_AND_TAP)
    page.get_by_text("The list has just moved").wait_for()
    assert page.locator("dialog").count() == 0
    for each in pages.kiosk.view()["waiting"]:
        assert pages.kiosk.action("left", lane="entry", number=each["number"]) == {"done": True}


def test_nothing_is_drawn_again_under_a_finger(pages: Pages, page: Page) -> None:
    pages.kiosk.come("a visitor under a finger", NORMAL_C)
    cards = page.locator("#waiting .card")
    button = cards.first.get_by_role("button", name="Visitor form")
    button.wait_for()
    settle(page)
    box = button.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    pages.kiosk.come("somebody else meanwhile", NORMAL_C)
    page.locator("#state", has_text="New: entry").wait_for()
    assert cards.count() == 1
    page.mouse.up()
    page.locator("dialog").wait_for()
    page.keyboard.press("Escape")
    cards.nth(1).wait_for()


def test_a_watch_hit_is_followed_to_its_end(pages: Pages, page: Page) -> None:
    kiosk, opened = pages.kiosk, pages.kiosk.opened()
    kiosk.come(WANTED, NORMAL_C)
    card = page.locator(".card", has_text="On a watch list")
    press(card.get_by_role("button", name="Follow the case"))
    dialog = page.locator("dialog")
    case = dialog.get_by_role("heading", name="Watch list").inner_text()[-5:]
    for name in ("Received", "Compared with ID", "Checked on the spot"):
        dialog.get_by_role("button", name=name).click()
        dialog.get_by_text(f"{name}: done by G07").wait_for()
    dialog.get_by_role("button", name="Answered").click()
    assert dialog.is_visible(), "without feedback it stays open"
    dialog.get_by_label("Feedback").select_option("Handed over")
    dialog.get_by_role("button", name="Answered").click()
    dialog.wait_for(state="hidden")
    part(page, "Cases")
    page.locator("#cases").get_by_text(case).wait_for(state="hidden")
    part(page, "Waiting")
    press(unfold(card).get_by_role("button", name="Has left"))
    page.get_by_text("Nobody waits.").wait_for()
    assert kiosk.opened() == opened
    assert [each for each, _ in kiosk.actions()[-5:]] == ["step", "step", "step", "feedback", "left"]


def test_the_dialog_of_a_case_shows_the_time_that_is_left_now(pages: Pages, page: Page) -> None:
    def left_s(clock: Locator) -> int:
        units = {"s": 1, "min": 60, "h": 3600}
        return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (\w+)", clock.inner_text()))

    pages.kiosk.come(WANTED, NORMAL_C)
    part(page, "Cases")
    card = page.locator("#cases .card", has_text="Watch list").last
    at_first_s = left_s(card.locator(".clock"))

    def in_dialog_s() -> int:
        press(card.get_by_role("button", name="Follow"))
        dialog = page.locator("dialog")
        shown_s = left_s(dialog.locator(".clock"))
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        return shown_s

    wait_for(lambda: in_dialog_s() < at_first_s - 1)


def test_a_full_room_is_counted_and_there_is_room_again(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    kiosk.action("state", type="count", number=3)
    part(page, "Place")
    page.get_by_text("Full: nobody is let in").wait_for()
    part(page, "Waiting")
    opened = kiosk.opened()
    kiosk.come("carl", NORMAL_C)
    card = page.locator(".card", has_text="Room inside would change this.")
    press(card.get_by_role("button", name="Count people"))
    page.get_by_label("People inside").fill("2")
    page.keyboard.press("Enter")
    wait_for(lambda: kiosk.view()["venue"]["occupancy"]["inside"] == 2)
    assert kiosk.opened() == opened
    kiosk.come("dora", NORMAL_C)
    wait_for(lambda: kiosk.opened() == opened + 1)


def test_a_count_says_which_kiosk_of_the_room_is_not_connected(pages: Pages, page: Page) -> None:
    rules = pages.kiosk.folder / "venue.toml"
    alone = rules.read_text()
    rules.write_text(alone.replace("capacity = 3", 'capacity = 3, kiosks = ["k1", "gate-2"]'))
    part(page, "Place")
    page.get_by_text("Not connected: gate-2. Who comes or leaves there").wait_for()
    rules.write_text(alone)
    page.get_by_text("Not connected: gate-2").wait_for(state="hidden")


NEXT_VIEW = """() => new Promise((done) => new MutationObserver((_, look) => { look.disconnect(); done(); })
    .observe(document.getElementById("who"), { childList: true }))"""


def test_measures_stay_unfolded_when_the_card_is_drawn_again_at_once(pages: Pages, page: Page) -> None:
    """A view can come within the very moment of the tap, before the browser tells the page that it has unfolded."""
    pages.kiosk.come("a hasty view", ELEVATED_C)
    page.locator(".card summary").wait_for()
    for is_open in (True, False):
        assert is_open == page.evaluate(
            """() => {
                document.querySelector(".card summary").click();
                document.querySelector("#tools [data-key=language]").click();
                return document.querySelector(".card details").open;
            }"""
        )


def test_a_count_is_of_the_moment_when_it_was_typed(pages: Pages, page: Page) -> None:
    """Not of when it is sent: an action that follows from an old view is refused."""
    inside = pages.kiosk.view()["venue"]["occupancy"]["inside"]
    part(page, "Place")
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("People inside").fill(str(inside))
    typed_s = pages.kiosk.view()["at_s"]
    for _ in range(3):
        page.evaluate(NEXT_VIEW)
    with page.expect_request("**/guard/ask") as asked:
        page.keyboard.press("Enter")
    assert asked.value.post_data_json["type"] == "count"
    assert asked.value.post_data_json["at_s"] <= typed_s
    page.locator("dialog").wait_for(state="hidden")


def test_an_override_takes_a_reason_a_second_badge_and_a_second_of_holding(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    kiosk.come("anna", ELEVATED_C)
    wait_for(lambda: kiosk.view()["waiting"])
    number = kiosk.view()["waiting"][0]["number"]
    assert kiosk.action("attest", lane="entry", number=number, type="travel", value="risk")["done"]
    assert kiosk.action("remeasure", lane="entry", number=number, tenths=366)["done"]
    opened, on_duty = kiosk.opened(), kiosk.view()["on_duty"]
    card = page.locator(".card", has_text="Refer to staff")
    press(unfold(card).get_by_role("button", name="Let in"))
    dialog = page.locator("dialog")
    held = dialog.get_by_role("button", name="Hold one second")
    held.click(delay=1200)
    dialog.get_by_text("Reason: must be answered").wait_for()
    assert dialog.get_by_text("Words are not kept here").count() == (not kiosk.view()["seals"])
    dialog.get_by_label("Reason").select_option("Documents checked")
    held.click(delay=1200)
    dialog.get_by_text("A second person must confirm this.").wait_for()
    second_badge(kiosk, dialog)
    held.click(delay=300)
    page.wait_for_timeout(200)
    assert kiosk.opened() == opened, "a short press does nothing"
    held.click(delay=1200)
    wait_for(lambda: kiosk.opened() == opened + 1)
    wait_for(lambda: kiosk.actions()[-1] == ("override", "G07"))
    assert kiosk.events()[-1]["answers"]["second"] == "S1"
    assert kiosk.view()["on_duty"] == on_duty, "to confirm is not to take over"


def test_no_badge_is_asked_for_behind_the_action_that_needed_it(pages: Pages, page: Page) -> None:
    kiosk, sent, kept = pages.kiosk, [], []
    page.clock.install()

    def keep(route: Route) -> None:
        said = route.request.post_data_json or {}
        sent.append(said.get("do"))
        if said.get("do") == "open":
            kept.append(route)
        else:
            route.continue_()

    page.route("**/*", keep)
    part(page, "Lanes")
    page.get_by_role("button", name="Open once").first.click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Reason").select_option("Documents checked")
    second_badge(kiosk, dialog)
    dialog.get_by_role("button", name="Hold one second").click(delay=1200)
    wait_for(lambda: kept or page.wait_for_timeout(1))
    page.clock.run_for(10_000)
    assert sent[-1] == "open", "the dialog waits for the answer alone"
    kept[0].continue_()
    dialog.wait_for(state="hidden")


def test_a_shift_is_handed_over_by_badge_with_its_open_cases(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    kiosk.come("fever at the end of a shift", ELEVATED_C)
    (case,) = [each["case"] for each in kiosk.view()["venue"]["cases"] if each["kind"] == "fever"][-1:]
    for who in ("G08", "G07"):
        kiosk.show_badge(who)
        wait_for(lambda who=who: kiosk.view()["on_duty"] == who)
    card = page.locator("#top .card")
    card.get_by_text("Shift from G08").wait_for()
    card.locator("summary").click()
    card.get_by_text(case).wait_for()
    press(card.get_by_role("button", name="Accept the shift"))
    card.wait_for(state="hidden")
    wait_for(lambda: kiosk.actions()[-1] == ("handover", "G07"))
    assert kiosk.events()[-1]["answers"]["from"] == "G08"
    part(page, "Cases")
    page.locator(".card", has_text=case).get_by_text("Owner: G07").wait_for()


def test_roster_absence_symptom_round_and_duty(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    part(page, "Place")
    page.get_by_text("all-day 00:00–24:00: going on").wait_for()
    for type_, button, value in (("absence", "Note an absence", "Leave"), ("symptom", "Note a symptom", "Cough")):
        page.get_by_role("button", name=button).click()
        dialog = page.locator("dialog")
        dialog.locator("select").last.select_option(value)
        page.keyboard.press("Enter")
        dialog.get_by_role("button", name="OK").click()
        dialog.wait_for(state="hidden")
        wait_for(lambda type_=type_: kiosk.actions()[-1] == (type_, "G07"))
    wait_for(lambda: page.locator("table tbody tr").inner_text().split()[-1] != "0")
    page.get_by_text("disinfect · due").wait_for()  # the name of a case may have any letters
    page.get_by_role("button", name="Done: disinfect").click()
    wait_for(lambda: kiosk.actions()[-1] == ("duty", "G07"))
    page.get_by_text(re.compile(r"done \d+ s ago")).wait_for()


def test_every_form_of_the_venue_is_drawn_from_its_data(pages: Pages, page: Page) -> None:
    part(page, "Place")
    forms = pages.kiosk.view()["forms"]
    assert {form["name"] for form in forms} >= {"visitor", "cargo", "driver", "inspection", "symptoms", "absence"}
    for form in forms:
        page.locator("#place").get_by_role("button", name=form["title"]["en"], exact=True).click()
        dialog = page.locator("dialog")
        labels = [text.split("\n")[0] for text in dialog.locator("label").all_inner_texts()]
        assert [label.replace(" (must be answered)", "") for label in labels] == [
            each["title"]["en"] for each in form["fields"]
        ]
        assert ("sealed at once" in dialog.inner_text()) is any(each["private"] for each in form["fields"])
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
    page.locator("#place").get_by_role("button", name="Inspection").click()
    page.get_by_label("Subject").select_option("Masks")
    page.get_by_label("Finding").select_option("To be mended")
    page.get_by_role("button", name="OK").click()
    wait_for(lambda: pages.kiosk.events()[-1]["answers"] == {"subject": "masks", "finding": "mend"})


TAP_AS_IT_CHANGES = """() => {
    const lanes = document.querySelector("#lanes");
    const { left, width, top, height } = lanes.querySelector("[data-key='close entry']").getBoundingClientRect();
    const look = new MutationObserver(() => {
        const [x, y] = [left + width / 2, top + height / 2];
        const under = document.elementFromPoint(x, y);
        if (under?.dataset.key !== "reopen entry") return;
        look.disconnect();
        under.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1, clientX: x, clientY: y }));
    });
    look.observe(lanes, { childList: true, subtree: true });
}"""  # noqa: E501 - a finger that was on its way as a colleague closed the lane


def test_a_tap_on_close_does_not_open_the_lane_that_a_colleague_has_just_closed(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    part(page, "Lanes")
    page.get_by_role("button", name="Close").wait_for()
    settle(page)
    page.evaluate(TAP_AS_IT_CHANGES)
    assert kiosk.action("close", lane="entry") == {"done": True}
    page.get_by_text("The list has just moved").wait_for()
    assert kiosk.door.state.closed == {"entry"}
    assert kiosk.actions()[-1][0] == "close"
    kiosk.forget_closing()
    press(page.get_by_role("button", name="Reopen"))
    wait_for(lambda: not kiosk.door.state.closed)


def test_a_lane_that_the_venue_has_shut_is_shown_as_shut(pages: Pages, page: Page) -> None:
    part(page, "Lanes")
    page.get_by_text("entry · open").wait_for()
    for minutes, word in ((30, "shut: nobody is let in here"), (0, "open")):
        pages.kiosk.shut("entry", minutes)
        page.get_by_text(f"entry · {word}").wait_for()


def test_a_guard_closes_a_lane_and_sets_the_count(pages: Pages, page: Page) -> None:
    part(page, "Lanes")
    page.get_by_role("button", name="Close").click()
    page.get_by_text("entry · closed").wait_for()
    assert pages.kiosk.door.state.closed == {"entry"}
    pages.kiosk.forget_closing()
    press(page.get_by_role("button", name="Reopen"))
    wait_for(lambda: not pages.kiosk.door.state.closed)
    part(page, "Place")
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("People inside").fill("2")
    page.keyboard.press("Enter")
    page.get_by_text("Inside: 2 of 3").wait_for()


def test_opening_asks_for_a_second_person_by_number_and_pin_too(pages: Pages, page: Page) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    part(page, "Lanes")
    page.get_by_role("button", name="Open once").last.click()
    page.get_by_label("Reason").select_option("Emergency")
    page.get_by_text("Their number and PIN").click()
    page.get_by_label("Badge number").fill("S1")
    page.get_by_label("PIN").fill(PINS["S1"])
    page.get_by_role("button", name="Hold one second").click(delay=1200)
    wait_for(lambda: kiosk.opened("exit") == out + 1)


def test_a_key_that_stays_down_is_one_press(pages: Pages, page: Page) -> None:
    kiosk, out = pages.kiosk, pages.kiosk.opened("exit")
    part(page, "Lanes")
    page.get_by_role("button", name="All out").focus()
    page.keyboard.down("Enter")
    wait_for(lambda: kiosk.opened("exit") == out + 1)
    for _ in range(12):  # as a keyboard repeats it, for longer than a second press would take
        page.keyboard.down("Enter")
        page.wait_for_timeout(100)
    page.keyboard.up("Enter")
    assert kiosk.opened("exit") == out + 1


def test_follow_on_a_card_opens_that_persons_case_or_none(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    for holder in ("red, came first", "red, came later"):
        kiosk.come(holder, NORMAL_C, Colour.RED)
    wait_for(lambda: len(kiosk.view()["waiting"]) >= 2)
    latest, first = kiosk.view()["waiting"][:2]
    page.locator(f"[data-card='entry {latest['number']}']").wait_for()
    settle(page)
    button = page.locator(f"[data-card='entry {first['number']}']").get_by_role("button", name="Follow the case")
    press(button)
    dialog = page.locator("dialog")
    dialog.get_by_role("heading", name=first["case"]).wait_for()
    dialog.get_by_label("Feedback").select_option("Isolated")
    dialog.get_by_role("button", name="Answered").click()
    wait_for(lambda: first["case"] not in {each["case"] for each in kiosk.view()["venue"]["cases"]})
    dialog.wait_for(state="hidden")
    page.wait_for_timeout(1000)
    press(button)
    page.get_by_text("The case is closed already.").wait_for()


def test_a_supervisor_alone_connects_and_ends_tablets(pages: Pages, page: Page) -> None:
    kiosk = pages.kiosk
    part(page, "Kiosk")
    page.get_by_text("On duty").wait_for()
    assert page.get_by_role("button", name="Connect a tablet").count() == 0, "not for a guard"
    page.get_by_role("button", name="Log out").click()
    pages.log_in(page, "S1")
    part(page, "Kiosk")
    page.get_by_role("button", name="Connect a tablet").click()
    wait_for(lambda: kiosk.door._sessions.pairing is not None)
    page.get_by_role("button", name="End all tablets").click(delay=1200)
    page.get_by_role("button", name="By a supervisor's badge").wait_for()
    assert not kiosk.door.state.devices


# -- what a page does by itself


def test_a_new_card_sounds_and_is_announced(pages: Pages, page: Page) -> None:
    page.evaluate(
        "() => { window.tones = 0; const made = AudioContext.prototype.createOscillator;"
        " AudioContext.prototype.createOscillator = function () { window.tones += 1; return made.call(this); } }"
    )
    part(page, "Place")
    page.get_by_role("button", name="Turn the sound on").wait_for(state="hidden")
    pages.kiosk.come("somebody new", ELEVATED_C)
    page.get_by_text("New: entry No.").wait_for()
    page.wait_for_function("window.tones === 1")


def test_the_first_tap_on_a_page_does_what_it_is_for(pages: Pages, page: Page) -> None:
    """Though the button for the sound goes with it, and the cards move up."""
    pages.kiosk.come("fever, first tap", ELEVATED_C)
    page.get_by_role("button", name="Turn the sound on").wait_for()
    page.locator(".card summary").click()
    page.locator(".card details[open]").wait_for()
    page.get_by_role("button", name="Turn the sound on").wait_for(state="hidden")


def test_a_locked_page_asks_for_the_pin_over_the_form(pages: Pages, page: Page) -> None:
    pages.kiosk.come("emil", ELEVATED_C)
    press(unfold(page.locator(".card").first).get_by_role("button", name="Enter temperature"))
    page.get_by_label("Temperature").fill("366")
    sessions = pages.kiosk.door._sessions._sessions
    for key, session in sessions.items():
        sessions[key] = replace(session, active_s=session.active_s - IDLE_S)
    page.keyboard.press("Enter")
    page.get_by_label("PIN").fill(PINS["G07"])
    page.keyboard.press("Enter")
    page.get_by_label("PIN").wait_for(state="hidden")
    assert page.get_by_label("Temperature").input_value() == "36.6"
    page.get_by_role("button", name="OK").click()
    page.get_by_text("Waiting: 0").wait_for()


def test_a_draft_is_cleared_alone_and_in_time(pages: Pages, page: Page) -> None:
    page.clock.install(time=0)
    page.clock.pause_at(1)
    part(page, "Place")
    for left in (True, False):
        page.evaluate(NEXT_VIEW)
        page.get_by_role("button", name="Visitor").click()
        page.get_by_label("Name").fill("Canary")
        if left:
            page.get_by_role("button", name="Back").click()
            page.get_by_role("button", name="Correct").click()
        page.clock.fast_forward(119_000 if left else 121_000)
        assert page.get_by_label("People inside").is_visible() is left
        if left:
            page.get_by_role("button", name="Back").click()
    page.locator("dialog").wait_for(state="hidden")
    assert "Canary" not in page.content()


def test_without_the_agent_no_button_does_anything(pages: Pages, page: Page) -> None:
    page.route("**/guard/events", lambda route: route.abort())
    page.evaluate("window.stop()")
    page.get_by_text("No connection").wait_for()
    assert page.locator("main button:not([disabled])").count() == 0


def test_a_page_does_not_say_that_the_connection_is_lost_once_it_is_back(pages: Pages, page: Page) -> None:
    part(page, "Lanes")
    with pages.kiosk.door._view._lock:
        page.get_by_text("No connection").wait_for()
    page.get_by_text("No connection").wait_for(state="hidden")
    page.locator("#lanes button:not([disabled])").first.wait_for()


def test_a_page_comes_back_once_there_is_room_for_its_stream(pages: Pages, page: Page) -> None:
    pages.kiosk.login("G08")
    page.goto("about:blank")
    full: list[socket.socket] = []
    wait_for(lambda: fill(pages, full))  # the stream of the page that was there may take a while to end
    with open_stream(pages) as refused:
        assert b" 503 " in refused.recv(64)
    with page.expect_response("**/guard/events") as answer:
        page.goto(f"{pages.url}guard")
    assert answer.value.status == 503
    page.get_by_text("Too many pages are open").wait_for()
    for each in full:
        each.close()
    page.get_by_text("Waiting:").wait_for()


def test_every_word_of_the_page_is_in_the_catalogue_and_none_is_left_over() -> None:
    scripts = "".join(file.read_text() for file in (PAGES / "static").glob("*.js"))
    words = set(re.findall(r"""["'`](\w+)["'`]""", scripts))
    noted = {f"note_{type_}" for type_ in ("absence", "symptom")}
    assert set(re.findall(r'\bw\("(\w+)"', scripts)) <= CATALOGUE["page"].keys()
    assert CATALOGUE["page"].keys() - words - noted == set()


def test_the_technician_sees_the_kiosk_and_can_do_nothing(pages: Pages, page: Page) -> None:
    part(page, "Kiosk")
    page.get_by_role("link", name="Technician's view").click()
    page.locator("table", has_text="thermometer").wait_for()
    text = page.locator("main").inner_text()
    for shown in ("works", "not connected, next try in", "list", "decided", "entry    "):
        assert shown.strip() in text, shown
    assert page.locator("main button").count() == 0
    for name in ("中文", "English"):
        assert not left_over(page)
        page.get_by_role("button", name=name).click()
    page.context.clear_cookies()
    page.goto(f"{pages.url}technician")
    page.get_by_role("button", name="By a supervisor's badge").wait_for()


# -- for everybody: both languages, contrast, small and enlarged


STATES: dict[str, tuple[str, ...]] = {
    "waiting": (), "unfolded": ("Other measures",), "keypad": ("Other measures", "Enter temperature"),
    "override": ("Lanes", "Open once"), "cases": ("Cases",), "case": ("Cases", "Follow"), "place": ("Place",),
    "form": ("Place", "Visitor"), "absence": ("Place", "Note an absence"), "lanes": ("Lanes",), "kiosk": ("Kiosk",),
}  # fmt: skip


def reach(page: Page, state: str) -> None:
    for name in STATES[state]:
        if name == "Other measures":
            unfold(page.locator("#waiting .card").first)
        else:
            page.locator("#nav button:visible, main button:visible").filter(has_text=name).first.click()


def left_over(page: Page, *, enlarged: bool = False) -> list[Any]:
    found = violations(page)
    if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        found.append("something is cut off")
    if not enlarged:
        found += page.evaluate(
            "[...document.querySelectorAll('button, input, select, summary')].filter((each) =>"
            " each.checkVisibility() && each.getBoundingClientRect().height < 55).map((each) => each.outerHTML)"
        )
    return found


@pytest.fixture
def busy(pages: Pages, page: Page) -> Page:
    """A page with something in each of its parts."""
    for who in ("S1", "G08", "G07"):
        pages.kiosk.show_badge(who)
        wait_for(lambda who=who: pages.kiosk.view()["on_duty"] == who)
    pages.kiosk.come("axe, red", NORMAL_C, Colour.RED)
    pages.kiosk.come("axe, fever", ELEVATED_C)
    page.locator("#waiting .card").nth(1).wait_for()
    return page


@pytest.mark.parametrize("size", [(360, 740), (1280, 800), (640, 360)], ids=["telephone", "desk", "desk at 200 %"])
def test_axe_finds_nothing_in_any_state_in_both_languages(busy: Page, size: tuple[int, int]) -> None:
    busy.set_viewport_size({"width": size[0], "height": size[1]})
    for state in STATES:
        reach(busy, state)
        english = left_over(busy)
        assert not english, (state, english)
        busy.evaluate("document.querySelectorAll('dialog').forEach((each) => each.close())")
        busy.locator("#nav button").first.click()
    busy.get_by_role("button", name="中文").click()
    busy.get_by_text("等候: 2").wait_for()
    for part_of_page in range(5):
        busy.locator("#nav button").nth(part_of_page).click()
        assert busy.evaluate("document.documentElement.lang") == "zh-Hans"
        assert not left_over(busy), part_of_page
    for number, button in ((0, ".card button.first"), (1, ".card button.first"), (2, "[data-key='form visitor']")):
        busy.locator("#nav button").nth(number).click()
        busy.locator(f"main[data-tab] section:nth-of-type({number + 1}) {button}").last.click()
        busy.wait_for_timeout(300)
        assert not left_over(busy), (number, button)
        busy.keyboard.press("Escape")


def test_axe_finds_nothing_before_the_login_in_both_languages(browser: Browser, pages: Pages) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}, locale="zh-CN") as context:
        context.set_default_timeout(LIMIT_MS)
        made = context.new_page()
        made.goto(f"{pages.url}guard")
        for secret, chinese, english in (
            ("", "主管出示工牌", "By a supervisor's badge"),
            ("#pair=x", "本机显示的数字", "Number on the kiosk"),
        ):
            made.evaluate("(to) => { location.hash = to; }", secret)
            made.locator("main").get_by_text(chinese).last.wait_for()
            assert not left_over(made)
            made.get_by_role("button", name="English").click()
            made.locator("main").get_by_text(english).last.wait_for()
            assert not left_over(made)
            made.get_by_role("button", name="中文").click()


def test_a_tablet_is_connected_by_a_supervisors_badge(browser: Browser, pages: Pages) -> None:
    """The code is scanned into the page that is open already: no load, only another fragment."""
    with browser.new_context(viewport={"width": 360, "height": 740}, locale="en-GB") as context:
        context.set_default_timeout(LIMIT_MS)
        tablet, screen = context.new_page(), context.new_page()
        tablet.goto(f"{pages.url}guard")
        tablet.get_by_role("button", name="By a supervisor's badge").click()
        tablet.get_by_text("No lane's screen works here").wait_for()
        screen.goto(f"{pages.url}lanes/entry")
        wait_for(lambda: not pages.kiosk.app._watch.trouble("entry"))
        tablet.get_by_role("button", name="By a supervisor's badge").click()
        tablet.get_by_text("Now a supervisor shows their badge").wait_for()
        pages.kiosk.door._badges = Badges()
        tablet.get_by_role("button", name="By a supervisor's badge").click()
        wait_for(lambda: pages.kiosk.door._badges._tablet_until_s > 0)
        pages.kiosk.show_badge("S1")
        screen.locator(".code:not([hidden])").wait_for()
        number = screen.locator(".figure").inner_text().split("\n")[0].replace(" ", "")
        secret = pages.kiosk.door._sessions.pairing.secret
        tablet.evaluate("(to) => { location.hash = to; }", f"pair={secret}")
        tablet.get_by_label("Number on the kiosk").fill(number)
        tablet.keyboard.press("Enter")
        tablet.get_by_label("Badge number").wait_for()
        assert secret not in tablet.url
        screen.locator(".code:not([hidden])").wait_for(state="hidden")
    pages.kiosk.door._badges = Badges()


def test_planted_faults_are_found(busy: Page) -> None:
    plants = (
        "document.querySelector('.why').style.color = '#8a8a8a'",
        "document.querySelector('.card button').style = 'min-height: 18px; height: 18px; padding: 0'",
        "document.querySelector('.card button').replaceChildren()",
        "document.querySelector('main').style.width = '200vw'",
        "document.documentElement.removeAttribute('lang')",
    )
    assert not left_over(busy)
    for plant in plants:
        with busy.expect_event("framenavigated"):
            busy.reload()
        busy.locator("#waiting .card").nth(1).wait_for()
        busy.evaluate(plant)
        assert left_over(busy), plant


def test_twice_the_text_size_and_forced_colours_and_no_motion(busy: Page) -> None:
    busy.emulate_media(forced_colors="active", reduced_motion="reduce")
    busy.evaluate("document.documentElement.style.fontSize = '200%'")
    for state in STATES:
        reach(busy, state)
        assert busy.evaluate("document.documentElement.scrollWidth <= innerWidth"), state
        busy.evaluate("document.querySelectorAll('dialog').forEach((each) => each.close())")
        busy.locator("#nav button").first.click()
    assert busy.evaluate("matchMedia('(forced-colors: active) and (prefers-reduced-motion: reduce)').matches")
    assert (
        busy.locator("#waiting .card").first.evaluate("(each) => getComputedStyle(each).borderLeftWidth") != "0px"
    )


# -- the network


def fill(pages: Pages, streams: list[socket.socket]) -> bool:
    """Open one more stream, and keep it if there was room; whether there are as many as may be."""
    made = open_stream(pages)
    if b" 200 " in made.recv(64):
        streams.append(made)
    else:
        made.close()
    return len(streams) == MAX_STREAMS


def open_stream(pages: Pages) -> socket.socket:
    """A page that looks, and never ends; refused when there are too many."""
    client = socket.create_connection(("127.0.0.1", urlsplit(pages.url).port), timeout=120)
    cookies = f"{DEVICE}={pages.kiosk.device}; {SESSION}={pages.kiosk.session}"
    head = f"GET /guard/events HTTP/1.1\r\nHost: {urlsplit(pages.url).netloc}\r\nCookie: {cookies}\r\n\r\n"
    client.sendall(head.encode())
    return client


def over_tls(pages: Pages, method: str, path: str, said: object = None, **headers: str) -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", pages.tls_port, context=context, timeout=120)
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
    with socket.create_connection(("127.0.0.1", pages.tls_port), timeout=120) as plain:
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
    assert over_tls(pages, "POST", "/guard/ask", {"do": "x" * 30_000})[0] == 413
    assert "over" in over_tls(pages, "GET", "/guard/events")[1]
    assert (pages.kiosk.opened(), pages.kiosk.opened("exit")) == (entry, out)
