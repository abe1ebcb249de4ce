"""Private answers and roster numbers are sealed where there is a key to seal to, and else dropped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent import privacy
from agent.events import Encoder, Topics
from agent.model import (
    AttestationRecord,
    ChainPosition,
    ClockState,
    Event,
    Report,
    TimeBounds,
)
from agent.privacy import hpke
from agent.privacy.rules import Mode, PrivacyRules, SealingKey

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)
TOPICS = Topics("school", "gate-1")
STATED = AttestationRecord("form", "gate", form="visitor", answers={"reason": "visit"}, private={"name": "Li Wei"})
REPORT = Report("round", "morning", complete=True, exact=True, dated=True, day="2026-11-30", absent_numbers=(5, 6))
CASES = [STATED, REPORT]


def told(body: AttestationRecord | Report, rules: PrivacyRules) -> tuple[dict[str, object], bytes]:
    event = privacy.Redaction(TOPICS.source, lambda _: rules)(Event(body, 7.0, NOW, "boot"))
    payload = Encoder(TOPICS)(event, ChainPosition("0011aabb", 1, "0" * 64)).payload
    return json.loads(payload), payload


@pytest.mark.parametrize("body", CASES, ids=["attestation", "report"])
@pytest.mark.parametrize("rules", [privacy.DEFAULT, privacy.CLOSED, replace(privacy.DEFAULT, mode=Mode.TRACE)])
def test_without_a_key_nothing_private_is_told(body, rules) -> None:
    message, payload = told(body, rules)
    assert "sealed" not in message["data"]
    assert b"Li Wei" not in payload
    assert b"absent_numbers" not in payload


@pytest.mark.parametrize("body", CASES, ids=["attestation", "report"])
def test_what_is_sealed_only_the_central_server_opens(body) -> None:
    private = hpke.new_private_key()
    key = SealingKey("k1", hpke.public_bytes(private), NOW.earliest_utc - 9, NOW.latest_utc + 9)
    message, payload = told(body, PrivacyRules(Mode.TRACE, keys=(key,)))
    assert b"Li Wei" not in payload
    found = privacy.opened(message, private)["data"]
    if body is STATED:
        assert found["private"] == {"name": "Li Wei"}
    else:
        assert found["absent_numbers"] == [5, 6]
    moved = json.loads(payload)
    moved["data"]["type" if body is REPORT else "form"] = "other"
    with pytest.raises(hpke.UnsealError):
        privacy.opened(moved, private)


SAID = {
    "travel": AttestationRecord("travel", "gate", case="KTRWA", value="risk", by="G07"),
    "override": AttestationRecord("override", "gate", value="medical", answers={"number": "7"}, by="G07"),
    "mask": AttestationRecord("mask", "gate", case="KTRWA", value="worn", private={"name": "Li Wei"}),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("mode", [*Mode])
def test_a_statement_does_not_tell_what_the_passage_beside_it_withholds(said, mode) -> None:
    """Why somebody was let in or not, and that there is a case: only the central server reads it, if anybody."""
    private, body = hpke.new_private_key(), SAID[said]
    key = SealingKey("k1", hpke.public_bytes(private), NOW.earliest_utc - 9, NOW.latest_utc + 9)
    message, payload = told(body, PrivacyRules(mode, details=False, keys=(key,)))
    assert not [word for word in (b"KTRWA", b"risk", b"medical", b"Li Wei") if word in payload]
    assert message["data"]["by"] == body.by or not body.by
    if said == "override":
        assert message["data"]["answers"] == {"number": "7"}
    if mode is Mode.TRACE:
        found = privacy.opened(message, private)["data"]
        assert (found["case"], found["value"], found["answers"]) == (body.case, body.value, dict(body.answers))


def test_with_details_a_statement_is_told_as_it_was_made() -> None:
    message, _ = told(SAID["travel"], privacy.DEFAULT)
    assert (message["data"]["case"], message["data"]["value"]) == ("KTRWA", "risk")
    feedback = AttestationRecord("feedback", case="KTRWA", value="isolated")
    message, _ = told(feedback, privacy.CLOSED)
    assert (message["data"]["case"], message["data"]["value"]) == ("KTRWA", "isolated")
