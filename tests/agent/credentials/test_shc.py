"""SMART Health Cards: the published cases, and cards of our own that are broken one way each."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agent import credentials
from agent.credentials import batch
from agent.credentials.formats import shc
from agent.credentials.trust import BadTrustStore, TrustedKey, TrustStore, parse_keys, revocations
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, LabResult, TimeBounds

ISSUER = "https://health.example/issuer"
NOW = TimeBounds(1_700_000_000, 1_700_000_001, ClockState.SYNCED)
KEY = ec.generate_private_key(ec.SECP256R1())
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "nbf": 1_699_000_000.5,
    "vc": {
        "type": [shc.HEALTH_CARD],
        "rid": "revocation-1",
        "credentialSubject": {
            "fhirVersion": "4.0.1",
            "fhirBundle": {
                "resourceType": "Bundle",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "Patient",
                            "name": [{"family": "Any"}],
                            "birthDate": "1990-01-01",
                        }
                    },
                    {
                        "resource": {
                            "resourceType": "Immunization",
                            "status": "completed",
                            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
                        }
                    },
                ],
            },
        },
    },
}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims: dict[str, Any] | bytes, **header: object) -> bytes:
    head = {"alg": "ES256", "zip": "DEF", "kid": "key-1"} | header
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(body) + packer.flush()
    message = f"{b64(json.dumps(head).encode())}.{b64(packed)}"
    r, s = decode_dss_signature(KEY.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{b64(r.to_bytes(32) + s.to_bytes(32))}".encode()


def digits(jws: bytes) -> bytes:
    return b"".join(b"%02d" % (character - 45) for character in jws)


def parts(jws: bytes, count: int) -> list[bytes]:
    size = -(-len(jws) // count)
    return [
        b"shc:/%d/%d/" % (number + 1, count) + digits(jws[number * size : (number + 1) * size])
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def trust() -> TrustStore:
    numbers = KEY.public_key().public_numbers()
    public = signing.point_key("P-256", numbers.x, numbers.y)
    return TrustStore({b"key-1": (TrustedKey(ISSUER, b"key-1", frozenset({"shc"}), public),)})


def judge(vectors: Any, revoked: list[str]) -> dict[str, tuple[bool, bool]]:
    """Case → (truth, our answer)."""
    keys = vectors("shc-jwks.json")
    answers = {}
    for case in vectors("shc.json"):
        data = case["data"]
        text = {"text": data} if isinstance(data, str) else {"texts": data}
        line = {"id": case["id"], "jwks": keys, "revoked": revoked} | text
        answers[case["id"] + case["why"]] = (
            case["accept"],
            batch.verify_line(json.dumps(line).encode(), TrustStore())["accept"],
        )
    return answers


def test_every_vector_is_judged_right(vectors: Any) -> None:
    assert [name for name, (truth, answer) in judge(vectors, []).items() if truth != answer] == []


def test_the_issuers_revocation_list_is_heeded(vectors: Any) -> None:
    answers = judge(vectors, vectors("shc-crl.json")["rids"])
    changed = [name for name, (truth, answer) in answers.items() if truth != answer]
    assert changed
    assert all(name.startswith("example-03") for name in changed)


def test_a_card_of_our_own(trust: TrustStore) -> None:
    verdict = credentials.check(b"shc:/" + digits(sign(CLAIMS)), trust, NOW)
    assert (verdict.status, verdict.kind, verdict.issuer) == (CodeStatus.VALID, "vaccination", ISSUER)
    assert credentials.check(sign(CLAIMS), trust, NOW) == verdict


@pytest.mark.parametrize(
    "change",
    [
        {"iss": ISSUER + "/"},
        {"iss": "http://health.example/issuer"},
        {"iss": 7},
        {"nbf": None},
        {"nbf": "now"},
        {"nbf": True},
        {"vc": {}},
        {"vc": CLAIMS["vc"] | {"type": ["something else"]}},
        {"vc": CLAIMS["vc"] | {"type": shc.HEALTH_CARD}},
        {"vc": CLAIMS["vc"] | {"credentialSubject": {}}},
        {"vc": CLAIMS["vc"] | {"rid": "with spaces"}},
        {"vc": CLAIMS["vc"] | {"rid": "x" * 25}},
    ],
    ids=str,
)
def test_signed_but_wrong(trust: TrustStore, change: dict[str, Any]) -> None:
    assert credentials.check(sign(CLAIMS | change), trust, NOW).status is CodeStatus.MALFORMED


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"zip": None}, {"kid": 7}, {"kid": "\ud800"}, {"crit": ["b64"]}]
)
def test_wrong_header(trust: TrustStore, header: dict[str, object]) -> None:
    assert credentials.check(sign(CLAIMS, **header), trust, NOW).status is CodeStatus.MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        json.dumps(CLAIMS).encode()[:-1] + b',"iss":"https://twice.example"}',
        b"[" * 60_000,
        b'{"nbf":' + b"9" * 5_000 + b"}",
        b'{"nbf":NaN}',
        b"\xff",
        b" " * (1 << 17),
        json.dumps(CLAIMS | {"more": ["\udfff"]}).encode(),
    ],
    ids=["mark", "twice", "deep", "digits", "nan", "utf8", "bomb", "half"],
)
def test_hostile_json(trust: TrustStore, body: bytes) -> None:
    assert credentials.check(sign(body), trust, NOW).status is CodeStatus.MALFORMED


def test_not_before_and_expiry(trust: TrustStore) -> None:
    late = CLAIMS | {"exp": NOW.earliest_utc - 1}
    early = CLAIMS | {"nbf": NOW.latest_utc + 1}
    assert credentials.check(sign(late), trust, NOW).status is CodeStatus.EXPIRED
    assert credentials.check(sign(early), trust, NOW).status is CodeStatus.NOT_YET_VALID


def test_another_issuers_name_with_a_trusted_key(trust: TrustStore) -> None:
    stranger = CLAIMS | {"iss": "https://evil.example"}
    assert credentials.check(sign(stranger), trust, NOW).status is CodeStatus.BAD_SIGNATURE


@pytest.mark.parametrize(("rid", "status"), [("revocation-1", CodeStatus.REVOKED), ("other", CodeStatus.VALID)])
def test_revocation(trust: TrustStore, rid: str, status: CodeStatus) -> None:
    for suffix, expected in (("", status), (".1699000001", status), (".1699000000", CodeStatus.VALID)):
        known = TrustStore(trust.keys, revoked=revocations(list(trust.keys), [rid + suffix]))
        assert credentials.check(sign(CLAIMS), known, NOW).status is expected


def test_parts_in_any_order(trust: TrustStore) -> None:
    shown = parts(sign(CLAIMS), 3)
    whole = credentials.check(sign(CLAIMS | {}), trust, NOW)
    for order in itertools.permutations(shown):
        verdict = credentials.check_all(order, trust, NOW)
        assert (verdict.status, verdict.subject) == (CodeStatus.VALID, whole.subject)
    assert credentials.check_all([*shown, shown[1]], trust, NOW).status is CodeStatus.VALID


def test_a_missing_part_is_asked_for(trust: TrustStore) -> None:
    shown = parts(sign(CLAIMS), 3)
    assert credentials.check(shown[0], trust, NOW).status is CodeStatus.INCOMPLETE
    assert credentials.check_all(shown[:2], trust, NOW).status is CodeStatus.INCOMPLETE


def test_parts_that_do_not_belong_together(trust: TrustStore) -> None:
    one, other = parts(sign(CLAIMS), 3), parts(sign(CLAIMS | {"nbf": 1.0}), 3)
    assert credentials.check_all([one[0], one[1], one[2], other[2]], trust, NOW).status is CodeStatus.MALFORMED
    assert (
        credentials.check_all([one[0], one[1], *parts(sign(CLAIMS), 2)], trust, NOW).status is CodeStatus.MALFORMED
    )
    assert credentials.check_all([one[0], one[1], other[2]], trust, NOW).status is not CodeStatus.VALID


@pytest.mark.parametrize("text", [b"shc:/", b"shc:/1", b"shc:/99", b"shc:/1/2", b"shc:/0/2/1122", b"shc:/3/2/1122"])
def test_what_is_no_card(trust: TrustStore, text: bytes) -> None:
    assert credentials.check(text, trust, NOW).status is CodeStatus.MALFORMED


def test_a_file_of_cards(trust: TrustStore) -> None:
    file = json.dumps({"verifiableCredential": [sign(CLAIMS).decode()] * 2}).encode()
    assert credentials.check_all([file], trust, NOW).status is CodeStatus.VALID
    assert credentials.check_all([b'{"verifiableCredential": 7}'], trust, NOW).status is CodeStatus.MALFORMED


def test_a_test_result_counts_from_the_first_moment_of_its_day(trust: TrustStore) -> None:
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "94500-6"}]},
        "effectiveDateTime": "2021-01-01",
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "260415000"}]},
    }
    subject = {"fhirBundle": {"entry": [{"resource": observation}]}}
    verdict = credentials.check(sign(CLAIMS | {"vc": CLAIMS["vc"] | {"credentialSubject": subject}}), trust, NOW)
    assert (verdict.kind, verdict.tests) == (
        "test",
        (LabResult("pcr", 1_609_408_800.0, latest_utc=1_609_588_800.0),),
    )


@pytest.mark.parametrize("rid", ["a b", "abc ", "", "a" * 25, "abc.", "abc.12s", "vwAjHdarZuc.-1"])
def test_a_revocation_of_no_card_is_refused(rid: str) -> None:
    with pytest.raises(BadTrustStore, match="is no rid"):
        parse_keys(f'[[revoked]]\nkid = "aa"\nrids = ["abc", "{rid}"]\n', "keys")
    assert parse_keys('[[revoked]]\nkid = "aa"\nrids = ["abc", "x_-.99"]\n', "keys").revoked


@pytest.mark.parametrize(
    ("rids", "limit"), [(["abc", "abc.99"], math.inf), (["abc.99", "abc"], math.inf), (["abc.99", "abc.7"], 99.0)]
)
def test_of_two_revocations_the_stricter_one_counts(rids: list[str], limit: float) -> None:
    one = f'[[revoked]]\nkid = "aa"\nrids = ["{rids[0]}", "{rids[1]}"]\n'
    two = "".join(
        f'[[revoked]]\nkid = "{kid}"\nrids = ["{rid}"]\n' for kid, rid in zip(("aa", "AA"), rids, strict=True)
    )
    for text in (one, two):
        assert parse_keys(text, "keys").revoked_before(b"\xaa", "abc") == limit


RESULT = {"resourceType": "Observation", "status": "final"}
CHILD = {"resourceType": "Patient", "id": "c", "name": [{"family": "Other"}]}


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ([{"resource": RESULT | {"subject": {"reference": "resource:0"}}}], CodeStatus.VALID),
        ([{"resource": RESULT | {"subject": {"reference": "resource:0", "type": "Patient"}}}], CodeStatus.VALID),
        ([{"resource": RESULT | {"subject": {"reference": "Patient/p"}}}], CodeStatus.VALID),
        ([{"resource": RESULT | {"subject": {"reference": "Patient/2"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"reference": "https://x.example/Patient/p"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"reference": "RelatedPerson/7"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"reference": "resource:9"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"reference": "resource:0", "type": "Device"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"identifier": {"value": "7"}}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"type": "RelatedPerson"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": {"display": "?"}}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": [{"reference": "resource:0"}]}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"subject": None}}], CodeStatus.MALFORMED),
        ([{"fullUrl": [], "resource": RESULT | {"subject": {"reference": []}}}], CodeStatus.MALFORMED),
        ([{"fullUrl": [], "resource": RESULT}, {"resource": 7}, 7], CodeStatus.VALID),
        (
            [
                {"fullUrl": "resource:0", "resource": {"resourceType": "Device"}},
                {"resource": RESULT | {"subject": {"reference": "resource:0"}}},
            ],
            CodeStatus.MALFORMED,
        ),
        (
            [
                {"fullUrl": "resource:7", "resource": {"resourceType": "Organization"}},
                {"resource": RESULT | {"subject": {"reference": "resource:7"}}},
            ],
            CodeStatus.MALFORMED,
        ),
        ([{"resource": RESULT | {"subject": {"reference": "#c"}, "contained": [CHILD]}}], CodeStatus.MALFORMED),
        ([{"resource": RESULT | {"contained": [CHILD]}}], CodeStatus.MALFORMED),
        (
            [
                {"fullUrl": "resource:7", "resource": {"resourceType": "RelatedPerson"}},
                {"resource": RESULT | {"subject": {"reference": "resource:7"}}},
            ],
            CodeStatus.MALFORMED,
        ),
        (
            [
                {"fullUrl": "resource:7", "resource": {"resourceType": "Location"}},
                {"resource": {"resourceType": "Immunization", "patient": {"reference": "resource:7"}}},
            ],
            CodeStatus.MALFORMED,
        ),
    ],
)
def test_what_is_not_known_to_be_of_the_patient_makes_a_card_none(
    trust: TrustStore, entries: list[dict[str, Any]], status: CodeStatus
) -> None:
    bundle = CLAIMS["vc"]["credentialSubject"]["fhirBundle"]
    patient = {"fullUrl": "resource:0", "resource": bundle["entry"][0]["resource"] | {"id": "p"}}
    subject = {"fhirBundle": bundle | {"entry": [patient, *entries]}}
    claims = CLAIMS | {"vc": CLAIMS["vc"] | {"credentialSubject": subject}}
    assert credentials.check(sign(claims), trust, NOW).status is status


def test_a_card_of_two_people_is_none(trust: TrustStore) -> None:
    """Whose results they are is not known."""
    bundle = CLAIMS["vc"]["credentialSubject"]["fhirBundle"]
    entries = [*bundle["entry"], {"resource": {"resourceType": "Patient", "name": [{"family": "Other"}]}}]
    subject = {"fhirVersion": "4.0.1", "fhirBundle": bundle | {"entry": entries}}
    claims = CLAIMS | {"vc": CLAIMS["vc"] | {"credentialSubject": subject}}
    assert credentials.check(sign(claims), trust, NOW).status is CodeStatus.MALFORMED
    assert credentials.check(sign(CLAIMS), trust, NOW).status is CodeStatus.VALID
