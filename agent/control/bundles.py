"""Bundles of the central server: verified, stored, put in force at once, and answered.

The broker retains them, so the same ones come with each connection: one that is in force already gets no answer,
and a rejected one is answered once. A rejection that a stranger may have caused is answered later, when no message
waits (a root that came with it may make it valid), and only so often (a flood must not fill the outbox).
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

    Install = Callable[[Bundle], Mapping[str, object]]

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

MOST_ANSWERED = 256
MOST_REJECTED = 16
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
"""Found after the signatures were verified. (A root's version is checked before its signatures.)"""
_EARLY = (Rejection.TOO_FEW_SIGNATURES, Rejection.ROOT_EXPIRED, Rejection.VERSION_JUMP)
"""A newer root may make such a bundle valid."""


class BundleReceiver:
    """Decides about each bundle, and what is answered when. Used by one thread."""

    def __init__(
        self,
        store: BundleStore | None,
        install: Install,
        now: Callable[[], TimeBounds],
        targets: Collection[str] | None = None,
    ) -> None:
        """`store`: None when this kiosk keeps no bundles. `install`: puts an accepted bundle in force and returns
        more members of the result; raises CommandFailed. `targets`: a bundle for another target is rejected.
        """
        self._targets = targets
        self._store = store
        self._install = install
        self._now = now
        self._answered: OrderedDict[bytes, None] = OrderedDict()
        """SHA-256 of rejected bundles that were answered."""
        self._signed: OrderedDict[bytes, CommandResult] = OrderedDict()
        """Answers that wait, by SHA-256: to rejected bundles that at least one key of the role has signed."""
        self._unsigned: OrderedDict[bytes, CommandResult] = OrderedDict()
        """The same: to those that no key of the role has signed."""
        self._is_early = False
        self._increments: OrderedDict[str, bytes] = OrderedDict()
        """By a list's name: its newest increment, whose whole bundle has not come."""

    def receive(self, data: bytes) -> CommandResult | None:
        """Accept or reject a bundle; returns the answer that is due at once. Raises Unauthenticated."""
        about: dict[str, object] = {}
        try:
            claimed = bundle.unverified_header(data)
            name = claimed.name if NAME.fullmatch(claimed.name) else ""  # do not repeat what a stranger writes
            about = {"type": claimed.type, "name": name, "version": claimed.version}
            if self._store is None or self._store.is_in_force(claimed):
                return None
            accepted = self._store.accept(data, self._now(), self._targets)
        except FileNotFoundError:
            self._answer_later(data, Rejection.NO_ROOT, about)
            raise Unauthenticated(Ignored.NO_ROOT) from None
        except BadBundle as error:
            return self._reject(data, error, about)
        except OSError as error:
            log.warning("commands: a bundle cannot be stored: %s", error.strerror)
            return CommandResult("bundle", CommandStatus.FAILED, CommandReason.NOT_PERSISTED, result=about)
        return self._activate(accepted, about)

    def claim_increment(self, reply: CommandResult) -> bytes | None:
        """The increment that came before the whole bundle of this answer; it is to be received again."""
        about = reply.result or {}
        if about.get("type") != "list" or reply.status is CommandStatus.REJECTED:
            return None
        return self._increments.pop(str(about["name"]), None)

    def is_cured(self, reply: CommandResult) -> bool:
        """Whether this answer is about a new root that may make earlier bundles valid: fetch all again."""
        is_root = (
            reply.status is CommandStatus.SUCCEEDED and reply.result is not None and reply.result["type"] == "root"
        )
        if is_cured := is_root and self._is_early:
            self._is_early = False
            self._signed.clear()
            self._unsigned.clear()
        return is_cured

    def rejected(self, may_answer: Callable[[bool], bool]) -> Iterator[CommandResult]:
        """The answers that wait, when no message does. `may_answer`: to a bundle that a key of its role has signed,
        or not.
        """
        for waiting in (self._signed, self._unsigned):
            for digest, reply in waiting.items():
                if may_answer(waiting is self._signed):
                    _remember(self._answered, digest, None, MOST_ANSWERED)
                    yield reply
            waiting.clear()

    def _activate(self, accepted: Bundle, about: Mapping[str, object]) -> CommandResult:
        try:
            return CommandResult("bundle", CommandStatus.SUCCEEDED, result={**about, **self._install(accepted)})
        except CommandFailed as error:
            return CommandResult("bundle", error.outcome, error.reason, result=about)
        except Exception:  # the central server must learn in any case that it is not in force
            log.exception("commands: an internal error in putting a bundle in force")
            return CommandResult("bundle", CommandStatus.FAILED, CommandReason.INTERNAL_ERROR, result=about)

    def _reject(self, data: bytes, error: BadBundle, about: Mapping[str, object]) -> CommandResult | None:
        """Returns the answer to a mistake of the central server, once. Raises Unauthenticated for a bundle that a
        stranger may have made; the answer to it waits.
        """
        fault, is_root = error.fault, about.get("type") == "root"
        if is_root and fault is Rejection.ROLLBACK:
            return None  # an older root of the chain, retained for kiosks that still need it
        if fault is Rejection.ROLLBACK and _is_increment(data):
            return None  # still retained, and the whole bundle after it is in force
        if fault is Rejection.INCREMENT_GAP:
            _remember(self._increments, str(about["name"]), data, MOST_INCREMENTS)
        self._is_early = self._is_early or fault in _EARLY
        if is_root or fault not in _SIGNER_ERRORS:
            self._answer_later(data, fault, about, signed=error.signed)
            raise Unauthenticated(fault)
        digest = sha256(data).digest()
        known = digest in self._answered
        _remember(self._answered, digest, None, MOST_ANSWERED)
        return None if known else CommandResult("bundle", CommandStatus.REJECTED, fault, result=about)

    def _answer_later(
        self, data: bytes, fault: Rejection, about: Mapping[str, object], *, signed: bool = False
    ) -> None:
        """Let the answer wait. It has the hash of the envelope: the bundle may claim to be any other one."""
        digest = sha256(data)
        if digest.digest() not in self._answered:
            reply = CommandResult(
                "bundle", CommandStatus.REJECTED, fault, result={**about, "sha256": digest.hexdigest()}
            )
            _remember(self._signed if signed else self._unsigned, digest.digest(), reply, MOST_REJECTED)


def _is_increment(data: bytes) -> bool:
    content = bundle.unverified_header(data).content
    return isinstance(content, dict) and "after" in content


def _remember(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Put it last; when there are too many, the first are dropped."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
