"""The kinds of events: one file each, found by itself. Its name is the kind's: a level of the topic, a schema.

A file has `KIND`: which values it is about, its JSON and the shape of that, its rank, and its line in the log.
What is stored is a value that a file names: the loop, the outbox and the link take any.
"""

from __future__ import annotations

import importlib
import pkgutil
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.events.contract import ClockJson, SealedJson
    from agent.model import EventBody, Sealed

LOW, NORMAL, HIGH, HIGHEST = range(4)
"""Ranks: when there is no room, the lowest goes first. LOW: devices and the agent; NORMAL: passages; HIGH: what
must be found again or is waited for (alarms, results of commands); HIGHEST: losses."""


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event; each function gets the value that the event is about."""

    bodies: tuple[type, ...]
    """The frozen data classes that become events of this kind."""
    shape: type
    """The member `data` of the JSON, as a TypedDict: the published schema is made from it."""
    data: Callable[[Any, ClockJson], Mapping[str, Any]]
    """That member."""
    rank: Callable[[Any], int]
    sentence: Callable[[Any], str]
    """One line for the log. No code text, no identity."""
    fields: Callable[[Any], dict[str, Any]]
    """The same, flat, for the journal."""
    is_warning: Callable[[Any], bool] = lambda _body: False
    """Whether it is logged at WARNING, not at INFO."""


@cache
def kinds() -> Mapping[str, EventKind]:
    """All of them, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").KIND for name in names}


@cache
def _names() -> Mapping[type, str]:
    return {body: name for name, kind in kinds().items() for body in kind.bodies}


def name_of(body: EventBody) -> str:
    """Name of the kind of event for this value. Raises KeyError: no file names it."""
    return _names()[type(body)]


def kind_of(body: EventBody) -> EventKind:
    """The kind of event for this value. Raises KeyError: no file names it."""
    return kinds()[name_of(body)]


def sealed_json(sealed: Sealed | None) -> SealedJson | None:
    """What only the central server can open, as JSON; several kinds have it."""
    if sealed is None:
        return None
    return {
        "keyid": sealed.keyid,
        "suite": "hpke-x25519-hkdf_sha256-chacha20_poly1305",
        "enc": b64encode(sealed.enc).decode(),
        "ct": b64encode(sealed.ct).decode(),
    }
