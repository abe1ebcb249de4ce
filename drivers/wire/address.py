"""Addresses of network cameras: name and password in them, and why a camera at one cannot be reached."""

from __future__ import annotations

import base64
import errno
import hashlib
import re
import secrets
import socket
import ssl
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from drivers.contract import without_secrets

FORM = "as rtsp://name:password@host:554/stream; @ : / ? # and spaces in a password are %40 %3A %2F %3F %23 %20"
REMEDY = "check the address, the network and the camera's power"
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/?#]*)@")
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^",\s]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_NETWORK = {
    errno.ECONNREFUSED: ("nobody listens there", "check the port and whether the camera has started"),
    errno.ENETUNREACH: ("no way leads there", "check the network cable and ip route"),
    errno.EHOSTUNREACH: ("no way leads there", "check the network cable and the camera's power"),
    errno.EPERM: ("this service may not speak to it", "see IPAddressAllow= in its drop-in, and the firewall"),
    errno.EACCES: ("this service may not speak to it", "see IPAddressAllow= in its drop-in, and the firewall"),
}


class Access(NamedTuple):
    """An address, and who says so."""

    url: str
    """Without name and password."""
    user: str
    """Empty: nobody is named."""
    password: str


def access(url: str) -> Access:
    """Take name and password, with %40 and the like resolved, out of an address."""
    found = _USER.match(url)
    if found is None:
        return Access(url, "", "")
    user, _, password = found["user"].partition(":")
    return Access(found["scheme"] + url[found.end() :], unquote(user), unquote(password))


def check(url: str) -> None:
    """Raises ValueError, without the address's secrets, when it is none."""
    parts = urlsplit(access(url).url)
    try:
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or re.search(r"\s", url):
        raise ValueError(f"device {without_secrets(url).split()[0]} is no address, {FORM}")


def authorization(challenges: list[str], method: str, uri: str, who: Access) -> str:
    """The header `Authorization` that answers the strongest of some challenges; empty when none is known.

    Source: RFC 7616 (Digest, with and without `qop`) and RFC 7617 (Basic), for HTTP and, by RFC 2326, for RTSP.
    """
    kinds = {challenge.partition(" ")[0].lower(): challenge for challenge in reversed(challenges)}
    if "digest" in kinds:
        told = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(kinds["digest"])}
        made = _digest(told, method, uri, who)
        if made:
            return made
    if "basic" in kinds:
        return "Basic " + base64.b64encode(f"{who.user}:{who.password}".encode()).decode()
    return ""


def _digest(told: dict[str, str], method: str, uri: str, who: Access) -> str:
    algorithm = told.get("algorithm", "MD5")
    if algorithm.upper() not in _HASHES:
        return ""
    make = _HASHES[algorithm.upper()]

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce = told.get("realm", ""), told.get("nonce", "")
    first, last = hashed(who.user, realm, who.password), hashed(method, uri)
    fields = {"username": who.user, "realm": realm, "nonce": nonce, "uri": uri}
    fields |= {"opaque": told["opaque"]} if "opaque" in told else {}
    bare = {"algorithm": algorithm} if "algorithm" in told else {}
    if "auth" in told.get("qop", "").replace(" ", "").split(","):
        ours = secrets.token_hex(8)
        bare |= {"qop": "auth", "nc": "00000001"}
        fields |= {"cnonce": ours, "response": hashed(first, nonce, "00000001", ours, "auth", last)}
    else:
        fields["response"] = hashed(first, nonce, last)
    words = [f'{name}="{value}"' for name, value in fields.items()]
    return "Digest " + ", ".join(words + [f"{name}={value}" for name, value in bare.items()])


def why_unreachable(error: BaseException) -> tuple[str, str]:
    """Fact and remedy."""
    cause = getattr(error, "reason", None)
    match cause if isinstance(cause, BaseException) else error:
        case ssl.SSLCertVerificationError() as found:
            fact = f"its certificate is not accepted: {found.verify_message}"
            remedy = "let this system know its authority (update-ca-certificates), or use http:// or rtsp://"
        case ssl.SSLError():
            fact, remedy = "TLS fails", "is this its address and port with TLS? try http:// or rtsp://"
        case socket.gaierror():
            fact, remedy = "is not reachable: nothing has this name", "check the address and DNS: getent hosts NAME"
        case TimeoutError():
            fact, remedy = "is not reachable: no answer in time", REMEDY
        case OSError(errno=number) if number in _NETWORK:
            fact, remedy = _NETWORK[number]
            fact = f"is not reachable: {fact}"
        case _:
            fact, remedy = "is not reachable", REMEDY
    return fact, remedy


def why_refused(status: int, *, named: bool) -> tuple[str, str]:
    """Fact and remedy for a status of HTTP or RTSP. `named`: a user is named in the address."""
    if status == UNAUTHORIZED:
        fact = "refuses the name or the password in its address" if named else "wants a name and a password"
        return fact, f"write them into its address, {FORM}"
    if status == FORBIDDEN:
        return "does not let this user see the stream", "give the user the right to view it, at the camera"
    if status == NOT_FOUND:
        return "has no stream at this path", "its manual or its own page tells the path"
    return f"answers with error {status}", "see the camera's manual, or start it again"
