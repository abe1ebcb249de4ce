"""What axe, a library of accessibility checks, finds on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPTIONS: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # it need not describe what is well
}


def violations(page: Page, **without: bool) -> list[Any]:
    """By all rules but those named; axe is loaded once into each document."""
    base = pytest.importorskip("axe_playwright_python.base")
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(base.AXE_SCRIPT)
    rules = {"color-contrast-enhanced": True, **without}
    options = {**OPTIONS, "rules": {name.replace("_", "-"): {"enabled": on} for name, on in rules.items()}}
    found: list[Any] = page.evaluate("(options) => axe.run(options).then((each) => each.violations)", options)
    return found
