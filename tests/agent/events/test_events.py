from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import reduce
from hashlib import sha256
from operator import getitem
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import __version__
from agent.credentials import bundle
from agent.events import FIRST, Encoder, Topics, contract, schemas
from agent.events.kinds import kinds, name_of
from agent.events.state import Counts, DeviceState, State
from agent.events.state import offline_payload as offline
from agent.events.state import state_payload as online
from agent.model import (
    AgentChange,
    AgentEventType,
    ChainPosition,
    ClockState,
    CodeStatus,
    Colour,
    CommandResult,
    CommandStatus,
    Decision,
    DeviceChange,
    Direction,
    Event,
    InForce,
    Loss,
    Outcome,
    Passage,
    Role,
    Screening,
    Temperature,
    TimeBounds,
    Verdict,
)
from agent.model.problems import Problem, ProblemCode
from agent.model.reasons import CommandReason, Rejection

ROOT = Path(__file__).parents[3]
TOPICS = Topics("library", "gate-3")
PLACE = ChainPosition("9f86d081", 123, FIRST)
FROZEN = Path(__file__).parent / "contract_v1.frozen.json"

celsius = st.none() | st.floats(-40, 400)
names = st.text(max_size=20)
verdicts = st.none() | st.builds(
    Verdict,
    st.sampled_from(CodeStatus),
    names,
    st.binary(max_size=16),
    names,
    st.none() | st.sampled_from(Colour),
)
temperatures = st.builds(Temperature, st.sampled_from(Screening), celsius, celsius, st.integers(0, 99), celsius)
passages = st.builds(
    Passage,
    names,
    st.sampled_from(Direction),
    verdicts,
    temperatures,
    st.builds(Decision, st.sampled_from(Outcome), st.lists(names, max_size=4).map(tuple), names),
    st.booleans(),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.booleans(),
)
devices = st.builds(DeviceChange, names, st.sampled_from(Role), names, st.booleans(), names, st.booleans())
agents = st.builds(
    AgentChange, st.sampled_from(get_args(AgentEventType)), names, st.booleans(), st.integers(0, 1 << 53), names
)
reasons = st.sampled_from(["storage_full", "memory_full", "storage_corrupt", "unencodable"])
losses = st.builds(Loss, reasons, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), names)
replies = st.builds(
    CommandResult,
    names,
    st.sampled_from(CommandStatus),
    st.sampled_from(["", *CommandReason, *Rejection]),
    names,
    st.none() | st.dictionaries(names, names | st.integers() | st.lists(names, max_size=2), max_size=3),
    st.booleans(),
    st.booleans(),
)
nows = st.builds(TimeBounds, st.floats(0, 4e9), st.floats(0, 4e9) | st.just(math.inf), st.sampled_from(ClockState))
events = st.one_of(
    st.builds(Event, passages, st.floats(0, 1e6), nows, names),
    st.builds(Event, devices, st.floats(0, 1e6), nows, names),
    st.builds(Event, agents | losses, st.floats(0, 1e6), nows, names),
    st.builds(Event, replies, st.floats(0, 1e6), nows, names),
)
FULL = Problem(ProblemCode.STORAGE_FULL, "outbox", "disk full")
ADAPTERS = {name: schemas.adapter(schemas.event_shape(name)) for name in kinds()}


@settings(deadline=None)
@given(events, st.integers(1, 10**13))
def test_every_event_fits_the_contract(event, sequence):
    record = Encoder(TOPICS)(event, ChainPosition("9f86d081", sequence, FIRST))
    kind = name_of(event.body)
    ADAPTERS[kind].validate_json(record.payload)
    message = json.loads(record.payload)
    assert message["id"] == f"gate-3:9f86d081:{sequence}"
    assert int(message["sequence"]) == sequence
    assert message["type"] == schemas.event_schema(kind)["properties"]["type"]["const"]
    assert set(message["data"]) <= set(_data_schema(kind)["properties"])
    assert ("time" in message) == (
        event.now.state in (ClockState.SYNCED, ClockState.HOLDOVER) and event.now.latest_utc < math.inf
    )
    assert record.kind == kind


def _data_schema(kind):
    schema = schemas.event_schema(kind)
    return schema["$defs"][schema["properties"]["data"]["$ref"].rpartition("/")[2]]


@given(passages)
def test_nothing_that_names_a_person_leaves(passage):
    """Neither subject nor, while the signature does not hold, any text that the code brought along."""
    verdict = Verdict(CodeStatus.BAD_SIGNATURE, "gatepost", b"SUBJECT-SUBJECT-", "WANG XIAOMING", Colour.GREEN)
    verdict = replace(verdict, reason="WANG XIAOMING")
    event = Event(replace(passage, verdict=verdict), 1.0, TimeBounds(0, 1, ClockState.SYNCED))
    payload = Encoder(TOPICS)(event, PLACE).payload
    assert b"WANG" not in payload
    assert b"SUBJECT" not in payload
    assert b"5355424a454354" not in payload.lower()
    assert json.loads(payload)["data"]["credential"]["colour"] is None


def test_a_valid_code_tells_its_issuer_and_colour_but_not_its_subject(passage_event):
    payload = Encoder(TOPICS)(passage_event(5), PLACE).payload
    assert json.loads(payload)["data"]["credential"] == {
        "format": "gatepost",
        "status": "valid",
        "issuer": "city-health",
        "colour": "green",
    }
    assert b"nobody's-subject" not in payload


def test_a_number_that_json_cannot_carry_is_an_error_not_a_message(passage_event):
    event = passage_event()
    broken = replace(event.body, temperature=replace(event.body.temperature, surface_c=math.nan))
    with pytest.raises(ValueError, match="JSON"):
        Encoder(TOPICS)(replace(event, body=broken), PLACE)


def test_ranks_put_alarms_before_routine(passage_event):
    encode = Encoder(TOPICS)
    feverish = passage_event().body
    feverish = replace(feverish, temperature=replace(feverish.temperature, outcome=Screening.ELEVATED))
    now = TimeBounds(0, 1, ClockState.SYNCED)
    ranks = [
        encode(event, PLACE).rank
        for event in (
            Event(DeviceChange("in", Role.GATE, "relay", up=False), 0, now),
            passage_event(),
            Event(feverish, 0, now),
            Event(Loss("storage_full", 1), 0, now),
            Event(CommandResult("bundle", CommandStatus.SUCCEEDED), 0, now),
            Event(CommandResult("open", CommandStatus.SUCCEEDED, command_id="7"), 0, now),
        )
    ]
    assert ranks == [0, 1, 2, 3, 1, 2]


def test_states_fit_the_contract():
    adapter = schemas.adapter(contract.StateJson)
    state = State(
        "1.0",
        simulated=True,
        devices=(DeviceState("in", Role.GATE, "serial_relay", up=False, error="gone", simulated=True),),
        problems=(FULL,),
        clock_state=ClockState.FLOOR,
        counts=Counts(5, 4, 3, 1, 1),
        safe=True,
        config_version=7,
    )
    adapter.validate_json(online(TOPICS, state))
    told = json.loads(online(TOPICS, state))
    assert (told["mode"], told["config_version"]) == ("safe", 7)
    adapter.validate_json(offline(TOPICS, "1.0"))
    assert json.loads(offline(TOPICS, "1.0"))["state"] == "offline"


def test_only_more_than_the_counts_makes_a_state_worth_telling():
    state = State("1.0", problems=(FULL,), counts=Counts(waiting=1))
    assert state.differs(None)
    assert not state.differs(replace(state, counts=Counts(waiting=2)))
    assert state.differs(replace(state, problems=()))


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a b", "x" * 65, "a\n", "$SYS", "a:b"])
def test_names_that_would_break_a_topic_or_an_id_are_refused(name):
    with pytest.raises(ValueError, match="must be 1 to 64"):
        Topics(name, "gate-3")
    with pytest.raises(ValueError, match="must be 1 to 64"):
        Topics("library", name)


# -- what is published ------------------------------------------------------------------------------------


def test_the_published_contract_is_what_the_code_says():
    published = {path.name: path.read_text() for path in (ROOT / "docs" / "contract").iterdir()}
    assert published == schemas.documents(__version__), "run: gatepost schema docs/contract"


def flat(schema):
    """{path: (sorted JSON types, required, enum or const)} of a schema, references followed."""
    facts = {}

    def followed(part):
        return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    def walk(part, path, *, required):
        if "$ref" in part:
            part = {**schema["$defs"][part["$ref"].rpartition("/")[2]], "description": ""}
        choices = part.get("anyOf", [part])
        kinds = set()
        for choice in map(followed, choices):
            kinds.add(choice.get("type", "string"))
            for name, inner in choice.get("properties", {}).items():
                walk(inner, f"{path}.{name}", required=name in choice.get("required", ()))
            if "items" in choice:
                walk(choice["items"], f"{path}[]", required=True)
            if isinstance(choice.get("additionalProperties"), dict):
                walk(choice["additionalProperties"], f"{path}.*", required=False)
            words = choice.get("enum", [choice["const"]] if "const" in choice else [])
            if words:
                facts.setdefault(f"{path} words", set()).update(map(str, words))
        facts[path] = (sorted(kinds), required)

    walk(schema, "", required=True)
    return {path: sorted(fact) if isinstance(fact, set) else list(fact) for path, fact in facts.items()}


RECEIVED = {"command", "receipt", "bundle", "dsse"}
"""What the central server sends: there the kiosk promises to go on taking it."""


def broken_promises(old, new, *, received=False):
    """What a program written against `old` may trip over in `new`: all but additions."""
    broken = []
    for path, fact in old.items():
        now = new.get(path)
        if now is None:
            broken.append(f"{path} is gone")
        elif path.endswith(" words"):
            broken += [f"{path}: {word} is gone" for word in fact if word not in now]
        elif received:
            broken += [f"{path} is no longer taken as {kind}" for kind in set(fact[0]) - set(now[0])]
            broken += [f"{path} may no longer be missing"] * (now[1] and not fact[1])
        elif set(now[0]) - set(fact[0]):
            broken.append(f"{path} may now be {now[0]}")
        elif fact[1] and not now[1]:
            broken.append(f"{path} may now be missing")
    if received:
        added = {path for path in new.keys() - old.keys() if new[path][1] is True}
        broken += [f"{path} must now be there" for path in added if path.rpartition(".")[0] in old]
    return broken


def contract_now():
    documents = schemas.documents("1.0")
    return {
        name.removesuffix(".v1.json"): flat(json.loads(text))
        for name, text in documents.items()
        if name != "asyncapi.json"
    }


def test_version_1_is_not_broken():
    """The frozen copy is what the first release promised; only additions may follow it."""
    frozen, now = json.loads(FROZEN.read_text()), contract_now()
    assert set(frozen) == set(now), "every published schema is frozen"
    assert [
        f"{name}{broken}"
        for name in frozen
        for broken in broken_promises(frozen[name], now[name], received=name in RECEIVED)
    ] == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda facts: facts.pop(".data.lane"), "gone"),
        (lambda facts: facts.update({".data.duration_ms": [["string"], True]}), "may now be"),
        (lambda facts: facts.update({".data.gate_opened": [["boolean"], False]}), "missing"),
        (lambda facts: facts[".data.decision words"].remove("refer"), "refer is gone"),
    ],
)
def test_a_breaking_change_is_found(change, word):
    now = contract_now()["passage"]
    changed = json.loads(json.dumps(now))
    change(changed)
    (broken,) = broken_promises(now, changed)
    assert word in broken


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("command", lambda facts: facts.pop(".target"), "gone"),
        ("command", lambda facts: facts.update({".reason": [["string"], True]}), "must now be there"),
        ("receipt", lambda facts: facts.update({".ranges": [["array"], True]}), "may no longer be missing"),
        ("bundle", lambda facts: facts.update({".version": [["string"], True]}), "no longer taken as integer"),
        ("bundle", lambda facts: facts[".type words"].remove("policy"), "policy is gone"),
        ("dsse", lambda facts: facts.pop(".signatures[].keyid"), "gone"),
    ],
)
def test_what_the_kiosk_took_it_goes_on_taking(name, change, word):
    now = contract_now()[name]
    changed = json.loads(json.dumps(now))
    change(changed)
    (broken,) = broken_promises(now, changed, received=True)
    assert word in broken


def test_the_examples_of_the_document_are_real():
    """Every JSON block of events.md fits the contract."""
    text = (ROOT / "docs" / "events.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```json\n")[1:]]
    messages = [json.loads(block) for block in blocks]
    assert {message["type"] for message in messages} >= {"gatepost.passage.v1", "gatepost.state.v1"}
    for message in messages:
        _, name, _ = message["type"].split(".")
        shape = contract.StateJson if name == "state" else schemas.event_shape(name)
        schemas.adapter(shape).validate_python(message)


def test_previous_is_the_hash_of_the_payload_before(passage_event):
    encode = Encoder(TOPICS)
    first = encode(passage_event(1), ChainPosition("9f86d081", 1, FIRST))
    second = encode(passage_event(2), ChainPosition("9f86d081", 2, sha256(first.payload).hexdigest()))
    assert json.loads(second.payload)["previoussha256"] == sha256(first.payload).hexdigest()


def test_every_reference_of_the_asyncapi_document_leads_somewhere():
    """Its parsers count from the document's top; one that leads nowhere makes them refuse the whole."""
    document = schemas.asyncapi("1.2.3")
    text = json.dumps(document)
    assert '"$id"' not in text, "it would be the base of the references below it"
    found = set(re.findall(r'"\$ref": "#/([^"]+)"', text))
    assert {f"components/schemas/{name}" for name in ("PassageEvent", "ClockJson", "DsseJson")} <= found
    for path in found:
        reduce(getitem, path.split("/"), document)


def test_the_asyncapi_document_says_what_the_schemas_say():
    """What two messages name alike is alike: none has overwritten the other's."""
    shared = schemas.asyncapi("1.2.3")["components"]["schemas"]
    for schema in (*map(schemas.event_schema, kinds()), schemas.state_schema(), schemas.dsse_schema()):
        for name, definition in {**schema["$defs"], schema["title"]: schema}.items():
            there = json.loads(json.dumps(shared[name]).replace("#/components/schemas/", "#/$defs/"))
            assert there == {key: definition[key] for key in definition.keys() - {"$defs", "$id", "$schema"}}


def test_a_state_names_every_type_of_bundle():
    assert set(get_args(get_type_hints(contract.InForceJson)["type"])) == set(bundle.TYPES)
    assert get_type_hints(contract.InForceJson)["type"] == get_type_hints(InForce)["type"]
