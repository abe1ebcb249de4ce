"""The page on devices lists every driver, and no other."""

import re
from pathlib import Path

from drivers import registry

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"


def test_every_driver_is_in_the_tables_and_no_other():
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    there = [name for kind in registry.KINDS for name in registry.names(kind)]
    assert sorted(listed) == sorted(there)
