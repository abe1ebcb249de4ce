"""Rail tickets made for tests: a writer of packed bits that knows nothing of the reader, and a phone."""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from agent.credentials import fcb
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import signing
from agent.crypto.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

SHA256_ECDSA = bytes((0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2))
P256 = bytes((0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7))
ISSUED = 1_791_000_000.0  # 3 October 2026
ISSUED_YEAR, ISSUED_DAY = 2026, 276
ISSUER = ec.generate_private_key(ec.SECP256R1())
PHONE = ec.generate_private_key(ec.SECP256R1())


@functools.cache
def old_issuer() -> dsa.DSAPrivateKey:
    """Made when a test needs it."""
    return dsa.generate_private_key(1024)  # noqa: S505 - as those tickets have


class Writer:
    """Bits, the first one first."""

    def __init__(self) -> None:
        self.text = ""

    def bits(self, value: int, count: int) -> Writer:
        self.text += format(value, f"0{count}b") if count else ""
        return self

    def flags(self, *flags: bool) -> Writer:
        self.text += "".join("01"[flag] for flag in flags)
        return self

    def length(self, count: int) -> Writer:
        return self.bits(count, 8) if count < 128 else self.bits(0x8000 | count, 16)

    def octets(self, data: bytes) -> Writer:
        self.length(len(data))
        return self.bits(int.from_bytes(data), 8 * len(data))

    def ia5(self, text: str) -> Writer:
        self.length(len(text))
        for character in text:
            self.bits(ord(character), 7)
        return self

    def integer(self, value: int) -> Writer:
        return self.octets(value.to_bytes(value.bit_length() // 8 + 1, signed=True))

    def add(self, other: Writer) -> Writer:
        self.text += other.text
        return self

    def bytes(self) -> bytes:
        whole = self.text + "0" * (-len(self.text) % 8)
        return int(whole or "0", 2).to_bytes(len(whole) // 8)


def issuing(
    *, specimen: bool = False, activated: bool = True, year: int = ISSUED_YEAR, day: int = ISSUED_DAY
) -> Writer:
    """Version 3: the number of who signed it, the day, noon."""
    absent = (False,) * 12
    writer = Writer().flags(False).flags(True, *absent)
    writer.bits(1080 - 1, 15).bits(year - 2016, 8).bits(day - 1, 9).bits(720, 11)
    return writer.flags(specimen, False, activated)


def open_ticket(
    *,
    stations: tuple[int, int] | None = (8000105, 8000261),
    days: tuple[int, int] = (0, 1),
    offset: int | None = -8,
    train: tuple[str, int] | None = None,
    activated: Iterable[int] = (),
    reference: int | None = 4711,
    extension: bool = False,
) -> Writer:
    """Version 3, second class."""
    names = [
        "referenceNum",
        "referenceIA5",
        "productOwnerNum",
        "productOwnerIA5",
        "productIdNum",
        "productIdIA5",
        "extIssuerId",
        "issuerAuthorizationId",
        "stationCodeTable",
        "fromStationNum",
        "fromStationIA5",
        "toStationNum",
        "toStationIA5",
        "fromName",
        "toName",
        "validRegionDesc",
        "validRegion",
        "returnDescription",
        "validFromDay",
        "validFromTime",
        "validFromUTCOffset",
        "validUntilDay",
        "validUntilTime",
        "validUntilUTCOffset",
        "activatedDay",
        "classCode",
        "serviceLevel",
        "carrierNum",
        "carrierIA5",
        "included",
        "excluded",
        "tariffs",
        "price",
        "vat",
        "infoText",
        "addOns",
        "luggage",
        "includedTransport",
        "excludedTransport",
        "extension",
    ]
    activated = list(activated)
    present = {
        "referenceNum": reference is not None, "fromStationNum": stations is not None,
        "toStationNum": stations is not None, "validRegion": train is not None, "validFromDay": days[0] != 0,
        "validFromUTCOffset": offset is not None, "validUntilDay": days[1] != 0, "activatedDay": bool(activated),
    }  # fmt: skip
    writer = Writer().flags(extension, *(present.get(name, False) for name in names))
    if reference is not None:
        writer.integer(reference)
    writer.flags(False)
    for station in stations or ():
        writer.bits(station - 1, 24)
    if train is not None:
        name, day = train
        writer.length(1).flags(False).bits(0, 3)
        writer.flags(False, True, *(False,) * 7)
        writer.ia5(name).bits(day + 1, 9).bits(18 * 60, 11)
    if days[0]:
        writer.bits(days[0] + 367, 11)
    if offset is not None:
        writer.bits(offset + 60, 7)
    if days[1]:
        writer.bits(days[1] + 1, 9)
    if activated:
        writer.length(len(activated))
        for day in activated:
            writer.bits(day, 9)
    if extension:
        writer.bits(0, 1).bits(0, 6).flags(True).octets(b"later")
    return writer


def sequence(kind: str, **present: Writer) -> Writer:
    """A type of version 3 with these fields: their order is that of the grammar, which another encoder proves."""
    line = next(line for line in fcb.grammar_text(3).splitlines() if line.startswith(f"{kind} = "))
    body = line.partition(" = ")[2]
    fields = [field.partition(":")[::2] for field in body.removesuffix("…").split()]
    writer = Writer().flags(*(False,) * body.endswith("…"))
    writer.flags(*(name in present for name, kind in fields if kind.endswith("?") or "=" in kind))
    for name, _ in fields:
        writer.add(present.get(name, Writer()))
    return writer


def bits(value: int, count: int) -> Writer:
    return Writer().bits(value, count)


RESERVATION, OPEN_TICKET, PASS, PASSAGE = 0, 2, 3, 9


def ticket(*documents: Writer, head: Writer | None = None, kind: int = OPEN_TICKET) -> bytes:
    """Content of version 3 with tickets of one kind."""
    writer = Writer().flags(False, False, bool(documents), False, False).add(head or issuing())
    if documents:
        writer.length(len(documents))
    for document in documents:
        writer.flags(False, False, False).bits(kind, 4).add(document)
    return writer.bytes()


def records(content: bytes, version: bytes = b"03", order: bytes = b"") -> bytes:
    """As a static code holds it."""
    head = b"1080" + order.ljust(20, b"\0") + b"031020261200" + b"0" + b"ENEN"
    parts = [(b"U_HEAD", b"01", head)] if order else []
    parts.append((b"U_FLEX", version, content))
    return b"".join(name + each + f"{len(data) + 12:04}".encode() + data for name, each, data in parts)


def static(data: bytes, *, old: bool = False, key: str = "00001") -> bytes:
    """A signed static code: version 02 with ECDSA, or 01 with DSA and SHA-1."""
    stream = zlib.compress(data)
    if old:
        signature = old_issuer().sign(stream, hashes.SHA1()).ljust(50, b"\0")  # noqa: S303 - as those tickets are
    else:
        r, s = signing.split_signature(ISSUER.sign(stream, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return (
        b"#UT"
        + (b"01" if old else b"02")
        + b"1080"
        + key.encode()
        + signature
        + f"{len(stream):04}".encode()
        + stream
    )


def small(
    kind: int, content: Writer, *, specimen: bool = False, year: int = ISSUED_YEAR % 10, day: int = ISSUED_DAY
) -> bytes:
    """A signed small code, second class, number `AB12`, as an issuer of old made it."""
    writer = Writer().bits(3, 4).bits(1080, 14).bits(9, 4).bits(kind, 5).bits(1, 7).bits(0, 7)
    writer.flags(specimen).bits(2, 6).add(six_bits("AB12", 14)).bits(year, 4).bits(day, 9).add(content)
    signed = writer.bytes().ljust(58, b"\0")
    r, s = signing.split_signature(old_issuer().sign(signed, hashes.SHA1()))  # noqa: S303 - as those tickets are
    return signed + r.to_bytes(28) + s.to_bytes(28)


def six_bits(text: str, count: int) -> Writer:
    writer = Writer()
    for character in text.ljust(count):
        writer.bits(ord(character) - 32, 6)
    return writer


def dynamic(
    content: bytes,
    *,
    version: int = 2,
    phone: ec.EllipticCurvePrivateKey | None = PHONE,
    shown: float | None = ISSUED,
    duration: int | None = 60,
    compressed: bool = True,
    named: bool = True,
    empty_key: bool = False,
    ends: tuple[int | None, int, int] | None = None,
) -> bytes:
    """A code from a phone; without `phone` one that only its issuer signed. `named`: with the phone's key.

    `empty_key`: one that names a key of no bytes instead.
    """
    names = ["providerNum", "providerIA5", "keyId", "l1Key", "l2Key", "l1Alg", "l2Alg", "l2PublicKey"]
    has_key = phone is not None and named
    present = {
        "providerNum": True,
        "keyId": True,
        "l2Key": has_key,
        "l2Alg": has_key,
        "l2PublicKey": has_key or empty_key,
    }
    level1 = Writer().flags(*(present.get(name, False) for name in names))
    if version == 2:
        level1.flags(ends is not None and ends[0] is not None, *(ends is not None,) * 2, duration is not None)
    level1.bits(1080 - 1, 15).bits(2, 17).length(1).ia5("FCB3").octets(content)
    if has_key:
        level1.octets(P256).octets(SHA256_ECDSA).octets(_point(phone, compressed=compressed))
    elif empty_key:
        level1.octets(b"")
    if version == 2 and ends is not None:
        if ends[0] is not None:
            level1.bits(ends[0] - 2016, 8)
        level1.bits(ends[1] - 1, 9).bits(ends[2], 11)
    if version == 2 and duration is not None:
        level1.bits(duration - 1, 12)
    signature = ISSUER.sign(level1.bytes(), ec.ECDSA(hashes.SHA256()))
    level2 = Writer().flags(True, shown is not None).add(level1).octets(signature)
    if shown is not None:
        level2.ia5("FDC1").octets(_moment(shown))
    whole = Writer().flags(phone is not None).ia5(f"U{version}").add(level2)
    if phone is not None:
        whole.octets(phone.sign(level2.bytes(), ec.ECDSA(hashes.SHA256())))
    return whole.bytes()


def _moment(utc: float) -> bytes:
    day = (ISSUED_DAY - 1) * 86_400 + utc - 86_400 * (ISSUED // 86_400)
    writer = Writer().flags(False, False, True, False, False, False)
    return writer.bits(int(day // 86_400), 9).bits(int(day % 86_400), 17).bytes()


def _point(phone: ec.EllipticCurvePrivateKey | None, *, compressed: bool) -> bytes:
    assert phone is not None
    form = serialization.PublicFormat
    chosen = form.CompressedPoint if compressed else form.UncompressedPoint
    return phone.public_key().public_bytes(serialization.Encoding.X962, chosen)


def trust() -> TrustStore:
    """The issuer's three keys: 1 and 2 of today, 9 of old."""
    der, spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    today = signing.public_key(ISSUER.public_key().public_bytes(der, spki))
    old = signing.public_key(old_issuer().public_key().public_bytes(der, spki))
    formats, limits = frozenset({"uic"}), Limits()
    return parse_trust_store(
        [
            TrustedKey("rail", b"1080/1", formats, today, limits),
            TrustedKey("rail", b"1080/2", formats, today, limits, algorithm=signing.ES256),
            TrustedKey("rail", b"1080/9", formats, old, limits, algorithm=signing.DSA_SHA1),
        ]
    )
