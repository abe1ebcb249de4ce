"""Whatever text a list is built from: keys that codes are found by, or a refusal with the line."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.credentials import list_text
from agent.credentials.formats import dcc, gatepost


@example(lines=["\U00017000"], of="key", changes=False)  # a letter that Python knows no name of
@given(st.lists(st.text(max_size=30), max_size=4), st.sampled_from(list(list_text.KEY_OF)), st.booleans())
def test_any_text_is_keys_or_a_refusal(lines: list[str], of: str, changes: bool) -> None:
    for kind in ("revoked", "status", "watched"):
        try:
            found = list(list_text.entries(lines, of=of, kind=kind, issuer="x", changes=changes))
        except ValueError as error:
            assert re.match(r"line [1-4]: ", str(error))  # noqa: PT017 - either is right
        else:
            assert all(len(key) == 16 and 0 <= value <= 3 for key, value in found)


@given(
    st.from_regex(r"[0-9]{2}:[A-Z]{2}:[A-Z0-9]{1,12}", fullmatch=True),
    st.sampled_from(["", "URN:UVCI:", "URN:UCI:"]),
    st.sampled_from(["", "#7", "##", "#49", "#/"]),
    st.booleans(),
)
def test_an_identifier_in_any_spelling_is_one_key(uci: str, prefix: str, check: str, small: bool) -> None:
    written = prefix + uci + check
    written = written.lower() if small else written
    assert dcc.is_uci(written)
    assert list_text.key_of("uci", "x", f" {written} ") == dcc.code_key(f"urn:uvci:{uci}")


@pytest.mark.parametrize("word", ["", " ", '"', "a\u202eb"])
def test_what_is_no_word(word: str) -> None:
    with pytest.raises(ValueError, match="printed characters"):
        list_text.key_of("subject", "x", word)


@pytest.mark.parametrize("word", ["\u0430nna", "ann\u03b1", "\uff41nna", "an\ufb01", "１２３", "\u13aanna"])
def test_what_only_looks_like_another_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="look"):
        list_text.key_of("subject", "x", word)


def test_letters_and_accents_apart_are_the_same_word() -> None:
    apart, as_one = "jose\u0301", "jos\u00e9"
    assert list_text.key_of("subject", "x", apart) == list_text.key_of("subject", "x", as_one)
    assert list_text.key_of("subject", "x", "阿衣木") == gatepost.subject_key("x", "阿衣木")


def test_a_key_in_quotes_may_begin_with_a_number_sign() -> None:
    told: list[int] = []
    how = {"of": "subject", "kind": "revoked", "issuer": "x", "changes": False}
    found = list(list_text.entries(["# a word of ours", "", '"#7"', "anna"], numbers=told.append, **how))  # type: ignore[arg-type]
    assert [key for key, _ in found] == [gatepost.subject_key("x", "#7"), gatepost.subject_key("x", "anna")]
    assert told == [0, 3, 4]


def test_what_is_longer_than_any_code_is_no_key() -> None:
    assert list_text.key_of("subject", "x", "a" * 4296)
    with pytest.raises(ValueError, match="4296"):
        list_text.key_of("subject", "x", "a" * 4297)
