"""A base in pieces: what is signed of them, and which address a kiosk follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials import base_chunks


@given(st.binary(max_size=40_000), st.integers(base_chunks.MIN_BYTES, 9000))
def test_what_is_cut_is_known_again_piece_by_piece(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    made = base_chunks.from_json(base_chunks.to_json(base_chunks.cut(pieces, size, "https://lists.example.org/a")))
    assert made.fits(len(data))
    assert [data[slice(*made.span(index, len(data)))] for index in range(len(made))] == pieces
    assert all(made.is_chunk(index, piece) for index, piece in enumerate(pieces))
    assert not any(made.is_chunk(index, piece[:-1]) for index, piece in enumerate(pieces))


@pytest.mark.parametrize(
    "members",
    [
        None,
        {},
        {"bytes": 4096},
        {"bytes": True, "sha256": ""},
        {"bytes": 4095, "sha256": ""},
        {"bytes": (1 << 20) + 1, "sha256": ""},
        {"bytes": 4096, "sha256": "AAAA"},
        {"bytes": 4096, "sha256": "no base64"},
        {"bytes": 4096, "sha256": "", "more": 1},
        {"bytes": 4096, "sha256": "", "url": 1},
        {"bytes": 4096, "sha256": "", "url": "file:///etc/shadow"},
    ],
)
def test_what_is_no_such_thing_is_refused(members: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        base_chunks.from_json(members)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "//a/b",
        "https:///b",
        "https://user:word@a/b",
        "https://a/b#c",
        "https://a/b c",
        "https://a/\n",
        "https://ä/b",
        "https://a:x/b",
        "https://a/" + "b" * 2000,
    ],
)
def test_only_plain_addresses_of_the_web_are_followed(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        base_chunks.check_url(url)


def test_another_content_has_another_name() -> None:
    one, other = (base_chunks.cut([each]) for each in (b"a", b"b"))
    assert one.id != other.id
    assert one.id == base_chunks.cut([b"a"], url="https://a/b").id
