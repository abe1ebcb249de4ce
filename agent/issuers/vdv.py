"""Certificates of the authorities behind VDV-KA tickets, a file each, as the directory of VDV-KA gives them. Pure.

A certificate stands in the open (`7F21` with `5F4E`), or is signed by an authority that is among the files (`5F37`,
`5F38`, `42`): then it is opened with that authority's key, and its signature and the authority's name are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.credentials import vdv_ka
from agent.crypto import ber, signing
from agent.crypto.iso9796 import RsaKey, recover
from agent.crypto.refusal import CheckFailed
from agent.issuers import Found, PublishedKey, day
from agent.model import CodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "vdv-ka"
_CERTIFICATE, _SIGNATURE, _REST, _AUTHORITY = 0x7F21, 0x5F37, 0x5F38, 0x42


class _Opened(NamedTuple):
    key: RsaKey
    authority: bytes
    holder: bytes
    ends_utc: float


def read(files: Mapping[str, bytes], now_utc: float) -> Found:
    """Authorities whose last day has not passed. Raises ValueError."""
    opened, sealed, left_out = {}, {}, []
    for name, data in files.items():
        try:
            opened[name] = _Opened(*vdv_ka.read_certificate(vdv_ka.raw_content(data)))
        except CheckFailed:
            sealed[name] = data
    authorities = {each.holder: each.key for each in opened.values()}
    for name, data in sealed.items():
        try:
            opened[name] = _open(data, authorities)
        except CheckFailed as no:
            left_out.append(f"{name}: {no.reason}")
    keys = {}
    for name, each in opened.items():
        if each.ends_utc <= now_utc:
            left_out.append(f"{name}: ended on {day(each.ends_utc - 1)}")
            continue
        public = signing.rsa_key(each.key)
        keys[each.holder, public.spki] = PublishedKey(
            ISSUER, each.holder, vdv_ka.FORMAT, public.spki, ends_utc=each.ends_utc
        )
    if not files:
        raise ValueError("no certificate is given")
    return Found(tuple(keys.values()), tuple(left_out))


def _open(data: bytes, authorities: Mapping[bytes, RsaKey]) -> _Opened:
    """A certificate that an authority signed. Raises CheckFailed."""
    parts = {element.tag: element.content for element in ber.elements(data)}
    inside = {element.tag: element.content for element in ber.elements(parts.get(_CERTIFICATE, b""))}
    authority = parts.get(_AUTHORITY, inside.get(_AUTHORITY, b""))[-8:]
    if authority not in authorities:
        raise CheckFailed(CodeStatus.UNKNOWN_ISSUER, f"its authority {authority.hex()} is not among the files")
    content = recover(authorities[authority], inside.get(_SIGNATURE, b""), inside.get(_REST, b""))
    found = _Opened(*vdv_ka.read_certificate(content))
    if found.authority[-8:] != authority:
        raise CheckFailed(CodeStatus.BAD_SIGNATURE, "it names another authority")
    return found
