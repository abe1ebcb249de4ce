"""What a deployer types, counted from the pages: the figures of docs/fleet.md."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
CHARACTERS_A_MINUTE = 200
AT_THE_CARD_S = 60
"""Assumed: put the card into the writer and take it out, put it into the kiosk, plug in."""


def typed(page: str, heading: str) -> list[str]:
    """The indented blocks below a heading; comments need not be typed."""
    text = (DOCS / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    return [re.sub(r"^    (?:# .*\n)?|^\n", "", block, flags=re.MULTILINE) for block in blocks]


def minutes(characters: int) -> float:
    return characters / CHARACTERS_A_MINUTE


def test_what_is_typed_is_what_the_page_says() -> None:
    page = (DOCS / "fleet.md").read_text()
    way, (user_data, copy) = typed("fleet.md", "All steps, in order"), typed("fleet.md", "The card: cloud-init")
    table = next(block for block in way if "kiosk.site" in block)
    rows = [line + "\n" for line in table.splitlines() if "," in line and "kiosk.site" not in line]
    row = len(rows[1])
    once = sum(map(len, [*way, *typed("enrolment.md", "Set up the authority, once"), user_data])) - sum(
        map(len, rows)
    )
    end = len(typed("fleet.md", "The end")[0])
    card_min = minutes(row + len(copy)) + AT_THE_CARD_S / 60
    assert f"upgrade: {once:,} characters | {minutes(once):.0f} min" in page
    assert f"its row, {row} characters | {minutes(row) * 60:.0f} s" in page
    assert f"copy three files to it, {len(copy)} characters | {minutes(len(copy)) * 60:.0f} s" in page
    assert f"**{card_min:.1f} min**" in page
    assert f"**{minutes(once + 500 * row):.0f} min**" in page
    assert f"the end of one: {end} characters | {minutes(end):.1f} min" in page
    assert card_min <= 3
    assert minutes(once + 500 * row) <= 60
