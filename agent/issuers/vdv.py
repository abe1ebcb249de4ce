"""Certificates of the authorities behind VDV-KA tickets, a file each, as the directory of VDV-KA gives them. Pure.

A certificate stands in the open (`7F21` with `5F4E`), or is signed by an authority that is among the files (`5F37`,
`5F38`, `42`): then it is opened with that authority's key, and its signature and the authority's name are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.credentials.formats import vdv_ka
from agent.crypto import ber, signing
from agent.crypto.refusal import CheckFailed
from agent.issuers import PublishedKey, PublishedList, day
from agent.model import CodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.credentials.formats.vdv_ka import VdvCertificate
    from agent.crypto.iso9796 import RsaKey

ISSUER = "vdv-ka"


def read(files: Mapping[str, bytes], now_utc: float) -> PublishedList:
    """Authorities whose last day has not passed. Raises ValueError."""
    opened, sealed, left_out = {}, {}, []
    for name, data in files.items():
        try:
            opened[name] = vdv_ka.read_certificate(vdv_ka.raw_content(data))
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
    return PublishedList(tuple(keys.values()), tuple(left_out))


def _open(data: bytes, authorities: Mapping[bytes, RsaKey]) -> VdvCertificate:
    """A certificate that an authority signed. Raises CheckFailed."""
    parts = {element.tag: element.content for element in ber.elements(data)}
    inside = {element.tag: element.content for element in ber.elements(parts.get(vdv_ka.CERTIFICATE, b""))}
    authority = parts.get(vdv_ka.AUTHORITY, inside.get(vdv_ka.AUTHORITY, b""))[-8:]
    if authority not in authorities:
        raise CheckFailed(CodeStatus.UNKNOWN_ISSUER, f"its authority {authority.hex()} is not among the files")
    signature, rest = (inside.get(tag, b"") for tag in (vdv_ka.CERTIFICATE_SIGNATURE, vdv_ka.CERTIFICATE_REST))
    return vdv_ka.prove_certificate(signature, rest, authorities[authority], authority)
