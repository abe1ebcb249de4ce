"""Exact lists of millions of 16-byte keys: who is revoked, of what colour, watched. On disk, never loaded.

One file format for the base (built at the central server) and for the delta on top of it (kept here):

| offset | content |
|---|---|
| 0 | `GPLIST1` and a line feed, then JSON of `ListHeader`, padded with spaces; 4 bytes: CRC-32 of the 508 before |
| 512 | directory: 2^bits + 1 numbers of 4 bytes, little-endian: the first record of each bucket |
| then | records, sorted: 14 bytes (the key without its first two) and, in lists with values, 1 byte |

The first `bits` bits of a key are its bucket, some thirty records that `bytes.find` goes through in C. A delta is a
list with values in which 0 means "not on the list any more". Opening and replacing files: `agent.ruleset.load`.

A proved file was read whole once and had the digest in its head. While it is in use each bucket that is looked at
is compared with its CRC-32 of that moment: what rots or is written over meanwhile raises DamagedList.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, field, replace
from hashlib import sha256
from itertools import pairwise
from typing import Protocol

from agent.credentials.freshness import Age
from agent.crypto.digest import SIZE
from agent.model import Colour, WatchClass
from agent.model.lazy import dataclass

MAGIC = b"GPLIST1\n"
HEAD_BYTES = 512
KINDS = ("revoked", "status", "watched", "tested")
GONE = 0
"""Value in a delta: the key was taken off the list."""
VALUES = {Colour.GREEN: 1, Colour.YELLOW: 2, Colour.RED: 3}
COLOURS = {number: colour for colour, number in VALUES.items()}
WATCH_CLASSES = {1: WatchClass.HIT, 2: WatchClass.CONTACT, 3: WatchClass.ARRIVAL, 4: WatchClass.ASKED}
"""Value in a watched list → what it is for; a list without values is of hits."""

_SUFFIX = SIZE - 2
_MIN_BITS, _MAX_BITS = 16, 22
_BUCKET = 32
_BASE_DIGITS = 32
"""So much of a base's digest stands in the head of its changes: there is no room for more."""
_MAX_UTC = 1 << 37
"""In the year 6325: later than any list, and early enough for every calendar."""


class BadList(ValueError):
    """A list file that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class ListHeader:
    """What a list says of itself."""

    kind: str
    """`revoked`, `status` or `watched`."""
    issuer: str
    """Whose codes it speaks of; of a status list also the name under which codes find it."""
    version: int
    issued_at: float
    warn_age_s: float
    """Older than this: a notice. POSIX seconds."""
    max_age_s: float
    """Older than this: staff, whatever the codes say."""
    count: int = 0
    bits: int = _MIN_BITS
    values: bool = False
    sha256: str = ""
    """Of everything after the head, hexadecimal."""
    base: str = ""
    """Of changes: how the `sha256` of the base begins on which they stand. Empty of a base, and of changes that an
    earlier release has made.
    """

    def plain(self) -> dict[str, object]:
        """As it is written; earlier releases read the head of a base."""
        return {name: value for name, value in asdict(self).items() if name != "base" or value}

    def head_of_changes(self, head: ListHeader) -> ListHeader:
        """This head, of changes that stand on this base."""
        return replace(head, base=self.sha256[:_BASE_DIGITS])

    def __post_init__(self) -> None:
        """Raises BadList: a head may come from anywhere, and a time that is no number would never be old."""
        texts, counts = (self.kind, self.issuer, self.sha256, self.base), (self.version, self.count, self.bits)
        times = (self.issued_at, self.warn_age_s, self.max_age_s)
        if not (
            all(isinstance(text, str) for text in texts)
            and self.kind in KINDS
            and all(type(count) is int and 0 <= count < 1 << 53 for count in counts)
            and all(type(time) in (int, float) and 0 <= time < _MAX_UTC for time in times)
            and _MIN_BITS <= self.bits <= _MAX_BITS
            and isinstance(self.values, bool)
        ):
            raise BadList("a head that makes no sense: its kind, a number or a time is none")


class ListBytes(Protocol):
    """The bytes of one list file, wherever they are."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, start: int, end: int) -> bytes:
        """These bytes, fewer when they are gone. Raises OSError."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """All bytes of a small file."""

    data: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        """These bytes."""
        return self.data[start:end]


class DamagedList(BadList):
    """A list whose bytes are not those that were proved: it says nothing of anybody."""


@dataclass(slots=True)
class ListFile:
    """One file. `find` reads one bucket of it, and of a proved file it compares the bucket with what was proved."""

    head: ListHeader
    source: ListBytes = field(repr=False)
    directory: bytes = field(repr=False)
    sums: Sequence[int] | None = field(default=None, repr=False)
    """CRC-32 of each bucket's records, made while the whole was found to be as its head says; None: not proved."""
    is_damaged: bool = False
    """A byte has changed since it was proved. It stays so: the file is to be opened again."""

    def find(self, key: bytes) -> int | None:
        """Value of a key (1 in a list without values), None when it is not there. Raises DamagedList."""
        if len(key) != SIZE:
            return None
        head = self.head
        bucket = int.from_bytes(key[:3]) >> (24 - head.bits)
        records, suffix, width = self._records(bucket), key[2:], _SUFFIX + head.values
        at = records.find(suffix)
        while at % width:
            if at < 0:
                return None
            at = records.find(suffix, at + 1)
        return records[at + _SUFFIX] if head.values else 1

    def _records(self, bucket: int) -> bytes:
        first, end = _PAIR.unpack_from(self.directory, 4 * bucket)
        width, start = _SUFFIX + self.head.values, HEAD_BYTES + len(self.directory)
        try:
            records = self.source.read(start + first * width, start + end * width) if first != end else b""
        except OSError as error:
            self.is_damaged = True
            raise DamagedList(f"damaged: it cannot be read ({error.strerror})") from None
        wrong = zlib.crc32(records) != self.sums[bucket] if self.sums else len(records) != (end - first) * width
        if wrong or self.is_damaged:
            self.is_damaged = True
            raise DamagedList("damaged: its content has changed since it was opened")
        return records

    def scrub(self, first: int, count: int) -> int:
        """Compare `count` buckets from the `first` on with what was proved; where to go on. Raises DamagedList."""
        buckets = 1 << self.head.bits
        for bucket in range(first, min(first + count, buckets)):
            self._records(bucket)
        return (first + count) if first + count < buckets else 0

    def prove(self) -> ListFile:
        """Read the whole once; the list, proved. Raises DamagedList."""
        width, start = _SUFFIX + self.head.values, HEAD_BYTES + len(self.directory)
        digest, sums, at = sha256(self.directory), array("I"), 0
        ends = array("I", self.directory)
        if sys.byteorder == "big":
            ends.byteswap()
        rest = b""
        try:
            for bucket in range(0, len(ends) - 1, _AT_ONCE):
                edges = ends[bucket : bucket + _AT_ONCE + 1]
                if edges == array("I", (at,)) * len(edges):  # nothing in any of them, as in most of a short list
                    sums.extend([zlib.crc32(b"")] * (len(edges) - 1))
                    continue
                if edges[0] != at or any(a > b for a, b in pairwise(edges)) or edges[-1] > self.head.count:
                    raise DamagedList("damaged: its directory has changed")
                at = edges[-1]
                rest = self.source.read(start + edges[0] * width, start + at * width)
                digest.update(rest)
                view, base = memoryview(rest), edges[0]
                sums.extend(zlib.crc32(view[(a - base) * width : (b - base) * width]) for a, b in pairwise(edges))
        except OSError as error:
            raise DamagedList(f"damaged: it cannot be read ({error.strerror})") from None
        if at != self.head.count or digest.hexdigest() != self.head.sha256:
            raise DamagedList("damaged: its content is not what its head says")
        return replace(self, sums=sums)

    def is_sound(self) -> bool:
        """Whether every byte is as it was built. Reads the whole file."""
        try:
            self.prove()
        except DamagedList:
            return False
        return True


_AT_ONCE = 4096
"""Buckets that are read in one piece: about two megabytes."""
_PAIR = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Awaited:
    """A newer state of a list that cannot be in force yet: its base is not there."""

    name: str
    """Of the bundle that tells of it."""
    version: int
    """The bundle's."""
    issued_utc: float
    base: ListHeader
    changes: Mapping[bytes, int] = field(repr=False)
    """What holds of these keys in the newer state, whatever its base says. What is stricter counts at once."""


@dataclass(frozen=True, slots=True)
class CodeList:
    """A base with the changes since on top of it. Immutable: an update makes another one."""

    base: ListFile
    delta: ListFile | None = None
    awaited: Awaited | None = None
    """`find` knows nothing of it."""

    @property
    def head(self) -> ListHeader:
        """Of the newest part."""
        return self.base.head if self.delta is None else self.delta.head

    def find(self, key: bytes) -> int | None:
        """Value of a key, None when it is not on the list."""
        if self.delta is not None:
            value = self.delta.find(key)
            if value is not None:
                return value if value != GONE else None
        return self.base.find(key)

    def has_changes(self, head: ListHeader, changes: Mapping[bytes, int]) -> bool:
        """Whether these are the changes on top of the base, of the version and age that `head` tells."""
        if self.delta is None:
            return False
        own = self.head
        filled = replace(head, count=len(changes), bits=own.bits, values=True, sha256=own.sha256, base=own.base)
        return self.head == filled and entries(self.delta) == changes

    @property
    def files(self) -> tuple[ListFile, ...]:
        """Base and changes."""
        return (self.base,) if self.delta is None else (self.base, self.delta)

    @property
    def is_damaged(self) -> bool:
        """Whether a byte was found changed since it was opened."""
        return any(file.is_damaged for file in self.files)

    @property
    def age(self) -> Age:
        """How old it may become."""
        head, awaited, words = self.head, self.awaited, ""
        if awaited is not None:
            base = f"its base of {awaited.base.count} keys (sha256 {awaited.base.sha256[:16]}…) is not here yet"
            words = f"version {head.version} is in force, {awaited.version} is awaited: {base}"
        return Age(f"{head.kind} list of {head.issuer}", head.issued_at, head.warn_age_s, head.max_age_s, words)


@dataclass(frozen=True, slots=True)
class CodeLists:
    """All lists of a gate, by what they are for."""

    revoked: tuple[CodeList, ...] = ()
    watched: tuple[CodeList, ...] = ()
    status: Mapping[str, CodeList] = field(default_factory=dict)
    """By issuer."""
    tested: Mapping[str, CodeList] = field(default_factory=dict)
    """By issuer, for codes that carry no tests; a value is the hours from the swab to the issue of its base."""

    def __iter__(self) -> Iterator[CodeList]:
        yield from (*self.revoked, *self.watched, *self.status.values(), *self.tested.values())


def gather(lists: Iterable[CodeList], name: Callable[[str], str] = str) -> CodeLists:
    """Sort opened lists by what they are for; `name`: of an issuer, as verdicts have it. Of several status lists of
    one issuer the last counts, and so of tested ones.
    """
    lists = tuple(lists)
    return CodeLists(
        revoked=tuple(each for each in lists if each.head.kind == "revoked"),
        watched=tuple(each for each in lists if each.head.kind == "watched"),
        status={name(each.head.issuer): each for each in lists if each.head.kind == "status"},
        tested={name(each.head.issuer): each for each in lists if each.head.kind == "tested"},
    )


@dataclass(frozen=True, slots=True)
class Built:
    """A list ready to be written."""

    head: ListHeader
    chunks: tuple[bytes | memoryview, ...]


def get_ready() -> None:
    """Load what `build` needs: the first change that the central server pushes is not to wait for it."""
    import numpy as np  # noqa: F401, PLC0415 - see `build`


class TwoValues(BadList):
    """One key has two values."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__("one key is there twice, and its two values differ")
        self.first, self.second = first, second
        """The places of its entries, from 0 on."""


def build(head: ListHeader, keys: bytes, values: bytes | None = None) -> Built:
    """A list of `keys` (16 bytes each, any order, also repeated); the head is filled in.

    `values`: one byte for each key. Needs about 60 bytes of memory per key. Raises BadList; TwoValues.
    """
    if len(keys) % SIZE or (values is not None and len(values) * SIZE != len(keys)):
        raise BadList(f"keys are {SIZE} bytes each, and a value is one byte for each key")
    if head.kind in ("status", "tested") and values is None:
        raise BadList("a status list needs a colour for each key, a tested list its hours")
    import numpy as np  # noqa: PLC0415 - a third of the agent's start, and most kiosks only look keys up

    records = np.frombuffer(keys, dtype=[("high", ">u8"), ("low", ">u8")])
    order = np.lexsort((records["low"], records["high"]))
    records = records[order]
    last = np.ones(len(records), dtype=bool)
    last[:-1] = records[1:] != records[:-1]
    if values is not None and not last.all():
        sorted_values = np.frombuffer(values, dtype=np.uint8)[order]
        differ = np.flatnonzero(~last[:-1] & (sorted_values[1:] != sorted_values[:-1]))
        if len(differ):
            raise TwoValues(*sorted((int(order[differ[0]]), int(order[differ[0] + 1]))))
    records, order = records[last], order[last]
    bits = min(_MAX_BITS, max(_MIN_BITS, (len(records) // _BUCKET).bit_length()))
    buckets = (records["high"] >> np.uint64(64 - bits)).astype(np.uint32)
    directory = np.searchsorted(buckets, np.arange((1 << bits) + 1)).astype("<u4").tobytes()
    body = np.empty((len(records), _SUFFIX + (values is not None)), dtype=np.uint8)
    body[:, :_SUFFIX] = records.view(np.uint8).reshape(-1, SIZE)[:, 2:]
    if values is not None:
        body[:, _SUFFIX] = np.frombuffer(values, dtype=np.uint8)[order]
    content = body.tobytes()
    digest = sha256(directory)
    digest.update(content)
    has_values = values is not None
    head = replace(head, count=len(records), bits=bits, values=has_values, sha256=digest.hexdigest())
    return Built(head, (_head_block(head), directory, content))


def entries(delta: ListFile) -> dict[bytes, int]:
    """All keys and values of a list with values; the first two bytes of a key come from its bucket. Raises
    DamagedList.
    """
    bits, width, found = delta.head.bits, _SUFFIX + 1, {}
    start = HEAD_BYTES + len(delta.directory)
    data = delta.source.read(start, start + delta.head.count * width)
    if len(data) != delta.head.count * width:
        raise DamagedList("damaged: its content has changed since it was opened")
    starts = struct.unpack_from(f"<{(1 << bits) + 1}I", delta.directory)
    for bucket, (first, end) in enumerate(pairwise(starts)):
        if first == end:  # as most buckets of a short list
            continue
        prefix = (bucket >> (bits - _MIN_BITS)).to_bytes(2)
        for at in range(first * width, end * width, width):
            found[prefix + data[at : at + _SUFFIX]] = data[at + _SUFFIX]
    return found


def file_bytes(head: ListHeader) -> int:
    """How long the file of a list with this head is."""
    return HEAD_BYTES + 4 * ((1 << head.bits) + 1) + head.count * (_SUFFIX + head.values)


def parse(source: ListBytes | bytes) -> ListFile:
    """A list from its bytes, checked where it costs little: head, length, directory's end. Raises BadList."""
    if isinstance(source, bytes):
        source = InMemory(source)
    block = source.read(0, HEAD_BYTES)
    if len(block) < HEAD_BYTES or not block.startswith(MAGIC):
        raise BadList("not a list")
    if zlib.crc32(block[:-4]).to_bytes(4) != block[-4:]:
        raise BadList("damaged: its head has changed")
    try:
        head = ListHeader(**json.loads(block[len(MAGIC) : -4]))
    except BadList:
        raise
    except (ValueError, TypeError, RecursionError):
        raise BadList("written by another version of this program") from None
    if head.kind == "status" and not head.values:
        raise BadList("a status list without colours")
    size = 4 * ((1 << head.bits) + 1)
    if len(source) != file_bytes(head):
        raise BadList("damaged: its length is wrong")
    directory = source.read(HEAD_BYTES, HEAD_BYTES + size)
    if directory[-4:] != head.count.to_bytes(4, "little"):
        raise BadList("damaged: its directory has changed")
    return ListFile(head, source, directory)


def _head_block(head: ListHeader) -> bytes:
    text = MAGIC + json.dumps(head.plain(), separators=(",", ":")).encode()
    if len(text) > HEAD_BYTES - 4:
        raise BadList("the issuer's name is too long")
    block = text.ljust(HEAD_BYTES - 4)
    return block + zlib.crc32(block).to_bytes(4)
