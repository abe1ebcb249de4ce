"""A list's base in pieces: each has its own digest, all of them signed with the list's bundle. Pure.

So every piece is proved by itself, in whatever order and by whatever way it comes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

DEFAULT_BYTES = 1 << 18
MIN_BYTES, MAX_BYTES = 1 << 12, 1 << 20
LONGEST_URL = 2000
SCHEMES = ("https", "http")
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class BaseChunks:
    """How a base file is cut, and where it can be fetched."""

    chunk_bytes: int
    """Of each but the last."""
    digests: bytes = field(repr=False)
    """SHA-256 of each, one after the other."""
    url: str = ""
    """Where the whole file is; empty: only as messages."""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if type(self.chunk_bytes) is not int or not MIN_BYTES <= self.chunk_bytes <= MAX_BYTES:
            raise ValueError(f"chunks of {self.chunk_bytes} bytes: {MIN_BYTES} to {MAX_BYTES}, as {DEFAULT_BYTES}")
        if len(self.digests) % _DIGEST:
            raise ValueError(f"digests of chunks are {_DIGEST} bytes each")
        if self.url:
            check_url(self.url)

    def __len__(self) -> int:
        """How many chunks."""
        return len(self.digests) // _DIGEST

    @property
    def id(self) -> str:
        """Names exactly these chunks: part of the topic that they come on."""
        return sha256(self.digests).hexdigest()[:32]

    def fits(self, size: int) -> bool:
        """Whether a file of `size` bytes has so many chunks."""
        return len(self) == -(-size // self.chunk_bytes)

    def is_chunk(self, index: int, data: bytes) -> bool:
        """Whether these bytes are this chunk."""
        return sha256(data).digest() == self.digests[index * _DIGEST : (index + 1) * _DIGEST]

    def span(self, index: int, size: int) -> tuple[int, int]:
        """Where this chunk begins and ends in a file of `size` bytes."""
        return index * self.chunk_bytes, min(size, (index + 1) * self.chunk_bytes)


def cut(chunks: Iterable[bytes], chunk_bytes: int = DEFAULT_BYTES, url: str = "") -> BaseChunks:
    """What to sign of a file that was read in these pieces. Raises ValueError."""
    return BaseChunks(chunk_bytes, b"".join(sha256(each).digest() for each in chunks), url)


def to_json(chunks: BaseChunks) -> dict[str, Any]:
    """As it is signed."""
    members: dict[str, Any] = {"bytes": chunks.chunk_bytes, "sha256": b64encode(chunks.digests).decode()}
    return members | ({"url": chunks.url} if chunks.url else {})


def from_json(members: object) -> BaseChunks:
    """Raises ValueError."""
    match members:
        case {"bytes": int(size), "sha256": str(text), **rest} if rest.keys() <= {"url"}:
            url = rest.get("url", "")
            if isinstance(url, str):
                return BaseChunks(size, b64decode(text, validate=True), url)
    raise ValueError('chunks should be {"bytes": 262144, "sha256": base64, "url": "https://…"}, the url optional')


def check_url(url: str) -> None:
    """Raises ValueError: only what a kiosk may follow, and no password in it."""
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if not plain or parts.scheme not in SCHEMES or not parts.hostname or parts.username or parts.fragment:
        raise ValueError(
            f"{url[:80]!r} is no address of a list's base: https://HOST/PATH in ASCII, at most {LONGEST_URL} "
            "characters, without a user's name, for example https://lists.example.org/status.gpl"
        )
    _ = parts.port  # raises ValueError
