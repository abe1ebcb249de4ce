"""python-tuf's client plays histories of a repository: lines of JSON in, one line of verdicts out for each.

Run in a venv of its own. A policy is the targets metadata here; snapshot and timestamp are signed by a key of their
own, long-lived, and rise with every state. See tests/faults/attacks.py for what a history is.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("r1", "r2", "r3", "r4", "p1", "p2", "p3", "p4", "thief", "online")
SIGNERS = {name: CryptoSigner.generate_ed25519() for name in NAMES}
HUGE = 6_000_000
NOW = datetime.now(UTC).replace(microsecond=0)


class Repository(FetcherInterface):
    """What lies on the server, by name."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        if name not in self.files:
            raise DownloadHTTPError("not there", 404)
        return iter([self.files[name]])


def root(told: dict[str, Any]) -> bytes:
    made = Root(version=told["version"], expires=until(told["days"]), consistent_snapshot=False)
    for role, kind in (("root", Root.type), ("policy", Targets.type)):
        for name in told[role]["keys"]:
            made.add_key(SIGNERS[name].public_key, kind)
        made.roles[kind].threshold = told[role]["threshold"]
    for kind in (Snapshot.type, Timestamp.type):
        made.add_key(SIGNERS["online"].public_key, kind)
    return signed(made, told)


def policy(told: dict[str, Any]) -> bytes:
    target = TargetFile.from_data("venue", told["content"].encode())
    return signed(Targets(told["version"], expires=until(told["days"]), targets={"venue": target}), told)


def until(days: int) -> datetime:
    return NOW + timedelta(days=days)


def signed(made: Root | Targets, told: dict[str, Any]) -> bytes:
    metadata = Metadata(made)
    for name in told["by"]:
        metadata.sign(SIGNERS[name], append=True)
    return spoilt(metadata.to_bytes(), made, told)


def spoilt(data: bytes, made: Root | Targets, told: dict[str, Any]) -> bytes:
    match told["spoil"]:
        case "content":
            data = data.replace(b'"version":%d' % made.version, b'"version":%d' % (made.version + 1))
        case "signature":
            tree = json.loads(data)
            first = tree["signatures"][0]["sig"]
            tree["signatures"][0]["sig"] = ("b" if first[0] == "a" else "a") + first[1:]
            data = json.dumps(tree).encode()
        case "twice":
            tree = json.loads(data)
            tree["signatures"] *= 2
            data = json.dumps(tree).encode()
        case "cut":
            data = data[: len(data) // 2]
        case "huge":
            data += b" " * (HUGE - len(data))
        case "type":
            other = Metadata(Snapshot(made.version, expires=made.expires))
            for name in told["by"]:
                other.sign(SIGNERS[name], append=True)
            data = other.to_bytes()
    return data


def play(history: dict[str, Any]) -> Iterator[tuple[bool, int]]:
    with tempfile.TemporaryDirectory() as name:
        local, server = Path(name) / "metadata", Repository()
        local.mkdir()
        first = root(history["first"])
        for number, state in enumerate(history["states"], 1):
            trusted = _trusted(local)
            for place, each in enumerate(state["roots"], trusted + 1):
                server.files[f"{place}.root.json"] = root(each)
            served = server.files["targets.json"] = policy(state["policy"])
            snapshot = Snapshot(number, expires=until(900))
            snapshot.meta["targets.json"].version = state["policy"]["version"]
            server.files["snapshot.json"] = _online(snapshot)
            timestamp = Timestamp(number, expires=until(900))
            timestamp.snapshot_meta.version = number
            server.files["timestamp.json"] = _online(timestamp)
            try:
                updater = Updater(str(local), "http://x/", fetcher=server, bootstrap=first)
                updater.refresh()
            except (RepositoryError, DownloadError):
                yield False, _trusted(local)
            else:
                now = (local / "targets.json").read_bytes()
                yield json.loads(now)["signed"] == json.loads(served)["signed"], _trusted(local)


def _trusted(local: Path) -> int:
    """The version of the root that is trusted."""
    file = local / "root.json"
    return int(json.loads(file.read_bytes())["signed"]["version"]) if file.exists() else 1


def _online(made: Snapshot | Timestamp) -> bytes:
    metadata = Metadata(made)
    metadata.sign(SIGNERS["online"])
    return metadata.to_bytes()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        print(json.dumps(list(play(json.loads(line)))), flush=True)
