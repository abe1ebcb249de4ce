"""Content of a bundle of type `release`: which release a kiosk should run, where its package is, which kiosks are
meant. Pure.

    {"version": "0.2.0", "files": {"arm64": {"sha256": "…", "size": 53400000, "urls": ["https://…"]}},
     "wave": {"salt": "tuesday", "permille": 50}, "spread_s": 3600}

The file is the package `gatepost-release-VERSION`; its hash counts, not where it came from. A kiosk is in when
SHA-256 of the salt and its source, as a number, modulo 1000 is less than `permille`: no list of kiosks is needed,
and with one salt a larger wave holds every smaller one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from agent.model import ReleaseStatus
from agent.model.lazy import dataclass

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://[^\s\"<>]{1,500}")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What the kernel calls a processor → what Debian does."""
MOST_BYTES = 1 << 30
ALL_PERMILLE = 1000
MOST_SPREAD_S = 7 * 86_400


class BadRelease(ValueError):
    """No release can be read from it; `str()` says why."""


@dataclass(frozen=True, slots=True)
class File:
    """A package for one processor."""

    sha256: str
    size: int
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """What was signed."""

    version: str
    files: Mapping[str, File]
    salt: str = ""
    permille: int = ALL_PERMILLE
    spread_s: int = 0
    """Within so many seconds kiosks begin to fetch, each at a moment of its own."""

    @property
    def rollout(self) -> str:
        """Names what all waves of one rollout share: version, files and salt. A kiosk tries a rollout once; another
        salt is another one.
        """
        digests = sorted((name, file.sha256) for name, file in self.files.items())
        return sha256(json.dumps([self.version, digests, self.salt]).encode()).hexdigest()


def parse_release(text: object) -> Release:
    """From a bundle's content. Raises BadRelease."""
    try:
        plain = json.loads(str(text))
        match plain:
            case {"version": str(version), "files": dict(files), **rest} if _VERSION.fullmatch(version) and files:
                salt, permille, spread_s = _when(rest)
                found = {str(name): _file(str(name), each) for name, each in files.items()}
                return Release(version, found, salt, permille, spread_s)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRelease(f"it is no release: {error}") from None
    raise BadRelease('it is no release: it has "version" and "files" with amd64, arm64 or both')


def _file(architecture: str, plain: object) -> File:
    match plain:
        case {"sha256": str(digest), "size": int(size), **rest} if (
            architecture in ARCHITECTURES.values() and _SHA256.fullmatch(digest) and 0 < size <= MOST_BYTES
        ):
            urls = rest.pop("urls", [])
            if not rest and isinstance(urls, list) and all(_URL.fullmatch(str(url)) for url in urls):
                return File(digest, size, tuple(map(str, urls)))
    raise BadRelease(f"files.{architecture} needs sha256, size up to {MOST_BYTES} and urls that begin with http")


def _when(rest: dict[Any, Any]) -> tuple[str, int, int]:
    """Wave and spread. Raises BadRelease."""
    wave, spread_s = rest.pop("wave", {"salt": "", "permille": ALL_PERMILLE}), rest.pop("spread_s", 0)
    match wave:
        case {"salt": str(salt), "permille": int(permille), **more} if not more and 0 <= permille <= ALL_PERMILLE:
            if not rest and isinstance(spread_s, int) and 0 <= spread_s <= MOST_SPREAD_S:
                return salt, permille, spread_s
    raise BadRelease("wave needs salt and permille (0 to 1000); spread_s is 0 to a week; nothing else is known")


def is_in(release: Release, source: str) -> bool:
    """Whether a kiosk belongs to the wave. `source`: of its events."""
    return _number(release.salt, source) % ALL_PERMILLE < release.permille


def moment_s(release: Release, source: str) -> float:
    """When a kiosk begins, seconds after it has the bundle."""
    return _number(f"{release.version} {release.salt}", source) % (release.spread_s + 1)


def status_of(
    release: Release, source: str, running: str, notice: Mapping[str, Any], *, on_trial: bool = False
) -> ReleaseStatus:
    """What has become of a release on a kiosk that runs `running`. `notice`: what root's helper has told last; a
    rollout that it names as done is not tried again, by no wave of it.
    """
    if running == release.version:
        return ReleaseStatus.ON_TRIAL if on_trial else ReleaseStatus.IN_USE
    done = notice.get("done")
    if isinstance(done, list) and release.rollout in done:
        told = notice.get("version") == release.version and notice.get("type") == "release_rejected"
        return ReleaseStatus.REJECTED if told else ReleaseStatus.ROLLED_BACK
    return ReleaseStatus.WAITING if is_in(release, source) else ReleaseStatus.NOT_IN_WAVE


def _number(salt: str, source: str) -> int:
    return int.from_bytes(sha256(f"{salt}\0{source}".encode()).digest())
