"""What the checkpoint asks about tickets. Pure; `agent.tickets` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.model import Tristate

if TYPE_CHECKING:
    from agent.model import TimeBounds


class TicketRegister(Protocol):
    """What the checkpoint asks about a ticket that lets somebody in once. Keys are 16 bytes."""

    @property
    def lost(self) -> bool:
        """Whether uses that were kept here are gone: what is not known then is for staff."""

    def used(self, key: bytes) -> Tristate:
        """Whether it has let somebody in. Quick."""

    def claim(self, key: bytes) -> Tristate:
        """The same, for certain, and nobody else admits on it from now on if the answer is NO. May take a
        quarter of a second.
        """

    def record(self, key: bytes, ends_utc: float | None, now: TimeBounds) -> bool:
        """Somebody is let in: whether that is on the disk now. If not, nobody may be."""


class NoRegister:
    """Where no lane has tickets: nothing is known, nothing can be kept."""

    lost = False

    def used(self, _key: bytes) -> Tristate:
        """UNKNOWN."""
        return Tristate.UNKNOWN

    def claim(self, _key: bytes) -> Tristate:
        """UNKNOWN."""
        return Tristate.UNKNOWN

    def record(self, _key: bytes, _ends_utc: float | None, _now: TimeBounds) -> bool:
        """Never."""
        return False
