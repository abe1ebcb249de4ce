"""What Home Assistant is told: the keys that its discovery knows, templates that give the state's numbers."""

import json

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Topics
from agent.events.homeassistant import config_topic, discovery
from agent.events.state import Counts, DeviceState, LaneCounts, State, VenueState, offline_payload, state_payload
from agent.model import Role

TOPICS = Topics("library", "gate-3")
STATE = State(
    "1.0",
    devices=(DeviceState("in", Role.SCANNER, "camera", up=True), DeviceState("in", Role.GATE, "gpio", up=False)),
    counts=Counts(waiting=3),
    venue=VenueState(41, cases=2, overdue=1),
    lanes=(LaneCounts("in", {"admit": 7, "refer": 1}, {"normal": 8}),),
)
KNOWN = {"platform", "unique_id", "name", "device_class", "state_class", "value_template", "availability"}
"""Of home-assistant/core, homeassistant/components/mqtt: sensor.py, binary_sensor.py and schemas.py."""


def told(state=STATE, topics=TOPICS):
    topic, payload = discovery(topics.state, state_payload(topics, state))
    return topic, json.loads(payload)


def values(message, payload):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701 - no page
    return {
        key: environment.from_string(each["value_template"]).render(value_json=json.loads(payload))
        for key, each in message["components"].items()
    }


def test_the_entities_give_the_numbers_of_the_state():
    topic, message = told()
    assert topic == "homeassistant/device/gatepost_library_gate-3/config"
    assert message["state_topic"] == "gatepost/v1/library/gate-3/state"
    shown = values(message, state_payload(TOPICS, STATE))
    assert shown["online"] == "ON"
    assert shown["problem"] == shown["safe_mode"] == "OFF"
    assert shown["in_devices"] == "ON", "a device of the lane is down"
    assert (shown["waiting"], shown["inside"], shown["cases"], shown["overdue"]) == ("3", "41", "2", "1")
    assert (shown["in_passages_admit"], shown["in_passages_refuse"]) == ("7", "0")
    assert (shown["in_temperatures_normal"], shown["in_temperatures_elevated"]) == ("8", "0")


def test_only_keys_that_home_assistant_knows():
    _, message = told()
    assert set(message) == {"device", "origin", "state_topic", "qos", "components"}
    entities = message["components"].values()
    assert {key for each in entities for key in each} <= KNOWN
    ids = [each["unique_id"] for each in entities]
    assert len(set(ids)) == len(ids)


def test_whoever_is_away_is_shown_as_away():
    _, message = told()
    offline = json.loads(offline_payload(TOPICS, "1.0"))
    components = message["components"]
    online = jinja2.Template(components["online"]["value_template"])
    assert online.render(value_json=offline) == "OFF"
    assert "availability" not in components["online"]
    (available,) = components["waiting"]["availability"]
    assert jinja2.Template(available["value_template"]).render(value_json=offline) == "offline"
    with pytest.raises(ValueError, match="once it is back"):
        discovery(TOPICS.state, offline_payload(TOPICS, "1.0"))


def test_a_kiosk_without_a_venue_has_no_room():
    _, message = told(State("1.0"))
    assert "inside" not in message["components"]


def test_a_lane_of_a_forged_state_gets_into_no_template():
    forged = json.loads(state_payload(TOPICS, STATE))
    forged["devices"][0]["lane"] = "x') }}{{ states('secret') }}{{ ('"
    forged["devices"].append({"lane": ["no", "name"]})
    _, payload = discovery(TOPICS.state, json.dumps(forged).encode())
    assert b"secret" not in payload


@pytest.mark.parametrize(
    "payload", [b"", b"[" * 100_000, b"{}", b'{"type":"gatepost.state.v1"}', b"\xff", b"1" * 9999]
)
def test_junk_is_no_state(payload):
    with pytest.raises(ValueError, match="no state"):
        discovery(TOPICS.state, payload)


@given(st.lists(st.tuples(st.text("ab_-é", min_size=1), st.text("ab_-é", min_size=1)), unique=True))
def test_no_two_kiosks_share_a_topic(names):
    topics = [config_topic(site, kiosk) for site, kiosk in names]
    assert len(set(topics)) == len(topics)
    assert all(topic.isascii() for topic in topics)
