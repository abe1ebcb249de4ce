"""Who may act at the pages: the signed staff list, read by those who may wait for a disk, known to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.credentials.bundle import BadBundle
from agent.credentials.staff_list import StaffList
from agent.model import InForce

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import TimeBounds
    from agent.ruleset.bundle_store import BundleStore

NOBODY = StaffList()


class StaffFile:
    """The list in force; nobody when there is none, when it is damaged, or when it has ended."""

    def __init__(self, bundles: BundleStore, now: Callable[[], TimeBounds]) -> None:
        self._bundles, self._now = bundles, now
        self._known: tuple[StaffList, float] = NOBODY, 0.0
        """The list, and until when it is valid, UTC."""
        self.in_force: tuple[InForce, ...] = ()
        """The bundle that was read last; none when it is damaged or has never come."""

    def read(self) -> StaffList:
        """As it is on disk now. Verified and parsed once for each bundle. For threads that may wait for a disk."""
        try:
            sent = self._bundles.current("staff")
            self._known = (NOBODY, 0.0) if sent is None else (self._bundles.content(sent), sent.expires_utc)
            self.in_force = () if sent is None else (InForce("staff", version=sent.version),)
        except (BadBundle, OSError, ValueError, TypeError, AttributeError):
            self._known, self.in_force = (NOBODY, 0.0), ()
        return self.known()

    def known(self) -> StaffList:
        """As it was read last. Touches no disk."""
        people, expires_utc = self._known
        return people if expires_utc > self._now().earliest_utc else NOBODY

    def is_certain(self) -> bool:
        """Whether the list counts at any time that it may be now. Touches no disk."""
        return self._known[1] > self._now().latest_utc
