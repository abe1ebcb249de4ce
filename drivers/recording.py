"""Recordings of what a device said and when: one JSON object per line, the first of which says what device it was.

    {"recording": 1, "kind": "thermometers", "driver": "gy_mcu"}
    {"s": 0.071, "surface_c": 36.52, "u_c": 0.5, "sensor_c": 24.5}
    {"s": 1.204, "payload": "475036..."}       hexadecimal; only where codes were asked for
    {"s": 2.310, "gone": true}                 the code left the view
    {"s": 2.400, "distance_mm": 52.0}          null: nothing within reach

Seconds count from the start of the recording.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

from drivers.bounds import Gt
from drivers.contract import BadReply, Departure, DeviceGone, Distance, Fix, Pressed, Reading, Sighting

if TYPE_CHECKING:
    from drivers.contract import Item

VERSION = 1


def head(kind: str, driver: str) -> str:
    """The first line."""
    return json.dumps({"recording": VERSION, "kind": kind, "driver": driver})


def line(item: Item, began_s: float) -> str:
    """An item's line. `began_s`: monotonic seconds when the recording began."""
    entry: dict[str, Any] = {"s": round(item.at_s - began_s, 4)}
    match item:
        case Reading():
            entry |= {"surface_c": round(item.surface_c, 3), "u_c": item.u_c}
            entry |= {} if item.sensor_c is None else {"sensor_c": round(item.sensor_c, 3)}
        case Sighting():
            entry["payload"] = item.payload.hex()
        case Departure():
            entry["gone"] = True
        case Distance():
            entry["distance_mm"] = item.distance_mm
        case Fix():
            entry |= {"lat": item.lat, "lon": item.lon, "u_m": round(item.u_m, 1)}
        case Pressed():
            entry["pressed"] = True
    return json.dumps(entry)


def parse(text: str, kind: str) -> list[dict[str, Any]]:
    """The entries of a recording. Raises ValueError with one sentence when it is none, or none of `kind`."""
    lines = [each for each in text.splitlines() if each.strip()]
    try:
        entries: list[dict[str, Any]] = [json.loads(each) for each in lines]
        first, rest = entries[0], entries[1:]
        if first["recording"] != VERSION or first["kind"] != kind:
            raise ValueError(f"is a recording of {first['kind']}, not of {kind}")
        for entry in rest:
            item(entry, 0.0)
    except (json.JSONDecodeError, KeyError, IndexError, TypeError):
        raise ValueError("is not a recording, or is cut off") from None
    return rest


def item(entry: dict[str, Any], began_s: float) -> Item:
    """A line's item again, marked simulated. Raises KeyError, TypeError or ValueError when it is none."""
    at_s = began_s + float(entry["s"])
    if "payload" in entry:
        return Sighting(bytes.fromhex(entry["payload"]), at_s, simulated=True)
    if "gone" in entry:
        return Departure(at_s, simulated=True)
    if "distance_mm" in entry:
        distance_mm = entry["distance_mm"]
        return Distance(None if distance_mm is None else float(distance_mm), at_s, simulated=True)
    if "pressed" in entry:
        return Pressed(at_s, simulated=True)
    if "lat" in entry:
        return Fix(float(entry["lat"]), float(entry["lon"]), float(entry["u_m"]), at_s, simulated=True)
    sensor_c = entry.get("sensor_c")
    own_c = None if sensor_c is None else float(sensor_c)
    return Reading(float(entry["surface_c"]), at_s, float(entry["u_c"]), sensor_c=own_c, simulated=True)


@dataclass(frozen=True)
class PlayerOptions:
    """Settings of a recording that is played."""

    file: Path | None = None
    """The recording; without one it works, and says nothing."""
    speed: Annotated[float, Gt(0)] = 1.0
    """How much faster than it was recorded."""
    loop: bool = False
    """Begin again at the end; otherwise it falls silent."""


class Player:
    """Plays a recording with its timing. A driver is this with its kind and its items."""

    kind = ""
    items: tuple[type[Item], ...] = ()
    simulated = True

    def __init__(self, options: PlayerOptions) -> None:
        self._file = options.file
        self._speed = options.speed
        self._loop = options.loop
        self._entries: list[dict[str, Any]] | None = None
        self._next = 0
        self._began_s = 0.0

    def open(self) -> None:
        """Read the recording and start it."""
        try:
            self._entries = parse(self._file.read_text(), self.kind) if self._file else []
        except OSError as trouble:
            raise DeviceGone(str(self._file), f"cannot be read: {trouble.strerror}", "check the path") from trouble
        except ValueError as trouble:
            raise BadReply(str(self._file), str(trouble), "make one with `gatepost devices record`") from trouble
        self._next = 0
        self._began_s = time.monotonic()

    def read(self, limit_s: float) -> Item | None:
        """The next item when it is due, within `limit_s`; None for ever at the end unless it loops."""
        if self._entries is None:
            raise DeviceGone(str(self._file), "is not open")
        if self._next >= len(self._entries):
            if not (self._loop and self._entries):
                time.sleep(limit_s)
                return None
            self._next, self._began_s = 0, time.monotonic()
        entry = self._entries[self._next]
        due_s = self._began_s + float(entry["s"]) / self._speed
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, limit_s))
        if wait_s > limit_s:
            return None
        self._next += 1
        said = item({**entry, "s": float(entry["s"]) / self._speed}, self._began_s)
        return said if isinstance(said, self.items) else None

    def close(self) -> None:
        """Let go of the recording."""
        self._entries = None


class Recorder:
    """Writes a recording while it grows, each line at once."""

    def __init__(self, file: IO[str], kind: str, driver: str) -> None:
        self._file = file
        self._began_s = time.monotonic()
        print(head(kind, driver), file=file, flush=True)

    def add(self, item: Item) -> None:
        """Append an item."""
        print(line(item, self._began_s), file=self._file, flush=True)
