"""A list's base from the address that was signed: HTTP with ranges. The caller verifies what comes."""

from __future__ import annotations

import http.client
import re
import ssl
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from pathlib import Path

TIMEOUT_S = 20.0
"""Without a byte for so long, the connection is given up."""
CHUNK_S = 120.0
"""A chunk that takes longer, as well."""
_PIECE = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class BadDownload(Exception):
    """The address does not give what it should; `str()` is why, in words."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no address to another kind, and none from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: object,
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and not (scheme == "http" and req.type == "http"):
            raise BadDownload(f"leads to an address of another kind ({scheme or 'none'})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def context(ca_file: Path | None) -> ssl.SSLContext:
    """Trusts the authorities of the system, and that of `ca_file`. Raises OSError (ssl.SSLError is one)."""
    made = ssl.create_default_context()
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as towards the broker: many authorities of a site are plain
    if ca_file is not None:
        made.load_verify_locations(ca_file)
    return made


def opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    """Speaks HTTP and nothing else."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _SafeRedirects(),
    ):
        made.add_handler(handler)
    return made


class Download:
    """One answer, read from `start` on."""

    def __init__(self, answer: http.client.HTTPResponse, start: int) -> None:
        self._answer, self._at = answer, 0
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            told = _RANGE.match(answer.headers.get("Content-Range", ""))
            if told is None or int(told[1]) != start:
                raise BadDownload(f"was asked for bytes from {start} on and answers with others")
            self._at = start
        elif answer.headers.get("Content-Encoding", "identity") != "identity":
            raise BadDownload("packs what nobody asked to be packed")

    def read(self, start: int, end: int) -> bytes:
        """These bytes; those before them are passed over. Raises BadDownload."""
        until_s = time.monotonic() + CHUNK_S
        while self._at < start:
            self._piece(min(_PIECE, start - self._at), until_s)
        found = bytearray()
        while len(found) < end - start:
            found += self._piece(min(_PIECE, end - start - len(found)), until_s)
        return bytes(found)

    def _piece(self, most: int, until_s: float) -> bytes:
        if time.monotonic() > until_s:
            raise BadDownload(f"is too slow: less than a piece in {CHUNK_S:g} s")
        try:
            piece = self._answer.read1(most)
        except (http.client.HTTPException, OSError) as error:
            raise BadDownload(f"breaks off after {self._at} bytes: {_why(error)}") from None
        if not piece:
            raise BadDownload(f"ends after {self._at} bytes, before the base does")
        self._at += len(piece)
        return piece


@contextmanager
def download(director: urllib.request.OpenerDirector, url: str, start: int) -> Iterator[Download]:
    """The file at `url`, from byte `start` on if the server can. Raises BadDownload."""
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity", "User-Agent": "gatepost"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - `opener` speaks HTTP and nothing else
        answer = director.open(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        raise BadDownload(f"answers {error.code} {error.reason}") from None
    except (http.client.HTTPException, OSError) as error:
        raise BadDownload(f"cannot be read: {_why(error)}") from None
    with answer:
        yield Download(answer, start)


def _why(error: Exception) -> object:
    """What a library says of it, without its wrapping."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, OSError):
        return reason.strerror or reason
    return reason or getattr(error, "strerror", None) or str(error) or type(error).__name__
