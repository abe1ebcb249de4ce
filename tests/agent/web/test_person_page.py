"""The person's page in a real browser: what it shows, that it can be read, and that it is never green too long."""

from __future__ import annotations

import contextlib
import itertools
import signal
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import zxingcpp
from accessibility import violations
from guard_pages import LIMIT_MS
from screens_bench import ANSWER_S, GREEN_S, Screens, hang, open_lane, tone

from agent.model.effects import Cue
from agent.texts import CATALOGUE
from agent.web.options import PanelOptions
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Error, Page

    from tests.fair_clock import FairClock

NEVER_GREEN_AFTER_S, DOWN_AFTER_S = 2.0, 3.0
TRIES, TRY_S = 4, 30.0
DEFICIENCIES = ("achromatopsia", "deuteranopia", "protanopia", "tritanopia", "blurredVision")
PICTURES: list[tuple[Cue, str, str]] = [
    *((cue, "", str(cue)) for cue in Cue if cue is not Cue.RETRY),
    (Cue.RETRY, "", "once_more"),
    *((Cue.FAULT, code, code) for code in ("closed", "full")),
    (Cue.RETRY, "another_card", "another_card"),
    (Cue.REFER, "rest", "rest"),
]
PHONE, TABLET, KIOSK, STANDING = (390, 844), (1024, 600), (1280, 800), (800, 1280)


@pytest.fixture(scope="module")
def _window(browser: Browser) -> Iterator[Page]:
    made = browser.new_page()
    made.set_default_timeout(LIMIT_MS)
    yield made
    made.close()


@pytest.fixture
def page(_window: Page) -> Iterator[Page]:
    """An empty page, as large as a kiosk's screen. The window is the same for all tests: each new one is a new
    profile with processes of its own, more work than what most of the tests do.
    """
    said: list[str] = []

    def console(message: ConsoleMessage) -> None:
        said.append(message.text)

    def page_error(error: Error) -> None:
        said.append(str(error))

    _window.set_viewport_size({"width": KIOSK[0], "height": KIOSK[1]})
    _window.emulate_media(forced_colors="null", reduced_motion="null")
    _window.on("console", console)
    _window.on("pageerror", page_error)
    yield _window
    _window.goto("about:blank")
    _window.remove_listener("console", console)
    _window.remove_listener("pageerror", page_error)
    assert not [each for each in said if "net::ERR" not in each]


@pytest.fixture(scope="module")
def _shared() -> Iterator[Screens]:
    made = Screens("entry")
    yield made
    made.close()


@pytest.fixture
def calm(_shared: Screens) -> Screens:
    """Screens of a lane that is ready, for tests that only show something on them."""
    panel = _shared.watch._lanes["entry"]._panel
    panel._green_s, panel._indication_s = GREEN_S, ANSWER_S
    panel._latest = panel._standing
    _shared.show("entry", Cue.READY)
    return _shared


def texts(sign: str) -> list[str]:
    text = (CATALOGUE["picture"] | CATALOGUE["cue"])[sign]
    return [text.en, text.zh]


def show(screens: Screens, page: Page, cue: Cue, hint: str = "", for_s: float = 60.0) -> None:
    """Show it, also in place of one that is the same or that would stand after an answer. Again where it is lost: a
    page that a busy machine keeps from a beat shows a fault in its place.
    """
    pictures = screens.watch._lanes["entry"]
    pictures._panel._green_s = pictures._panel._indication_s = for_s
    for _ in range(TRIES):
        pictures._panel._latest = pictures._panel._standing
        if hint == "rest":
            screens.show("entry", cue, rest_s=598.0)
        else:
            screens.show("entry", cue, hint)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: is_shown(page, cue, hint), TRY_S)
            wait_for(lambda: not screens.watch.trouble("entry"), TRY_S)
            return
    raise AssertionError(f"not shown: {cue} {hint}")


def is_shown(page: Page, cue: Cue, hint: str) -> bool:
    sign = hint if hint in CATALOGUE["picture"] else "once_more" if cue is Cue.RETRY else str(cue)
    return texts(sign)[0] in page.inner_text(".lines p")


def pixels(page: Page) -> np.ndarray[Any, Any]:
    """The arrow stands, and the curtain does not fall however slow this machine is."""
    page.evaluate("document.getAnimations().forEach((each) => each.cancel())")
    return cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def picture(
    screens: Screens, page: Page, cue: Cue, hint: str = "", look: Callable[[Page], Any] = pixels
) -> np.ndarray[Any, Any]:
    """Its pixels, while it is shown; or what another `look` gives."""
    while True:
        show(screens, page, cue, hint)
        seen = look(page)
        if is_shown(page, cue, hint):
            return seen


def arrows(page: Page) -> int:
    return page.evaluate("document.querySelector('.arrow').getAnimations().length")


@pytest.mark.parametrize(("cue", "hint", "sign"), PICTURES)
def test_every_picture_says_it_in_both_languages_at_equal_size(
    calm: Screens, page: Page, cue: Cue, hint: str, sign: str
) -> None:
    open_lane(page, calm)
    show(calm, page, cue, hint)

    def seen() -> dict[str, Any]:  # at one moment: a busy machine may have lost a beat at another
        return page.evaluate("""() => {
            const lines = [...document.querySelectorAll(".lines p")], symbol = document.querySelector(".symbol");
            return {
              texts: lines.map((line) => line.innerText), languages: lines.map((line) => line.lang),
              sizes: new Set(lines.map((line) => getComputedStyle(line).fontSize)).size,
              sign: symbol.firstElementChild.getAttribute("href"), drawn: symbol.getBBox().width > 10,
            };
        }""")

    wanted = {"texts": texts(sign), "languages": ["en", "zh-Hans"], "sizes": 1, "sign": f"#{sign}", "drawn": True}
    wait_for(lambda: seen() == wanted)


def test_a_rest_is_counted_down(calm: Screens, page: Page) -> None:
    open_lane(page, calm)
    calm.show("entry", Cue.REFER, rest_s=600.0)
    wait_for(lambda: page.inner_text(".figure") == "9:58")
    assert texts("rest")[0] in page.inner_text(".lines p")
    assert page.locator(".symbol use").get_attribute("href") == "#rest"
    calm.show("entry", Cue.WAIT)
    wait_for(lambda: not page.is_visible(".figure"))


def test_the_code_for_a_tablet_can_be_read_from_the_screen_and_only_while_it_is_asked_for(
    calm: Screens, page: Page
) -> None:
    link = "https://gate-1.local:8471/guard#pair=0123456789abcdefABCDEF"
    open_lane(page, calm)
    calm.show("entry", Cue.READY)
    wait_for(lambda: page.is_visible(".symbol"))
    assert not page.is_visible(".code")
    calm.watch.show_pairing(link, "042137", "AB:CD:EF:01:23:45:67:89:AA:BB", 120.0)
    wait_for(lambda: page.is_visible(".code"))
    assert page.locator(".figure > span").all_text_contents() == ["042 137", "SHA-256 AB CD EF 01 23 45 67 89 …"]
    picture = np.ascontiguousarray(pixels(page)[:, :, ::-1])
    assert [found.text for found in zxingcpp.read_barcodes(picture)] == [link]
    calm.show("entry", Cue.MEASURE)
    wait_for(lambda: not page.is_visible(".code"))
    calm.watch.show_pairing("", "", "", 0.0)
    calm.show("entry", Cue.READY)
    wait_for(lambda: page.is_visible(".symbol"))
    assert not page.is_visible(".code")


def test_an_arrow_points_to_the_gate_and_to_the_thermometer(page: Page) -> None:
    screens = Screens("entry", panel=PanelOptions(gate="right", thermometer="left"))
    try:
        open_lane(page, screens)
        for cue, side in ((Cue.ADMIT, "right"), (Cue.MEASURE, "left"), (Cue.REFER, "")):
            show(screens, page, cue)
            assert page.locator(".arrow").get_attribute("data-to") == side
            assert page.locator(".arrow").is_visible() is bool(side)
    finally:
        screens.close()


def test_the_arrow_moves_unless_somebody_wants_no_motion(calm: Screens, page: Page) -> None:
    open_lane(page, calm)
    show(calm, page, Cue.ADMIT)
    assert arrows(page) == 1
    page.emulate_media(reduced_motion="reduce")
    show(calm, page, Cue.MEASURE)
    assert arrows(page) == 0


def test_private_and_ordinary_referrals_are_one_picture(calm: Screens, page: Page) -> None:
    open_lane(page, calm)
    seen = []
    for _ in range(3):
        seen.append(picture(calm, page, Cue.REFER))
        show(calm, page, Cue.WAIT)
    assert all(np.array_equal(seen[0], each) for each in seen)


@pytest.mark.parametrize("size", [PHONE, TABLET, KIOSK, STANDING, (640, 400), (360, 640)])
def test_no_text_is_cut_off(calm: Screens, page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_lane(page, calm)
    worst = max(CATALOGUE["hint"], key=lambda hint: len(CATALOGUE["hint"][hint].en))
    for cue, hint in [
        *((cue, hint) for cue, hint, _ in PICTURES),
        (Cue.ADMIT_WITH_NOTICE, worst),
        (Cue.REFER, worst),
    ]:
        show(calm, page, cue, hint)
        out = page.evaluate("""() => {
            const field = document.querySelector(".lines").getBoundingClientRect();
            return [...document.querySelectorAll(".lines span")].filter((span) => {
              const box = span.getBoundingClientRect();
              return box.top < field.top - 1 || box.bottom > field.bottom + 1 || span.scrollWidth > innerWidth;
            }).length;
        }""")
        assert out == 0, (cue, hint)


def test_letters_are_as_high_as_the_standard_asks(calm: Screens, page: Page) -> None:
    panel = PanelOptions()
    open_lane(page, calm)
    worst = max(CATALOGUE["hint"], key=lambda hint: len(CATALOGUE["hint"][hint].en))
    show(calm, page, Cue.ADMIT_WITH_NOTICE, worst)
    font_px = float(page.evaluate("parseFloat(getComputedStyle(document.querySelector('.lines')).fontSize)"))
    letter_px = page.evaluate("""(size) => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
        return canvas.measureText("H").actualBoundingBoxAscent;
    }""", font_px)  # fmt: skip
    letter_mm = letter_px * panel.width_mm / panel.width_px
    assert np.degrees(2 * np.arctan(letter_mm / 2 / panel.distance_mm)) >= 0.7


def test_signs_are_told_apart_by_whoever_sees_no_colour(calm: Screens, page: Page) -> None:
    page.set_viewport_size({"width": KIOSK[0] // 2, "height": KIOSK[1] // 2})
    open_lane(page, calm)
    chrome = page.context.new_cdp_session(page)

    def as_seen(page: Page) -> dict[str, np.ndarray[Any, Any]]:
        found = {}
        for deficiency in DEFICIENCIES:
            chrome.send("Emulation.setEmulatedVisionDeficiency", {"type": deficiency})
            found[deficiency] = cv2.resize(pixels(page), (320, 200), interpolation=cv2.INTER_AREA).astype(int)
        return found

    seen = {sign: picture(calm, page, cue, hint, as_seen) for cue, hint, sign in PICTURES}
    chrome.detach()
    for one, other in itertools.combinations(seen, 2):
        for deficiency in DEFICIENCIES:
            apart = np.abs(seen[one][deficiency] - seen[other][deficiency]).max(axis=2) > 60
            assert apart.mean() >= 0.05, (deficiency, one, other, apart.mean())


@pytest.mark.parametrize("colours", ["none", "active"])
def test_axe_finds_nothing(calm: Screens, page: Page, colours: Any) -> None:
    page.emulate_media(forced_colors=colours)
    open_lane(page, calm)
    for cue, hint, _ in PICTURES:
        show(calm, page, cue, hint)
        found = violations(page, page_has_heading_one=False)  # a heading would be one more line to read
        assert not found, (cue, found)


def test_axe_would_find_pale_text_and_small_buttons(page: Page) -> None:
    page.set_content(
        '<html lang="en"><title>t</title><main><p style="color:#6b6b6b;background:#fff">pale</p>'
        '<button style="width:18px;height:18px;padding:0">x</button>'
        '<button style="width:18px;height:18px;padding:0">y</button>'
    )
    found = {each["id"] for each in violations(page)}
    assert {"color-contrast-enhanced", "target-size"} <= found


# -- green ends


def until(condition: Callable[[], object], clock: FairClock) -> float:
    began_s = clock()
    wait_for(condition)
    return clock() - began_s


def until_not_green(page: Page, clock: FairClock) -> float:
    return until(lambda: not tone(page).startswith("admit"), clock)


def green(screens: Screens, page: Page) -> None:
    """Green for a minute, as far as the agent is concerned."""
    open_lane(page, screens)
    show(screens, page, Cue.ADMIT)


def test_green_ends_when_the_agents_loop_stands_still(screens: Screens, page: Page, fair_clock: FairClock) -> None:
    green(screens, page)
    screens.moves = False
    assert until_not_green(page, fair_clock) <= NEVER_GREEN_AFTER_S
    # a beat that was on the way may come after the first dark
    assert until(lambda: tone(page) == "fault", fair_clock) <= DOWN_AFTER_S


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_green_ends_when_the_screen_process_stands_still_or_dies(
    screens: Screens, page: Page, fair_clock: FairClock, number: signal.Signals
) -> None:
    green(screens, page)
    screens.process.send_signal(number)
    assert until_not_green(page, fair_clock) <= NEVER_GREEN_AFTER_S
    assert until(lambda: screens.watch.trouble("entry"), fair_clock) <= DOWN_AFTER_S
    screens.process.send_signal(signal.SIGCONT)


def test_green_ends_when_the_agent_ends(screens: Screens, page: Page, fair_clock: FairClock) -> None:
    green(screens, page)
    screens.watch.stop()
    assert until_not_green(page, fair_clock) <= NEVER_GREEN_AFTER_S


def test_the_page_ends_green_by_itself(screens: Screens, page: Page, fair_clock: FairClock) -> None:
    """The next picture is lost on the way, the beats go on."""
    open_lane(page, screens)
    show(screens, page, Cue.ADMIT, for_s=5.0)
    screens.hold("entry", 60.0)
    assert until_not_green(page, fair_clock) <= 5.0 + NEVER_GREEN_AFTER_S


def test_a_page_that_hangs_is_a_screen_that_is_down(screens: Screens, page: Page, fair_clock: FairClock) -> None:
    green(screens, page)
    hang(page)
    assert until(lambda: screens.watch.trouble("entry"), fair_clock) <= DOWN_AFTER_S


def test_it_comes_back_with_the_agent_and_with_the_screen_process(screens: Screens, page: Page) -> None:
    open_lane(page, screens)
    show(screens, page, Cue.READY)
    screens.end()
    wait_for(lambda: tone(page) == "fault")
    screens.serve(screens.port)
    show(screens, page, Cue.MEASURE)


def test_before_the_agent_is_there_it_starts(screens: Screens, page: Page) -> None:
    screens.watch.stop()
    screens.end()
    screens.serve(screens.port)
    open_lane(page, screens)
    wait_for(lambda: page.get_attribute(".symbol use", "href") == "#starting")


def test_the_panel_that_is_the_default_can_be_read_and_a_telephones_from_afar_cannot() -> None:
    assert not list(PanelOptions().faults())
    (fault,) = PanelOptions(width_mm=65, height_mm=140, width_px=1080, height_px=2340, distance_mm=1500).faults()
    assert "0.7° at 1500 mm" in fault
