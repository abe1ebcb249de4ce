"""JSON Schemas and the AsyncAPI 3 document, generated from the contract's types."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from typing_extensions import TypedDict, is_typeddict

from agent.events import CONTENT_TYPE, VERSION, contract
from agent.events.contract import (
    BundleJson,
    CommandJson,
    DsseJson,
    EnvelopeJson,
    ReceiptJson,
    StateJson,
)
from agent.events.kinds import kinds
from agent.events.kinds.passage import ContentJson


def adapter(shape: Any) -> TypeAdapter[Any]:
    """Checks JSON against a TypedDict. Before Python 3.12 pydantic takes those of typing_extensions alone."""
    return TypeAdapter(_converted(shape, {}))


def event_shape(kind: str) -> Any:
    """A whole event of a kind: the envelope, with the kind's `data`."""
    name = "".join(word.capitalize() for word in kind.split("_")) + "Event"
    fields = {**get_type_hints(EnvelopeJson, include_extras=True), "data": kinds()[kind].shape}
    return _typeddict(name, fields, f"Topic `…/event/{kind}`.")


def _typeddict(name: str, fields: dict[str, Any], meaning: str | None, *, total: bool = True) -> Any:
    make: Any = TypedDict  # a type checker wants the name written out
    made = make(name, fields, total=total)
    made.__doc__ = meaning
    return made


def event_schema(kind: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of event, envelope and data."""
    schema = _schema(event_shape(kind), f"urn:gatepost:{kind}:v{VERSION}")
    schema["properties"]["type"]["const"] = f"gatepost.{kind}.v{VERSION}"
    schema["properties"]["dataschema"]["const"] = schema["$id"]
    schema["properties"]["id"]["pattern"] = "^[^:]+:[0-9a-f]{8}:[1-9][0-9]*$"
    schema["properties"]["sequence"]["pattern"] = "^[0-9]{12,}$"
    schema["properties"]["previoussha256"]["pattern"] = "^[0-9a-f]{64}$"
    return schema


def state_schema() -> dict[str, Any]:
    """JSON Schema of the retained state."""
    return _schema(StateJson, f"urn:gatepost:state:v{VERSION}")


def command_schema() -> dict[str, Any]:
    """JSON Schema of what is signed as a command; what does not fit is taken for a stranger's."""
    schema = _schema(CommandJson, f"urn:gatepost:command:v{VERSION}")
    schema["additionalProperties"] = False
    for name in ("id", "command"):
        schema["properties"][name]["pattern"] = "^[A-Za-z0-9._:-]{1,64}$"
    return schema


def receipt_schema() -> dict[str, Any]:
    """JSON Schema of what is signed as a receipt."""
    return _schema(ReceiptJson, f"urn:gatepost:receipt:v{VERSION}")


def bundle_schema() -> dict[str, Any]:
    """JSON Schema of what is signed as a bundle."""
    return _schema(BundleJson, f"urn:gatepost:bundle:v{VERSION}")


def dsse_schema() -> dict[str, Any]:
    """JSON Schema of the envelope that commands, receipts and bundles come in."""
    return _schema(DsseJson, f"urn:gatepost:dsse:v{VERSION}")


@dataclass(frozen=True, slots=True)
class _Channel:
    """One address, and what goes over it."""

    address: str
    """After the version."""
    schema: dict[str, Any]
    action: Literal["send", "receive"] = "send"
    retained: bool = False
    content_type: str = "application/json"
    description: str = ""


_SIGNED = "A DSSE envelope; its `payloadType` is `application/vnd.gatepost.{0}.v1+json`, its payload: {0}.v1.json"


_SHARED = {"site": "{site}/$all", "group": "$group/{group}", "all": "$all"}
"""Where many kiosks read: whom it is for → what the address begins with, after the version."""


def _channels() -> dict[str, _Channel]:
    """All of them, by name."""
    kiosk = "{site}/{kiosk}"
    events = {
        kind: _Channel(f"{kiosk}/event/{kind}", event_schema(kind), content_type=CONTENT_TYPE) for kind in kinds()
    }
    signed = dsse_schema()
    bundle = _SIGNED.format("bundle")
    return {
        **events,
        "state": _Channel(f"{kiosk}/state", state_schema(), retained=True),
        "command": _Channel(f"{kiosk}/command", signed, "receive", description=_SIGNED.format("command")),
        **{
            f"command_for_{name}": _Channel(
                f"{level}/command", signed, "receive", description=_SIGNED.format("command")
            )
            for name, level in _SHARED.items()
        },
        "receipt": _Channel(
            f"{kiosk}/receipt",
            signed,
            "receive",
            retained=True,
            description=_SIGNED.format("receipt"),
        ),
        "bundle": _Channel(f"{kiosk}/bundle/{{type}}", signed, "receive", retained=True, description=bundle),
        **{
            f"bundle_for_{name}": _Channel(
                f"{level}/bundle/{{type}}", signed, "receive", retained=True, description=bundle
            )
            for name, level in _SHARED.items()
        },
        "base_chunk": _Channel(
            "$all/base/{chunks}/{index}",
            {"title": "BaseChunk", "type": "string", "format": "binary"},
            "receive",
            content_type="application/octet-stream",
            retained=True,
            description="A piece of the file of a list's base, whose digest is signed in the list's bundle.",
        ),
    }


_PARAMETERS = {
    "site": {"description": "where the kiosk stands"},
    "kiosk": {"description": "its name, unique within the site; `<site>/<kiosk>` is its user at the broker"},
    "group": {"description": "a region, a wave: `groups` under `[kiosk]` names those that a kiosk belongs to"},
    "chunks": {"description": "the first 32 hexadecimal digits of the SHA-256 of all digests of the pieces"},
    "index": {"description": "of the piece, from 0"},
    "type": {
        "description": "`keys`, `policy/office`, `list/status` …: one topic for each that is to be retained; "
        "what counts is what the bundle says of itself"
    },
}


def asyncapi(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document: what the agent (of `version`) sends and receives where."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name, channel in _channels().items():
        channels[name] = {
            "address": f"gatepost/v{VERSION}/{channel.address}",
            "parameters": {key: what for key, what in _PARAMETERS.items() if f"{{{key}}}" in channel.address},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"{channel.action}_{name}"] = {
            "action": channel.action,
            "channel": {"$ref": f"#/channels/{name}"},
            "bindings": {"mqtt": {"qos": 1, "retain": channel.retained, "bindingVersion": "0.2.0"}},
        }
        messages[name] = {
            "contentType": channel.content_type,
            "payload": _hoisted(channel.schema, schemas),
            **({"description": channel.description} if channel.description else {}),
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gatepost: what a kiosk tells the central server, and what it hears from there",
            "version": version,
            "description": "Events come at least once, in order; `id` tells repeats. See events.md, commands.md.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _hoisted(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to this schema, which goes into `schemas` with what it names.

    In an AsyncAPI document every reference counts from its top, and `$id` would move that: its parsers find nothing
    below a schema's own `$defs`.
    """
    text = json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/')
    moved = json.loads(text)
    name = moved["title"]
    schemas.update(moved.pop("$defs", {}))
    schemas[name] = {key: value for key, value in moved.items() if key not in ("$schema", "$id")}
    return {"$ref": f"#/components/schemas/{name}"}


def documents(version: str) -> dict[str, str]:
    """File name → text of all that `docs/contract/` holds."""
    files: dict[str, Any] = {f"{kind}.v{VERSION}.json": event_schema(kind) for kind in kinds()}
    files[f"state.v{VERSION}.json"] = state_schema()
    files[f"command.v{VERSION}.json"] = command_schema()
    files[f"receipt.v{VERSION}.json"] = receipt_schema()
    files[f"bundle.v{VERSION}.json"] = bundle_schema()
    files[f"dsse.v{VERSION}.json"] = dsse_schema()
    files[f"sealed.v{VERSION}.json"] = _schema(ContentJson, f"urn:gatepost:sealed:v{VERSION}")
    files["asyncapi.json"] = asyncapi(version)
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in files.items()}


def _converted(hint: Any, known: dict[str, Any]) -> Any:
    """The hint, with all TypedDicts in it as pydantic reads them; `known` gets each by its name."""
    if is_typeddict(hint):
        if hint.__name__ not in known:
            places = vars(contract) | vars(sys.modules[hint.__module__])
            hints = get_type_hints(hint, localns=places, include_extras=True)
            fields = {name: _converted(part, known) for name, part in hints.items()}
            known[hint.__name__] = _typeddict(hint.__name__, fields, hint.__doc__, total=hint.__total__)
        return known[hint.__name__]
    parts = get_args(hint)
    if not parts or get_origin(hint) is Literal:
        return hint
    if get_origin(hint) is Annotated:
        return Annotated[_converted(parts[0], known), *parts[1:]]
    converted = tuple(_converted(part, known) for part in parts)
    if isinstance(hint, UnionType):
        return reduce(or_, converted)
    return get_origin(hint)[converted if len(converted) > 1 else converted[0]]


def _schema(shape: Any, identity: str) -> dict[str, Any]:
    """Pydantic's schema of a TypedDict, with the texts that stand beside its fields."""
    known: dict[str, Any] = {}
    root = _converted(shape, known)
    schema = TypeAdapter(root).json_schema(mode="serialization")
    _describe(schema, root)
    for name, part in schema.get("$defs", {}).items():
        if name in known:
            _describe(part, known[name])
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
