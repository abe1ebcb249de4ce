import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import BadReply
from drivers.scan_engine import Lines
from drivers.scanners.line import Driver, Options
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner

codes = st.lists(st.binary(min_size=1, max_size=30).filter(lambda code: not set(code) & set(b"\r\n\t")), max_size=5)
ENDS = {"auto": b"\r\n", "cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t"}


@given(codes, st.sampled_from(sorted(ENDS)), st.integers(1, 40))
def test_every_code_comes_out_however_it_is_split(sent, terminator, piece):
    data = b"".join(code + ENDS[terminator] for code in sent)
    lines = Lines(terminator, 100)
    assert [code for i in range(0, len(data), piece) for code in lines.feed(data[i : i + piece])] == sent


@given(st.lists(st.binary(max_size=50), max_size=20), st.sampled_from(["none", *sorted(ENDS)]))
def test_junk_gives_no_code_longer_than_allowed(pieces, terminator):
    lines = Lines(terminator, 64)
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
        ("auto", "体温正常".encode("gb18030") + b"\r", "体温正常".encode("gb18030")),
    ],
)
def test_terminators_and_pauses_end_a_code(opened, terminator, sent, code):
    driver, port = opened(terminator=terminator)
    port.send(sent)
    assert driver.read(0.5).payload == code
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
    assert driver.read(0.5).payload == b"whole"
