"""Brings the release that the central server has signed to this kiosk, and asks root's helper to use it.

The agent has no right to install anything. It fetches the package, checks it, waits until nobody has been at the
gate for a while, and leaves a request; `gatepost-release upgrade` verifies everything again (systemd/README.md).

| file in the state folder | content |
|---|---|
| upgrade/SHA256.deb.part, .deb | the package, while it comes and whole |
| upgrade/request.json | asks for it |
| upgrade/told | the helper's notice that was passed on last |
"""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import shutil
import ssl
import threading
import time
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from agent import __version__
from agent.credentials.bundle import BadBundle
from agent.events.state import ReleaseState
from agent.model import AgentChange, InForce, ReleaseStatus
from agent.platform.files import MOST_TEXT_BYTES, move_file, read_bytes, replace_file
from agent.ruleset import base_download
from agent.upgrade.release import (
    ARCHITECTURES,
    BadRelease,
    File,
    Release,
    moment_s,
    parse_release,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.credentials.bundle import Bundle
    from agent.ruleset.load import BundleStore

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
QUIET_S = 60.0
"""So long nobody must have waited for a decision."""
RETRY_S = 300.0
MOST_RETRY_S = 6 * 3600.0
"""A request that root's helper postpones, or cannot read, is repeated: after 5 min, then after twice as long."""
_PIECE, _SYNC_EVERY = 1 << 18, 4 << 20
"""A large heap of unwritten bytes would hold up the events' own syncs."""
_RESERVE = 64 << 20
"""So many bytes of the disk are left to events while a package is fetched and root's helper has its copy."""
_UNPACKED = 6
"""Root's helper wants so many times a package's size for what it unpacks."""
_AT_ITS_END = {ReleaseStatus.IN_USE, ReleaseStatus.REJECTED, ReleaseStatus.ROLLED_BACK}
"""Its package is needed no more."""
NOTICE = Path("/var/lib/gatepost-release/notice.json")
_TRIAL = "trial"
"""Beside it while the release that runs is on trial."""
_POSTPONED = "postponed.json"
"""Beside it: why root's helper has put off what it was asked for last."""
STICKS = ("/media", "/mnt", "/boot/firmware")


class Upgrades:
    """One thread, which may wait for the network."""

    def __init__(
        self,
        folder: Path,
        store: BundleStore,
        source: str,
        record: Callable[[AgentChange], object],
        quiet_s: Callable[[float], float],
        ca_file: Path | None = None,
        notice: Path = NOTICE,
    ) -> None:
        """`folder`: where the agent keeps what it writes; `record`: passes an event on; `quiet_s`: for how long
        nobody has waited at a lane.
        """
        self._folder, self._store, self._source = folder / "upgrade", store, source
        self._record, self._quiet_s, self._ca_file, self._notice = record, quiet_s, ca_file, notice
        self._since_s: dict[str, float] = {}
        self._retry_s = 0.0
        self._asked, self._asks, self._ask_s = "", 0, 0.0
        """The rollout that was asked for last, how often, and when it may be again."""
        self._trial = notice.with_name(_TRIAL)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upgrades", daemon=True)
        self.fault = ""
        """Why the signed release is not here, as a sentence."""
        self.release: ReleaseState | None = None
        """What has become of the release that was signed last; None: none was, or it cannot be read."""
        self.in_force: tuple[InForce, ...] = ()
        """Its bundle."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """End; also when it was never started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.step(time.monotonic())
            except Exception:
                log.exception("upgrades: an internal error; going on")

    def step(self, now_s: float) -> None:
        """Look once what is to be done."""
        self._pass_on()
        try:
            bundle = self._store.current("release")
            release = None if bundle is None else parse_release(bundle.content)
        except (BadBundle, BadRelease, OSError):
            bundle = release = None
        if bundle is None or release is None:
            self.release, self.in_force = None, ()
        else:
            self.release, self.in_force = self._state(release), (InForce("release", version=bundle.version),)
            if self.release.status in _AT_ITS_END:
                self._remove_packages()
            self._advance(bundle, release, now_s)

    def _advance(self, bundle: Bundle, release: Release, now_s: float) -> None:
        """Fetch it, or ask for it, if this is the moment."""
        if not self._is_wanted(bundle, release, now_s):
            return
        file = release.files[ARCHITECTURES[platform.machine()]]
        package = self._folder / f"{file.sha256}.deb"
        if not package.exists() and now_s >= self._retry_s:
            self._fetch(release, file, package, now_s)
        if package.exists() and self._quiet_s(now_s) >= QUIET_S:
            self._request(release, file, package, now_s)

    def _state(self, release: Release) -> ReleaseState:
        notice = _read(self._notice)
        status = status_of(release, self._source, __version__, notice, on_trial=self._trial.exists())
        told = str(notice.get("detail", "")) if notice.get("version") == release.version else ""
        waits = self.fault or self._why_postponed(release)
        details = {ReleaseStatus.WAITING: waits, ReleaseStatus.REJECTED: told, ReleaseStatus.ROLLED_BACK: told}
        return ReleaseState(release.version, status, details.get(status, ""))

    def _is_wanted(self, bundle: Bundle, release: Release, now_s: float) -> bool:
        if status_of(release, self._source, __version__, _read(self._notice)) is not ReleaseStatus.WAITING:
            return False
        if ARCHITECTURES.get(platform.machine()) not in release.files:
            self._set_fault(f"release {release.version} has no package for {platform.machine()}")
            return False
        waits_s = max(now_s - self._since_s.setdefault(bundle.digest, now_s), self._store.age_s("release"))
        return waits_s >= moment_s(release, self._source) and not self._request_file.exists()

    @property
    def _request_file(self) -> Path:
        return self._folder / "request.json"

    def _why_postponed(self, release: Release) -> str:
        """What root's helper says of this release; empty when it has not put it off."""
        said = _read(self._notice.with_name(_POSTPONED))
        return str(said.get("detail", "")) if said.get("digest") == release.rollout else ""

    # -- the package

    def _fetch(self, release: Release, file: File, package: Path, now_s: float) -> None:
        part = package.with_suffix(".deb.part")
        try:
            self._folder.mkdir(exist_ok=True)
            self._remove_packages(but=part)
            self._demand_room(file, part)
            if self._bring(release, file, part):
                move_file(part, package)
                self._set_fault("")
        except (base_download.BadDownload, OSError, ssl.SSLError) as error:
            self._retry_s = now_s + RETRY_S
            self._set_fault(f"release {release.version} does not come: {error}")
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._remove_packages()

    def _remove_packages(self, but: Path | None = None) -> None:
        """Give their room back, also what has come of one so far."""
        for each in self._folder.glob("*.deb*"):
            if each != but:
                with suppress(OSError):
                    each.unlink()

    def _demand_room(self, file: File, part: Path) -> None:
        """There must be room for it, for the helper's copy and for what it unpacks, and some for events: they need
        the disk more. Raises OSError.
        """
        needs = (2 + _UNPACKED) * file.size - (part.stat().st_size if part.exists() else 0) + _RESERVE
        if (free := shutil.disk_usage(self._folder).free) < needs:
            raise OSError(errno.ENOSPC, f"the disk has {free >> 20} MB free, {needs >> 20} MB are needed")

    def _bring(self, release: Release, file: File, part: Path) -> bool:
        """From a stick, else from the addresses one after the other, from where it broke off. What is not what was
        signed keeps nobody from the next one. False: we are to stop. Raises BadDownload, OSError.
        """
        name = f"gatepost-release_{release.version}_{ARCHITECTURES[platform.machine()]}.deb"
        for place in STICKS:
            for found in (*Path(place).glob(name), *Path(place).glob(f"*/{name}")):
                if _is_signed(found, file) and self._copy(found, file.size, part):
                    return True
        if self._stopping.is_set():
            return False
        fault = base_download.BadDownload("it names no address, and there is no stick with it")
        for url in file.urls:
            try:
                if self._download_whole(url, file, part):
                    return True
                if self._stopping.is_set():
                    return False
                fault = base_download.BadDownload(f"{url} serves what is not what was signed")
            except base_download.BadDownload as error:
                fault = base_download.BadDownload(f"{url} {error}")
        raise fault

    def _download_whole(self, url: str, file: File, part: Path) -> bool:
        """Whether the file is here as it was signed. What another address began may be what is wrong with it: then
        once more from the beginning. Raises BadDownload, OSError.
        """
        goes_on = part.exists()
        self._download(url, file.size, part)
        if self._stopping.is_set():
            return False
        if _digest(part) == file.sha256:
            return True
        part.unlink()
        return goes_on and self._download_whole(url, file, part)

    def _download(self, url: str, size: int, part: Path) -> None:
        context = base_download.context(self._ca_file)
        with part.open("ab") as out:
            at = out.tell()
            if at >= size:
                return
            with base_download.download(base_download.opener(context), url, at) as answer:
                self._fill(out, at, size, answer.read)

    def _copy(self, found: Path, size: int, part: Path) -> bool:
        """Whether all of it is here: a stick that is pulled out meanwhile is as none. Raises OSError when the disk
        is full.
        """
        try:
            with found.open("rb") as stick, part.open("wb") as out:
                self._fill(out, 0, size, lambda at, end: stick.read(end - at))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            part.unlink(missing_ok=True)
            return False
        return not self._stopping.is_set()

    def _fill(self, out: BinaryIO, at: int, size: int, read: Callable[[int, int], bytes]) -> None:
        """Write what `read` gives of each range, and have the disk take it in small parts."""
        while at < size and not self._stopping.is_set():
            end = min(size, at + _PIECE)
            out.write(read(at, end))
            if end // _SYNC_EVERY > at // _SYNC_EVERY:
                out.flush()
                os.fdatasync(out.fileno())
            at = end

    def _request(self, release: Release, file: File, package: Path, now_s: float) -> None:
        """The bundle itself is read by the helper, from where it lies. What it does not answer for is asked again,
        more and more seldom: people may have stood at the gate all the time, or the disk was full. A package that
        a bad card has changed since is fetched again: the helper would take it for a wrong release.
        """
        if release.rollout != self._asked:
            self._asked, self._asks, self._ask_s = release.rollout, 0, 0.0
        if now_s < self._ask_s:
            return
        self._ask_s = now_s + min(RETRY_S * 2**self._asks, MOST_RETRY_S)
        if not _is_whole(package, file):
            self._asks += 1
            self._retry_s = self._ask_s
            self._set_fault(f"release {release.version} is damaged on this disk, and is fetched again later")
            with suppress(OSError):
                package.unlink()
            return
        if self._asks:
            why = self._why_postponed(release) or "see journalctl -u gatepost-upgrade"
            self._set_fault(
                f"release {release.version} was asked for {self._asks} times and is not used yet: {why}"
            )
        asked = {"version": release.version, "package": package.name, "digest": release.rollout}
        with suppress(OSError):
            replace_file(self._request_file, (json.dumps(asked).encode(),))
            log.info("release %s is here: root's helper is asked to use it", release.version)
            self._asks += 1

    # -- what came of it

    def _pass_on(self) -> None:
        """Make an event of the helper's last notice, once."""
        try:
            text = read_bytes(self._notice, MOST_TEXT_BYTES)
            told = self._folder / "told"
            if told.exists() and read_bytes(told, MOST_TEXT_BYTES) == text:
                return
            plain = json.loads(text)
            kind, detail = plain["type"], f"{plain['version']}: {plain['detail']}".rstrip(": ")
            if kind not in ("release_applied", "release_rejected", "release_rolled_back"):
                return
            self._folder.mkdir(exist_ok=True)
            replace_file(told, (text,))
        except (OSError, ValueError, KeyError, TypeError):
            return
        self._record(AgentChange(kind, __version__, detail=detail))

    def _set_fault(self, fault: str) -> None:
        if fault and fault != self.fault:
            log.warning("%s", fault)
        self.fault = fault


def _read(file: Path) -> dict[str, Any]:
    """What root's helper has written; empty when there is nothing."""
    try:
        return dict(json.loads(read_bytes(file, MOST_TEXT_BYTES)))
    except (OSError, ValueError, TypeError):
        return {}


def _is_signed(found: Path, file: File) -> bool:
    """Whether a file on a stick is what was signed; one that cannot be read is as none."""
    with suppress(OSError):
        return found.stat().st_size == file.size and _digest(found) == file.sha256
    return False


def _is_whole(package: Path, file: File) -> bool:
    try:
        return _digest(package) == file.sha256
    except OSError as error:  # where the machine cannot tell, root's helper will
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def _digest(file: Path) -> str:
    """SHA-256, hexadecimal. Raises OSError."""
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
