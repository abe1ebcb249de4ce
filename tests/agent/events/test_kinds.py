"""Kinds of events are found by themselves: a file in the room is enough for topic, schema, rank and log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent import log, screening
from agent.checkpoint import Checkpoint, DecisionRules, Options
from agent.events import FIRST, Encoder, Topics, kinds, schemas
from agent.loop import Loop
from agent.model import ChainPosition, ClockState, TimeBounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Event

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)
KIND = '''\
"""Events `alarm_of_a_test`: a door stands open."""
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypedDict
if TYPE_CHECKING:
    from agent.events.contract import ClockJson
from agent.events.kinds import HIGH, EventKind


@dataclass(frozen=True, slots=True)
class DoorOpen:
    """A door stands open."""

    lane: str
    simulated: bool = False


class DoorJson(TypedDict):
    """A door stands open."""

    lane: Annotated[str, "whose door it is"]
    simulated: bool
    clock: ClockJson


KIND = EventKind(
    bodies=(DoorOpen,),
    shape=DoorJson,
    data=lambda door, clock: {"lane": door.lane, "simulated": door.simulated, "clock": clock},
    rank=lambda _door: HIGH,
    sentence=lambda door: f"{door.lane}: the door stands open",
    fields=lambda door: {"lane": door.lane},
    is_warning=lambda _door: True,
)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "alarm_of_a_test.py").write_text(KIND)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    kinds.kinds.cache_clear()
    kinds._names.cache_clear()
    kinds.kinds()
    yield sys.modules["agent.events.kinds.alarm_of_a_test"]
    kinds.kinds.cache_clear()
    kinds._names.cache_clear()
    sys.modules.pop("agent.events.kinds.alarm_of_a_test", None)


def nobody_comes(*_: object) -> Any:
    raise AssertionError("nobody comes in this test")


def test_every_kind_has_a_value_of_its_own() -> None:
    bodies = [body for kind in kinds.kinds().values() for body in kind.bodies]
    assert set(kinds.kinds()) >= {"passage", "device", "agent", "command_result", "attestation", "report"}
    assert len(bodies) == len(set(bodies)), "a value becomes an event of one kind"


def test_the_document_has_the_topic_of_every_kind() -> None:
    text = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    assert not [kind for kind in kinds.kinds() if f"| `gatepost/v1/<site>/<kiosk>/event/{kind}` | " not in text]


def test_a_file_in_the_room_is_enough(added: Any) -> None:
    stored: list[Event] = []
    rules = DecisionRules(nobody_comes, nobody_comes, screening.Options())
    loop = Loop(
        Checkpoint({}, rules, Options()),
        open_gate={},
        show={},
        store=stored.append,
        log_event=lambda _: None,
        now=lambda: NOW,
        boot_id="boot",
        simulated=True,
    )
    loop.inbox.add(added.DoorOpen("entry"))
    loop.step()
    (event,) = [each for each in stored if isinstance(each.body, added.DoorOpen)]
    record = Encoder(Topics("library", "gate-3"))(event, ChainPosition("9f86d081", 1, FIRST))
    assert (record.kind, record.rank) == ("alarm_of_a_test", kinds.HIGH)
    schemas.adapter(schemas.event_shape("alarm_of_a_test")).validate_json(record.payload)
    message = json.loads(record.payload)
    assert message["type"] == "gatepost.alarm_of_a_test.v1"
    assert message["data"]["simulated"] is True
    assert log.format_event(event) == "entry: the door stands open [simulated]"
    assert log.event_fields(event) == {"event": "alarm_of_a_test", "lane": "entry"}


def test_it_is_published_as_a_schema_and_as_a_channel(added: Any) -> None:
    documents = schemas.documents("1.0")
    schema = json.loads(documents["alarm_of_a_test.v1.json"])
    assert schema["$defs"]["DoorJson"]["properties"]["lane"]["description"] == "whose door it is"
    channel = json.loads(documents["asyncapi.json"])["channels"]["alarm_of_a_test"]
    assert channel["address"] == "gatepost/v1/{site}/{kiosk}/event/alarm_of_a_test"
