"""WHO certificates beyond DCC: a published one, and what its days and its disease make of it."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import pytest
import vectors_today as vectors

from agent import credentials
from agent.credentials import cose, cwt
from agent.credentials.formats import dcc
from agent.credentials.trust import TrustedKey, parse_trust_store
from agent.crypto import base45, cbor, signing
from agent.model import ClockState, CodeStatus, TimeBounds

KEY = signing.new_private_key()
FEVER = {"tg": "1D47", "dt": "2025-01-10", "vls": "2025-01-20", "vle": "2025-12-31", "dn": "1/1"}


def trust(*formats: str) -> credentials.TrustStore:
    return parse_trust_store([TrustedKey("WHO XCL", KEY.public.kid, frozenset(formats), KEY.public)])


def issue(certificate: object, **claims: int) -> bytes:
    payload = cbor.encode({cwt.ISS: "XCL", cwt.IAT: 1_700_000_000, dcc.HCERT: certificate, **_labels(claims)})
    protected, to_sign = cose.build(KEY.algorithm, KEY.public.kid, payload)
    message = cose.assemble(protected, payload, KEY.sign(to_sign))
    return dcc.PREFIX + base45.encode(zlib.compress(message)).encode()


def _labels(claims: dict[str, int]) -> dict[int, int]:
    return {{"exp": cwt.EXP, "nbf": cwt.NBF}[name]: value for name, value in claims.items()}


def dvc(**changes: object) -> dict[int, object]:
    return {-6: {"n": "Ana Canary", "dob": "1999-05-05", "nid": "27253137", "v": FEVER | changes}}


def on(day: str) -> TimeBounds:
    utc = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return TimeBounds(utc, utc + 1, ClockState.SYNCED)


def test_a_published_certificate_is_known_for_what_it_is() -> None:
    verdict = credentials.check(vectors.WHO_DVC, trust("who"), on("2025-06-01"))
    assert (verdict.format, verdict.status) == ("who", CodeStatus.UNKNOWN_ISSUER)
    assert "514b897309a3a093" in verdict.reason  # the key id of its test environment


def test_yellow_fever_within_its_days() -> None:
    verdict = credentials.check(issue(dvc()), trust("who"), on("2025-06-01"))
    assert (verdict.status, verdict.kind, verdict.issuer) == (CodeStatus.VALID, "yellow_fever", "WHO XCL")
    assert "Canary" not in repr(verdict)


@pytest.mark.parametrize(
    ("day", "status"),
    [
        ("2025-01-19T00:00", CodeStatus.NOT_YET_VALID),
        ("2025-01-20T11:00", CodeStatus.NOT_YET_VALID),  # it has not begun everywhere
        ("2025-01-20T13:00", CodeStatus.VALID),
        ("2025-12-31T09:00", CodeStatus.VALID),
        ("2025-12-31T11:00", CodeStatus.EXPIRED),  # it is over somewhere
    ],
)
def test_its_days_are_those_that_make_it_worth_less(day: str, status: CodeStatus) -> None:
    assert credentials.check(issue(dvc()), trust("who"), on(day)).status is status


def test_an_end_of_the_envelope_counts_too() -> None:
    text = issue(dvc(), exp=1_740_000_000)  # 2025-02-19
    assert credentials.check(text, trust("who"), on("2025-02-01T00:00")).status is CodeStatus.VALID
    assert credentials.check(text, trust("who"), on("2025-03-01T00:00")).status is CodeStatus.EXPIRED


def test_another_disease_is_another_thing() -> None:
    verdict = credentials.check(issue(dvc(tg="RA01")), trust("who"), on("2025-06-01"))
    assert (verdict.status, verdict.kind) == (CodeStatus.VALID, "other")


def test_a_key_counts_for_its_domain_only() -> None:
    assert credentials.check(issue(dvc()), trust("dcc"), on("2025-06-01")).status is CodeStatus.UNKNOWN_ISSUER


def test_a_link_is_never_opened() -> None:
    verdict = credentials.check(issue({5: [{"u": "shlink:/abc"}]}), trust("who"), on("2025-06-01"))
    assert verdict.status is CodeStatus.UNDECIDED


@pytest.mark.parametrize("content", [{-6: 1}, {-6: {"v": []}}, dvc(vls="soon"), dvc(vle=7)])
def test_what_cannot_be_read_is_refused(content: object) -> None:
    assert credentials.check(issue(content), trust("who"), on("2025-06-01")).status is CodeStatus.MALFORMED
