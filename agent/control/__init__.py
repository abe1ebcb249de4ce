"""Hears the central server: proves its commands and bundles, has them carried out, and answers.

The link puts into bounded queues (`inbox`). One thread takes from them: a command is judged (`judging`),
remembered on disk (`memory`), carried out, answered; a bundle is proved, kept, put in force, answered
(`deliveries`). What a stranger may have sent is counted and costs him a rest, so that a flood of it slows nothing
but itself.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from agent.commands import COMMANDS, CommandFailed, CommandOutput, Options
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

REST_S = 0.02
"""After a bundle that brings nothing new: no more than fifty such a second are looked at."""
REST_SHARE = 4.0
"""And at least so many times as long as looking at it took."""
COMMAND_REST_SHARE = 1.0
"""The same for a command: to find out that a key has not signed it takes 0.2 ms, and a true one waits behind it."""
BURST, EVERY_S = 20, 1.0
"""Answers that cost the asker nothing new (refusals, repeats): so many at once, then one in so many seconds."""
STRANGERS_BURST, STRANGERS_EVERY_S = 8, 600.0
"""The same for bundles that nobody has signed who may: the central server has taken a wrong key, or somebody
plays."""
SAY_EVERY_S = 60.0
RECALL_EVERY_S, RECALL_SOON_S = 60.0, 1.0
"""How often at most retained bundles are asked for that there was no room for; and while that brings true ones."""
_TURN_S = 1.0
HANGS_S = 60.0
"""A new certificate is tried for half a minute."""


class CommandReceiver:
    """One thread: takes what the link has put into the inbox."""

    def __init__(
        self,
        options: Options,
        here: Topics,
        inbox: MessageInbox,
        store: BundleStore | None,
        do: Mapping[str, Callable[[Mapping[str, str]], CommandOutput]],
        deliveries: BundleReceiver,
        tell: Callable[[CommandResult], None],
        now: Callable[[], TimeBounds],
        recall: Callable[[], None] = lambda: None,
    ) -> None:
        """`inbox`: what the link has received; `store`: has the root in force, None on a kiosk without one; `do`:
        command → how, raises CommandFailed; `tell`: puts a reply on its way; `recall`: has the retained bundles
        come again. Both return at once.
        """
        self._options, self._here, self._store = options, here, store
        self._do, self._deliveries, self._tell, self._now = do, deliveries, tell, now
        self._memory = CommandJournal(options.journal_file)
        self._inbox = inbox
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._stopping = threading.Event()
        self._status = CommandStats()
        self._moved_s = self._began_s = monotonic()
        self._answers, self._strangers = (
            TokenBucket(BURST, EVERY_S),
            TokenBucket(STRANGERS_BURST, STRANGERS_EVERY_S),
        )
        self._said_s = -SAY_EVERY_S
        self._recall, self._recall_at_s = recall, 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, limit_s: float = _TURN_S) -> None:
        """End the thread; what is being carried out ends within a second, or is unknown later."""
        self._stopping.set()
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join(min(limit_s, _TURN_S))

    def status(self) -> CommandStats:
        """How it is now."""
        return replace(self._status, dropped=self._inbox.dropped, silent_s=monotonic() - self._moved_s)

    def health(self) -> Iterable[Component]:
        """Whether the thread moves."""
        yield Component("commands", monotonic() - self._moved_s, HANGS_S)

    # -- the thread

    def _run(self) -> None:
        self._memory.load()
        for reply in self._memory.interrupted():
            self._tell(reply)
        while not self._stopping.is_set():
            self._moved_s = monotonic()
            self._know_signers()
            self._refetch_missed()
            item = self._inbox.next_message(_TURN_S)
            if item is not None:
                self._handle(*item)
            elif self._inbox.is_empty():
                self._log_unauthenticated()

    def _know_signers(self) -> None:
        with suppress(Unauthenticated):
            role = self._root().roles.get("command")
            self._inbox.signers = () if role is None else tuple(kid.encode() for kid in sorted(role.keyids))

    def _refetch_missed(self) -> None:
        """Ask for what was missed, once there is room: it is still retained, and nobody would send it again. When
        nothing is missed any more, what comes is looked at whatever it is.
        """
        if self._moved_s < self._recall_at_s:
            return
        if self._inbox.request_refetch():
            self._recall_at_s = self._moved_s + RECALL_EVERY_S
            self._recall()

    def _log_unauthenticated(self) -> None:
        """It is quiet: what is left of the refused is said."""
        for reply in self._deliveries.doubts(lambda signed: (self._answers if signed else self._strangers).spend()):
            self._answer(reply)

    def _handle(self, is_command: bool, payload: bytes) -> None:
        self._began_s = monotonic()
        try:
            if is_command:
                self._command(payload)
            else:
                self._bundle(payload)
        except Unauthenticated as junk:
            self._junk(junk.fault)
            self._rest(is_command=is_command)
        except Exception:  # an internal error must not end the thread that hears the central server
            log.exception("commands: an internal error; going on")
            self._junk(Ignored.INTERNAL_ERROR)
            self._rest(is_command=is_command)

    def _bundle(self, payload: bytes) -> None:
        reply = self._deliveries.receive(payload)
        self._recall_at_s = min(self._recall_at_s, self._began_s + RECALL_SOON_S)
        if reply is None:  # anybody can say again what is in force
            self._rest(is_command=False)
            return
        if reply.status is not CommandStatus.SUCCEEDED:
            self._spend()
        if self._deliveries.is_cured(reply):
            self._inbox.resume()
        self._answer(reply)
        if (increment := self._deliveries.claim_increment(reply)) is not None:
            self._bundle(increment)

    def _command(self, payload: bytes) -> None:
        now = self._now()
        judged = verify_command(
            payload, self._root(), self._here, self._memory.replay_guard(now), self._options.allow, now
        )
        if isinstance(judged, CommandResult):
            self._spend()
            self._answer(judged)
            return
        if not self._remember(judged, now):
            self._answer(judged.refused(CommandReason.NOT_PERSISTED))
            return
        reason = check_validity(judged, self._now())  # a slow disk may have taken its time
        then = None
        if reason is not None:
            reply = judged.refused(reason)
        else:
            reply, then = self._carry_out(judged)
        try:
            self._memory.end(reply)
        except OSError as error:
            log.warning("commands: what was answered cannot be kept: %s", error.strerror)
        self._answer(reply)
        if then is not None:
            then()

    def _root(self) -> bundle.Root:
        """The root in force. Raises Junk: without one everybody is a stranger."""
        if self._store is None:
            raise Unauthenticated(Ignored.NO_ROOT)
        try:
            return self._store.root()
        except OSError:
            raise Unauthenticated(Ignored.NO_ROOT) from None
        except BadBundle as error:
            raise Unauthenticated(error.fault) from None

    def _remember(self, command: Command, now: TimeBounds) -> bool:
        """Whether it may be done: it is remembered on disk, or does no harm when it is done twice."""
        try:
            self._memory.begin(command, now)
        except OSError as error:
            log.warning("commands: cannot be remembered: %s", error.strerror)
            return COMMANDS[command.command].harmless
        return True

    def _carry_out(self, command: Command) -> tuple[CommandResult, Callable[[], None] | None]:
        reply = CommandResult(command.command, CommandStatus.SUCCEEDED, command_id=command.id)
        try:
            done = self._do[command.command](command.arguments)
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
        self._tell(reply)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._status = replace(
                self._status, **{name: getattr(self._status, name) + count for name, count in more.items()}
            )

    def _spend(self) -> None:
        """Raises Junk when too much was said recently that cost the asker nothing."""
        if not self._answers.spend():
            raise Unauthenticated(Ignored.RATE_LIMITED)

    def _junk(self, fault: Rejection | Ignored) -> None:
        """Count it, and say so now and then."""
        self._count(unauthenticated=1)
        with self._lock:
            self._status = replace(self._status, refusal=str(fault))
        now_s = monotonic()
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            status = self._status
            log.warning(
                "commands: not from the central server, or not for us (%s); %d so far, %d more not looked at",
                fault, status.unauthenticated, self._inbox.dropped,
            )  # fmt: skip

    def _rest(self, *, is_command: bool) -> None:
        """What costs much time to look at costs the more rest: the gate's threads share one interpreter with us."""
        took_s = monotonic() - self._began_s
        self._stopping.wait(COMMAND_REST_SHARE * took_s if is_command else max(REST_S, REST_SHARE * took_s))
