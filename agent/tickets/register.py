"""The used tickets of one kiosk: queried by the main loop, updated from the other kiosks. Thread-safe."""

from __future__ import annotations

import json
import logging
import math
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.model import Component, Tristate
from agent.model.lazy import dataclass
from agent.model.problems import ProblemCode, found
from agent.tickets.exchange import HAVE_EVERY_S, Exchange, Use
from agent.tickets.store import FOREVER_S, NoStore, SqliteUses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.model import TimeBounds

log = logging.getLogger(__name__)

CLAIM_WAIT_S = 0.25
"""How long somebody who shows a ticket waits for the other kiosks; a broker on the site answers in milliseconds."""
MAX_MESSAGE_BYTES = 1 << 16
EXPIRE_EVERY_S = 2 * 3600.0
"""A ticket has ended for certain when the clock has said so for this long: its source may be wrong, and is known to
be after an hour (`agent.platform.clock`). A use that is forgotten too early lets somebody in again."""
_MOST_END = float(1 << 39)


@dataclass(frozen=True, slots=True)
class Options:
    """Tickets that let somebody in once, at all kiosks of the site together."""

    used_file: Path = Path("/var/lib/gatepost/used.sqlite")
    """Where used tickets are kept. It is opened only when a lane has `places`."""
    kiosks: tuple[str, ...] = ()
    """Names of the kiosks that admit on the same tickets, this one may be among them; they share what they use over
    the broker: ["gate-1", "gate-2"]. Empty: there is no other."""


class UsedTickets:
    """The register of one kiosk. The link to its peers sets `send`, and calls `connected`, `received`."""

    def __init__(
        self, kiosk: str, options: Options, report: Callable[[Use, Use], None], wait_s: float = CLAIM_WAIT_S
    ) -> None:
        """`report`: a second use of ours and the first one, from any thread. A file that cannot be opened is a
        fault, and tried again: the exits of this kiosk must not wait for it.
        """
        self.fault = ""
        """Why uses cannot be kept; empty while they can."""
        self._file = options.used_file
        self._store: SqliteUses | NoStore = self._open_store()
        self._exchange = Exchange(kiosk, secrets.token_hex(4), self._store, options.kiosks)
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)
        self._report = report
        self._wait_s = wait_s
        self._tick_s = self._ended_since_s = 0.0
        self._ended_utc = math.inf
        """What has ended before this is forgotten, if the clock does not go back behind it meanwhile."""
        self.send: Callable[[bytes], bool] = lambda _: False
        """Publish a message to all kiosks, this one too; whether it is on its way."""
        self._silent: list[str] = []
        """Peers that do not answer, as last looked."""
        self._now_utc = 0.0
        """As last told; nothing has ended before it was."""
        self._note_lost()

    @property
    def lost(self) -> bool:
        """See `checkpoint.register.TicketRegister`."""
        return bool(self._lost) or self._exchange.recovered_end_utc > self._now_utc

    @property
    def has_peers(self) -> bool:
        """Whether there is anybody to talk to."""
        return bool(self._exchange.peers)

    # -- for the main loop

    def used(self, key: bytes) -> Tristate:
        """See `checkpoint.register.TicketRegister`."""
        try:
            with self._lock:
                return self._exchange.used(key, time.monotonic())
        except sqlite3.Error as error:
            return self._failed(error)

    def claim(self, key: bytes) -> Tristate:
        """See `checkpoint.register.TicketRegister`."""
        try:
            with self._returned:
                used = self._exchange.used(key, time.monotonic())
                if used is not Tristate.NO or not self._exchange.peers or self.lost:
                    return used
                if self._send([self._exchange.claim(key, time.monotonic())]):
                    self._returned.wait_for(lambda: self._exchange.is_returned(key), self._wait_s)
                used = self._exchange.claimed(key, time.monotonic())
                if used is Tristate.YES:
                    self._exchange.let_go(key)
                return used
        except sqlite3.Error as error:
            return self._failed(error)

    def record(self, key: bytes, ends_utc: float | None, now: TimeBounds) -> bool:
        """See `checkpoint.register.TicketRegister`."""
        utc = now.earliest_utc
        ends = min(utc + FOREVER_S if ends_utc is None else ends_utc, _MOST_END)
        try:
            with self._lock:
                self._send([self._exchange.use(key, utc, max(ends, 0.0))])
                doubles = self._doubles(self._exchange.doubles(key))
            self.fault = ""
        except sqlite3.Error as error:
            self._failed(error)
            return False
        self._report_doubles(doubles)
        return True

    def note_older(self) -> None:
        """The disk has been put back from an image: uses since then may be gone. Any thread."""
        try:
            with self._lock:
                self._store.note_lost("the disk is an older copy of itself")
                self._note_lost()
        except (OSError, sqlite3.Error) as error:
            self._failed(error)

    # -- for the health of the agent

    def health(self) -> Iterator[Component]:
        """Whether uses can be kept, and each peer answers. Any thread."""
        lost = self._lost and (
            f"used tickets were lost ({self._lost}): whether a ticket was used is not known, and staff must look at"
            " each; when no ticket of those days is valid any more, remove that file"
        )
        silent = self._silent and (
            f"{', '.join(self._silent)}: does not answer for the tickets that it lets in, so it is not known here"
            " whether one was used (is it off? does its list name this kiosk, and ours its right name?)"
        )
        findings = (
            *found(ProblemCode.TICKETS_NOT_KEPT, self.fault),
            *found(ProblemCode.TICKETS_NOT_KEPT, lost),
            *found(ProblemCode.PEERS_NOT_HEARD, silent or ""),
        )
        yield Component("used tickets", findings=findings)

    # -- for the link

    def connected(self) -> None:
        """Messages go out and come in."""
        try:
            with self._lock:
                self._send(self._exchange.connected(time.monotonic()))
        except sqlite3.Error as error:
            self._failed(error)

    def disconnected(self) -> None:
        """They do not any more."""
        with self._returned:
            self._exchange.disconnected()
            self._returned.notify_all()

    def received(self, sender: str, payload: bytes) -> None:
        """A message of a kiosk, this one too."""
        message = _message(payload)
        if message is None:
            return
        try:
            with self._returned:
                replies, second = self._exchange.received(sender, message, time.monotonic())
                self._note_recovered()
                doubles = self._doubles(second)
                self._send(replies)
                self._returned.notify_all()
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._report_doubles(doubles)

    def tick(self, now: TimeBounds, at_s: float | None = None) -> None:
        """Call often: says what there is to say, forgets what has ended. `at_s`: monotonic."""
        at_s = time.monotonic() if at_s is None else at_s
        try:
            with self._lock:
                self._open_again()
                self._now_utc = now.earliest_utc
                self._note_recovered()
                self._note_lost()
                self._silent = self._exchange.silent(at_s)
                if at_s - self._tick_s >= HAVE_EVERY_S:
                    self._tick_s = at_s
                    self._send(self._exchange.tick(at_s))
                has_gone_back = now.earliest_utc < self._ended_utc
                if has_gone_back or at_s - self._ended_since_s >= EXPIRE_EVERY_S:
                    if not has_gone_back:
                        self._store.expire(self._ended_utc, self._exchange.source)
                    self._ended_utc, self._ended_since_s = now.earliest_utc, at_s
        except sqlite3.Error as error:
            self._failed(error)

    def report_late(self) -> None:
        """Second uses that a run of the agent before this one had no time to report."""
        try:
            with self._lock:
                own = [use for use in self._store.unreported() if use.kiosk == self._exchange.kiosk]
                second = [use for use in own if use in self._exchange.doubles(use.key)]
                doubles = self._doubles(second)
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._report_doubles(doubles)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._store.close()

    # -- inside

    def _open_again(self) -> None:
        """A store that could not be opened may be there by now."""
        if isinstance(self._store, NoStore):
            self._store = self._exchange.store = self._open_store()
            self.fault = "" if isinstance(self._store, SqliteUses) else self.fault

    def _open_store(self) -> SqliteUses | NoStore:
        try:
            return SqliteUses(self._file)
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return NoStore(error)

    def _note_lost(self) -> None:
        self._lost = self._store.lost
        self._exchange.lost = self.lost

    def _note_recovered(self) -> None:
        """Others knew of uses here that were gone, of tickets that have not ended: of more, nobody may know."""
        if self._exchange.recovered_end_utc > self._now_utc:
            try:
                self._store.note_lost("other kiosks knew of uses here that were gone")
                self._exchange.recovered_end_utc = 0.0
            except OSError as error:
                self._failed(error)
            self._note_lost()

    def _send(self, messages: Iterable[Mapping[str, Any]]) -> bool:
        """Whether all are on their way."""
        sent = [self.send(json.dumps(message, separators=(",", ":")).encode()) for message in messages]
        return all(sent)

    def _doubles(self, second: Iterable[Use]) -> list[tuple[Use, Use]]:
        """Second uses that were not reported yet, each with the first."""
        return [(use, min(self._store.of(use.key))) for use in second if self._store.reported(use)]

    def _report_doubles(self, doubles: Iterable[tuple[Use, Use]]) -> None:
        for second, first in doubles:
            self._report(second, first)

    def _failed(self, error: OSError | sqlite3.Error) -> Tristate:
        """What is not known because the disk fails."""
        if not self.fault:
            log.warning("used tickets cannot be kept in %s: %s", self._file, error)
        self.fault = f"used tickets cannot be kept: {error}"
        return Tristate.UNKNOWN


def _message(payload: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    if len(payload) > MAX_MESSAGE_BYTES:
        return None
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
