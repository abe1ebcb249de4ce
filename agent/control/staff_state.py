"""What the guards' pages have arranged and must outlive a restart: paired devices, closed lanes, who is on
duty, the steps of open cases. One small file; what cannot be read closes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.platform.kept_json import KeptJson

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

NAME = "staff.json"


@dataclass(slots=True)
class StaffState:
    """As it is on disk."""

    devices: dict[str, float] = field(default_factory=dict)
    """Digest of each paired device's token → until when it is paired, UTC."""
    closed: set[str] = field(default_factory=set)
    """Lanes that staff have closed."""
    on_duty: str = ""
    handed_by: str = ""
    """Who was on duty before, until the handover is accepted."""
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Case → `owner` and `done`: steps with who did them."""

    def document(self) -> dict[str, Any]:
        """For the file."""
        return {
            "devices": self.devices, "closed": sorted(self.closed), "on_duty": self.on_duty,
            "handed_by": self.handed_by, "steps": self.steps,
        }  # fmt: skip


class StateFile:
    """The file. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._file = KeptJson(path, 0o600)

    def read(self, lanes: Collection[str]) -> tuple[StaffState, str]:
        """What was kept, and why it cannot be used. `lanes`: those that are closed if it cannot: staff may have
        closed them.
        """
        try:
            kept = self._file.read()
            return (StaffState() if kept is None else _parse(kept)), ""
        except (OSError, ValueError) as error:
            return StaffState(closed=set(lanes)), f"{error}: the lanes stay closed until staff reopen them"

    def write(self, state: StaffState) -> None:
        """Keep it, durably. Raises OSError."""
        self._file.write(state.document())


def _parse(content: object) -> StaffState:
    match content:
        case {
            "devices": dict() as devices, "closed": list() as closed, "on_duty": str() as on_duty,
            "handed_by": str() as handed_by, "steps": dict() as steps,
        } if all(map(_is_time, devices.values())) and all(isinstance(lane, str) for lane in closed):  # fmt: skip
            good = {case: each for case, each in steps.items() if _is_progress(each)}
            return StaffState(dict(devices), set(closed), on_duty, handed_by, good)
    raise ValueError("not as it was written")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_progress(value: object) -> bool:
    match value:
        case {"owner": str(), "done": dict() as done}:
            return all(isinstance(who, str) for who in done.values())
    return False
