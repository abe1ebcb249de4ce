"""VDV-KA ticket (VDV core application, static): what local transport in Germany sells, the Deutschlandticket too.

| tag | content |
|---|---|
| 9E | signature of the ticket, which holds its beginning (RSA, ISO 9796-2, SHA-1) |
| 9A | the rest of the ticket, which ends with `VDV` and a version of two bytes |
| 7F21 | certificate of who sold it: 5F37 signature, 5F38 rest |
| 42 | reference of the authority whose key proves the certificate, 8 bytes: the key id under which it is pinned |

| bytes of a ticket | meaning | bytes of a certificate | meaning |
|---|---|---|---|
| 4 | number | 1 | profile: 3, 4 or 7, keys of 1536, 1024 or 1984 bits |
| 2 | organisation that sold it | 8 | authority |
| 2 | product; 9999 is the Deutschlandticket | 12 | holder |
| 2 | organisation of the product | 7 | what its holder may do |
| 4, 4 | begin, end: German local time | 4 | last day, as decimal digits |
| … | product and transaction, not needed here | 7 or 9; then n, e | algorithm; the key |

Source: VDV-KA, KA-NM; VDV-Barcode specification; field order as in KDE's kitinerary. The hash is compared at both
steps. A signature alone does not make a ticket good: without a list of blocked tickets of the authority's issuer at
hand it is undecided. A ticket counts at `vdv/PRODUCT` and `vdv/PRODUCT/ORGANISATION`, and maybe elsewhere.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agent.credentials import blocking, german_time, validity
from agent.credentials.trust import MOST_TRIED, KeyUse
from agent.crypto import ber, digest, signing
from agent.crypto.iso9796 import RsaKey, recover
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, Entitlement

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore
    from agent.model import TimeBounds, Verdict

FORMAT = "vdv-ka"
TITLE = "German transport ticket (VDV-KA)"
KEYS = {FORMAT: KeyUse(("RSA",), weak="RSA")}
_SIGNATURE, _REST, CERTIFICATE, AUTHORITY = 0x9E, 0x9A, 0x7F21, 0x42
CERTIFICATE_SIGNATURE, CERTIFICATE_REST, _CONTENT = 0x5F37, 0x5F38, 0x5F4E
_BEGIN = bytes((_SIGNATURE, 0x81, 0x80))
_MARK = b"VDV"
_MODULUS_BYTES = {3: 192, 4: 128, 7: 248}
_TICKET = struct.Struct(">IHHHII")
_HEAD = struct.Struct(">B8s12s7s4s")
_LONG_OID = 0x2A
_EXPONENT_BYTES = 4
_SELLER_ENDED = "the certificate of who sold it has ended, or may have"


class VdvCertificate(NamedTuple):
    """What a certificate says of its holder: who sells tickets, or an authority."""

    key: RsaKey
    authority: bytes
    """Who signed it."""
    holder: bytes
    ends_utc: float
    """End of its last day."""


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(_BEGIN)


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    signature, rest, certificate, authority = ber.one(payload, _SIGNATURE, _REST, CERTIFICATE, AUTHORITY)
    if rest[-5:-2] != _MARK:
        raise Malformed("not marked as a ticket")
    keys = trust.pinned(FORMAT, authority)
    if not keys:
        raise CheckFailed(CodeStatus.UNKNOWN_ISSUER, f"its authority {authority.hex()} is not pinned here")
    for key in keys[:MOST_TRIED]:  # an authority has a new one every few years, under the same name
        try:
            seller = open_certificate(certificate, signing.rsa_numbers(key.public), authority)
            ticket = recover(seller.key, signature, rest)
            break
        except signing.BadKey:
            failed = CheckFailed(CodeStatus.BAD_SIGNATURE, "its authority's key is not RSA", issuer=key.issuer)
        except CheckFailed as no:
            failed = CheckFailed(no.status, no.reason, issuer=key.issuer)
    else:
        raise failed
    entitlement, alias = _entitlement(ticket)
    verdict = validity.ticket_verdict(
        FORMAT, key, entitlement, now, expires=seller.ends_utc, ended=_SELLER_ENDED, aliases=(alias,)
    )
    return blocking.demand_list(verdict, trust)


def ticket_key(organisation: int, number: int) -> bytes:
    """Key of a ticket in lists of blocked ones, by what is printed on it."""
    return digest.of_subject(FORMAT, str(organisation), str(number))


@lru_cache(maxsize=64)
def open_certificate(certificate: bytes, authority: RsaKey, name: bytes) -> VdvCertificate:
    """Who sells tickets, proved by the key of the authority of that name. Raises CheckFailed.

    A stop sees the certificates of a few sellers all day; one whose proof fails is never remembered.
    """
    signature, rest = ber.one(certificate, CERTIFICATE_SIGNATURE, CERTIFICATE_REST)
    return prove_certificate(signature, rest, authority, name)


def prove_certificate(signature: bytes, rest: bytes, authority: RsaKey, name: bytes) -> VdvCertificate:
    """What a certificate says, proved by the key of the authority of that name. Raises CheckFailed."""
    found = read_certificate(recover(authority, signature, rest))
    if found.authority != name:
        raise Malformed("a certificate of another authority")
    return found


def read_certificate(content: bytes) -> VdvCertificate:
    """What a certificate says, by its content; proves nothing. Raises Malformed."""
    if len(content) <= _HEAD.size:
        raise Malformed("a certificate that is cut off")
    profile, authority, holder, _, last = _HEAD.unpack_from(content)
    key_at = _HEAD.size + (9 if content[_HEAD.size] == _LONG_OID else 7)
    width = _MODULUS_BYTES.get(profile, 0)
    if not width or len(content) != key_at + width + _EXPONENT_BYTES:
        raise Malformed("a certificate of no known profile")
    n, e = content[key_at : key_at + width], content[key_at + width :]
    try:
        day = datetime.strptime(last.hex(), "%Y%m%d").date() + timedelta(days=1)  # noqa: DTZ007 - a day
    except (ValueError, OverflowError):
        raise Malformed("a certificate whose last day is none") from None
    key = RsaKey(int.from_bytes(n), int.from_bytes(e))
    if key.n % 2 == 0 or key.n.bit_length() != 8 * width or key.e % 2 == 0 or key.e < 3:  # noqa: PLR2004 - of RSA
        raise Malformed("a certificate with a key that is none")
    ends_utc = german_time.utc(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - local
    return VdvCertificate(key, authority, holder[-8:], ends_utc)


def raw_content(file: bytes) -> bytes:
    """Content of a certificate that stands in the open, as an authority's. Raises Malformed."""
    (inside,) = ber.one(file, CERTIFICATE)
    (content,) = ber.one(inside, _CONTENT)
    return content


def _entitlement(ticket: bytes) -> tuple[Entitlement, bytes]:
    """What the ticket gives a right to, and its key in lists of blocked ones."""
    if len(ticket) < _TICKET.size:
        raise Malformed("a ticket that is cut off")
    number, organisation, product, owner, begins, ends = _TICKET.unpack_from(ticket)
    entitlement = Entitlement(
        places=(f"vdv/{product}", f"vdv/{product}/{owner}"),
        has_all_places=False,
        starts_utc=german_time.utc(_moment(begins), last=True),
        ends_utc=german_time.utc(_moment(ends)) + 2,  # the last moment is part of it, and is told to two seconds
        key=digest.of_code(FORMAT, ticket),
    )
    return entitlement, ticket_key(organisation, number)


def _moment(bits: int) -> datetime:
    """Year since 1990 in 7 bits, month 4, day 5, hour 5, minute 6, half seconds 5. Raises Malformed."""
    year, month, day = 1990 + (bits >> 25), bits >> 21 & 15, bits >> 16 & 31
    try:
        return datetime(year, month, day, bits >> 11 & 31, bits >> 5 & 63, 2 * (bits & 31))  # noqa: DTZ001 - local
    except ValueError:
        raise Malformed("a time that is none") from None
