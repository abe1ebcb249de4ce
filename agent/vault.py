"""What the kiosk keeps on disk to judge by: issuer keys, lists, policy tables. Reads and replaces them.

What the bytes mean is said in `codes` and `policy`, which do no input or output.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent import codes, policy
from agent.codes import freshness, lists
from agent.codes.trust import BadTrust, parse_keys
from agent.packaged import packaged

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_trust(options: codes.Options, root: Path | None = None) -> codes.Trust:
    """Trust as the options say, paths relative to `root`. Raises BadTrust with one sentence.

    A list that is missing or damaged does not keep the kiosk from starting: it counts as too old at any time.
    """
    root = root or Path()
    trust = _keys(root / options.keys)
    opened, ages = [], []
    for name in options.lists:
        try:
            opened.append(open_list(root / name))
            ages.append(opened[-1].age)
        except lists.BadList:
            ages.append(freshness.missing(f"list {name}"))
    return replace(trust, lists=lists.gather(opened), ages=tuple(ages))


def _keys(path: Path) -> codes.Trust:
    try:
        return parse_keys(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BadTrust(f"keys file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadTrust(f"keys file {path}: not UTF-8 text") from None


def load_table(options: policy.Options, root: Path | None = None) -> policy.Table:
    """The table that the options name, proved; a path is relative to `root`. Raises BadTable."""
    is_path = options.table.endswith(".toml")
    path = (root or Path()) / options.table if is_path else packaged(f"policy/{options.table}.toml")
    return policy.parse_table(_table_text(path), str(path), _beginning)


def profiles() -> list[Path]:
    """The tables that come with the agent."""
    return sorted(path for path in packaged("policy").glob("*.toml") if not path.name.startswith("_"))


def _beginning(name: str) -> str:
    """Text of the rows that a table begins with, when it says `first = NAME`."""
    return _table_text(packaged(f"policy/_{Path(name).name}.toml"))


def _table_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise policy.BadTable(str(path), [error.strerror or "cannot be read"]) from None
    except UnicodeDecodeError:
        raise policy.BadTable(str(path), ["not UTF-8 text"]) from None


def open_list(path: Path) -> lists.CodeList:
    """Base at `path` with its changes at `path`.delta. Raises BadList for the base only: damaged changes are left
    aside, and the list is as old as its base until they come again.
    """
    base = _open_file(path)
    try:
        delta = _open_file(_delta_path(path))
    except lists.BadList:
        return lists.CodeList(base)
    if delta.head.kind != base.head.kind or delta.head.version <= base.head.version:
        return lists.CodeList(base)
    return lists.CodeList(base, delta)


def write_list(path: Path, head: lists.Head, keys: bytes, values: bytes | None = None) -> lists.Head:
    """Build a list and replace the one at `path` in one step. Returns the head as written."""
    built = lists.build(head, keys, values)
    _replace(path, built)
    return built.head


def change_list(path: Path, head: lists.Head, changes: Mapping[bytes, int]) -> lists.CodeList:
    """Put changes (key → value; GONE takes it off) on top of the base at `path`, durably; readers go on meanwhile.

    `head` dates the result. Returns the new list; the old one stays usable until it is let go.
    """
    current = open_list(path)
    merged = lists.entries(current.delta) if current.delta is not None else {}
    merged.update(changes)
    _replace(_delta_path(path), lists.build(head, b"".join(merged), bytes(merged.values())))
    return open_list(path)


def _open_file(path: Path) -> lists.ListFile:
    """Map one file; the mapping goes when the list is let go."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise lists.BadList(f"list {path}: cannot be opened: {error}") from None
    try:
        return lists.parse(mapped)
    except lists.BadList as error:
        mapped.close()
        raise lists.BadList(f"list {path}: {error}") from None


def _delta_path(path: Path) -> Path:
    return path.with_name(path.name + ".delta")


def _replace(path: Path, built: lists.Built) -> None:
    """Write beside, make durable, rename over."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        for chunk in built.chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
