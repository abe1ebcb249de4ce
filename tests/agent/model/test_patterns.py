"""Patterns of deployers: what no text may hold up."""

from __future__ import annotations

import re

import pytest

from agent.model.patterns import TextPattern

HOST = r"https?://(?:[a-z0-9-]+\.?)+/q\?id=(?P<id>[0-9a-f]{8})"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HOST, f"https://{'a' * 400}!{'0' * 60}"),
        ("(a|a|b)*c", "a" * 500),
        ("(a*)*b(?P<id>x)", "a" * 500),
        ("(.*,)*(?P<id>x)", "a," * 250),
        ("(a|aa)+b", "a" * 500),
        ("(([a-z])+.)+[A-Z]([a-z])+", "a" * 500),
    ],
)
def test_no_text_takes_long(pattern: str, text: str) -> None:
    """By `re`, each takes hours."""
    assert TextPattern(pattern).fullmatch(text) is None


def test_a_pattern_finds_its_group() -> None:
    found = TextPattern(HOST, ascii_only=True).fullmatch("https://qr.example/q?id=0123abcd")
    assert found is not None
    assert found["id"] == "0123abcd"


def test_digits_of_other_scripts_are_none_of_ascii() -> None:
    assert TextPattern(r"\d").fullmatch("٣") is not None
    assert TextPattern(r"\d", ascii_only=True).fullmatch("٣") is None


@pytest.mark.parametrize("pattern", ["(", "[", "a{99999999999}", "(" * 5000, "(?P<1>a)"])
def test_what_is_no_pattern_is_said(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        TextPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a{i}", "a{e<=1}", "h/{id}/(?P<id>[0-9]{2,4})", "[{e}]+", "a{2,}b{,3}c{2}", "a{}", "a{,}",
        r"\\{e}", r"\{e}", r"\N{DIGIT ONE}+", r"\\N{2}", "a{\u0662}",
        '{"id":"(?P<id>[0-9]+)"}',
    ],
)  # fmt: skip
def test_a_brace_that_counts_nothing_stands_for_itself(pattern: str) -> None:
    """As for `re`; the library that matches would take what is nearly the same."""
    texts = ("a", "", "abc", "aabcc", "aaa", "abcc", "a{i}", "a{e<=1}", "h/{id}/123", "h//123", "{e", "e", "a{}")
    texts = (*texts, "1", "11", "NN", "\\NN", "aa", "a{\u0662}", "a{2}")
    for text in (*texts, "{e}", "\\{e}", "\\", "x", '{"id":"12"}', '"id":"12"', "a{,}"):
        found, expected = TextPattern(pattern, ascii_only=True).fullmatch(text), re.fullmatch(pattern, text)
        assert (found is None) is (expected is None), text
