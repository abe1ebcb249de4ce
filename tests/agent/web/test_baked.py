"""Baked pictures: files, what is drawn over them, and which one is shown when. Without a browser."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.effects import Cue
from agent.web import baked
from agent.web.baked import BadPicture, Box, PictureKey
from agent.web.options import PanelOptions, Side
from agent.web.painter import Baked, NoPictures, find_sets
from agent.web.pictures import compose, shown_pictures
from agent.web.shown_picture import BEAT_S, OVER_S, ShownPicture
from drivers.vision import zbar

if TYPE_CHECKING:
    from pathlib import Path

PANEL = PanelOptions(width_px=320, height_px=240)
STAFF = PictureKey("staff", "staff")


def picture(name: str, panel: PanelOptions = PANEL, **more: Any) -> dict[str, Any]:
    return compose({"picture": name, "number": 7, **more}, panel)


# -- files


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 2**32 - 1), st.booleans())
def test_a_picture_is_read_as_it_was_written(width: int, height: int, seed: int, many: bool) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256 if many else 2, (height, width, 3)).astype(np.uint8)
    data = baked.encode(pixels)
    assert (baked.decode(data) == pixels).all()
    assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] == pixels).all(), (
        "as others do"
    )


@pytest.mark.parametrize("filters", [cv2.IMWRITE_PNG_FILTER])
@pytest.mark.parametrize("which", [8, 16, 32, 64, 128])
def test_the_filters_of_a_browsers_screenshot(filters: int, which: int) -> None:
    pixels = np.random.default_rng(which).integers(0, 256, (13, 17, 3)).astype(np.uint8)
    _, data = cv2.imencode(".png", pixels[:, :, ::-1], [filters, which])
    assert (baked.decode(data.tobytes()) == pixels).all()


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_file_is_no_picture_or_one_of_the_same_kind(tail: bytes, at: int, byte: int) -> None:
    good = bytearray(baked.encode(np.zeros((4, 5, 3), np.uint8)))
    good[at % len(good)] = byte
    for data in (bytes(good), bytes(good[: at % len(good)]) + tail, tail):
        with contextlib.suppress(BadPicture):
            assert baked.decode(data).shape[2] == 3


# -- which picture


def test_a_picture_is_found_by_what_stands_on_it_and_by_nothing_else() -> None:
    key = baked.key_of(picture("admit"))
    assert baked.key_of(picture("admit", number=8, for_ms=3000)) == key
    others = [
        picture("admit_with_notice"), picture("refer"), picture("admit", hint="wear_mask"),
        picture("admit", PanelOptions(width_px=320, height_px=240, gate=Side.LEFT)),
        picture("admit", PanelOptions(width_px=320, height_px=241)),
        {**picture("admit"), "lines": {"en": ["Other words."], "zh-Hans": ["…"]}},
    ]  # fmt: skip
    assert len({baked.key_of(each)[:2] for each in others} | {key[:2]}) == len(others) + 1
    assert baked.key_of(picture("admit", hint="wear_mask")).sign == key.sign, "one sign for all hints"


def test_green_ends_by_itself_and_without_a_beat() -> None:
    admit, shown = picture("admit", for_ms=3000), ShownPicture(STAFF)
    assert shown.now(0.0)[0] == STAFF, "before anything is known"
    shown.on_picture(admit, 10.0)
    assert shown.now(9.99 + BEAT_S)[0] == baked.key_of(admit)
    assert shown.now(10.1 + BEAT_S)[0] == STAFF
    for tenth in range(40):
        shown.on_beat(10.0 + tenth / 10)
    assert shown.now(13.0 + OVER_S - 0.01)[0] == baked.key_of(admit)
    assert shown.now(13.0 + OVER_S)[0] == STAFF, "however the agent beats"
    shown.on_picture(admit, 20.0)
    shown.on_lost()
    assert shown.now(20.0)[0] == STAFF


@given(
    st.lists(st.tuples(st.sampled_from(["green", "ready", "beat", "lost"]), st.floats(0.0, 2.0)), max_size=30),
    st.floats(0.0, 5.0),
)
def test_green_never_stands_longer_than_it_was_told_or_than_the_agent_beats(
    said: list[tuple[str, float]], after_s: float
) -> None:
    green, ready, shown, at_s = picture("admit", for_ms=1500), picture("ready"), ShownPicture(STAFF), 0.0
    green_s = beat_s = -100.0
    for what, wait_s in said:
        at_s += wait_s
        match what:
            case "green" | "ready":
                shown.on_picture(green if what == "green" else ready, at_s)
                green_s, beat_s = (at_s if what == "green" else -100.0), at_s
            case "beat":
                shown.on_beat(at_s)
                beat_s = at_s
            case _:
                shown.on_lost()
                green_s = -100.0
    at_s += after_s
    is_green = shown.now(at_s)[0] == baked.key_of(green)
    assert not is_green or (at_s < green_s + 1.5 + OVER_S and at_s - beat_s <= BEAT_S)


def test_a_rest_is_counted_down() -> None:
    shown = ShownPicture(STAFF)
    shown.on_picture(picture("rest", rest_s=61), 0.0)
    assert shown.now(0.0)[1] == ("1:01",)
    shown.on_beat(1.5)
    assert shown.now(1.5)[1] == ("1:00",)


# -- a folder


def lay(folder: Path, size: tuple[int, int] = (320, 240), font_px: float = 99.0) -> Path:
    """Pictures of one colour each, as `bake` lays them out."""
    folder.mkdir(exist_ok=True)
    panel = PanelOptions(width_px=size[0], height_px=size[1])
    rows, fonts_px, boxes = baked.sign_rows(size[1]), {}, {}
    for name, shade in (("fault", 0), ("ready", 90), ("pair", 200)):
        key = baked.key_of(picture(name, panel))
        for half, height in ((key.sign, rows), (key.text, size[1] - rows)):
            pixels = np.full((height, size[0], 3), shade, np.uint8)
            (folder / f"{half}.png").write_bytes(baked.encode(pixels))
        fonts_px[key.text] = font_px
    boxes = {baked.key_of(picture("pair", panel)).sign: {"code": [10, 10, 90, 90], "figure": [170, 10, 140, 90]}}
    staff = baked.key_of(picture("fault", panel))[:2]
    index = {"size_px": size, "staff": staff, "boxes": boxes, "fonts_px": fonts_px}
    (folder / baked.INDEX).write_text(json.dumps(index))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay(tmp_path)


def test_what_is_not_there_or_damaged_sends_people_to_the_staff(folder: Path) -> None:
    pictures = Baked(folder)
    key = baked.key_of(picture("ready"))
    assert pictures.pixels(key, (), None)[0] == key
    assert pictures.pixels(baked.key_of(picture("admit")), (), None)[0] == pictures.staff
    (folder / f"{key.text}.png").write_bytes(baked.encode(np.full((241, 320, 3), 90, np.uint8)))
    assert pictures.pixels(key, (), None)[0] == pictures.staff, "of another size"
    (folder / f"{key.sign}.png").write_bytes(b"no picture")
    assert pictures.pixels(key, (), None)[0] == pictures.staff


def test_letters_that_are_too_small_for_the_distance_send_people_to_the_staff(folder: Path) -> None:
    far = PanelOptions(width_px=320, height_px=240, distance_mm=5000.0)
    assert far.font_px > 99
    key = baked.key_of(picture("ready", far))
    assert key[:2] == baked.key_of(picture("ready"))[:2]
    pictures = Baked(folder)
    assert pictures.pixels(key, (), None)[0] == pictures.staff
    assert pictures.pixels(baked.key_of(picture("ready")), (), None)[0] != pictures.staff


def test_there_may_be_a_folder_for_each_size(tmp_path: Path) -> None:
    lay(tmp_path / "320x240")
    lay(tmp_path / "240x320", (240, 320))
    assert find_sets(tmp_path).keys() == {(320, 240), (240, 320)}
    assert find_sets(tmp_path / "240x320").keys() == {(240, 320)}
    with pytest.raises(NoPictures, match="gatepost display LANE --bake"):
        find_sets(tmp_path / "elsewhere")


@pytest.mark.parametrize("damage", ["", "{}", '{"size_px": [1], "staff": ["x", "y"], "boxes": {}}', None])
def test_a_folder_without_pictures_says_what_to_type(folder: Path, damage: str | None) -> None:
    if damage is None:
        (folder / f"{baked.key_of(picture('fault')).sign}.png").unlink()
    else:
        (folder / baked.INDEX).write_text(damage)
    with pytest.raises(NoPictures, match="gatepost display LANE --bake"):
        Baked(folder)


def test_what_this_release_shows_and_was_not_baked_is_named(folder: Path) -> None:
    assert sorted(Baked(folder).missing()) == sorted(shown_pictures().keys() - {"fault", "ready", "pair"})


def test_the_code_for_a_tablet_is_drawn_over_its_picture_and_can_be_scanned(folder: Path) -> None:
    link = "https://gate-1.local:8471/guard#pair=abcdefghijklmnopqrstuv"
    shown = picture("pair", pairing=[link, "042137", "3F:A2:91:BC:07:D1:55:E0"])
    _, pixels = Baked(folder).pixels(baked.key_of(shown), tuple(shown["figure"]), shown["code"])
    large = np.kron(pixels[:, :, 0], np.ones((3, 3), np.uint8))
    assert [found.payload for found in zbar.read(large)] == [link.encode()]
    _, again = Baked(folder).pixels(baked.key_of(shown), (), None)
    assert (again == 200).all(), "the picture itself stays as it is"


@pytest.mark.parametrize("digit", "0123456789ABCDEF")
def test_digits_differ_from_one_another_and_stay_in_their_box(digit: str) -> None:
    def drawn(text: str) -> np.ndarray:
        pixels = np.full((100, 100, 3), 30, np.uint8)
        baked.draw_figures(pixels, Box(20, 20, 60, 60), [text])
        return pixels

    made = drawn(digit)
    assert (made[:, :20] == 30).all()
    assert (made[80:] == 30).all()
    assert (made == 255).any(), "white on a dark picture"
    for other in set("0123456789ABCDEF") - {digit}:
        assert (drawn(other) != made).any(), other


def test_every_cue_of_the_lamp_is_baked() -> None:
    keys = {baked.key_of(compose(line, PANEL)) for line in shown_pictures().values()}
    assert {baked.key_of(picture(str(cue))) for cue in Cue if cue is not Cue.RETRY} <= keys
    assert len(keys) == len(shown_pictures())
