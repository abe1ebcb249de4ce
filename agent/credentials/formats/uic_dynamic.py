"""UIC rail ticket, dynamic code (UIC 918-9 with header versions 1 and 2, DOSIPAS): shown by a phone, sealed twice.

Packed (`uper`), with the signatures beside what they are over:

| part | content |
|---|---|
| format | `U1` or `U2` |
| level 1 | who signed it and with which key, the ticket (`FCB1` to `FCB3`), algorithms, the phone's key, ends |
| level 1 signature | the issuer's, DER |
| level 2 | `FDC1`: when the phone showed it, UTC, without the year |
| level 2 signature | the phone's, over level 1, its signature and level 2 |

A ticket that names a phone's key counts only with the phone's signature, and only so long after it as the ticket
says (`validityDuration`): a screenshot soon shows nothing. Without that length nobody can tell, and staff look at
it.

Source: UIC, `uicBarcodeHeader` 1.0.0 and 2.0.1, `uicDynamicContentData` 1.0.5.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from agent.credentials import fcb, rail
from agent.credentials.wallclock import day_of_year
from agent.crypto import digest, signing, uper
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustStore

FORMAT = "uic-dynamic"
TITLE = "European rail ticket from a phone (UIC)"
_LEVEL_1 = (
    "securityProviderNum:int(1..32000)? securityProviderIA5:ia5? keyId:int(0..99999)? dataSequence:[Data]"
    " level1KeyAlg:oid? level2KeyAlg:oid? level1SigningAlg:oid? level2SigningAlg:oid? level2PublicKey:bytes?"
)
_GRAMMAR = f"""
Data = dataFormat:ia5 data:bytes
Level1V1 = {_LEVEL_1}
Level1V2 = {_LEVEL_1} endOfValidityYear:int(2016..2269)? endOfValidityDay:int(1..366)? endOfValidityTime:int(0..1439)? validityDuration:int(1..3600)?
Shown = dynamicContentMobileAppId:ia5? dynamicContentTimeStamp:Moment? dynamicContentGeoCoordinate:Geo? dynamicContentResponseToChallenge:[Extension]? dynamicContentExtension:Extension? …
Moment = day:int(1..366) time:int(0..86399)
Extension = extensionId:ia5 extensionData:bytes
Geo = geoUnit:enum(5)=2 coordinateSystem:enum(2)=0 hemisphereLongitude:enum(2)=0 hemisphereLatitude:enum(2)=0 longitude:int latitude:int accuracy:enum(5)?
"""  # noqa: E501 - a type a line
_WANTED = """
    dataFormat data securityProviderNum securityProviderIA5 keyId dataSequence level2KeyAlg level2SigningAlg
    level2PublicKey endOfValidityYear endOfValidityDay endOfValidityTime validityDuration
    dynamicContentTimeStamp day time
"""
_READ = uper.compile_grammar(_GRAMMAR, frozenset(_WANTED.split()))
_CONTENTS = {"FCB1": 1, "FCB2": 2, "FCB3": 3}
_SHOWN = "FDC1"
_ALGORITHMS = {
    "1.2.840.10045.4.3.2": signing.ES256,
    "1.2.840.10045.4.3.3": signing.ES384,
    "1.2.840.10045.4.3.4": signing.ES512,
    "2.16.840.1.101.3.4.3.1": signing.DSA_SHA224,
    "2.16.840.1.101.3.4.3.2": signing.DSA_SHA256,
}
_CURVES = {"1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521"}
_SEQUENCE = b"\x30"
_SKEW_S = 60.0
"""A phone's clock may be ahead of ours by this; it cannot make its code count for longer."""
_HEAD_BITS = 23
_BEGIN_MASK = (1 << _HEAD_BITS - 1) - 1
_BEGINS = frozenset(2 << 14 | ord("U") << 7 | ord(digit) for digit in "12")


class _Level1:
    """The part that the issuer signed, and what stands beside it."""

    def __init__(self, payload: bytes) -> None:
        """Raises Malformed."""
        bits = uper.Bits(payload)
        has_second_signature = bits.read(1)
        text = bits.read(_HEAD_BITS - 1).to_bytes(3)
        version = text[-1] & 0x7F
        whole = bits.at
        has_first, has_shown = bits.read(1), bits.read(1)
        start = bits.at
        self.fields: dict[str, Any] = _READ[f"Level1V{chr(version)}"](bits)
        self.signed = bits.since(start)
        self.signature = bits.octets(bits.length()) if has_first else b""
        self.shown: dict[str, Any] | None = _READ["Data"](bits) if has_shown else None
        self.signed_by_phone = bits.since(whole)
        self.phone_signature = bits.octets(bits.length()) if has_second_signature else b""
        bits.finish()


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: a text of two letters, `U1` or `U2`, from the second bit on."""
    return int.from_bytes(payload[:3]) >> 1 & _BEGIN_MASK in _BEGINS


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    level1 = _Level1(payload)
    fields = level1.fields
    issuer = str(fields.get("securityProviderNum") or fields.get("securityProviderIA5", ""))
    name = rail.key_name(issuer, str(fields.get("keyId", "")))
    key = rail.signer(trust, name, _numbers(level1.signature), level1.signed)
    expires = _end(fields)
    if "level2PublicKey" in fields:
        shown = _shown_until(level1, now)
        expires = shown if expires is None else min(expires, shown)
    elif level1.phone_signature:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "a second signature without its key", issuer=key.issuer)
    contents = [data for data in fields["dataSequence"] if data["dataFormat"] in _CONTENTS]
    if len(contents) != 1:
        raise CheckFailed(CodeStatus.UNDECIDED, "no one content that is read here", issuer=key.issuer)
    data = contents[0]["data"]
    content = fcb.read(data, _CONTENTS[contents[0]["dataFormat"]], digest.of_code(rail.FORMAT, data))
    return rail.verdict(FORMAT, key, issuer, content, trust, now, expires)


def _numbers(der: bytes) -> tuple[int, int]:
    if not der:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "not signed")
    try:
        return signing.split_signature(der)
    except signing.BadKey:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "a signature that cannot be read") from None


def _end(fields: dict[str, Any]) -> float | None:
    """End of the code, UTC; None without one. Raises CheckFailed."""
    year = fields.get("endOfValidityYear")
    if year is None and not fields.keys() & {"endOfValidityDay", "endOfValidityTime"}:
        return None
    if year is None:
        raise CheckFailed(CodeStatus.UNDECIDED, "it does not say in which year it ends")
    day = day_of_year(year, fields.get("endOfValidityDay", 1))
    if day is None:
        raise Malformed("an end on a day that its year does not have")
    return _utc(day, 60 * fields.get("endOfValidityTime", 0))


def _utc(day: date, second: int) -> float:
    return datetime.combine(day, time(), UTC).timestamp() + second


def _shown_until(level1: _Level1, now: TimeBounds) -> float:
    """Until when what the phone shows counts, once its signature holds. Raises CheckFailed."""
    key, named = _phone_key(level1.fields), level1.fields.get("level2SigningAlg")
    algorithm = key.algorithm if named is None else _ALGORITHMS.get(named)
    numbers = _numbers(level1.phone_signature)
    if algorithm is None or not rail.verify(key, numbers, level1.signed_by_phone, algorithm):
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "the phone's signature does not hold")
    shown = level1.shown
    moment: dict[str, int] | None = None
    if shown is not None and shown["dataFormat"] == _SHOWN:
        moment = uper.decode(_READ["Shown"], shown["data"]).get("dynamicContentTimeStamp")
    duration: int | None = level1.fields.get("validityDuration")
    if moment is None or duration is None:
        raise CheckFailed(CodeStatus.UNDECIDED, "it does not say how long it may be shown")
    at = _moment(moment, now)
    if at - _SKEW_S > now.latest_utc:
        raise CheckFailed(CodeStatus.NOT_YET_VALID, "shown at a time that is not yet")
    return min(at, now.latest_utc) + duration


def _moment(moment: dict[str, int], now: TimeBounds) -> float:
    """POSIX seconds of a day and second without a year: of the years around now, the nearest one."""
    try:
        year = datetime.fromtimestamp(now.latest_utc, UTC).year
    except (ValueError, OverflowError, OSError):
        raise Malformed("a time that is none") from None
    days = [day_of_year(each, moment["day"]) for each in (year - 1, year, year + 1)]
    times = [_utc(day, moment["time"]) for day in days if day is not None]
    if not times:
        raise Malformed("a day that none of these years has")
    return min(times, key=lambda at: abs(at - now.latest_utc))


def _phone_key(fields: dict[str, Any]) -> signing.PublicKey:
    """The key that the ticket names: a SubjectPublicKeyInfo, or a point of a curve that it names."""
    raw: bytes = fields["level2PublicKey"]
    try:
        if raw.startswith(_SEQUENCE):
            return signing.public_key(raw)
        return signing.encoded_point_key(_CURVES.get(fields.get("level2KeyAlg", ""), ""), raw)
    except signing.BadKey:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "a phone's key that is none") from None
