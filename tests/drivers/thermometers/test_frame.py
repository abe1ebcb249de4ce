import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.thermometers.frame import CHECKSUMS, FORMATS, Options, frame_of
from drivers.wire.framing import Framer


def described(**changes):
    plain = {"port": "x", "baud": 9600, "header": "5a 5a 45 04", "length": 9, "object_at": 4, "sensor_at": 6}
    return Options(**(plain | changes))


@given(
    st.sampled_from(sorted(CHECKSUMS)),
    st.sampled_from(["int16 be", "int16 le"]),
    st.lists(st.tuples(st.integers(-2000, 12000), st.integers(-2000, 12000)), max_size=4),
    st.integers(1, 20),
)
def test_any_description_reads_what_fits_it(checksum, written, pairs, piece):
    width, make = CHECKSUMS[checksum]
    options = described(length=8 + width, checksum=checksum, object_format=written)
    stream = b""
    for pair in pairs:
        body = b"ZZE\x04" + b"".join(struct.pack(FORMATS[written], count) for count in pair)
        stream += body + make(body)
    framer = Framer(frame_of(options).step)
    got = [each for i in range(0, len(stream), piece) for each in framer.feed(stream[i : i + piece])]
    assert got == [pytest.approx((first / 100, second / 100)) for first, second in pairs]


def test_a_kiosk_module_in_kelvin_tenths():
    options = described(header="ee e1", length=6, object_at=2, sensor_at=-1, scale_c=0.1, zero_c=-273.1,
                        checksum="crc16 modbus")  # fmt: skip
    body = b"\xee\xe1" + (3096).to_bytes(2)
    frame = body + CHECKSUMS["crc16 modbus"][1](body)
    assert frame_of(options).step(bytearray(frame)) == (6, (pytest.approx(36.5), None))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"header": "5g"}, "header must be hexadecimal"),
        ({"checksum": "none", "header": "5a"}, "two bytes or more"),
        ({"header": ""}, "two bytes or more"),
        ({"object_at": 3}, "does not lie between"),
        ({"sensor_at": 8}, "does not lie between"),
        ({"checksum_from": 8}, "within the frame"),
        ({"least_c": 50.0, "most_c": 40.0}, "least_c below most_c"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        described(**changes)
