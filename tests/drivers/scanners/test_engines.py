import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.scan_engine import ResponseFilter
from drivers.scanners import gm65, grow_ssi, honeywell, newland
from drivers.simulators import scan_engines
from drivers.simulators.pty import Port
from drivers.wire.framing import crc16_xmodem

ENGINES = {
    "gm65": (gm65, scan_engines.Gm65, b"\x02"),
    "grow_ssi": (grow_ssi, scan_engines.GrowSsi, b"\x04\x05"),
    "newland": (newland, scan_engines.Newland, b"\x02"),
}


def test_golden_commands(vectors):
    assert [gm65.START.hex(" ")] == [
        entry["hex"] for entry in vectors("gm65", "trigger") if not entry["hex"].endswith("ab cd")
    ]
    assert grow_ssi.START.hex(" ") == vectors("gm67_ssi", "start")[0]["hex"]
    assert grow_ssi.STOP.hex(" ") == vectors("gm67_ssi", "stop")[0]["hex"]
    assert newland.START.hex(" ") == vectors("nls_udi", "start")[0]["hex"]
    assert honeywell.START.hex(" ") == vectors("honeywell", "start")[0]["hex"]
    assert honeywell.STOP.hex(" ") == vectors("honeywell", "stop")[0]["hex"]


def test_golden_answers_are_known_as_answers(vectors):
    for module, entries in (
        (gm65, [*vectors("gm65", "reply"), *vectors("gm65", "ack")]),
        (grow_ssi, [*vectors("gm67_ssi", "ack"), *vectors("gm67_ssi", "nak")]),
        (newland, vectors("nls_udi", "ack")),
    ):
        for entry in entries:
            data = bytes.fromhex(entry["hex"])
            assert module.answer(data) == len(data)
            assert [module.answer(data[:i]) for i in range(1, len(data))] == [None] * (len(data) - 1)


def test_golden_checksums(vectors):
    for kind in ("read", "save"):
        command = bytes.fromhex(vectors("gm65", kind)[0]["hex"])
        assert crc16_xmodem(command[2:-2]) == int.from_bytes(command[-2:])
    for entry in vectors("gm67_ssi"):
        frame = bytes.fromhex(entry["hex"])
        assert grow_ssi.checksum(frame[:-2]) == frame[-2:]


def test_simulated_engines_answer_as_the_manuals_print_it(vectors):
    read, reply = vectors("gm65", "read")[0], vectors("gm65", "reply")[0]
    engine = scan_engines.Gm65()
    assert engine.respond(bytes.fromhex(read["hex"])) == bytes.fromhex(reply["hex"])
    for trigger in vectors("gm65", "trigger"):
        assert engine.respond(bytes.fromhex(trigger["hex"])) == bytes.fromhex(vectors("gm65", "ack")[0]["hex"])
    assert engine.respond(bytes.fromhex("7e 00 08 01 00 02 01 02 db")) == b""
    start, nak = vectors("gm67_ssi", "start")[0], vectors("gm67_ssi", "nak")[0]
    assert scan_engines.GrowSsi().respond(bytes.fromhex(start["hex"])) == bytes.fromhex(nak["hex"])
    start, ack = vectors("nls_udi", "start")[0], vectors("nls_udi", "ack")[0]
    assert scan_engines.Newland().respond(bytes.fromhex(start["hex"])) == bytes.fromhex(ack["hex"])


@given(st.data(), st.sampled_from(sorted(ENGINES)))
def test_answers_vanish_from_text_however_it_is_split(data, name):
    module, engine, leads = ENGINES[name]
    ack = engine().acknowledgement()
    words = data.draw(st.lists(st.text("AZ09:/+", min_size=1).map(str.encode), min_size=1, max_size=5))
    stream = ack.join(words) + ack
    piece = data.draw(st.integers(1, len(stream)))
    sieve = ResponseFilter(leads, module.answer)
    text = b"".join(sieve.feed(stream[i : i + piece]) for i in range(0, len(stream), piece))
    assert text + sieve.pause() == b"".join(words)


@given(st.lists(st.binary(max_size=40), max_size=10), st.sampled_from(sorted(ENGINES)))
def test_a_sieve_neither_invents_nor_doubles_bytes(pieces, name):
    module, _, leads = ENGINES[name]
    sieve = ResponseFilter(leads, module.answer)
    text = b"".join(sieve.feed(piece) for piece in pieces) + sieve.pause()
    whole = b"".join(pieces)
    assert len(text) <= len(whole)
    rest = iter(whole)
    assert all(byte in rest for byte in text)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_answer_amid_the_text_does_not_spoil_the_code(name, tmp_path):
    module, make, _ = ENGINES[name]
    engine = make(by_command=True)
    engine.chatters = True
    with Port(tmp_path / name, engine) as port:
        driver = module.Driver(module.Options(str(port.link), trigger="host", rearm_s=0.1))
        driver.open()
        got = []
        end_s = time.monotonic() + 6.0
        while len(got) < 2 and time.monotonic() < end_s:
            port.send(engine.encode("粤A12345体温正常".encode("gb18030")))
            if sighting := driver.read(0.1):
                got.append(sighting.payload)
        driver.close()
    assert got == ["粤A12345体温正常".encode("gb18030")] * 2


def test_the_trigger_is_let_go_on_closing(tmp_path):
    engine = scan_engines.GrowSsi(by_command=True)
    with Port(tmp_path / "grow", engine) as port:
        driver = grow_ssi.Driver(grow_ssi.Options(str(port.link), trigger="host"))
        driver.open()
        end_s = time.monotonic() + 5.0
        while not engine.looks and time.monotonic() < end_s:
            driver.read(0.02)
        assert engine.looks
        driver.close()
        heard = Waiter(lambda: not engine.looks)
        assert heard.comes_true(5.0)


class Waiter:
    def __init__(self, condition):
        self.condition = condition

    def comes_true(self, limit_s):
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            if self.condition():
                return True
            time.sleep(0.005)
        return False


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_two_commands_that_arrive_together_are_both_answered(name):
    module, make, leads = ENGINES[name]
    answered = make(by_command=True).respond(module.START * 2)
    assert ResponseFilter(leads, module.answer).feed(answered) == b""
    assert answered == make(by_command=True).respond(module.START) * 2


@pytest.mark.parametrize("module", [gm65, grow_ssi, honeywell, newland])
def test_a_command_that_the_line_echoes_is_no_code(module, scripted_line, items_of):
    pieces = [module.START, b"", b"GATE" + module.START + b"POST:1\r", module.START[:3], module.START[3:], b"X\r"]
    driver = module.Driver(module.Options("x", trigger="host"), scripted_line(pieces))
    driver.open()
    assert [each.payload for each in items_of(driver, 0.5, enough=2)] == [b"GATEPOST:1", b"X"]
