"""What docs/screen.md tells is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from agent.texts import CATALOGUE
from agent.web.options import Options, PanelOptions

TEXT = (Path(__file__).parents[3] / "docs" / "screen.md").read_text(encoding="utf-8")


def test_every_picture_with_its_texts() -> None:
    told = {code: (en, zh) for code, en, zh in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)}
    pictures = CATALOGUE["picture"] | CATALOGUE["cue"]
    assert told == {code: pictures[code] for code in told}
    assert set(pictures) - set(told) == {"again"}


def test_the_settings_are_settings() -> None:
    section = TEXT[TEXT.index("    [web]") : TEXT.index("    sudo systemctl")]
    tree = tomllib.loads(re.sub(r"^    ", "", section, flags=re.MULTILINE))
    assert not list(PanelOptions(**tree["lanes"]["entry"]["screen"]).faults())
    assert f'public = "{Options().public}", directory = "{Options().directory}"' in section
