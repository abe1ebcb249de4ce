"""Discovery messages by which Home Assistant finds a kiosk: one device with its entities. Pure.

Source: Home Assistant, MQTT integration, "Device discovery payload" (topic `<prefix>/device/<object id>/config`,
retained; release 2024.11 or later). Every entity reads the kiosk's retained state: the kiosk itself does nothing,
and nothing in it is about a person.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from typing import Any

from agent.events.state import kiosk_of
from agent.model import Outcome, Screening

PREFIX = "homeassistant"
_OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]{1,100}")
_LANE = re.compile(r"[\w.-]{1,64}")
"""A state is not signed, and a lane's name gets into a template: no other names are taken."""
_LONGEST_STATE_BYTES = 256_000

_ONLINE = "online"
"""The one entity that is there while the kiosk is not."""

Component = dict[str, Any]


def discovery(topic: str, payload: bytes, prefix: str = PREFIX) -> tuple[str, bytes]:
    """A kiosk's retained state → topic and payload for Home Assistant. Raises ValueError for what is no state of a
    kiosk that is online: one that is offline does not say what it consists of.
    """
    named = kiosk_of(topic)
    if named is None:
        raise ValueError(f"{topic!r} is no topic of a kiosk's state")
    state = _state(payload)
    site, kiosk = named
    entities = dict(_entities(state))
    available = [{"topic": topic, "value_template": "{{ value_json.state }}"}]
    for key, entity in entities.items():
        entity["unique_id"] = f"gatepost/{site}/{kiosk}/{key}"
        if key != _ONLINE:
            entity["availability"] = available
    release = str(state.get("software_version", ""))[:40]
    message = {
        "device": {
            "identifiers": [f"gatepost/{site}/{kiosk}"],
            "name": f"{site} {kiosk}",
            "manufacturer": "Gatepost",
            "model": "Checkpoint kiosk",
            "sw_version": release,
        },
        "origin": {"name": "gatepost", "sw_version": release},
        "state_topic": topic,
        "qos": 1,
        "components": entities,
    }
    return config_topic(site, kiosk, prefix), json.dumps(
        message, separators=(",", ":"), ensure_ascii=False
    ).encode()


def config_topic(site: str, kiosk: str, prefix: str = PREFIX) -> str:
    """Where Home Assistant reads of a kiosk; an empty retained message there removes it."""
    plain = f"gatepost_{site}_{kiosk}"
    if not _OBJECT_ID.fullmatch(plain) or "_" in site + kiosk:  # else two kiosks could share one
        plain = f"gatepost_{hashlib.sha256(f'{site}/{kiosk}'.encode()).hexdigest()[:24]}"
    return f"{prefix}/device/{plain}/config"


def _state(payload: bytes) -> dict[str, Any]:
    found: Any = None
    with suppress(ValueError, RecursionError):
        found = json.loads(payload) if len(payload) <= _LONGEST_STATE_BYTES else None
    match found:
        case {"type": "gatepost.state.v1", "state": "online"}:
            return dict(found)
        case {"type": "gatepost.state.v1", "state": "offline"}:
            raise ValueError("the kiosk is offline; run this again once it is back")
    raise ValueError("what is retained there is no state of a kiosk")


def _entities(state: dict[str, Any]) -> list[tuple[str, Component]]:
    """Key → entity. What the state does not have, there is none of."""
    found = [
        _switch(_ONLINE, "Online", "value_json.state == 'online'", "connectivity"),
        _switch("problem", "Problem", "value_json.problems | default([])", "problem"),
        _switch("safe_mode", "Safe mode", "value_json.mode | default('') == 'safe'", "problem"),
        _number("waiting", "Events waiting", "value_json.counts.waiting", "measurement"),
    ]
    if isinstance(state.get("venue"), dict):
        found += [
            _number("inside", "People inside", "value_json.venue.inside", "measurement"),
            _number("cases", "Open cases", "value_json.venue.cases", "measurement"),
            _number("overdue", "Overdue cases", "value_json.venue.overdue", "measurement"),
        ]
    for lane in _lanes(state):
        down = "value_json.devices | default([]) | selectattr('lane', 'eq', '{}') | rejectattr('up') | list"
        found.append(_switch(f"{lane}_devices", f"{lane} devices", down.format(lane), "problem"))
        for group, words in (("passages", Outcome), ("temperatures", Screening)):
            of_lane = (
                f"(value_json.lanes | default([]) | selectattr('lane', 'eq', '{lane}') | map(attribute='{group}')"
                " | first | default({}))"
            )
            found += [
                _number(
                    f"{lane}_{group}_{word}",
                    f"{lane} {group} {word}".replace("_", " "),
                    f"{of_lane}['{word}'] | default(0)",
                    "total_increasing",
                )
                for word in map(str, words)
            ]
    return found


def _lanes(state: dict[str, Any]) -> list[str]:
    devices = state.get("devices")
    named = [each.get("lane") for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    return sorted({lane for lane in named if isinstance(lane, str) and _LANE.fullmatch(lane)})


def _switch(key: str, name: str, holds: str, device_class: str) -> tuple[str, Component]:
    return key, {
        "platform": "binary_sensor",
        "name": name,
        "device_class": device_class,
        "value_template": f"{{{{ 'ON' if {holds} else 'OFF' }}}}",
    }


def _number(key: str, name: str, value: str, state_class: str) -> tuple[str, Component]:
    return key, {
        "platform": "sensor",
        "name": name,
        "state_class": state_class,
        "value_template": f"{{{{ {value} }}}}",
    }
