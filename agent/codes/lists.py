"""Exact lists of millions of 16-byte keys: who is revoked, of what colour, watched. Mapped, never loaded.

One file format for the base (built at the centre) and for the delta on top of it (kept here):

| offset | content |
|---|---|
| 0 | `GPLIST1` and a line feed, then JSON of `Head`, padded with spaces; 4 bytes: CRC-32 of the 508 before |
| 512 | directory: 2^bits + 1 numbers of 4 bytes, little-endian: the first record of each bucket |
| then | records, sorted: 14 bytes (the key without its first two) and, in lists with values, 1 byte |

The first `bits` bits of a key are its bucket, some thirty records that `bytes.find` goes through in C. A delta is a
list with values in which 0 means "not on the list any more". Files are only ever replaced by renaming, so a reader
keeps the one it has mapped; a file that is damaged is refused when it is opened, and asked for anew.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from agent.codes.digest import SIZE
from agent.codes.freshness import Age
from agent.model import Colour

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GPLIST1\n"
HEAD_BYTES = 512
KINDS = ("revoked", "status", "watched")
GONE = 0
"""Value in a delta: the key was taken off the list."""
VALUES = {Colour.GREEN: 1, Colour.YELLOW: 2, Colour.RED: 3}
COLOURS = {number: colour for colour, number in VALUES.items()}

_SUFFIX = SIZE - 2
_MIN_BITS, _MAX_BITS = 16, 22
_BUCKET = 32


class BadList(ValueError):
    """A list file that cannot be used; `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a list says of itself."""

    kind: str
    """`revoked`, `status` or `watched`."""
    issuer: str
    """Whose codes it speaks of; of a status list also the name under which codes find it."""
    version: int
    issued_utc: float
    warn_s: float
    """Older than this: a notice. POSIX seconds."""
    refer_s: float
    """Older than this: staff, whatever the codes say."""
    count: int = 0
    bits: int = _MIN_BITS
    values: bool = False
    sha256: str = ""
    """Of everything after the head, hexadecimal."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """One mapped file."""

    head: Head
    _map: mmap.mmap = field(repr=False)

    def find(self, key: bytes) -> int | None:
        """Value of a key (1 in a list without values), None when it is not there."""
        head = self.head
        bucket = int.from_bytes(key[:3]) >> (24 - head.bits)
        first, end = _PAIR.unpack_from(self._map, HEAD_BYTES + 4 * bucket)
        width = _SUFFIX + head.values
        start = HEAD_BYTES + 4 * ((1 << head.bits) + 1)
        records, suffix = self._map[start + first * width : start + end * width], key[2:]
        at = records.find(suffix)
        while at % width:
            if at < 0:
                return None
            at = records.find(suffix, at + 1)
        return records[at + _SUFFIX] if head.values else 1

    def is_sound(self) -> bool:
        """Whether every byte is as it was built. Reads the whole file."""
        return sha256(self._map[HEAD_BYTES:]).hexdigest() == self.head.sha256

    def close(self) -> None:
        """Unmap. Lookups after it raise ValueError."""
        self._map.close()


_PAIR = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class CodeList:
    """A base with the changes since on top of it. Immutable: an update makes another one."""

    base: ListFile
    delta: ListFile | None = None

    @property
    def head(self) -> Head:
        """Of the newest part."""
        return self.base.head if self.delta is None else self.delta.head

    def find(self, key: bytes) -> int | None:
        """Value of a key, None when it is not on the list."""
        if self.delta is not None:
            value = self.delta.find(key)
            if value is not None:
                return value if value != GONE else None
        return self.base.find(key)

    @property
    def age(self) -> Age:
        """How old it may become."""
        head = self.head
        return Age(f"{head.kind} list of {head.issuer}", head.issued_utc, head.warn_s, head.refer_s)


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists of a gate, by what they are for."""

    revoked: tuple[CodeList, ...] = ()
    watched: tuple[CodeList, ...] = ()
    status: Mapping[str, CodeList] = field(default_factory=dict)
    """By issuer."""


def gather(lists: Iterable[CodeList]) -> Lists:
    """Sort opened lists by what they are for."""
    lists = tuple(lists)
    return Lists(
        revoked=tuple(each for each in lists if each.head.kind == "revoked"),
        watched=tuple(each for each in lists if each.head.kind == "watched"),
        status={each.head.issuer: each for each in lists if each.head.kind == "status"},
    )


def open_file(path: Path) -> ListFile:
    """Map one file. Raises BadList when it is missing, cut off or damaged where that can be seen at once."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise BadList(f"list {path}: cannot be opened: {error}") from None
    try:
        return ListFile(_head(mapped), mapped)
    except (ValueError, TypeError) as error:
        mapped.close()
        raise BadList(f"list {path}: damaged: {error}") from None


def open_list(path: Path) -> CodeList:
    """Base at `path` with its delta at `path`.delta, if there is one for it. Raises BadList for the base only:
    a damaged delta is left aside, and the list is as old as its base until the changes come again.
    """
    base = open_file(path)
    try:
        delta = open_file(delta_path(path))
    except BadList:
        return CodeList(base)
    if delta.head.kind != base.head.kind or delta.head.version <= base.head.version:
        delta.close()
        return CodeList(base)
    return CodeList(base, delta)


def delta_path(path: Path) -> Path:
    """Where the changes on top of a base lie."""
    return path.with_name(path.name + ".delta")


def build(path: Path, head: Head, keys: bytes, values: bytes | None = None) -> Head:
    """Write a list of `keys` (16 bytes each, any order, the last one counts when repeated) and replace `path`.

    `values`: one byte for each key. Returns the head as written. Needs about 40 bytes of memory per key.
    """
    records = np.frombuffer(keys, dtype=[("high", ">u8"), ("low", ">u8")])
    marks = np.frombuffer(values, dtype=np.uint8) if values is not None else None
    order = np.lexsort((records["low"], records["high"]))
    records = records[order]
    last = np.ones(len(records), dtype=bool)
    last[:-1] = records[1:] != records[:-1]
    records, order = records[last], order[last]
    bits = min(_MAX_BITS, max(_MIN_BITS, (len(records) // _BUCKET).bit_length()))
    buckets = (records["high"] >> np.uint64(64 - bits)).astype(np.uint32)
    directory = np.searchsorted(buckets, np.arange((1 << bits) + 1)).astype("<u4")
    width = _SUFFIX + (marks is not None)
    body = np.empty((len(records), width), dtype=np.uint8)
    body[:, :_SUFFIX] = records.view(np.uint8).reshape(-1, SIZE)[:, 2:]
    if marks is not None:
        body[:, _SUFFIX] = marks[order]
    digest = sha256(directory.tobytes())
    digest.update(body.data)
    head = replace(head, count=len(records), bits=bits, values=marks is not None, sha256=digest.hexdigest())
    _write(path, head, directory.tobytes(), body.data if len(records) else b"")
    return head


def apply(path: Path, head: Head, changes: Mapping[bytes, int]) -> CodeList:
    """Put changes (key → value; GONE takes it off) on top of the base at `path`, durably; readers go on meanwhile.

    `head` dates the result. Returns the new list; the old one stays usable until it is let go.
    """
    current = open_list(path)
    merged = dict(_entries(current.delta)) if current.delta is not None else {}
    merged.update(changes)
    build(delta_path(path), head, b"".join(merged), bytes(merged.values()))
    return open_list(path)


def _entries(delta: ListFile) -> list[tuple[bytes, int]]:
    """All keys and values of a delta; the first two bytes of a key come from its bucket."""
    head, mapped = delta.head, delta._map  # noqa: SLF001 - the same file's own
    start = HEAD_BYTES + 4 * ((1 << head.bits) + 1)
    starts = struct.unpack_from(f"<{(1 << head.bits) + 1}I", mapped, HEAD_BYTES)
    entries, width = [], _SUFFIX + 1
    for bucket in range(1 << head.bits):
        for at in range(start + starts[bucket] * width, start + starts[bucket + 1] * width, width):
            prefix = (bucket >> (head.bits - 16)).to_bytes(2)
            entries.append((prefix + mapped[at : at + _SUFFIX], mapped[at + _SUFFIX]))
    return entries


def _head(mapped: mmap.mmap) -> Head:
    """Head of a mapped file, checked against its size. Raises ValueError or TypeError."""
    block = mapped[:HEAD_BYTES]
    if len(block) < HEAD_BYTES or not block.startswith(MAGIC):
        raise ValueError("not a list")
    if zlib.crc32(block[:-4]).to_bytes(4) != block[-4:]:
        raise ValueError("its head has changed")
    head = Head(**json.loads(block[len(MAGIC) : -4]))
    directory = 4 * ((1 << head.bits) + 1)
    if len(mapped) != HEAD_BYTES + directory + head.count * (_SUFFIX + head.values):
        raise ValueError("its length is wrong")
    if mapped[HEAD_BYTES + directory - 4 : HEAD_BYTES + directory] != head.count.to_bytes(4, "little"):
        raise ValueError("its directory has changed")
    return head


def _write(path: Path, head: Head, directory: bytes, body: memoryview | bytes) -> None:
    """Write beside, make durable, rename over."""
    text = MAGIC + json.dumps(asdict(head), separators=(",", ":")).encode()
    if len(text) > HEAD_BYTES - 4:
        raise BadList("the issuer's name is too long")
    block = text.ljust(HEAD_BYTES - 4)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(block + zlib.crc32(block).to_bytes(4))
        file.write(directory)
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
