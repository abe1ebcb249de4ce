"""Files to judge by that people keep by hand and nobody has signed: keys, policy table, venue, roster, calibration.

A `version` in such a file protects it from an older copy and from rot: the highest that was in force is remembered,
as of lists and bundles (`AcceptedVersions`). A lower one, another content of the same version, or one without a
version after that counts as too old: everybody at an entry goes to staff. Space, order and comments are no content.
"""

from __future__ import annotations

import json
import logging
import re
import tomllib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agent.credentials.freshness import missing
from agent.platform.files import read_text
from agent.ruleset.accepted import BadRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agent.credentials.freshness import Age
    from agent.ruleset.accepted import AcceptedVersions

log = logging.getLogger(__name__)

_VERSION = re.compile(r"^(version[ \t]*=[ \t]*)(\d+)", re.MULTILINE)


def named_files(
    keys: str, table: str, venue: str, roster: str, calibration: Path | None
) -> Iterator[tuple[str, str | Path]]:
    """Kind and name of each file of those that a configuration names."""
    policy = table if table.endswith(".toml") else ""
    named = ("keys", keys), ("policy", policy), ("venue", venue), ("roster", roster), ("calibration", calibration)
    return ((kind, name) for kind, name in named if name)


def older_files(
    files: Iterable[tuple[str, Path]], record: AcceptedVersions, *, remember: bool = True
) -> Iterator[Age]:
    """Of those that went back an age that is too old at any time. `files`: kind and path of each in force; one that
    cannot be read is for its reader to tell.
    """
    for kind, path in files:
        try:
            document = _document(read_text(path))
        except (OSError, ValueError, RecursionError):
            continue
        name = f"{kind} {path.name}"
        if why := _why_older(name, document, record, remember=remember):
            log.warning("%s: %s", name, why)
            yield missing(name, why)


def version_of(text: str) -> int:
    """What a file says of its version; 0: nothing. Raises ValueError for what is none."""
    return _version(_document(text))


def raised(text: str) -> str:
    """TOML whose version, if it has one, is one higher: what a command of ours has changed."""
    head, mark, rest = text.partition("[[")
    return _VERSION.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", head, count=1) + mark + rest


def _document(text: str) -> dict[str, Any]:
    document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    if not isinstance(document, dict):
        raise ValueError("no file with a version")  # noqa: TRY004 - whatever is wrong with the text is one error
    return document


def _version(document: dict[str, Any]) -> int:
    table = document.get("table")
    version = (table if isinstance(table, dict) else document).get("version", 0)
    if type(version) is not int or version < 0:
        raise ValueError(f"version = {version!r} is no number: it begins with 1 and rises with each change")
    return version


def _why_older(name: str, document: dict[str, Any], record: AcceptedVersions, *, remember: bool) -> str:
    """Why this is not the file that was in force last, or a newer one; `remember` it if it is."""
    version = _version(document)
    try:
        before = record.get(name) or {}
    except (BadRecord, OSError) as error:
        return str(error)
    last = before.get("version", 0)
    if version == last == 0:
        return ""
    digest = sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
    if not isinstance(last, int) or version > last:
        try:
            if remember:
                record.store(name, {"version": version, "sha256": digest})
        except OSError as error:
            log.warning("the version of %s cannot be remembered: %s", name, error.strerror)
        return ""
    if version < last:
        said = f"is version {version}" if version else "has no version"
        return f"{said}, and {last} was in force"
    if digest == before.get("sha256"):
        return ""
    return f"is another version {last} than was in force (each change needs a higher one)"
