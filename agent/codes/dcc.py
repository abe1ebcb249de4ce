"""EU Digital COVID Certificate: `HC1:`, base45, zlib, COSE_Sign1, CWT with the health claim -260.

Source: eHealth Network, "Electronic Health Certificates", hcert_spec 1.0.5, sections 2 to 4; "Value Sets" for the
codes of tests. Signatures: ES256 or PS256; ES256 is taken with any curve, as some states sign. A certificate has no
colour: what it is worth is for the policy (`certificate`, and its kind).

| claim | label | meaning |
|---|---|---|
| iss | 1 | country of the issuer |
| exp | 4 | end of technical validity |
| iat | 6 | time of issue; the specification gives it no part in validity, and some states date it ahead |
| hcert | -260 | {1: {nam, dob, ver, and one of v, t, r: a list with one entry}} |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.codes import base45, cose, cwt, digest, validity
from agent.codes.inflate import inflate
from agent.codes.refusal import Malformed, Refused
from agent.codes.wallclock import moment
from agent.model import LabResult, Now, Verdict

if TYPE_CHECKING:
    from agent.codes.trust import Trust

FORMAT = "dcc"
PREFIX = b"HC1:"
HCERT, V1 = -260, 1

_KINDS = {"v": "vaccination", "t": "test", "r": "recovery"}
_COUNTRY = re.compile(r"[A-Z]{2,3}")
_ANTIGEN = "LP217198-3"
_NOT_DETECTED = "260415000"


@dataclass(frozen=True, slots=True)
class _Health:
    """What the health claim says, as far as a gate needs it."""

    kind: str = "other"
    subject: bytes = b""
    uci: str = ""
    tests: tuple[LabResult, ...] = ()


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: Trust, now: Now) -> Verdict:
    """Verdict on a code that `recognises`. Raises Refused."""
    message = cose.parse(inflate(base45.decode(payload[len(PREFIX) :])))
    claims = cwt.claims_of(message.payload)
    try:
        key = trust.signer(FORMAT, message.kid, message.signature, message.signed, message.algorithm)
    except Refused as no:
        country = claims.get(cwt.ISS)
        if isinstance(country, str) and _COUNTRY.fullmatch(country):
            raise Refused(no.status, f"{no.reason}; it says that it is from {country}", issuer=no.issuer) from None
        raise
    expires = cwt.time(claims, cwt.EXP)
    health = _health(claims.get(HCERT))
    return Verdict(
        status=validity.judge(now, issued=None, starts=None, expires=expires),
        format=FORMAT,
        subject=health.subject,
        issuer=key.issuer,
        issued_utc=cwt.time(claims, cwt.IAT),
        expires_utc=expires,
        tests=health.tests,
        kind=health.kind,
        code=code_key(health.uci) if health.uci else digest.of_code(FORMAT, message.payload),
    )


def code_key(uci: str) -> bytes:
    """Key of a certificate by its identifier: the form of hash that the EU's revocation lists call `UCI`."""
    return sha256(uci.encode("utf-8", "surrogatepass")).digest()[: digest.SIZE]


def _health(claim: object) -> _Health:
    if not isinstance(claim, Mapping) or not isinstance(claim.get(V1), Mapping):
        raise Malformed("no health claim")
    certificate: Mapping[Any, Any] = claim[V1]
    for group, kind in _KINDS.items():
        entries = certificate.get(group)
        if isinstance(entries, list | tuple) and entries and isinstance(entries[0], Mapping):
            uci = entries[0].get("ci")
            return _Health(
                kind,
                _subject(certificate),
                uci if isinstance(uci, str) else "",
                tuple(_test(entry) for entry in entries) if group == "t" else (),
            )
    return _Health(subject=_subject(certificate))


def _subject(certificate: Mapping[Any, Any]) -> bytes:
    """Transliterated names and date of birth: what is the same in all certificates of one person; `` without."""
    name = certificate.get("nam")
    names = name if isinstance(name, Mapping) else {}
    if not (names.get("fnt") or names.get("gnt")):
        return b""
    return digest.of_subject(str(names.get("fnt")), str(names.get("gnt")), str(certificate.get("dob")))


def _test(entry: object) -> LabResult:
    if not isinstance(entry, Mapping):
        raise Malformed("a test that is not a map")
    kind = "antigen" if entry.get("tt") == _ANTIGEN else "pcr"
    return LabResult(kind, moment(entry.get("sc")), entry.get("tr") != _NOT_DETECTED)
