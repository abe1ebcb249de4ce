"""What the kiosk keeps on disk to judge by: issuer keys, lists, policy tables. Reads and replaces them.

`agent/credentials/` and `agent/policy/` say what the bytes mean; they do no input or output.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent import credentials, policy, privacy
from agent.credentials import base_chunks, freshness, lists
from agent.credentials.bundle import BadBundle, Bundle
from agent.credentials.trust import BadTrustStore, issuer_name, parse_keys
from agent.model import InForce
from agent.model.reasons import Rejection
from agent.platform import access
from agent.platform.files import read_text
from agent.platform.packaged import packaged, packaged_text
from agent.ruleset import hand_kept
from agent.ruleset.accepted import AcceptedVersions, BadRecord
from agent.ruleset.base_assembly import WantedBase
from agent.ruleset.bundle_store import (
    BundleStore,
    ListContent,
    bundle_store,
    increment_content,
    list_content,
    list_word,
    word_content,
)
from agent.ruleset.list_files import (
    change_list,
    next_path,
    open_list,
    prove_base,
    prove_list,
    set_changes,
    swap_in_next_base,
    write_list,
)
from agent.texts import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

FILES_ACCEPTED = "files.accepted"
"""Beside the agent's own state: what was in force of lists and other files that came as files."""

__all__ = [
    "AcceptedVersions",
    "BundleStore",
    "bundle_store",
    "change_list",
    "chunks_of",
    "increment_content",
    "list_content",
    "list_word",
    "load_keys",
    "load_privacy",
    "load_table",
    "load_trust",
    "next_path",
    "open_list",
    "profiles",
    "set_changes",
    "wanted_bases",
    "whole_table",
    "word_content",
    "write_list",
]


def load_trust(
    options: credentials.Options,
    root: Path | None = None,
    record: AcceptedVersions | None = None,
    keys: credentials.TrustStore | None = None,
) -> credentials.TrustStore:
    """Trust as the options say, paths relative to `root`. Raises BadTrustStore with one sentence.

    A list that is missing or damaged does not keep the kiosk from starting: it counts as too old at any time.
    `record`: what was in force of the lists that come as files; what is older, or another list, counts as missing.
    `keys`: as `load_keys` gives them; else they are read.
    """
    root = root or Path()
    trust = load_keys(options, root) if keys is None else keys
    opened: list[lists.CodeList] = []
    ages, in_force = list(trust.ages), list(trust.in_force)
    for name in options.lists:
        try:
            store = bundle_store(root / options.bundles) if options.bundles else None
            sent = store.current("list", Path(name).stem) if store is not None else None
            if store is None or sent is None:
                found = prove_list(root / name)
                if record is not None:
                    _demand_not_older(name, found, record)
            else:
                found = _sent(root / name, sent, store, name, record)
            _demand_only_one(found, opened)
            opened.append(found)
            ages.append(found.age)
            in_force.append(_list_in_force(name, found, sent, record))
        except (lists.BadList, BadBundle, BadRecord, OSError) as error:
            log.warning("list %s is not used: %s", name, error)
            ages.append(freshness.missing(f"list {name}"))
    return replace(
        trust,
        lists=lists.gather(opened, issuer_name),
        ages=tuple(ages),
        in_force=tuple(in_force),
        of_age_years=options.of_age_years,
    )


def _demand_only_one(found: lists.CodeList, opened: Sequence[lists.CodeList]) -> None:
    """A code has one colour and one list of swabs: which of two lists counts is not known. Raises BadList."""
    kind, issuer = found.head.kind, issuer_name(found.head.issuer)
    if kind in ("status", "tested") and (kind, issuer) in {
        (each.head.kind, issuer_name(each.head.issuer)) for each in opened
    }:
        raise lists.BadList(f"is the second {kind} list of {issuer}: name one of them, or build one of both")


def _list_in_force(
    name: str, found: lists.CodeList, sent: Bundle | None, record: AcceptedVersions | None
) -> InForce:
    """While the base of the newest bundle is awaited, the version of the list before."""
    remembered = (record.get(name) if record is not None else None) or {}
    if sent is None or (found.awaited is not None and "heads" in remembered):
        return InForce("list", Path(name).stem, found.head.version, "file")
    return InForce("list", sent.name, sent.version if found.awaited is None else found.head.version)


def chunks_of(path: Path, chunk_bytes: int, url: str = "", spread_s: int = 0) -> base_chunks.BaseChunks:
    """What is signed of a base so that it can be fetched. Raises ValueError, OSError."""
    with path.open("rb") as file:
        return base_chunks.cut(iter(lambda: file.read(chunk_bytes), b""), chunk_bytes, url, spread_s)


def wanted_bases(options: credentials.Options, root: Path | None = None, *, held: bool = False) -> list[WantedBase]:
    """Bases that the central server has signed and says how to fetch, and that are not here, whole; or, if `held`,
    those that are. Never raises.
    """
    root, found = root or Path(), []
    for name in options.lists if options.bundles else ():
        path = root / name
        try:
            sent = bundle_store(root / options.bundles).current("list", path.stem)
            word = list_word(sent.content) if sent is not None else None
        except (BadBundle, ValueError, OSError):
            continue
        if sent is None or word is None or word.chunks is None:
            continue
        if any(_is_base(file, word.base) for file in (path, next_path(path))) is held:
            found.append(WantedBase(sent.name, path, word.base, word.chunks))
    return found


def _is_base(path: Path, head: lists.ListHeader) -> bool:
    try:
        return prove_base(path).head == head
    except lists.BadList:
        return False


def _demand_not_older(name: str, found: lists.CodeList, record: AcceptedVersions) -> None:
    """A list must be the one that it was, of the same version or a later one. Raises BadList, BadRecord."""
    head, before = found.head, record.get(name)
    if before is not None:
        if (before["kind"], before["issuer"]) != (head.kind, head.issuer):
            what = f"a {head.kind} list of {head.issuer} in place of a {before['kind']} list of {before['issuer']}"
            raise lists.BadList(f"is {what}")
        if isinstance(before["version"], int) and head.version < before["version"]:
            raise lists.BadList(
                f"is version {head.version}, and {before['version']} was in force: changes are lost"
            )
        _demand_progress(found, before.get("heads"))
    _remember(name, found, record, heads=_heads(found))


def _demand_progress(found: lists.CodeList, before: object) -> None:
    """Base and changes are each the ones that were in force, or later ones: an older base under newer changes has
    lost what came between. Raises BadList.
    """
    parts = ("base", found.base), ("set of changes", found.delta)
    for (what, part), known in zip(parts, before if isinstance(before, list) else (), strict=False):
        if part is None or not isinstance(known, dict):
            continue
        if part.head.version < known["version"]:
            raise lists.BadList(f"has a {what} of version {part.head.version}, and {known['version']} was in force")
        if part.head.version == known["version"] and part.head.sha256 != known["sha256"]:
            raise lists.BadList(f"has another {what} of version {known['version']} than was in force")


def _remember(name: str, found: lists.CodeList, record: AcceptedVersions, **more: object) -> None:
    head = found.head
    try:
        record.store(name, {"kind": head.kind, "issuer": head.issuer, "version": head.version, **more})
    except OSError as error:
        log.warning("the version of list %s cannot be remembered: %s", name, error.strerror)


def _heads(found: lists.CodeList) -> list[object]:
    """All that a list and its changes say of themselves, with the digests of their bytes."""
    return [found.base.head.plain(), None if found.delta is None else found.delta.head.plain()]


def _configured(path: Path, name: str, record: AcceptedVersions | None) -> lists.CodeList | None:
    """The very list that was in force as a file when the central server first spoke of it; None when it is another
    one, or when one that was signed has been in force since. Raises BadList, BadRecord, OSError.
    """
    before = None if record is None else record.get(name)
    if before is None or "heads" not in before:
        return None
    found = prove_list(path)
    return found if before["heads"] == _heads(found) else None


def load_keys(options: credentials.Options, root: Path) -> credentials.TrustStore:
    """The central server's keys where it has sent any, else the configured file's.

    A bundle that is there and does not hold makes everything too old: it must not let older keys back in silently.
    A kiosk that has a root needs no file: until the central server's keys come, nobody is believed.
    """
    if not options.bundles:
        return _keys_file(root / options.keys)
    store = bundle_store(root / options.bundles)
    awaits_keys = store.has_root() and not (root / options.keys).exists()
    trust = credentials.TrustStore() if awaits_keys else _keys_file(root / options.keys)
    try:
        sent = store.current("keys")
        if sent is not None:
            keys: credentials.TrustStore = store.content(sent)
            return replace(keys, ages=(sent.age,), in_force=(InForce("keys", "", sent.version),))
    except (BadBundle, BadTrustStore, OSError) as error:
        return replace(trust, ages=(freshness.missing("keys from the central server", str(error)),))
    return replace(trust, ages=(freshness.missing("keys from the central server"),)) if awaits_keys else trust


def _keys_file(path: Path) -> credentials.TrustStore:
    try:
        text = read_text(path)
        trust = parse_keys(text, str(path))
        return replace(trust, in_force=(InForce("keys", version=hand_kept.version_of(text), source="file"),))
    except FileNotFoundError:
        raise BadTrustStore(
            f"keys file {path}: is not there (`gatepost keys new` or `keys add` makes one)"
        ) from None
    except OSError as error:
        raise BadTrustStore(access.why(error, path)) from None
    except UnicodeDecodeError:
        raise BadTrustStore(f"keys file {path}: not UTF-8 text") from None


def _sent(
    path: Path, sent: Bundle, store: BundleStore, name: str, record: AcceptedVersions | None
) -> lists.CodeList:
    """A list as the central server has sent word of it. Until the base of that is here, the list that it takes the
    place of, within its own age: as it was signed, or as it was configured if none that was signed has been in
    force yet, and marked with what is awaited. Raises BadList, BadRecord, OSError.
    """
    word: ListContent = store.content(sent)
    try:
        swap_in_next_base(path, word.base)
    except OSError as error:
        log.warning("%s cannot be put in force: %s", next_path(path), error.strerror)
    try:
        found = _signed(path, sent)
    except lists.BadList:
        before = _before(path, sent, store) or _configured(path, name, record)
        if before is None or (word.base.kind, word.base.issuer) != (before.base.head.kind, before.base.head.issuer):
            raise
        awaited = lists.Awaited(sent.name, sent.version, sent.issued_utc, word.base, word.changes)
        return replace(before, awaited=awaited)
    if record is not None and "heads" in (record.get(name) or {}):
        _remember(name, found, record)  # what was only configured never counts again
    try:
        store.forget_previous_list(sent.name)
    except OSError as error:
        log.warning("the bundle before list %s cannot be removed: %s", sent.name, error.strerror)
    return found


def _before(path: Path, sent: Bundle, store: BundleStore) -> lists.CodeList | None:
    """The list of the bundle before; None when there is none, or what lies here is another. Raises OSError."""
    previous = store.previous_list(sent.name)
    if previous is None:
        return None
    try:
        return _signed(path, previous)
    except lists.BadList:
        return None


def _signed(path: Path, sent: Bundle) -> lists.CodeList:
    """Exactly the base and the changes that a bundle names. Every byte is proved. Raises BadList, OSError."""
    word = list_word(sent.content)
    base = prove_base(path)
    if word.base != base.head:
        raise lists.BadList(f"list {path}: not the base that the central server has signed")
    head = replace(
        base.head,
        version=max(sent.version, base.head.version + 1),  # changes are always newer than their base
        issued_at=sent.issued_utc,
        warn_age_s=sent.age.warn_age_s,
        max_age_s=sent.age.max_age_s,
    )
    try:
        opened = prove_list(path)
    except lists.BadList:  # the changes: they are made again from what was signed
        opened = lists.CodeList(base)
    if not opened.has_changes(head, word.changes):
        set_changes(path, head, word.changes)
        opened = prove_list(path)
    if not opened.has_changes(head, word.changes):
        raise lists.BadList(f"list {path}: its changes are not those that the central server has signed")
    return opened


def load_table(options: policy.Options, root: Path | None = None, bundles: str = "") -> policy.Table:
    """The table that the options name, proved; paths are relative to `root`. Raises BadTable.

    One of that name that the central server has sent (in the folder `bundles`) comes before the agent's own.
    """
    if bundles:
        try:
            store = bundle_store((root or Path()) / bundles)
            sent = store.current("policy", options.table)
            if sent is not None:
                table: policy.Table = store.content(sent)
                return replace(table, in_force=InForce("policy", sent.name, sent.version))
        except (BadBundle, OSError) as error:
            if isinstance(error, BadBundle) and error.fault is Rejection.WRONG_TARGET:
                left: policy.Table = store.content(store.stored("policy", options.table))
                why = f"policy {options.table} from the central server does not count: {error.fact}"
                return replace(left, fault=f"{why} (everybody at an entry goes to staff until another one comes)")
            raise policy.BadTable(options.table, [f"sent by the central server, but {error}"]) from None
    is_path = options.table.endswith(".toml")
    path = (root or Path()) / options.table if is_path else packaged(f"policy/{options.table}.toml")
    if not is_path and not _is_profile(path):
        hint = did_you_mean(options.table, [each.stem for each in profiles()])
        why = (
            f"there is no profile of this name, and a file ends with .toml; `gatepost policy list` names them{hint}"
        )
        raise policy.BadTable(options.table, [why])
    table = policy.parse_table(_table_text(path), str(path), _beginning)
    source: Literal["file", "built_in"] = "file" if is_path else "built_in"
    return replace(table, in_force=InForce("policy", path.stem, table.version, source))


def _is_profile(path: Path) -> bool:
    """Whether a release has this table; told by its text, which a user who may not enter the folder still has."""
    try:
        packaged_text(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True  # reading it says what is wrong
    return True


def load_privacy(options: credentials.Options, root: Path | None = None) -> privacy.PrivacyInForce:
    """What the central server has sent about personal data; never raises. What does not hold closes rather than
    opens.
    """
    if not options.bundles:
        return privacy.PrivacyInForce()
    try:
        store = bundle_store((root or Path()) / options.bundles)
        sent = store.current("privacy")
        return (
            privacy.PrivacyInForce()
            if sent is None
            else privacy.PrivacyInForce(
                store.content(sent), sent.expires_utc, in_force=InForce("privacy", "", sent.version)
            )
        )
    except (BadBundle, privacy.BadPrivacy, OSError) as error:
        return privacy.PrivacyInForce(privacy.CLOSED, fault=str(error))


def whole_table(path: Path) -> str:
    """Text of a table with the rows that it begins with written out: as the central server sends it. Raises
    BadTable.
    """
    text = _table_text(path)
    begins = policy.begins_with(text, str(path))
    if begins:
        head, mark, rest = text.partition("\n[[")
        head = "\n".join(line for line in head.split("\n") if line.split("=")[0].strip() != "extends")
        text = f"{head}\n{_beginning(begins)}{mark}{rest}"
    policy.parse_table(text, str(path))
    return text


def profiles() -> list[Path]:
    """The tables that come with the agent."""
    return sorted(path for path in packaged("policy").glob("*.toml") if not path.name.startswith("_"))


def _beginning(name: str) -> str:
    """Text of the rows that a table begins with, when it says `extends = NAME`."""
    return _table_text(packaged(f"policy/_{Path(name).name}.toml"))


def _table_text(path: Path) -> str:
    try:
        is_ours = path.is_relative_to(packaged(""))
        return packaged_text(path) if is_ours else read_text(path)
    except FileNotFoundError:
        raise policy.BadTable(str(path), ["is not there; `gatepost policy list` names what is"]) from None
    except OSError as error:
        raise policy.BadTable(str(path), [access.why(error, path)]) from None
    except UnicodeDecodeError:
        raise policy.BadTable(str(path), ["not UTF-8 text"]) from None
