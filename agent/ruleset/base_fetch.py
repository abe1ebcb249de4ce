"""Fetches bases of lists that were signed and are not here: from other kiosks of the site, from the signed address,
or piece by piece over MQTT.

One thread, slow on purpose: at most `BYTES_PER_S`, and it waits while somebody is being decided. Each kiosk begins
at a moment of its own in the signed window. Nothing that is in force changes before the base is whole and proved.
"""

from __future__ import annotations

import functools
import logging
import operator
import queue
import random
import ssl
import threading
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING

from agent.model import Component
from agent.model.problems import ProblemCode, found
from agent.platform.periodic import aligned_wait_s
from agent.ruleset import base_download
from agent.ruleset.base_assembly import Assembly, part_path
from agent.ruleset.base_siblings import EVERY_S, LineTurn, Offer, SiblingBusy, bits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from urllib.request import OpenerDirector

    from agent.ruleset.base_assembly import WantedBase
    from agent.ruleset.base_siblings import Sibling, SiteSharing

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
BYTES_PER_S = 1 << 20
MOST_BUSY_S = 5.0
"""A queue of people holds up one chunk no longer than this."""
FIRST_RETRY_S, LAST_RETRY_S = 5.0, 600.0
AT_ONCE = 4
"""Chunks that are asked for over MQTT at one time."""
ASK_AGAIN_S = 60.0
"""When none of those has come."""
MOST_WAITING = 2 * AT_ONCE
PATIENCE, LEAST_PATIENCE_S = 20, 3600.0
"""So many times as long as the whole takes at `BYTES_PER_S`, a kiosk lets others of its site fetch first; at least
an hour: the line of a site may be slow."""
GIVE_WAY_S = 5.0
"""After an address has not worked, other kiosks of the site may try theirs."""
LEFT_ALONE_S, MOST_LEFT_ALONE_S = 30.0, 3600.0
"""A sibling that did not give what it should, is not asked; each time for twice as long, until it gives a piece."""
BUSY_S = 0.2


class BaseFetcher(threading.Thread):
    """`on_message` may be called from any thread."""

    def __init__(
        self,
        wanted: Callable[[], Sequence[WantedBase]],
        generation: Callable[[], object],
        ask: Callable[[Sequence[tuple[str, int]], Callable[[str, int, bytes], None]], None],
        is_busy: Callable[[], bool] = lambda: False,
        paths: Sequence[Path] = (),
        ca_file: Path | None = None,
        bytes_per_s: float = BYTES_PER_S,
        source: str = "",
        sharing: SiteSharing | None = None,
        held: Callable[[], Sequence[WantedBase]] = tuple,
    ) -> None:
        """`wanted`: reads it from disk; asked again when `generation` gives another object. `ask`: which chunks
        (id, index) are wanted over MQTT from now on, and what takes them. `is_busy`: somebody is being decided.
        `paths`: of all lists in use. `ca_file`: an authority whose servers are trusted beside those of the system.
        `source`: this kiosk, which chooses its moment. `sharing`: with the site's other kiosks; None: with nobody.
        `held`: bases that are here, to be shared; asked when `wanted` is.
        """
        super().__init__(name="list-bases", daemon=True)
        self._wanted, self._generation, self._ask, self._is_busy = wanted, generation, ask, is_busy
        self._ca_file, self._bytes_per_s, self._paths = ca_file, bytes_per_s, paths
        self._source, self._sharing, self._held = source, sharing, held
        self._seen: object = None
        self._assemblies: list[Assembly] = []
        self._turns: dict[WantedBase, LineTurn] = {}
        self._shared: list[WantedBase] = []
        """Bases that are whole here."""
        self._left_alone: dict[str, tuple[float, float]] = {}
        """Address of a sibling → until when, and how long the next time."""
        self._retry: dict[str, tuple[float, float]] = {}
        """Address → when it is tried again, and how long to wait after that."""
        self._messages: queue.Queue[tuple[str, int, bytes] | None] = queue.Queue(MOST_WAITING)
        """None wakes the thread."""
        self._asked: tuple[tuple[str, int], ...] = ()
        self._asked_s = 0.0
        self._stopping = threading.Event()
        self._opener: OpenerDirector | None = None
        """Made again when other bases are wanted, or one does not come: authorities may have changed."""
        self._faults: dict[str, str] = {}
        """List → why its base does not come, as a sentence."""

    @property
    def fault(self) -> str:
        """Why bases do not come; empty while all that is wanted does. Any thread."""
        return "; ".join(list(self._faults.values()))

    def health(self) -> Iterable[Component]:
        """Why a base does not come. That the thread waits long for a slow server is no fault of its own."""
        yield Component("list bases", findings=found(ProblemCode.LIST_FETCH_FAILED, self.fault))

    def on_message(self, chunks_id: str, index: int, data: bytes) -> None:
        """A chunk has come over MQTT. Never blocks: what finds no room is asked for again."""
        with suppress(queue.Full):
            self._messages.put_nowait((chunks_id, index, data))

    def run(self) -> None:
        """Until `stop`."""
        if self._sharing is not None:
            self._sharing.start()
        while not self._stopping.is_set():
            try:
                self.step(aligned_wait_s(LOOK_EVERY_S))
            except Exception:
                log.exception("lists: an internal error in fetching a base; going on")
                self._stopping.wait(LAST_RETRY_S)

    def stop(self, limit_s: float = LOOK_EVERY_S) -> None:
        """End the thread; may be called although it was never started."""
        self._stopping.set()
        with suppress(queue.Full):  # then it is awake
            self._messages.put_nowait(None)
        if self._sharing is not None:
            self._sharing.stop()
        if self.is_alive():
            self.join(limit_s)

    def step(self, wait_s: float = LOOK_EVERY_S) -> None:
        """Look once what is wanted, and fetch of it what can be fetched now."""
        self._update_wanted()
        for assembly in list(self._assemblies):
            self._from_siblings(assembly)
            if self._may_use_line(assembly):
                self._from_address(assembly)
            self._finish(assembly)
        self._request(self._wanted_over_mqtt())
        self._receive_messages(wait_s)

    # -- what is wanted

    def _update_wanted(self) -> None:
        generation = self._generation()
        if generation is self._seen:
            return
        wanted, self._opener = self._wanted(), None
        before = {assembly.wanted: assembly for assembly in self._assemblies}
        for assembly in self._assemblies:
            if assembly.wanted not in wanted:
                assembly.close()
        for path in self._paths:
            if path not in {each.path for each in wanted}:
                with suppress(OSError):
                    part_path(path).unlink(missing_ok=True)
        self._faults = {name: why for name, why in self._faults.items() if name in {each.name for each in wanted}}
        opened = []
        for each in wanted:
            try:
                opened.append(before.get(each) or Assembly(each))
            except OSError as error:
                self._set_fault(each.name, f"its base cannot be taken: {error.strerror}")
        self._assemblies = opened
        self._turns = {each.wanted: self._turns.get(each.wanted) or self._turn(each.wanted) for each in opened}
        self._shared = list(self._held()) if self._sharing is not None else []
        self._offer()
        self._seen = generation if len(opened) == len(wanted) else None
        if self._seen is None:
            self._stopping.wait(FIRST_RETRY_S)

    def _finish(self, assembly: Assembly) -> None:
        try:
            if not assembly.finish():
                return
        except OSError as error:
            self._set_fault(assembly.wanted.name, f"its base cannot be kept: {error.strerror}")
            return
        log.info("lists: the base of %s is here", assembly.wanted.name)
        self._set_fault(assembly.wanted.name, "")
        assembly.close()
        self._assemblies.remove(assembly)
        self._shared.append(assembly.wanted)
        self._offer()

    def _set_fault(self, name: str, why: str) -> None:
        """Why the base of this list does not come; empty: it comes."""
        faults = {other: fault for other, fault in self._faults.items() if other != name}
        if why:
            faults[name] = f"list {name}: {why}"
            if faults[name] != self._faults.get(name):
                log.warning("%s", faults[name])
        self._faults = faults  # a new one: others may be reading it

    # -- from the site's other kiosks, and when it is this one's turn to use the line

    def _turn(self, wanted: WantedBase) -> LineTurn:
        wait_s = wanted.chunks.fetch_wait_s(self._source, wanted.head.issued_at, time())
        if wait_s > 1.0:
            log.info("lists: the base of %s is fetched in %.0f s, or from the site's kiosks", wanted.name, wait_s)
        token = "" if self._sharing is None else self._sharing.token
        listening_s = 0.0 if self._sharing is None else 1.5 * EVERY_S
        begin_s = monotonic() + max(wait_s, listening_s)
        return LineTurn(token, begin_s, begin_s + max(LEAST_PATIENCE_S, PATIENCE * wanted.size / self._bytes_per_s))

    def _offer(self) -> None:
        if self._sharing is not None:
            self._sharing.offer([*map(Offer, self._shared), *map(self._offer_of, self._assemblies)])
            self._sharing.announce()

    def _offer_of(self, assembly: Assembly) -> Offer:
        turn = self._turns[assembly.wanted]
        return Offer(assembly.wanted, lambda: tuple(assembly.missing), lambda: turn.uses_line)

    def _may_use_line(self, assembly: Assembly) -> bool:
        turn, sharing = self._turns[assembly.wanted], self._sharing
        if sharing is None or not assembly.missing:
            return monotonic() >= turn.begin_s
        before = turn.uses_line
        is_ours = turn.is_ours(sharing.siblings(assembly.wanted.chunks.id), monotonic())
        if turn.uses_line is not before:
            sharing.announce()
        return is_ours

    def _holder(self, assembly: Assembly, missing: Sequence[int]) -> tuple[int, Sibling] | None:
        """One of these pieces that a sibling has, and who; each of them is as likely."""
        now_s = monotonic()
        if self._sharing is None or not missing or self._turns[assembly.wanted].is_alone(now_s):
            return None
        found = self._sharing.siblings(assembly.wanted.chunks.id)
        asked = [each for each in found if self._left_alone.get(each.address[0], (0.0, 0.0))[0] < now_s]
        wanted = bits_of(missing)
        there = functools.reduce(operator.or_, (each.pieces & wanted for each in asked), 0)
        if not there:
            return None
        start = random.choice(missing)  # noqa: S311 - no secret
        later = there >> start << start or there  # else again from the first on
        index = (later & -later).bit_length() - 1
        return index, random.choice([each for each in asked if each.has(index)])  # noqa: S311 - same

    def _from_siblings(self, assembly: Assembly) -> None:
        """All that they have."""
        sharing = self._sharing
        while sharing is not None and not self._stopping.is_set() and self._generation() is self._seen:
            found = self._holder(assembly, assembly.missing)
            if found is None:
                return
            began_s = monotonic()
            try:
                size = self._from_sibling(sharing, assembly, *found)
            except OSError as error:
                self._set_fault(assembly.wanted.name, f"its base cannot be kept: {error.strerror}")
                return
            self._pause(size, began_s)

    def _from_sibling(self, sharing: SiteSharing, assembly: Assembly, index: int, sibling: Sibling) -> int:
        """How many bytes it has given. Raises OSError of our own disk."""
        try:
            data = sharing.fetch(sibling, assembly.wanted, index)
        except SiblingBusy:
            self._leave_alone(sibling, "is busy", BUSY_S)
            return 0
        except OSError as error:
            self._leave_alone(sibling, f"does not give a piece ({error.strerror or error})", LEFT_ALONE_S)
            return 0
        if assembly.add_chunk(index, data):
            self._turns[assembly.wanted].gained_s = monotonic()
            self._left_alone.pop(sibling.address[0], None)
        else:
            self._leave_alone(sibling, "gives other bytes than were signed", LEFT_ALONE_S)
        return len(data)

    def _leave_alone(self, sibling: Sibling, why: str, least_s: float) -> None:
        """For `least_s`, and each time twice as long until it gives a piece. `why`: what it has done."""
        _, wait_s = self._left_alone.get(sibling.address[0], (0.0, 0.0))
        wait_s = max(wait_s, least_s)
        log.info("lists: %s:%d %s; it is left alone for %.1f s", *sibling.address, why, wait_s)
        self._left_alone[sibling.address[0]] = monotonic() + wait_s, min(2 * wait_s, MOST_LEFT_ALONE_S)

    # -- from the address

    def _from_address(self, assembly: Assembly) -> None:
        url = assembly.wanted.chunks.url
        due_s, wait_s = self._retry.get(url, (0.0, FIRST_RETRY_S))
        if not url or not assembly.missing or monotonic() < due_s:
            return
        try:
            self._download(assembly)
        except (base_download.BadDownload, ssl.SSLError) as error:
            self._opener = None
            self._retry[url] = monotonic() + wait_s, min(2 * wait_s, LAST_RETRY_S)
            self._set_fault(assembly.wanted.name, f"{url} {error}; {assembly.progress}")
            if self._sharing is not None:
                self._turns[assembly.wanted].release(monotonic() + GIVE_WAY_S)
                self._sharing.announce()
        except OSError as error:
            self._retry[url] = monotonic() + wait_s, min(2 * wait_s, LAST_RETRY_S)
            self._set_fault(assembly.wanted.name, f"its base cannot be kept: {error.strerror}")
        else:
            self._retry.pop(url, None)

    def _download(self, assembly: Assembly) -> None:
        """All that is missing, from the first of it on. Raises BadDownload, OSError."""
        wanted, first = assembly.wanted, assembly.missing[0]
        chunks = wanted.chunks
        start, _ = chunks.span(first, wanted.size)
        self._opener = self._opener or base_download.opener(base_download.context(self._ca_file))
        with base_download.download(self._opener, chunks.url, start) as answer:
            for index in list(assembly.missing):
                began_s = monotonic()
                data = answer.read(*chunks.span(index, wanted.size))
                self._turns[wanted].gained_s = monotonic()
                if not assembly.add_chunk(index, data):
                    raise base_download.BadDownload(
                        f"gives other bytes than were signed, in piece {index} of {len(chunks)}"
                    )
                self._pause(len(data), began_s)
                if self._stopping.is_set() or self._generation() is not self._seen:
                    return
                if not self._may_use_line(assembly) or self._holder(assembly, assembly.missing[:1]):
                    return

    def _pause(self, size: int, began_s: float) -> None:
        """Keep to the pace, and out of the way of the person at the gate."""
        self._stopping.wait(max(0.0, size / self._bytes_per_s - (monotonic() - began_s)))
        until_s = monotonic() + MOST_BUSY_S
        while self._is_busy() and monotonic() < until_s and not self._stopping.wait(0.1):
            pass

    # -- over MQTT

    def _wanted_over_mqtt(self) -> tuple[tuple[str, int], ...]:
        """What has no address, or one that does not work now."""
        return tuple(
            (assembly.wanted.chunks.id, index)
            for assembly in self._assemblies
            if (not assembly.wanted.chunks.url or assembly.wanted.chunks.url in self._retry)
            and self._may_use_line(assembly)
            for index in assembly.missing[:AT_ONCE]
        )[:AT_ONCE]

    def _request(self, wanted: tuple[tuple[str, int], ...]) -> None:
        now_s = monotonic()
        if wanted == self._asked == ():
            return
        if wanted and self._outstanding_chunks():
            if now_s - self._asked_s < ASK_AGAIN_S:
                return
            asked = {chunks_id for chunks_id, _ in self._asked}
            for name in sorted({each.wanted.name for each in self._assemblies if each.wanted.chunks.id in asked}):
                self._set_fault(
                    name,
                    f"no piece of its base has come over MQTT for {ASK_AGAIN_S:g} s (is it published, "
                    "and may this kiosk read gatepost/v1/$all/base/#?)",
                )
        self._asked, self._asked_s = wanted, now_s
        self._ask(wanted, self.on_message)

    def _receive_messages(self, wait_s: float) -> None:
        """What comes within `wait_s`, until all that was asked for is here."""
        until_s = monotonic() + wait_s
        while not self._stopping.is_set():
            try:
                message = self._messages.get(timeout=max(0.0, until_s - monotonic()))
            except queue.Empty:
                return
            if message is None:
                return
            self._store_chunk(*message)
            if not self._outstanding_chunks():
                return

    def _outstanding_chunks(self) -> list[tuple[str, int]]:
        """Of what was asked for, what has not come."""
        return [
            (assembly.wanted.chunks.id, index)
            for assembly in self._assemblies
            for index in assembly.missing
            if (assembly.wanted.chunks.id, index) in self._asked
        ]

    def _store_chunk(self, chunks_id: str, index: int, data: bytes) -> None:
        began_s = monotonic()
        for assembly in self._assemblies:
            if assembly.wanted.chunks.id != chunks_id or index not in assembly.missing:
                continue
            try:
                if assembly.add_chunk(index, data):
                    self._asked_s = monotonic()
                    self._set_fault(assembly.wanted.name, "")
                    self._pause(len(data), began_s)
                else:
                    self._set_fault(assembly.wanted.name, f"piece {index} over MQTT is not what was signed")
            except OSError as error:
                self._set_fault(assembly.wanted.name, f"its base cannot be kept: {error.strerror}")
