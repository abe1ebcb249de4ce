"""Authorities of VDV-KA and events of pretix."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
import vectors_today as vectors

from agent import credentials
from agent.credentials.formats import vdv_ka
from agent.credentials.trust import parse_keys
from agent.crypto import signing
from agent.issuers import keys_file, pretix, vdv
from agent.model import ClockState, TimeBounds

NOW = datetime(2023, 3, 15, tzinfo=UTC).timestamp()


def test_a_real_authority() -> None:
    (key,) = vdv.read({"a.vdv-cert": vectors.VDV_AUTHORITY}, NOW).keys
    assert (key.issuer, key.kid.hex(), key.format) == ("vdv-ka", "4445564456110216", "vdv-ka")
    assert "until = 2026-12-01" in key.table()
    (known,) = vectors.vdv_trust().by_format["vdv-ka"]
    assert key.spki == known.public.spki
    assert vdv.read({"a": vectors.VDV_AUTHORITY}, 2_000_000_000.0).left_out == ("a: ended on 2026-12-01",)


def test_a_certificate_that_an_authority_signed() -> None:
    from agent.crypto import ber  # noqa: PLC0415 - here alone

    parts = {element.tag: element.content for element in ber.elements(vectors.VDV_TICKET)}
    inner, authority = parts[0x7F21], parts[0x42]
    sealed = b"\x7f\x21\x81" + bytes((len(inner),)) + inner + b"\x42\x08" + authority
    both = vdv.read({"a": vectors.VDV_AUTHORITY, "b": sealed}, NOW)
    assert len(both.keys) == 2
    assert vdv.read({"b": sealed}, NOW).left_out == ("b: its authority 4445564456110216 is not among the files",)
    for at in range(20, len(sealed) - 12, 5):
        changed = bytearray(sealed)
        changed[at] ^= 1
        assert len(vdv.read({"a": vectors.VDV_AUTHORITY, "b": bytes(changed)}, NOW).keys) == 1
    assert vdv.read({"c": b"junk"}, NOW).left_out
    assert both.keys[1].format == vdv_ka.FORMAT


def _pem(text: str) -> str:
    return b64encode(f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()).decode()


@pytest.mark.parametrize(
    "wrap", [lambda keys: {"valid_keys": {"pretix_sig1": keys}}, lambda keys: {"pretix_sig1": keys}, list]
)
def test_an_event(wrap: object) -> None:
    texts = [_pem(text) for text in vectors.PRETIX_KEYS]
    found = pretix.read({"e.json": json.dumps(wrap(texts)).encode()}, NOW, "concert")  # type: ignore[operator]
    assert [key.issuer for key in found.keys] == ["concert"] * 2
    assert {key.spki for key in found.keys} == {
        key.public.spki for key in vectors.pretix_trust().by_format["pretix"]
    }


@pytest.mark.parametrize("issuer", ['the "big" one', "a\\b", "音乐会", "🎸"])
def test_an_event_of_any_name(issuer: str) -> None:
    data = json.dumps([_pem(vectors.PRETIX_KEYS[0])]).encode()
    change = keys_file.change("", pretix.read({"e.json": data}, NOW, issuer).keys, lambda _: True)
    (key,) = parse_keys(change.text, "x").by_format["pretix"]
    assert key.issuer == issuer


def test_what_is_no_event() -> None:
    with pytest.raises(ValueError, match="--issuer is needed"):
        pretix.read({}, NOW)
    for data in (b"x", b"{}", b'{"valid_keys": {"pretix_sig1": []}}', b"[1]"):
        with pytest.raises(ValueError, match=r"e\.json"):
            pretix.read({"e.json": data}, NOW, "concert")
    other = b64encode(signing.point_key("P-256", *_POINT).spki).decode()
    found = pretix.read({"e.json": json.dumps([_pem(other), "%"]).encode()}, NOW, "concert")
    assert [line.partition(": ")[2] for line in found.left_out] == [
        "P-256, and not Ed25519",
        "not base64 of a public key in PEM form",
    ]


_POINT = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _directory() -> dict[str, bytes]:
    lines = Path(__file__).with_name("vdv-certificates.txt").read_text().splitlines()
    return {name: b64decode(text) for name, text in (line.split() for line in lines if not line.startswith("#"))}


def test_the_whole_directory_of_authorities() -> None:
    """Two of its files hold one certificate, and two are named otherwise than what they hold."""
    files = _directory()
    found = vdv.read(files, NOW)
    assert (len(files), len(found.keys), len(found.left_out)) == (31, 19, 11)
    assert all("ended on 2021-1" in line for line in found.left_out)
    last_days = {line for key in found.keys for line in key.table().splitlines() if line.startswith("until")}
    assert last_days == {"until = 2026-12-01", "until = 2031-12-01"}
    trust = parse_keys(keys_file.change("", found.keys, lambda _: True).text, "issuers.toml")
    ticket = credentials.check(vectors.VDV_TICKET, trust, TimeBounds(NOW, NOW, ClockState.SYNCED))
    assert ticket.reason.startswith("signature only")
