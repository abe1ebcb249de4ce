"""The worked example of the specification (nzcp.covid19.health.nz, sections 6 and 7), and what is near it."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from agent import credentials
from agent.credentials import jwks
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, TimeBounds

EXAMPLE = (
    b"NZCP:/1/2KCEVIQEIVVWK6JNGEASNICZAEP2KALYDZSGSZB2O5SWEOTOPJRXALTDN53GSZBRHEXGQZLBNR2GQLTOPICRUYMBTIFAIGTUKBAAUYTWMO"
    b"SGQQDDN5XHIZLYOSBHQJTIOR2HA4Z2F4XXO53XFZ3TGLTPOJTS6MRQGE4C6Y3SMVSGK3TUNFQWY4ZPOYYXQKTIOR2HA4Z2F4XW46TDOAXGG33WNFSDC"
    b"OJONBSWC3DUNAXG46RPMNXW45DFPB2HGL3WGFTXMZLSONUW63TFGEXDALRQMR2HS4DFQJ2FMZLSNFTGSYLCNRSUG4TFMRSW45DJMFWG6UDVMJWGSY2D"
    b"N53GSZCQMFZXG4LDOJSWIZLOORUWC3CTOVRGUZLDOSRWSZ3JOZSW4TTBNVSWISTBMNVWUZTBNVUWY6KOMFWWKZ2TOBQXE4TPO5RWI33CNIYTSNRQFUYD"
    b"ILJRGYDVAYFE6VGU4MCDGK7DHLLYWHVPUS2YIDJOA6Y524TD3AZRM263WTY2BE4DPKIF27WKF3UDNNVSVWRDYIYVJ65IRJJJ6Z25M2DO4YZLBHWFQGVQ"
    b"R5ZLIWEQJOZTS3IQ7JTNCFDX"
)
ISSUER = "did:web:nzcp.covid19.health.nz"
X = "cd147e5c6b02a75d95bdb82e8b80c3e8ee9caa685f3ee5cc862d4ec4f97cefad"
Y = "22fe5253a16e5be4d1621e7f18eac995c57f82917f1a9150842383f0b4a4dd3d"
NOW = TimeBounds(1_700_000_000, 1_700_000_001, ClockState.SYNCED)


def pinned(issuer: str = ISSUER, kid: bytes = b"key-1") -> TrustStore:
    public = signing.point_key("P-256", int(X, 16), int(Y, 16))
    return TrustStore({kid: (TrustedKey(issuer, kid, frozenset({"nzcp"}), public),)})


def test_the_example_is_valid() -> None:
    verdict = credentials.check(EXAMPLE, pinned(), NOW)
    assert (verdict.status, verdict.format, verdict.issuer) == (CodeStatus.VALID, "nzcp", ISSUER)
    assert verdict.expires_utc == 1951416330  # 2031-11-02T20:05:30Z
    assert verdict.subject


def test_after_its_end_and_before_its_start() -> None:
    late, early = TimeBounds(2e9, 2e9, ClockState.SYNCED), TimeBounds(1.6e9, 1.6e9, ClockState.SYNCED)
    assert credentials.check(EXAMPLE, pinned(), late).status is CodeStatus.EXPIRED
    assert credentials.check(EXAMPLE, pinned(), early).status is CodeStatus.NOT_YET_VALID


def test_another_key_id_or_issuer() -> None:
    assert credentials.check(EXAMPLE, pinned(kid=b"key-2"), NOW).status is CodeStatus.UNKNOWN_ISSUER
    assert credentials.check(EXAMPLE, pinned("did:web:other.example"), NOW).status is CodeStatus.BAD_SIGNATURE


@pytest.mark.parametrize("at", [50, 200, 400, 570])
def test_one_changed_letter(at: int) -> None:
    letter = b"A" if EXAMPLE[at : at + 1] != b"A" else b"B"
    changed = EXAMPLE[:at] + letter + EXAMPLE[at + 1 :]
    assert credentials.check(changed, pinned(), NOW).status is not CodeStatus.VALID


@pytest.mark.parametrize(
    "text", [b"NZCP:/", b"NZCP:/2/" + EXAMPLE[8:], b"NZCP:/1/", b"NZCP:/1/!!!!", EXAMPLE.lower(), EXAMPLE[:-9]]
)
def test_broken(text: bytes) -> None:
    assert credentials.check(text, pinned(), NOW).status in {CodeStatus.MALFORMED, CodeStatus.UNRECOGNISED}


def test_pinned_by_the_issuers_did_document() -> None:
    x, y = (urlsafe_b64encode(bytes.fromhex(value)).rstrip(b"=").decode() for value in (X, Y))
    key = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    document = {
        "id": ISSUER,
        "verificationMethod": [{"id": f"{ISSUER}#key-1", "type": "JsonWebKey2020", "publicKeyJwk": key}],
    }
    assert credentials.check(EXAMPLE, parse_trust_store(jwks.read(document)), NOW).status is CodeStatus.VALID


def key_set(**members: object) -> dict[str, object]:
    point = {"x": X, "y": Y}
    point = {name: urlsafe_b64encode(bytes.fromhex(value)).decode().rstrip("=") for name, value in point.items()}
    return {"kid": "key-1", "kty": "EC", "crv": "P-256", **point, **members}


@pytest.mark.parametrize(
    "members",
    [{"use": "enc"}, {"key_ops": ["deriveKey"]}, {"key_ops": "verify"}, {"alg": "ECDH-ES"}, {"alg": "ES384"}],
)
def test_a_key_for_something_else_is_passed_over(members: dict[str, object]) -> None:
    for document in (
        {"keys": [key_set(**members)]},
        {"id": ISSUER, "verificationMethod": [{"id": f"{ISSUER}#key-1", "publicKeyJwk": key_set(**members)}]},
    ):
        assert jwks.read(document) == []
    assert jwks.read({"keys": [key_set(use="sig", key_ops=["verify"], alg="ES256")]})


def test_a_private_key_is_refused() -> None:
    with pytest.raises(ValueError, match="private key"):
        jwks.read({"keys": [key_set(d="AAAA")]})


@pytest.mark.parametrize("asserted", [f"{ISSUER}#key-1", "#key-1"])
def test_a_method_that_is_not_for_assertions_is_passed_over(asserted: str) -> None:
    methods = [{"id": f"{ISSUER}#{name}", "publicKeyJwk": key_set()} for name in ("key-1", "key-2")]
    found = jwks.read({"id": ISSUER, "verificationMethod": methods, "assertionMethod": [asserted]})
    assert [key.kid for key in found] == [b"key-1"]
    assert len(jwks.read({"id": ISSUER, "verificationMethod": methods})) == 2
