"""The reading API on still pictures: real photographs, random bytes, and what is no picture to speak of."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import vision
from drivers.simulators import qr
from drivers.vision import decoders, opencv, steps, steps_order
from drivers.vision.code import Code
from drivers.vision.pipeline import Pipeline

PHOTOGRAPHS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "qr"
needs_photographs = pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not on this machine")


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=40, deadline=None)
def test_bytes_come_through_as_coded(payload):
    codes = Pipeline(float("inf")).read(qr.drawn(payload, 4))

    assert [code.payload for code in codes] == [payload]


@pytest.mark.parametrize("payload", [b"\x00", b"\xff", bytes(range(256)), b"\x00" * 2953, b"\xef\xbb\xbfbom"])
def test_odd_payloads_come_through_every_decoder(payload):
    picture = qr.drawn(payload, 4, "l")

    assert [code.payload for code in decoders.first(picture)] == [payload]
    assert [code.payload for code in decoders.second(picture)] == [payload]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("体温正常 粤A12345".encode(), "体温正常 粤A12345"),
        ("体温正常".encode("gb18030"), "体温正常"),
        ("健康码有效期至今天".encode("gb18030"), "健康码有效期至今天"),
        ("ﾜｸﾁﾝ接種証明書".encode("shift_jis"), "ﾜｸﾁﾝ接種証明書"),
        ("ﾔﾏﾀﾞ ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("新型コロナワクチン".encode("shift_jis"), "新型コロナワクチン"),
        ("東京都".encode("shift_jis"), "東京都"),
        ("Enzyklopädie".encode(), "Enzyklopädie"),
        (b"\xff\xfe\xfd", r"\xff\xfe\xfd"),
    ],
)
def test_text_is_never_guessed_wrong(payload, text):
    assert vision.read(qr.drawn(payload, 4)) == [text]


def test_a_declared_character_set_is_believed():
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

    assert Code(b"caf\xe9", corners, declared="café").text() == "café"


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (20, 20), (3, 3000), (0, 0)])
def test_a_picture_too_small_for_any_code_reads_nothing(shape):
    assert vision.read(np.zeros(shape, np.uint8)) == []


def test_a_huge_picture_is_read_in_a_smaller_size():
    picture = np.full((9000, 12000), 255, np.uint8)
    code = qr.drawn(b"far away", 40)
    picture[4000 : 4000 + code.shape[0], 5000 : 5000 + code.shape[1]] = code

    assert vision.read_fast(picture) == ["far away"]


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(opencv.UnreadablePicture):
        opencv.from_bytes(data)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked():
    bomb = opencv.to_png(np.zeros((10, 10), np.uint8))
    wide = bomb[:16] + (200_000).to_bytes(4, "big") + (200_000).to_bytes(4, "big") + bomb[24:]

    with pytest.raises(opencv.UnreadablePicture):
        opencv.from_bytes(wide)


def test_only_one_decoder_is_enough(monkeypatch):
    picture = qr.drawn(b"either will do", 4)
    monkeypatch.setattr(decoders, "zxing", None)
    assert vision.read(picture) == ["either will do"]

    monkeypatch.undo()
    monkeypatch.setattr(decoders, "zbar", None)
    assert vision.read(picture) == ["either will do"]


def test_hard_steps_go_on_where_the_last_picture_left_off():
    pipeline = Pipeline(0.0)
    blank = np.full((200, 200), 128, np.uint8)
    assert pipeline.read(blank) == []
    assert pipeline.exhausted

    pipeline = Pipeline(1e-9, ("histogram", "erode", "gamma-up"))
    pipeline.read(blank)
    assert not pipeline.exhausted
    pipeline.read(blank)
    pipeline.read(blank)
    assert pipeline.exhausted


def test_every_step_that_can_be_named_is_there_and_documented():
    assert set(steps_order.ALL) == {*steps.STEPS, steps_order.HUNT, steps_order.NEURAL}
    manual = (Path(__file__).resolve().parents[3] / "docs" / "camera.md").read_text(encoding="utf-8")
    assert [name for name in steps_order.ALL if f"| `{name}` |" not in manual] == []


def test_only_the_steps_of_the_order_are_taken_and_in_that_order():
    picture = qr.drawn(b"which step", 4)

    assert [code.step for code in Pipeline(1.0, ("full", "half")).read(picture)] == ["full"]
    assert [code.step for code in Pipeline(1.0, ("erode", "quarter")).read(picture)] == ["erode"]
    assert [code.step for code in Pipeline(1.0, ("zbar-half", "half")).read(picture)] == ["half"], (
        "cheap ones come first"
    )
    assert Pipeline(1.0, ("half",)).read(np.full((200, 200), 128, np.uint8)) == []


def printable(text):
    """What decoders agree on whatever character set they guess."""
    return "".join(letter for letter in text if "!" <= letter <= "~")


@needs_photographs
def test_real_photographs_are_read_and_none_is_misread():
    truth = json.loads((PHOTOGRAPHS / "truth.json").read_text(encoding="utf-8"))
    sample = [(path, entry) for path, entry in truth.items() if entry["set"] in {"zxing", "zxing-fp"}][::3]
    right = wanted = 0
    for path, entry in sample:
        texts = {printable(code["text"]) for code in entry["codes"]}
        got = vision.read_fast(opencv.from_bytes((PHOTOGRAPHS / path).read_bytes()))
        wanted += bool(texts)
        right += any(printable(text) in texts for text in got)
        assert texts or not got, f"{path} has no code, yet {len(got)} were read"

    assert right >= 0.85 * wanted


def test_a_still_picture_gives_its_bytes():
    assert vision.read_bytes(qr.drawn(b"\x00\xffGP1", 4)) == [b"\x00\xffGP1"]
