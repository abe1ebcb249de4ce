"""Gatepost's own signed code: a CWT (RFC 8392) in COSE_Sign1, EdDSA, base45, after the prefix `GP1:`.

| claim | label | type | meaning |
|---|---|---|---|
| iss | 1 | text | issuer; must be the name under which the key is pinned |
| sub | 2 | text | the holder, by the issuer's own pseudonym: no name, no document number |
| exp | 4 | int | end of validity, POSIX seconds; required |
| nbf | 5 | int | start of validity; optional |
| iat | 6 | int | time of issue; required |
| colour | -70001 | int | 1 green, 2 yellow, 3 red; required (labels below -65536 are for private use) |
| tests | -70002 | array | of [kind, taken, positive] and maybe a fourth, reported: kind 1 pcr, 2 antigen; POSIX s |

About 220 characters with one test: QR version 8, level M, in alphanumeric mode. A dynamic code is the same with
an `exp` one minute ahead. An issuer who must use SM2 signs the same claims with an SM2 key (see `sm2`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.credentials import cose, cwt, validity
from agent.credentials.trust import KeyUse
from agent.crypto import base45, cbor, digest, signing
from agent.crypto.refusal import CheckFailed, Malformed
from agent.model import CodeStatus, Colour, LabResult, TimeBounds, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.credentials.trust import TrustStore

FORMAT = "gatepost"
TITLE = "Gatepost code"
PREFIX = b"GP1:"
DRILL = "drill"
KEYS = {FORMAT: KeyUse(), DRILL: KeyUse()}
"""What a key is pinned for whose codes are those of an exercise (演练)."""

COLOUR, TESTS = -70001, -70002
COLOURS = {Colour.GREEN: 1, Colour.YELLOW: 2, Colour.RED: 3}
TEST_KINDS = {"pcr": 1, "antigen": 2}
_COLOUR_OF = {number: colour for colour, number in COLOURS.items()}
_KIND_OF = {number: kind for kind, number in TEST_KINDS.items()}
MAX_TESTS = 16


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: TrustStore, now: TimeBounds) -> Verdict:
    """Verdict on a code that `recognises`. Raises CheckFailed."""
    message = cose.parse(base45.decode(payload[len(PREFIX) :]))
    signed = message.kid, message.signature, message.signed, message.algorithm
    try:
        key, drill = trust.signer(FORMAT, *signed), False
    except CheckFailed:
        if not any(DRILL in known.formats for known in trust.keys.get(message.kid, ())):
            raise
        key, drill = trust.signer(DRILL, *signed), True
    claims = cwt.claims_of(message.payload)
    if claims.get(cwt.ISS) != key.issuer:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    issued, expires = cwt.required_time(claims, cwt.IAT), cwt.required_time(claims, cwt.EXP)
    tests = _tests(claims.get(TESTS, ()))
    key.limits.require(*["test"] * bool(tests), issuer=key.issuer)
    starts = cwt.time(claims, cwt.NBF)
    return Verdict(
        status=validity.check_validity(now, issued=issued, starts=starts, expires=expires, signer=key.limits),
        reason=key.limits.reason(now),
        format=FORMAT,
        subject=subject_key(key.issuer, cwt.text(claims, cwt.SUB)),
        issuer=key.issuer,
        colour=_colour(claims.get(COLOUR)),
        issued_utc=issued,
        expires_utc=expires,
        tests=tests,
        code=digest.of_code(FORMAT, message.payload),
        drill=drill,
    )


def subject_key(issuer: str, subject: str) -> bytes:
    """16 bytes for the holder: the same for every code that this issuer gives this person."""
    return digest.of_subject(issuer, subject)


def claims(
    issuer: str,
    subject: str,
    colour: Colour,
    *,
    issued_utc: int,
    expires_utc: int,
    tests: Sequence[LabResult] = (),
) -> dict[int, object]:
    """Claims in the form of the table above."""
    result: dict[int, object] = {
        cwt.ISS: issuer,
        cwt.SUB: subject,
        cwt.EXP: expires_utc,
        cwt.IAT: issued_utc,
        COLOUR: COLOURS[colour],
    }
    if tests:
        result[TESTS] = [[TEST_KINDS[test.kind], int(test.taken_utc), test.positive] for test in tests]
    return result


def issue(key: signing.PrivateKey, claims: Mapping[int, object]) -> str:
    """Text of a code with these claims."""
    payload = cbor.encode(dict(claims))
    protected, to_sign = cose.build(key.algorithm, key.public.kid, payload)
    return PREFIX.decode() + base45.encode(cose.assemble(protected, payload, key.sign(to_sign)))


def _colour(value: object) -> Colour:
    if type(value) is not int or value not in _COLOUR_OF:
        raise Malformed("no colour")
    return _COLOUR_OF[value]


def _tests(value: object) -> tuple[LabResult, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_TESTS:
        raise Malformed("tests that are not a list")
    return tuple(_test(item) for item in value)


def _test(item: object) -> LabResult:
    match item:
        case [int(kind), taken, bool(positive)] if type(kind) is int and kind in _KIND_OF:
            return LabResult(_KIND_OF[kind], cwt.seconds(taken), positive)
        case [int(kind), taken, bool(positive), reported] if type(kind) is int and kind in _KIND_OF:
            return LabResult(_KIND_OF[kind], cwt.seconds(taken), positive, reported_utc=cwt.seconds(reported))
    raise Malformed("a test that is not [kind, taken, positive]")
