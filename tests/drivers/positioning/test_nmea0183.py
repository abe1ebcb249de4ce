"""nmea0183: sentences that makers print, what is no position, junk, and a receiver that is unplugged."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply, DeviceGone
from drivers.positioning.nmea0183 import Driver, Options, degrees, position, spread, step
from drivers.simulators.pty import Port
from drivers.simulators.receivers import NmeaReceiver, sentence
from drivers.wire.framing import LONGEST_FRAME, Framer

PRINTED = [
    ("$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B", (47.285233, 8.565265, 10.1)),
    ("$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47", (48.1173, 11.516667, 9.0)),
    ("$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76", (53.361337, -6.50562, 10.3)),
]
"""The examples of u-blox's protocol description, of the standard's own text and of a SiRF receiver's manual."""
GST = "$GPGST,082356.00,1.8,,,,1.7,1.3,2.2*7E"


def fields_of(text):
    (found,) = Framer(step).feed(text.encode() + b"\r\n")
    return found


@pytest.mark.parametrize(("text", "expected"), PRINTED)
def test_printed_examples(text, expected):
    assert position(fields_of(text), None) == pytest.approx(expected, abs=1e-5)


def test_the_spread_makes_the_uncertainty_better():
    assert spread(fields_of(GST)) == (1.7, 1.3)
    found = position(fields_of(PRINTED[0][0]), (1.7, 1.3))
    assert found[2] == pytest.approx(2 * math.hypot(1.7, 1.3))


@pytest.mark.parametrize("at", range(1, 70))
def test_a_sentence_with_one_wrong_byte_is_none(at):
    wrong = bytearray(PRINTED[0][0].encode())
    wrong[at] ^= 1
    for fields in Framer(step).feed(bytes(wrong) + b"\r\n"):
        pytest.fail(str(fields))


@pytest.mark.parametrize(
    "body",
    [
        "GNGGA,083559.00,,,,,0,00,99.99,,,,,,",
        "GNGGA,083559.00,4717.11399,N,00833.91590,E,6,08,1.01,499.6,M,48.0,M,,",
        "GNGGA,083559.00,4717.11399,N,00833.91590,E,8,08,1.01,499.6,M,48.0,M,,",
        "GNGGA,083559.00,9717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,",
        "GNGGA,083559.00,4717.11399,N,00833.91590,E,1,08,,499.6,M,48.0,M,,",
        "GNGGA,083559.00,4717.11399,N,00833.91590,E,1,08,nan,499.6,M,48.0,M,,",
        "GNGGA,083559.00,4717.11399,E,00833.91590,N,1,08,1.01,499.6,M,48.0,M,,",
        "GNGGA,083559.00,-717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,",
        "GNGGA,1",
    ],
)
def test_what_is_no_position(body):
    assert position(fields_of(sentence(body).decode().strip()), None) is None


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_sentences_do_not_depend_on_how_the_bytes_were_split(data, cuts):
    data += sentence("GPTXT,01")
    whole = list(Framer(step).feed(data))
    framer, found, edges = Framer(step), [], sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for first, last in itertools.pairwise(edges):
        found += framer.feed(data[first:last])
    assert found == whole
    for fields in found:
        position(fields, None)
        spread(fields)


@given(st.text(max_size=12), st.text(max_size=2))
def test_any_text_is_degrees_or_none(value, side):
    found = degrees(value, side, 180)
    assert found is None or -180 <= found <= 180


def test_ten_megabytes_of_junk_give_no_position_and_fill_no_memory():
    noise, framer, found = random.Random(3), Framer(step), 0
    for _ in range(2500):
        found += sum(1 for _ in framer.feed(noise.randbytes(4096)))
        assert len(framer._pending) <= LONGEST_FRAME
    assert found == 0
    assert list(framer.feed(b"\r\n" + PRINTED[0][0].encode() + b"\r\n"))


def test_a_receiver_without_a_fix_is_healthy_and_silent(tmp_path, items_of):
    receiver = NmeaReceiver(period_s=0.01)
    receiver.has_fix = False
    with Port(tmp_path / "gps", receiver) as port:
        driver = Driver(Options(str(port.link), period_s=0.0))
        driver.open()
        assert items_of(driver, 0.4) == []
        receiver.has_fix = True
        (fix,) = items_of(driver, 5.0, enough=1)
        driver.close()
    assert (fix.lat, fix.lon) == pytest.approx((31.2304, 121.4737), abs=1e-6)
    assert fix.u_m == pytest.approx(2 * math.hypot(1.5, 1.5))


def test_without_a_spread_the_uncertainty_is_that_of_the_dilution(tmp_path, items_of):
    receiver = NmeaReceiver(-33.86, -151.2, period_s=0.01)
    receiver.tells_spread = False
    with Port(tmp_path / "gps", receiver) as port:
        driver = Driver(Options(str(port.link), baud=9600))
        driver.open()
        (fix,) = items_of(driver, 5.0, enough=1)
        driver.close()
    assert (fix.lat, fix.lon, fix.u_m) == pytest.approx((-33.86, -151.2, 10.1), abs=1e-5)


def test_a_receiver_that_falls_silent_is_gone(tmp_path, items_of):
    with Port(tmp_path / "gps", NmeaReceiver(period_s=0.01)) as port:
        driver = Driver(Options(str(port.link), baud=9600, silent_s=0.2))
        driver.open()
        assert items_of(driver, 5.0, enough=1)
        port.faults.mute = True
        with pytest.raises(DeviceGone, match="silent"):
            items_of(driver, 5.0)
        driver.close()


def read_on(driver):
    while True:
        driver.read(0.2)


def test_two_hundred_times_unplugged_it_comes_back(tmp_path):
    with Port(tmp_path / "gps", NmeaReceiver(period_s=0.005)) as port:
        driver = Driver(Options(str(port.link), baud=9600, period_s=0.0))
        for _ in range(200):
            driver.open()
            fix = next(found for found in iter(lambda: driver.read(0.5), 0) if found is not None)
            assert fix.simulated
            port.unplug()
            with pytest.raises((DeviceGone, BadReply)):
                read_on(driver)
            driver.close()
            port.plug()
