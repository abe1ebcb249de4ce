"""SMART Health Card: a compact JWS (ES256, raw deflate), as digits after `shc:/`, whole or in numbered parts.

Source: SMART Health Cards Framework 1.4, spec.smarthealth.cards: "Encoding Chunks as QR Codes", "Health Cards are
Encoded as Compact Serialization JSON Web Signatures", "Revocation". Each pair of digits is a character, less 45.

| claim | meaning |
|---|---|
| iss | https URL of the issuer, without a slash at its end; its keys are at <iss>/.well-known/jwks.json |
| nbf | start of validity, POSIX seconds, may have a fraction |
| exp | end of validity, optional |
| vc.rid | revocation id, optional: at most 24 characters of base64url |
| vc.credentialSubject.fhirBundle | who, and what was done: Patient, Immunization, Observation |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent.credentials import cwt, fhir, validity
from agent.credentials.trust import KeyUse, issuer_name
from agent.crypto import base64url, digest, signing, strict_json
from agent.crypto.inflate import RAW, inflate
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.credentials.trust import TrustedKey, TrustStore

FORMAT = "shc"
TITLE = "SMART Health Card"
KEYS = {FORMAT: KeyUse(("P-256",))}
PREFIX = b"shc:/"
HEALTH_CARD = "https://smarthealth.cards#health-card"

MAX_SINGLE, MAX_PART = 1195, 1191
"""Characters of JWS that one QR code of version 22 may hold: alone, and as one of several parts."""
_MAX_FILE_BYTES = 1 << 16
_DIGITS = re.compile(rb"shc:/(?:([1-9][0-9]?)/([1-9][0-9]?)/)?([0-9]+)")
_LAST_PAIR = 77
_JWS_BEGIN = b"eyJ"
_JWS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ISSUER = re.compile(r"https://[^\s/?#]+(?:/[^\s?#]*[^\s/?#])?")
_RID = re.compile(r"[A-Za-z0-9_-]{1,24}")


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it: digits, or the JWS itself."""
    return payload.startswith((PREFIX, _JWS_BEGIN))


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed; INCOMPLETE for one of several parts."""
    if not payload.startswith(PREFIX):
        return check_jws(payload, trust, now)
    number, count, characters = part(payload)
    if count > 1:
        raise CheckFailed(CodeStatus.INCOMPLETE, f"part {number} of {count}")
    return check_jws(characters, trust, now)


def part(payload: bytes) -> tuple[int, int, bytes]:
    """Number, count and characters of one scanned part; (1, 1, …) for a whole card. Raises Malformed."""
    match = _DIGITS.fullmatch(payload)
    if match is None:
        raise Malformed("not the digits of a health card")
    number, count = (int(group) if group else 1 for group in match.group(1, 2))
    digits = match.group(3)
    if number > count or len(digits) > 2 * (MAX_SINGLE if count == 1 else MAX_PART) or len(digits) % 2:
        raise Malformed("a part that is too long, cut off, or has a wrong number")
    pairs = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    if max(pairs) > _LAST_PAIR:
        raise Malformed("digits that stand for no character")
    return number, count, bytes(pair + 45 for pair in pairs)


def cards(payload: bytes) -> list[bytes]:
    """The signed cards of a `.smart-health-card` file; anything else stands for itself. Raises Malformed."""
    if not (payload.startswith(b"{") and b'"verifiableCredential"' in payload):
        return [payload]
    if len(payload) > _MAX_FILE_BYTES:
        raise Malformed("a file longer than 64 KiB")
    signed = strict_json.decode_object(payload).get("verifiableCredential")
    if not isinstance(signed, list) or not signed or not all(isinstance(card, str) for card in signed):
        raise Malformed("a file without cards")
    found = [card.encode("utf-8", "surrogatepass") for card in signed]
    if not all(card.startswith(_JWS_BEGIN) and _JWS.fullmatch(card) for card in found):
        raise Malformed("a file with something in it that is no signed card")  # a fob's text, for example
    return found


def join(payloads: Iterable[bytes]) -> bytes:
    """The JWS of all parts, in whatever order they were shown. Raises Malformed, or INCOMPLETE."""
    parts: dict[int, bytes] = {}
    counts = set()
    for payload in payloads:
        number, count, characters = part(payload)
        counts.add(count)
        if parts.setdefault(number, characters) != characters:
            raise Malformed("two different parts with one number")
    if len(counts) != 1:
        raise Malformed("parts of different cards")
    if len(parts) < counts.pop():
        raise CheckFailed(CodeStatus.INCOMPLETE, f"{len(parts)} parts are here, others are missing")
    return b"".join(characters for _, characters in sorted(parts.items()))


def check_jws(jws: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on one signed card. Raises CheckFailed."""
    if not _JWS.fullmatch(jws):
        raise Malformed("not a signed card")
    head, body, signature = jws.split(b".")
    header = strict_json.decode_object(base64url.decode(head))
    if header.get("alg") != "ES256" or header.get("zip") != "DEF" or not isinstance(header.get("kid"), str):
        raise Malformed("a card header without ES256, DEF or kid")
    if "crit" in header:
        raise Malformed("a card header that asks for more than this gate understands")
    kid = header["kid"].encode()
    key = trust.signer(FORMAT, kid, base64url.decode(signature), head + b"." + body, signing.ES256)
    claims = strict_json.decode_object(inflate(base64url.decode(body), RAW))
    return _verdict(claims, key, trust, now)


def _verdict(claims: dict[str, Any], key: TrustedKey, trust: TrustStore, now: TimeBounds) -> Verdict:
    issuer, card = claims.get("iss"), claims.get("vc")
    if not isinstance(issuer, str) or not _ISSUER.fullmatch(issuer):
        raise Malformed("an issuer that is not an https address, or ends with a slash")
    issuer = issuer_name(issuer)
    if key.issuer not in ("", issuer):
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    if not isinstance(card, dict) or HEALTH_CARD not in _list(card.get("type")):
        raise Malformed("not a health card")
    subject = card.get("credentialSubject")
    if not isinstance(subject, dict) or not isinstance(subject.get("fhirBundle"), dict):
        raise Malformed("a card that says nothing of anybody")
    starts, expires = cwt.required_time(claims, "nbf"), cwt.time(claims, "exp")
    rid = card.get("rid")
    if rid is not None and not (isinstance(rid, str) and _RID.fullmatch(rid)):
        raise Malformed("a revocation id that is none")
    status = validity.check_validity(now, issued=None, starts=starts, expires=expires, signer=key.limits)
    reason = key.limits.reason(now)
    if rid is not None and starts < trust.revoked_before(key.kid, rid):
        status, reason = CodeStatus.REVOKED, ""
    resources = _resources(subject["fhirBundle"])
    _demand_one_person(subject["fhirBundle"], resources)
    kind, tests = fhir.kind(resources, now.earliest_utc), fhir.tests(resources)
    key.limits.require(kind, *["test"] * bool(tests), issuer=issuer)
    return Verdict(
        status=status,
        reason=reason,
        format=FORMAT,
        subject=_subject(resources),
        issuer=issuer,
        issued_utc=starts,
        expires_utc=expires,
        tests=tests,
        kind=kind,
        code=digest.of_code(FORMAT, f"{issuer}|{rid}".encode() if rid else strict_json.canonical(claims)),
        person=_person(resources),
    )


def _demand_one_person(bundle: dict[str, Any], resources: list[dict[str, Any]]) -> None:
    """Raises Malformed where something in the bundle is not known to be of its only patient."""
    every = list(fhir.with_contained(resources))
    names = _names_of_patient(_list(bundle.get("entry")))
    about = [each[name] for each in every for name in ("subject", "patient") if name in each]
    is_of_another = any(not _is_about(each, names) for each in about)
    if is_of_another or sum(each.get("resourceType") == "Patient" for each in every) > 1:
        raise Malformed("a card of several people: whose results they are is not known")


def _names_of_patient(entries: list[Any]) -> set[str]:
    """How the resources of a bundle may refer to its patient: by the address of the entry, which is only that
    one's, and by its id. Where there is none, as on a published card, by that of a report, which is nobody.
    """
    whole = [each for each in entries if isinstance(each, dict) and isinstance(each.get("resource"), dict)]
    urls = [each.get("fullUrl") for each in whole]
    patients = [each for each in whole if each["resource"].get("resourceType") == "Patient"]
    meant = patients or [each for each in whole if each["resource"].get("resourceType") == "DiagnosticReport"]
    names = {each["fullUrl"] for each in meant if isinstance(each.get("fullUrl"), str)}
    names = {url for url in names if urls.count(url) == 1}
    return names | {f"Patient/{each['resource']['id']}" for each in patients if each["resource"].get("id")}


def _is_about(told: object, names: set[str]) -> bool:
    """Whether a FHIR reference names one of these."""
    if not isinstance(told, dict) or not isinstance(told.get("reference"), str):
        return False
    return told["reference"] in names and told.get("type", "Patient") == "Patient"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _resources(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The FHIR resources of the bundle; what is not one is passed over, the signature vouches for the whole."""
    entries = [entry.get("resource") for entry in _list(bundle.get("entry")) if isinstance(entry, dict)]
    return [resource for resource in entries if isinstance(resource, dict)]


def _patient(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """The first patient; empty when there is none."""
    return next((each for each in resources if each.get("resourceType") == "Patient"), {})


def _subject(resources: list[dict[str, Any]]) -> bytes:
    """Names and date of birth of the first patient; `` without a name: that may be anybody."""
    patient = _patient(resources)
    if not patient.get("name"):
        return b""
    return digest.of_subject(strict_json.canonical(patient["name"]).decode(), str(patient.get("birthDate")))


def _person(resources: list[dict[str, Any]]) -> bytes:
    patient = _patient(resources)
    match patient.get("name"):
        case [{"family": str(family), "given": list(given)}, *_]:
            names = [family, *(each for each in given if isinstance(each, str))]
            return digest.of_person(" ".join(names), patient.get("birthDate"))
    return b""
