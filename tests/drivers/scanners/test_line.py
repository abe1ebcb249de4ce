import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply
from drivers.scan_engine import LineSplitter, bare, symbology
from drivers.scanners.line import Driver, Options
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner

codes = st.lists(
    st.binary(min_size=1, max_size=30).filter(lambda code: not set(code) & set(b"\r\n\t\2")), max_size=5
)
ENDS = {"auto": b"\r\n", "cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t"}


@given(codes, st.sampled_from(sorted(ENDS)), st.integers(1, 40))
def test_every_code_comes_out_however_it_is_split(sent, terminator, piece):
    data = b"".join(code + ENDS[terminator] for code in sent)
    lines = LineSplitter(terminator, 100)
    assert [code for i in range(0, len(data), piece) for code in lines.feed(data[i : i + piece])] == sent


@given(st.lists(st.binary(max_size=50), max_size=20), st.sampled_from(["none", *sorted(ENDS)]))
def test_junk_gives_no_code_longer_than_allowed(pieces, terminator):
    lines = LineSplitter(terminator, 64)
    for piece in pieces:
        try:
            assert all(0 < len(code) <= 64 for code in lines.feed(piece))
        except ValueError:
            assert not lines.is_waiting


@pytest.fixture
def opened(tmp_path):
    engine = LineScanner(suffix=b"")
    with Port(tmp_path / "scanner", engine) as port:
        drivers = []

        def opened(**options):
            driver = Driver(Options(str(port.link), **options))
            driver.open()
            drivers.append(driver)
            return driver, port

        yield opened
        for driver in drivers:
            driver.close()


@pytest.mark.parametrize(
    ("terminator", "sent", "code"),
    [
        ("auto", b"CODE\r\n", b"CODE"),
        ("auto", b"CODE\r", b"CODE"),
        ("auto", b"CODE\n", b"CODE"),
        ("auto", b"A\tB\t", b"A\tB"),
        ("auto", b"CODE", b"CODE"),
        ("tab", b"CODE\t", b"CODE"),
        ("none", b"TWO\r\nLINES\r\n", b"TWO\r\nLINES"),
        ("crlf", b"A\nB\r\n", b"A\nB"),
        ("auto", b"\x02CODE\x03", b"CODE"),
        ("auto", b"\x02CODE\x03\r\n", b"CODE"),
        ("cr", b"\x02CODE\x03\r", b"CODE"),
        ("none", b"\x02CODE\x03", b"CODE"),
        ("auto", b"]Q1CODE\r", b"CODE"),
        ("auto", b"\x02]Q1CODE\x03\r", b"CODE"),
        ("auto", b"]d1CODE\r", b"CODE"),
        ("auto", b"\\000026CODE\r", b"CODE"),
        ("auto", b"]Q2\\000026CO\\\\DE\\000029F\r", b"CO\\DEF"),
        ("auto", b"]Q1CO\\\\DE\r", b"CO\\\\DE"),
        ("auto", b"\xef\xbb\xbfCODE\r", b"CODE"),
        ("auto", b"[Q1CODE\\000026\r", b"[Q1CODE\\000026"),
        ("auto", "体温正常".encode("gb18030") + b"\r", "体温正常".encode("gb18030")),
    ],
)
def test_terminators_and_pauses_end_a_code(opened, terminator, sent, code):
    driver, port = opened(terminator=terminator)
    port.send(sent)
    assert driver.read(60).payload == code
    assert driver.read(0.1) is None


def test_a_code_that_never_ends_is_a_complaint_not_a_growing_memory(opened):
    driver, port = opened(longest=100)
    port.send(b"x" * 200)
    with pytest.raises(BadReply, match="more than 100 bytes"):
        driver.read(0.5)


def test_what_was_scanned_before_opening_is_forgotten(opened, tmp_path):
    driver, port = opened()
    port.send(b"half a co")
    assert driver.read(0.01) is None
    driver.open()
    port.send(b"whole\r")
    assert driver.read(60).payload == b"whole"


@pytest.mark.parametrize("terminator", ["auto", "cr"])
def test_a_pause_within_a_code_is_no_end_where_a_terminator_follows(opened, terminator, items_of):
    driver, port = opened(terminator=terminator, idle_gap_s=0.02)
    for _ in range(3):
        for piece in (b"HC1:", b"6BF", b"OXN\r"):
            port.send(piece)
            assert piece.endswith(b"\r") or driver.read(0.06) is None
        assert [item.payload for item in items_of(driver, 1.0, enough=1)] == [b"HC1:6BFOXN"]


def test_an_engine_without_a_terminator_is_waited_for_once_and_then_known(opened):
    driver, port = opened(idle_gap_s=0.02)
    port.send(b"FIRST")
    assert driver.read(0.1) is None
    assert driver.read(60).payload == b"FIRST"
    port.send(b"SECOND")
    assert driver.read(60).payload == b"SECOND"
    port.send(b"TH")
    assert driver.read(0.001) is None
    port.send(b"IRD\r")
    assert driver.read(60).payload == b"THIRD"
    port.send(b"FOURTH")
    assert driver.read(0.2) is None, "now it is one that sends terminators"
    assert driver.read(60).payload == b"FOURTH"


@given(st.binary(max_size=60))
def test_what_is_taken_off_leaves_a_piece_of_what_was_sent(heard):
    rest = iter(heard)
    assert all(byte in rest for byte in bare(heard))


@given(
    st.text("AZ09:/+ ", min_size=1).map(str.encode), st.sampled_from([b"", b"]Q1", b"]Q3", b"]z0", b"]L2", b"]C0"])
)
def test_a_symbology_identifier_is_taken_off_and_nothing_else(code, identifier):
    assert bare(identifier + code) == bare(b"\x02" + identifier + code + b"\x03") == code


@pytest.mark.parametrize("last", [b"\r", b"\n", b"\t", b"\0", b"x"])
def test_without_a_terminator_a_code_is_any_bytes(last: bytes) -> None:
    ticket = b"]z3#UT02" + bytes(range(256)) + last
    lines = LineSplitter("none", 7089)
    assert lines.feed(ticket[:100]) == []
    assert lines.feed(ticket[100:]) == []
    heard = lines.pause()
    assert (symbology(heard), bare(heard)) == ("aztec", ticket[3:])
