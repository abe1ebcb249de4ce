"""EU certificates: the member states' own vectors, and what is done to them on the way."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from hashlib import sha256
from typing import Any

import pytest

from agent import credentials
from agent.credentials import batch, cose, lists
from agent.credentials.formats import dcc
from agent.credentials.trust import TrustedKey, TrustStore, parse_trust_store, short_hash
from agent.crypto import base45, cbor, signing
from agent.model import ClockState, CodeStatus, Colour, LabResult, TimeBounds, Verdict

ANY_TIME = TimeBounds(1_620_000_000, 1_620_000_000, ClockState.SYNCED)


def pinned(certificate: str) -> TrustStore:
    der = b64decode(certificate)
    return parse_trust_store(
        [TrustedKey("state", short_hash(der), frozenset({"dcc"}), signing.certificate_key(der))]
    )


@pytest.fixture(scope="module")
def cases(vectors: Any) -> list[dict[str, Any]]:
    return vectors("dcc.json")


def test_every_vector_is_judged_right(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        line = {"id": case["id"], "text": case["text"], "certificates": [case["cert"]]}
        answer = batch.verify_line(json.dumps(line).encode(), TrustStore())
        if answer["accept"] is not case["accept"]:
            wrong.append(answer)
    assert not wrong


def test_with_a_clock_the_expired_are_refused(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        line = {"id": case["id"], "text": case["text"], "certificates": [case["cert"]], "at": case["clock"]}
        answer = batch.verify_line(json.dumps(line).encode(), TrustStore())
        if answer["accept"] is not (case["accept"] and case["exp"] is not False):
            wrong.append(answer)
    assert not wrong


def test_the_right_certificate_must_be_pinned(cases: list[dict[str, Any]]) -> None:
    good = [case for case in cases if case["accept"]]
    other = pinned(good[0]["cert"])
    for case in good:
        if case["cert"] != good[0]["cert"]:
            assert credentials.check(case["text"].encode(), other, ANY_TIME).status is not CodeStatus.VALID


def test_kinds_and_tests_are_read(cases: list[dict[str, Any]]) -> None:
    good = [case for case in cases if case["accept"]]
    verdicts = [credentials.check(case["text"].encode(), pinned(case["cert"]), ANY_TIME) for case in good]
    kinds = {verdict.kind for verdict in verdicts}
    assert {"vaccination", "test", "recovery"} <= kinds
    tests = [test for verdict in verdicts for test in verdict.tests]
    assert {test.kind for test in tests} == {"pcr", "antigen"}
    assert False in {test.positive for test in tests}
    assert all(verdict.colour is None for verdict in verdicts)


COVID = "840539006"
TEST = {"tg": COVID, "tt": "LP6464-4", "sc": "2021-05-02T10:00:00Z", "tr": "260415000", "ci": "URN:UVCI:01:XX:1"}
DOSE = {"tg": COVID, "dn": 2, "sd": 2, "dt": "2021-04-01", "ci": "URN:UVCI:01:XX:2"}
ILLNESS = {"tg": COVID, "df": "2021-04-01", "du": "2021-09-01", "ci": "URN:UVCI:01:XX:3"}


def state(exp: int | None = 1_700_000_000, **groups: object) -> Verdict:
    """What is read of a certificate with these groups, signed by a state of our own."""
    key = signing.new_private_key()
    health = {"nam": {"fnt": "ANY"}, "dob": "1990-01-01", **groups}
    times = {6: 1_619_900_000} if exp is None else {4: exp, 6: 1_619_900_000}
    payload = cbor.encode({1: "XX", **times, -260: {1: health}})
    protected, to_sign = cose.build(key.algorithm, key.public.kid, payload)
    message = cose.assemble(protected, payload, key.sign(to_sign))
    text = dcc.PREFIX + base45.encode(zlib.compress(message)).encode()
    return credentials.check(
        text, parse_trust_store([TrustedKey("XX", key.public.kid, frozenset({"dcc"}), key.public)]), ANY_TIME
    )


def test_a_test_of_our_own() -> None:
    verdict = state(t=[TEST])
    assert (verdict.status, verdict.kind) == (CodeStatus.VALID, "test")
    assert verdict.tests == (LabResult("pcr", 1_619_949_600.0),)


@pytest.mark.parametrize(
    "changes",
    [{"tt": tt} for tt in ("LP6464-5", "antibody", "94500-6", "", None, 7)]
    + [{"tg": tg} for tg in ("6142004", "86406008", "", None, 840539006)],
)
def test_a_negative_test_of_something_else_is_none(changes: dict[str, object]) -> None:
    assert state(t=[TEST | changes]).tests == ()


@pytest.mark.parametrize("found", ["260373001", "10828004", "positive", "NEGATIVO", "", None])
def test_a_result_that_is_not_known_to_be_negative_is_positive(found: object) -> None:
    assert [test.positive for test in state(t=[TEST | {"tr": found}]).tests] == [True]


def test_detected_counts_whatever_was_tested() -> None:
    (test,) = state(t=[TEST | {"tr": "260373001", "tt": "", "sc": "?"}]).tests
    assert (test.positive, test.latest) == (True, float("inf"))


def test_a_time_without_a_zone_is_as_old_as_it_can_be() -> None:
    (test,) = state(t=[TEST | {"sc": "2021-05-02T10:00:00"}]).tests
    assert test.taken_utc == 1_619_949_600.0 - 14 * 3600


@pytest.mark.parametrize(
    ("groups", "kind"),
    [
        ({"v": [DOSE]}, "vaccination"),
        ({"v": [DOSE | {"dn": 3}]}, "vaccination"),
        ({"v": [DOSE | {"dn": 1}]}, "other"),
        ({"v": [DOSE | {"dn": "2"}]}, "other"),
        ({"v": [DOSE | {"tg": "14189004"}]}, "other"),
        ({"r": [ILLNESS]}, "recovery"),
        ({"r": [ILLNESS | {"tg": "6142004"}]}, "other"),
        ({"r": [ILLNESS | {"du": "2021-05-01"}]}, "other"),
        ({"r": [ILLNESS | {"df": "2021-05-04"}]}, "other"),
        ({"r": [ILLNESS | {"du": ""}]}, "other"),
        ({"v": [DOSE], "r": [ILLNESS]}, "other"),
        ({}, "other"),
    ],
)
def test_an_entry_is_what_it_is_known_to_be(groups: dict[str, object], kind: str) -> None:
    assert state(**groups).kind == kind


def test_a_positive_test_beside_a_vaccination_counts() -> None:
    verdict = state(v=[DOSE], t=[TEST | {"tr": "260373001"}])
    assert (verdict.kind, [test.positive for test in verdict.tests]) == ("other", [True])


SPELLINGS = [
    "URN:UVCI:01:XX:7A#1",
    "urn:uvci:01:xx:7a#1",
    "01:XX:7A#1",
    " 01:xx:7a#1",
    "01:xx:7a",
    "URN:UCI:01:XX:7A",
]


@pytest.mark.parametrize("ci", SPELLINGS)
@pytest.mark.parametrize("listed", SPELLINGS)
def test_an_identifier_is_found_in_any_spelling(ci: str, listed: str) -> None:
    verdict = state(v=[DOSE | {"ci": ci}])
    assert dcc.code_key(listed) in {verdict.code, *verdict.aliases}


def test_the_identifier_of_every_entry_is_looked_up() -> None:
    verdict = state(v=[DOSE, DOSE | {"ci": "URN:UVCI:01:XX:SECOND2"}])
    for uci in ("URN:UVCI:01:XX:2", "URN:UVCI:01:XX:SECOND2"):
        built = lists.build(lists.ListHeader("revoked", "XX", 1, 0.0, 2**31, 2**31), dcc.code_key(uci))
        file = lists.parse(b"".join(built.chunks))
        trust = TrustStore(lists=lists.gather([lists.CodeList(file)]))
        assert credentials._against_lists(verdict, trust, ANY_TIME).status is CodeStatus.REVOKED


def test_a_list_of_the_hash_of_an_identifier_as_it_is_written() -> None:
    """As the EU's own lists are made."""
    verdict = state(v=[DOSE | {"ci": "01:xx:7a"}])
    assert sha256(b"01:xx:7a").digest()[:16] in {verdict.code, *verdict.aliases}


@pytest.fixture(scope="module")
def good(cases: list[dict[str, Any]]) -> tuple[bytes, TrustStore]:
    case = next(case for case in cases if case["accept"] and case["alg"] == -7)
    return case["text"].encode(), pinned(case["cert"])


def test_packed_otherwise_it_is_the_same_code(good: tuple[bytes, TrustStore]) -> None:
    """zlib's level is no part of what is signed."""
    text, trust = good
    message = zlib.decompress(base45.decode(text[4:]))
    for level in (0, 1, 9):
        again = dcc.PREFIX + base45.encode(zlib.compress(message, level)).encode()
        assert credentials.check(again, trust, ANY_TIME) == credentials.check(text, trust, ANY_TIME)


@pytest.mark.parametrize("prefix", [b"HC2:", b"HC1", b"", b"hc1:", b" HC1:"])
def test_no_other_prefix(good: tuple[bytes, TrustStore], prefix: bytes) -> None:
    text, trust = good
    assert credentials.check(prefix + text[4:], trust, ANY_TIME).status is not CodeStatus.VALID


def test_uncompressed_is_refused(good: tuple[bytes, TrustStore]) -> None:
    text, trust = good
    plain = base45.encode(zlib.decompress(base45.decode(text[4:]))).encode()
    assert credentials.check(dcc.PREFIX + plain, trust, ANY_TIME).status is CodeStatus.MALFORMED


def test_something_after_the_compressed_stream_is_refused(good: tuple[bytes, TrustStore]) -> None:
    text, trust = good
    longer = base45.encode(base45.decode(text[4:]) + b"!").encode()
    assert credentials.check(dcc.PREFIX + longer, trust, ANY_TIME).status is CodeStatus.MALFORMED


def test_the_other_s_of_ecdsa_is_the_same_code(good: tuple[bytes, TrustStore]) -> None:
    """(r, n - s) verifies as well: a code's key must not hang on its signature."""
    text, trust = good
    tag = cbor.decode(zlib.decompress(base45.decode(text[4:])))
    protected, unprotected, payload, signature = tag.value
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    message = cbor.encode(cbor.Tag(18, [protected, dict(unprotected), payload, other]))
    again = dcc.PREFIX + base45.encode(zlib.compress(message)).encode()
    assert credentials.check(again, trust, ANY_TIME) == credentials.check(text, trust, ANY_TIME)


def test_an_unknown_state_is_named_but_not_believed(good: tuple[bytes, TrustStore]) -> None:
    verdict = credentials.check(good[0], TrustStore(), ANY_TIME)
    assert verdict.status is CodeStatus.UNKNOWN_ISSUER
    assert not verdict.issuer
    assert "it says that it is from " in verdict.reason


def test_a_vaccination_dated_ahead_is_none_yet() -> None:
    assert state(v=[DOSE | {"dt": "2021-05-02"}]).kind == "vaccination"
    assert state(v=[DOSE | {"dt": "2021-05-05"}]).kind == "other"
    assert state(v=[DOSE, DOSE | {"dn": 3, "dt": "2021-06-01"}]).kind == "other"


@pytest.mark.parametrize("entries", [TEST, "positive", 7, [[]], [TEST, None]])
def test_entries_that_are_no_list_of_maps_are_not_passed_over(entries: object) -> None:
    assert state(v=[DOSE], t=entries).status is CodeStatus.MALFORMED


@pytest.mark.parametrize("found", ["positif", "阳性", "DETECTED"])
def test_positive_in_words_counts_whatever_was_tested(found: str) -> None:
    (test,) = state(t=[TEST | {"tr": found, "tt": ""}]).tests
    assert test.positive


def test_a_certificate_dated_ahead_does_not_overrule_a_list() -> None:
    """Some states date ahead, so that is no fault; but nobody knows then that it is newer than the list."""
    now = ANY_TIME.latest_utc
    for issued, colour in ((now - 100, Colour.RED), (now - 10, None), (now + 9_000, Colour.RED)):
        verdict = Verdict(CodeStatus.VALID, "dcc", subject=bytes(16), issuer="XX", issued_utc=issued)
        head = lists.ListHeader("status", "XX", 1, now - 50, 9e6, 9e6)
        found = lists.CodeList(lists.parse(b"".join(lists.build(head, bytes(16), b"\3").chunks)))
        trust = TrustStore(lists=lists.gather([found]))
        assert credentials._against_lists(verdict, trust, ANY_TIME).colour is colour


def test_a_certificate_without_an_end_is_none() -> None:
    assert state(t=[TEST]).status is CodeStatus.VALID
    assert state(t=[TEST], exp=None).status is CodeStatus.MALFORMED
