"""The central server's configuration laid over a kiosk's own, key by key: which keys it may say, and what comes
out. Pure.

The kiosk's name, its devices, whom it trusts and where the broker is stay in its own file. A mistake in a pushed
configuration must not open a gate, cut the kiosk off from the central server, or name a file that only another
kiosk has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path = tuple[str, ...]

SECTIONS = frozenset(("screening", "checkpoint", "policy", "health"))
"""The central server may say everything in these, but for `FILES`."""
KEYS = frozenset(
    (
        ("runtime", "log_level"),
        ("mqtt", "max_inflight"),
        ("mqtt", "keepalive_s"),
        ("mqtt", "ack_timeout_s"),
        ("mqtt", "connect_timeout_s"),
        ("mqtt", "reconnect_max_s"),
        ("mqtt", "state_interval_s"),
    )
)
"""And these of other sections."""
LANE_KEYS = frozenset(("release_s",))
"""And these of each lane that there is."""
FILES = frozenset((("screening", "calibration"), ("screening", "baseline_file"), ("health", "metrics_file")))
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""A policy table by its name; it could be the path of a file, too, and that is the kiosk's own."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A configuration from the central server."""

    version: int
    text: str

    @property
    def name(self) -> str:
        """What faults and `gatepost show` call it."""
        return f"central server's configuration {self.version}"


def laid_over(tree: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A key in `over` replaces the same key in `tree`; all other keys stay. Lists are replaced as a whole."""
    merged = dict(tree)
    for key, value in over.items():
        below = tree.get(key)
        merged[key] = laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def faults(tree: Mapping[str, Any], over: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Keys in `over` that the central server may not set on this kiosk, each with a sentence."""
    lanes = tree.get("lanes")
    known = lanes if isinstance(lanes, dict) else {}
    for path in leaves(over):
        match path:
            case ("lanes", lane, *rest) if lane not in known:
                yield ("lanes", lane), "there is no such lane on this kiosk"
            case ("lanes", _, *rest) if len(rest) == 1 and rest[0] in LANE_KEYS:
                pass
            case ("policy", "table") if not _PROFILE.fullmatch(str(over["policy"]["table"])):
                yield path, "is the kiosk's own where it is a file: only its file may say it"
            case (section, *_) if path not in KEYS and (section not in SECTIONS or path[:2] in FILES):
                yield path, "is the kiosk's own: only its file may say it"


def leaves(tree: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    """The paths of all values; an empty table counts as one."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)
