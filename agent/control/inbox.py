"""Messages of the broker that wait to be handled: bounded, whatever a broker sends; no bundle is lost for good.

Commands and bundles wait in separate queues and are taken in turn, so many of one kind do not hide the other.
Commands that name a key which may sign them wait before all other commands: anyone may send those, and they take no
place from the first. The same command waits once.

A bundle for which there is no room is *missed*. The broker has retained it, so all bundles are requested again.
Bundles that were handled since the first one was missed are then passed over: each time others find room, until all
were handled.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from hashlib import sha256
from typing import TYPE_CHECKING

from agent.control.verification import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_COMMANDS, MOST_BUNDLES = 64, 256
MOST_BUNDLE_BYTES = 4 << 20
MOST_LOOKED_AT = 4096


class MessageInbox:
    """The link puts what it receives; the control thread takes."""

    def __init__(self, command_topics: Iterable[str]) -> None:
        """`command_topics`: what comes on one of them is a command, all else a bundle."""
        self._command_topics = frozenset(command_topics)
        self.signers: tuple[bytes, ...] = (b"",)
        """Ids of the keys that may sign commands, as they stand in an envelope; until they are known, any."""
        self.dropped = 0
        """Messages for which there was no room, since the start."""
        self._changed = threading.Condition()
        self._commands: tuple[dict[bytes, None], dict[bytes, None]] = {}, {}
        """In order of coming: those that name a signer, and those that do not."""
        self._bundles: deque[bytes] = deque()
        self._bundle_bytes = 0
        self._looked_at: OrderedDict[bytes, None] = OrderedDict()
        """SHA-256 of bundles."""
        self._command_is_next = True
        self._missed = False

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message from the link. Never blocks, never raises."""
        is_command = topic in self._command_topics
        names_signer = is_command and any(signer in payload for signer in self.signers)
        if not self.offer(payload, is_command=is_command, names_signer=names_signer):
            with self._changed:
                self.dropped += 1

    def offer(self, payload: bytes, *, is_command: bool, names_signer: bool = True) -> bool:
        """Whether there is room for it, or need. Never waits for the consumer. `names_signer`: of a command, that
        it names a key that may sign it; whether it is signed by it is found out later.
        """
        with self._changed:
            if is_command:
                commands = self._commands[not names_signer]
                if len(payload) > MAX_BYTES or (len(commands) >= MAX_COMMANDS and payload not in commands):
                    return False
                commands[payload] = None
            elif self._looked_at and sha256(payload).digest() in self._looked_at:
                return True
            elif len(self._bundles) >= MOST_BUNDLES or self._bundle_bytes + len(payload) > MOST_BUNDLE_BYTES:
                self._missed = True
                return False
            else:
                self._bundles.append(payload)
                self._bundle_bytes += len(payload)
            self._changed.notify()
        return True

    def next_message(self, within_s: float) -> tuple[bool, bytes] | None:
        """The next one, and whether it is for commands; None when nothing came, or `wake` was called."""
        with self._changed:
            if self.is_empty():
                self._changed.wait(within_s)
            commands = self._commands[0] or self._commands[1]
            if commands and (self._command_is_next or not self._bundles):
                self._command_is_next = False
                payload = next(iter(commands))
                del commands[payload]
                return True, payload
            self._command_is_next = True
            if not self._bundles:
                return None
            payload = self._bundles.popleft()
            self._bundle_bytes -= len(payload)
            self._looked_at[sha256(payload).digest()] = None
            if len(self._looked_at) > MOST_LOOKED_AT:
                self._looked_at.popitem(last=False)
            return False, payload

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not (any(self._commands) or self._bundles)

    def request_refetch(self) -> bool:
        """Whether to ask for all bundles now, as some were missed and there is room; it is taken for done. When
        none is missed any more, what was looked at is forgotten: the central server may mean to send it again.
        """
        with self._changed:
            if not self._missed:
                self._looked_at.clear()
            is_time = self._missed and self.is_empty()
            self._missed = self._missed and not is_time
            return is_time

    def resume(self) -> None:
        """Something has changed: what was refused may be taken now."""
        with self._changed:
            self._looked_at.clear()
            self._missed = True

    def wake(self) -> None:
        """Have `next_message` return."""
        with self._changed:
            self._changed.notify_all()
