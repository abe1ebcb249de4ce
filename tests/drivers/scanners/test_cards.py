"""Card readers: frames of the documents, what lies there for long, what names nobody, and junk."""

import itertools
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.card_reader import CardPresence
from drivers.contract import BadReply, DeviceGone
from drivers.scanners import em4100, id_card, pn532
from drivers.simulators import cards
from drivers.simulators.i2c_adapter import Adapter
from drivers.simulators.i2c_host import mounted
from drivers.simulators.pty import Port
from drivers.wire.framing import Framer

RDM6300_EXAMPLE = bytes.fromhex("02 36 32 45 33 30 38 36 43 45 44 30 38 03")
"""The example of the specification: card 62E3086CED, check 08."""
FIRMWARE_REPLY = bytes.fromhex("00 00 ff 06 fa d5 03 32 01 06 07 e8 00")
"""UM0701-02: the reply to GetFirmwareVersion of a chip of firmware 1.6."""
STEPS = {"em4100": em4100.step, "pn532": pn532.step, "id_card": id_card.step}


def first(driver, reads=50):
    found = (driver.read(0.05) for _ in range(reads))
    return next((item for item in found if item is not None), None)


def test_the_example_of_the_specification_is_read():
    assert em4100.step(bytearray(RDM6300_EXAMPLE)) == (14, "62E3086CED")


@pytest.mark.parametrize("at", range(1, 13))
def test_a_card_with_one_wrong_digit_is_none(at):
    wrong = bytearray(RDM6300_EXAMPLE)
    wrong[at] = ord("0") if wrong[at] != ord("0") else ord("1")
    assert list(Framer(em4100.step).feed(bytes(wrong))) == []


def test_frames_of_the_pn532_manual():
    assert pn532.frame(pn532.FIRMWARE) == bytes.fromhex("00 00 ff 02 fe d4 02 2a 00")
    assert pn532.frame(pn532.FIND) == bytes.fromhex("00 00 ff 04 fc d4 4a 01 00 e1 00")
    assert list(Framer(pn532.step).feed(FIRMWARE_REPLY)) == [bytes.fromhex("03 32 01 06 07")]
    assert list(Framer(pn532.step).feed(pn532.ACK + FIRMWARE_REPLY)) == [b"", bytes.fromhex("03 32 01 06 07")]


def test_frames_of_the_sdt_protocol():
    assert id_card.frame(id_card.FIND) == bytes.fromhex("aa aa aa 96 69 00 03 20 01 22")
    assert id_card.frame(id_card.SELECT) == bytes.fromhex("aa aa aa 96 69 00 03 20 02 21")
    assert id_card.frame(id_card.READ) == bytes.fromhex("aa aa aa 96 69 00 03 30 01 32")
    found = bytes.fromhex("aa aa aa 96 69 00 08 00 00 9f 00 00 00 00 97")
    assert list(Framer(id_card.step).feed(found)) == [bytes.fromhex("00 00 9f 00 00 00 00")]


@pytest.mark.parametrize("name", STEPS)
@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_frames_do_not_depend_on_how_the_bytes_were_split(name, data, cuts):
    good = {"em4100": RDM6300_EXAMPLE, "pn532": FIRMWARE_REPLY, "id_card": id_card.frame(b"\x00\x00\x90")}[name]
    stream, framer = data + good + data, Framer(STEPS[name])
    whole = list(Framer(STEPS[name]).feed(stream))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[low:high] for low, high in itertools.pairwise(edges)]
    assert [frame for piece in pieces for frame in framer.feed(piece)] == whole


@pytest.mark.parametrize("name", STEPS)
def test_junk_is_no_card(name):
    noise, framer, found = random.Random(7), Framer(STEPS[name]), []
    for _ in range(256):
        found += [each for each in framer.feed(noise.randbytes(4096)) if each]
    assert found == []


def test_a_card_that_stays_is_sighted_once_and_again_when_it_comes_back():
    presence = CardPresence(away_s=1.0)
    seen = [presence.sighting(b"a", at_s, simulated=False) for at_s in (0.0, 0.5, 1.0, 1.9, 3.0)]
    assert [each is not None for each in seen] == [True, False, False, False, True]
    assert presence.sighting(b"b", 3.1, simulated=False)


@pytest.mark.parametrize(("uid", "said"), [("08112233", "random"), ("04112233", "04112233"), ("04" * 7, "04" * 7)])
def test_an_id_that_is_drawn_each_time_names_no_card(uid, said):
    assert pn532.number(bytes.fromhex(uid)) == said


@pytest.mark.parametrize(
    "reply", ["", "4b", "4b01", "4b0101000408", "4b010100040804aabb", "4b0101000408050102030405", "4d00"]
)
def test_what_is_no_reply_to_a_search_is_no_card(reply):
    with pytest.raises(ValueError, match=r"reply|bytes"):
        pn532.card_id(bytes.fromhex(reply))


def test_a_board_on_i2c_reads_a_card(tmp_path):
    chip = cards.Pn532()
    adapter = Adapter(tmp_path / "i2c-60", chip)
    driver = pn532.Driver(pn532.Options(bus="/dev/i2c-60", period_s=0.01))
    with adapter, mounted({"/dev/i2c-60": str(adapter.path)}):
        driver.open()
        assert driver.read(0.05) is None
        chip.lay(bytes.fromhex("04A1B2C3D4E5F6"))
        item = first(driver)
        assert (item.payload, item.simulated) == (b"card:iso14443a:04A1B2C3D4E5F6", True)
        adapter.unplug()
        with pytest.raises((DeviceGone, BadReply)):
            first(driver)
        driver.close()


def reply_to_read(number):
    text = bytes(122) + number.encode("utf-16-le")
    return id_card.DONE + struct.pack(">HH", 256, 1024) + text.ljust(256, b"\x00") + bytes(1024)


def test_the_number_of_the_standard_is_right():
    assert id_card.number(reply_to_read("11010519491231002X")) == "11010519491231002X"  # GB 11643-1999, example


@pytest.mark.parametrize("number", ["110105194912310021", "1101051949123100", "x" * 18, "", "１" * 17 + "X"])
def test_a_wrong_number_is_refused_without_a_digit_of_it(number):
    with pytest.raises(ValueError, match="number") as caught:
        id_card.number(reply_to_read(number))
    assert not any(char.isdigit() for char in str(caught.value).replace("18", ""))


def test_an_identity_card_is_sighted_once_until_it_is_laid_there_again(tmp_path):
    module = cards.SdtModule()
    with Port(tmp_path / "sdt", module) as port:
        driver = id_card.Driver(id_card.Options(str(port.link), period_s=0.01, away_s=0.001))
        driver.open()
        assert driver.read(0.05) is None
        module.lay(b"11010519491231002X")
        assert first(driver).payload == b"card:prc-id:11010519491231002X"
        assert first(driver, reads=3) is None
        module.lay(b"11010519491231002X")
        assert first(driver).payload == b"card:prc-id:11010519491231002X"
        driver.close()


def test_a_module_that_falls_silent_is_gone(tmp_path):
    with Port(tmp_path / "sdt", cards.SdtModule()) as port:
        driver = id_card.Driver(id_card.Options(str(port.link), period_s=0.01))
        driver.open()
        port.faults.mute = True
        with pytest.raises(DeviceGone, match="does not answer"):
            first(driver)
        driver.close()


LAID = {
    "em4100": (cards.Em4100Reader, bytes.fromhex("0F00C0FFEE"), b"card:em4100:0F00C0FFEE"),
    "pn532": (cards.Pn532, bytes.fromhex("04A1B2C3D4E5F6"), b"card:iso14443a:04A1B2C3D4E5F6"),
    "id_card": (cards.SdtModule, b"11010519491231002X", b"card:prc-id:11010519491231002X"),
}
MODULES = {"em4100": em4100, "pn532": pn532, "id_card": id_card}


def read_on(driver):
    while True:
        driver.read(0.05)


@pytest.mark.parametrize("name", LAID)
def test_two_hundred_times_unplugged_it_comes_back_and_reads_the_same_card(tmp_path, name):
    make, card, payload = LAID[name]
    module, reader = MODULES[name], make()
    pace = {} if name == "em4100" else {"period_s": 0.005}
    late = 0
    with Port(tmp_path / name, reader) as port:
        driver = module.Driver(module.Options(str(port.link), away_s=0.001, **pace))
        for _ in range(200):
            try:
                driver.open()
            except DeviceGone:  # a busy machine plays the reader late; the agent opens again as well
                late += 1
                driver.open()
            reader.lay(card)
            assert first(driver).payload == payload
            port.unplug()
            with pytest.raises((DeviceGone, BadReply)):
                read_on(driver)
            driver.close()
            port.plug()
    assert late <= 3
