"""Lines of text that a list is built from: `KEY [COLOUR | CLASS | HOURS]`, or the same as CSV. Pure.

What a format says is equal becomes one key: hexadecimal digits and certificate identifiers in any case, identifiers
with and without `URN:UVCI:`, a card's digits with and without what follows them. A byte order mark, quotes around a
column and `,` `;` or a tab between columns are understood; what is not understood is refused with its line, for a
key of nobody would do nothing, in silence. So is a word that only looks like another one: letters of two alphabets,
or wide ones. Of one key that stands there twice both lines must say the same.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from typing import TYPE_CHECKING

from agent.credentials import lists, rail
from agent.credentials.formats import boarding_pass, card, dcc, gatepost, health_card, licence, pretix, vdv_ka
from agent.crypto import digest
from agent.crypto.refusal import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

COLOURS = {colour.value: number for colour, number in lists.VALUES.items()}
WATCHES = {watch.value: number for number, watch in lists.WATCH_CLASSES.items()}
MOST_TEST_H = 255
"""One byte; older tests are not told."""
_WORDS = {"status": COLOURS, "watched": WATCHES}
_GONE = "gone"
_LISTED = 1
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_CARD = re.compile(r"([0-9A-Fa-f]{64})(?::1|:0:[0-9A-Fa-f]{32})?")
_LONGEST = 4296
"""Characters of the largest QR code."""
_ALPHABETS = frozenset(("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"))
"""Whose letters look like those of another one."""
_HEADINGS = frozenset(
    ("key", "keys", "id", "ids", "uci", "uvci", "ci", "hash", "subject", "subjects", "holder", "code", "codes")
) | {"card", "certificate", "pseudonym", "colour", "color", "status", "state", "value", "class", "hours"}


def _key(_issuer: str, text: str) -> bytes:
    if not _HEX_KEY.fullmatch(text):
        raise ValueError("a key is 32 hexadecimal digits")
    return bytes.fromhex(text)


def _subject(issuer: str, text: str) -> bytes:
    return gatepost.subject_key(issuer, text)


def _opaque(issuer: str, text: str) -> bytes:
    if "://" in text or " " in text:
        raise ValueError("an opaque code's id is what the pattern names `id` in its address, not the address")
    return digest.of_subject(issuer, text)


def _health_card(_issuer: str, text: str) -> bytes:
    match = _CARD.fullmatch(text)
    if match is None:
        raise ValueError("a health card is 64 hexadecimal digits")
    return health_card.subject_key(match.group(1))


def _uci(_issuer: str, text: str) -> bytes:
    if not dcc.is_uci(text):
        raise ValueError(
            "a certificate's identifier is letters, digits and / : #, for example URN:UVCI:01:NL:187/37"
        )
    return dcc.code_key(text)


def _pretix(_issuer: str, text: str) -> bytes:
    try:
        return pretix.code_key(text)
    except Malformed as error:
        raise ValueError(f"a pretix ticket is the text of its code: {error.reason}") from None


def _vdv(_issuer: str, text: str) -> bytes:
    organisation, colon, number = text.partition(":")
    if not (colon and (organisation + number).isascii() and organisation.isdecimal() and number.isdecimal()):
        raise ValueError("a VDV-KA ticket is ORGANISATION:NUMBER, for example 6262:101234567")
    return vdv_ka.ticket_key(int(organisation), int(number))


def _card_number(_issuer: str, text: str) -> bytes:
    return card.card_key(text)


def _uic(_issuer: str, text: str) -> bytes:
    company, colon, reference = text.partition(":")
    if not (colon and company.isascii() and company.isdecimal() and reference):
        raise ValueError(
            "a rail ticket is COMPANY:REFERENCE, the company's number first, for example 1080:CN0CTUMY"
        )
    return rail.ticket_key(company, reference)


def _boarding_pass(_issuer: str, text: str) -> bytes:
    try:
        return boarding_pass.pass_key(text)
    except Malformed:
        raise ValueError("a boarding pass is FLIGHT/DAY/CHECKIN/BOOKING, for example AC834/326/25/ABC123") from None


def _licence(_issuer: str, text: str) -> bytes:
    try:
        return licence.licence_key(text)
    except Malformed:
        raise ValueError(
            "a licence is STATE:NUMBER, the state in six digits, for example 636014:D1234567"
        ) from None


KEY_OF: dict[str, Callable[[str, str], bytes]] = {
    "key": _key,
    "subject": _subject,
    "opaque": _opaque,
    "card": _card_number,
    "health-card": _health_card,
    "uci": _uci,
    "pretix": _pretix,
    "vdv-ka": _vdv,
    "uic": _uic,
    "boarding-pass": _boarding_pass,
    "licence": _licence,
}
"""What a line may hold → (issuer, text) to the 16 bytes that lists hold. Each raises ValueError with one phrase."""


def key_of(of: str, issuer: str, text: str) -> bytes:
    """The key that a word stands for. Raises ValueError with one phrase; the word is not in it."""
    word = text.strip().lstrip("\ufeff")
    if not word or not word.isprintable() or '"' in word:
        raise ValueError("a key is printed characters, without quotes in it")
    if len(word) > _LONGEST:
        raise ValueError(f"a key has up to {_LONGEST} characters, as a code")
    if not word.isascii():
        _demand_one_alphabet(word)
    return KEY_OF[of](issuer, word)


def _demand_one_alphabet(word: str) -> None:
    """Raise ValueError for a word that is read as another one."""
    if unicodedata.normalize("NFKC", word) != unicodedata.normalize("NFC", word):
        raise ValueError("wide or joined characters, which only look like plain ones: write it as the code has it")
    names = [unicodedata.name(each, "").partition(" ")[0] for each in word if each.isalpha()]
    if len(found := _ALPHABETS.intersection(names)) > 1:
        raise ValueError(f"letters of {' and '.join(sorted(found))} in one word, which look alike")


def entries(
    lines: Iterable[str],
    *,
    of: str,
    kind: str,
    issuer: str,
    changes: bool,
    numbers: Callable[[int], object] = lambda _: None,
) -> Iterator[tuple[bytes, int]]:
    """Key and value of each line; empty lines and those that begin with # are none. `changes`: `gone` takes a key
    off; `numbers` is told the line of each key, and 0 for one that begins with #. Raises ValueError that says which
    line is wrong and why, not what it holds.
    """
    first = True
    for number, line in enumerate(lines, 1):
        try:
            if line.strip().lstrip("\ufeff").startswith("#"):  # in quotes it is a key
                numbers(0)
                continue
            fields = _fields(line)
            if not fields:
                continue
            if first and all(field.casefold() in _HEADINGS for field in fields):
                raise ValueError("a heading: take the line off")  # noqa: TRY301 - all of a line's faults get its number
            first = False
            found = key_of(of, issuer, fields[0]), _value(fields[1:], kind, changes=changes)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"line {number}: {error}") from None
        numbers(number)
        yield found


def _fields(line: str) -> list[str]:
    """The columns of a line."""
    text = line.strip().lstrip("\ufeff")
    delimiter = next((each for each in "\t;," if each in text), None)
    if delimiter is None and '"' not in text:
        return text.split()
    (columns,) = csv.reader([text], delimiter=delimiter or " ", skipinitialspace=True, strict=True)
    columns = [column.strip() for column in columns]
    while len(columns) > 1 and not columns[-1]:
        columns.pop()
    return columns


def _value(rest: list[str], kind: str, *, changes: bool) -> int:
    """What the column after the key says: a colour, a class of watch, hours since the swab. Raises ValueError."""
    known = _WORDS.get(kind, {}) | ({_GONE: lists.GONE} if changes else {})
    if len(rest) > 1:
        raise ValueError(
            "more columns than a key and what it is listed as; a key with a comma or a space in it needs quotes"
        )
    if not rest and kind in ("revoked", "watched"):
        return _LISTED
    word = rest[0].casefold() if rest else ""
    if kind == "tested" and word.isascii() and word.isdecimal() and 1 <= int(word) <= MOST_TEST_H:
        return int(word)
    value = known.get(word)
    if value is not None:
        return value
    if kind == "tested":
        raise ValueError(
            f"after the key: hours from the swab to the list's issue, 1 to {MOST_TEST_H}, as in KEY 20"
        )
    raise ValueError(
        f"after the key: {', '.join(known)}" if known else f"a {kind} list has no column after the key"
    )
