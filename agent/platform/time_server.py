"""Whether the configured time servers answer, and how far this machine's clock is from theirs.

Simple NTP (RFC 5905, section 14): one request of 48 bytes by UDP to port 123. Nothing is set: that is
systemd-timesyncd's, or chrony's.

| bytes | field |
|---|---|
| 0 | leap indicator (2 bits; 3: not synchronised), version (3), mode (3; 3: client, 4: server) |
| 1 | stratum: 1 to 15; 0: it refuses, and says why in bytes 12 to 15 |
| 24 | originate: what we sent as transmit |
| 32, 40 | receive, transmit: seconds since 1900 and a fraction, 32 bits each |
"""

from __future__ import annotations

import re
import secrets
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.platform.site import SiteCheck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = 123
LIMIT_S = 2.0
MOST_SERVERS = 3
MOST_AWAY_S = 1.0
"""A larger difference to a server is reported: codes and certificates begin and end by the second."""
DEFAULT = ("0.debian.pool.ntp.org", "1.debian.pool.ntp.org")
"""The servers that Debian's systemd-timesyncd uses when none is configured."""
_CLIENT, _BYTES = 0x23, 48
_UNIX_S = 2_208_988_800
"""Seconds from 1900 to 1970."""
_ERA_S = 1 << 32
_MODE, _SERVER, _UNSYNCHRONISED, _MOST_STRATUM = 7, 4, 3, 15
_CHRONY_PLACES = (
    "etc/chrony/chrony.conf", "etc/chrony/conf.d/*.conf", "etc/chrony/sources.d/*.sources",
    "run/chrony-dhcp/*.sources",
)  # fmt: skip
_TIMESYNC_PLACES = (
    "etc/systemd/timesyncd.conf", "usr/lib/systemd/timesyncd.conf.d/*.conf", "run/systemd/timesyncd.conf.d/*.conf",
    "etc/systemd/timesyncd.conf.d/*.conf",
)  # fmt: skip
_LINKS = ("run/systemd/netif/links/*",)
"""The answers of DHCP servers, one file for each interface (systemd-networkd)."""
_CHRONY = re.compile(r"^\s*(?:server|pool|peer)\s+(\S+)", re.MULTILINE)
_TIMESYNC = re.compile(r"^\s*(NTP|FallbackNTP)\s*=(.*)$", re.MULTILINE)


class NoTime(ValueError):
    """A server's reply from which no time can be taken; `str()` says why."""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """A server's answer."""

    stratum: int
    ahead_s: float
    """So far our clock is ahead of its."""


def servers(root: Path) -> list[str]:
    """The configured time servers, in the order in which they are asked."""
    chrony = [name for text in _texts(root, _CHRONY_PLACES) for name in _CHRONY.findall(text)]
    told: dict[str, list[str]] = {"NTP": [], "FallbackNTP": []}
    for text in _texts(root, _TIMESYNC_PLACES):
        for key, names in _TIMESYNC.findall(text):
            told[key] = [*told[key], *names.split()] if names.strip() else []  # an empty one takes all back
    links = [names for text in _texts(root, _LINKS) for key, names in _TIMESYNC.findall(text) if key == "NTP"]
    found = chrony or [*told["NTP"], *" ".join(links).split()] or told["FallbackNTP"] or DEFAULT
    return list(dict.fromkeys(found))[:MOST_SERVERS]


def _texts(root: Path, places: tuple[str, ...]) -> Iterator[str]:
    for place in places:
        for file in sorted(root.glob(place)):
            with suppress(OSError):
                yield file.read_text(encoding="utf-8", errors="replace")


def read_reply(data: bytes, nonce: bytes, sent_s: float, received_s: float) -> ServerTime:
    """Read a reply to our request; `sent_s`, `received_s`: by our clock, POSIX. Raises NoTime."""
    if len(data) < _BYTES or data[0] & _MODE != _SERVER or data[24:32] != nonce:
        raise NoTime("it sends what is no answer to our request")
    stratum = data[1]
    if stratum == 0:
        raise NoTime(f"it refuses: {data[12:16].decode('ascii', 'replace').rstrip(chr(0))!r}")
    if data[0] >> 6 == _UNSYNCHRONISED or stratum > _MOST_STRATUM:
        raise NoTime("it has no time itself: it is not synchronised")
    took_s, gave_s = (_posix(data[at : at + 8], received_s) for at in (32, 40))
    return ServerTime(stratum, ((sent_s - took_s) + (received_s - gave_s)) / 2)


def _posix(stamp: bytes, near_s: float) -> float:
    """POSIX seconds of a time stamp; its seconds begin again every 136 years, so of the era that is nearest."""
    seconds, fraction = struct.unpack(">II", stamp)
    plain = seconds - _UNIX_S + fraction / _ERA_S
    return float(plain + round((near_s - plain) / _ERA_S) * _ERA_S)


def query(host: str, port: int = PORT, limit_s: float = LIMIT_S) -> ServerTime:
    """Ask a server once. Raises NoTime, OSError."""
    kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(kind, socket.SOCK_DGRAM) as sender:
        sender.settimeout(limit_s)
        sender.connect(address)
        nonce = secrets.token_bytes(8)
        sent_s, sent_monotonic_s = time.time(), time.monotonic()
        sender.send(bytes([_CLIENT]).ljust(_BYTES - len(nonce), b"\0") + nonce)
        data = sender.recv(1024)
        return read_reply(data, nonce, sent_s, sent_s + time.monotonic() - sent_monotonic_s)


def check(root: Path, port: int = PORT) -> SiteCheck:
    """The first server that answers; a warning when none does: a place with a battery clock needs none."""
    told, names = [], servers(root)
    for name in names:
        try:
            found = query(name, port)
        except TimeoutError:
            told.append(f"{name}: no answer within {LIMIT_S:g} s")
        except (NoTime, OSError) as error:
            told.append(f"{name}: {getattr(error, 'strerror', None) or error}")
        else:
            return _about(name, found)
    remedy = "is UDP to port 123 let through? a server of the site: NTP= in /etc/systemd/timesyncd.conf"
    return SiteCheck("time server", "warning", f"{'; '.join(told)}: {remedy}")


def _about(name: str, found: ServerTime) -> SiteCheck:
    away = f"this clock is {abs(found.ahead_s):.3f} s {'ahead' if found.ahead_s > 0 else 'behind'}"
    text = f"{name} answers (stratum {found.stratum}), {away}"
    if abs(found.ahead_s) > MOST_AWAY_S:
        return SiteCheck("time server", "error", f"{text}: sudo systemctl restart systemd-timesyncd; timedatectl")
    return SiteCheck("time server", "ok", text)
