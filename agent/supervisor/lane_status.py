"""What each lane shows and decided last, for the technician. Nothing of the person: no reading, no reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.model import Passage
from agent.model.effects import ShowCue
from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model.effects import Effect


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One lane."""

    lane: str
    cue: str = ""
    """What lamp and screen show; empty: nothing yet."""
    outcome: str = ""
    """Of the last decision; empty: none yet."""
    decided_s: float | None = None
    """When that was, on the monotonic clock."""
    duration_ms: int | None = None
    """From the first thing seen of the person to the decision."""
    limit_c: float | None = None
    """What the last temperature was compared with; None: nothing was measured yet."""
    basis: str = ""
    """Of the limit: fixed, population, calibrated or clinical."""
    room_c: float | None = None
    """The room at that time, from a sensor of its own."""


class LaneStatusKeeper:
    """Fed by the loop, read by any thread: each status is replaced, never changed."""

    def __init__(
        self, lanes: Iterable[str], is_busy: Callable[[], bool] = lambda: False, began_s: float = 0.0
    ) -> None:
        """`is_busy`: somebody waits for a decision. `began_s`: who was there before is not known."""
        self._lanes = {name: LaneStatus(name) for name in lanes}
        self._is_busy, self._busy_s = is_busy, began_s

    def on_effect(self, effect: Effect) -> None:
        """Called by the loop; does not block."""
        if isinstance(effect, ShowCue) and effect.lane in self._lanes:
            self._lanes[effect.lane] = replace(self._lanes[effect.lane], cue=str(effect.cue))
        elif isinstance(effect, Passage) and effect.lane in self._lanes:
            temperature, before = effect.temperature, self._lanes[effect.lane]
            measured = temperature.threshold_c is not None
            self._lanes[effect.lane] = replace(
                before,
                outcome=str(effect.decision.outcome),
                decided_s=effect.decided_s,
                duration_ms=round(1000 * (effect.decided_s - effect.began_s)),
                limit_c=temperature.threshold_c if measured else before.limit_c,
                basis=str(temperature.basis) if measured else before.basis,
                room_c=before.room_c if temperature.ambient_c is None else temperature.ambient_c,
            )

    def quiet_s(self, now_s: float) -> float:
        """For how long nobody has waited at a lane, seconds; to be asked every few seconds. Any thread."""
        if self._is_busy():
            self._busy_s = now_s
        decided = [lane.decided_s for lane in self._lanes.values() if lane.decided_s is not None]
        return max(0.0, now_s - max([self._busy_s, *decided]))

    def rows(self) -> list[dict[str, Any]]:
        """For status.json."""
        return [fields_of(lane) for lane in self._lanes.values()]


def fields_of(status: Any) -> dict[str, Any]:
    """The fields of a value class with slots, as they are: what is written down at once needs no deep copy."""
    return {name: getattr(status, name) for name in status.__slots__}
