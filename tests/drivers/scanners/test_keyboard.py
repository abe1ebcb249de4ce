"""A scanner that types: keys in the kernel's own form, through a pipe in place of the device node."""

import os
import select
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadOptions, DeviceGone
from drivers.scanners import keyboard

LEFT_SHIFT, ENTER, TAB = 42, 28, 15
BY_CHAR = {char: (key, False) for key, char in keyboard.PLAIN.items()}
BY_CHAR |= {char: (key, True) for key, char in keyboard.SHIFTED.items() if char not in BY_CHAR}
PRINTABLE = "".join(sorted(set(string.printable) - set("\t\n\r\x0b\x0c")))


def event(key, value, kind=keyboard.KEY):
    return keyboard.EVENT.pack(1, 2, kind, key, value)


def press(key):
    return event(key, 1) + event(0, 0, kind=0) + event(key, 0)


def typed(text, end=ENTER):
    data = b""
    for char in text:
        key, shifted = BY_CHAR[char]
        data += event(LEFT_SHIFT, 1) + press(key) + event(LEFT_SHIFT, 0) if shifted else press(key)
    return data + (press(end) if end else b"")


LOST = event(3, 0, kind=0)
"""SYN_DROPPED: what follows, up to the next report, tells nothing."""
REPORT = event(0, 0, kind=0)


class Pipe:
    """Events as they would come from a node."""

    name, simulated = "pipe", True

    def open(self):
        self.near, self.far = os.pipe()

    def read(self, limit_s):
        ready, _, _ = select.select([self.near], [], [], limit_s)
        return os.read(self.near, 4096) if ready else b""

    def close(self):
        os.close(self.near)


@pytest.fixture
def typing():
    pipe = Pipe()
    driver = keyboard.Driver(keyboard.Options("pipe", pause_s=0.05), pipe)
    driver.open()
    yield driver, lambda data: os.write(pipe.far, data)
    driver.close()


def test_every_printable_character_has_a_key():
    assert set(PRINTABLE) == set(BY_CHAR)


@given(st.text(PRINTABLE, min_size=1, max_size=60), st.sampled_from([ENTER, TAB, 96]), st.integers(0, 2000))
def test_what_is_typed_comes_out_however_it_is_split(text, end, cut):
    keys, data = keyboard.Keys(), typed(text, end)
    assert keys.feed(data[:cut]) + keys.feed(data[cut:]) == [text.encode()]


@given(st.binary(max_size=2000))
def test_any_bytes_give_printable_codes_or_none(data):
    for code in keyboard.Keys().feed(data):
        assert set(code.decode()) <= set(PRINTABLE)


@pytest.mark.parametrize("before", ["", "8104"])
@pytest.mark.parametrize("stale", [b"", press(3), event(LEFT_SHIFT, 1)])
def test_a_code_of_which_the_kernel_has_lost_keys_is_none(before, stale):
    keys = keyboard.Keys()
    torn = event(LEFT_SHIFT, 1) + typed(before, None) + LOST + stale.replace(REPORT, b"") + REPORT
    assert keys.feed(torn + typed("7712")) == []
    assert keys.feed(typed("5501")) == [b"5501"], "nor does a shift stay pressed"


def test_the_end_of_a_code_may_be_among_the_lost_keys(typing):
    driver, write = typing
    write(typed("8104", None) + LOST + press(ENTER).replace(REPORT, b"") + REPORT + typed("77", None))
    assert driver.read(0.5) is None
    write(typed("5501"))
    assert driver.read(60).payload == b"5501"


def test_a_held_key_counts_once_and_other_keys_do_not_count():
    keys = keyboard.Keys()
    held = event(2, 1) + event(2, 2) * 5 + event(2, 0)
    assert keys.feed(held + press(59) + event(2, 1, kind=3) + press(ENTER)) == [b"1"]


def test_a_code_that_never_ends_takes_no_memory():
    keys = keyboard.Keys()
    assert keys.feed(press(2) * (keyboard.LONGEST_CODE + 10) + press(ENTER)) == [b"1" * 9]


def test_a_code_is_sighted(typing):
    driver, write = typing
    write(typed("HC1:NCF%A+x"))
    item = driver.read(0.5)
    assert (item.payload, item.simulated) == (b"HC1:NCF%A+x", True)
    assert item.at_s <= time.monotonic()


def test_a_code_without_an_end_is_ended_by_a_pause(typing):
    driver, write = typing
    write(typed("12345", end=None))
    assert driver.read(60).payload == b"12345"


def test_a_file_or_a_missing_device_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for name, error in (
        (tmp_path / "file", BadOptions),
        (tmp_path / "none", DeviceGone),
        ("/dev/null", BadOptions),
    ):
        with pytest.raises(error):
            keyboard.Driver(keyboard.Options(str(name))).open()


def test_a_device_that_is_not_open_is_gone():
    with pytest.raises(DeviceGone):
        keyboard.InputDevice("/dev/input/event0").read(0.0)
