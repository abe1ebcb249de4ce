"""Several codes in one passage: the order of showing must not matter, and nobody borrows another's test."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials, policy
from agent.credentials.combine import at_best, check_all, combine
from agent.credentials.formats import gatepost, venue_code
from agent.credentials.trust import TrustStore
from agent.crypto import signing
from agent.crypto.refusal import CheckFailed
from agent.model import (
    ClockState,
    CodeStatus,
    Colour,
    Direction,
    LabResult,
    LaneSpec,
    ListAge,
    Screening,
    TimeBounds,
    Verdict,
)

UTC = 1_700_000_000.0
NOW = TimeBounds(UTC, UTC + 1, ClockState.SYNCED)
VERDICTS = st.builds(
    Verdict,
    status=st.sampled_from(CodeStatus),
    format=st.sampled_from(["gatepost", "dcc"]),
    subject=st.sampled_from([b"a" * 16, b"b" * 16]),
    kind=st.sampled_from(["health", "vaccination", "recovery", "test", "other"]),
    colour=st.none() | st.sampled_from(Colour),
    watched=st.booleans(),
    list_age=st.sampled_from(ListAge),
)


def green(**changes: object) -> Verdict:
    fields = {"status": CodeStatus.VALID, "format": "gatepost", "subject": b"a" * 16, "colour": Colour.GREEN}
    return Verdict(**(fields | changes))  # type: ignore[arg-type]  # each is of its field's type


def test_a_health_code_and_a_test() -> None:
    result = LabResult("pcr", UTC - 3600)
    anna = b"anna".ljust(16)
    proof = green(format="dcc", subject=b"x" * 16, colour=None, kind="test", tests=(result,), person=anna)
    for order in itertools.permutations([green(person=anna), proof]):
        verdict = combine(order)
        assert (verdict.status, verdict.colour, verdict.tests) == (CodeStatus.VALID, Colour.GREEN, (result,))
        assert verdict.format == "gatepost"


def test_two_holders_in_one_passage() -> None:
    verdict = combine([green(), green(subject=b"b" * 16)])
    assert (verdict.status, verdict.tests) == (CodeStatus.UNDECIDED, ())


@given(st.lists(VERDICTS, min_size=1, max_size=4))
def test_never_better_than_its_worst_part(verdicts: list[Verdict]) -> None:
    together = combine(verdicts)
    if together.status is CodeStatus.VALID:
        assert all(verdict.status is CodeStatus.VALID for verdict in verdicts)
        for colour in (Colour.RED, Colour.YELLOW):
            if any(verdict.colour is colour for verdict in verdicts):
                assert together.colour is not Colour.GREEN
    assert (
        together.watched is any(verdict.watched for verdict in verdicts) or together.status is CodeStatus.UNDECIDED
    )


@pytest.mark.parametrize("beside", [b"shc:/1/2/5656", b"shc:/7", b'{"verifiableCredential": 1}'])
def test_no_part_of_a_card_hides_what_is_against_its_holder(beside: bytes) -> None:
    shown = {
        beside: Verdict(CodeStatus.INCOMPLETE if beside.count(b"/") > 1 else CodeStatus.MALFORMED, "shc"),
        b"red": green(colour=Colour.RED),
        b"wanted": green(watched=True),
        b"green": green(),
    }
    for order in itertools.permutations([beside, b"red"]):
        assert check_all(order, shown.__getitem__).colour is Colour.RED
    for order in itertools.permutations([beside, b"wanted"]):
        verdict = check_all(order, shown.__getitem__)
        assert verdict.watched
        assert verdict.status in (CodeStatus.INCOMPLETE, CodeStatus.MALFORMED)
    with pytest.raises(CheckFailed):
        check_all([beside, b"green"], shown.__getitem__)


@given(st.lists(VERDICTS, min_size=1, max_size=4), st.randoms())
def test_the_order_does_not_matter(verdicts: list[Verdict], chance: object) -> None:
    shuffled = list(verdicts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    one, other = combine(verdicts), combine(shuffled)
    assert (one.status, one.colour, one.kind) == (other.status, other.colour, other.kind)


@pytest.mark.parametrize("count", [0, 33])
def test_none_or_too_many(count: int, trust: TrustStore) -> None:
    assert credentials.check_all([b"x"] * count, trust, NOW).status is CodeStatus.UNRECOGNISED


def test_the_same_code_twice_is_one_code(code: bytes, trust: TrustStore) -> None:
    assert credentials.check_all([code, code], trust, NOW) == credentials.check(code, trust, NOW)


def test_the_code_of_a_place_lets_nobody_in(key: signing.PrivateKey, trust: TrustStore, code: bytes) -> None:
    text = venue_code.issue(key, "demo", "main gate", int(UTC)).encode()
    verdict = credentials.check(text, trust, NOW)
    assert (verdict.status, verdict.format) == (CodeStatus.UNRECOGNISED, "place")
    assert credentials.check_all([code, text], trust, NOW).status is not CodeStatus.VALID
    assert not gatepost.recognises(text)


def test_a_file_of_more_cards_than_one_person_has(trust: TrustStore) -> None:
    cards = ",".join(f'"eyJ.card.{number}"' for number in range(33))
    verdict = credentials.check_all([f'{{"verifiableCredential":[{cards}]}}'.encode()], trust, NOW)
    assert (verdict.status, verdict.reason) == (CodeStatus.UNRECOGNISED, "more codes than one person has")
    huge = b'{"verifiableCredential":["' + b"x" * 70_000 + b'"]}'
    assert credentials.check_all([huge], trust, NOW).status is CodeStatus.MALFORMED


def test_however_many_tests_a_place_asks_for_another_code_may_bring_them() -> None:
    best = at_best(green(), NOW)
    site = policy.SiteFacts(series_tests=5, series_days=1)
    facts = policy.facts_of(LaneSpec(Direction.ENTRY), best, Screening.NORMAL, NOW, site=site)
    assert (facts.test_series, facts.test) == (policy.facts.Series.MET, policy.facts.TestFact.PCR_24H)


def test_two_codes_that_name_nobody_are_not_one_persons() -> None:
    one, other = (green(format="dcc", subject=b"", code=code * 16, colour=None) for code in (b"1", b"2"))
    assert combine([one, other]).status is CodeStatus.UNDECIDED
    assert combine([one]).status is CodeStatus.VALID
