"""Codes of two formats count together only for one person: a vaccination of one, a test of another are not."""

from __future__ import annotations

import itertools
import json
import zlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import cose
from agent.credentials.combine import combine
from agent.credentials.formats import card, dcc, gatepost, shc
from agent.credentials.trust import TrustedKey, TrustStore
from agent.crypto import base45, cbor, digest, signing
from agent.model import ClockState, CodeStatus, Colour, LabResult, TimeBounds, Verdict

UTC = 1_700_000_000
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
STATE, HEALTH = signing.new_private_key(), signing.new_private_key()
CARDS = ec.generate_private_key(ec.SECP256R1())
ISSUER = "https://health.example"


def trust() -> TrustStore:
    numbers = CARDS.public_key().public_numbers()
    of_cards = signing.point_key("P-256", numbers.x, numbers.y)
    keys = [
        TrustedKey("XX", STATE.public.kid, frozenset({"dcc"}), STATE.public),
        TrustedKey("health", HEALTH.public.kid, frozenset({"gatepost"}), HEALTH.public),
        TrustedKey(ISSUER, b"key-1", frozenset({"shc"}), of_cards),
    ]
    return TrustStore({key.kid: (key,) for key in keys})


def eu_test(fnt: str = "MUSTERMANN<GAESSLER", gnt: str = "ERIKA", dob: str = "1964-08-12") -> bytes:
    entry = {
        "tg": "840539006",
        "tt": "LP6464-4",
        "sc": "2023-11-14T10:00:00Z",
        "tr": "260415000",
        "ci": "URN:UVCI:01:XX:1",
    }
    health = {"nam": {"fnt": fnt, "gnt": gnt}, "dob": dob, "t": [entry]}
    payload = cbor.encode({1: "XX", 4: UTC + 1000, 6: UTC - 1000, -260: {1: health}})
    protected, to_sign = cose.build(STATE.algorithm, STATE.public.kid, payload)
    message = cose.assemble(protected, payload, STATE.sign(to_sign))
    return dcc.PREFIX + base45.encode(zlib.compress(message)).encode()


def vaccination_card(
    family: str = "Mustermann-Gaessler", given: tuple[str, ...] = ("Erika",), born: str = "1964-08-12"
) -> bytes:
    coding = {"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}
    patient: dict[str, Any] = {"resourceType": "Patient", "birthDate": born}
    if family:
        patient["name"] = [{"family": family, "given": list(given)}]
    shot = {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"coding": [coding]}}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": patient}, {"resource": shot}]}
    subject = {"fhirVersion": "4.0.1", "fhirBundle": bundle}
    claims = {"iss": ISSUER, "nbf": UTC - 1000, "vc": {"type": [shc.HEALTH_CARD], "credentialSubject": subject}}
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(json.dumps(claims).encode()) + packer.flush()
    head = {"alg": "ES256", "zip": "DEF", "kid": "key-1"}
    message = f"{_base64(json.dumps(head).encode())}.{_base64(packed)}"
    r, s = decode_dss_signature(CARDS.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{_base64(r.to_bytes(32) + s.to_bytes(32))}".encode()


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def green() -> bytes:
    claims = gatepost.claims("health", "8f1c20", Colour.GREEN, issued_utc=UTC - 100, expires_utc=UTC + 100)
    return gatepost.issue(HEALTH, claims).encode()


def judge(*codes: bytes) -> Verdict:
    for each in codes:
        assert credentials.check(each, trust(), NOW).status is CodeStatus.VALID
    found = {credentials.check_all(order, trust(), NOW) for order in itertools.permutations(codes)}
    assert len({(each.status, each.kind, each.colour, each.tests) for each in found}) == 1, "in whatever order"
    return found.pop()


def test_a_vaccination_and_a_test_of_one_person_count_together() -> None:
    together = judge(vaccination_card(), eu_test())
    assert (together.status, together.kind, len(together.tests)) == (CodeStatus.VALID, "vaccination", 1)


@pytest.mark.parametrize(
    "other",
    [
        {"gnt": "MAX"},
        {"dob": "1964-08-13"},
        {"fnt": "MUSTERMANN"},
        {"dob": "1964"},
        {"dob": ""},
        {"fnt": "", "gnt": "ERIKA"},
    ],
)
def test_a_vaccination_of_one_and_a_test_of_another_do_not(other: dict[str, str]) -> None:
    together = judge(vaccination_card(), eu_test(**other))
    assert (together.status, together.tests) == (CodeStatus.UNDECIDED, ())


def test_a_pseudonym_and_a_name_are_not_known_to_be_one_person() -> None:
    for certificate in (eu_test(), vaccination_card()):
        together = judge(green(), certificate)
        assert (together.status, together.tests) == (CodeStatus.UNDECIDED, ())


def test_cards_that_name_nobody_are_not_one_persons() -> None:
    first, second = vaccination_card(family=""), vaccination_card(family="", born="1990-01-01")
    assert credentials.check(first, trust(), NOW).subject == b""
    assert judge(first, second).status is CodeStatus.UNDECIDED


def test_a_card_of_the_reader_still_joins() -> None:
    together = credentials.check_all([green(), card.PREFIX + b"em4100:0F00C0FFEE"], trust(), NOW)
    assert (together.status, together.colour) == (CodeStatus.VALID, Colour.GREEN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MUSTERMANN<GAESSLER ERIKA", "Erika Mustermann-Gaessler"),
        ("O'Neil Anna", "ONEIL<ANNA"),
        ("Müller Zoë", "ZOE MULLER"),
        ("COOK  GERALD", "Gerald Cook"),
    ],
)
def test_one_name_in_many_spellings(one: str, other: str) -> None:
    assert digest.of_person(one, "1990-01-01") == digest.of_person(other, "19900101") != b""


@pytest.mark.parametrize("born", [None, "", "1990", "1990-01", "1990-02-30", "1990-00-00", 19900101, "unknown"])
def test_without_a_whole_day_nobody_is_matched(born: object) -> None:
    assert digest.of_person("ANNA COOK", born) == b""


@pytest.mark.parametrize("name", ["", "ANNA", "  ", "<", "123 456"])
def test_one_word_is_not_enough(name: str) -> None:
    assert digest.of_person(name, "1990-01-01") == b""


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=2, max_size=4))
def test_of_codes_about_health_all_name_the_same_one_or_they_do_not_count(persons: list[str]) -> None:
    codes = [
        Verdict(
            CodeStatus.VALID, f"format-{at}", subject=f"{at}".encode() * 16, kind="vaccination",
            tests=(LabResult("pcr", UTC - 10.0),), person=person.encode() * 16,
        )
        for at, person in enumerate(persons)
    ]  # fmt: skip
    is_one = len(set(persons)) == 1 and persons[0] != ""
    assert (combine(codes).status is CodeStatus.VALID) is is_one
