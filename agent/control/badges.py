"""What a badge before a scanner is for: login, second person, connecting a tablet, or a new shift. Pure.

A page says first what it waits for; a badge that no page waits for is a new shift. Time is an argument.
"""

from __future__ import annotations

import math
from enum import Enum, auto

BADGE_S = 30.0
"""So long a page waits for a badge, and a badge counts as the second person's."""
SECOND_S = 5.0
"""So long after a page has asked for it, a badge is a second person's, and no new shift. Pages ask each 2 s."""
HELD_S = 3.0
"""So long a badge before a scanner is the same showing."""
MOST_AWAITING = 32
"""Devices that wait for a badge at a time."""


class BadgeUse(Enum):
    """What a badge that was just shown does."""

    NOTHING = auto()
    """It is still before the scanner, or a page waits for it."""
    SHIFT = auto()
    """Its holder is on duty from now on."""
    TABLET = auto()
    """The code for a tablet is shown on the glass."""


class Badges:
    """The badges of one kiosk. Not thread-safe."""

    def __init__(self) -> None:
        self._last = ("", -math.inf)
        """Whose badge was shown last, and when, until it was used."""
        self._awaiting: dict[str, float] = {}
        """Device that waits for a badge to log in → until when."""
        self._logins: dict[str, tuple[str, float]] = {}
        """Device → whose badge was shown for it, and until when that counts."""
        self._second_until_s = self._tablet_until_s = self._shift_until_s = -math.inf

    def await_login(self, device: str, at_s: float) -> None:
        """A page waits for the badge of the person who logs in there."""
        self._awaiting = {each: until for each, until in self._awaiting.items() if until > at_s}
        if len(self._awaiting) < MOST_AWAITING:
            self._awaiting[device] = at_s + BADGE_S

    def login(self, device: str, at_s: float) -> str:
        """Whose badge was shown for this page, once; `` for nobody's."""
        who, until_s = self._logins.pop(device, ("", -math.inf))
        return who if at_s < until_s else ""

    def await_second(self, at_s: float, *, over: bool = False) -> None:
        """A page waits for a second person's badge; `over`: it waits no longer."""
        self._second_until_s = -math.inf if over else at_s + SECOND_S

    def second(self, at_s: float) -> str:
        """Whose badge was shown just now; `` for nobody's."""
        who, shown_s = self._last
        return who if at_s - shown_s <= BADGE_S else ""

    def spend_second(self) -> None:
        """The badge has confirmed a deed: it confirms no other."""
        self._last, self._second_until_s = ("", -math.inf), -math.inf

    def await_tablet(self, at_s: float) -> None:
        """A device that is not connected yet waits for the badge of somebody who may connect it. Anybody on the
        network may ask so: just after such a badge the next one is a new shift all the same.
        """
        if at_s >= self._shift_until_s:
            self._tablet_until_s = at_s + BADGE_S

    def show(self, who: str, on_duty: str, at_s: float, *, may_connect: bool) -> BadgeUse:
        """A badge is before a scanner. `may_connect`: whether its holder may connect tablets."""
        last, shown_s = self._last
        if last == who and at_s - shown_s < HELD_S:
            return BadgeUse.NOTHING
        self._last = who, at_s
        if may_connect and at_s < self._tablet_until_s:
            self._tablet_until_s, self._shift_until_s = -math.inf, at_s + BADGE_S
            return BadgeUse.TABLET
        waiting = [device for device, until in self._awaiting.items() if until > at_s]
        if len(waiting) == 1:  # with several nobody can tell whose it is
            del self._awaiting[waiting[0]]
            self._logins[waiting[0]] = who, at_s + BADGE_S
        if who == on_duty or at_s < self._second_until_s:
            return BadgeUse.NOTHING
        return BadgeUse.SHIFT
