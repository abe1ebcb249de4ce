"""Bundles from the central server, on disk: what was taken last is kept, and is what the next one is measured by.

| file | content |
|---|---|
| root.bundle | the root in force; the first one is put there when the kiosk is installed |
| root-N.bundle | the roots that came since, for a kiosk that knows an older one only |
| keys.bundle, policy-NAME.bundle, list-NAME.bundle | the last of its kind and name, as it came |
| list-NAME.increment | changes after that list bundle, as they came; those after another one count for nothing |
| list-NAME.previous, list-NAME.previous-increment | the last whose base was here, until that of a newer one is |

Beside the folder, FOLDER.accepted holds version and digest of each: a bundle that is missing, or older than that,
is a fault and never the same as one that was never sent. It also holds them of what was accepted for other targets
(a group, a site), and this kiosk's targets (`serve`): one whose target the kiosk has left counts as missing, and
neither it nor its version keeps out what is for the kiosk now.
"""

from __future__ import annotations

import logging
import os
import re
import time
from base64 import b64decode, b64encode
from dataclasses import asdict, replace
from functools import cache, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent import policy, privacy
from agent.credentials import base_chunks, bundle, lists, staff_list
from agent.credentials.bundle import BadBundle, Bundle, Root
from agent.credentials.trust import parse_keys
from agent.crypto import digest
from agent.model.lazy import dataclass
from agent.model.problems import Finding, ProblemCode, found
from agent.model.reasons import Rejection
from agent.platform.files import open_file, replace_file
from agent.ruleset.accepted import AcceptedVersions, BadRecord
from agent.ruleset.located import with_lines
from agent.upgrade.release import parse_release
from agent.venue.permits import parse_roster
from agent.venue.rules import parse_venue
from agent.venue.zones import parse_zones

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from agent.credentials.base_chunks import BaseChunks
    from agent.model import TimeBounds

log = logging.getLogger(__name__)

TARGETS = "targets"
"""Entry of FOLDER.accepted; no bundle has this type."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ENTRY = digest.SIZE + 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY_S = 86_400.0
_WARN_S = 14 * _DAY_S
"""A root that ends sooner is spoken of; made without further words it lives for thirty days."""


class BundleStore:
    """One folder of bundles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._accepted = AcceptedVersions(folder.with_name(folder.name + ".accepted"))
        self._targets: frozenset[str] | None = None
        self._root: tuple[tuple[int, int], Root] | None = None
        self._verified: dict[tuple[str, str], tuple[bytes, str, Bundle]] = {}
        """By type and name: SHA-256 of the file, digest of the root it was verified by, the bundle."""
        self._merged: dict[str, tuple[str, str, Bundle]] = {}
        """By a list's name: digests of the whole bundle and of the increment, and what both say together."""
        self._parsed: dict[tuple[str, str], tuple[str, Any]] = {}
        """By type and name: digest of the bundle, its content as `PARSERS` gives it."""

    def serve(self, targets: Iterable[str]) -> None:
        """These are the kiosk's targets now: what was accepted for another one counts no more. They are remembered
        for those who look at the folder from outside.
        """
        self._targets = frozenset(targets)
        try:
            self._accepted.store(TARGETS, {"names": sorted(self._targets)})
        except OSError as error:
            log.warning("the targets of this kiosk cannot be remembered: %s", error.strerror)

    def install(self, root: bytes) -> Root:
        """Put the first root there. Raises BadBundle, or FileExistsError when there is one already."""
        path = self._path("root", "")
        if path.exists():
            raise FileExistsError(0, "there is a root already", str(path))
        found = bundle.first_root(root)
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, (root,))
        self._accepted.change_all(
            {"root": 0}
        )  # another chain of roots may count from one; what is missing stays told
        return found

    def root(self) -> Root:
        """The root in force. Raises OSError when none was installed, BadBundle when it is damaged."""
        path = self._path("root", "")
        stat = path.stat()
        seen = (stat.st_mtime_ns, stat.st_ino)
        if self._root is None or self._root[0] != seen:
            self._root = seen, bundle.first_root(_bytes(path))
        return self._root[1]

    def has_root(self) -> bool:
        """Whether a root was installed."""
        return self._path("root", "").exists()

    def root_findings(self, now: TimeBounds) -> tuple[Finding, ...]:
        """That the root ends soon or has ended; none while all is well, and without a root."""
        try:
            left_s = self.root().bundle.expires_utc - now.earliest_utc
        except FileNotFoundError:
            return ()
        except (BadBundle, OSError) as error:
            text = f"{error} (nothing from the central server is taken; install the root again)"
            return found(ProblemCode.ROOT_INVALID, text)
        if left_s < 0:
            text = "has expired: nothing more from the central server is taken (send the next root)"
            return found(ProblemCode.ROOT_EXPIRED, text)
        text = f"expires in {left_s / _DAY_S:.0f} days (send the next root)" if left_s < _WARN_S else ""
        return found(ProblemCode.ROOT_EXPIRING, text)

    def verify_statement(self, data: bytes, role: str, now: TimeBounds) -> dict[str, Any]:
        """What enough keys of `role` have signed. Raises BadBundle, or OSError when there is no root."""
        return bundle.verify_statement(data, self.root(), role, now)

    def current(self, kind: str, name: str = "") -> Bundle | None:
        """What is in force of a kind and name, None for nothing. Raises OSError, or BadBundle if it does not hold.

        It may have expired: what was right stays in force, and its age tells.
        """
        # `accept` writes a bundle, then remembers it: read the other way round, as another thread may be at it
        floors, remembered, path = self._floors(kind, name), self._remembered(kind, name), self._path(kind, name)
        try:
            data = _bytes(path)
        except FileNotFoundError:
            if remembered is None:
                return None
            raise BadBundle(Rejection.MISSING, f"{path.name} was accepted before and is not there") from None
        root = self.root()
        whole = found = self._verify(data, root, kind, name)
        if kind == "list":
            found = self._with_increment(whole, self._increment(name))
        if remembered is not None:
            if root.bundle.version < remembered.root:
                raise BadBundle(Rejection.ROLLBACK, "the root is older than the one it was accepted under")
            if root.bundle.version == remembered.root:
                bundle.demand_not_older(found, remembered.last)
        is_known = remembered is not None and remembered.last.digest == found.digest
        by_hand = remembered is not None and remembered.by_hand and is_known
        if remembered is None or not remembered.is_of(found, root):
            self._remember_found(found, is_known=is_known, by_hand=by_hand)
        self._demand_ours(() if by_hand else (whole, found), found, _highest(floors, root))
        return found

    def _demand_ours(self, parts: Iterable[Bundle], found: Bundle, newest: bundle.VersionFloor | None) -> None:
        """What lies here must be for this kiosk, in all its parts, and the newest that was. Raises BadBundle."""
        for each in parts:
            bundle.demand_target(each, self._ours())
        if newest is not None and newest.version > found.version:
            what = f"version {newest.version} for another target of this kiosk was accepted before and is not there"
            raise BadBundle(Rejection.WRONG_TARGET, what)

    def age_s(self, kind: str, name: str = "") -> float:
        """For how long a bundle has been here, by the machine's clock, which may be wrong. Raises OSError."""
        came_utc = self._path(kind, name).stat().st_mtime
        return time.time() - came_utc

    def stored(self, kind: str, name: str = "") -> Bundle:
        """What lies here of a kind and name, whether it counts or not. Raises OSError, BadBundle."""
        return self._verify(_bytes(self._path(kind, name)), self.root(), kind, name)

    def of_others(self, targets: Collection[str]) -> Iterator[str]:
        """What lies here and would not count for a kiosk of these targets, a sentence each. Raises OSError, and
        BadBundle for the root.
        """
        for path in sorted(self._folder.glob("*.bundle")):
            kind, _, name = path.stem.partition("-")
            try:
                found, remembered = self.stored(kind, name), self._remembered(kind, name)
                if remembered is None or not remembered.by_hand:
                    bundle.demand_target(found, targets)
            except BadBundle as error:
                if error.fault is Rejection.WRONG_TARGET:
                    yield f"{path}: {error.fact}"

    def why_not_ours(self, found: Bundle) -> str | None:
        """Why a bundle does not count for this kiosk, empty when it does, also because somebody brought it by hand;
        None where no agent has said who this kiosk is. Raises OSError, BadBundle.
        """
        if self._ours() is None:
            return None
        remembered = self._remembered(found.type, found.name)
        if remembered is not None and remembered.by_hand and remembered.last.digest == found.digest:
            return ""
        try:
            bundle.demand_target(found, self._ours())
        except BadBundle as error:
            return error.fact
        return ""

    def kiosk(self) -> str:
        """This kiosk as `SITE/KIOSK`; empty where no agent has said who it is. Raises BadBundle."""
        return next((target for target in self._ours() or () if "/" in target and "*" not in target), "")

    def _ours(self) -> frozenset[str] | None:
        """This kiosk's targets; None while no agent has said them. Raises BadBundle when they cannot be read."""
        if self._targets is None:
            try:
                match self._accepted.get_all((TARGETS,)):
                    case {"targets": {"names": list(names)}}:
                        return frozenset(map(str, names))
            except BadRecord as error:
                raise BadBundle(Rejection.MISSING, str(error)) from None
        return self._targets

    def _remember_found(self, found: Bundle, *, is_known: bool, by_hand: bool) -> None:
        """One that somebody has copied into the folder counts from now on as accepted, if it can be used here; one
        that `is_known` also under a new root.
        """
        try:
            if not is_known:
                bundle.demand_target(found, self._ours())
            examine(found, self.content)
            self._remember(found, by_hand=by_hand)
        except BadBundle:
            pass  # its reader reports it
        except OSError as error:
            log.warning("the version of %s cannot be remembered: %s", _key(found.type, found.name), error.strerror)

    def content(self, found: Bundle) -> Any:
        """What a bundle of this folder says, as `PARSERS` gives it: parsed once. Raises ValueError, TypeError or
        AttributeError when it does not hold.
        """
        key = (found.type, found.name)
        known = self._parsed.get(key)
        if known is None or known[0] != found.digest:
            known = self._parsed[key] = found.digest, PARSERS[found.type](found)
        return known[1]

    def _verify(self, data: bytes, root: Root, kind: str, name: str, place: str = "") -> Bundle:
        """A bundle that lies here, verified once as long as neither it nor the root changes. `place`: of a list,
        which of its files. Raises BadBundle.
        """
        digest, key = sha256(data).digest(), (kind, name + place)
        known = self._verified.get(key)
        if known is None or known[:2] != (digest, root.bundle.digest):
            found = bundle.verify_stored(data, root, kind=kind, name=name)
            known = self._verified[key] = digest, root.bundle.digest, found
        return known[2]

    def _with_increment(self, whole: Bundle, increment: Path) -> Bundle:
        """A list's bundle and the changes that came after it, as one; itself when those came after another one.
        Raises BadBundle, OSError.
        """
        try:
            data = _bytes(increment)
        except FileNotFoundError:
            return whole
        later = self._verify(data, self.root(), "list", whole.name, increment.suffix)
        known = self._merged.get(whole.name)
        if known is None or known[:2] != (whole.digest, later.digest):
            word, more = list_word(whole.content), list_word(later.content)
            if not more.follows(whole, word):
                return whole
            content = word_content(word.base, word.changes | more.changes, word.chunks)
            known = self._merged[whole.name] = whole.digest, later.digest, replace(later, content=content)
        return known[2]

    def _demand_whole(self, taken: Bundle, word: ListContent) -> None:
        """What an increment changes must be here. Raises BadBundle, OSError."""
        try:
            whole = self._verify(_bytes(self._path("list", taken.name)), self.root(), "list", taken.name)
            bundle.demand_target(whole, self._ours())
        except (FileNotFoundError, BadBundle):
            whole = None
        if whole is None or not word.follows(whole, list_word(whole.content)):
            here = "none is here" if whole is None else f"version {whole.version} is here"
            after = word.after.version if word.after is not None else 0
            raise BadBundle(
                Rejection.INCREMENT_GAP, f"its changes are those after version {after}, and {here}: send that one"
            )

    def accept(self, data: bytes, now: TimeBounds, targets: Collection[str] | None = None) -> Bundle:
        """Take a bundle, if it may take the place of the last one. Raises BadBundle, and nothing has changed.

        `targets`: those of this kiosk; None: the person who brings it by hand has chosen the kiosk.
        """
        claimed = bundle.unverified_header(data)
        kind, name = claimed.type, claimed.name
        if name and not NAME.fullmatch(name):
            raise BadBundle(Rejection.WRONG_NAME, "names are of small letters, digits, - and _")
        root = self.root()
        if kind == "root":
            taken = bundle.next_root(root, data).bundle
            replace_file(self._folder / f"root-{taken.version}.bundle", (data,))
        else:
            last = self._measure(claimed, root)
            try:
                taken = bundle.accept(data, root, last, now, kind=kind, name=name, targets=targets)
            except BadBundle as error:
                if error.fault is Rejection.ROLLBACK:
                    self._remember_passed_over(claimed, root)
                raise
            # of an increment `content` is to be parsed with the whole that it changes
            examine(taken, None if kind == "list" else self.content)
        path = self._path(kind, name)
        if kind == "list":
            word = list_word(taken.content)
            if word.after is not None:
                self._demand_whole(taken, word)
                path = self._increment(name)
            self._save_previous(taken)
        replace_file(path, (data,))
        self._remember(taken, by_hand=targets is None and self._is_of_others(taken))
        if kind == "list" and path != self._increment(name):
            self._increment(name).unlink(missing_ok=True)
        return taken

    def previous_list(self, name: str) -> Bundle | None:
        """The bundle of a list that was in force before one of another base was taken; None unless it is the very
        one that was kept, signed as the root asks now. Raises OSError.
        """
        try:
            path = self._previous(name)
            whole = self._verify(_bytes(path), self.root(), "list", name, path.suffix)
            found = self._with_increment(whole, self._previous_increment(name))
            bundle.demand_target(found, self._ours())
            remembered = self._accepted.get(path.name)
        except (FileNotFoundError, BadBundle, BadRecord):
            return None
        return found if remembered is not None and remembered.get("digest") == found.digest else None

    def forget_previous_list(self, name: str) -> None:
        """The newest bundle's base is here: the one before never counts again. Raises OSError."""
        if self._previous(name).exists():
            self._accepted.store(self._previous(name).name, {})
            self._previous(name).unlink(missing_ok=True)
            self._previous_increment(name).unlink(missing_ok=True)

    def _save_previous(self, taken: Bundle) -> None:
        """Before a list's bundle of another base takes the place of the last one. Raises OSError."""
        last = self._last("list", taken.name)
        if last is None or list_word(last.content).base == list_word(taken.content).base:
            return
        if self.previous_list(taken.name) is None:  # else the base of `last` has never been here
            if self._increment(taken.name).exists():
                replace_file(self._previous_increment(taken.name), (_bytes(self._increment(taken.name)),))
            replace_file(self._previous(taken.name), (_bytes(self._path("list", taken.name)),))
            self._accepted.store(self._previous(taken.name).name, {"version": last.version, "digest": last.digest})

    def _increment(self, name: str) -> Path:
        return self._path("list", name).with_suffix(".increment")

    def _previous(self, name: str) -> Path:
        return self._path("list", name).with_suffix(".previous")

    def _previous_increment(self, name: str) -> Path:
        return self._path("list", name).with_suffix(".previous-increment")

    def remember_all(self) -> None:
        """Remember all bundles that lie here, also those that nobody has read yet. Raises OSError."""
        for path in sorted(self._folder.glob("*.bundle")):
            kind, _, name = path.stem.partition("-")
            if kind in bundle.TYPES[1:]:
                self._last(kind, name)

    def _remember(self, taken: Bundle, *, by_hand: bool = False) -> None:
        key, floor = _key(taken.type, taken.name), self._floor(taken)
        members = {**floor, "target": taken.target, **({"by_hand": True} if by_hand else {})}
        floors = {} if taken.type == "root" else {_floor_key(taken.type, taken.name, taken.target): floor}
        self._accepted.store_all({**floors, key: members})

    def _remember_passed_over(self, claimed: Bundle, root: Root) -> None:
        """A bundle that holds, and is older than the one for another target of this kiosk that is in force: what is
        older than it shall not count either, once the kiosk has left that target.
        """
        name = _floor_key(claimed.type, claimed.name, claimed.target)
        try:
            known = _floor_of(self._accepted.get_all((name,)).get(name), root)
            if known is None or known.version < claimed.version:
                self._accepted.store_all({name: self._floor(claimed)})
        except (BadRecord, OSError) as error:
            log.warning("the version of %s cannot be remembered: %s", name, error)

    def _floor(self, taken: Bundle) -> dict[str, object]:
        return {**asdict(bundle.version_floor(taken)), "root": self.root().bundle.version}

    def _is_of_others(self, taken: Bundle) -> bool:
        try:
            bundle.demand_target(taken, self._ours())
        except BadBundle:
            return True
        return bool(taken.target) and self._ours() is None

    def _remembered(self, kind: str, name: str) -> _Remembered | None:
        """What was accepted last. Raises BadBundle when that cannot be read, OSError."""
        try:
            entry = self._accepted.get(_key(kind, name))
        except BadRecord as error:
            raise BadBundle(Rejection.MISSING, str(error)) from None
        if entry is None:
            return None
        last, root, target = _version_floor(entry), entry.get("root"), entry.get("target")
        if last is None or not isinstance(root, int):
            raise BadBundle(Rejection.MISSING, "what was accepted last cannot be read")
        return _Remembered(last, root, target if isinstance(target, str) else None, "by_hand" in entry)

    def _floors(self, kind: str, name: str, *others: str) -> Collection[dict[str, Any]]:
        """What is remembered of all that was accepted for the kiosk's targets, and for `others`. Raises BadBundle,
        OSError.
        """
        names = [_floor_key(kind, name, target) for target in {"", *(self._ours() or ()), *others}]
        try:
            return self._accepted.get_all(names).values()
        except BadRecord as error:
            raise BadBundle(Rejection.MISSING, str(error)) from None

    def _measure(self, claimed: Bundle, root: Root) -> bundle.VersionFloor | None:
        """What a new bundle must not be older than: what lies here, or what is remembered under this very root, of
        the kiosk's targets.
        """
        kind, name, ours = claimed.type, claimed.name, self._ours_or_none()
        floors: list[bundle.VersionFloor] = []
        try:
            remembered = self._remembered(kind, name)
            if remembered is not None and remembered.root == root.bundle.version and remembered.counts_for(ours):
                floors.append(remembered.last)
            if (highest := _highest(self._floors(kind, name, claimed.target), root)) is not None:
                floors.append(highest)
        except BadBundle:
            pass
        if not floors and (last := self._last(kind, name)) is not None:
            floors.append(bundle.version_floor(last))
        return max(floors, key=lambda floor: floor.version, default=None)

    def _ours_or_none(self) -> frozenset[str] | None:
        try:
            return self._ours()
        except BadBundle:
            return None

    def is_in_force(self, claimed: Bundle) -> bool:
        """Whether this very bundle was taken last of its kind and name, or is the one that the increment in force
        came after. Raises OSError, BadBundle for the root.
        """
        last = self.root().bundle if claimed.type == "root" else self._last(claimed.type, claimed.name)
        if last is None:
            return False
        whole = self._verified.get((claimed.type, claimed.name))
        return claimed.digest in (last.digest, whole[2].digest if whole is not None else "")

    def _last(self, kind: str, name: str) -> Bundle | None:
        """What the next one is measured by. What the root does not stand by any more counts for nothing: a stolen
        key cannot have used up the versions for ever (TUF: recovery from fast-forward attacks).
        """
        try:
            return self.current(kind, name)
        except BadBundle:
            return None

    def _path(self, kind: str, name: str) -> Path:
        return _file(self._folder, kind, name)


@lru_cache(64)  # they are looked at every second
def _file(folder: Path, kind: str, name: str) -> Path:
    return folder / (f"{kind}-{name}.bundle" if name else f"{kind}.bundle")


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What was accepted last, and under which version of the root."""

    last: bundle.VersionFloor
    root: int
    target: str | None = None
    """None: it was remembered before targets were."""
    by_hand: bool = False
    """A person has brought it here although it is for another target."""

    def is_of(self, found: Bundle, root: Root) -> bool:
        """Whether nothing is to be added."""
        here = root.bundle.version, found.version, found.target
        return (self.root, self.last.version, self.target) == here

    def counts_for(self, ours: frozenset[str] | None) -> bool:
        """Whether it was for one of these targets."""
        return not self.target or ours is None or self.by_hand or self.target in ours


def _bytes(path: Path) -> bytes:
    """Of a bundle's file; of one that is longer than any bundle, as much as shows that. Raises OSError, also for
    what is no file: a pipe would hold the gate up for ever.
    """
    with os.fdopen(open_file(path), "rb") as file:
        return file.read(bundle.MAX_BYTES + 1)


def _key(kind: str, name: str) -> str:
    return f"{kind}-{name}" if name else kind


def _version_floor(entry: Mapping[str, object]) -> bundle.VersionFloor | None:
    match entry:
        case {"version": int(version), "digest": str(sha), "issued_utc": int(at) | float(at)}:
            return bundle.VersionFloor(version, sha, at)
    return None


def _floor_key(kind: str, name: str, target: str) -> str:
    """Entry of the highest version that was accepted for a target."""
    return f"{_key(kind, name)} {target or '*/*'}"


def _floor_of(entry: Mapping[str, object] | None, root: Root) -> bundle.VersionFloor | None:
    """What such an entry says under this root."""
    if entry is None or entry.get("root") != root.bundle.version:
        return None
    return _version_floor(entry)


def _highest(entries: Iterable[Mapping[str, object]], root: Root) -> bundle.VersionFloor | None:
    """The highest version that such entries tell of under this root."""
    floors = [floor for entry in entries if (floor := _floor_of(entry, root)) is not None]
    return max(floors, key=lambda floor: floor.version, default=None)


@dataclass(frozen=True, slots=True)
class After:
    """The list bundle that an increment's changes come after."""

    version: int
    digest: str
    """SHA-256 of its signed bytes, hexadecimal."""


@dataclass(frozen=True, slots=True)
class ListContent:
    """What a list bundle says: which base it means, and all changes since."""

    base: lists.ListHeader
    """Its hash covers the whole base, so the base itself may come by any way."""
    changes: dict[bytes, int]
    chunks: BaseChunks | None = None
    """How the base can be fetched; None: it comes as a file."""
    after: After | None = None
    """Of an increment: these are all changes since that bundle, and not since the base."""

    def follows(self, whole: Bundle, word: ListContent) -> bool:
        """Whether this is an increment on that bundle, which says `word`."""
        return self.after == After(whole.version, whole.digest) and word.after is None and self.base == word.base


def list_word(content: object) -> ListContent:
    """From `{"base": head, "changes": base64 of 17 bytes each, a key and its value}`, and optionally either
    `chunks`: how the base can be fetched, or `after`: which bundle the changes come after. Raises ValueError.
    """
    match content:
        case {"base": dict(base), "changes": str(text), **rest} if rest.keys() in ({"chunks"}, {"after"}, set()):
            data = b64decode(text, validate=True)
            if len(data) % _ENTRY == 0:
                ends = range(digest.SIZE, len(data), _ENTRY)
                chunks = base_chunks.from_json(rest["chunks"]) if "chunks" in rest else None
                after = _after(rest["after"]) if "after" in rest else None
                try:
                    head = lists.ListHeader(**base)
                except TypeError:
                    raise ValueError("not the head of a base") from None
                if chunks is not None and not chunks.fits(lists.file_bytes(head)):
                    raise ValueError("its chunks are not those of a base of this length")
                return ListContent(head, {data[at - digest.SIZE : at]: data[at] for at in ends}, chunks, after)
    raise ValueError("not the head of a base and its changes")


def _after(members: object) -> After:
    match members:
        case {"version": int(version), "sha256": str(sha), **rest} if not rest and _SHA256.fullmatch(sha):
            return After(version, sha)
    raise ValueError('after should be {"version": 812, "sha256": "64 hexadecimal digits"} of the bundle before')


def increment_content(found: lists.CodeList, whole: Bundle) -> dict[str, object]:
    """What the central server signs of a list's changes since `whole`, its last bundle. Raises ValueError when
    that is of another base, itself an increment, or has changes that the list has no more.
    """
    word, now = list_word(whole.content), lists.entries(found.delta) if found.delta is not None else {}
    if word.after is not None:
        raise ValueError(
            f"version {whole.version} is itself an increment: give the whole bundle that it came after"
        )
    if word.base != found.base.head:
        raise ValueError(f"version {whole.version} is of another base: sign the whole list")
    if not word.changes.keys() <= now.keys():
        raise ValueError(f"version {whole.version} has changes that the list has no more: sign the whole list")
    changes = {key: value for key, value in now.items() if word.changes.get(key) != value}
    return word_content(word.base, changes) | {"after": {"version": whole.version, "sha256": whole.digest}}


def list_content(found: lists.CodeList, chunks: BaseChunks | None = None) -> dict[str, object]:
    """What the central server signs of a list: its base's head, and all changes on top of it."""
    return word_content(found.base.head, lists.entries(found.delta) if found.delta is not None else {}, chunks)


def word_content(
    base: lists.ListHeader, changes: Mapping[bytes, int], chunks: BaseChunks | None = None
) -> dict[str, object]:
    """What the central server signs of a list: its base's head, all changes (key → value) on top of it, and how the
    base can be fetched.
    """
    text = b64encode(b"".join(key + bytes((value,)) for key, value in changes.items())).decode()
    members: dict[str, object] = {"base": base.plain(), "changes": text}
    return members if chunks is None else members | {"chunks": base_chunks.to_json(chunks)}


def examine(taken: Bundle, parse: Callable[[Bundle], object] | None = None) -> None:
    """What is signed may still be wrong: keys must load, a table must be proved. Raises BadBundle, which names the
    line of the entry that is wrong, where the content is text.
    """
    try:
        (parse or PARSERS[taken.type])(taken)
    except (ValueError, TypeError, AttributeError) as error:
        sentence = with_lines(taken.content, str(error)) if isinstance(taken.content, str) else str(error)
        raise BadBundle(Rejection.BAD_CONTENT, sentence) from None


def _text(taken: Bundle) -> str:
    if not isinstance(taken.content, str):
        raise TypeError("its content is no text")
    return taken.content


PARSERS: Mapping[str, Callable[[Bundle], Any]] = {
    "keys": lambda taken: parse_keys(taken.content, "from the central server"),
    "policy": lambda taken: policy.parse_table(taken.content, taken.name),
    "list": lambda taken: list_word(taken.content),
    "privacy": lambda taken: privacy.parse(taken.content),
    "config": _text,
    "venue": lambda taken: parse_venue(taken.content, "bundle"),
    "roster": lambda taken: parse_roster(taken.content),
    "zones": lambda taken: parse_zones(taken.content),
    "release": lambda taken: parse_release(taken.content),
    "staff": lambda taken: staff_list.parse(taken.content),
}
"""Type → its content, parsed: whatever way a bundle came, what it says is read here and nowhere else."""


def bundle_store(folder: Path) -> BundleStore:
    """The one store of a folder: what it has verified and parsed once it does not verify and parse again."""
    return _store(folder.absolute())


@cache
def _store(folder: Path) -> BundleStore:
    return BundleStore(folder)
