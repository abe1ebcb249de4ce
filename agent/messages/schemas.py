"""JSON Schemas and the AsyncAPI 3 document, generated from the contract's types."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter
from typing_extensions import is_typeddict

from agent.messages import CONTENT_TYPE, contract
from agent.messages.contract import VERSION, AgentEvent, DeviceEvent, PassageEvent, StateJson
from agent.model import EventKind

EVENTS: dict[EventKind, type[PassageEvent | DeviceEvent | AgentEvent]] = {
    EventKind.PASSAGE: PassageEvent,
    EventKind.DEVICE: DeviceEvent,
    EventKind.AGENT: AgentEvent,
}


def event_schema(kind: EventKind) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of event, envelope and data."""
    schema = _schema(EVENTS[kind], f"urn:gatepost:{kind}:v{VERSION}")
    schema["properties"]["type"]["const"] = f"gatepost.{kind}.v{VERSION}"
    schema["properties"]["dataschema"]["const"] = schema["$id"]
    schema["properties"]["id"]["pattern"] = "^[^:]+:[0-9a-f]{8}:[1-9][0-9]*$"
    schema["properties"]["sequence"]["pattern"] = "^[0-9]{12,}$"
    schema["properties"]["previous"]["pattern"] = "^[0-9a-f]{64}$"
    return schema


def state_schema() -> dict[str, Any]:
    """JSON Schema of the retained state."""
    return _schema(StateJson, f"urn:gatepost:state:v{VERSION}")


def asyncapi(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document: where the agent (of `version`) sends what."""
    names = [*(str(kind) for kind in EventKind), "state"]
    parameters = {
        "site": {"description": "where the kiosk stands"},
        "kiosk": {"description": "its name, unique within the site; the middle part of its broker identity"},
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for name in names:
        retained = name == "state"
        address = f"gatepost/v{VERSION}/{{site}}/{{kiosk}}/" + ("state" if retained else f"event/{name}")
        channels[name] = {
            "address": address,
            "parameters": parameters,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"send_{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "bindings": {"mqtt": {"qos": 1, "retain": retained, "bindingVersion": "0.2.0"}},
        }
        messages[name] = {
            "contentType": "application/json" if retained else CONTENT_TYPE,
            "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": _payload(name)},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gatepost: what a kiosk tells the centre",
            "version": version,
            "description": "Events come at least once and in order; `id` tells repeats. See events.md.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def documents(version: str) -> dict[str, str]:
    """File name → text of all that `docs/contract/` holds."""
    files: dict[str, Any] = {f"{kind}.v{VERSION}.json": event_schema(kind) for kind in EventKind}
    files[f"state.v{VERSION}.json"] = state_schema()
    files["asyncapi.json"] = asyncapi(version)
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in files.items()}


def _payload(name: str) -> dict[str, Any]:
    return state_schema() if name == "state" else event_schema(EventKind(name))


def _schema(shape: Any, identity: str) -> dict[str, Any]:
    """Pydantic's schema of a TypedDict, with the texts that stand beside its fields."""
    schema = TypeAdapter(shape).json_schema(mode="serialization")
    _describe(schema, shape)
    for name, part in schema.get("$defs", {}).items():
        described = getattr(contract, name, None)
        if is_typeddict(described):
            _describe(part, described)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity, **schema}


def _describe(schema: dict[str, Any], shape: Any) -> None:
    for field, hint in get_type_hints(shape, include_extras=True).items():
        texts = [text for text in _metadata(hint) if isinstance(text, str)]
        if texts:
            schema["properties"][field]["description"] = texts[0]


def _metadata(hint: Any) -> list[Any]:
    """What Annotated carries, also under NotRequired."""
    if hasattr(hint, "__metadata__"):
        return list(hint.__metadata__)
    return [text for inner in get_args(hint) for text in getattr(inner, "__metadata__", ())]
