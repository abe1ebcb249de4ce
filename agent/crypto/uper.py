"""Unaligned packed encoding rules of ASN.1 (X.691): a reader, made from a grammar in text. Pure.

A grammar has one type a line, in a short form of ASN.1 with automatic tags; `…` at the end means that later
versions may add to it:

    Name = field:type? field:type=default …     SEQUENCE; `?` is OPTIONAL, `=` DEFAULT
    Name = | field:type field:type …            CHOICE

| type | ASN.1 | value |
|---|---|---|
| `int`, `int(a..b)` | INTEGER | int |
| `ia5`, `ia5(n)`, `ia5(a..b)` | IA5String (SIZE) | str |
| `utf8` | UTF8String | str |
| `bytes`, `oid` | OCTET STRING, OBJECT IDENTIFIER | bytes; an identifier in dots |
| `bool` | BOOLEAN | bool |
| `enum(n)`, `enum(n…)` | ENUMERATED of n values | int |
| `[type]` | SEQUENCE OF | list |
| `Name` | a line of the grammar | dict; of a CHOICE: (field, value) |

Only fields that are asked for are kept: of a name nothing is ever made. What a code can say is bounded: by its own
bits, by the number and the depth of its parts. Fragmented lengths, numbers of more than 128 bits and extensions
that are longer than what is there are refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent.crypto.refusal import Malformed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_BYTES = 1 << 13
_MOST_PARTS = 1_000
_MOST_DEPTH = 16
_MOST_INTEGER_BYTES = 16
_MOST_PLANS = 32
"""Sets of fields of one type that are remembered: the tickets of an issuer have nearly always the same."""
_SHORT, _LONG = 0x80, 0x4000
_SIZED = re.compile(r"(int|ia5|enum)\((-?\d+)(?:\.\.(-?\d+))?(…?)\)")
_LIST = re.compile(r"\[(.+)\]")

Read = Callable[["Bits"], Any]
"""Reads one value."""


class Bits:
    """Bits that are read from the first on."""

    __slots__ = ("_end", "_value", "at", "depth", "parts")

    def __init__(self, data: bytes) -> None:
        """Raises Malformed for more than `MAX_BYTES`."""
        if len(data) > MAX_BYTES:
            raise Malformed("longer than any ticket")
        self._value, self._end = int.from_bytes(data), 8 * len(data)
        self.at = self.parts = self.depth = 0

    def read(self, count: int) -> int:
        """The next bits, as a number. Raises Malformed."""
        self.at += count
        left = self._end - self.at
        if left < 0:
            raise Malformed("its content is cut off")
        return self._value >> left & (1 << count) - 1

    def skip(self, count: int) -> None:
        """Pass over bits. Raises Malformed."""
        self.at += count
        if self.at > self._end:
            raise Malformed("its content is cut off")

    def part(self) -> None:
        """Count one more part. Raises Malformed."""
        self.parts += 1
        if self.parts > _MOST_PARTS:
            raise Malformed("more parts than any ticket has")

    def length(self) -> int:
        """A length without bounds of its own. Raises Malformed."""
        length = self.read(8)
        if length < _SHORT:
            return length
        length = length << 8 & _LONG - 1 | self.read(8)
        if self._value >> self._end - self.at + 14 & 1:
            raise Malformed("a length in fragments")
        return length

    def small(self) -> int:
        """A number that is nearly always small. Raises Malformed."""
        if self.read(1):
            raise Malformed("an extension of no known kind")
        return self.read(6)

    def octets(self, count: int) -> bytes:
        """The next bytes, wherever they begin. Raises Malformed."""
        return self.read(8 * count).to_bytes(count)

    def since(self, start: int) -> bytes:
        """All bits from `start` to here, filled up with zeros to whole bytes."""
        count = self.at - start
        size = (count + 7) // 8
        bits = self._value >> self._end - self.at & (1 << count) - 1
        return (bits << 8 * size - count).to_bytes(size)

    def finish(self) -> None:
        """Raises Malformed unless what is left are less than eight zeros."""
        left = self._end - self.at
        if left >= 8 or self.read(left):  # noqa: PLR2004 - of a byte
            raise Malformed("something follows its content")


def compile_grammar(text: str, wanted: Collection[str]) -> Mapping[str, Read]:
    """Reader of each type; of a sequence's fields only those of `wanted` are kept."""
    readers: dict[str, Read] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, body = line.partition(" = ")
        extensible = body.endswith("…")
        fields = body.removesuffix("…").split()
        make = _choice if fields[0] == "|" else _sequence
        readers[name] = make([field for field in fields if field != "|"], readers, wanted, extensible=extensible)
    return readers


def decode(read: Read, data: bytes) -> Any:
    """One value that fills the bytes to the end. Raises Malformed."""
    bits = Bits(data)
    value = read(bits)
    bits.finish()
    return value


def _sequence(fields: list[str], readers: Mapping[str, Read], wanted: Collection[str], *, extensible: bool) -> Read:
    parts = []
    for field in fields:
        name, _, kind = field.partition(":")
        kind, _, default = kind.partition("=")
        optional = kind.endswith("?") or bool(default)
        keep = name in wanted
        parts.append((name, _type(kind.removesuffix("?"), readers, keep=keep), optional, keep, default))
    count = sum(optional for _, _, optional, _, _ in parts)
    defaults = {name: int(default) for name, _, _, keep, default in parts if keep and default}
    steps: list[tuple[str, Read, int]] = []
    bit = count
    for name, read, optional, keep, _ in parts:
        bit -= optional
        steps.append((name if keep else "", read, 1 << bit if optional else 0))

    width, extended = count + extensible, (1 << count if extensible else 0)

    @functools.lru_cache(maxsize=_MOST_PLANS)
    def plan(present: int) -> tuple[tuple[str, Read], ...]:
        return tuple((name, read) for name, read, mask in steps if not mask or present & mask)

    def sequence(bits: Bits) -> dict[str, Any]:
        bits.part()
        bits.depth += 1
        if bits.depth > _MOST_DEPTH:
            raise Malformed("deeper than any ticket")
        present = bits.read(width)
        found: dict[str, Any] = dict(defaults)
        for name, read in plan(present):
            value = read(bits)
            if name:
                found[name] = value
        if present & extended:
            _additions(bits)
        bits.depth -= 1
        return found

    return sequence


def _additions(bits: Bits) -> None:
    """Pass over what a later version has added to a sequence."""
    count = bits.small() + 1
    for _ in range(bits.read(count).bit_count()):
        bits.skip(8 * bits.length())


def _choice(fields: list[str], readers: Mapping[str, Read], wanted: Collection[str], *, extensible: bool) -> Read:
    choices = [field.partition(":") for field in fields]
    reads = [(name, _type(kind, readers, keep=name in wanted), name in wanted) for name, _, kind in choices]
    width = (len(reads) - 1).bit_length()

    def choice(bits: Bits) -> tuple[str, Any]:
        if extensible and bits.read(1):
            bits.small()
            bits.skip(8 * bits.length())
            return "", None
        number = bits.read(width)
        if number >= len(reads):
            raise Malformed("a part of no known kind")
        name, read, keep = reads[number]
        value = read(bits)
        return name, value if keep else None

    return choice


def _type(kind: str, readers: Mapping[str, Read], *, keep: bool) -> Read:
    if (match := _LIST.fullmatch(kind)) is not None:
        return _list(_type(match[1], readers, keep=keep), keep=keep)
    if (match := _SIZED.fullmatch(kind)) is not None:
        base, low, high = match[1], int(match[2]), int(match[3] or match[2])
        if base == "enum":
            return _enumerated(low, extensible=bool(match[4]))
        return _range(low, high) if base == "int" else _sized_text(low, high, keep=keep)
    simple = {
        "int": _integer,
        "bool": _boolean,
        "ia5": _ia5 if keep else _skip_ia5,
        "utf8": _utf8 if keep else _skip_octets,
        "bytes": _octets if keep else _skip_octets,
        "oid": _oid if keep else _skip_octets,
    }
    return simple[kind] if kind in simple else _named(kind, readers)


def _named(name: str, readers: Mapping[str, Read]) -> Read:
    """A type whose line may come later."""

    def read(bits: Bits) -> Any:
        return readers[name](bits)

    return read


def _list(read: Read, *, keep: bool) -> Read:
    def items(bits: Bits) -> list[Any] | None:
        found = []
        for _ in range(bits.length()):
            bits.part()
            value = read(bits)
            if keep:
                found.append(value)
        return found if keep else None

    return items


def _range(low: int, high: int) -> Read:
    width, most = (high - low).bit_length(), high - low

    def number(bits: Bits) -> int:
        value = bits.read(width)
        if value > most:
            raise Malformed("a number that is out of its range")
        return low + value

    return number


def _sized_text(low: int, high: int, *, keep: bool) -> Read:
    width = (high - low).bit_length()

    def text(bits: Bits) -> str | None:
        length = low + bits.read(width)
        if length > high:
            raise Malformed("a text that is out of its range")
        if keep:
            return _characters(bits, length)
        bits.skip(7 * length)
        return None

    return text


def _enumerated(count: int, *, extensible: bool) -> Read:
    width = (count - 1).bit_length()

    def value(bits: Bits) -> int:
        if extensible and bits.read(1):
            return count + bits.small()
        number = bits.read(width)
        if number >= count:
            raise Malformed("a value of no known meaning")
        return number

    return value


def _integer(bits: Bits) -> int:
    size = bits.length()
    if not 0 < size <= _MOST_INTEGER_BYTES:
        raise Malformed("a number that is empty or too long")
    return int.from_bytes(bits.octets(size), signed=True)


def _boolean(bits: Bits) -> bool:
    return bool(bits.read(1))


def _ia5(bits: Bits) -> str:
    return _characters(bits, bits.length())


def _skip_ia5(bits: Bits) -> None:
    bits.skip(7 * bits.length())


def _characters(bits: Bits, count: int) -> str:
    value = bits.read(7 * count)
    return bytes([value >> place & 0x7F for place in range(7 * count - 7, -7, -7)]).decode("ascii")


def _octets(bits: Bits) -> bytes:
    return bits.octets(bits.length())


def _skip_octets(bits: Bits) -> None:
    bits.skip(8 * bits.length())


def _utf8(bits: Bits) -> str:
    try:
        return _octets(bits).decode()
    except UnicodeDecodeError:
        raise Malformed("a text that is not UTF-8") from None


def _oid(bits: Bits) -> str:
    """The identifier in dots."""
    numbers, value = [], 0
    for byte in _octets(bits):
        value = value << 7 | byte & 0x7F
        if byte < _SHORT:
            numbers.append(value)
            value = 0
    if not numbers:
        raise Malformed("an identifier that is empty")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
