"""docs/guard.md: one page with a picture of each state, in words that stand on the page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from guard_pages import LIMIT_MS

from agent.texts import CATALOGUE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "guard.md").read_text(encoding="utf-8")
STATES = ("fever", "keypad", "visitor", "watch", "full", "override", "handover", "lanes")
LARGEST = 30_000
STYLE = """
@page { size: A4; margin: 9mm }
body { font: 8pt/1.2 "Noto Sans", "Noto Sans CJK SC", sans-serif } h1 { font-size: 13pt; margin: 0 }
table { border-collapse: collapse; width: 100%; margin: 1.5mm 0 }
td, th { border: 0.2mm solid; padding: 0.8mm; vertical-align: top }
img { width: 40mm } p { margin: 1mm 0 }
"""


def test_there_is_a_small_picture_of_each_state_in_both_languages() -> None:
    for state in STATES:
        for language in ("en", "zh"):
            data = (DOCS / "guard" / f"{state}.{language}.webp").read_bytes()
            assert data[8:12] == b"WEBP"
            assert len(data) < LARGEST, (state, language, len(data))
    shown = re.findall(r"guard/(\w+)\.(?:en|zh)\.webp", TEXT)
    assert sorted(shown) == sorted(STATES)


def test_what_it_calls_a_button_is_on_the_page() -> None:
    words = {text for subject in ("page", "measure") for texts in CATALOGUE[subject].values() for text in texts}
    plain = {word.partition(":")[0].partition("（")[0] for word in words}
    rows = TEXT[TEXT.index("| Fever") :]
    named = [name for both in re.findall(r"\*\*([^*]+)\*\*", rows) for name in both.split(" · ")]
    said = {"全部放出", "All out", "Let in", "放行"}
    assert len(named) > 15
    assert not [name for name in named if name not in plain | said]


def test_it_prints_on_one_page(browser: Browser) -> None:
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")

    def inline(match: re.Match[str]) -> str:
        data = base64.b64encode((DOCS / match[1]).read_bytes()).decode()
        return f'src="data:image/webp;base64,{data}"'

    body = re.sub(r'src="(guard/[\w.]+)"', inline, markdown.render(TEXT))
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.set_content(f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{body}')
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
