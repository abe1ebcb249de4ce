import time

import pytest

from drivers.contract import BadReply, DeviceGone
from drivers.thermometers import frame, gy_614v, modbus_ir, optris, raytek_mi3
from drivers.wire.framing import sum8
from drivers.wire.modbus import sealed
from drivers.wire.stream import FrameStream


class Line:
    """A line that answers each question with the next of these bursts, and knows at what speed it is read."""

    name = "scripted line"
    simulated = True

    def __init__(self, answers=(), baud=9600, chatter=b"", *, echoes=False):
        self.echoes = echoes
        self.answers = list(answers)
        self.baud = baud
        self.chatter = chatter
        self.tuned = []
        self.pending = b""

    def open(self):
        pass

    def read(self, limit_s):
        got, self.pending = self.pending, b""
        if not got and self.chatter and self.tuned[-1] == self.baud:
            return self.chatter
        if not got:
            time.sleep(min(limit_s, 0.005))
        return got

    def write(self, data):
        if self.echoes:
            self.pending += data
        if self.answers:
            self.pending += self.answers.pop(0)

    def drain(self):
        self.pending = b""

    def retune(self, baud):
        self.tuned.append(baud)
        self.pending = b""

    def close(self):
        pass


def pair(pending):
    """Frames are two equal bytes."""
    if len(pending) < 2:
        return 0, None
    return (2, bytes(pending[:2])) if pending[0] == pending[1] else (1, None)


def read_on(source, limit_s=5.0):
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        source(0.1)


def readings_of(driver, line):
    """Until the line has no answer left, and the driver has seen the last."""
    end_s, got = time.monotonic() + 10.0, []
    while line.answers or line.pending:
        assert time.monotonic() < end_s
        if reading := driver.read(0.05):
            got.append(reading.surface_c)
    if reading := driver.read(1.0):  # an answer that ends with silence
        got.append(reading.surface_c)
    return got


def test_each_speed_is_tried_until_frames_come_and_kept():
    line = Line(baud=9600, chatter=b"AA")
    stream = FrameStream(line, pair, (115200, 57600, 9600))
    stream.open()
    end_s = time.monotonic() + 10.0
    while stream.next(0.1) is None:
        assert time.monotonic() < end_s
    assert line.tuned == [115200, 57600, 9600]
    stream.open()
    assert line.tuned[-1] == 9600


def test_noise_at_every_speed_is_a_wrong_device():
    line = Line(baud=9600, chatter=b"AB" * 200)
    stream = FrameStream(line, pair, (9600,))
    stream.open()
    with pytest.raises(BadReply, match=r"tried 9600"):
        read_on(stream.next)


def test_silence_at_every_speed_is_a_missing_device():
    stream = FrameStream(Line(), pair, (9600,), silent_s=0.05)
    stream.open()
    with pytest.raises(DeviceGone, match="TX goes to our RX"):
        read_on(stream.next)


def test_an_answer_without_checksum_counts_only_when_it_is_whole_and_alone():
    """23.5 °C; then a late byte of an answer before it, half an answer, three bytes; then 23.5 °C again."""
    good = b"\x04\xd3"
    line = Line([good, b"\xd3" + good, good[:1], good + b"\x00", good, b"", good])
    driver = optris.Driver(optris.Options("x", period_s=0.02), line)
    driver.open()
    assert readings_of(driver, line) == [23.5, 23.5, 23.5]


def test_no_temperature_is_believed_before_its_unit_is_known():
    line = Line(
        [b"!T098.6\r\n", b"*Syntax Error\r\n", b"!UF\r\n!T098.6\r\n", b"!T09x.6\r\n", b"!UC\r\n!T036.5\r\n"]
    )
    driver = raytek_mi3.Driver(raytek_mi3.Options("x", period_s=0.02), line)
    driver.open()
    assert readings_of(driver, line) == [pytest.approx(37.0), 36.5]


def test_a_head_of_another_lane_does_not_answer_for_this_one():
    """Head 018 stands elsewhere, and tells degrees Fahrenheit."""
    others = b"018!UF\r\n018!T097.7\r\n!T036.6\r\n"
    line = Line([others, b"017!UC\r\n" + others + b"017!T036.5\r\n"])
    driver = raytek_mi3.Driver(raytek_mi3.Options("x", period_s=0.02, prefix="017"), line)
    driver.open()
    assert readings_of(driver, line) == [36.5]
    line = Line([b"!UC\r\n" + others + b"!T036.5\r\n"])
    driver = raytek_mi3.Driver(raytek_mi3.Options("x", period_s=0.02), line)
    driver.open()
    assert readings_of(driver, line) == [36.6, 36.5]


ASKED = {
    "optris": (optris, {}, b"\x04\xd3", 23.5),
    "raytek_mi3": (raytek_mi3, {}, b"!UC\r\n!T036.5\r\n", 36.5),
    "raytek_mi3 with a prefix": (raytek_mi3, {"prefix": "017"}, b"017!UC\r\n017!T036.5\r\n", 36.5),
    "modbus_ir": (modbus_ir, {}, sealed(bytes((1, 4, 2)) + (365).to_bytes(2)), 36.5),
    "gy_614v": (
        gy_614v,
        {"baud": 9600},
        (body := gy_614v.HEADER + bytes((95,)) + b"".join(n.to_bytes(2) for n in (3650, 2500, 3700)))
        + bytes((sum8(body),)),
        36.5,
    ),
    "frame": (
        frame,
        {"baud": 9600, "header": "5a 5a", "length": 4, "object_at": 2, "checksum": "none", "poll": "5a 5a 0b b8"},
        b"\x5a\x5a\x0e\x42",
        36.5,
    ),
}
"""Devices that are asked; the last has a question that looks just as its answers do: 30.00 °C."""


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("echoes", [False, True], ids=["plain", "echoing"])
def test_a_line_that_echoes_reads_as_any_other(name, echoes):
    module, options, answer, surface_c = ASKED[name]
    line = Line([answer] * 8, echoes=echoes)
    driver = module.Driver(module.Options("x", period_s=0.01, **options), line)
    driver.open()
    got = readings_of(driver, line)
    assert len(got) >= 3
    assert got == pytest.approx([surface_c] * len(got))


@pytest.mark.parametrize("name", ASKED)
def test_an_echo_alone_is_never_a_reading_and_is_called_what_it_is(name):
    module, options, _, _ = ASKED[name]
    driver = module.Driver(module.Options("x", period_s=0.01, silent_s=0.1, **options), Line(echoes=True))
    driver.open()
    got = []
    with pytest.raises(DeviceGone, match="echo of our own questions"):
        read_on(lambda limit_s: got.append(driver.read(limit_s)))
    assert not any(got)
