"""The functions and settings of the agent that the socket for the guards' pages needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.credentials.staff_list import StaffList
    from agent.model import (
        AttestationRecord,
        AttestationResult,
        DecisionInput,
        LaneCommandResult,
        LaneSpec,
        Observation,
        RemeasureResult,
        TimeBounds,
    )
    from agent.policy.explain import Explanation
    from agent.venue.forms import Form

WAIT_S = 2.0
"""For the loop's answer."""


class Ask(Protocol):
    """How the loop is asked."""

    def __call__(
        self, observation: Observation, limit_s: float, action: AttestationRecord | None = None
    ) -> LaneCommandResult | RemeasureResult | AttestationResult:
        """The loop's answer. Raises TimeoutError: then nothing is done any more."""


@dataclass(frozen=True, slots=True)
class StaffContext:
    """What the door needs of the agent; nothing of it blocks for long."""

    lanes: Mapping[str, LaneSpec]
    ask: Ask
    record: Callable[[Observation | AttestationRecord], None]
    """Into the loop's inbox."""
    staff: Callable[[], StaffList]
    """Who is on the signed list in force; nobody when there is none. May wait for the disk."""
    known_staff: Callable[[], StaffList]
    """The same as it was read last: for the threads of scanners, which wait for no disk."""
    is_staff_certain: Callable[[], bool]
    """Whether it is known that the list has not ended."""
    now: Callable[[], TimeBounds]
    explain: Callable[[DecisionInput], Explanation]
    may_override: Callable[[DecisionInput], bool]
    venue: Callable[[], Mapping[str, Any] | None]
    forms: Callable[[], Mapping[str, Form]]
    health: Callable[[], Mapping[str, Any]]
    """As in status.json."""
    show_pairing: Callable[[str, str, str, float], None]
    """On the screen of every lane: secret, number, for how many seconds."""
    has_screen: Callable[[], bool]
    """Whether the screen of any lane can show it."""
    clinical_uncertainty_c: float
    second_person: bool
    """Whether an override needs a second person."""
    can_seal: Callable[[], bool]
    """Whether words of staff are kept, sealed; else they are dropped."""
    hello: Callable[[], Mapping[str, Any]]
    """What the process of the pages needs to listen: addresses, certificate."""
