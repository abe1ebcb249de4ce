"""Ledger entries as they would be had the clock of this boot been right: it turns out to have been wrong. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.venue.entries import CARRIED, CLOSING, FOR_GOOD, Entry, What

if TYPE_CHECKING:
    from collections.abc import Iterable

OFF_S = 60.0
"""By more than this no clock is set whose answers are of one course (`agent.platform.clock`): it was wrong."""


class Redating:
    """Takes the entries since the last boot, in order."""

    def __init__(self, at: int, utc: float, day: int, day_began_utc: float) -> None:
        """It is `utc` at `at`, on `day`."""
        self._at, self._utc, self._day, self._day_began_utc = at, utc, day, day_began_utc
        self.entries: list[Entry] = []
        """What they are now."""
        self.lost_utc = 0.0
        """When a day was reported within this one, and the entries before were let go of; 0: none."""
        self._off_s = 0.0
        """The clock that the entries were written by, less the right one."""
        self._is_reopened = self._has_clock = False

    def date_again(self, entries: Iterable[Entry]) -> None:
        """Date them again, and take back what was done too early."""
        for entry in entries:
            then = self._utc + (entry.at - self._at) / 10
            if entry.what == What.CLOCK:
                self._set_clock(entry, then)
            elif entry.what == What.REPORTED and abs(self._off_s) > OFF_S:
                self._report(entry, then)
            elif entry.what == What.SHUT and entry.number not in (0, FOR_GOOD):
                until = max(entry.number, round(entry.number - self._off_s))
                self.entries.append(entry._replace(number=until))
            elif not (entry.what == What.COUNT and entry.value in CARRIED and self._is_reopened):
                self.entries.append(entry)  # the other: somebody left a room that counted as empty, and was not

    def _set_clock(self, entry: Entry, then: float) -> None:
        self._off_s = entry.number + entry.value / 10 - then
        if not self._has_clock:
            self.entries.append(entry._replace(number=int(then), value=int(then % 1 * 10)))
        self._has_clock = True

    def _report(self, entry: Entry, then: float) -> None:
        """Rounds of this day that came too early are still to come, and closing time comes again."""
        is_early = self._off_s > 0 and entry.number >= self._day
        number = self._day - 1 if is_early else entry.number
        if not entry.case and (is_early or (self._off_s < 0 and then >= self._day_began_utc)):
            self.lost_utc = then
        if entry.case == CLOSING and self._reopen():
            number = min(entry.number, self._day) - 1
        if entry.case in (0, CLOSING) or not is_early:
            self.entries.append(entry._replace(number=number))

    def _reopen(self) -> bool:
        """Take the closing of the room back, if that is what was written last."""
        index = len(self.entries) - 1
        while self.entries[index].what == What.PERMIT and not self.entries[index].value:
            index -= 1
        if self.entries[index].what != What.CLOSED:
            return False
        del self.entries[index:]
        self._is_reopened = True
        return True
