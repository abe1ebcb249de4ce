"""Other ways to check an EU certificate, in a venv of their own: `peer_dcc.py FILE ID` prints one JSON object.

Each is given the right certificate under its key id, and asked for the signature only: time is not asked about.
`composed` is what an able programmer puts together from `cryptography`, `cbor2`, `zlib` and `base45` in an hour.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

import base45
import cbor2
import cwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ROUNDS = 60
CENTURY_S = 100 * 366 * 86_400


def by_cwt(text: str, key: object, reader: cwt.CWT) -> bool:
    if not text.startswith("HC1:"):
        return False
    claims = reader.decode(zlib.decompress(base45.b45decode(text[4:])), [key])
    return bool(claims[-260][1])


def by_composition(text: str, key: object) -> bool:
    if not text.startswith("HC1:"):
        return False
    message = cbor2.loads(zlib.decompress(base45.b45decode(text[4:])))
    while isinstance(message, cbor2.CBORTag):
        message = message.value
    protected, unprotected, payload, signature = message
    header = cbor2.loads(protected) if protected else {}
    algorithm = header.get(1, unprotected.get(1))
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    if algorithm == -7:
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    else:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        key.verify(signature, signed, scheme, hashes.SHA256())
    return bool(cbor2.loads(payload)[-260][1])


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + b64encode(der) + b"\n-----END CERTIFICATE-----\n"


def right(cases: list[dict], check: object) -> int:
    count = 0
    for case in cases:
        try:
            accepted = check(case)
        except (Exception, InvalidSignature):  # noqa: BLE001 - what a peer raises is its own affair
            accepted = False
        count += accepted is case["accept"]
    return count


def best_us(call: object) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    chosen = next(case for case in cases if case["id"] == sys.argv[2])
    reader = cwt.CWT.new(leeway=CENTURY_S)

    def cwt_key(case: dict) -> object:
        return cwt.load_pem_hcert_dsc(pem(b64decode(case["cert"])))

    def plain_key(case: dict) -> object:
        return x509.load_der_x509_certificate(b64decode(case["cert"])).public_key()

    loaded, plain = cwt_key(chosen), plain_key(chosen)
    found = {
        "cwt_right": right(cases, lambda case: by_cwt(case["text"], cwt_key(case), reader)),
        "composed_right": right(cases, lambda case: by_composition(case["text"], plain_key(case))),
        "cwt_us": best_us(lambda: by_cwt(chosen["text"], loaded, reader)),
        "composed_us": best_us(lambda: by_composition(chosen["text"], plain)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
