"""The text of a payload. Never guessed into other scripts: what cannot be told stays visible as bytes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def text_of(payload: bytes, declared: str | None = None) -> str:
    """The payload as text.

    UTF-8 where it is valid; else as the code itself declares (`declared`, from its ECI header); else GB18030 or
    Shift JIS, whichever gives the more common characters, or ISO 8859-1 (the standard's own default), each only
    where the result looks like a text of that kind; else ASCII with the other bytes as escapes.
    """
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared is not None:
        return declared
    chinese = _decoded(payload, "gb18030", _is_chinese)
    japanese = _decoded(payload, "shift_jis", _is_japanese)
    if chinese is not None and japanese is not None:
        ours, theirs = _share(chinese, _is_common_chinese), _share(japanese, _is_common_japanese)
        if ours == theirs and sum(byte > _ASCII for byte in payload) >= _MANY:
            return payload.decode("ascii", "backslashreplace")
        return japanese if theirs > ours else chinese
    for text in (chinese, japanese, _decoded(payload, "latin-1", _is_western)):
        if text is not None:
            return text
    return payload.decode("ascii", "backslashreplace")


_ASCII = 0x7F
_MANY = 12
"""Bytes beyond ASCII from which on it is no accident that a text is as good in both scripts: in six characters of
everyday Chinese, nine times in ten one is none of half-width katakana."""


def _decoded(payload: bytes, encoding: str, is_plausible: Callable[[str], bool]) -> str | None:
    """The payload in this encoding, if it then looks like a text of its script."""
    try:
        text = payload.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if is_plausible(text) else None


def _share(text: str, is_common: Callable[[str], bool]) -> float:
    """How much of what is not ASCII is common in its script."""
    foreign = [letter for letter in text if letter > "\x7f"]
    return sum(map(is_common, foreign)) / max(1, len(foreign))


def _is_common_chinese(letter: str) -> bool:
    """Of the first level of GB 2312, its 3,755 most used characters, or of its punctuation and full-width signs."""
    coded = letter.encode("gb2312", "ignore")
    return bool(coded) and (coded[0] in (0xA1, 0xA3) or 0xB0 <= coded[0] <= 0xD7)  # noqa: PLR2004 - rows of the standard


def _is_common_japanese(letter: str) -> bool:
    """Kana, punctuation, or of the first level of JIS X 0208."""
    coded = letter.encode("shift_jis", "ignore")
    return bool(coded) and (0x81 <= coded[0] <= 0x83 or 0x88 <= coded[0] <= 0x98 or 0xA1 <= coded[0] <= 0xDF)  # noqa: PLR2004 - the same


def _is_chinese(text: str) -> bool:
    """Most of what is not ASCII belongs to GB 2312, the characters of everyday Chinese."""
    foreign = [letter for letter in text if letter > "\x7f"]
    everyday = sum(_fits(letter, "gb2312") for letter in foreign)
    return 2 * everyday > len(foreign) and not any(_is_control(letter) for letter in text)


def _is_japanese(text: str) -> bool:
    foreign = [letter for letter in text if letter > "\x7f"]
    kana = sum("぀" <= letter <= "ヿ" or "｡" <= letter <= "ﾟ" for letter in foreign)
    return 4 * kana > len(foreign) and not any(_is_control(letter) for letter in text)


def _is_western(text: str) -> bool:
    """Mostly ASCII, with letters among the rest and no control characters."""
    foreign = [letter for letter in text if letter > "\x7f"]
    return 3 * len(foreign) <= len(text) and not any(_is_control(letter) for letter in text)


def _is_control(letter: str) -> bool:
    return (letter < " " and letter not in "\t\r\n") or "\x7f" <= letter <= "\x9f"


def _fits(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
