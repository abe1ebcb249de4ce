"""Who has answered: states and results fold into one answer for each kiosk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Topics
from agent.events.answers import AnswerStatus, Delivery, FleetAnswers, as_json, table
from agent.events.state import ReleaseState, State, offline_payload, state_payload
from agent.model import InForce, ReleaseStatus


def state(topics, version=0, **how):
    held = (InForce("list", "status", version, "bundle"),) if version else ()
    return topics.state, state_payload(topics, State("1.0", topics.groups, in_force=held, **how))


def result(topics, status="succeeded", reason="", version=7, command_id=None, source=None, **told):
    data = {"command_id": command_id, "command": "bundle" if command_id is None else "open", "status": status,
            "reason": reason, "result": {"type": "list", "name": "status", "version": version, **told}}  # fmt: skip
    body = {"source": topics.source if source is None else source, "data": data}
    return topics.event("command_result"), json.dumps(body).encode()


GATES = [Topics("library", f"gate-{number}", ("north",) if number < 2 else ()) for number in range(3)]
DOOR = Topics("school", "door")
SENT = Delivery("library/*", bundle="list/status", version=7)


def statuses(answers):
    return {kiosk: answer.status for kiosk, answer in answers.answers.items()}


def test_a_bundle_is_followed_from_states_to_results():
    answers = FleetAnswers(SENT)
    answers.read(*state(GATES[0], 6))
    answers.read(GATES[1].state, offline_payload(GATES[1], "1.0"))
    answers.read(*state(GATES[2], 7))
    answers.read(*state(DOOR, 6))
    assert statuses(answers) == {
        "library/gate-0": AnswerStatus.NO_ANSWER,
        "library/gate-1": AnswerStatus.OFFLINE,
        "library/gate-2": AnswerStatus.SUCCEEDED,
    }
    assert not answers.is_complete
    answers.read(*result(GATES[0], "failed", "base_awaited"))
    assert answers.answers["library/gate-0"].status is AnswerStatus.PENDING
    answers.read(*state(GATES[0], 6))
    assert not answers.is_complete, "a state that still names the old version answers nothing"
    answers.read(*state(GATES[0], 7))
    assert answers.is_complete
    assert not answers.have_all_succeeded, "one is offline"
    answers.read(*result(GATES[1], "rejected", "rollback"))
    told = as_json(answers)
    assert told["counts"] == {"succeeded": 2, "rejected": 1}
    assert table(answers)[1].split() == [
        "library/gate-1", "rejected", "rollback", "type=list", "name=status", "version=7",
    ]  # fmt: skip


def test_a_newer_version_counts_and_is_told():
    answers = FleetAnswers(SENT)
    answers.read(*state(GATES[0], 9))
    assert answers.have_all_succeeded
    assert answers.answers["library/gate-0"].reason == "has version 9"


@pytest.mark.parametrize(
    ("target", "members"),
    [
        ("", [*GATES, DOOR]),
        ("*/*", [*GATES, DOOR]),
        ("library/*", GATES),
        ("@north", GATES[:2]),
        ("school/door", [DOOR]),
    ],
)
def test_whom_it_is_for(target, members):
    answers = FleetAnswers(Delivery(target, bundle="list/status", version=7))
    for topics in (*GATES, DOOR):
        answers.read(*state(topics))
    assert sorted(answers.answers) == sorted(f"{each.site}/{each.kiosk}" for each in members)


@pytest.mark.parametrize(
    ("target", "who"),
    [("", "+/+"), ("*/*", "+/+"), ("@north", "+/+"), ("library/*", "library/+"), ("a/b", "a/b")],
)
def test_no_more_is_read_than_is_needed(target, who):
    assert Delivery(target).topics == (f"gatepost/v1/{who}/state", [f"gatepost/v1/{who}/event/command_result"])


def test_a_command_is_answered_by_its_id_from_the_kiosks_own_topic():
    answers = FleetAnswers(Delivery("library/gate-0", command_id="42"))
    assert not answers.is_complete, "one kiosk is awaited though nothing is known of it"
    answers.read(*result(GATES[0], command_id="41"))
    answers.read(*result(GATES[0], command_id="42", source=GATES[1].source))
    assert not answers.is_complete
    answers.read(*result(GATES[0], "rejected", "expired", command_id="42"))
    assert (answers.is_complete, answers.have_all_succeeded) == (True, False)


@pytest.mark.parametrize(
    ("ended", "status"),
    [("config_applied", "succeeded"), ("config_rejected", "rejected"), ("config_rolled_back", "failed")],
)
def test_a_configuration_on_trial_has_not_succeeded_until_the_kiosk_says_how_it_ended(ended, status):
    answers, gate = FleetAnswers(Delivery("library/gate-0", bundle="config", version=7)), GATES[0]
    in_force = state_payload(gate, State("1.0", in_force=(InForce("config", "", 7, "bundle"),)))

    def read_agent_event(**data):
        answers.read(gate.event("agent"), json.dumps({"source": gate.source, "data": data}).encode())

    answers.read(*result(gate, type="config", name="", on_trial=True))
    answers.read(gate.state, in_force)
    read_agent_event(type="started")
    read_agent_event(type=ended, config_version=6)
    assert answers.answers["library/gate-0"].status is AnswerStatus.PENDING
    assert answers.sent.topics[1][1] == gate.event("agent")
    read_agent_event(type=ended, config_version=7, detail="the gate is down")
    answers.read(gate.state, in_force if status == "succeeded" else state(gate)[1])
    assert answers.answers["library/gate-0"].status == status
    assert answers.is_complete


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        ("waiting", "pending", "waiting"),
        ("on_trial", "pending", "on_trial"),
        ("in_use", "succeeded", ""),
        ("not_in_wave", "succeeded", "not_in_wave"),
        ("rolled_back", "failed", "rolled_back"),
        ("rejected", "rejected", "rejected"),
    ],
)
def test_a_release_is_followed_by_the_states_until_it_is_kept_or_given_up(status, answer, reason):
    answers, gate = FleetAnswers(Delivery("library/gate-0", bundle="release", version=7)), GATES[0]

    def read_state(said, bundle=7):
        held, release = (InForce("release", "", bundle),), ReleaseState("0.2.0", ReleaseStatus(said), "why")
        answers.read(gate.state, state_payload(gate, State("1.0", in_force=held, release=release)))

    read_state("in_use", 6)
    assert statuses(answers) == {"library/gate-0": AnswerStatus.NO_ANSWER}, "of the bundle before"
    answers.read(*result(gate, type="release", name="", in_use=False))
    assert (statuses(answers), answers.is_complete) == ({"library/gate-0": AnswerStatus.PENDING}, False)
    read_state(status)
    found = answers.answers["library/gate-0"]
    assert (found.status, found.reason, found.result) == (answer, reason, {"release": "0.2.0", "detail": "why"})
    answers.read(*result(gate, type="release", name="", in_use=False))
    assert answers.answers["library/gate-0"] == found, "the state knows more than a result that comes late"
    read_state("in_use")
    assert answers.have_all_succeeded
    read_state("rolled_back", 8)
    assert answers.answers["library/gate-0"].reason == "has version 8"


def test_a_kiosk_that_does_not_use_releases_says_so():
    answers = FleetAnswers(Delivery("library/gate-0", bundle="release", version=7))
    answers.read(*result(GATES[0], "rejected", "not_in_use", type="release", name=""))
    assert statuses(answers) == {"library/gate-0": AnswerStatus.REJECTED}


def test_nobody_is_not_everybody():
    answers = FleetAnswers(Delivery("*/*", command_id="42"))
    assert not answers.is_complete
    assert not answers.have_all_succeeded
    assert "nobody" in table(answers)[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("data", "source", "result", "status")), inner),
)


@given(JSON, st.sampled_from((GATES[0].state, GATES[0].event("command_result"), "elsewhere")))
def test_what_strangers_send_answers_nothing(body, topic):
    answers = FleetAnswers(SENT)
    answers.read(topic, json.dumps(body).encode())
    assert answers.answers == {}
