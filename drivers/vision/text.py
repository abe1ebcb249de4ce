"""The text of a payload. Never guessed into other scripts: what cannot be told stays visible as bytes. Pure."""

from __future__ import annotations


def text_of(payload: bytes, declared: str | None = None) -> str:
    """The payload as text.

    UTF-8 where it is valid; else as the code itself declares (`declared`, from its ECI header); else GB18030, Shift
    JIS or ISO 8859-1 (the standard's own default), each only where the result looks like a text of that kind; else
    ASCII with the other bytes as escapes.
    """
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared is not None:
        return declared
    for encoding, is_plausible in (("gb18030", _is_chinese), ("shift_jis", _is_japanese), ("latin-1", _is_western)):
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError:
            continue
        if is_plausible(text):
            return text
    return payload.decode("ascii", "backslashreplace")


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
