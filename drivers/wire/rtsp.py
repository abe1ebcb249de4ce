"""Why a camera does not give its stream: found by one RTSP request, because FFmpeg gives no reason.

Source: RFC 2326 (DESCRIBE 10.2, status codes 7.1.1).
"""

from __future__ import annotations

import re
import socket
import ssl
from urllib.parse import urlsplit

from drivers.wire import address

LIMIT_S = 1.5
PORT, TLS_PORT = 554, 322
_MOST_BYTES = 65_536
_STATUS = re.compile(rb"RTSP/1\.\d (\d{3})")
_CHALLENGE = re.compile(r"(?im)^WWW-Authenticate:\s*(\S.*?)\s*$")
_OK = 200


def is_unnamed(url: str) -> bool:
    """Whether it is to be reached by TLS and a number: FFmpeg compares a certificate with names alone."""
    parts = urlsplit(address.access(url).url)
    try:
        socket.getaddrinfo(parts.hostname or "", None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return _is_tls(parts.scheme)


def _is_tls(scheme: str) -> bool:
    return scheme == "rtsps"


def why_not_opened(url: str) -> tuple[str, str]:
    """Fact and remedy. Takes a few seconds at most; never raises."""
    who = address.access(url)
    try:
        status, asks = _describe(who.url, "")
        given = address.authorization(asks, "DESCRIBE", who.url, who)
        if status == address.UNAUTHORIZED and who.user and given:
            status, _ = _describe(who.url, given)
    except (OSError, ValueError) as error:
        return address.why_unreachable(error)
    if status == 0:
        return "answers, but not in RTSP", "check the port; 554 is the usual one"
    if status == _OK:
        return "its stream cannot be read", "set it to H.264 or MJPEG"
    return address.why_refused(status, named=bool(who.user))


def _describe(url: str, authorization: str) -> tuple[int, list[str]]:
    """Status (0: no RTSP) and challenges. Raises OSError, ValueError."""
    parts = urlsplit(url)
    given = f"Authorization: {authorization}\r\n" if authorization else ""
    ask = f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n{given}\r\n"
    heard = b""
    with _connection(parts.scheme, parts.hostname or "", parts.port) as line:
        line.sendall(ask.encode())
        while b"\r\n\r\n" not in heard and len(heard) < _MOST_BYTES and (more := line.recv(4096)):
            heard += more
    status = _STATUS.match(heard)
    return int(status[1]) if status else 0, _CHALLENGE.findall(heard.decode("latin-1"))


def _connection(scheme: str, host: str, port: int | None) -> socket.socket:
    """Raises OSError."""
    is_tls = _is_tls(scheme)
    line = socket.create_connection((host, port or (TLS_PORT if is_tls else PORT)), LIMIT_S)
    if not is_tls:
        return line
    try:
        return ssl.create_default_context().wrap_socket(line, server_hostname=host)
    except BaseException:
        line.close()
        raise
