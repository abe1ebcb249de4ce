"""The loop's part of the venue's ledger: which entries are written with which event, and the view that others read.

A mistake of ours in keeping the ledger is caught here: it must not stop the gates, and no gate opens by it.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from agent.model import (
    Attestation,
    AttestationResult,
    LaneClosure,
    LaneCommand,
    LaneCommandRequest,
    Observation,
    OpenOnce,
    Role,
)
from agent.model.reasons import StatementRefusal
from agent.platform.clock import boottime_s
from agent.venue import Written
from agent.venue.room import question_content, tally_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.model import (
        DeviceChange,
        EventBody,
        LaneCommandResult,
        Passage,
        RemeasureResult,
        TimeBounds,
    )
    from agent.venue import Venue
    from agent.venue.room import Tally
    from drivers.contract import Fix

log = logging.getLogger(__name__)

TELL_EVERY_S = 2.0
"""So often the other kiosks of a room are told, whatever has changed."""
TURN_EVERY_S = 0.1
"""So often it is looked what is due, however many observations the loop takes meanwhile."""
VIEW_EVERY_S, VIEW_SOON_S = 5.0, 0.5
"""How often the view of the venue is made, and how soon after something has changed."""


class EventWriter(Protocol):
    """How the loop stores an event."""

    def __call__(self, body: EventBody, now: TimeBounds, entries: bytes, *, replaces: bool) -> None:
        """With the ledger entries of its commit; they may take the place of all before."""


class LedgerKeeper:
    """Owned by the loop's thread, but for `found`."""

    def __init__(
        self,
        venue: Venue,
        put_entries: Callable[[bytes, bool], None],
        online: Callable[[], bool] = lambda: True,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`put_entries`: entries that belong to no event, to the outbox; `online`: whether the broker is there."""
        self.venue, self._put_entries, self._online, self.wake = venue, put_entries, online, wake
        self.store: EventWriter | None = None
        """Set by the loop that owns this."""
        self.send: Callable[[bytes], bool] | None = None
        """To the other kiosks of the room; whether there is a connection for it."""
        self._heard: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._are_peers_there = False
        self._told: tuple[Tally | None, float] = (None, -math.inf)
        self._asked_s = -math.inf
        self.errors = 0
        self.view: dict[str, Any] | None = None
        """How the venue is: a new one each time, so that any thread may read it."""
        self._has_begun = venue.is_served
        """Whether there has been a venue in this run: one that is sent counts from the next turn on."""
        self._first = venue.begin(boottime_s()) if self._has_begun else b""
        self._was_online = True
        self._found: SimpleQueue[tuple[bytes, bool]] = SimpleQueue()
        self._view_of, self._viewed_s = -1, -math.inf
        self._turned_s = -math.inf
        self.enqueue: Callable[[Observation], None] = lambda _: None
        """Into the loop's inbox; set by the loop that owns this."""
        self.call_staff: Callable[[bool], None] = lambda _is_on: None
        """Have the lamps ask for the staff, or no longer."""
        self._shut = frozenset(venue.lanes) if self._has_begun else frozenset()
        """Lanes that are shut, as the checkpoint was told: all, until the ledger was read."""
        self._is_overdue = False

    def closures(self) -> list[Observation]:
        """What the loop is to be told before anybody comes: staff may have shut a lane, and the ledger knows."""
        at_s = time.monotonic()
        return [Observation(lane, Role.CLINICAL, LaneClosure(at_s, closed=True)) for lane in sorted(self._shut)]

    def found(self, entries: bytes, damaged: bool) -> None:
        """What the disk has of the ledger. Any thread."""
        self._found.put((entries, damaged))
        self.wake()

    def first_entries(self) -> bytes:
        """What goes with the first event of this run."""
        first, self._first = self._first, b""
        return first

    def turn(self, now: TimeBounds) -> None:
        """Time has passed: what is due is written."""
        at_s, venue = boottime_s(), self.venue
        venue.set_time(at_s)
        is_quiet = self._found.empty() and self._heard.empty()
        if self._has_begun and is_quiet and at_s - self._turned_s < TURN_EVERY_S:
            return
        with self._guarded():
            self._turn(now, at_s)

    def _turn(self, now: TimeBounds, at_s: float) -> None:
        venue = self.venue
        if not self._has_begun:
            if not venue.is_served:
                return
            self._has_begun = True
            self._put_entries(venue.begin(at_s), False)
        self._turned_s = at_s
        while not self._found.empty():
            entries, damaged = self._found.get()
            venue.questions.own = secrets.token_hex(8)
            if venue.is_restored:  # there is a new file, and the ledger in memory is the better one
                self._put_entries(venue.ledger.entries, True)
                if damaged:  # but it was read from an older copy
                    self._write(Written(venue.lose(at_s)), now)
            else:
                self._write(Written(venue.restore(entries, at_s, damaged=damaged)), now)
            self._viewed_s = -math.inf  # at once: lanes may be open, or shut
        if (online := self._online()) is not self._was_online:
            self._was_online = online
            self._write(Written(venue.link(at_s, online=online)), now)
        for written in venue.tick(now, at_s):
            self._write(written, now)
        self._share(venue, at_s)
        age_s = at_s - self._viewed_s
        if age_s >= VIEW_EVERY_S or (venue.ledger.version != self._view_of and age_s >= VIEW_SOON_S):
            self._view_of, self._viewed_s = venue.ledger.version, at_s
            self.view = venue.view(now, at_s)
            self._notify_lanes(venue, now, at_s)

    def _notify_lanes(self, venue: Venue, now: TimeBounds, at_s: float) -> None:
        """Lanes that are shut or open again, and whether a case waits for staff for too long."""
        shut, is_overdue, seen_s = venue.shut_lanes(now), venue.is_overdue(at_s), time.monotonic()
        for lane in venue.lanes:
            if (lane in shut) is not (lane in self._shut):
                self.enqueue(Observation(lane, Role.CLINICAL, LaneClosure(seen_s, lane in shut)))
        if is_overdue is not self._is_overdue:
            self.call_staff(is_overdue)
        self._shut, self._is_overdue = shut, is_overdue

    def _share(self, venue: Venue, at_s: float) -> None:
        """Hear what the other kiosks of the room tell, give them places, and tell them."""
        while not self._heard.empty():
            sender, payload = self._heard.get()
            with suppress(ValueError, RecursionError):
                content = json.loads(payload)
                venue.on_peer_question(sender, content)
                if entries := venue.on_peer_tally(sender, content):
                    self._put_entries(entries, False)
        if self.send is None or not self._are_peers_there:
            return
        if entries := venue.share(at_s):
            self._put_entries(entries, False)
        if venue.asks_peers and at_s - self._asked_s >= TELL_EVERY_S:
            self._asked_s = at_s
            self.send(json.dumps(question_content(venue.questions.own)).encode())
        before, told_s = self._told
        tally = venue.tally
        is_due = venue.is_kept() and (tally != before or at_s - told_s >= TELL_EVERY_S)
        if is_due and self.send(json.dumps(tally_content(tally)).encode()):
            self._told = tally, at_s

    # -- the other kiosks of the room; their link's thread

    def connected(self) -> None:
        """They can be heard."""
        self._are_peers_there = True
        self.wake()

    def disconnected(self) -> None:
        """They cannot: one comes in when one leaves."""
        self._are_peers_there = False

    def received(self, sender: str, payload: bytes) -> None:
        """One of them tells its tally."""
        self._heard.put((sender, payload))
        self.wake()

    def locate(self, fix: Fix) -> None:
        """Where the vehicle is."""
        self.venue.fix = fix

    def attest(self, seen: Observation, stated: Attestation, now: TimeBounds) -> AttestationResult:
        """A statement that concerns the venue; the checkpoint is not asked."""
        if not self._has_begun:
            text = "This kiosk serves no venue: there is no venue.toml, and none was sent."
            return AttestationResult(StatementRefusal.NO_VENUE, text=text)
        answer = AttestationResult(StatementRefusal.TIMED_OUT, text="An internal error: see the agent's log.")
        with self._guarded():
            at_s = boottime_s()
            told = replace(stated, at_s=at_s - max(0.0, time.monotonic() - stated.at_s))
            answer, written = self.venue.attest(seen.lane, told, at_s)
            if written is not None:
                self._write(written, now)
        return answer

    def records(self, form: str) -> bool:
        """Whether somebody counts as recorded once this form is filled in."""
        found = self.venue.forms.get(form)
        return found is not None and found.records

    def passed(self, passage: Passage, seen: Observation | None, now: TimeBounds) -> tuple[Passage, bytes]:
        """A passage with what the venue adds, and its entries; a statement that led to it is stored before it."""
        entries = b""
        if not self._has_begun:
            return passage, entries
        with self._guarded():
            passage, entries = self.venue.passed(passage, now, boottime_s())
            for written in self.venue.pop_follow_ups():
                self._write(written, now)
            if seen is not None and isinstance(seen.item, Attestation):
                self._write(self.venue.witnessed(passage.lane, seen.item, passage), now)
        return passage, entries

    def stated(self, lane: str, stated: Attestation, now: TimeBounds) -> None:
        """The checkpoint has taken a statement about who stands there, and decides later."""
        if self._has_begun:
            with self._guarded():
                self._write(self.venue.witnessed(lane, stated, None), now)

    def device(self, change: DeviceChange) -> bytes:
        """Entries of a device that came or went."""
        if self._has_begun:
            with self._guarded():
                return self.venue.device(change.lane, change.role, boottime_s(), up=change.up)
        return b""

    def opened(self, seen: Observation, result: LaneCommandResult | RemeasureResult) -> None:
        """A gate that was opened on command lets somebody through, too."""
        item = seen.item
        is_command = isinstance(item, LaneCommandRequest) and item.command is LaneCommand.OPEN
        if self._has_begun and (is_command or isinstance(item, OpenOnce)) and not result.reason:
            self._put_entries(self.venue.opened(seen.lane, boottime_s()), False)

    def end(self) -> None:
        """The agent stops."""
        if self._has_begun:
            self._put_entries(self.venue.end(boottime_s()), False)

    def _write(self, written: Written, now: TimeBounds) -> None:
        if written.body is not None and self.store is not None:
            self.store(written.body, now, written.entries, replaces=written.replaces)
        elif written.entries:
            self._put_entries(written.entries, written.replaces)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.errors += 1
            log.exception("internal error in the ledger of the venue")
