"""A list's base in pieces: each has its own digest, all of them signed with the list's bundle. Pure.

So every piece is proved by itself, in whatever order and by whatever way it comes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

DEFAULT_BYTES = 1 << 18
MIN_BYTES, MAX_BYTES = 1 << 12, 1 << 20
LONGEST_URL = 2000
MOST_SPREAD_S = 7 * 86_400
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
    spread_s: int = 0
    """Within so many seconds of the base's issue kiosks begin to fetch, each at a moment of its own."""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if type(self.chunk_bytes) is not int or not MIN_BYTES <= self.chunk_bytes <= MAX_BYTES:
            raise ValueError(f"chunks of {self.chunk_bytes} bytes: {MIN_BYTES} to {MAX_BYTES}, as {DEFAULT_BYTES}")
        if len(self.digests) % _DIGEST:
            raise ValueError(f"digests of chunks are {_DIGEST} bytes each")
        if type(self.spread_s) is not int or not 0 <= self.spread_s <= MOST_SPREAD_S:
            raise ValueError(f"spread_s {self.spread_s}: 0 to {MOST_SPREAD_S} seconds (a week), for example 3600")
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

    def fetch_wait_s(self, source: str, issued_utc: float, now_utc: float) -> float:
        """How long this kiosk waits from now on before it fetches: the same kiosk finds the same moment again, and
        one that was away during the window waits no more. A clock that is wrong makes it no longer than the window.
        """
        moment = sha256(f"{self.id} {source}".encode()).digest()
        return max(0.0, min(issued_utc - now_utc, 0.0) + int.from_bytes(moment[:4]) / (1 << 32) * self.spread_s)


def cut(chunks: Iterable[bytes], chunk_bytes: int = DEFAULT_BYTES, url: str = "", spread_s: int = 0) -> BaseChunks:
    """What to sign of a file that was read in these pieces. Raises ValueError."""
    return BaseChunks(chunk_bytes, b"".join(sha256(each).digest() for each in chunks), url, spread_s)


def to_json(chunks: BaseChunks) -> dict[str, Any]:
    """As it is signed."""
    members: dict[str, Any] = {"bytes": chunks.chunk_bytes, "sha256": b64encode(chunks.digests).decode()}
    members |= {"url": chunks.url} if chunks.url else {}
    return members | ({"spread_s": chunks.spread_s} if chunks.spread_s else {})


def from_json(members: object) -> BaseChunks:
    """Raises ValueError."""
    match members:
        case {"bytes": int(size), "sha256": str(text), **rest} if rest.keys() <= {"url", "spread_s"}:
            url, spread_s = rest.get("url", ""), rest.get("spread_s", 0)
            if isinstance(url, str) and isinstance(spread_s, int):
                return BaseChunks(size, b64decode(text, validate=True), url, spread_s)
    raise ValueError(
        'chunks should be {"bytes": 262144, "sha256": base64, "url": "https://…", "spread_s": 3600}, the last two '
        "optional"
    )


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
