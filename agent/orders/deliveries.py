"""Bundles that the centre pushes: proved, kept, put in force at once, and answered for.

They are retained by the broker, so the same ones come with each connection: what is in force already is passed over
in silence, and what is refused is said once. A bundle may arrive before the root that names its keys: it is tried
again when a root was taken.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from agent.codes import bundle
from agent.codes.bundle import BadBundle, Bundle, Fault
from agent.model import Reply, ReplyOutcome
from agent.orders.doing import CannotDo
from agent.orders.judging import Junk, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.model import Now
    from agent.vault import BundleStore

    Then = Callable[[Bundle], Mapping[str, object]]

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

MOST_SAID = 64
MOST_EARLY = 16
_OWN_MISTAKES = (
    Fault.ROLLBACK,
    Fault.TWO_OF_ONE_VERSION,
    Fault.LEAP,
    Fault.EXPIRED,
    Fault.FROM_THE_FUTURE,
    Fault.BAD_CONTENT,
)
"""Found after the signatures held: the centre is told. (A root is measured before its signatures.)"""
_EARLY = (Fault.TOO_FEW_SIGNATURES, Fault.ROOT_EXPIRED, Fault.LEAP)
"""What a newer root may cure."""


class Deliveries:
    """Owned by one thread."""

    def __init__(self, store: BundleStore | None, then: Mapping[str, Then], now: Callable[[], Now]) -> None:
        """`store`: None when this kiosk keeps no bundles. `then`: type → puts in force what was taken, gives back
        what else there is to say of it, raises CannotDo.
        """
        self._store, self._then, self._now = store, then, now
        self._said: OrderedDict[bytes, None] = OrderedDict()
        """SHA-256 of what was refused, and told."""
        self._early: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    def take(self, data: bytes) -> Iterator[Reply]:
        """Take a bundle; what is to be said of it, and of those that waited for it. Raises Junk."""
        try:
            claimed = bundle.claims_to_be(data)
        except BadBundle as error:
            raise Junk(error.fault) from None
        told = {"type": claimed.type, "name": claimed.name, "version": claimed.version}
        try:
            if self._store is None or self._store.is_in_force(claimed):
                return
            taken = self._store.take(data, self._now())
        except FileNotFoundError:
            raise Junk("no_root") from None
        except BadBundle as error:
            yield from self._refused(data, claimed, error.fault, told)
            return
        except OSError as error:
            log.warning("orders: a bundle cannot be kept: %s", error.strerror)
            yield Reply("bundle", ReplyOutcome.FAILED, Reason.CANNOT_REMEMBER, result=told)
            return
        yield self._put_in_force(taken, told)
        if taken.type == "root":
            yield from self._try_again()

    def _put_in_force(self, taken: Bundle, told: Mapping[str, object]) -> Reply:
        try:
            return Reply("bundle", ReplyOutcome.DONE, result={**told, **self._then[taken.type](taken)})
        except CannotDo as error:
            return Reply("bundle", error.outcome, error.reason, result=told)
        except Exception:  # whatever it is, the centre must hear that it is not in force
            log.exception("orders: a defect in putting a bundle in force")
            return Reply("bundle", ReplyOutcome.FAILED, Reason.DEFECT, result=told)

    def _refused(self, data: bytes, claimed: Bundle, fault: Fault, told: Mapping[str, object]) -> Iterator[Reply]:
        """Tell the centre of its own mistakes, each once; of strangers' nobody. Raises Junk."""
        if fault in _EARLY:
            _keep(self._early, (claimed.type, claimed.name), data, MOST_EARLY)
        if claimed.type == "root" and fault is Fault.ROLLBACK:
            return  # an older root of the chain, retained for those who still need it
        if claimed.type == "root" or fault not in _OWN_MISTAKES:
            raise Junk(fault)
        digest = sha256(data).digest()
        if digest not in self._said:
            yield Reply("bundle", ReplyOutcome.REFUSED, fault, result=told)
        _keep(self._said, digest, None, MOST_SAID)

    def _try_again(self) -> Iterator[Reply]:
        """There is a new root: what it may have cured."""
        early, self._early = self._early, OrderedDict()
        for data in early.values():
            try:
                yield from self.take(data)
            except Junk:
                continue


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Put it last; the first go when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
