"""What a privacy bundle may say, and that what does not hold never opens anything."""

import contextlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import ClockState, TimeBounds
from agent.model.problems import in_words
from agent.privacy import CLOSED, DEFAULT, BadPrivacy, Mode, PrivacyInForce, PrivacyRules, hpke, parse

PUBLIC = hpke.public_bytes(hpke.new_private_key())
T0 = 1_795_000_000.0


def now(utc):
    return TimeBounds(utc, utc + 1, ClockState.SYNCED)


def key(keyid="a", public=PUBLIC, begins="2026-11-16T00:00:00Z", ends="2026-11-23T00:00:00+08:00"):
    text = public if isinstance(public, str) else b64encode(public).decode()
    return f'[[key]]\nkeyid = "{keyid}"\npublic = "{text}"\nfrom = {begins}\nuntil = {ends}\n'


def test_a_whole_bundle():
    rules = parse('mode = "trace"\nretention_hours = 48\n' + key() + key("b"))
    assert (rules.mode, rules.retention_s, [each.keyid for each in rules.keys]) == (Mode.TRACE, 172_800, ["a", "b"])
    assert rules.keys[0].public == PUBLIC
    assert rules.keys[0].until_utc - rules.keys[0].from_utc == 7 * 86_400 - 8 * 3600


def test_the_shortest_bundle_is_the_default():
    assert parse('mode = "verify-only"') == DEFAULT == PrivacyRules()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode",
        'mode = "Trace"',
        'mode = "trace"',  # no key
        'mode = "verify-only"\nretentions_hours = 3',
        'mode = "verify-only"\nretention_hours = true',
        'mode = "verify-only"\nretention_hours = 0',
        'mode = "verify-only"\nretention_hours = 745',
        'mode = "verify-only"\ndetails = 1',
        'mode = "trace"\n' + key() + key(),  # one kid twice
        'mode = "trace"\n' + key(public=bytes(32)),  # a point of low order
        'mode = "trace"\n' + key(public=PUBLIC[:31]),
        'mode = "trace"\n' + key(public="é"),
        'mode = "trace"\n' + key(keyid="a b"),
        'mode = "trace"\n' + key(begins="2026-11-16T00:00:00"),  # of which zone?
        'mode = "trace"\n' + key(begins="2026-11-24T00:00:00Z"),
        'mode = "trace"\n' + key() + "more = 1",
        "[[key]]\n" * 3,
        7,
        None,
    ],
)
def test_what_does_not_hold_is_refused_with_a_sentence(text):
    with pytest.raises(BadPrivacy, match=r"\w+ \w+"):
        parse(text)


@given(st.text())
def test_no_text_does_anything_else(text):
    with contextlib.suppress(BadPrivacy):
        parse(text)


def test_the_key_of_a_moment_is_the_latest_that_has_begun():
    rules = parse(
        'mode = "trace"\n'
        + key("week-1", begins="2026-11-01T00:00:00Z", ends="2026-11-10T00:00:00Z")
        + key("week-2", begins="2026-11-08T00:00:00Z", ends="2026-11-17T00:00:00Z")
    )
    november = 1_793_491_200  # 2026-11-01T00:00:00Z
    found = [rules.key_at(now(november + day * 86_400)) for day in (-1, 0, 6.9, 7, 8.5, 15.9, 16.1)]
    assert [each and each.keyid for each in found] == [
        *(None, "week-1", "week-1", "week-2", "week-2", "week-2"),
        None,
    ]


def test_a_key_is_for_nothing_where_nothing_is_traced() -> None:
    """Else a form would be taken, and its private answers dropped."""
    rules = parse('mode = "verify-only"\n' + key())
    assert rules.key_at(now(rules.keys[0].from_utc + 5)) is None


def test_an_unknown_clock_seals_by_the_earliest_that_it_may_be():
    rules = PrivacyRules(Mode.TRACE, keys=parse('mode = "trace"\n' + key()).keys)
    begin = rules.keys[0].from_utc
    assert rules.key_at(TimeBounds(begin + 5, float("inf"), ClockState.FLOOR)) == rules.keys[0]
    assert rules.key_at(TimeBounds(begin - 5, float("inf"), ClockState.FLOOR)) is None


def test_rules_that_have_expired_or_cannot_be_read_close():
    sent = PrivacyRules(Mode.TRACE, keys=parse('mode = "trace"\n' + key()).keys)
    begin = sent.keys[0].from_utc
    force = PrivacyInForce(sent, begin + 100)
    assert (force.at(now(begin)), in_words(force.findings(now(begin)))) == (sent, "")
    assert force.at(now(begin + 101)) is CLOSED
    assert "expired" in in_words(force.findings(now(begin + 101)))
    assert PrivacyInForce(fault="is damaged").at(now(T0)) is CLOSED
    assert in_words(PrivacyInForce(fault="is damaged").findings(now(T0))).startswith(
        "is damaged: nothing personal is kept"
    )
    assert not CLOSED.details
    assert CLOSED.mode is Mode.VERIFY_ONLY


def test_trace_without_a_valid_key_is_said():
    force = PrivacyInForce(PrivacyRules(Mode.TRACE, keys=parse('mode = "trace"\n' + key()).keys))
    assert "nothing is sealed" in in_words(force.findings(now(T0 + 1e9)))
