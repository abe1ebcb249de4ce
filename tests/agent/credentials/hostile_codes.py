"""Codes that are made to cost time or memory, or to be taken for something else: for the tests, and the bench."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import rail_tickets as rails
import vectors_today as vectors

from agent.crypto import base45


def _packed(content: bytes) -> bytes:
    return b"HC1:" + base45.encode(zlib.compress(content, 9)).encode()


def _digits(data: bytes) -> bytes:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return str(int.from_bytes(data)).encode()
    finally:
        sys.set_int_max_str_digits(before)


def _identity(content: bytes) -> bytes:
    """A national identity with this inside; its head is packed so that it is known for one."""
    stream = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FIXED)
    return base45.encode(stream.compress(b"\xd2" + content) + stream.flush()).encode()


def _signed(data: bytes) -> bytes:
    """A static rail ticket with this inside, signed by an issuer that the tests believe."""
    return rails.static(data)


def _flexible(content: bytes) -> bytes:
    return _signed(rails.records(content))


def _routes(depth: int) -> bytes:
    """An open ticket whose route is a route of a route …"""
    optional = 40
    has_region, via = 16, 1
    writer = rails.Writer().flags(False, *(at == has_region for at in range(optional)), False)
    writer.length(1).flags(False).bits(via, 3)
    for _ in range(depth):
        writer.flags(*(False,) * 5, True, *(False,) * 6).length(1)
    return rails.ticket(writer)


def _wide() -> bytes:
    """A list that says that it has sixteen thousand parts, of no bits each."""
    writer = rails.Writer().flags(False, False, True, False, False).add(rails.issuing())
    return writer.bits(0x8000 | 0x3FFF, 16).bits(0, 4_000).bytes()


def _countries() -> bytes:
    """A pass for seven thousand countries, all of them there."""
    many = rails.Writer().length(7_000).bits(0, 8 * 7_000)
    return rails.ticket(rails.sequence("Pass", countries=many), kind=rails.PASS)


CODES: dict[str, Callable[[], bytes]] = {
    "1.4 MB of text": lambda: b"HC1:" + b"A" * 1_400_000,
    "zip bomb": lambda: _packed(bytes(2_700_000)),
    "CBOR depth": lambda: _packed(b"\x81" * 60_000),
    "7,089 digits": lambda: b"9" * 7_089,
    "7,089 digits, a gzip stream": lambda: _digits(gzip.compress(bytes(2_000_000), mtime=0)).ljust(7_089, b"1")[
        :7_089
    ],
    "digits that unpack to much": lambda: _digits(zlib.compress(bytes(2_000_000))),
    "a photo of separators": lambda: _digits(zlib.compress(b"V2\xff3\xff1" + b"\xff" * 2_000 + bytes(256), 0)),
    "rail: inflation, signed": lambda: _signed(bytes(5_000_000)),
    "rail: records without end": lambda: _signed(b"U_TEST010012" * 5_000),
    "rail: 8,000 bytes of nothing": lambda: _flexible(bytes(8_000)),
    "rail: a list of 16,383 parts": lambda: _flexible(_wide()),
    "rail: a list of 7,000 parts that are there": lambda: _flexible(_countries()),
    "rail: a route of routes": lambda: _flexible(_routes(40)),
    "rail: lengths in fragments": lambda: _flexible(b"\x40" + b"\xc4" * 3_000),
    "rail: all ones": lambda: _flexible(b"\xff" * 7_000),
    "rail from a phone: all ones": lambda: rails.dynamic(rails.ticket(rails.open_ticket()))[:3] + b"\xff" * 8_000,
    "rail from a phone: long": lambda: rails.dynamic(rails.ticket(rails.open_ticket()))[:3] + bytes(16_000),
    "small rail ticket of nothing": lambda: b"\x30" + bytes(113),
    "VDV-KA: lengths": lambda: b"\x9e\x81\x80" + b"\x84\xff\xff\xff\xff" * 400,
    "VDV-KA: parts without end": lambda: b"\x9e\x81\x80" + bytes(128) + b"\x9a\x00" * 7_000,
    "pretix: long payload": lambda: b"A" * 8_000 + vectors.PRETIX_VALID[-12:],
    "Claim 169: inflation": lambda: _identity(bytes(5_000_000)),
    "Claim 169: depth": lambda: _identity(b"\x81" * 60_000),
    "boarding pass without end": lambda: b"M1" + b"A" * 16_000,
    "licence without end": lambda: b"@\n\x1e\rANSI 636014" + b"\nDAQ" * 4_000,
}
"""Each is made by who needs it: together they take a seventh of a second."""
