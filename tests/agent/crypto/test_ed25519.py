"""Ed25519: what RFC 8032 asks for, and no signature or key that has two meanings."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.crypto import ed25519, signing

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
RFC_8032 = (  # section 7.1: public key, message, halves of the signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)
SMALL_ORDER = {
    "order 1": (1).to_bytes(32, "little"),
    "order 2": (PRIME - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 4, sign set": bytes(31) + b"\x80",
    "order 8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order 8, the other": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 1, not canonical": (PRIME + 1).to_bytes(32, "little"),
    "order 4, not canonical": PRIME.to_bytes(32, "little"),
}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(("key", "message", "r", "s"), RFC_8032)
def test_the_vectors_of_the_standard(key: str, message: str, r: str, s: str) -> None:
    verify = ed25519.verifier(bytes.fromhex(key))
    assert verify(bytes.fromhex(r + s), bytes.fromhex(message))
    assert not verify(bytes.fromhex(r + s), bytes.fromhex(message) + b"\0")


@given(st.binary(max_size=200), st.integers(0, 511))
def test_a_signature_holds_and_one_flipped_bit_of_it_does_not(message: bytes, bit: int) -> None:
    verify, signature = ed25519.verifier(RAW), KEY.sign(message)
    assert verify(signature, message)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(flipped), message)


def test_a_second_form_of_the_same_signature_is_refused() -> None:
    """S and S + L mean the same: with both accepted, a code has two texts."""
    signature = KEY.sign(b"ticket")
    again = int.from_bytes(signature[32:], "little") + ORDER
    assert again < 2**256
    assert not ed25519.verifier(RAW)(signature[:32] + again.to_bytes(32, "little"), b"ticket")


@pytest.mark.parametrize("length", [0, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    signature = (KEY.sign(b"ticket") * 2)[:length]
    verify = ed25519.verifier(RAW)
    assert not verify(signature, b"ticket")
    assert not verify(signature, b"")


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_key_of_small_order_is_refused_where_it_is_pinned(name: str) -> None:
    with pytest.raises(signing.BadKey, match="main group"):
        signing.ed25519_key(SMALL_ORDER[name])


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_signature_with_a_point_of_small_order_is_refused(name: str) -> None:
    """R of small order and S = 0 would hold for a share of all messages by some keys."""
    verify = ed25519.verifier(RAW)
    assert not any(verify(SMALL_ORDER[name] + bytes(32), bytes((number,))) for number in range(64))


@pytest.mark.parametrize("raw", [(2).to_bytes(32, "little"), b"\xff" * 32, b"", RAW[:31], RAW + b"\0"])
def test_what_is_no_point_of_the_curve_is_refused_where_it_is_pinned(raw: bytes) -> None:
    with pytest.raises(signing.BadKey):
        signing.ed25519_key(raw)


def test_a_key_of_mixed_order_is_refused_where_it_is_pinned() -> None:
    """An honest key and a point of order 2: (x, y) + (0, -1) = (-x, -y)."""
    y = int.from_bytes(RAW, "little") & 2**255 - 1
    sign = RAW[31] >> 7
    mixed = (PRIME - y | (1 - sign) << 255).to_bytes(32, "little")
    with pytest.raises(signing.BadKey, match="main group"):
        signing.ed25519_key(mixed)


def test_only_this_kind_of_key_loads_the_library() -> None:
    program = (
        "import sys\n"
        "from agent import credentials\n"
        "from agent.crypto import signing\n"
        "assert 'nacl' not in sys.modules\n"
        f"signing.ed25519_key(bytes.fromhex('{RAW.hex()}'))\n"
        "assert 'nacl' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
