"""The outbox: events are on disk before they are sent, and stay until they are acknowledged, or confirmed.

`store` hands an event to the writer thread and returns at once, whatever the disk does. The writer gives it its
place (epoch, sequence, hash of the one before), encodes it and commits whatever has gathered. The link takes
records in order from the send queue, where the writer lays the oldest out; deletions ride with a later commit.

When the disk fails, events wait in memory (bounded). If the link has nothing else to send they leave from there,
under an epoch of their own: a sequence that is not on disk could be given twice.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from agent.model import ChainPosition, Component, Event, Loss, Mark, Record
from agent.model.lazy import dataclass
from agent.model.status import OutboxStatus
from agent.outbox.acknowledgements import Acknowledgements
from agent.outbox.compression import CorruptRecord
from agent.outbox.disk_errors import finding, is_full, may_be_there
from agent.outbox.options import Options
from agent.outbox.receipts import ReceiptQueue
from agent.outbox.send_queue import MEMORY_ONLY, SendQueue
from agent.outbox.store import EPOCH_SPAN, Store, finish_salvage, is_damage, proof_of, ranges, renew, salvage
from agent.platform.alarm import Alarm
from agent.platform.high_water import HighWater
from agent.platform.histogram import Histogram
from agent.platform.periodic import aligned_wait_s

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from agent.model import LossReason
    from agent.model.problems import Finding

__all__ = ["Options", "Outbox"]

log = logging.getLogger(__name__)

FIRST = "0" * 64
ACKS_TO_RIDE = 32
"""Acknowledged records that a commit of new ones takes along; fewer wait, so that fewer pages are written."""
IDLE_S = 3.0
"""Without new events for so long, acknowledged records are deleted on their own."""
BATCH = 256
CAREFUL_BATCH = 16
"""On a disk that failed: what fits into little room is tried first."""
RETRY_S = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Waits between tries of a failing disk; the last one repeats."""
TRIES_BEFORE_MEMORY = 2
UNSURE_S = 30.0
"""A failed sync leaves open whether the card has the records. For so long they wait until it can be asked; if they
then leave from memory, and the card turns out to have them, they come twice, under two ids."""
LEAST_TO_DROP = 100
HANGS_S = 30.0
"""A sync of a dying card may take long."""


@dataclass(frozen=True, slots=True)
class LedgerEntries:
    """Entries on their way to the disk."""

    entries: bytes
    replaces: bool = False

    def then(self, later: LedgerEntries) -> LedgerEntries:
        """Both, in order."""
        if later.replaces:
            return later
        return LedgerEntries(self.entries + later.entries, self.replaces)


class Outbox:
    """One thread puts, the loop's; one link takes from `send_queue`, and puts what the central server answers into
    `answers`.
    """

    def __init__(
        self,
        options: Options,
        encode: Callable[[Event, ChainPosition], Record],
        too_old: Callable[[Store], list[int]] = lambda _: [],
        on_ledger: Callable[[bytes, bool], None] = lambda _entries, _damaged: None,
        lag_file: Path | None = None,
    ) -> None:
        """`too_old`: keys of records that may wait no longer. `on_ledger`: called by the writer with the ledger
        entries that a file holds whenever one is opened or made new, and whether some may be lost that this run has
        not been told. `lag_file`: on a file system in memory; it is there while the disk fails and lacks ledger
        entries, so that the next run knows.
        """
        self._options = options
        self._too_old, self.on_ledger = too_old, on_ledger
        self.on_older: Callable[[], None] = lambda: None
        """Called by the writer when the store turns out to be an older copy of itself, as all else on that disk."""
        self._path = Path(options.path)
        self._high_water = HighWater(self._path)
        """That there was a file: one that is gone is none that never was."""
        self._encode = encode
        self._inbox: deque[Event | LedgerEntries] = deque()
        self._alarm = Alarm()
        self._is_set = False
        """The alarm will ring for what is in the inbox, or has rung and the writer has not looked yet."""
        self._gather_s = options.commit_ms / 1000
        self.send_queue = SendQueue(wake_writer=self._wake)
        self.answers = ReceiptQueue(wake_writer=self._wake)
        self.took = Histogram()  # each commit
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._stop = threading.Event()
        self._store: Store | None = None
        self._confirmed = Acknowledgements(self.send_queue, self.answers)
        self._batch: list[Event] = []
        self._tried: list[Record] = []
        self._loose = LedgerEntries(b"")
        """Ledger entries that wait for the next commit and belong to no event of the batch."""
        self._trying_loose = LedgerEntries(b"")
        self._ledger_told = False
        self._ledger_put = self._ledger_received = self._ledger_kept = 0
        self._lag_file, self._lag_noted = lag_file, False
        self._owed: list[Loss] = []
        self._trying = self._telling = 0
        self._damaged = False
        self._latest: Event | None = None
        self._failures = 0
        self._retry_at_s = 0.0
        self._unsure_until_s = self._written_s = 0.0
        self._memory_place = ChainPosition(secrets.token_hex(4), 0, FIRST)  # its epoch names this run as well
        self._identity = ("", "")  # the store's epoch and its secret
        self._last = 0
        self._found = Mark("", 0)
        """How far the store had come when it was opened in this run."""
        self._is_renewed = False
        """It was so in this run: once is enough, as others may be wrong."""
        self._seen: Mark | None = None
        """How far it had come by the word of somebody else: farther, and it is an older copy."""
        # each of these is written by one thread, in one statement
        self._decided = 0
        self._dropped = self._dropped_told = 0
        self._settled = self._stored = self._lost = 0
        self._fault: Finding | None = None
        self._moved_s = monotonic()

    # -- for the rest of the agent ----------------------------------------------------------------------

    def start(self) -> None:
        """Start the writer. Returns at once: a slow or broken disk shows in `status`."""
        self._thread.start()

    def store(self, event: Event) -> None:
        """Keep `event`. Never blocks and never raises."""
        self._decided += 1
        if len(self._inbox) >= self._options.memory_events:
            self._drop_oldest()
        self._ledger_put += bool(event.entries)
        self._enqueue(event)

    def _drop_oldest(self) -> None:
        """There is no room: the oldest event goes; its ledger entries stay, with the oldest that is left."""
        with suppress(IndexError):  # the writer took them meanwhile: there is room
            gone = self._inbox.popleft()
            self._dropped += isinstance(gone, Event)
            self._ledger_put -= bool(gone.entries)
            if gone.entries:
                oldest: Event | LedgerEntries = LedgerEntries(b"")
                with suppress(IndexError):
                    oldest = self._inbox.popleft()
                self._ledger_put += not oldest.entries
                self._inbox.appendleft(_behind(gone, oldest))

    def store_entries(self, entries: bytes, *, replaces: bool = False) -> None:
        """Keep ledger entries that belong to no event, after all that was put before. Empty ones need no commit.
        Never blocks or raises.
        """
        if not entries:
            return
        self._ledger_put += 1
        self._enqueue(LedgerEntries(entries, replaces))

    def _enqueue(self, item: Event | LedgerEntries) -> None:
        """For the writer, which is woken a moment later: then others may have come, too, and the gate, whose thread
        would wait for the interpreter, is open.
        """
        self._inbox.append(item)
        if not self._is_set:
            self._is_set = True
            self._alarm.set(self._gather_s)

    def _wake(self) -> None:
        """Have the writer look now. Any thread."""
        self._is_set = True
        self._alarm.set(0)

    def has_ledger(self) -> bool:
        """Whether all ledger entries that were put are on disk. The loop's thread."""
        return self._ledger_put == self._ledger_kept

    def remembers_lag(self) -> bool:
        """Whether a run after this one would know that ledger entries are not on disk. Any thread."""
        return self._lag_noted

    def status(self) -> OutboxStatus:
        """How it is now."""
        store = self._store
        unsettled = self._decided - self._dropped - self._settled
        return OutboxStatus(
            epoch=self._epoch,
            decided=self._decided,
            stored=self._stored,
            delivered=self.send_queue.delivered,
            lost=self._lost + self._dropped,
            waiting=unsettled + self.send_queue.waiting(),
            bytes_held=0 if store is None else store.bytes,
            findings=() if self._fault is None else (self._fault,),
            moved_s=self._moved_s,
        )

    def health(self) -> Iterable[Component]:
        """Whether the writer moves and the disk takes events."""
        now = self.status()
        yield Component("outbox", monotonic() - now.moved_s, HANGS_S, now.findings, vital=True)

    @property
    def _epoch(self) -> str:
        return self._identity[0]

    def mark(self) -> Mark:
        """How far the store has come, to be kept elsewhere."""
        epoch, secret = self._identity
        last = self._last
        if not epoch:
            return Mark("", 0)
        return Mark(epoch, last, proof_of(secret, epoch, last), run=self._memory_place.epoch)

    def proves(self, mark: Mark) -> bool:
        """Whether only a store with our secret can have said so. Any thread."""
        proof = proof_of(self._identity[1], mark.epoch, mark.last)
        return hmac.compare_digest(proof.encode(), mark.proof.encode(errors="replace"))

    def compare(self, mark: Mark) -> None:
        """How far the store had come, before this run, by the word of somebody else. Any thread; returns at once.

        A card that was put back from an image goes on with sequences that it has given before, to other events, and
        a server that drops repeats would drop those: then a new epoch begins, and all that waits moves into it.
        Much counts as lost then: so a stranger's word is none (`Store.proves`). Not while anything is on its way:
        it would come under two ids.
        """
        if mark.epoch and mark.epoch == self._epoch and mark.last <= self._found.last:
            if self._seen is None:
                self.send_queue.release()  # the link may have held it
            return
        if mark.epoch == self._epoch:
            self.send_queue.hold()  # before the writer can see the mark, and give out again
        self._seen = mark
        self._wake()

    def is_sent(self) -> bool:
        """Whether there is nothing left to send: the broker has all, but for what it refused."""
        return self._decided - self._dropped <= self._settled and self.send_queue.is_empty()

    def flush(self, limit_s: float) -> bool:
        """Wait until all that was put is on disk (or has left from memory), at most `limit_s`; whether it is."""
        until_s = monotonic() + limit_s
        while self._decided - self._dropped > self._settled:
            if monotonic() >= until_s or not self._thread.is_alive():
                return False
            self._stop.wait(0.005)
        return True

    def stop(self, limit_s: float = 5.0) -> None:
        """Write what is still in memory, within `limit_s`, and close the file."""
        self._stop.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    # -- the writer's thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not (self._stop.is_set() and self._is_finished()):
            self._alive()
            try:
                self._turn()
            except (sqlite3.Error, OSError, CorruptRecord) as error:
                self._failed(error)
            except Exception as error:  # an internal error must not end this thread, nor hold events up
                log.exception("outbox: unexpected error; going on")
                self._failed(error)
        if self._store is not None:
            self._store.close()
        if self.has_ledger():
            self._forget_lag()
        if unsaved := self._decided - self._dropped - self._settled:
            log.error("outbox: closed with %d events that the disk would not take", unsaved)

    def _alive(self) -> None:
        """Show that the writer moves; in between, too, where one step takes many commits."""
        self._moved_s = monotonic()

    def _is_finished(self) -> bool:
        """Whether there is nothing left to do before closing, or nothing that can be done."""
        left = self._batch or self._loose.entries or self.send_queue.done() or self._confirmed.count
        return self._failures > 0 or (not left and not self._inbox)

    def _turn(self) -> None:
        """Open if need be; gather, commit, make room, lay out."""
        self._gather()
        if self._failures:
            self._confirmed.on_receipt(None, self._memory_place)
            self._send_from_memory()
            if monotonic() < self._retry_at_s:
                return
        store = self._begin_again_if_gone_back(self._store or self._open())
        self._confirmed.on_receipt(store, self._memory_place)
        self._commit(store)
        self._make_room(store)
        wanted, beyond = self.send_queue.room()
        if wanted:
            self.send_queue.fill(store.after(beyond, wanted), wanted, self._confirmed)
        if self._failures:
            log.warning("outbox: the disk takes events again")
            self._failures, self._fault = 0, None

    def _gather(self) -> None:
        """Wait until the alarm rings, a little after the first event; at most a second, so that `moved_s` moves."""
        if self._failures:
            self._stop.wait(0.2)
        elif self._store is not None and not self._has_work():
            self._alarm.wait(aligned_wait_s(1.0))
        self._is_set = False  # first: who puts something from now on sets it again
        while len(self._batch) < BATCH:
            try:
                item = self._inbox.popleft()
            except IndexError:
                break
            self._receive(item)

    def _receive(self, item: Event | LedgerEntries) -> None:
        """An event waits for the next commit; loose entries ride with the event before them."""
        self._ledger_received += isinstance(item, LedgerEntries) or bool(item.entries)
        if isinstance(item, Event):
            self._batch.append(item)
        elif self._batch and not self._tried:
            last = self._batch[-1]
            entries = item.entries if item.replaces else last.entries + item.entries
            self._batch[-1] = replace(
                last, entries=entries, replaces_entries=item.replaces or last.replaces_entries
            )
        else:
            if item.replaces:  # they hold all that went before
                self._batch = [replace(event, entries=b"", replaces_entries=False) for event in self._batch]
            self._loose = self._loose.then(item)

    def _open(self) -> Store:
        """Open the file; one that is damaged is put aside, and what it still holds is saved into a new one."""
        finish_salvage(self._path)
        is_gone = not self._epoch and not _has_content(self._path) and self._has_been_there()
        try:
            store = None if self._damaged else Store(self._path, self.took)
        except (sqlite3.DatabaseError, CorruptRecord) as error:
            if not is_damage(error):
                raise
            store = None
        if store is None:
            store = self._salvage()
        elif self._epoch and (store.epoch != self._epoch or store.last < self._last):
            store.close()  # somebody took the file away, or put another or an older one in its place
            store = self._salvage()
        if self._tried and (store.last, store.last_hash) == (self._tried[-1].key, _hash(self._tried[-1])):
            self._commit_done(store, self._tried)  # the commit that failed had reached the disk after all
        self._tried = []
        self._store = store
        if not self._ledger_told or store.epoch != self._epoch:
            lacks = is_gone or bool(self._owed) or (self._lag_file is not None and self._lag_file.exists())
            self.on_ledger(store.ledger(), not self._ledger_told and lacks)
            self._ledger_told = True
            self._high_water.write(1)
        if is_gone:
            log.error("outbox: %s is gone or empty, and was not before: what it held is not known", self._path)
        self._confirmed.on_acknowledged(store)
        if store.epoch != self._found.epoch:
            self._found = Mark(store.epoch, store.last)
        self._last = store.last
        self._identity = store.epoch, store.secret  # last: a thread that sees it sees what waits, too
        return store

    def _has_been_there(self) -> bool:
        try:
            return bool(self._high_water.read())
        except ValueError:
            return True

    def _begin_again_if_gone_back(self, store: Store) -> Store:
        if (seen := self._seen) is None:
            return store
        has_come_less_far = seen.epoch != store.epoch or seen.last <= self._found.last
        if has_come_less_far or self._is_renewed or not store.proves(seen):
            if self._seen is seen:  # no newer one has come meanwhile
                self._seen = None
                self.send_queue.release()
            return store
        done, old, last = self.send_queue.done(), store.epoch, self._found.last
        self._store = None
        renew(self._path, store, done, self._alive)
        self._damaged = False
        store = self._store = Store(self._path, self.took)
        self._seen, self._is_renewed = None, True
        self.send_queue.clear()
        self._confirmed.clear()
        self._tried = []
        self._last, self._found = store.last, Mark(store.epoch, store.last)
        self._identity = store.epoch, store.secret
        self._confirmed.on_acknowledged(store)
        self._owed.append(Loss("storage_restored", 0, last + 1, seen.last, old))
        self.on_ledger(store.ledger(), True)
        self.on_older()
        log.error(
            "outbox: the store had come to event %d of epoch %s and is back at %d (a card put back from an image?):"
            " epoch %s begins, %d events that wait move into it", seen.last, old, last, store.epoch, store.count,
        )  # fmt: skip
        return store

    def _salvage(self) -> Store:
        """Save what can be read into a new store; what is missing is owed as a loss."""
        done = self.send_queue.done()
        found = salvage(self._path, self.send_queue.contents(), done, self._alive)
        self.send_queue.clear(gone=done, lowered=EPOCH_SPAN)
        self._confirmed.clear()
        self._damaged = False
        log.error("outbox: %s was damaged; put aside, %d events saved from it", self._path, found.saved)
        self._lost += found.missing
        self._owed.append(Loss("storage_corrupt", found.missing, found.first, found.last, found.epoch))
        return Store(self._path, self.took)

    def _commit(self, store: Store) -> None:
        """One commit of the batch and of what may go by now."""
        self._notice_drops()
        done = self.send_queue.done()
        idle = monotonic() - self._written_s > IDLE_S or self._stop.is_set()
        some = len(done) + self._confirmed.count >= ACKS_TO_RIDE or (idle and not self._batch)
        some = some or self._failures > 0  # the commit that failed may have deleted them: they would count twice
        place = ChainPosition(store.epoch, store.last, store.last_hash or FIRST)
        self._tried = self._encoded(place, CAREFUL_BATCH if self._failures else BATCH)
        chosen = self._confirmed.next() if some else []
        riding = done if some else frozenset()
        ledger, self._trying_loose = self._ledger_of_batch(), self._loose
        if not (self._tried or riding or chosen or ledger.entries):
            return
        try:
            gone = [*ranges(sorted(riding)), *chosen] if riding else chosen
            store.write(self._tried, gone, ledger.entries, replaces_ledger=ledger.replaces)
        except sqlite3.Error as error:
            if not may_be_there(error):
                self._tried = []
            self._unsure_until_s = monotonic() + UNSURE_S
            raise
        self._confirmed.gone(store, chosen)
        self._commit_done(store, self._tried, riding)

    def _commit_done(self, store: Store, records: list[Record], gone: Collection[int] = ()) -> None:
        self._tried = []
        if not self._loose.replaces or self._trying_loose.replaces:
            self._loose = LedgerEntries(self._loose.entries[len(self._trying_loose.entries) :])
        self._last = store.last
        self._written_s = monotonic()
        self.send_queue.committed(records, gone, store.count - self._confirmed.count)
        self._stored += self._trying
        self._complete_batch()
        if not self._batch and not self._loose.entries:
            self._ledger_kept = self._ledger_received
            if self._lag_noted:
                self._forget_lag()

    def _ledger_of_batch(self) -> LedgerEntries:
        """The entries that go with the events that are being tried, after those that were loose."""
        ledger = self._loose
        for event in self._batch[: self._trying]:
            if event.entries or event.replaces_entries:
                ledger = ledger.then(LedgerEntries(event.entries, event.replaces_entries))
        return ledger

    def _make_room(self, store: Store) -> None:
        """Drop what may wait no longer; while over the limit, the least important, oldest first."""
        if old := self._too_old(store):
            self._drop(store, old, "retention_expired")
        while store.bytes > self._options.limit_mb * 1e6 and store.count:
            self._alive()
            if chosen := self._confirmed.next():
                store.write([], chosen)
                self._confirmed.gone(store, chosen)
                continue
            flying = len(self.send_queue.on_the_way() | self.send_queue.done())
            least = store.least_worth(max(LEAST_TO_DROP, store.count // 100) + flying, self.send_queue.acked_to)
            if not self._drop(store, least, "storage_full"):
                return

    def _drop(self, store: Store, keys: list[int], reason: LossReason) -> bool:
        """Let go of those that are not on their way, and owe a loss for them; whether there were any."""
        flying = self.send_queue.on_the_way() | self.send_queue.done()
        gone = [key for key in keys if key not in flying]
        if not gone:
            return False
        store.write([], [*ranges(sorted(gone))])
        self.send_queue.drop(gone)
        self._confirmed.on_acknowledged(store)
        self._lost += len(gone)
        own = [key for key in gone if key > 0]
        self._owed.append(Loss(reason, len(gone), min(own, default=0), max(own, default=0), store.epoch))
        log.error("outbox: %d events dropped: %s", len(gone), reason)
        return True

    def _send_from_memory(self) -> None:
        """The disk fails but the link is up and idle: let it have events that no disk has."""
        unsure = self._tried and monotonic() < self._unsure_until_s
        if (
            unsure
            or self._failures < TRIES_BEFORE_MEMORY
            or not self.send_queue.wants_records(self._options.memory_events)
        ):
            return
        records = self._encoded(self._memory_place, BATCH)
        if records:
            self._memory_place = ChainPosition(self._memory_place.epoch, records[-1].key, _hash(records[-1]))
            self.send_queue.fill_from_memory([replace(record, key=MEMORY_ONLY + record.key) for record in records])
            self._loose = self._ledger_of_batch()  # the ledger still wants a disk
            self._complete_batch()

    # -- small parts ------------------------------------------------------------------------------------

    def _has_work(self) -> bool:
        many_may_go = self._confirmed.count >= ACKS_TO_RIDE
        owes = bool(self._owed) and self._latest is not None
        return bool(self._batch or self._loose.entries or many_may_go or owes or self._inbox)

    def _encoded(self, place: ChainPosition, limit: int) -> list[Record]:
        """Up to `limit` events as records in a chain from `place` on, after the losses that are owed.

        A loss borrows the clock of the latest event. An event that cannot be encoded becomes a loss.
        """
        batch = self._batch[:limit]
        if batch:
            self._latest = batch[-1]
        records: list[Record] = []
        if self._latest is None:
            return records
        owed = [replace(self._latest, body=loss) for loss in self._owed]
        self._telling = len(owed)
        sequence, before = place.sequence, place.previous_sha256
        for event in (*owed, *batch):
            if records:  # the hash of the last is for the store
                before = _hash(records[-1])
            try:
                record = self._encode(event, ChainPosition(place.epoch, sequence + 1, before))
            except Exception:  # an internal error in one event must not hold up all others
                log.exception("outbox: an event (%s) cannot be encoded", type(event.body).__name__)
                self._corrupt(event)
                batch = [other for other in batch if other is not event]
                continue
            records.append(record)
            sequence += 1
        self._trying = len(batch)
        return records

    def _corrupt(self, event: Event) -> None:
        if not isinstance(event.body, Loss):
            self._batch = [other for other in self._batch if other is not event]
            self._settled += 1
            self._lost += 1
            self._owed.append(Loss("unencodable", 1))

    def _complete_batch(self) -> None:
        """What was encoded last, events and losses told with them, is no longer the writer's worry."""
        self._settled += self._trying
        del self._batch[: self._trying]
        del self._owed[: self._telling]
        self._trying = self._telling = 0

    def _notice_drops(self) -> None:
        dropped = self._dropped
        if dropped > self._dropped_told:
            self._owed.append(Loss("memory_full", dropped - self._dropped_told))
            self._dropped_told = dropped

    def _note_lag(self) -> None:
        """The disk lacks ledger entries, and may still do so when the agent starts again."""
        if self._lag_file is None or self._lag_noted or self.has_ledger():
            return
        with suppress(OSError):
            self._lag_file.touch(0o600)
            self._lag_noted = True

    def _forget_lag(self) -> None:
        self._lag_noted = False
        if self._lag_file is not None:
            with suppress(OSError):
                self._lag_file.unlink(missing_ok=True)

    def _failed(self, error: Exception) -> None:
        """The disk would not: say so once, close unless it is just full, and try again later."""
        self._note_lag()
        self._damaged = self._damaged or is_damage(error)
        if self._store is not None and is_full(error):
            self._store.shrink()
        elif self._store is not None:
            self._store.close()
            self._store = None
        self._retry_at_s = monotonic() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        fault = finding(error, self._path)
        if fault != self._fault:
            log.error("outbox: %s", fault.text)
        self._fault = fault


def _behind(gone: Event | LedgerEntries, item: Event | LedgerEntries) -> Event | LedgerEntries:
    """An item with the ledger entries of the one before it, which go before its own."""
    first, own = (
        LedgerEntries(each.entries, each.replaces_entries) if isinstance(each, Event) else each
        for each in (gone, item)
    )
    both = first.then(own) if own.entries else first
    if isinstance(item, Event):
        return replace(item, entries=both.entries, replaces_entries=both.replaces)
    return both


def _hash(record: Record) -> str:
    return sha256(record.payload).hexdigest()


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
