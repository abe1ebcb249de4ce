"""Bundles for kiosks that lack them: a state says what is in force there, and the kiosk is sent the rest, on its own topic.

Nothing hangs on what a broker retains: some brokers keep it on one node, or deliver it to no wildcard. The folder has what
`gatepost keys sign` has printed, each in a file `*.bundle`; a file that is new there is sent from the next state on.
"""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

AGAIN_S, MOST_TIMES = 600.0, 3
"""A kiosk that still lacks it is sent it again after so long, and so often: it may have refused it."""
LOOK_S = 1.0
"""Between looks at the folder."""


class Found(NamedTuple):
    type: str
    name: str
    version: int
    target: str
    after: int
    """Of an increment: the version of the whole bundle that it came after; else 0."""
    digest: str
    envelope: bytes

    @property
    def topic(self) -> str:
        """Below the kiosk's own."""
        what = f"{self.type}-{self.version}" if self.type == "root" else self.type
        return "/".join(["bundle", what, *filter(None, [self.name, "increment" if self.after else ""])])


class Bundles:
    """A folder of them, read when it changes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._found = folder, []
        self._stamp: Any = None
        self._look_s = float("-inf")
        self._sent: dict[tuple[str, str], tuple[int, float]] = {}
        """Source and digest → how often, and when last."""

    def lacking(self, source: str, body: dict[str, Any], now_s: float) -> list[tuple[str, str]]:
        """Topic and payload of each that this kiosk is to be sent: by its state `body`, in the order of versions."""
        if body.get("state") != "online" or self._folder is None:
            return []
        site, kiosk = source.split("/")[-2:]
        try:
            ours = {"", f"{site}/*", f"{site}/{kiosk}", *(f"@{group}" for group in body.get("groups", ()))}
            held = {
                (each["type"], each["name"]): int(each["version"])
                for each in body.get("in_force", ())
                if each["source"] == "bundle"
            }
        except (KeyError, TypeError, ValueError):
            return []  # a state is not signed
        wanted = []
        for each in self._read(now_s):
            has = held.get((each.type, each.name), 0)
            if each.target in ours and has < each.version and self._is_due(source, each, now_s):
                wanted.append((source[1:] + "/" + each.topic, each.envelope.decode()))
        return wanted

    def _is_due(self, source: str, each: Found, now_s: float) -> bool:
        times, at_s = self._sent.get((source, each.digest), (0, 0.0))
        if times >= MOST_TIMES or (times and now_s < at_s + AGAIN_S):
            return False
        self._sent[source, each.digest] = times + 1, now_s
        return True

    def _read(self, now_s: float) -> list[Found]:
        """Roots one after the other, of others the newest whole one for each target and the newest increment on it."""
        if now_s < self._look_s:
            return self._found
        self._look_s = now_s + LOOK_S
        try:
            files = sorted(self._folder.glob("*.bundle"))
            stamp = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files]
        except OSError:  # one has gone at this moment
            return self._found
        if stamp != self._stamp:
            every = [found for file in files if (found := _read(file))]
            newest: dict[Any, Found] = {}
            for each in sorted(every, key=lambda found: found.version):
                newest[each.type, each.name, each.target, each.after, each.type == "root" and each.version] = each
            wholes = {(each.type, each.name, each.version) for each in newest.values() if not each.after}
            kept = [
                each for each in newest.values() if not each.after or (each.type, each.name, each.after) in wholes
            ]
            self._found, self._stamp = sorted(kept, key=lambda found: found.version), stamp
        return self._found


def _read(file: Path) -> Found | None:
    """None of what is no bundle: one bad file stops no other."""
    try:
        envelope = file.read_bytes()
        payload = b64decode(json.loads(envelope)["payload"])
        said = json.loads(payload)
        content = said["content"]
        after = content.get("after", {}).get("version", 0) if isinstance(content, dict) else 0
        digest, version = sha256(payload).hexdigest(), int(said["version"])
        return Found(said["type"], said["name"], version, said.get("target", ""), int(after), digest, envelope)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        print(f"bundles: {file} is not sent, it is no signed bundle: {error!r}", flush=True)
        return None
