"""Receives commands and bundles of the central server: verifies them, carries them out, and answers.

The link puts messages into bounded queues (`inbox`), and one thread reads them. A command is verified
(`verification`), recorded on disk (`journal`), carried out (`commands`) and answered. A bundle is verified, stored,
put in force and answered (`bundles`). A message that a stranger may have sent is only counted, and is followed by a
pause, so that a flood of them slows down nothing else.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from agent.commands import COMMANDS, ISSUED_AT, CommandFailed, CommandOutput, Options
from agent.control.bundles import BundleReceiver
from agent.control.inbox import MessageInbox
from agent.control.journal import CommandJournal
from agent.control.verification import (
    Command,
    Ignored,
    Unauthenticated,
    check_validity,
    verify_command,
)
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle
from agent.model import CommandResult, CommandStatus, Component
from agent.model.problems import ProblemCode, found
from agent.model.reasons import CommandReason, Rejection
from agent.model.status import CommandStats
from agent.platform.rate_limit import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.events import Topics
    from agent.model import TimeBounds
    from agent.ruleset.load import BundleStore

__all__ = [
    "BundleReceiver",
    "CommandFailed",
    "CommandOutput",
    "CommandReason",
    "CommandReceiver",
    "Options",
]

log = logging.getLogger(__name__)

PAUSE_S = 0.02
"""Pause after a bundle that brings nothing new, seconds: at most fifty of them a second are verified."""
PAUSE_SHARE = 4.0
"""The pause lasts at least so many times as long as the verification."""
COMMAND_PAUSE_SHARE = 1.0
"""The same for a command: shorter, because a genuine one may wait behind it. A wrong signature takes 0.2 ms."""
BURST, EVERY_S = 20, 1.0
"""Answers that need no new signature (refusals, repeats): so many at once, then one in so many seconds."""
STRANGERS_BURST, STRANGERS_EVERY_S = 8, 600.0
"""The same for bundles without a signature of their role: from a wrong key of the central server, or a stranger."""
LOG_EVERY_S = 60.0
REFETCH_EVERY_S, REFETCH_SOON_S = 60.0, 1.0
"""Least seconds between two requests for retained bundles that had no room; and while they bring valid ones."""
_TURN_S = 1.0
HANGS_S = 60.0
"""A new certificate is tried for half a minute."""


class CommandReceiver:
    """One thread, which handles the messages that the link has put into the inbox."""

    def __init__(
        self,
        options: Options,
        here: Topics,
        inbox: MessageInbox,
        store: BundleStore | None,
        commands: Mapping[str, Callable[[Mapping[str, str]], CommandOutput]],
        bundles: BundleReceiver,
        send_result: Callable[[CommandResult], None],
        now: Callable[[], TimeBounds],
        refetch: Callable[[], None] = lambda: None,
    ) -> None:
        """`inbox`: what the link has received; `store`: has the root in force, None on a kiosk without one;
        `commands`: name → function, which may raise CommandFailed; `refetch`: makes the broker send the retained
        bundles again. `send_result` and `refetch` return at once.
        """
        self._options, self._here, self._store = options, here, store
        self._commands, self._bundles, self._send_result, self._now = commands, bundles, send_result, now
        self._journal = CommandJournal(options.journal_file)
        self._inbox = inbox
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._stopping = threading.Event()
        self._status = CommandStats()
        self._moved_s = self._began_s = monotonic()
        self._answers = TokenBucket(BURST, 1 / EVERY_S, self._began_s)
        self._strangers = TokenBucket(STRANGERS_BURST, 1 / STRANGERS_EVERY_S, self._began_s)
        self._logged_s = -LOG_EVERY_S
        self._refetch, self._refetch_at_s = refetch, 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, limit_s: float = _TURN_S) -> None:
        """End the thread; a command that still runs after a second is reported at the next start, as unknown."""
        self._stopping.set()
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join(min(limit_s, _TURN_S))

    def status(self) -> CommandStats:
        """Counters, and how long the thread has been silent."""
        return replace(self._status, dropped=self._inbox.dropped, silent_s=monotonic() - self._moved_s)

    def health(self) -> Iterable[Component]:
        """Whether the thread moves, and whether commands were forgotten."""
        lost = found(ProblemCode.STATE_LOST, self._journal.lost)
        yield Component("commands", monotonic() - self._moved_s, HANGS_S, lost)

    # -- the thread

    def _run(self) -> None:
        self._journal.load()
        for reply in self._journal.interrupted():
            self._send_result(reply)
        while not self._stopping.is_set():
            self._moved_s = monotonic()
            self._update_signers()
            self._refetch_missed()
            item = self._inbox.next_message(_TURN_S)  # whole: a root may follow its bundles
            if item is not None:
                self._handle(*item)
            elif self._inbox.is_empty():
                self._answer_rejected()

    def _update_signers(self) -> None:
        with suppress(Unauthenticated):
            role = self._root().roles.get("command")
            self._inbox.signers = () if role is None else tuple(kid.encode() for kid in sorted(role.keyids))

    def _refetch_missed(self) -> None:
        """Have the broker send again the retained bundles for which there was no room."""
        if self._moved_s < self._refetch_at_s:
            return
        if self._inbox.request_refetch():
            self._refetch_at_s = self._moved_s + REFETCH_EVERY_S
            self._refetch()

    def _answer_rejected(self) -> None:
        """Answer rejected bundles that a stranger may have sent: no message waits, so no root makes them valid."""
        for reply in self._bundles.rejected(
            lambda signed: (self._answers if signed else self._strangers).allows(monotonic())
        ):
            self._answer(reply)

    def _handle(self, is_command: bool, payload: bytes) -> None:
        self._began_s = monotonic()
        try:
            if is_command:
                self._command(payload)
            else:
                self._bundle(payload)
        except Unauthenticated as error:
            self._count_unauthenticated(error.fault)
            self._pause(is_command=is_command)
        except Exception:  # an internal error must not end this thread
            log.exception("commands: an internal error; going on")
            self._count_unauthenticated(Ignored.INTERNAL_ERROR)
            self._pause(is_command=is_command)

    def _bundle(self, payload: bytes) -> None:
        reply = self._bundles.receive(payload)
        self._refetch_at_s = min(self._refetch_at_s, self._began_s + REFETCH_SOON_S)
        if reply is None:  # anybody can send again what is in force
            self._pause(is_command=False)
            return
        if reply.status is not CommandStatus.SUCCEEDED:
            self._limit_answers()
        if self._bundles.is_cured(reply):
            self._inbox.resume()
        self._answer(reply)
        if (increment := self._bundles.claim_increment(reply)) is not None:
            self._bundle(increment)

    def _command(self, payload: bytes) -> None:
        now = self._now()
        command = verify_command(
            payload, self._root(), self._here, self._journal.replay_guard(now), self._options.allow, now
        )
        if isinstance(command, CommandResult):
            self._limit_answers()
            self._answer(command)
            return
        if not self._record(command, now):
            self._answer(command.refused(CommandReason.NOT_PERSISTED))
            return
        reason = check_validity(command, self._now())  # the disk may have been slow
        then = None
        if reason is not None:
            reply = command.refused(reason)
        else:
            reply, then = self._carry_out(command)
        try:
            self._journal.end(reply)
        except OSError as error:
            log.warning("commands: the answer cannot be written to the journal: %s", error.strerror)
        self._answer(reply)
        if then is not None:
            then()

    def _root(self) -> bundle.Root:
        """The root in force. Raises Unauthenticated when there is none."""
        if self._store is None:
            raise Unauthenticated(Ignored.NO_ROOT)
        try:
            return self._store.root()
        except OSError:
            raise Unauthenticated(Ignored.NO_ROOT) from None
        except BadBundle as error:
            raise Unauthenticated(error.fault) from None

    def _record(self, command: Command, now: TimeBounds) -> bool:
        """Whether it may be carried out: it is in the journal on disk, or harmless when carried out twice."""
        try:
            self._journal.begin(command, now)
        except OSError as error:
            log.warning("commands: cannot be written to the journal: %s", error.strerror)
            return COMMANDS[command.command].harmless
        return True

    def _carry_out(self, command: Command) -> tuple[CommandResult, Callable[[], None] | None]:
        reply = CommandResult(command.command, CommandStatus.SUCCEEDED, command_id=command.id)
        arguments = command.arguments
        if COMMANDS[command.command].dated:
            arguments = {**arguments, ISSUED_AT: repr(command.issued_utc)}
        try:
            done = self._commands[command.command](arguments)
        except CommandFailed as error:
            return replace(reply, status=error.outcome, reason=error.reason, simulated=error.simulated), None
        except Exception:
            log.exception("commands: an internal error in %s", command.command)
            return replace(reply, status=CommandStatus.FAILED, reason=CommandReason.INTERNAL_ERROR), None
        return replace(reply, result=done.result, simulated=done.simulated), done.then

    def _answer(self, reply: CommandResult) -> None:
        if reply.status is CommandStatus.SUCCEEDED:
            self._count(succeeded=1)
        else:
            self._count(rejected=1)
        self._send_result(reply)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._status = replace(
                self._status, **{name: getattr(self._status, name) + count for name, count in more.items()}
            )

    def _limit_answers(self) -> None:
        """Raises Unauthenticated after too many recent answers that needed no new signature."""
        if not self._answers.allows(monotonic()):
            raise Unauthenticated(Ignored.RATE_LIMITED)

    def _count_unauthenticated(self, fault: Rejection | Ignored) -> None:
        """Count a message that gets no answer, and log it, at most once a minute."""
        self._count(unauthenticated=1)
        with self._lock:
            self._status = replace(self._status, refusal=str(fault))
        now_s = monotonic()
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            status = self._status
            log.warning(
                "commands: not from the central server, or not for us (%s); %d so far, %d more not looked at",
                fault, status.unauthenticated, self._inbox.dropped,
            )  # fmt: skip

    def _pause(self, *, is_command: bool) -> None:
        """Wait in proportion to the time that the message took: all threads share one interpreter."""
        took_s = monotonic() - self._began_s
        self._stopping.wait(COMMAND_PAUSE_SHARE * took_s if is_command else max(PAUSE_S, PAUSE_SHARE * took_s))
