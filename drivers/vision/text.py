"""The text of a payload. Never guessed into other scripts: what cannot be told stays visible as bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable


def text_of(payload: bytes, declared: str | None = None) -> str:
    """The payload as text.

    UTF-8 where it is valid; else as the code itself declares (`declared`, from its ECI header); else in that one of
    GB18030, Shift JIS, EUC-JP and ISO 8859-1 (the standard's own default) in which it can be a text of its script.
    Where it can be a text of none, or of two and in neither with the more common characters: ASCII, with the other
    bytes as escapes. EUC-JP without kana, Big5 and EUC-KR are not told from GB 2312: such a code should declare
    itself.
    """
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared is not None:
        return declared
    shares: dict[str, float] = {}
    for encoding, is_plausible, is_common in _SCRIPTS:
        text = _decoded(payload, encoding, is_plausible)
        if text is not None:
            is_narrow = all(map(_is_narrow, _foreign(text)))  # of them every text is common: it says nothing
            shares[text] = max(shares.values(), default=1.0) if is_narrow else _share(text, is_common)
    best = [text for text, share in shares.items() if share == max(shares.values())]
    return best[0] if len(best) == 1 else payload.decode("ascii", "backslashreplace")


def _decoded(payload: bytes, encoding: str, is_plausible: Callable[[str], bool]) -> str | None:
    """The payload in this encoding, if it then looks like a text of its script."""
    try:
        text = payload.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if is_plausible(text) else None


def _share(text: str, is_common: Callable[[str], bool]) -> float:
    """How much of what is not ASCII is common in its script."""
    foreign = _foreign(text)
    return sum(map(is_common, foreign)) / max(1, len(foreign))


def _foreign(text: str) -> list[str]:
    return [letter for letter in text if letter > "\x7f"]


def _is_common_chinese(letter: str) -> bool:
    """Of the first level of GB 2312, its 3,755 most used characters, or of its punctuation and full-width signs."""
    coded = letter.encode("gb2312", "ignore")
    return bool(coded) and (coded[0] in (0xA1, 0xA3) or 0xB0 <= coded[0] <= 0xD7)  # noqa: PLR2004 - rows of the standard


def _is_common_japanese(letter: str) -> bool:
    """Kana, punctuation, or of the first level of JIS X 0208."""
    coded = letter.encode("shift_jis", "ignore")
    return bool(coded) and (0x81 <= coded[0] <= 0x83 or 0x88 <= coded[0] <= 0x98 or 0xA1 <= coded[0] <= 0xDF)  # noqa: PLR2004 - the same


def _is_chinese(text: str) -> bool:
    """Most of what is not ASCII belongs to GB 2312, the characters of everyday Chinese, and none of it is kana."""
    foreign = _foreign(text)
    everyday = sum(_fits(letter, "gb2312") for letter in foreign)
    return 2 * everyday > len(foreign) and not any(map(_is_kana, foreign)) and not any(map(_is_control, text))


def _is_japanese(text: str) -> bool:
    """Most of what is not ASCII is common. Beside half-width katakana all of it is, and they make words."""
    foreign = _foreign(text)
    if any(map(_is_control, text)):
        return False
    if any(map(_is_narrow, foreign)):
        return _share(text, _is_common_japanese) == 1 and _NARROW.fullmatch(text) is not None
    return 2 * _share(text, _is_common_japanese) > 1


def _is_japanese_with_kana(text: str) -> bool:
    """Without kana the characters of EUC-JP are those of GB 2312, and far rarer in codes."""
    return any(map(_is_kana, text)) and _is_japanese(text)


def _is_western(text: str) -> bool:
    """Mostly ASCII; of the rest, letters and everyday signs, half or more are letters in a word with those."""
    foreign = _foreign(text)
    in_words = len(_IN_A_WORD.findall(text))
    return 3 * len(foreign) <= len(text) and 2 * in_words >= len(foreign) and _WESTERN.issuperset(foreign)


def _is_kana(letter: str) -> bool:
    return "ぁ" <= letter <= "ヺ"


def _is_narrow(letter: str) -> bool:
    return "｡" <= letter <= "ﾟ"


_NARROW = re.compile(
    "(?:(?<![A-Za-zｦ-ﾟ])"
    "(?:[ｳｶ-ﾄﾊ-ﾎ]ﾞ|[ﾊ-ﾎ]ﾟ|[ｱ-ﾜ])"
    "(?:[ｳｶ-ﾄﾊ-ﾎ]ﾞ|[ﾊ-ﾎ]ﾟ|[ｱ-ﾝ]|(?<=[ｷｼﾁﾆﾋﾐﾘﾞﾟ])[ｬ-ｮ]|(?<=[ｳｼﾁﾃﾄﾌﾞ])[ｧ-ｫ]|ｯ(?=[ｶ-ﾄﾊ-ﾎ])|(?<![ﾝｯ])ｰ)*"
    "(?![A-Za-z])|[｡-･]|[^ｦ-ﾟ])*"
)
"""Words of half-width katakana as they can be spelt: none begins with a small one, a long vowel or an n, marks and
small ones follow what they can change, and no Latin letter touches a word.
"""
_WESTERN = frozenset(map(chr, (*range(0xC0, 0xD7), *range(0xD8, 0xF7), *range(0xF8, 0x100)))) | set(
    "£§°«»¡¿·ªº²³½©®€"
)
"""Letters and everyday signs of ISO 8859-1."""
_IN_A_WORD = re.compile(r"(?<=[A-Za-z])[À-ÿ]|[À-ÿ](?=[A-Za-z])")


def _is_control(letter: str) -> bool:
    return (letter < " " and letter not in "\t\r\n") or "\x7f" <= letter <= "\x9f"


def _fits(letter: str, encoding: str) -> bool:
    return bool(letter.encode(encoding, "ignore"))


_SCRIPTS: tuple[tuple[str, Callable[[str], bool], Callable[[str], bool]], ...] = (
    ("gb18030", _is_chinese, _is_common_chinese),
    ("shift_jis", _is_japanese, _is_common_japanese),
    ("euc_jp", _is_japanese_with_kana, _is_common_japanese),
    ("latin-1", _is_western, _WESTERN.__contains__),
)
"""Encoding; whether a text can be one of its script; whether a character is a common one."""
