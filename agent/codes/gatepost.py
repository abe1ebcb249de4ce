"""Gatepost's own signed code: a CWT (RFC 8392) in COSE_Sign1, EdDSA, base45, after the prefix `GP1:`.

| claim | label | type | meaning |
|---|---|---|---|
| iss | 1 | text | issuer; must be the name under which the key is pinned |
| sub | 2 | text | the holder, by the issuer's own pseudonym: no name, no document number |
| exp | 4 | int | end of validity, POSIX seconds; required |
| nbf | 5 | int | start of validity; optional |
| iat | 6 | int | time of issue; required |
| colour | -70001 | int | 1 green, 2 yellow, 3 red; required (labels below -65536 are for private use) |
| tests | -70002 | array | of [kind, taken, positive]: 1 pcr or 2 antigen; POSIX seconds; a bool |

About 220 characters with one test: QR version 8, level M, in alphanumeric mode. A dynamic code is the same with
an `exp` one minute ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from agent.codes import base45, cbor, cose, signing, validity
from agent.codes.refusal import Malformed, Refused
from agent.model import CodeStatus, Colour, LabResult, Now, Verdict

if TYPE_CHECKING:
    from agent.codes.trust import Trust, TrustedKey

FORMAT = "gatepost"
PREFIX = b"GP1:"

ISS, SUB, EXP, NBF, IAT, COLOUR, TESTS = 1, 2, 4, 5, 6, -70001, -70002
_COLOURS = {1: Colour.GREEN, 2: Colour.YELLOW, 3: Colour.RED}
TEST_KINDS = {"pcr": 1, "antigen": 2}
_KIND_NAMES = {number: name for name, number in TEST_KINDS.items()}
_MAX_TESTS = 16
_MAX_UTC = 1 << 40


def recognises(payload: bytes) -> bool:
    """Whether this file is the one to check it."""
    return payload.startswith(PREFIX)


def check(payload: bytes, trust: Trust, now: Now) -> Verdict:
    """Verdict on a code that `recognises`. Raises Refused."""
    message = cose.parse(base45.decode(payload[len(PREFIX) :]))
    key = _signer(message, trust)
    claims = cbor.decode(message.payload)
    if not isinstance(claims, Mapping):
        raise Malformed("claims that are not a map")
    if claims.get(ISS) != key.issuer:
        raise Refused(CodeStatus.BAD_SIGNATURE, "signed with another issuer's key", issuer=key.issuer)
    issued, expires = _time(claims, IAT), _time(claims, EXP)
    starts = _time(claims, NBF) if NBF in claims else None
    return Verdict(
        status=validity.judge(now, issued=issued, starts=starts, expires=expires),
        format=FORMAT,
        subject=subject_key(key.issuer, _text(claims, SUB)),
        issuer=key.issuer,
        colour=_colour(claims.get(COLOUR)),
        issued_utc=issued,
        expires_utc=expires,
        tests=_tests(claims.get(TESTS, ())),
    )


def subject_key(issuer: str, subject: str) -> bytes:
    """16 bytes for the holder: the same for every code that this issuer gives this person."""
    return blake2b(f"{issuer}\0{subject}".encode(), digest_size=16, person=b"gatepost-subject").digest()


def issue(key: signing.PrivateKey, claims: Mapping[int, object]) -> str:
    """Text of a code with these claims."""
    payload = cbor.encode(dict(claims))
    protected, to_sign = cose.build(signing.EDDSA, key.public.kid, payload)
    return PREFIX.decode() + base45.encode(cose.assemble(protected, payload, key.sign(to_sign)))


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
    result: dict[int, object] = {ISS: issuer, SUB: subject, EXP: expires_utc, IAT: issued_utc}
    result[COLOUR] = {colour: number for number, colour in _COLOURS.items()}[colour]
    if tests:
        result[TESTS] = [[TEST_KINDS[test.kind], int(test.taken_utc), test.positive] for test in tests]
    return result


def _signer(message: cose.Sign1, trust: Trust) -> TrustedKey:
    candidates = trust.candidates(message.kid, FORMAT)
    if not candidates:
        raise Refused(CodeStatus.UNKNOWN_ISSUER, "signed with a key that is not pinned here")
    for key in candidates:
        if key.public.verify(message.signature, message.signed, message.algorithm):
            return key
    raise Refused(CodeStatus.BAD_SIGNATURE, "the signature does not hold", issuer=candidates[0].issuer)


def _colour(value: object) -> Colour:
    if type(value) is not int or value not in _COLOURS:
        raise Malformed("no colour")
    return _COLOURS[value]


def _text(claims: Mapping[Any, Any], label: int) -> str:
    value = claims.get(label)
    if not isinstance(value, str) or not value:
        raise Malformed("a claim that should be text is not")
    return value


def _time(claims: Mapping[Any, Any], label: int) -> float:
    value = claims.get(label)
    if type(value) is not int or not 0 <= value < _MAX_UTC:
        raise Malformed("a claim that should be a time is not")
    return float(value)


def _tests(value: object) -> tuple[LabResult, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_TESTS:
        raise Malformed("tests that are not a list")
    return tuple(_test(item) for item in value)


def _test(item: object) -> LabResult:
    match item:
        case [int(kind), int(taken), bool(positive)] if kind in _KIND_NAMES and 0 <= taken < _MAX_UTC:
            return LabResult(_KIND_NAMES[kind], float(taken), positive)
    raise Malformed("a test that is not [kind, taken, positive]")
