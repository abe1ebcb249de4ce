"""WHO certificates in the envelope of the EU's (`HC1:`): digital vaccination certificates (ICVP), pilgrims, links.

`dcc` reads the envelope and hands over what is no Digital COVID Certificate. Within the claim -260:

| label | content | what it is worth here |
|---|---|---|
| -6 | vaccination: n name, dob, nid, v {tg disease, vls, vle: first and last day} | `yellow_fever` or `other` |
| 3, 4 | DDCC vaccination, test | `other` |
| 5 | a link to health data | undecided: a gate never opens it |

Source: WHO smart-trust, `hcert_spec` and the logical models DVC and HCERT. `v` is one map, not a list. These
certificates carry no end of their own: their days count, to the end that makes the certificate worth less. Keys are
pinned for the format `who`, from the trust list of the domain (`gatepost keys import --from gdhcn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.credentials import cwt, validity
from agent.credentials.trust import KeyUse
from agent.credentials.wallclock import earliest_end, latest_start
from agent.crypto import digest
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from agent.credentials.cose import Sign1
    from agent.credentials.trust import TrustStore

FORMAT = "who"
TITLE = "WHO vaccination certificate (ICVP) or health link"
KEYS = {FORMAT: KeyUse(("P-256", "P-384", "P-521", "RSA"))}
DCC, DVC, DDCC_VACCINATION, DDCC_TEST, LINK = 1, -6, 3, 4, 5
_KNOWN = (DVC, DDCC_VACCINATION, DDCC_TEST, LINK)
_SIGNS = {DVC: "vaccination", DDCC_VACCINATION: "vaccination", DDCC_TEST: "test"}
"""What its signer must be allowed to sign."""
_YELLOW_FEVER = "1D47"
"""ICD-11."""


def is_beyond(certificate: Mapping[object, object]) -> bool:
    """Whether the claim -260 holds one of these, and no Digital COVID Certificate."""
    return DCC not in certificate and not certificate.keys().isdisjoint(_KNOWN)


def check_message(
    message: Sign1, claims: cwt.Claims, certificate: Mapping[object, object], trust: TrustStore, now: TimeBounds
) -> Verdict:
    """Verdict on what `is_beyond`. What is refused is one of this format, not of `dcc`."""
    try:
        return _check(message, claims, certificate, trust, now)
    except CheckFailed as no:
        return Verdict(no.status, FORMAT, issuer=no.issuer, reason=no.reason)


def _check(
    message: Sign1, claims: cwt.Claims, certificate: Mapping[object, object], trust: TrustStore, now: TimeBounds
) -> Verdict:
    """Raises CheckFailed."""
    key = trust.signer(FORMAT, message.kid, message.signature, message.signed, message.algorithm)
    key.limits.require(*(kind for label, kind in _SIGNS.items() if label in certificate), issuer=key.issuer)
    starts, expires = cwt.time(claims, cwt.NBF), cwt.time(claims, cwt.EXP)
    kind, subject, person = "other", b"", b""
    if DVC in certificate:
        content = _mapping(certificate[DVC])
        vaccination = _mapping(content.get("v"))
        subject = _subject(content)
        person = digest.of_person(str(content.get("n") or ""), content.get("dob"))
        kind = "yellow_fever" if vaccination.get("tg") == _YELLOW_FEVER else "other"
        first, last = _days(vaccination)
        starts = first if starts is None else max(starts, first)
        expires = last if expires is None else min(expires, last)
    status = validity.check_validity(now, issued=None, starts=starts, expires=expires, signer=key.limits)
    reason = key.limits.reason(now)
    if LINK in certificate and status is CodeStatus.VALID:
        status, reason = CodeStatus.UNDECIDED, "a link: what it leads to is not in the code"
    return Verdict(
        status=status,
        reason=reason,
        format=FORMAT,
        subject=subject,
        issuer=key.issuer,
        issued_utc=cwt.time(claims, cwt.IAT),
        expires_utc=expires,
        kind=kind,
        code=digest.of_code(FORMAT, message.payload),
        person=person,
    )


def _mapping(value: object) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise Malformed("a vaccination that is not a map")
    return value


def _days(vaccination: Mapping[object, object]) -> tuple[float, float]:
    """First and last moment of a vaccination's days. Raises Malformed for days that cannot be read."""
    starts: float | None = float("-inf")
    ends: float | None = float("inf")
    if (first := vaccination.get("vls")) is not None:
        starts = latest_start(first)
    if (last := vaccination.get("vle")) is not None:
        ends = earliest_end(last)
    if starts is None or ends is None:
        raise Malformed("a day of validity that cannot be read")
    return starts, ends


def _subject(content: Mapping[object, object]) -> bytes:
    """Number of the document, else name and date of birth; `` when it says neither."""
    number, name = content.get("nid"), content.get("n")
    if isinstance(number, str) and number:
        return digest.of_subject(FORMAT, number)
    return digest.of_subject(FORMAT, name, str(content.get("dob"))) if isinstance(name, str) and name else b""
