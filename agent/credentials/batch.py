"""Judge a line of an issuer's test set by the gate's own code path. Pure.

In: `{"id", "text" | "texts", "at", "certificates": [base64 DER] | "jwks": {…}, "revoked": [rid]}`.
Out: `{"id", "accept", "authentic", "format", "issuer", "reason", "why"}`; the text does not come back.

`at` is ISO 8601 or POSIX seconds. Without it any moment up to now will do, since test sets grow old: `accept` then
says that the code is authentic, not revoked, and is or has been valid. `texts` are several codes, or the parts of
one, in any order; all must hold. Keys in a line take the place of the gate's own.
"""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent import credentials
from agent.credentials import combine, jwks
from agent.credentials.formats import dcc
from agent.credentials.trust import TrustedKey, TrustStore, certified, parse_trust_store, revocations
from agent.crypto import strict_json
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import ClockState, CodeStatus, TimeBounds, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINE_BYTES = 1 << 20
_IN_TIME = (CodeStatus.VALID, CodeStatus.TIME_UNKNOWN)
_AUTHENTIC = (*_IN_TIME, CodeStatus.EXPIRED, CodeStatus.NOT_YET_VALID)


def verify_line(line: bytes, trust: TrustStore, latest_utc: float = math.inf) -> dict[str, object]:
    """The answer to one line; a line that cannot be used is answered too, with `reason` `bad_line`.

    `latest_utc`: now, for lines without `at`.
    """
    identity: object = None
    try:
        case = strict_json.decode_object(line[:MAX_LINE_BYTES])
        identity = case.get("id")
        now, payloads = _now(case.get("at")), _payloads(case)
        revoked = _texts(case.get("revoked", []))
        trust = _trust(case) if case.keys() & {"certificates", "jwks"} else trust
    except (ValueError, OverflowError, Malformed) as error:
        why = error.reason if isinstance(error, Malformed) else str(error)
        return {"id": identity, "accept": False, "authentic": False, "reason": "bad_line", "why": why}
    trust = replace(trust, revoked={**trust.revoked, **revocations(trust.keys, revoked)})
    verdict = _verdict(
        payloads,
        trust,
        now or TimeBounds(0.0, latest_utc, ClockState.FLOOR),
        {dcc.code_key(uci) for uci in revoked},
    )
    accept = verdict.status is CodeStatus.VALID if now else verdict.status in _IN_TIME
    return {
        "id": identity,
        "accept": accept,
        "authentic": verdict.status in _AUTHENTIC,
        "format": verdict.format,
        "issuer": verdict.issuer,
        "reason": CodeStatus.VALID.value if accept else verdict.status.value,
        "why": "" if accept else verdict.reason,
    }


def _verdict(payloads: list[bytes], trust: TrustStore, now: TimeBounds, revoked: set[bytes]) -> Verdict:
    """The worst verdict of all codes: a set stands for as many holders as it likes."""
    try:
        verdicts = [credentials.check(payload, trust, now) for payload in combine.drop_incomplete(payloads)]
    except CheckFailed as no:
        return Verdict(no.status, "shc", reason=no.reason)
    verdicts = [
        replace(verdict, status=CodeStatus.REVOKED, reason="its issuer has revoked it")
        if verdict.code in revoked
        else verdict
        for verdict in verdicts
    ]
    return next((verdict for verdict in verdicts if verdict.status not in _IN_TIME), verdicts[0])


def _now(at: object) -> TimeBounds | None:
    if at is None:
        return None
    if isinstance(at, int | float) and not isinstance(at, bool):
        utc = float(at)
    else:
        moment = datetime.fromisoformat(str(at))
        utc = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return TimeBounds(utc, utc, ClockState.SYNCED)


def _payloads(case: Mapping[str, Any]) -> list[bytes]:
    texts = _texts(case["texts"] if "texts" in case else [case.get("text")])
    if not 0 < len(texts) <= combine.MOST:
        raise ValueError("text or texts is needed")
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("a list of texts is expected")
    return value


def _trust(case: Mapping[str, Any]) -> TrustStore:
    keys = [_certificate(text) for text in _texts(case.get("certificates", []))]
    if "jwks" in case:
        if not isinstance(case["jwks"], dict):
            raise ValueError("jwks is an object")
        keys += jwks.read(case["jwks"])
    return parse_trust_store(keys)


def _certificate(text: str) -> TrustedKey:
    try:
        der = b64decode(text)
    except binascii.Error:
        raise ValueError("a certificate that is not base64") from None
    return certified(der)
