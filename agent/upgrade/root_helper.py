#!/usr/bin/python3 -I
"""Choose the release that the service runs. Root's own program: the system's Python, its standard library, no more.

It belongs to the package `gatepost`, not to a release: what puts a release in force, and takes it back, is never a
part of that release.

    gatepost-release list               the releases on this machine
    gatepost-release use VERSION        this one, from now on; the service is restarted
    gatepost-release back               the one before

For the packages' own scripts:

    gatepost-release installed VERSION  a package brought this one: use it if it accepts the configuration
    gatepost-release choose             use the newest if none is in use
    gatepost-release removing VERSION   its package goes: use another
    gatepost-release compile            all of them, for the Python that is here now

| what | where |
|---|---|
| a release | `/usr/lib/gatepost/releases/VERSION` |
| the one in use | `/usr/lib/gatepost/current`, a link |
| the one before, and what this program must remember | `/var/lib/gatepost-release/state.json` |
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]*")
_CHECK_S = 120.0
"""A slow card needs half a minute to load a release that was never loaded before."""


class UpgradeError(Exception):
    """What was asked is not done; what was in use stays. `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from run to run. A file that is lost or damaged is an empty one."""

    previous: str = ""
    """The release that was in use before the one that is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies; another `root` for tests and images."""

    root: Path = Path("/")

    @property
    def releases(self) -> Path:
        """Folder of all releases."""
        return self.root / "usr/lib/gatepost/releases"

    @property
    def current(self) -> Path:
        """Link to the release in use."""
        return self.root / "usr/lib/gatepost/current"

    @property
    def state(self) -> Path:
        """What is remembered."""
        return self.root / "var/lib/gatepost-release/state.json"

    @property
    def configuration(self) -> Path:
        """Of the agent."""
        return self.root / "etc/gatepost/agent.toml"


class Releases:
    """The releases of one machine."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()

    def installed(self) -> list[str]:
        """Versions on this machine, the oldest first."""
        try:
            names = [folder.name for folder in self.layout.releases.iterdir() if (folder / "bin/gatepost").exists()]
        except FileNotFoundError:
            return []
        return sorted(names, key=order_of)

    def current(self) -> str:
        """The version in use; empty when none is."""
        try:
            return self.layout.current.readlink().name
        except OSError:
            return ""

    def state(self) -> State:
        """What is remembered."""
        try:
            return State(**json.loads(self.layout.state.read_bytes()))
        except (OSError, ValueError, TypeError):
            return State()

    def remember(self, state: State) -> None:
        """Write it down, whole and durably. Raises OSError."""
        write_file(self.layout.state, json.dumps(asdict(state)).encode())

    def use(self, version: str) -> None:
        """Make `current` name this release. A power cut leaves the old link or the new one. Raises UpgradeError."""
        if not _VERSION.fullmatch(version) or version not in self.installed():
            raise UpgradeError(
                f"release {version} is not installed; there are {', '.join(self.installed()) or 'none'}"
            )
        before = self.current()
        if before == version:
            return
        if before in self.installed():
            self.remember(replace(self.state(), previous=before))
        beside = self.layout.current.with_name("current.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"releases/{version}")
        beside.replace(self.layout.current)
        sync(self.layout.current.parent)

    def why_not(self, version: str) -> str:
        """Why this release should not be used with the configuration that is here; empty when it may."""
        program = self.layout.releases / version / "bin/gatepost"
        command = [str(program), "--version"]
        if self.layout.configuration.exists():
            command = [str(program), "check", "--config", str(self.layout.configuration)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_CHECK_S, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"it cannot be run: {error}"
        if done.returncode == 0:
            return ""
        return done.stderr.strip() or f"`{command[1]}` ended with {done.returncode}"


def order_of(version: str) -> list[tuple[int, int, str]]:
    """Sort key of a version: numbers as numbers, `~` before the end, all else after it (as Debian does, nearly)."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    keys = [
        (-1, 0, "") if part == "~" else (1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts
    ]
    return [*keys, (0, 0, "")]


def write_file(file: Path, content: bytes) -> None:
    """Replace a file whole, durably, for root's eyes only. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
    sync(file.parent)


def sync(folder: Path) -> None:
    """Have a folder's entries on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restart(layout: Layout) -> None:
    """Restart the service if it runs."""
    if layout == Layout() and Path("/run/systemd/system").is_dir():
        subprocess.run(["/usr/bin/systemctl", "try-restart", "gatepost.service"], check=False)


# ---- what can be asked


def show(releases: Releases) -> None:
    """Print the releases, the oldest first."""
    for version in releases.installed():
        note = "  in use" if version == releases.current() else ""
        note = note or ("  the one before" if version == releases.state().previous else "")
        print(f"{version}{note}")


def switch(releases: Releases, version: str) -> None:
    """Use a release and restart the service. Raises UpgradeError when it will not have the configuration."""
    if version in releases.installed() and (why := releases.why_not(version)):
        raise UpgradeError(
            f"release {version} is not used: it does not accept the configuration;"
            f" {releases.current()} stays.\n{why}"
        )
    releases.use(version)
    print(f"gatepost: release {version} is in use")
    restart(releases.layout)


def go_back(releases: Releases) -> None:
    """Use the release before. Raises UpgradeError when there is none."""
    previous = releases.state().previous
    if not previous:
        raise UpgradeError("there is no release before this one")
    releases.use(previous)
    print(f"gatepost: release {previous} is in use; the same again goes forward")
    restart(releases.layout)


def on_installed(releases: Releases, version: str) -> None:
    """A package has brought a release. Never fails: a package that is half configured blocks the next one."""
    if not releases.current() or not (releases.layout.releases / releases.current()).exists():
        releases.use(version)
        return
    try:
        switch(releases, version)
    except UpgradeError as error:
        print(
            f"gatepost: {error}\nWhen that is mended: sudo gatepost-release use {version}",
            file=sys.stderr,
        )


def choose(releases: Releases) -> None:
    """Use the newest release if none is in use."""
    found = releases.installed()
    if found and releases.current() not in found:
        releases.use(found[-1])


def on_removing(releases: Releases, version: str) -> None:
    """A release goes: use the one before, else the newest of the others."""
    if releases.current() != version:
        return
    others = [other for other in releases.installed() if other != version]
    if not others:
        releases.layout.current.unlink(missing_ok=True)
        return
    previous = releases.state().previous
    releases.use(previous if previous in others else others[-1])
    print(f"gatepost: release {releases.current()} is in use")
    restart(releases.layout)


def compile_all(releases: Releases) -> None:
    """Compile every release for the Python that is here; one without parts for it says so."""
    for version in releases.installed():
        subprocess.run([releases.layout.releases / version / "bin/compile"], check=False)


_ACTIONS = {
    ("list", 0): show,
    ("use", 1): switch,
    ("back", 0): go_back,
    ("installed", 1): on_installed,
    ("choose", 0): choose,
    ("removing", 1): on_removing,
    ("compile", 0): compile_all,
}


def main(words: list[str]) -> int:
    """0 when it is done, 1 when it is not, 2 for words that mean nothing."""
    action = _ACTIONS.get((words[0], len(words) - 1)) if words else None
    if action is None:
        print((__doc__ or "").partition("\n\n")[2].partition("\n\n|")[0], file=sys.stderr)
        return 2
    try:
        action(Releases(), *words[1:])  # type: ignore[operator] # the table says how many words each takes
    except (UpgradeError, OSError) as error:
        print(f"gatepost: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
