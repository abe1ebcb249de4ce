"""Formats are found by themselves: a file in `formats/` is enough, and no two claim the same payload."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import formats
from agent.credentials.trust import TrustStore, key_uses
from agent.model import ClockState, CodeStatus, TimeBounds

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = TimeBounds(1_800_000_000.0, 1_800_000_001.0, ClockState.SYNCED)
BEGINNINGS = [
    b"HC1:",
    b"GP1:",
    b"GATEPOST:",
    b"NZCP:/1/",
    b"shc:/",
    b"eyJ",
    b'{"data":{"hdr":',
    b"[",
    b" ",
    b"PLACE:",
]
FORMAT = '''\
"""A format for this test."""
from agent.credentials.trust import KeyUse
from agent.model import CodeStatus, Verdict
FORMAT, TITLE, KEYS = "test", "a test", {"test": KeyUse()}
def recognises(payload):
    return payload.startswith(b"TEST-FORMAT:")
def check(payload, trust, now):
    return Verdict(CodeStatus.VALID, FORMAT, subject=payload)
'''


def test_every_format_is_found() -> None:
    found = {each.FORMAT for each in formats.all_formats()}
    assert found >= {"dcc", "gatepost", "health-card", "nzcp", "shc", "vds-nc", "place"}
    assert len(found) == len(formats.all_formats()), "each name once"


def test_a_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_format_of_a_test.py").write_text(FORMAT)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    formats.format_files.cache_clear()
    formats.all_formats.cache_clear()
    key_uses.cache_clear()
    try:
        assert "test" in key_uses(), "and a key can be pinned for it"
        verdict = credentials.check(b"TEST-FORMAT:anna", TrustStore(), NOW)
    finally:
        formats.format_files.cache_clear()
        formats.all_formats.cache_clear()
        key_uses.cache_clear()
        sys.modules.pop("agent.credentials.formats.test_format_of_a_test", None)
    assert (verdict.status, verdict.format) == (CodeStatus.VALID, "test")


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=40))
def test_no_two_formats_with_a_prefix_recognise_the_same_payload(beginning: bytes, rest: bytes) -> None:
    prefixed = [each for each in formats.all_formats() if not getattr(each, "WITHOUT_PREFIX", False)]
    assert formats.all_formats()[: len(prefixed)] == tuple(prefixed), "the others are asked last"
    assert sum(each.recognises(beginning + rest) for each in prefixed) <= 1
