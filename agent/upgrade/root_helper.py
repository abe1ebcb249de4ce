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

For its own service, `gatepost-release.service`:

    gatepost-release boot               before the agent starts: a release on trial that was started too often goes
    gatepost-release upgrade            what the agent has fetched and asks for: verify, install, use
    gatepost-release watch              until the release on trial has passed or failed

A release that takes another's place is on trial. It passes when the service has been well for 30 s: it runs, it is
the release that it should be, it has no problem that the one before had not, and it takes no more memory
than it may. It fails when it falls three times, ends for good, is not ready after 60 s, or has not been well after
180 s; then the one before is back, and `list` says why. A power cut changes nothing of that.

A release that was fetched is switched to when nobody has waited at a lane for 5 s, by the agent's report. When
there is somebody for 10 min, another program installs packages, or the machine cannot just now (no room, no memory,
an interrupted dpkg), nothing is switched: the agent asks again later. Only what is wrong with the release is a
refusal. `use` and a package switch at once.

| what | where |
|---|---|
| a release | `/usr/lib/gatepost/releases/VERSION` |
| the one in use | `/usr/lib/gatepost/current`, a link |
| the one before, and what this program must remember | `/var/lib/gatepost-release/state.json` |
| what came of the last one, for the agent | `/var/lib/gatepost-release/notice.json` |
| why the last one waits, for the agent | `/var/lib/gatepost-release/postponed.json` |
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]*")
_CHECK_S = 120.0
_USAGE = 2
TRIES = 3
WELL_S, READY_S, TRIAL_S = 30.0, 60.0, 180.0
"""A slow card needs half a minute to load a release that was never loaded before."""
_LOOK_S, _STALE_S = 2.0, 15.0
GAP_S, MOST_WAIT_S = 5.0, 600.0
"""Nobody has waited at a lane for so long; after so long in which that never was, the switch is put off."""
_MOST_MEMORY = 0.9
_MOST_REFUSED, _MOST_DETAIL = 20, 300
_MOST_ROOTS = 200
_MOST_BYTES, _PIECE = 1 << 30, 1 << 20
_INSTALL_S = 900.0
_UPGRADING = "GATEPOST_UPGRADING"
"""Set while this program has a release installed: the package's script leaves the choice to it."""
_UNPACKED, _ROOM = 6, 16 << 20
"""A package takes so many times its size, a self-test so many bytes."""
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors that say something of the machine, and nothing of a release."""
_TORN = {"unpacked", "half-installed", "half-configured"}
_UNFINISHED = {*_TORN, "triggers-awaited", "triggers-pending"}
"""What dpkg says of a package of which it was interrupted; whose files may not all be there."""


class UpgradeError(Exception):
    """What was asked is not done; what was in use stays. `str()` is one sentence."""


class PostponedError(UpgradeError):
    """Nothing is wrong with what was asked, but now is not the moment. `str()` says why."""


def refusal(why: str, said: str, code: int = 1) -> UpgradeError:
    """What it means that a program has ended with `code` and said something of a release: that it is wrong, or that
    the machine is in no condition to tell.
    """
    signals = {-signal.SIGKILL, -signal.SIGTERM, os.EX_TEMPFAIL}
    passes = code in signals or "killed by signal (Killed)" in said or "MemoryError" in said
    passes = passes or any(os.strerror(number) in said for number in _MACHINE)
    return (PostponedError if passes else UpgradeError)(why)


@dataclass(frozen=True, slots=True)
class ReleaseTrial:
    """A release that has to show that everything works with it."""

    version: str
    before: str
    """The one to go back to."""
    problems: tuple[str, ...] = ()
    """What was wrong before it came."""
    boots: int = 0
    """Starts of the machine so far."""


@dataclass(frozen=True, slots=True)
class HelperState:
    """What is remembered from run to run. A file that is lost or damaged is an empty one."""

    previous: str = ""
    """The release that was in use before the one that is."""
    trial: ReleaseTrial | None = None
    bundle: int = 0
    """Version of the release bundle that was used last: none before it counts."""
    digest: str = ""
    """Of the rollout that the release on trial came by; empty for one that somebody installed."""
    done: tuple[str, ...] = ()
    """Digests of rollouts that are not tried again."""
    refused: tuple[tuple[str, str], ...] = ()
    """Releases that failed, and why."""

    def passed(self) -> HelperState:
        """The release on trial has shown that it works."""
        return replace(self, trial=None)

    def failed(self, why: str) -> HelperState:
        """It has not."""
        if self.trial is None:
            return self
        others = tuple(each for each in self.refused if each[0] != self.trial.version)
        return replace(self, trial=None, refused=(*others, (self.trial.version, why))[-_MOST_REFUSED:])


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at the service shows."""

    active: bool = False
    failed: bool = False
    """systemd has given it up (a wrong configuration), or it was stopped."""
    falls: int = 0
    """Since it was started for the trial."""
    version: str = ""
    """That the status report names; empty when there is none, or an old one."""
    problems: frozenset[str] = frozenset()
    memory_share: float = 0.0
    """Of what the service may take."""


def is_well(sight: Sight, trial: ReleaseTrial) -> bool:
    """Whether everything works that worked before."""
    new = sight.problems - set(trial.problems)
    return sight.active and sight.version == trial.version and not new and sight.memory_share < _MOST_MEMORY


def verdict(trial: ReleaseTrial, sight: Sight, elapsed_s: float, well_s: float) -> str | None:
    """`` when the trial is passed, why when it has failed, None while there is still hope.

    `elapsed_s` since it began, `well_s` since everything has been well (0: it is not).
    """
    if sight.falls >= TRIES:
        return f"it fell {sight.falls} times"
    if sight.failed:
        return "the service has ended for good"
    if well_s >= WELL_S:
        return ""
    if sight.version != trial.version and elapsed_s >= READY_S:
        return f"it was not ready within {READY_S:.0f} s"
    if elapsed_s < TRIAL_S or (well_s > 0 and elapsed_s < TRIAL_S + WELL_S):
        return None
    reasons = sorted(sight.problems - set(trial.problems))
    if sight.memory_share >= _MOST_MEMORY:
        reasons.insert(0, "it takes too much memory")
    return f"not well within {TRIAL_S:.0f} s: {', '.join(reasons) or 'it does not stay well'}"


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
    def on_trial(self) -> Path:
        """There while a release is on trial: what starts the watching service."""
        return self.root / "var/lib/gatepost-release/trial"

    @property
    def notice(self) -> Path:
        """What came of the last release, for the agent to pass on."""
        return self.root / "var/lib/gatepost-release/notice.json"

    @property
    def postponed(self) -> Path:
        """Why what was asked last is put off, for the agent to report."""
        return self.root / "var/lib/gatepost-release/postponed.json"

    @property
    def incoming(self) -> Path:
        """What was asked for, while it is looked at."""
        return self.root / "var/lib/gatepost-release/incoming"

    @property
    def agent(self) -> Path:
        """Where the agent keeps what it writes."""
        return self.root / "var/lib/gatepost"

    @property
    def status(self) -> Path:
        """What the running agent says of itself."""
        return self.root / "run/gatepost/status.json"

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

    def state(self) -> HelperState:
        """What is remembered."""
        try:
            plain = json.loads(self.layout.state.read_bytes())
            trial = plain.get("trial")
            made = ReleaseTrial(**{**trial, "problems": tuple(trial["problems"])}) if trial else None
            refused = tuple((str(version), str(why)) for version, why in plain.get("refused", ()))
            return HelperState(
                str(plain["previous"]),
                made,
                int(plain["bundle"]),
                str(plain["digest"]),
                tuple(plain["done"]),
                refused,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return HelperState()

    def remember(self, state: HelperState) -> None:
        """Write it down, whole and durably. Raises OSError."""
        write_file(self.layout.state, json.dumps(asdict(state)).encode())

    def demand_installed(self, version: str) -> None:
        """Raises UpgradeError when there is no such release here."""
        if not _VERSION.fullmatch(version) or version not in self.installed():
            raise UpgradeError(
                f"release {version} is not installed; there are {', '.join(self.installed()) or 'none'}"
            )

    def use(self, version: str) -> None:
        """Make `current` name this release. A power cut leaves the old link or the new one. Raises UpgradeError."""
        self.demand_installed(version)
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
        """Why this release should not be used here; empty when it may. What the release in use finds wrong with the
        configuration as well is no fault of the new one.
        """
        tests = [["--version"], ["selftest"]]
        if self.layout.configuration.exists():
            tests.insert(1, ["check", "--config", str(self.layout.configuration)])
        for words in tests:
            faults = self._faults(version, words)
            if faults and words[0] == "check" and self.current() in self.installed():
                known = {place_of(line) for line in self._faults(self.current(), words)}
                faults = [line for line in faults if place_of(line) not in known]
            if faults:
                return "\n".join(faults)
        return ""

    def _faults(self, version: str, words: list[str]) -> list[str]:
        """What a command of a release says when it does not succeed; nothing when it does."""
        program = str(self.layout.releases / version / "bin/gatepost")
        try:
            done = subprocess.run(
                [program, *words], capture_output=True, text=True, errors="backslashreplace",
                timeout=_CHECK_S, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return [f"it cannot be run: {error}"]
        if done.returncode == -signal.SIGKILL:
            raise PostponedError(
                f"`{words[0]}` of release {version} was killed: there was too little memory for it"
            )
        unknown = done.returncode == _USAGE and "no command" in done.stderr  # from before there was a self-test
        if done.returncode == 0 or unknown:
            return []
        return done.stderr.strip().splitlines() or [f"`{words[0]}` ended with {done.returncode}"]


def place_of(line: str) -> str:
    """Where a line of `check` finds a fault (file, line and setting); of the line that counts them, what it is. A
    release may word the same fault otherwise, or find fewer.
    """
    return ": ".join(line.split(": ")[:2]) if ": " in line else re.sub(r"^\d+ faults?\b", "faults", line)


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


def systemctl(layout: Layout, *words: str) -> str:
    """What systemctl prints; nothing where this machine has not been started by systemd."""
    if layout != Layout() or not Path("/run/systemd/system").is_dir():
        return ""
    return subprocess.run(
        ["/usr/bin/systemctl", *words], check=False, capture_output=True, text=True, errors="backslashreplace"
    ).stdout


def restart(layout: Layout) -> None:
    """Restart the service if it runs; waits for nothing."""
    systemctl(layout, "try-restart", "--no-block", "gatepost.service")


def hand_over(layout: Layout) -> None:
    """Have the agent load the release that the link names now, and let it take over: a gate is away for less than
    by a restart. Waits for nothing. The count of falls begins at 0, as it does by a restart.
    """
    systemctl(layout, "reset-failed", "gatepost.service")
    systemctl(layout, "kill", "--kill-whom=main", "--signal=HUP", "gatepost.service")


def is_running(layout: Layout) -> bool:
    """Whether the service runs, or tries to."""
    return systemctl(layout, "is-active", "gatepost.service").strip() in {"active", "activating", "reloading"}


def inspect(layout: Layout) -> Sight:
    """The service as it is now."""
    names = "ActiveState,NRestarts,MemoryCurrent,MemoryHigh,MainPID"
    lines = systemctl(layout, "show", "gatepost.service", f"--property={names}").splitlines()
    unit = dict(line.partition("=")[::2] for line in lines)
    used, most, pid = (
        int(unit.get(name, "")) if unit.get(name, "").isdecimal() else 0
        for name in ("MemoryCurrent", "MemoryHigh", "MainPID")
    )
    if unit.get("MemoryCurrent") == "[not set]":  # a Pi's kernel counts memory only when it is told to
        used = resident(pid)
    version, problems = report(layout)
    return Sight(
        unit.get("ActiveState") == "active", unit.get("ActiveState") in {"failed", "inactive"},
        int(unit.get("NRestarts") or 0), version, problems, used / most if most else 0.0,
    )  # fmt: skip


def resident(pid: int) -> int:
    """Bytes of memory that a process has; 0 when there is none."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def fresh_status(layout: Layout) -> dict[str, Any]:
    """What the running agent says of itself; empty when it does not, or no longer."""
    try:
        if time.time() - layout.status.stat().st_mtime > _STALE_S:
            return {}
        return dict(json.loads(layout.status.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def report(layout: Layout) -> tuple[str, frozenset[str]]:
    """(version, problems) of the running agent; empty when it does not say."""
    plain = fresh_status(layout)
    try:
        found = {
            f"{each['code']} {each.get('part', '')}".strip()
            for each in plain.get("problems", ())
            if each.get("severity") != "warning"
        }
        return str(plain["version"]), frozenset(found)
    except (TypeError, KeyError, AttributeError):
        return "", frozenset()


def wait_until_quiet(
    layout: Layout, pause: Callable[[float], object] = time.sleep, now: Callable[[], float] = time.monotonic
) -> bool:
    """Wait until nobody stands at a gate. False: there was somebody all the time, and it is to be tried later. An
    agent that does not run, or does not say, serves nobody.
    """
    until_s = now() + MOST_WAIT_S
    while isinstance(quiet_s := fresh_status(layout).get("quiet_s"), int | float) and quiet_s < GAP_S:
        if now() >= until_s:
            return False
        pause(1.0)
    return True


# ---- what can be asked


def show(releases: Releases) -> None:
    """Print the releases, the oldest first."""
    for version in releases.installed():
        note = "  in use" if version == releases.current() else ""
        state = releases.state()
        note += ", on trial" if state.trial is not None and state.trial.version == version else ""
        note = note or ("  the one before" if version == state.previous else "")
        failed = dict(state.refused).get(version, "")
        print(f"{version}{note}{f'  taken back: {failed}' if failed else ''}")


def switch(releases: Releases, version: str) -> None:
    """Use a release, on trial while the service runs. Raises UpgradeError when it does not accept what is here."""
    demand_accepted(releases, version)
    activate(releases, version)


def demand_accepted(releases: Releases, version: str) -> None:
    """Raises UpgradeError when a release does not accept what is here."""
    if version in releases.installed() and (why := releases.why_not(version)):
        raise refusal(
            f"release {version} is not used: it does not accept the configuration, or fails its self-test;"
            f" {releases.current()} stays.\n{why}",
            why,
        )


def activate(releases: Releases, version: str, rollout: str = "") -> None:
    """Restart the service with a release, on trial while it runs. Raises UpgradeError when it is not installed.
    `rollout`: digest of the one by which it came; empty when somebody installed it.
    """
    releases.demand_installed(version)
    give_up_trial(releases, version)
    layout, trial = releases.layout, trial_of(releases, version)
    if trial is not None and is_running(layout):
        begin_trial(releases, trial, rollout)
    else:
        forget_trial(releases)
    releases.use(version)
    print(f"gatepost: release {version} is in use")
    hand_over(layout)
    # it comes before the agent when the machine starts; here nobody at the gate waits for it
    systemctl(layout, "restart", "--no-block", "--job-mode=ignore-dependencies", "gatepost-release.service")


def trial_of(releases: Releases, version: str) -> ReleaseTrial | None:
    """The trial that a release has to pass here; None for the one that is known to work. What comes while another
    is on trial goes back to what was good before both.
    """
    now = releases.state().trial
    if now is not None:
        before, problems = now.before, now.problems
    else:
        before, problems = releases.current(), tuple(sorted(report(releases.layout)[1]))
    if version == before or before not in releases.installed():
        return None
    return ReleaseTrial(version, before, problems)


def forget_trial(releases: Releases) -> None:
    """There is none any more, if there was one."""
    releases.remember(replace(releases.state(), trial=None, digest=""))
    releases.layout.on_trial.unlink(missing_ok=True)


def give_up_trial(releases: Releases, version: str) -> None:
    """Somebody chooses this release while another that was sent is on trial: that one is not tried again."""
    state = releases.state()
    if state.trial is not None and state.digest and state.trial.version != version:
        why = f"somebody has chosen release {version}"
        notify(releases, "release_rolled_back", state.trial.version, why, state.digest)


def begin_trial(releases: Releases, trial: ReleaseTrial, rollout: str = "") -> None:
    """Remember it before anything changes: whatever happens then, the one before comes back."""
    refused = tuple(each for each in releases.state().refused if each[0] != trial.version)
    now = releases.state()
    kept = now.digest if now.trial is not None and now.trial.version == trial.version else ""
    releases.remember(replace(now, trial=trial, refused=refused, digest=rollout or kept))
    write_file(releases.layout.on_trial, trial.version.encode())


def end_trial(releases: Releases, why: str) -> None:
    """`why` is empty: it has passed. Else the release before is in use again."""
    state = releases.state()
    if state.trial is not None and why:
        releases.use(state.trial.before)
        releases.remember(replace(state.failed(why), previous=""))
        notify(releases, "release_rolled_back", state.trial.version, why, state.digest)
        print(f"gatepost: release {state.trial.version} is taken back: {why}", flush=True)
        restart(releases.layout)
        systemctl(releases.layout, "start", "--no-block", "gatepost.service")
    elif state.trial is not None:
        releases.remember(replace(state.passed(), previous=state.trial.before))
        notify(releases, "release_applied", state.trial.version, "", state.digest)
        print(f"gatepost: release {state.trial.version} works and is kept", flush=True)
        remove_old(releases)
    releases.layout.on_trial.unlink(missing_ok=True)


def remove_old(releases: Releases) -> None:
    """Have dpkg remove every release but the one in use and the one before it, which is pinned. What no package has
    brought, or dpkg cannot remove now, stays.
    """
    keep = {releases.current(), releases.state().previous}
    for version in releases.installed():
        if version in keep:
            continue
        words = ["dpkg", f"--root={releases.layout.root}", "--purge", f"gatepost-release-{version}"]
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(words, check=False, capture_output=True, timeout=_INSTALL_S)
            if done.returncode == 0:
                print(f"gatepost: release {version} is removed", flush=True)


def notify(releases: Releases, kind: str, version: str, detail: str, rollout: str) -> None:
    """Tell the agent what came of a release. The rollout by which it came, if any, is not tried again."""
    state = releases.state()
    others = tuple(each for each in state.done if each != rollout)
    done = (*others, rollout)[-_MOST_REFUSED:] if rollout else state.done
    releases.remember(replace(state, done=done, digest=""))
    write_for_agent(
        releases.layout.notice, {"type": kind, "version": version, "detail": detail[:_MOST_DETAIL], "done": done}
    )


def postpone(releases: Releases, version: str, why: str, rollout: str) -> None:
    """Nothing is done; the agent may say why, and ask again. A full disk takes not even that."""
    print(f"gatepost: release {version} waits: {why}", flush=True)
    with suppress(OSError):
        write_for_agent(
            releases.layout.postponed, {"version": version, "digest": rollout, "detail": why[:_MOST_DETAIL]}
        )


def write_for_agent(file: Path, plain: dict[str, Any]) -> None:
    """Leave a word for the agent, which may read it and no more. Raises OSError."""
    write_file(file, json.dumps(plain).encode())
    file.chmod(0o644)
    file.parent.chmod(0o755)


def upgrade(releases: Releases) -> None:
    """Use what the agent has fetched, if it holds. What is wrong with it is said, and it is not looked at again;
    what is wrong with the machine puts it off.
    """
    layout = releases.layout
    asked = layout.agent / "upgrade/request.json"
    version, rollout = "?", ""
    shutil.rmtree(layout.incoming, ignore_errors=True)
    layout.postponed.unlink(missing_ok=True)
    try:
        if releases.state().trial is None:
            plain = json.loads(copy_beyond_reach(asked, layout.incoming / "request.json").read_bytes())
            version, rollout = str(plain["version"])[:64], str(plain["digest"])[:64]
            found = verified(releases, *copy_asked(layout, Path(str(plain["package"])).name))
            version, rollout = found["version"], found["digest"]
            releases.remember(replace(releases.state(), bundle=found["bundle"]))
            bring_into_use(releases, found)
    except PostponedError as error:
        postpone(releases, version, str(error), rollout)
    except (OSError, subprocess.TimeoutExpired) as error:
        postpone(releases, version, f"the machine cannot do it now: {error}", rollout)
    except (UpgradeError, ValueError, KeyError, TypeError) as error:
        print(f"gatepost: release {version} is not used: {error}", file=sys.stderr)
        lines = str(error).splitlines() or [type(error).__name__]
        notify(releases, "release_rejected", version, (lines[1:] or lines)[0], rollout)
    finally:
        shutil.rmtree(layout.incoming, ignore_errors=True)
        asked.unlink(missing_ok=True)  # last: what a power cut leaves is found when it is looked at again


def copy_asked(layout: Layout, name: str) -> tuple[Path, Path]:
    """The package and the folder of bundles, where the agent cannot change them. Raises UpgradeError, OSError."""
    asked = layout.agent / "upgrade" / name
    demand_room(layout.incoming, asked.lstat().st_size + _ROOM)  # events need the disk more
    package = copy_beyond_reach(asked, layout.incoming / "release.deb")
    store = layout.incoming / "bundles"
    roots = sorted((layout.agent / "bundles").glob("root-*.bundle"))[-_MOST_ROOTS:]
    for each in ("release.bundle", "root.bundle", *(path.name for path in roots)):
        copy_beyond_reach(layout.agent / "bundles" / each, store / each)
    return package, store


def bring_into_use(releases: Releases, found: dict[str, Any]) -> None:
    """Install and use what was verified, when nobody stands at a gate. Raises UpgradeError, OSError."""
    version, rollout = found["version"], found["digest"]
    if not found.get("permille", 1):
        raise PostponedError("its rollout was stopped")
    install(releases, releases.layout.incoming / "release.deb", version)
    demand_accepted(releases, version)
    if not wait_until_quiet(releases.layout):
        raise PostponedError(f"people were at the gate for {MOST_WAIT_S / 60:.0f} min")
    demand_newest(releases.layout)
    activate(releases, version, rollout)
    if releases.state().trial is None:
        notify(releases, "release_applied", version, "", rollout)


def demand_newest(layout: Layout) -> None:
    """The bundle by which a release came is still the newest: one that stops the rollout may have come while people
    were at the gate. Raises UpgradeError, OSError.
    """
    used = layout.incoming / "bundles/release.bundle"
    newest = copy_beyond_reach(layout.agent / "bundles/release.bundle", layout.incoming / "newest.bundle")
    if newest.read_bytes() != used.read_bytes():
        raise PostponedError("another release bundle has come meanwhile")


def copy_beyond_reach(source: Path, target: Path) -> Path:
    """Copy a file of the agent's to where it can neither change nor read it: a folder of the agent's may be a link
    to one of root's. A link in the file's own place is not followed, and no more than a release has is read. Raises
    UpgradeError, OSError.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise UpgradeError(f"{source} is no file of up to {_MOST_BYTES} bytes")
        for folder in reversed((target.parent, *target.parent.parents)):
            folder.mkdir(mode=0o700, exist_ok=True)
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(made, "wb") as out:
            left = found.st_size  # it may grow meanwhile
            while left > 0 and (piece := opened.read(min(left, _PIECE))):
                left -= out.write(piece)
    return target


def verified(releases: Releases, package: Path, store: Path) -> dict[str, Any]:
    """What the release in use, never the new one, finds of it. Raises UpgradeError, OSError, TimeoutExpired."""
    layout, current = releases.layout, releases.current()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "?")
    words = [
        "--trusted",
        str(layout.state.with_name("root.bundle")),
        "--store",
        str(store),
        "--package",
        str(package),
    ]
    words += ["--architecture", machine, "--floor", str(releases.state().bundle)]
    done = subprocess.run(
        [layout.releases / current / "bin/gatepost", "upgrade", "verify", *words],
        capture_output=True, text=True, errors="backslashreplace",
        timeout=_CHECK_S, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip() or "it could not be verified"
        raise refusal(said, said, done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def install(releases: Releases, package: Path, version: str) -> None:
    """Have dpkg install a package, which must be the one of that release and nothing else. Raises UpgradeError, and
    PostponedError when it is the machine that cannot: another program, such as apt, installs something, there is no
    room, or dpkg was interrupted and cannot go on. Raises OSError, TimeoutExpired.
    """
    asked = ["dpkg-deb", "--field", str(package), "Package"]
    read = subprocess.run(
        asked, capture_output=True, text=True, errors="backslashreplace", check=False, timeout=_CHECK_S
    )
    if (name := read.stdout.strip()) != f"gatepost-release-{version}":
        why = f"the package is {name or 'none'}, not gatepost-release-{version}"
        raise refusal(why, read.stderr, read.returncode)
    demand_room(releases.layout.releases, _UNPACKED * package.stat().st_size)
    demand_room(Path(tempfile.gettempdir()), _ROOM)
    root = releases.layout.root
    with (root / "var/lib/dpkg/lock-frontend").open("ab") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise PostponedError("another program installs packages") from None
        if unfinished(root):  # a power cut while apt or this program installed: what we need may be among it
            dpkg(root, "--configure", "-a")
            purge_torn(releases, but=name)
        done = dpkg(root, "-i", str(package))
        if done.returncode:
            purge_torn(releases)
            said = done.stderr.strip()
            why = f"dpkg could not install it: {reason_of(said)}"
            if (left := unfinished(root)) and "dependency problems" in said:
                raise PostponedError(
                    f"{why}; dpkg was interrupted with {', '.join(left[:3])}: sudo dpkg --configure -a"
                )
            raise refusal(why, said, done.returncode)


def demand_room(folder: Path, least: int) -> None:
    """Raises PostponedError where the disk has less than so many bytes free."""
    if (free := shutil.disk_usage(folder).free) < least:
        raise PostponedError(f"{folder} has {free // 1_000_000} MB free, {least // 1_000_000} MB are needed")


def dpkg(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it as the program that holds the lock of its frontends. Raises TimeoutExpired."""
    own = {_UPGRADING: "1", "DEBIAN_FRONTEND": "noninteractive", "DPKG_FRONTEND_LOCKED": "1", "LC_ALL": "C"}
    return subprocess.run(
        ["dpkg", f"--root={root}", "--force-confold", *words],
        capture_output=True, text=True, errors="backslashreplace", check=False,
        timeout=_INSTALL_S, env={**os.environ, **own}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def purge_torn(releases: Releases, but: str = "") -> None:
    """Remove releases that dpkg has installed by half: apt would do nothing until somebody brings them again. One
    that is whole stays, also when it could not be installed once more, and so does the one that runs. Raises
    TimeoutExpired.
    """
    root = releases.layout.root
    for name in unfinished(root, _TORN):
        if name.startswith("gatepost-release-") and name not in (but, f"gatepost-release-{releases.current()}"):
            dpkg(root, "--purge", "--force-remove-reinstreq", name)


def reason_of(said: str) -> str:
    """The sentence in what dpkg says: it indents its reasons, and lists the packages at the end."""
    lines = said.partition("\nErrors were encountered")[0].splitlines()
    return " ".join(line.strip() for line in lines if line.startswith(" ")) or said


def unfinished(root: Path, statuses: Collection[str] = _UNFINISHED) -> list[str]:
    """Packages of which dpkg was interrupted. Raises TimeoutExpired."""
    words = ["dpkg-query", f"--root={root}", "--show", "--showformat=${db:Status-Status} ${Package}\n"]
    found = subprocess.run(
        words, capture_output=True, text=True, errors="backslashreplace", check=False, timeout=_CHECK_S
    ).stdout
    each = (line.partition(" ") for line in found.splitlines())
    return [name for status, _, name in each if status in statuses]


def on_boot(releases: Releases) -> None:
    """Count the starts of the machine with a release on trial: one that never gets as far as its verdict goes."""
    trial = releases.state().trial
    if trial is None:
        releases.layout.on_trial.unlink(missing_ok=True)
    elif trial.boots >= TRIES:
        end_trial(releases, f"the machine was started {trial.boots} times while it was on trial")
    else:
        releases.remember(replace(releases.state(), trial=replace(trial, boots=trial.boots + 1)))


def watch(releases: Releases) -> None:
    """Look at the service until the release on trial has passed or failed."""
    began_s = time.monotonic()
    well_since_s: float | None = None
    ended = False
    while (trial := releases.state().trial) is not None:
        now_s, sight = time.monotonic(), inspect(releases.layout)
        ended, sight = (
            sight.failed,
            replace(sight, failed=sight.failed and ended),
        )  # twice: it may be between two starts
        well_since_s = (well_since_s or now_s) if is_well(sight, trial) else None
        why = verdict(trial, sight, now_s - began_s, now_s - well_since_s if well_since_s else 0.0)
        if why is not None:
            end_trial(releases, why)
        else:
            time.sleep(_LOOK_S)


def go_back(releases: Releases) -> None:
    """Use the release before. Raises UpgradeError when there is none."""
    previous = releases.state().previous
    if not previous:
        raise UpgradeError("there is no release before this one")
    releases.demand_installed(previous)
    give_up_trial(releases, previous)
    forget_trial(releases)
    releases.use(previous)
    print(f"gatepost: release {previous} is in use; the same again goes forward")
    restart(releases.layout)


def on_installed(releases: Releases, version: str) -> None:
    """A package has brought a release. Never fails: a package that is half configured blocks the next one."""
    if not releases.current() or not (releases.layout.releases / releases.current()).exists():
        releases.use(version)
        return
    if _UPGRADING in os.environ:
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
    """A release goes: use the one before, else the newest of the others. A trial ends when there is nothing left to
    go back to.
    """
    trial = releases.state().trial
    if trial is not None and trial.before == version:
        forget_trial(releases)
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
    ("boot", 0): on_boot,
    ("watch", 0): watch,
    ("upgrade", 0): upgrade,
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
