"""Our own code: what is signed is what is said, and nothing else gets through."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import cose, cwt
from agent.credentials.formats import gatepost
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import base45, cbor, signing, sm2
from agent.model import ClockState, CodeStatus, Colour, LabResult, TimeBounds, Verdict
from tests.damage import flipped

UTC = 1_700_000_000.0
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)

LAB_RESULTS = st.builds(
    LabResult,
    st.sampled_from(["pcr", "antigen"]),
    st.integers(0, 2_000_000_000).map(float),
    st.booleans(),
)


def signed(key: signing.PrivateKey, claims: dict[int, object]) -> bytes:
    return gatepost.issue(key, claims).encode()


def good(**changes: object) -> dict[int, object]:
    claims = gatepost.claims("demo", "a", Colour.GREEN, issued_utc=int(UTC) - 5, expires_utc=int(UTC) + 5)
    names = {"iss": cwt.ISS, "sub": cwt.SUB, "exp": cwt.EXP, "iat": cwt.IAT, "nbf": cwt.NBF}
    names |= {"colour": gatepost.COLOUR, "tests": gatepost.TESTS}
    claims |= {names[name]: value for name, value in changes.items()}
    return {label: value for label, value in claims.items() if value is not None}


def test_a_valid_code(code: bytes, trust: TrustStore, now: TimeBounds) -> None:
    verdict = credentials.check(code, trust, now)
    assert (verdict.status, verdict.format, verdict.issuer) == (CodeStatus.VALID, "gatepost", "demo")
    assert verdict.colour is Colour.GREEN
    assert (verdict.issued_utc, verdict.expires_utc) == (UTC - 500, UTC + 500)
    assert verdict.subject == gatepost.subject_key("demo", "holder-1")
    assert len(verdict.subject) == len(verdict.code) == 16


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    st.sampled_from(Colour),
    st.lists(LAB_RESULTS, max_size=16),
)
@settings(max_examples=50)
def test_round_trip(subject: str, colour: Colour, tests: list[LabResult]) -> None:
    key = signing.new_private_key()
    trust = parse_trust_store([TrustedKey("x", key.public.kid, frozenset({"gatepost"}), key.public)])
    claims = gatepost.claims("x", subject, colour, issued_utc=int(UTC), expires_utc=int(UTC) + 60, tests=tests)
    verdict = credentials.check(signed(key, claims), trust, NOW)
    assert verdict.status is CodeStatus.VALID
    known = tuple(test for test in tests if test.positive or test.taken_utc <= UTC + 86_400)
    assert (verdict.colour, verdict.tests) == (colour, known)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"exp": int(UTC) - 1}, CodeStatus.EXPIRED),
        ({"iat": int(UTC) + 100, "exp": int(UTC) + 200}, CodeStatus.NOT_YET_VALID),
        ({"nbf": int(UTC) + 100}, CodeStatus.NOT_YET_VALID),
        ({"iss": "somebody else"}, CodeStatus.BAD_SIGNATURE),
        ({"exp": None}, CodeStatus.MALFORMED),
        ({"iat": None}, CodeStatus.MALFORMED),
        ({"exp": "tomorrow"}, CodeStatus.MALFORMED),
        ({"exp": -1}, CodeStatus.MALFORMED),
        ({"exp": 1 << 62}, CodeStatus.MALFORMED),
        ({"exp": True}, CodeStatus.MALFORMED),
        ({"exp": float("nan")}, CodeStatus.MALFORMED),
        ({"sub": ""}, CodeStatus.MALFORMED),
        ({"sub": 7}, CodeStatus.MALFORMED),
        ({"colour": 0}, CodeStatus.MALFORMED),
        ({"colour": 4}, CodeStatus.MALFORMED),
        ({"colour": True}, CodeStatus.MALFORMED),
        ({"colour": 1.0}, CodeStatus.MALFORMED),
        ({"colour": None}, CodeStatus.MALFORMED),
        ({"tests": [[1, 2]]}, CodeStatus.MALFORMED),
        ({"tests": [[3, 1, False]]}, CodeStatus.MALFORMED),
        ({"tests": [[1, 1, False]] * 17}, CodeStatus.MALFORMED),
        ({"tests": {}}, CodeStatus.MALFORMED),
    ],
)
def test_signed_but_wrong(
    key: signing.PrivateKey, trust: TrustStore, changes: dict[str, object], status: CodeStatus
) -> None:
    verdict = credentials.check(signed(key, good(**changes)), trust, NOW)
    assert verdict.status is status
    assert verdict.colour is None or status in {CodeStatus.EXPIRED, CodeStatus.NOT_YET_VALID}


def test_claims_that_are_no_map(key: signing.PrivateKey, trust: TrustStore) -> None:
    payload = cbor.encode([1, 2])
    protected, to_sign = cose.build(signing.EDDSA, key.public.kid, payload)
    text = gatepost.PREFIX + base45.encode(cose.assemble(protected, payload, key.sign(to_sign))).encode()
    assert credentials.check(text, trust, NOW).status is CodeStatus.MALFORMED


def test_a_key_that_is_not_pinned(trust: TrustStore, now: TimeBounds) -> None:
    verdict = credentials.check(signed(signing.new_private_key(), good()), trust, now)
    assert verdict.status is CodeStatus.UNKNOWN_ISSUER
    assert not verdict.issuer


def test_a_key_pinned_for_another_format_signs_nothing_here(
    key: signing.PrivateKey, code: bytes, now: TimeBounds
) -> None:
    trust = parse_trust_store([TrustedKey("demo", key.public.kid, frozenset({"dcc"}), key.public)])
    assert credentials.check(code, trust, now).status is CodeStatus.UNKNOWN_ISSUER


def test_two_issuers_with_one_key_id(key: signing.PrivateKey, code: bytes, now: TimeBounds) -> None:
    other = signing.new_private_key()
    formats = frozenset({"gatepost"})
    trust = parse_trust_store(
        [
            TrustedKey("other", key.public.kid, formats, other.public),
            TrustedKey("demo", key.public.kid, formats, key.public),
        ]
    )
    assert credentials.check(code, trust, now).status is CodeStatus.VALID


def said(verdict: Verdict) -> tuple[object, ...]:
    return verdict.subject, verdict.colour, verdict.issuer, verdict.expires_utc, verdict.tests, verdict.code


def test_no_flipped_bit_is_accepted_with_other_claims(code: bytes, trust: TrustStore, now: TimeBounds) -> None:
    """Every single bit of the message below the text."""
    message = base45.decode(code[len(gatepost.PREFIX) :])
    truth = credentials.check(code, trust, now)
    for changed in flipped(message, every=1):
        verdict = credentials.check(gatepost.PREFIX + base45.encode(changed).encode(), trust, now)
        assert verdict.status is not CodeStatus.VALID or said(verdict) == said(truth)


def test_no_flipped_bit_of_the_text_is_accepted_with_other_claims(
    code: bytes, trust: TrustStore, now: TimeBounds
) -> None:
    truth = credentials.check(code, trust, now)
    for changed in flipped(code, every=1):
        verdict = credentials.check(changed, trust, now)
        assert verdict.status is not CodeStatus.VALID or said(verdict) == said(truth)


def test_an_unprotected_header_changes_nothing(code: bytes, trust: TrustStore, now: TimeBounds) -> None:
    """Malleable text, same code: repeats and revocation must not be fooled by it."""
    tag = cbor.decode(base45.decode(code[len(gatepost.PREFIX) :]))
    protected, _, payload, signature = tag.value
    other = cbor.encode(cbor.Tag(18, [protected, {99: "anything"}, payload, signature]))
    text = gatepost.PREFIX + base45.encode(other).encode()
    assert text != code
    assert said(credentials.check(text, trust, now)) == said(credentials.check(code, trust, now))


def test_the_dynamic_form_is_another_code_of_the_same_holder(key: signing.PrivateKey, trust: TrustStore) -> None:
    one = credentials.check(signed(key, good()), trust, NOW)
    two = credentials.check(signed(key, good(exp=int(UTC) + 60)), trust, NOW)
    assert one.subject == two.subject
    assert one.code != two.code


@pytest.fixture(scope="module")
def sm2_key() -> signing.PrivateKey:
    try:
        return signing.new_private_key("sm2")
    except signing.BadKey as error:
        pytest.skip(str(error))


def test_signed_with_sm2(sm2_key: signing.PrivateKey) -> None:
    trust = parse_trust_store([TrustedKey("demo", sm2_key.public.kid, frozenset({"gatepost"}), sm2_key.public)])
    code = signed(sm2_key, good())
    assert credentials.check(code, trust, NOW).status is CodeStatus.VALID
    again = signing.private_key(sm2_key.pem())
    assert credentials.check(signed(again, good()), trust, NOW).status is CodeStatus.VALID


def test_the_algorithm_of_the_header_must_be_the_keys_own(
    key: signing.PrivateKey, trust: TrustStore, now: TimeBounds
) -> None:
    for algorithm in (signing.ES256, signing.PS256, sm2.ALGORITHM, 5):
        payload = cbor.encode(good())
        protected, to_sign = cose.build(algorithm, key.public.kid, payload)
        text = gatepost.PREFIX + base45.encode(cose.assemble(protected, payload, key.sign(to_sign))).encode()
        assert credentials.check(text, trust, now).status is CodeStatus.BAD_SIGNATURE


def test_a_verdict_holds_no_text_of_the_holder(key: signing.PrivateKey, trust: TrustStore) -> None:
    verdict = credentials.check(signed(key, good(sub="Erika Mustermann")), trust, NOW)
    assert verdict.status is CodeStatus.VALID
    assert "Mustermann" not in repr(dataclasses.asdict(verdict))


def test_no_code_tells_of_a_swab_that_was_taken_after_it_was_signed(
    key: signing.PrivateKey, trust: TrustStore, now: TimeBounds
) -> None:
    issued = int(UTC) - 3 * 86_400
    later = [LabResult("pcr", float(issued + hours * 3600), positive) for hours in (23, 49) for positive in (0, 1)]
    (name,) = {each.issuer for keys in trust.keys.values() for each in keys}
    claims = gatepost.claims(
        name, "anna", Colour.GREEN, issued_utc=issued, expires_utc=int(UTC) + 60, tests=[
            LabResult(each.kind, each.taken_utc, bool(each.positive)) for each in later
        ],
    )  # fmt: skip
    verdict = credentials.check(gatepost.issue(key, claims).encode(), trust, now)
    assert verdict.status is CodeStatus.VALID
    assert [((test.taken_utc - issued) / 3600, test.positive) for test in verdict.tests] == [
        (23, False), (23, True), (49, True),
    ]  # fmt: skip


def test_no_code_tells_of_a_report_that_came_after_it_was_signed(
    key: signing.PrivateKey, trust: TrustStore, now: TimeBounds
) -> None:
    issued = int(UTC) - 3 * 86_400
    (name,) = {each.issuer for keys in trust.keys.values() for each in keys}
    claims = gatepost.claims(name, "anna", Colour.GREEN, issued_utc=issued, expires_utc=int(UTC) + 60)
    tests = [[1, issued - 3600, False, issued + hours * 3600] for hours in (0, 24, 71)]
    verdict = credentials.check(gatepost.issue(key, {**claims, gatepost.TESTS: tests}).encode(), trust, now)
    assert verdict.status is CodeStatus.VALID
    assert [test.reported_utc for test in verdict.tests] == [issued, issued + 86_400, None]
