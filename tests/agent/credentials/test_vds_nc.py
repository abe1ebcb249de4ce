"""ICAO seals: the technical report's Utopia, chains of our own, and certificates as Japan makes them."""

from __future__ import annotations

import datetime as dt
import json
import math
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import lists
from agent.credentials.trust import BadTrustStore, TrustedKey, TrustStore, parse_keys, parse_trust_store, short_hash
from agent.crypto import signing, strict_json
from agent.crypto.der import signed_part
from agent.model import ClockState, CodeStatus, LabResult, TimeBounds, Verdict

UTOPIA: dict[str, Any] = {
    "data": {
        "hdr": {"t": "icao.test", "v": 1, "is": "UTO"},
        "msg": {
            "utci": "U01932",
            "pid": {"n": "Cook Gerald", "dob": "1990-01-29", "dt": "P", "dn": "E1234567P"},
            "sp": {
                "spn": "General Hospital",
                "ctr": "AUS",
                "cd": {"p": "+00068765432", "e": "genhosp@mail.com", "a": "12 Utopia Street"},
            },
            "dat": {"sc": "2020-12-12T12:00:00+08:00", "ri": "2021-02-11T14:00:00+08:00"},
            "tr": {"tc": "molecular(PCR)", "r": "negative", "m": "nasopharyngeal"},
            "opt": "ID12345",
        },
    },
    "sig": {
        "alg": "ES256",
        "sigvl": "fBPLQN-sHGVf3PMLAyRcX-h3Xtb8iZhIsml0enpKBYVjAFINWfMEtX01AZnM6tKpXakL-41cDpJ0geg7rHe5AA==",
        "cer": "MIIBYDCCAQYCEQCAG8uscdLb0ppaneNN5sB7MAoGCCqGSM49BAMCMDIxIzAhBgNVBAMMGk5hdGlvbmFsIENTQ0Egb2YgRnJpZX"
        "NsYW5kMQswCQYDVQQGEwJGUjAeFw0yMTA0MjcyMDQ3MDVaFw0yNjAzMTIyMDQ3MDVaMDYxJzAlBgNVBAMMHkRTQyBudW1iZXIgd29ya2VyIG9mIE"
        "ZyaWVzbGFuZDELMAkGA1UEBhMCRlIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARkJeqyO85dyR-UrQ5Ey8EdgLyf9NtsCrwORAj6T68_elL"
        "19aoISQDbzaNYJjdD77XdHtd-nFGTQVpB88wPTwgbMAoGCCqGSM49BAMCA0gAMEUCIQDvDacGFQO3tuATpoqf40CBv09nfglL3wh5wBwA1uA7"
        "lAIgZ4sOK2iaaTsFNqENAF7zi-d862ePRQ9Lwymr7XfwVm0=",
    },
}
SHA1_LEAF = (
    "MIIC+TCCAeGgAwIBAgIUBEpgzT9qu0o9mX+q+gIg2PAkwfYwDQYJKoZIhvcNAQEFBQAwDDEKMAgGA1UEAwwBYTAeFw0yNjExMjkxOTUzNTNa"
    "Fw0yNjEyMDIxOTUzNTNaMAwxCjAIBgNVBAMMAWEwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCcrM0kFqR0RpzjE/jsm2O60480"
    "Px5WdXs+2gDEzbAE76SlVMm5MGoJQ1X+HL0G0EIQAekWBs862n2dic5AOc+wAsIPcB/xD3izdEeltZzhngc7EAX0J+0u2I4c8/YKNyoWPdsp"
    "rqKm963O1BLfTUp9D36MlzgWLGoSTfh9gLnN6fdMH2XIGRpSlZKEYot66JIvbFLS3r6hq9mY3MGuBdtArwuv3DVCG+DgDroz01RmhWE2jkHs"
    "YJAWLm4cJy7oirUkqRRnopgmWYov6hJDB3wrSMY7ZlxgyklJS8DfovJ1kuYNK9eko6qBb9vg6RRInOsxfaDDAFml6Gfm7/sXpcjnAgMBAAGj"
    "UzBRMB0GA1UdDgQWBBSMAA4Hc5UVeA7DBlkWd3FRoc4UHzAfBgNVHSMEGDAWgBSMAA4Hc5UVeA7DBlkWd3FRoc4UHzAPBgNVHRMBAf8EBTAD"
    "AQH/MA0GCSqGSIb3DQEBBQUAA4IBAQCClf2Hjj8+WVJtLomoN2L4cjDpovNr5x0qOM6wGLiPsm4SUJIha4q5i8x3ueFP1EuxaaNEHDdjI/vc"
    "xvSxQOly11V5fuQGg++Cw66IhgDp+wQgOi9EhNPfic8KZxw1ynL3BdgEYpNGQ6k2wqgMN7obt8QNjYMcZYTDJ4dixN8Cyen+hrRW9K+jnYtx"
    "TDg2mh3UhfD97nONvXvABEreGKsUP0x9/Vpw5B50OOXxf3Fi8TuMnj35FrHty5PaIThSNetQXlyKGRn71e0bKGIUAUZttS9FXdiDnKavwSQn"
    "5gdSCoJm0KRCkIEG2AciRN3x5gGSMYw4OcUpjeXBz1qLr8qB"
)
"""A certificate that its own key has signed, with RSA over SHA-1."""
IN_TIME = TimeBounds(1_640_000_000, 1_640_000_001, ClockState.SYNCED)


def pinned(der: bytes) -> TrustStore:
    return parse_trust_store(
        [TrustedKey("UTO", short_hash(der), frozenset({"vds-nc"}), signing.certificate_key(der))]
    )


def seal(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.fixture
def utopia() -> TrustStore:
    return pinned(urlsafe_b64decode(UTOPIA["sig"]["cer"]))


def test_the_sample_is_valid(utopia: TrustStore) -> None:
    verdict = credentials.check(seal(UTOPIA), utopia, IN_TIME)
    assert (verdict.status, verdict.kind, verdict.issuer) == (CodeStatus.VALID, "test", "UTO")
    assert verdict.tests == (LabResult("pcr", 1_607_745_600.0),)


def test_the_form_as_a_list(utopia: TrustStore) -> None:
    assert credentials.check(seal([UTOPIA]), utopia, IN_TIME).status is CodeStatus.VALID
    altered = UTOPIA | {"data": UTOPIA["data"] | {"msg": {"dat": {}}}}
    assert credentials.check(seal([UTOPIA, altered]), utopia, IN_TIME).status is CodeStatus.BAD_SIGNATURE
    assert credentials.check(b'[ ] "hdr"', utopia, IN_TIME).status is CodeStatus.MALFORMED


def test_an_altered_name(utopia: TrustStore) -> None:
    text = seal(UTOPIA).replace(b"Cook", b"Kook")
    assert credentials.check(text, utopia, IN_TIME).status is CodeStatus.BAD_SIGNATURE


def test_a_certificate_that_nobody_pinned() -> None:
    assert credentials.check(seal(UTOPIA), TrustStore(), IN_TIME).status is CodeStatus.UNKNOWN_ISSUER


def test_outside_the_certificates_time(utopia: TrustStore) -> None:
    late = TimeBounds(1_900_000_000, 1_900_000_000, ClockState.SYNCED)
    assert credentials.check(seal(UTOPIA), utopia, late).status is CodeStatus.EXPIRED


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": UTOPIA["data"]},
        UTOPIA | {"data": {"hdr": {"t": "icao.test", "v": 2, "is": "UTO"}, "msg": {}}},
        UTOPIA | {"data": {"hdr": {"t": "icao.other", "v": 1, "is": "UTO"}, "msg": {}}},
        UTOPIA | {"sig": UTOPIA["sig"] | {"alg": "none"}},
        UTOPIA | {"sig": UTOPIA["sig"] | {"sigvl": "!"}},
        UTOPIA | {"sig": UTOPIA["sig"] | {"cer": "AAAA"}},
    ],
    ids=range(7),
)
def test_broken(utopia: TrustStore, document: Any) -> None:
    verdict = credentials.check(seal(document), utopia, IN_TIME)
    assert verdict.status is not CodeStatus.VALID


def certificate(subject: str, public: Any, authority: Any, algorithm: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    start = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, public, 1, start, start + dt.timedelta(days=1000))
    return builder.sign(authority, algorithm or hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def signed(signer: ec.EllipticCurvePrivateKey, leaf: bytes, data: Any = UTOPIA["data"]) -> Any:
    """Utopia's data, or other, under a signer of our own."""
    r, s = decode_dss_signature(signer.sign(strict_json.canonical(data), ec.ECDSA(hashes.SHA256())))
    signature = {
        "alg": "ES256",
        "cer": urlsafe_b64encode(leaf).decode(),
        "sigvl": urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).decode(),
    }
    return {"data": data, "sig": signature}


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_signed_by_a_pinned_authority(kind: str) -> None:
    authority: Any = (
        ec.generate_private_key(ec.SECP384R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    )
    signer = ec.generate_private_key(ec.SECP256R1())
    document = signed(signer, certificate("signer", signer.public_key(), authority))
    trusted = pinned(certificate("authority", authority.public_key(), authority))
    assert credentials.check(seal(document), trusted, IN_TIME).status is CodeStatus.VALID
    stranger = ec.generate_private_key(ec.SECP384R1())
    other = pinned(certificate("authority", stranger.public_key(), stranger))
    assert credentials.check(seal(document), other, IN_TIME).status is CodeStatus.UNKNOWN_ISSUER


def test_a_certificate_that_only_shares_the_pinned_id() -> None:
    """The id is eight bytes of a hash, and the certificate comes from the code: one that fits must not do."""
    der = urlsafe_b64decode(UTOPIA["sig"]["cer"])
    other = signing.new_private_key().public
    trusted = parse_trust_store([TrustedKey("UTO", short_hash(der), frozenset({"vds-nc"}), other)])
    assert credentials.check(seal(UTOPIA), trusted, IN_TIME).status is CodeStatus.UNKNOWN_ISSUER


def with_null(leaf: bytes, authority: ec.EllipticCurvePrivateKey) -> bytes:
    """The certificate with a NULL after its algorithm, in both places, signed again."""
    name = bytes.fromhex("06082a8648ce3d040302")
    content = signed_part(leaf)[4:].replace(b"\x30\x0a" + name, b"\x30\x0c" + name + b"\5\0", 1)
    content = sequence(content)
    signature = b"\0" + authority.sign(content, ec.ECDSA(hashes.SHA256()))
    bits = b"\x03" + bytes((len(signature),)) + signature
    return sequence(content + b"\x30\x0c" + name + b"\5\0" + bits)


def sequence(content: bytes) -> bytes:
    assert len(content) > 255, "lengths of two bytes, as real certificates have"
    return b"\x30\x82" + len(content).to_bytes(2) + content


def test_a_certificate_with_a_null_after_its_algorithm() -> None:
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    plain = certificate("the signer of a state " * 2, signer.public_key(), authority)
    leaf = with_null(plain, authority)
    with pytest.raises(ValueError):
        x509.load_der_x509_certificate(leaf)
    seen = seal(signed(signer, leaf))
    above = pinned(certificate("authority", authority.public_key(), authority))
    for trusted in (above, pinned(leaf)):
        assert credentials.check(seen, trusted, IN_TIME).status is CodeStatus.VALID
    altered = leaf.replace(b"of a state", b"of a stale")
    for trusted in (above, pinned(leaf)):
        verdict = credentials.check(seal(signed(signer, altered)), trusted, IN_TIME)
        assert verdict.status is CodeStatus.UNKNOWN_ISSUER


@given(st.binary(max_size=40))
def test_junk_is_no_certificate(junk: bytes) -> None:
    for der in (junk, b"\x30\x82" + junk, b"\x30" + bytes((len(junk),)) + junk):
        with pytest.raises(signing.BadKey):
            signing.certificate_key(der)


def read(kind: str, now: TimeBounds = IN_TIME, **message: object) -> Verdict:
    """What is read of a seal with this content, under a signer of our own."""
    signer = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate("signer", signer.public_key(), signer)
    data = {"hdr": {"t": kind, "v": 1, "is": "UTO"}, "msg": UTOPIA["data"]["msg"] | message}
    return credentials.check(seal(signed(signer, leaf, data)), pinned(leaf), now)


@pytest.mark.parametrize("method", ["antibody", "serology", "influenza(PCR)", "HIV", "", " ", "LP6464-4"])
def test_a_test_of_no_known_kind_is_none_unless_it_is_positive(method: str) -> None:
    assert read("icao.test", tr={"tc": method, "r": "negative"}).tests == ()
    assert [test.positive for test in read("icao.test", tr={"tc": method, "r": "positive"}).tests] == [True]


@pytest.mark.parametrize("found", ["positive", "Abnormal", "detected", "阳性", "inconclusive", ""])
def test_what_is_not_negative_is_positive(found: str) -> None:
    assert [test.positive for test in read("icao.test", tr={"tc": "antigen", "r": found}).tests] == [True]


@pytest.mark.parametrize("found", ["negative", "Negative", "normal", "not detected"])
def test_negative_results(found: str) -> None:
    (test,) = read("icao.test", tr={"tc": "antigen", "r": found}).tests
    assert (test.kind, test.positive) == ("antigen", False)


@pytest.mark.parametrize(("result", "tests"), [("Not detected", 0), ("Positive", 1)])
def test_no_report_tells_of_a_negative_swab_that_was_taken_after_it(result: str, tests: int) -> None:
    dates = {"sc": "2021-12-12T12:00:00Z", "ri": "2021-12-10T12:00:00Z"}
    method = UTOPIA["data"]["msg"]["tr"] | {"r": result}
    assert len(read("icao.test", dat=dates, tr=method).tests) == tests
    assert len(read("icao.test", dat=dates | {"ri": "2021-12-12T08:00:00Z"}, tr=method).tests) == 1


def test_a_time_without_a_zone_is_as_old_as_it_can_be() -> None:
    (test,) = read("icao.test", dat={"sc": "2021-12-12T12:00:00"}).tests
    assert test.taken_utc == dt.datetime(2021, 12, 11, 22, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([{"des": "XM68M6", "dis": "RA01.0"}], "vaccination"),
        ([{"des": "XM68M6"}], "vaccination"),
        ([{"des": "XM8857", "dis": "1D47"}], "other"),
        ([{"des": "XM68M6", "dis": "RA01"}, {"des": "XM8857", "dis": "1D47"}], "other"),
        ([{"des": "XM0N24"}], "other"),
        ([], "other"),
        ("XM68M6", "other"),
    ],
)
def test_a_vaccination_is_one_against_covid(events: object, kind: str) -> None:
    assert read("icao.vacc", ve=events).kind == kind


def other(kind: str, changes: dict[str, Any], signer: ec.EllipticCurvePrivateKey, leaf: bytes) -> dict[str, Any]:
    data = {"hdr": {"t": kind, "v": 1, "is": "UTO"}, "msg": UTOPIA["data"]["msg"] | changes}
    return signed(signer, leaf, data)


def test_every_seal_of_a_list_counts() -> None:
    """A positive test behind a vaccination, another person's seal, and a revoked one."""
    signer = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate("signer", signer.public_key(), signer)
    trust = pinned(leaf)
    dose = other("icao.vacc", {"ve": [{"des": "XM68M6"}]}, signer, leaf)
    ill = other("icao.test", {"tr": {"tc": "pcr", "r": "positive"}}, signer, leaf)
    both = credentials.check(seal([dose, ill]), trust, IN_TIME)
    assert (both.status, both.kind, [test.positive for test in both.tests]) == (
        CodeStatus.VALID,
        "vaccination",
        [True],
    )
    stranger = other("icao.vacc", {"pid": {"n": "Somebody", "dob": "1980-01-01"}}, signer, leaf)
    assert credentials.check(seal([dose, stranger]), trust, IN_TIME).status is CodeStatus.UNDECIDED
    second = credentials.check(seal(ill), trust, IN_TIME).code
    built = lists.build(lists.ListHeader("revoked", "UTO", 1, IN_TIME.latest_utc, 9e6, 9e6), second)
    found = lists.CodeList(lists.parse(b"".join(built.chunks)))
    revoked = replace(trust, lists=lists.gather([found]))
    assert credentials.check(seal([dose, ill]), revoked, IN_TIME).status is CodeStatus.REVOKED
    assert credentials.check(seal(dose), revoked, IN_TIME).status is CodeStatus.VALID
    assert credentials.check(seal([dose] * 9), trust, IN_TIME).status is CodeStatus.MALFORMED


def test_a_dose_dated_ahead_is_none_yet() -> None:
    event = {"des": "XM68M6", "vd": [{"dvc": "2021-12-18", "seq": 1}]}
    assert read("icao.vacc", ve=[event]).kind == "vaccination"
    assert read("icao.vacc", ve=[event | {"vd": [{"dvc": "2022-12-18"}]}]).kind == "other"


def test_a_dose_that_may_lie_ahead_is_none_while_the_time_is_not_known() -> None:
    unknown = TimeBounds(IN_TIME.earliest_utc, math.inf, ClockState.FLOOR)
    event = {"des": "XM68M6", "vd": [{"dvc": "2021-12-18", "seq": 1}]}
    assert read("icao.vacc", unknown, ve=[event]).kind == "vaccination"
    assert read("icao.vacc", unknown, ve=[event | {"vd": [{"dvc": "2022-12-18"}]}]).kind == "other"


def authority_of(key: Any, algorithm: Any = None, **extension: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    start = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + dt.timedelta(days=1000))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    for oid, critical in extension.items():
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid[1:].replace("_", ".")), b"\5\0")
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(key, algorithm or hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("kind", ["rsa", "brainpool"])
def test_an_authority_is_pinned_by_a_keys_file_whatever_its_key(kind: str) -> None:
    authority: Any = (
        rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.BrainpoolP256R1())
    )
    signer = ec.generate_private_key(ec.SECP256R1())
    text = '[[key]]\nissuer = "UTO"\nformats = ["vds-nc"]\ncertificate = "{}"\n'
    trust = parse_keys(text.format(b64encode(authority_of(authority)).decode()), "keys")
    document = signed(signer, certificate("signer", signer.public_key(), authority))
    assert credentials.check(seal(document), trust, IN_TIME).status is CodeStatus.VALID
    no_authority = certificate("signer", authority.public_key(), authority)
    with pytest.raises(BadTrustStore, match="vds-nc"):
        parse_keys(text.format(b64encode(no_authority).decode()), "keys")


def test_a_signature_that_another_certificate_can_be_made_to_fit() -> None:
    authority = rsa.generate_private_key(65537, 2048)
    leaf = certificate("signer", ec.generate_private_key(ec.SECP256R1()).public_key(), authority)
    assert signing.is_signed_by(leaf, signing.certificate_key(authority_of(authority)))
    weak = b64decode(SHA1_LEAF)
    assert not signing.is_signed_by(weak, signing.certificate_key(weak))


def test_a_critical_extension_that_is_not_known() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signing.certificate_limits(authority_of(key, _1_2_3_4=False))
    with pytest.raises(signing.BadKey, match=r"1\.2\.3\.4"):
        signing.certificate_limits(authority_of(key, _1_2_3_4=True))
    text = '[[key]]\nissuer = "UTO"\nformats = ["dcc"]\ncertificate = "{}"\n'
    with pytest.raises(BadTrustStore, match="critical extension"):
        parse_keys(text.format(b64encode(authority_of(key, _1_2_3_4=True)).decode()), "keys")
    document = signed(key, authority_of(key, _1_2_3_4=True))
    trust = pinned(authority_of(key))
    assert credentials.check(seal(document), trust, IN_TIME).status is CodeStatus.MALFORMED
