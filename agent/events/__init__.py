"""Events and the retained state as topics and JSON, and the schemas of both.

An event is a CloudEvents 1.0 event in structured JSON. Its `id` is `<kiosk>:<epoch>:<sequence>`, so a subscriber
can drop repeats, put them in order and see gaps; `previoussha256` is that of the payload before it, so it can see
changes. Nothing here names a person: no code text, no subject of a code.

`kinds/` has one file for each kind of event, `contract.py` the shapes of all else, as types: the schemas that
`docs/` publishes are generated from both.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.events.kinds import kind_of, name_of
from agent.model import ChainPosition, ClockState, Event, Record, TimeBounds
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.events.contract import ClockJson

VERSION = 1
"""Of the contract (`contract`): part of topics and of the names of schemas."""
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
FIRST = "0" * 64
"""`previoussha256` of the first event of an epoch."""
LONGEST_NAME = 64
CHANNELS = ("used", "tally")
"""What kiosks tell each other: used tickets, shared places. The last level of a topic."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Where a kiosk speaks. Both names become one level of a topic and part of every id."""

    site: str
    kiosk: str
    groups: tuple[str, ...] = ()
    """Groups that it belongs to beside its site: a region, a wave."""

    def __post_init__(self) -> None:
        """Refuse names that would change the shape of a topic or an id."""
        for what, name in (("site", self.site), ("kiosk", self.kiosk), *(("group", each) for each in self.groups)):
            if not name or len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("/+#:$ "):
                raise ValueError(
                    f"{what} {name!r} must be 1 to {LONGEST_NAME} printable characters, none of / + # : $ or space"
                )

    @property
    def root(self) -> str:
        """What all topics of this kiosk begin with."""
        return f"gatepost/v{VERSION}/{self.site}/{self.kiosk}"

    @property
    def source(self) -> str:
        """What all events of this kiosk name as their source."""
        return f"/{self.root}"

    @property
    def state(self) -> str:
        """The retained state and the last will."""
        return f"{self.root}/state"

    def event(self, kind: str) -> str:
        """Events of one kind, QoS 1, not retained."""
        return f"{self.root}/event/{kind}"

    @property
    def command(self) -> str:
        """What the central server tells this kiosk to do."""
        return f"{self.root}/command"

    @property
    def shared(self) -> tuple[str, ...]:
        """What topics begin with that this kiosk shares with others: its site, all, its groups. No name has `$`."""
        return tuple(root_of_target(target) for target in self.targets[1:])

    @property
    def commands(self) -> tuple[str, ...]:
        """Where commands come: to this kiosk, to its site, to all, to its groups."""
        return self.command, *(f"{each}/command" for each in self.shared)

    @property
    def targets(self) -> tuple[str, ...]:
        """What a command or a bundle may name as its target to count here, this kiosk alone first."""
        return f"{self.site}/{self.kiosk}", f"{self.site}/*", "*/*", *(f"@{group}" for group in self.groups)

    @property
    def receipt(self) -> str:
        """What the central server confirms to have."""
        return f"{self.root}/receipt"

    def own(self, channel: str) -> str:
        """What this kiosk tells the others of its site: `used` (tickets), `tally` (shared places)."""
        return f"{self.root}/{channel}"

    def all_of(self, channel: str) -> str:
        """What all kiosks of the site say on a channel."""
        return f"gatepost/v{VERSION}/{self.site}/+/{channel}"

    @property
    def renewal(self) -> tuple[str, str]:
        """Where a member asks for its next certificate, and where the answer comes."""
        return f"{self.root}/renewal/request", f"{self.root}/renewal/answer"

    def is_of_channels(self, topic: str) -> bool:
        """Whether a kiosk of the site tells the others something there, or the authority answers this one."""
        return topic == self.renewal[1] or any(self.sender_of(topic, channel) for channel in CHANNELS)

    def sender_of(self, topic: str, channel: str) -> str:
        """Which kiosk of the site has said something on a channel; empty for another topic."""
        head, tail = self.all_of(channel).split("+")
        name = topic.removeprefix(head).removesuffix(tail)
        return name if topic == f"{head}{name}{tail}" and "/" not in name else ""

    @property
    def bundles(self) -> tuple[str, ...]:
        """Filters for signed bundles, retained by the central server: for this kiosk, its site, all, its groups."""
        return tuple(f"{each}/bundle/#" for each in (self.root, *self.shared))


def root_of_target(target: str) -> str:
    """What topics begin with: `east/gate-1`, `east/*` (a site), `@north` (a group), `*/*` or none (all)."""
    prefix = f"gatepost/v{VERSION}"
    if target in ("", "*/*"):
        return f"{prefix}/$all"
    if target.startswith("@"):
        return f"{prefix}/$group/{target[1:]}"
    return f"{prefix}/{target.removesuffix('*')}$all" if target.endswith("/*") else f"{prefix}/{target}"


_CHUNK = re.compile(rf"gatepost/v{VERSION}/\$all/base/([0-9a-f]{{32}})/(0|[1-9][0-9]{{0,8}})")


def base_chunk_topic(chunks_id: str, index: int) -> str:
    """Where a chunk of a list's base is retained: under what it is, so one for all kiosks, and never another."""
    return f"gatepost/v{VERSION}/$all/base/{chunks_id}/{index}"


def base_chunk_of(topic: str) -> tuple[str, int] | None:
    """Which chunk comes on this topic; None: it is another kind of topic."""
    found = _CHUNK.fullmatch(topic)
    return None if found is None else (found[1], int(found[2]))


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


class Encoder:
    """Event and place → record."""

    def __init__(self, topics: Topics) -> None:
        self._kiosk = topics.kiosk
        self._source = topics.source

    def __call__(self, event: Event, place: ChainPosition) -> Record:
        """The record of `event` at `place`. Raises ValueError for a number that JSON cannot carry."""
        kind, how = name_of(event.body), kind_of(event.body)
        envelope: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"{self._kiosk}:{place.epoch}:{place.sequence}",
            "source": self._source,
            "type": f"gatepost.{kind}.v{VERSION}",
            "dataschema": f"urn:gatepost:{kind}:v{VERSION}",
            "epoch": place.epoch,
            "sequence": f"{place.sequence:012d}",
            "previoussha256": place.previous_sha256,
        }
        if (time := _time(event.now)) is not None:
            envelope["time"] = time
        envelope["data"] = how.data(event.body, _clock(event))
        return Record(place.sequence, kind, how.rank(event.body), _to_json(envelope).encode())


def _time(now: TimeBounds) -> str | None:
    """The middle of the interval, to the millisecond; None when the clock is not to be trusted."""
    if now.state not in (ClockState.SYNCED, ClockState.HOLDOVER) or not math.isfinite(now.latest_utc):
        return None
    middle = datetime.fromtimestamp((now.earliest_utc + now.latest_utc) / 2, UTC)
    return middle.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def data(event: Event) -> Mapping[str, Any]:
    """The kind's own part of an event."""
    return kind_of(event.body).data(event.body, _clock(event))


def _clock(event: Event) -> ClockJson:
    now = event.now
    return {
        "state": now.state,
        "earliest": round(now.earliest_utc, 3),
        "latest": round(now.latest_utc, 3) if math.isfinite(now.latest_utc) else None,
        "boottime_ms": round(event.at_s * 1000),
        "boot_id": event.boot_id,
    }
