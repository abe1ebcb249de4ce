"""EU Digital COVID Certificate: `HC1:`, base45, zlib, COSE_Sign1, CWT with the health claim -260.

Source: eHealth Network, "Electronic Health Certificates", hcert_spec 1.0.5, sections 2 to 4; "Value Sets" for the
codes of tests. Signatures: ES256 or PS256; ES256 is taken with any curve, as some states sign. A certificate has no
colour: what it is worth is for the policy (`certificate`, and its kind).

| claim | label | meaning |
|---|---|---|
| iss | 1 | country of the issuer |
| exp | 4 | end of technical validity; required |
| iat | 6 | time of issue; the specification gives it no part in validity, and some states date it ahead |
| hcert | -260 | {1: {nam, dob, ver, and one of v, t, r: a list with one entry}} |

An entry is what its group says only if it is known to be: of COVID-19 (`tg`), a vaccination with all doses of its
series (`dn` of `sd`), a recovery between its days (`df` to `du`), a test of a known kind (`tt`) that found nothing
(`tr`). Otherwise it is `other`, and a negative test is none. A vaccination dated ahead is none yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.credentials import cose, cwt, lab, validity
from agent.credentials.formats import who
from agent.credentials.lab import ResultMeaning
from agent.credentials.trust import KeyUse
from agent.credentials.wallclock import earliest_end, latest_start, moment
from agent.crypto import base45, digest
from agent.crypto.inflate import inflate
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import LabResult, TimeBounds, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.credentials.trust import TrustStore

FORMAT = "dcc"
TITLE = "EU Digital COVID Certificate"
KEYS = {FORMAT: KeyUse(("P-256", "P-384", "P-521", "RSA"))}
PREFIX = b"HC1:"
HCERT, V1 = -260, 1

_KINDS = {"v": "vaccination", "t": "test", "r": "recovery"}
_COUNTRY = re.compile(r"[A-Z]{2,3}")
_UCI_PREFIX, _DUTCH_PREFIX = "URN:UVCI:", "URN:UCI:"
"""May be missing, as the check characters may, in the certificate as in a list."""
_CHECKS = (-3, -2)
"""Where the `#` before one or two check characters can stand."""
_UCI = re.compile(r"(?=.*[0-9])[A-Z0-9]+(?:[/:#][A-Z0-9]*)*")
_COVID = "840539006"
_TESTS = {"LP6464-4": "pcr", "LP217198-3": "antigen"}
_FINDINGS = {"260415000": ResultMeaning.NEGATIVE, "260373001": ResultMeaning.POSITIVE}


class _HealthClaim(NamedTuple):
    """What the health claim says, as far as a gate needs it."""

    kind: str = "other"
    """What it is worth; `other` for what is not known to be worth more."""
    subject: bytes = b""
    person: bytes = b""
    groups: tuple[str, ...] = ()
    """What it says it is, worth it or not: what its signer must be allowed to sign."""
    ucis: tuple[str, ...] = ()
    """Identifiers of all its entries."""
    tests: tuple[LabResult, ...] = ()


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    message = cose.parse(inflate(base45.decode(payload[len(PREFIX) :])))
    claims = cwt.claims_of(message.payload)
    certificate = claims.get(HCERT)
    if isinstance(certificate, Mapping) and who.is_beyond(certificate):
        return who.check_message(message, claims, certificate, trust, now)
    try:
        key = trust.signer(FORMAT, message.kid, message.signature, message.signed, message.algorithm)
    except CheckFailed as no:
        country = claims.get(cwt.ISS)
        if isinstance(country, str) and _COUNTRY.fullmatch(country):
            raise CheckFailed(
                no.status, f"{no.reason}; it says that it is from {country}", issuer=no.issuer
            ) from None
        raise
    expires = cwt.required_time(claims, cwt.EXP)
    health = _health(claims.get(HCERT), now)
    key.limits.require(*health.groups, issuer=key.issuer)
    code, *aliases = _keys(health.ucis) or (digest.of_code(FORMAT, message.payload),)
    return Verdict(
        status=validity.check_validity(now, issued=None, starts=None, expires=expires, signer=key.limits),
        reason=key.limits.reason(now),
        format=FORMAT,
        subject=health.subject,
        issuer=key.issuer,
        issued_utc=cwt.time(claims, cwt.IAT),
        expires_utc=expires,
        tests=health.tests,
        kind=health.kind,
        code=code,
        aliases=tuple(aliases),
        person=health.person,
    )


def code_key(uci: str) -> bytes:
    """Key of a certificate by its identifier: in capitals, with the optional prefix, without the optional check
    characters after `#`.
    """
    return _hash(_canonical(uci))


def is_uci(text: str) -> bool:
    """Whether a certificate's identifier can be written so."""
    return _UCI.fullmatch(text.strip().upper()) is not None


def _keys(ucis: Iterable[str]) -> list[bytes]:
    """Keys of a certificate by all its identifiers. The EU's own lists, which call this form of hash `UCI`, have
    them with the check characters, in capitals or as they are written.
    """
    texts = dict.fromkeys(text for uci in ucis for text in (_canonical(uci), _with_prefix(uci), uci))
    return [_hash(text) for text in texts]


def _canonical(uci: str) -> str:
    capitals = uci.strip().upper()
    prefix = next((each for each in (_UCI_PREFIX, _DUTCH_PREFIX) if capitals.startswith(each)), "")
    body = capitals.removeprefix(prefix) or capitals
    for at in _CHECKS:
        if len(body) > -at and body[at] == "#":
            return _UCI_PREFIX + body[:at]
    return _UCI_PREFIX + body


def _with_prefix(uci: str) -> str:
    capitals = uci.strip().upper()
    return capitals if capitals.startswith(_UCI_PREFIX) else _UCI_PREFIX + capitals


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[: digest.SIZE]


def _health(claim: object, now: TimeBounds) -> _HealthClaim:
    if not isinstance(claim, Mapping) or not isinstance(certificate := claim.get(V1), Mapping):
        raise Malformed("no health claim")
    kind, groups, ucis, tests = "other", [], [], []
    for group, name in _KINDS.items():
        if not (entries := _entries(certificate, group)):
            continue
        groups.append(name)
        kind = name
        for entry in entries:
            uci = entry.get("ci")
            if isinstance(uci, str) and uci:
                ucis.append(uci)
            if not _is_worth(group, entry, now):
                kind = "other"
            if group == "t" and (test := _test(entry)) is not None:
                tests.append(test)
    if len(groups) > 1:
        kind = "other"
    subject, person = _subject(certificate), _person(certificate)
    return _HealthClaim(kind, subject, person, tuple(groups), tuple(ucis), tuple(tests))


def _entries(certificate: Mapping[Any, Any], group: str) -> Sequence[Mapping[Any, Any]]:
    """What a certificate has of a group. Raises Malformed."""
    entries = certificate.get(group) or ()
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
        raise Malformed("entries that are not a list of maps")
    return entries


def _is_worth(group: str, entry: Mapping[Any, Any], now: TimeBounds) -> bool:
    """Whether the entry is known to be a vaccination, a test or a recovery. What a test found, `tests` says."""
    if entry.get("tg") != _COVID:
        return False
    if group == "v":
        dose, doses, given = entry.get("dn"), entry.get("sd"), moment(entry.get("dt"))
        is_ahead = given is not None and given.earliest_utc > now.earliest_utc
        return type(dose) is int and type(doses) is int and dose >= doses > 0 and not is_ahead
    if group == "r":
        first, last = latest_start(entry.get("df")), earliest_end(entry.get("du"))
        return first is not None and last is not None and first <= now.earliest_utc and now.latest_utc < last
    return True


def _subject(certificate: Mapping[Any, Any]) -> bytes:
    """Transliterated names and date of birth: what is the same in all certificates of one person; `` without."""
    name = certificate.get("nam")
    names = name if isinstance(name, Mapping) else {}
    if not (names.get("fnt") or names.get("gnt")):
        return b""
    return digest.of_subject(str(names.get("fnt")), str(names.get("gnt")), str(certificate.get("dob")))


def _person(certificate: Mapping[Any, Any]) -> bytes:
    name = certificate.get("nam")
    names = [name.get(part) for part in ("fnt", "gnt")] if isinstance(name, Mapping) else []
    return digest.of_person(" ".join(each for each in names if isinstance(each, str)), certificate.get("dob"))


def _test(entry: Mapping[Any, Any]) -> LabResult | None:
    kind = _TESTS.get(str(entry.get("tt")), "") if entry.get("tg") == _COVID else ""
    found = _FINDINGS.get(told := str(entry.get("tr")))
    if found is None:  # no negative one in words: the specification has codes
        is_positive = lab.finding(told) is ResultMeaning.POSITIVE
        found = ResultMeaning.POSITIVE if is_positive else ResultMeaning.UNKNOWN
    return lab.result(kind, moment(entry.get("sc")), found)
