"""An error in a signed TOML text names the entry; this adds the line on which that entry begins."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[\s*([\w-]+)\s*\]\]")
_NAME = re.compile(r"""\s*name\s*=\s*(["'])(.*?)\1""")
_ENTRY = re.compile(r"\b([\w-]+) (?:(\d{1,6})|'([^'\n]*)')(?=:| needs\b)")


def with_lines(text: str, sentence: str) -> str:
    """`row 2: no reason` becomes `row 2 (line 14): no reason`; what names no entry of `text` stays as it is."""
    begins: dict[str, list[int]] = {}
    named: dict[tuple[str, str], int] = {}
    table, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table, began = header[1], number
            begins.setdefault(table, []).append(number)
        elif line.lstrip().startswith("["):
            table = ""
        elif table and (name := _NAME.match(line)):
            named.setdefault((table, name[2]), began)

    def located(found: re.Match[str]) -> str:
        lines = begins.get(found[1], [])
        if found[2] is None:
            line = named.get((found[1], found[3]), 0)
        else:
            at = int(found[2])
            line = lines[at - 1] if 0 < at <= len(lines) else 0
        return f"{found[0]} (line {line})" if line else found[0]

    return _ENTRY.sub(located, sentence)
