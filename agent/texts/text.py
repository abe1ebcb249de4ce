"""One text in both languages."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Text(NamedTuple):
    """What a code says."""

    en: str
    zh: str


Texts: TypeAlias = "dict[str, Text]"
LANGUAGES = Text._fields
