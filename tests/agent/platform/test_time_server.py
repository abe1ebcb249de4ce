"""A time server is asked over a real socket; what it sends is read by RFC 5905."""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.platform import time_server
from agent.platform.time_server import NoTime

NONCE = bytes(range(8))
UNIX_S = 2_208_988_800


def stamp(utc_s: float) -> bytes:
    fraction, seconds = math.modf(utc_s + UNIX_S)
    return struct.pack(">II", int(seconds) % (1 << 32), int(fraction * (1 << 32)))


def reply(
    utc_s: float, nonce: bytes = NONCE, leap: int = 0, mode: int = 4, stratum: int = 2, name: bytes = b""
) -> bytes:
    head = bytes([leap << 6 | 4 << 3 | mode, stratum, 6, 0xEC]) + bytes(8) + name.ljust(4, b"\0") + bytes(8)
    return head + nonce + stamp(utc_s) + stamp(utc_s)


@pytest.mark.parametrize("utc_s", [0.0, 1.7e9, 2_085_978_496.5, 2_085_978_495.5, 4e9])
@pytest.mark.parametrize("ahead_s", [0.0, 0.25, -3600.0])
def test_the_clock_s_offset_in_either_era(utc_s: float, ahead_s: float) -> None:
    """The seconds of a time stamp begin again on 7 February 2036."""
    found = time_server.read_reply(reply(utc_s), NONCE, utc_s + ahead_s - 0.1, utc_s + ahead_s + 0.1)
    assert found.ahead_s == pytest.approx(ahead_s, abs=1e-5)
    assert found.stratum == 2


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (reply(1e9, nonce=bytes(8)), "no answer to our request"),
        (reply(1e9, mode=3), "no answer to our request"),
        (reply(1e9)[:47], "no answer to our request"),
        (reply(1e9, stratum=0, name=b"RATE"), "it refuses: 'RATE'"),
        (reply(1e9, leap=3), "not synchronised"),
        (reply(1e9, stratum=16), "not synchronised"),
    ],
)
def test_what_is_no_time(data: bytes, says: str) -> None:
    with pytest.raises(NoTime, match=says):
        time_server.read_reply(data, NONCE, 1e9, 1e9)


@given(st.binary(max_size=80))
def test_anything_is_a_time_or_none(data: bytes) -> None:
    with suppress(NoTime):
        assert 1 <= time_server.read_reply(data, data[24:32], 1e9, 1e9).stratum <= 15


@contextmanager
def server(ahead_s: float) -> Iterator[int]:
    """One answer of a server whose clock is so far behind ours; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))

        def answer() -> None:
            data, sender = listening.recvfrom(100)
            listening.sendto(reply(time.time() - ahead_s, nonce=data[40:48]), sender)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(90)


def told_of(root: Path, place: str, text: str) -> Path:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(text)
    return root


@pytest.mark.parametrize(("ahead_s", "grade"), [(0.0, "ok"), (7200.0, "error"), (-7200.0, "error")])
def test_a_server_answers(tmp_path: Path, ahead_s: float, grade: str) -> None:
    with server(ahead_s) as port:
        found = time_server.check(told_of(tmp_path, "etc/systemd/timesyncd.conf", "[Time]\nNTP=127.0.0.1\n"), port)
    assert found.grade == grade
    assert found.text.startswith("127.0.0.1 answers (stratum 2), this clock is ")
    assert ("behind" in found.text) == (ahead_s < 0) or not ahead_s


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    found = time_server.check(told_of(tmp_path, "etc/systemd/timesyncd.conf", "[Time]\nNTP=127.0.0.1\n"), port)
    assert found.grade == "warning"
    assert found.text.startswith("127.0.0.1: Connection refused: is UDP to port 123 let through?")


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({}, ["0.debian.pool.ntp.org", "1.debian.pool.ntp.org"]),
        ({"etc/systemd/timesyncd.conf": "[Time]\n#NTP=\nFallbackNTP=a b\n"}, ["a", "b"]),
        ({"etc/systemd/timesyncd.conf": "NTP=a\nFallbackNTP=f", "run/systemd/netif/links/2": "NTP=b"}, ["a", "b"]),
        ({"etc/systemd/timesyncd.conf": "NTP=a\n", "run/systemd/netif/links/2": "NTP=\n"}, ["a"]),
        ({"etc/systemd/timesyncd.conf": "NTP=a\n", "etc/systemd/timesyncd.conf.d/9.conf": "NTP=\nNTP=c\n"}, ["c"]),
        ({"etc/chrony/chrony.conf": "pool p.example iburst\n#server x\nserver s\n"}, ["p.example", "s"]),
    ],
)  # fmt: skip
def test_which_servers_a_machine_is_told_of(tmp_path: Path, files: dict[str, str], names: list[str]) -> None:
    for place, text in files.items():
        told_of(tmp_path, place, text)
    assert time_server.servers(tmp_path) == names
