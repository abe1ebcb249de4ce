"""ICAO Visible Digital Seal for Non-Constrained environments: JSON with its signer's certificate inside.

Source: ICAO Technical Report "VDS-NC", version 1.4, sections 3 and 4. Signed is the canonical JSON (RFC 8785) of
`data`. The certificate counts only if it is pinned itself or signed by a pinned authority (CSCA).

| member | meaning |
|---|---|
| data.hdr | {t: icao.test or icao.vacc, v: 1, is: three letters of the issuing state} |
| data.msg | {uvci or utci, pid: {n, dob, …}, ve: […] or dat, tr: {…}} |
| sig | {alg: ES256, ES384 or ES512, cer: base64url of DER, sigvl: base64url of r and s} |

Japan's form is a list of such objects. A negative test whose swab (`dat.sc`) is later than its report (`dat.ri`) is
none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.credentials import combine, lab, validity
from agent.credentials.freshness import MAX_AHEAD_S
from agent.credentials.lab import ResultMeaning
from agent.credentials.trust import KeyUse, short_hash
from agent.credentials.wallclock import moment
from agent.crypto import base64url, digest, signing, strict_json
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, LabResult, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.trust import TrustedKey, TrustStore

FORMAT = "vds-nc"
TITLE = "ICAO health seal (VDS-NC)"
KEYS = {FORMAT: KeyUse(("P-256", "P-384", "P-521"), has_authorities=True)}
_KINDS = {"icao.vacc": "vaccination", "icao.test": "test"}
_TESTS = {
    "molecular(pcr)": "pcr",
    "molecular(other)": "pcr",
    "molecular": "pcr",
    "pcr": "pcr",
    "rt-pcr": "pcr",
    "antigen": "antigen",
}
"""How the report and issuers name tests; all others, antibodies among them, are none."""
_COVID = "RA01"
_VACCINES = frozenset(
    # ICD-11, extension codes: COVID-19 vaccines, and their kinds
    ("XM68M6", "XM1NL1", "XM5DF6", "XM9QW8", "XM0CX4", "XM5JC5", "XM1J92", "XM6AT1", "XM0GQ8")
)
_ALGORITHMS = {"ES256": signing.ES256, "ES384": signing.ES384, "ES512": signing.ES512}
MOST_SEALS = 8
"""In a list; each is three signatures to look at."""
_STARTS = (b"{", b"[")
_MARK = b'"hdr"'


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: JSON with a header in it."""
    return payload.lstrip(b" \t\r\n").startswith(_STARTS) and _MARK in payload


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`; the seals of a list count as if they were shown one after the other, and
    the list is revoked with any of them. Raises CheckFailed.
    """
    document = strict_json.decode(payload)
    seals = document if isinstance(document, list) else [document]
    if not 0 < len(seals) <= MOST_SEALS:
        raise Malformed(f"a list of no seal, or of more than {MOST_SEALS}")
    verdicts = [_check_seal(seal, trust, now) for seal in seals]
    if len(verdicts) == 1:
        return verdicts[0]
    together = combine.combine(verdicts)
    codes = dict.fromkeys(verdict.code for verdict in verdicts)
    return replace(together, aliases=tuple(code for code in codes if code != together.code))


def _check_seal(seal: object, trust: TrustStore, now: TimeBounds) -> Verdict:
    match seal:
        case {
            "data": {"hdr": {"t": str(kind), "v": 1, "is": str()}, "msg": dict(message)} as data,
            "sig": {"alg": str(algorithm), "cer": str(certificate), "sigvl": str(signature)},
        } if kind in _KINDS and algorithm in _ALGORITHMS:
            pass
        case _:
            raise Malformed("not a seal of this kind")
    der = _unbase64(certificate)
    try:
        key, limits = signing.certificate_key(der), signing.certificate_limits(der)
    except signing.BadKey:
        raise Malformed("a broken certificate") from None
    authority = _authority(der, key, trust)
    if not key.verify(_unbase64(signature), strict_json.canonical(data), _ALGORITHMS[algorithm]):
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "the signature does not hold", issuer=authority.issuer)
    for each in (limits, authority.limits):
        each.require(_KINDS[kind], issuer=authority.issuer)
    starts, expires = authority.limits.starts_utc, authority.limits.expires_utc
    return Verdict(
        status=validity.check_validity(now, issued=None, starts=starts, expires=expires, signer=limits),
        reason=limits.reason(now) or authority.limits.reason(now),
        format=FORMAT,
        subject=_subject(message),
        issuer=authority.issuer,
        tests=_tests(message) if kind == "icao.test" else (),
        kind=_kind(kind, message, now),
        code=digest.of_code(FORMAT, strict_json.canonical(data)),
        person=_person(message),
    )


def _authority(der: bytes, signer: signing.PublicKey, trust: TrustStore) -> TrustedKey:
    """The pinned key that vouches for this certificate: its own, or that of the authority that signed it.

    The certificate comes from the code itself, so a pinned id alone, eight bytes that could be met by trying, does
    not vouch for another key.
    """
    for key in trust.keys.get(short_hash(der), ()):
        if FORMAT in key.formats and key.public == signer:
            return key
    for keys in trust.keys.values():
        for key in keys:
            if FORMAT in key.formats and key.limits.may_vouch and signing.is_signed_by(der, key.public):
                return key
    raise CheckFailed(CodeStatus.UNKNOWN_ISSUER, "signed with a certificate that is not pinned here")


def _unbase64(text: str) -> bytes:
    return base64url.decode(text.rstrip("=").encode())


def _subject(message: dict[str, Any]) -> bytes:
    """Name and date of birth; `` without a name: that may be anybody."""
    match message.get("pid"):
        case {"n": str(name), **more} if name.strip():
            return digest.of_subject(name, str(more.get("dob")))
    return b""


def _person(message: dict[str, Any]) -> bytes:
    match message.get("pid"):
        case {"n": str(name), "dob": born}:
            return digest.of_person(name, born)
    return b""


def _tests(message: dict[str, Any]) -> tuple[LabResult, ...]:
    match message:
        case {"dat": {"sc": str(taken), **more}, "tr": {"tc": str(method), "r": str(found)}}:
            kind = _TESTS.get("".join(method.casefold().split()), "")
            result = ResultMeaning.NEGATIVE if found.strip().casefold() == "normal" else lab.finding(found)
            test = lab.result(kind, moment(taken), result)
            if test is None or test.positive or (reported := moment(more.get("ri"))) is None:
                return () if test is None else (test,)
            return (test,) if test.taken_utc <= reported.latest_utc + MAX_AHEAD_S else ()
    raise Malformed("a test without date or result")


def _kind(kind: str, message: dict[str, Any], now: TimeBounds) -> str:
    """What the seal is worth: a vaccination only if each one in it is known to be against COVID-19, and given."""
    if kind == "icao.test":
        return "test"
    events = message.get("ve")
    events = events if isinstance(events, list) else []
    is_worth = all(_is_against_covid(event) and not _is_ahead(event, now) for event in events)
    return "vaccination" if events and is_worth else "other"


def _is_ahead(event: dict[str, Any], now: TimeBounds) -> bool:
    """Whether no dose of it is known to have been given: each is dated ahead, or the clock cannot tell."""
    doses = event.get("vd")
    given = [moment(dose.get("dvc")) for dose in doses if isinstance(dose, dict)] if isinstance(doses, list) else []
    return bool(given) and all(each is not None and each.earliest_utc > now.earliest_utc for each in given)


def _is_against_covid(event: object) -> bool:
    """By the disease (ICD-11) where it is named, else by the vaccine."""
    match event:
        case {"dis": str(disease)} if disease.strip():
            return disease.strip().upper().startswith(_COVID)
        case {"des": str(vaccine)}:
            return vaccine.strip().upper() in _VACCINES
    return False
