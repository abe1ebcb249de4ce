"""Bundles that the central server pushes: proved, kept, put in force at once, and answered for.

They are retained by the broker, so the same ones come with each connection: what is in force already is passed over
in silence, and what is refused is said once. What anybody may have made is said only when all is quiet again, and
seldom: a root that comes with it may cure it, and a flood must not fill the outbox.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from agent.commands import CommandFailed
from agent.control.verification import Ignored, Unauthenticated
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Bundle
from agent.model import CommandResult, CommandStatus
from agent.model.reasons import CommandReason, Rejection
from agent.ruleset.bundle_store import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from agent.model import TimeBounds
    from agent.ruleset.load import BundleStore

    Then = Callable[[Bundle], Mapping[str, object]]

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

MOST_SAID = 256
MOST_DOUBTFUL = 16
MOST_INCREMENTS = 4
"""Lists whose newest increment is held until the bundle that it came after is here."""
_SIGNER_ERRORS = (
    Rejection.ROLLBACK,
    Rejection.VERSION_CONFLICT,
    Rejection.VERSION_JUMP,
    Rejection.EXPIRED,
    Rejection.ISSUED_IN_FUTURE,
    Rejection.BAD_CONTENT,
    Rejection.INCREMENT_GAP,
    Rejection.WRONG_TARGET,
)
"""Found after the signatures held. (A root is measured before its signatures.)"""
_EARLY = (Rejection.TOO_FEW_SIGNATURES, Rejection.ROOT_EXPIRED, Rejection.VERSION_JUMP)
"""What a newer root may cure."""


class BundleReceiver:
    """Owned by one thread."""

    def __init__(
        self,
        store: BundleStore | None,
        install: Then,
        now: Callable[[], TimeBounds],
        targets: Collection[str] | None = None,
    ) -> None:
        """`store`: None when this kiosk keeps no bundles. `install`: puts in force what was taken, gives back what
        else there is to say of it, raises CommandFailed. `targets`: a bundle that names another is not taken.
        """
        self._targets = targets
        self._store = store
        self._install = install
        self._now = now
        self._said: OrderedDict[bytes, None] = OrderedDict()
        """SHA-256 of what was refused, and told."""
        self._signed: OrderedDict[bytes, CommandResult] = OrderedDict()
        """What is to be said of bundles that somebody has signed who may, but not enough of them; by SHA-256."""
        self._unsigned: OrderedDict[bytes, CommandResult] = OrderedDict()
        """The same of those that nobody has signed who may."""
        self._is_early = False
        self._increments: OrderedDict[str, bytes] = OrderedDict()
        """By a list's name: its newest increment, whose whole bundle has not come."""

    def receive(self, data: bytes) -> CommandResult | None:
        """Take a bundle; what is to be said of it at once. Raises Junk."""
        told: dict[str, object] = {}
        try:
            claimed = bundle.unverified_header(data)
            name = claimed.name if NAME.fullmatch(claimed.name) else ""  # what a stranger writes, we do not repeat
            told = {"type": claimed.type, "name": name, "version": claimed.version}
            if self._store is None or self._store.is_in_force(claimed):
                return None
            taken = self._store.accept(data, self._now(), self._targets)
        except FileNotFoundError:
            self._doubt(data, Rejection.NO_ROOT, told)
            raise Unauthenticated(Ignored.NO_ROOT) from None
        except BadBundle as error:
            return self._refused(data, error, told)
        except OSError as error:
            log.warning("commands: a bundle cannot be kept: %s", error.strerror)
            return CommandResult("bundle", CommandStatus.FAILED, CommandReason.NOT_PERSISTED, result=told)
        return self._activate(taken, told)

    def claim_increment(self, reply: CommandResult) -> bytes | None:
        """The increment that came before the whole bundle that this reply tells of; it is to be received again."""
        told = reply.result or {}
        if told.get("type") != "list" or reply.status is CommandStatus.REJECTED:
            return None
        return self._increments.pop(str(told["name"]), None)

    def is_cured(self, reply: CommandResult) -> bool:
        """Whether this reply tells of a root that may cure what was refused before: all is to come again."""
        is_root = (
            reply.status is CommandStatus.SUCCEEDED and reply.result is not None and reply.result["type"] == "root"
        )
        if is_cured := is_root and self._is_early:
            self._is_early = False
            self._signed.clear()
            self._unsigned.clear()
        return is_cured

    def doubts(self, may_say: Callable[[bool], bool]) -> Iterator[CommandResult]:
        """What is still to be said of the refused, once all is quiet. `may_say`: of one that is signed, or not."""
        for doubtful in (self._signed, self._unsigned):
            for digest, reply in doubtful.items():
                if may_say(doubtful is self._signed):
                    _remember(self._said, digest, None, MOST_SAID)
                    yield reply
            doubtful.clear()

    def _activate(self, taken: Bundle, told: Mapping[str, object]) -> CommandResult:
        try:
            return CommandResult("bundle", CommandStatus.SUCCEEDED, result={**told, **self._install(taken)})
        except CommandFailed as error:
            return CommandResult("bundle", error.outcome, error.reason, result=told)
        except Exception:  # whatever it is, the central server must hear that it is not in force
            log.exception("commands: an internal error in putting a bundle in force")
            return CommandResult("bundle", CommandStatus.FAILED, CommandReason.INTERNAL_ERROR, result=told)

    def _refused(self, data: bytes, error: BadBundle, told: Mapping[str, object]) -> CommandResult | None:
        """The central server's own mistakes are said at once, each once. Raises Junk for what anybody may have
        made.
        """
        fault, is_root = error.fault, told.get("type") == "root"
        if is_root and fault is Rejection.ROLLBACK:
            return None  # an older root of the chain, retained for those who still need it
        if fault is Rejection.ROLLBACK and _is_increment(data):
            return None  # retained still, and the whole bundle after it is in force
        if fault is Rejection.INCREMENT_GAP:
            _remember(self._increments, str(told["name"]), data, MOST_INCREMENTS)
        self._is_early = self._is_early or fault in _EARLY
        if is_root or fault not in _SIGNER_ERRORS:
            self._doubt(data, fault, told, signed=error.signed)
            raise Unauthenticated(fault)
        digest = sha256(data).digest()
        known = digest in self._said
        _remember(self._said, digest, None, MOST_SAID)
        return None if known else CommandResult("bundle", CommandStatus.REJECTED, fault, result=told)

    def _doubt(self, data: bytes, fault: Rejection, told: Mapping[str, object], *, signed: bool = False) -> None:
        """Remember to speak of it: of which one, its hash says, whatever it claims to be."""
        digest = sha256(data)
        if digest.digest() not in self._said:
            reply = CommandResult(
                "bundle", CommandStatus.REJECTED, fault, result={**told, "sha256": digest.hexdigest()}
            )
            _remember(self._signed if signed else self._unsigned, digest.digest(), reply, MOST_DOUBTFUL)


def _is_increment(data: bytes) -> bool:
    content = bundle.unverified_header(data).content
    return isinstance(content, dict) and "after" in content


def _remember(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Put it last; the first go when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
