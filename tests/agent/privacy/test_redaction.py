"""What is left of a passage in each mode, and that only the central server can open the rest."""

import json
from base64 import b64decode
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events
from agent.events import Encoder, Topics, schemas
from agent.events.kinds import name_of
from agent.events.kinds.passage import ContentJson
from agent.model import (
    AgentChange,
    ChainPosition,
    ClockState,
    CodeStatus,
    Colour,
    Decision,
    Direction,
    Event,
    Outcome,
    Passage,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)
from agent.privacy import CLOSED, DEFAULT, Mode, PrivacyRules, Redaction, anonymous, hpke, opened
from agent.privacy.redaction import MOST_BYTES, SMALLEST_BYTES
from agent.privacy.rules import SealingKey

TOPICS = Topics("library", "gate-3")
PRIVATE = hpke.new_private_key()
KEY = SealingKey("week-47", hpke.public_bytes(PRIVATE), 0.0, 4e9)
TRACE = PrivacyRules(Mode.TRACE, keys=(KEY,))
PLACE = ChainPosition("9f86d081", 123, events.FIRST)
NOW = TimeBounds(1_792_000_000.0, 1_792_000_000.2, ClockState.SYNCED)
UNKNOWN = Passage(
    lane="in",
    direction=Direction.ENTRY,
    verdict=Verdict(CodeStatus.UNRECOGNISED, ""),
    temperature=Temperature(Screening.NORMAL, 35.8, 0.5, 8, 37.3),
    decision=Decision(Outcome.REFER, ("code_unrecognised",)),
    gate_opened=False,
    began_s=1.0,
    decided_s=2.0,
    simulated=False,
)
HEALTH = {"code_red", "red rule", "fever", "elevated", "38.451", "second_reading", "mean_of_two", "revoked"}


@pytest.fixture
def event(passage_event):
    """Somebody red with a fever, second reading; the code names him."""
    made = passage_event(812, outcome=Outcome.REFER)
    verdict = Verdict(
        *(CodeStatus.REVOKED, "gatepost", b"SUBJECT-CANARY--", "city-health", Colour.RED),
        code=b"CODE-CANARY-----",
        reason="CANARY",
    )
    temperature = Temperature(
        *(Screening.ELEVATED, 38.451, 0.5, 8, 37.3),
        ambient_c=21.5,
        reason="mean_of_two",
        attempt=2,
        next_step="second_reading",
    )
    decision = Decision(Outcome.REFER, ("code_red", "fever"), "red rule", ("call",))
    body = replace(made.body, verdict=verdict, temperature=temperature, decision=decision)
    return replace(made, body=replace(body, payloads=(b"GP1:CANARY", b"\xff\x00junk")))


def sent(event, rules):
    withheld = Redaction(TOPICS.source, lambda _: rules)(event)
    payload = Encoder(TOPICS)(withheld, PLACE).payload
    schemas.adapter(schemas.event_shape(name_of(event.body))).validate_json(payload)
    return withheld, json.loads(payload)


def test_verify_only_tells_what_nobody_can_be_named_by(event):
    withheld, message = sent(event, DEFAULT)
    assert message["data"]["credential"] == {
        "format": "gatepost",
        "status": "revoked",
        "issuer": "city-health",
        "colour": "red",
    }
    assert message["data"]["temperature"]["surface_c"] == 38.451
    assert "sealed" not in message["data"]
    assert "CANARY" not in repr(withheld) + json.dumps(message)
    assert withheld.body.payloads == ()


@pytest.mark.parametrize(
    "rules", [CLOSED, TRACE, PrivacyRules(Mode.TRACE)], ids=["closed", "trace", "trace, no key"]
)
def test_withheld_is_withheld_from_everything_that_goes_on(event, rules):
    withheld, message = sent(event, rules)
    data = message["data"]
    everything = repr(withheld) + json.dumps({**message, "data": {**data, "sealed": None}})
    assert not [word for word in HEALTH | {"CANARY", "issuer': 'city"} if word in everything]
    assert data["credential"] == {"format": "gatepost", "status": "withheld", "issuer": None, "colour": None}
    assert data["temperature"] == {
        "outcome": "withheld",
        "surface_c": None,
        "estimate_c": None,
        "uncertainty_c": None,
        "threshold_c": 37.3,
        "basis": "fixed",
        "ambient_c": 21.5,
        "samples": 8,
        "reason": "",
        "attempt": 1,
        "next_step": "",
    }
    assert (data["reasons"], data["rule"]) == ([], "")
    assert (data["decision"], data["duration_ms"], data["lane"]) == ("refer", 812, "in")
    assert (data["sealed"] is None) == (rules is not TRACE)


def test_no_code_is_told_from_a_withheld_one(event):
    none = replace(event, body=replace(event.body, verdict=None, payloads=()))
    _, message = sent(none, TRACE)
    assert message["data"]["credential"] is None
    assert opened(message, PRIVATE)["data"]["payloads"] == []


def test_the_server_opens_all_that_was_withheld(event):
    _, message = sent(event, TRACE)
    data = opened(message, PRIVATE)["data"]
    assert [b64decode(code) for code in data.pop("payloads")] == [b"GP1:CANARY", b"\xff\x00junk"]
    assert data.pop("payloads_omitted") == 0
    del data["sealed"]
    assert data == json.loads(json.dumps(events.data(event)))


def test_nobody_else_does(event):
    _, message = sent(event, TRACE)
    with pytest.raises(hpke.UnsealError):
        opened(message, hpke.new_private_key())


def test_an_event_with_nothing_sealed_says_so(event):
    with pytest.raises(hpke.UnsealError, match="nothing is sealed"):
        opened(sent(event, DEFAULT)[1], PRIVATE)
    with pytest.raises(hpke.UnsealError, match="nothing is sealed"):
        opened(sent(event, CLOSED)[1], PRIVATE)


@pytest.mark.parametrize(
    "change",
    [
        {"lane": "out"},
        {"direction": "exit"},
        {"decision": "admit"},
        {"gate_opened": False},
        {"duration_ms": 813},
        {"simulated": False},
        {"credential": None},
        {"credential": {"format": "dcc"}},
        {"clock": {"boot_id": "7d3c" * 8, "boottime_ms": 1}},
        {"clock": {"boot_id": "", "boottime_ms": 100812}},
    ],
    ids=str,
)
def test_a_sealed_part_is_bound_to_its_own_event(event, change):
    _, message = sent(event, TRACE)
    with pytest.raises(hpke.UnsealError):
        opened({**message, "data": {**message["data"], **change}}, PRIVATE)


def test_a_sealed_part_is_bound_to_its_kiosk_and_key(event):
    _, message = sent(event, TRACE)
    with pytest.raises(hpke.UnsealError):
        opened({**message, "source": "/gatepost/v1/library/gate-4"}, PRIVATE)
    message["data"]["sealed"]["keyid"] = "week-48"
    with pytest.raises(hpke.UnsealError):
        opened(message, PRIVATE)


sizes = st.one_of(st.integers(0, 300), st.integers(0, 3 * MOST_BYTES // 2))
long_codes = st.builds(lambda seed, size: (seed * (1 + size // len(seed)))[:size], st.binary(min_size=1), sizes)


@given(st.lists(long_codes, max_size=4))
@settings(deadline=None)
def test_any_codes_are_sealed_within_bounds_and_padded(codes):
    event = Event(replace(UNKNOWN, payloads=tuple(codes)), 100.0, NOW, "7d3c" * 8)
    withheld = Redaction(TOPICS.source, lambda _: TRACE)(event)
    sealed = withheld.body.redacted.sealed
    padded = len(sealed.ct) - 16
    assert padded >= SMALLEST_BYTES
    assert padded & (padded - 1) == 0
    assert len(sealed.enc) + len(sealed.ct) - padded == hpke.OVERHEAD_BYTES <= 64
    _, message = sent(event, TRACE)
    data = opened(message, PRIVATE)["data"]
    kept = [b64decode(code) for code in data["payloads"]]
    assert len(kept) + data["payloads_omitted"] == len(codes)
    assert sum(map(len, kept)) <= MOST_BYTES
    rest = iter(codes)
    assert all(code in rest for code in kept)  # in their order
    content = {
        key: data[key] for key in ("payloads", "payloads_omitted", "reasons", "rule", "credential", "temperature")
    }
    schemas.adapter(ContentJson).validate_python(content)


def test_equal_passages_do_not_look_alike(event):
    first, second = (sent(event, TRACE)[1]["data"]["sealed"] for _ in range(2))
    assert first["enc"] != second["enc"]
    assert first["ct"] != second["ct"]


def test_other_events_are_left_as_they_are(event):
    agent = replace(event, body=AgentChange("started", "1"))
    assert sent(agent, TRACE)[0] is agent


def test_the_mode_of_the_moment_counts(event):
    rules = [DEFAULT, TRACE, CLOSED]
    withholding = Redaction(TOPICS.source, lambda _: rules.pop(0))
    found = [withholding(event).body.redacted for _ in range(3)]
    assert found[0] is None
    assert found[1].sealed.keyid == "week-47"
    assert found[2].sealed is None


def test_what_is_taken_off_by_hand_is_taken_off_twice_as_well(event):
    assert anonymous(anonymous(event)) == anonymous(event)
