"""What an import changes in a keys file, and the file after it. Pure.

The keys that one source is in charge of are those of its formats, and of its issuers where it names them: they are
replaced. Everything else in the file, comments too, stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.credentials.trust import BadTrustStore, TrustedKey, parse_keys
from agent.issuers import readable_kid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.issuers import PublishedKey

_TABLE = re.compile(r"^(?=\[\[)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KeysFileChange:
    """What becomes of a keys file."""

    added: tuple[PublishedKey, ...]
    removed: tuple[str, ...]
    """A line for each."""
    kept: int
    text: str


def change(text: str, keys: Sequence[PublishedKey], is_ours: Callable[[TrustedKey], bool]) -> KeysFileChange:
    """The file with exactly these keys of a source in it. Raises BadTrustStore."""
    parse_keys(text, "before the import")
    tables = {key.table(): key for key in keys}
    parts: list[str] = []
    removed: list[str] = []
    known: set[str] = set()
    for part in _TABLE.split(text):
        key = _key(part)
        if key is None or not is_ours(key):
            parts.append(part)
        elif part.strip() + "\n" in tables:
            known.add(part.strip() + "\n")
            parts.append(part)
        else:
            removed.append(f"{key.issuer}  {readable_kid(key.kid)}  {key.public.name}")
    added = tuple(key for table, key in tables.items() if table not in known)
    body = "".join(parts).rstrip("\n")
    new = "\n".join((*([body + "\n"] if body else []), *(key.table() for key in added)))
    parse_keys(new, "after the import")
    return KeysFileChange(added, tuple(removed), len(known), new)


def _key(part: str) -> TrustedKey | None:
    """The key of a table; None for another kind of table, and for what stands before the first."""
    if not part.startswith("[[key]]"):
        return None
    try:
        return next(iter(parse_keys(part, "a table").keys.values()))[0]
    except (BadTrustStore, StopIteration):
        return None
