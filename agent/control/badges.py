"""What a badge before a scanner is for: login, second person, connecting a tablet, or a new shift. Pure.

A page says first what it waits for; a badge is for the one page that waits when it is shown, and for nothing that
is asked later. A badge that no page waits for is a new shift. Time is an argument.
"""

from __future__ import annotations

import math
from enum import Enum, auto

from agent.model.lazy import dataclass

BADGE_S = 30.0
"""So long a page waits for a badge to log in, and may use the badge that was shown for it."""
SECOND_S = 5.0
"""So long after a page has asked for it, a badge is a second person's, and no new shift. Pages ask each 2 s."""
LAPSE_S = 2.0
"""A badge that comes so late lapses, as codes do: a page may have asked for something else meanwhile."""
HELD_S = 3.0
"""A badge that was out of sight for so long is shown again; until then it is the same showing."""
MOST_AWAITING = 32
"""Devices that wait for a badge at a time."""


class BadgeUse(Enum):
    """What a badge that was just shown does."""

    NOTHING = auto()
    """It is still before the scanner, or a page waits for it."""
    SHIFT = auto()
    """Its holder is on duty from now on."""
    TABLET = auto()
    """The code for a tablet is shown on the screen."""


@dataclass(frozen=True, slots=True)
class StaffAction:
    """What a second person confirms."""

    by: str
    """Who does it."""
    what: str
    lane: str
    number: int = 0
    """Of whom it is about; 0: of nobody."""


class Badges:
    """The badges of one kiosk. Not thread-safe."""

    def __init__(self) -> None:
        self._last = ("", -math.inf)
        """Whose badge was seen last, and when."""
        self._awaiting: dict[str, float] = {}
        """Device that waits for a badge to log in → until when."""
        self._logins: dict[str, tuple[str, float]] = {}
        """Device → whose badge was shown for it, and until when that counts."""
        self._deeds: dict[tuple[str, StaffAction], float] = {}
        """Page that waits for a second person, and for what → until when."""
        self._seconds: dict[tuple[str, StaffAction], tuple[str, float]] = {}
        """The same → whose badge was shown for it, and until when that counts."""
        self._tablet_until_s = self._shift_until_s = -math.inf

    def await_login(self, device: str, at_s: float) -> None:
        """A page waits for the badge of the person who logs in there."""
        self._awaiting = {each: until for each, until in self._awaiting.items() if until > at_s}
        if len(self._awaiting) < MOST_AWAITING:
            self._awaiting[device] = at_s + BADGE_S

    def end_login(self, device: str) -> None:
        """Somebody has logged in there: the next badge is for something else."""
        self._awaiting.pop(device, None)
        self._logins.pop(device, None)

    def login(self, device: str, at_s: float) -> str:
        """Whose badge was shown for this page, once; `` for nobody's."""
        who, until_s = self._logins.pop(device, ("", -math.inf))
        return who if at_s < until_s else ""

    def await_second(self, page: str, action: StaffAction, at_s: float) -> None:
        """A page waits for a second person's badge for this action, from now on."""
        self._seconds.pop((page, action), None)
        self._deeds = {each: until for each, until in self._deeds.items() if until > at_s}
        self._deeds[page, action] = at_s + SECOND_S

    def second(self, page: str, action: StaffAction, at_s: float) -> str:
        """Whose badge was shown on this page for this action, and no other; `` for nobody's."""
        who, until_s = self._seconds.get((page, action), ("", -math.inf))
        return who if at_s <= until_s else ""

    def end_second(self, page: str) -> None:
        """The badge has confirmed an action, or the page waits no longer: it confirms no other."""
        self._deeds = {each: until for each, until in self._deeds.items() if each[0] != page}
        self._seconds = {each: shown for each, shown in self._seconds.items() if each[0] != page}

    def await_tablet(self, at_s: float) -> None:
        """A device that is not connected yet waits for the badge of somebody who may connect it. Anybody on the
        network may ask so: just after such a badge the next one is a new shift all the same.
        """
        if at_s >= self._shift_until_s:
            self._tablet_until_s = at_s + BADGE_S

    def show(self, who: str, on_duty: str, at_s: float, *, may_connect: bool) -> BadgeUse:
        """A badge is before a scanner. `may_connect`: whether its holder may connect tablets."""
        (last, seen_s), self._last = self._last, (who, at_s)
        if last == who and at_s - seen_s < HELD_S:
            return BadgeUse.NOTHING
        if may_connect and at_s < self._tablet_until_s:
            self._tablet_until_s, self._shift_until_s = -math.inf, at_s + BADGE_S
            return BadgeUse.TABLET
        logins = [device for device, until in self._awaiting.items() if until > at_s]
        actions = [each for each, until in self._deeds.items() if until > at_s]
        if len(logins) + len(actions) == 1:  # with several nobody can tell for which it is
            for device in logins:
                del self._awaiting[device]
                self._logins[device] = who, at_s + BADGE_S
            for page, action in actions:
                if who != action.by:
                    del self._deeds[page, action]
                    self._seconds[page, action] = who, at_s + BADGE_S
        if who == on_duty or actions:
            return BadgeUse.NOTHING
        return BadgeUse.SHIFT
