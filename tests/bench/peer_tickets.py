"""Other ways to check tickets, in a venv of their own: `peer_tickets.py FILE` prints one JSON object of µs.

FILE holds the tickets, keys, and the grammar of rail tickets in ASN.1. Each way is what an able programmer puts
together from the best libraries there are, checks the signature, and reads out the content; time is not asked
about.

| ticket | from |
|---|---|
| pretix | `protobuf`, `cryptography`, as pretix itself does; and with `pynacl` |
| Claim 169 | `cwt`; and composed of `base45`, `cbor2`, `cryptography`; and with `pynacl` |
| UIC | `asn1tools`, `cryptography` |
| VDV-KA | `asn1crypto`, `hashlib`, `pow` |
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import asn1tools
import base45
import cbor2
import cwt
from asn1crypto import parser
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from nacl.signing import VerifyKey

ROUNDS = 1000


def _message() -> Any:
    """pretix's message, as `protoc` would make it."""
    file = descriptor_pb2.FileDescriptorProto(name="pretix.proto", syntax="proto3")
    ticket = file.message_type.add(name="Ticket")
    for number, name in enumerate(("seed", "item", "variation", "subevent", "valid_from", "valid_until"), 1):
        kind = descriptor_pb2.FieldDescriptorProto
        ticket.field.add(
            name=name,
            number=number,
            type=kind.TYPE_STRING if number == 1 else kind.TYPE_INT64,
            label=kind.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Ticket"))


class Sodium:
    """An Ed25519 key of PyNaCl, called as one of `cryptography` is."""

    def __init__(self, raw: bytes) -> None:
        self._key = VerifyKey(raw)

    def verify(self, signature: bytes, message: bytes) -> None:
        self._key.verify(message, signature)


def pretix(case: dict[str, Any]) -> Any:
    return _pretix(case, [serialization.load_der_public_key(b64decode(key)) for key in case["keys"]])


def pretix_by_nacl(case: dict[str, Any]) -> Any:
    return _pretix(case, [Sodium(b64decode(key)[-32:]) for key in case["keys"]])


def _pretix(case: dict[str, Any], keys: list[Any]) -> Any:
    text, message = b64decode(case["code"]).decode(), _message()

    def check() -> Any:
        raw = b64decode(text[::-1])
        size, length = int.from_bytes(raw[1:3], "big"), int.from_bytes(raw[3:5], "big")
        payload, signature = raw[5 : 5 + size], raw[5 + size : 5 + size + length]
        for key in keys:
            try:
                key.verify(signature, payload)
            except Exception:  # noqa: BLE001, S112 - the next key
                continue
            return message.FromString(payload).item
        raise ValueError("no key")

    return check


def claim169_by_cwt(case: dict[str, Any]) -> Any:
    from cwt import COSEKey  # noqa: PLC0415 - beside its use

    key = COSEKey.from_jwk(case["jwk"])
    reader, text = cwt.COSE.new(), b64decode(case["code"]).decode()

    def check() -> Any:
        payload = reader.decode(zlib.decompress(base45.b45decode(text)), key)
        return cbor2.loads(payload)[169]

    return check


def claim169(case: dict[str, Any]) -> Any:
    return _claim169(case, ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["raw"])))


def claim169_by_nacl(case: dict[str, Any]) -> Any:
    return _claim169(case, Sodium(bytes.fromhex(case["raw"])))


def _claim169(case: dict[str, Any], key: Any) -> Any:
    text = b64decode(case["code"]).decode()

    def check() -> Any:
        protected, _, payload, signature = cbor2.loads(zlib.decompress(base45.b45decode(text))).value
        key.verify(signature, cbor2.dumps(["Signature1", protected, b"", payload]))
        return cbor2.loads(payload)[169]

    return check


def uic(case: dict[str, Any]) -> Any:
    key = serialization.load_der_public_key(b64decode(case["key"]))
    grammar, code = asn1tools.compile_string(case["asn1"], "uper"), b64decode(case["code"])

    def check() -> Any:
        signature = encode_dss_signature(int.from_bytes(code[14:46], "big"), int.from_bytes(code[46:78], "big"))
        key.verify(signature, code[82:], hashes.SHA256())
        data = zlib.decompress(code[82 : 82 + int(code[78:82])])
        assert data[:6] == b"U_FLEX"
        return grammar.decode("Ticket", data[12 : int(data[8:12])])["transportDocument"][0]["ticket"]

    return check


def vdv(case: dict[str, Any]) -> Any:
    n, e, code = int(case["n"], 16), case["e"], b64decode(case["code"])

    def recover(n: int, e: int, size: int, signature: bytes, rest: bytes) -> bytes:
        block = pow(int.from_bytes(signature, "big"), e, n).to_bytes(size, "big")
        message = block[1:-21] + rest
        assert block[0] == 0x6A
        assert block[-1] == 0xBC
        assert hashlib.sha1(message).digest() == block[-21:-1]  # noqa: S324 - as the format has it
        return message

    def parts(data: bytes) -> list[bytes]:
        found, at = [], 0
        while at < len(data):
            _, _, _, header, content, trailer = parser.parse(data[at:])
            found.append(content)
            at += len(header) + len(content) + len(trailer)
        return found

    def check() -> Any:
        signature, rest, certificate, _ = parts(code)
        inner, outer = parts(certificate)
        content = recover(n, e, 192, inner, outer)
        start = 32 + (9 if content[32] == 0x2A else 7)
        modulus = int.from_bytes(content[start : start + 128], "big")
        exponent = int.from_bytes(content[start + 128 :], "big")
        return recover(modulus, exponent, 128, signature, rest)[:20]

    return check


def best_us(check: Any) -> float:
    assert check() is not None
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        check()
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    ways = {
        "pretix": pretix,
        "pretix_nacl": pretix_by_nacl,
        "claim169": claim169,
        "claim169_nacl": claim169_by_nacl,
        "claim169_cwt": claim169_by_cwt,
        "uic": uic,
        "vdv": vdv,
    }
    print(json.dumps({name: best_us(way(cases[name.partition("_")[0]])) for name, way in ways.items()}))


main()
