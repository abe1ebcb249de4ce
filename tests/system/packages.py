"""The Debian packages on empty machines: booted with systemd on amd64, emulated for arm64, without a network.

`make deb-test` runs this, `make test` does not; with words of SUITES, PARTS and PURE only that. It needs root,
mmdebstrap and systemd-nspawn, for arm64 also qemu-user-static with binfmt; where one is absent this says so and
ends well. The empty machines are made once by mmdebstrap and kept in GATEPOST_ROOTS (default: .cache/roots);
everything after that is offline.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agent.credentials import bundle
from agent.crypto import signing
from tests.bench.rig import family, memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from agent.crypto.signing import PrivateKey

ROOT = Path(__file__).parents[2]
ROOTS = Path(os.environ.get("GATEPOST_ROOTS", ROOT / ".cache" / "roots"))
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
"""And the Python of each."""
INCLUDED = "python3,libzbar0,systemd,systemd-sysv,udev,dbus,kmod,procps,iproute2,mosquitto,mosquitto-clients"
"""What stands in for Raspberry Pi OS Lite, and a broker to send to."""
CONFIG = """
[kiosk]
id = "empty-card"
[codes]
keys = "issuers.toml"
[checkpoint]
rescan_after_admit_s = 1
passback_window_s = 0
[mqtt]
host = "127.0.0.1"
port = 1883
[lanes.entry]
direction = "entry"
scanner = { driver = "replayed", file = "codes.jsonl", loop = true }
thermometer = { driver = "replayed", file = "skin.jsonl", loop = true }
gate = { driver = "simulated" }
"""
CUTS = int(os.environ.get("GATEPOST_CUTS", "10"))
SEED = int(os.environ.get("GATEPOST_SEED", "2"))
"""Of the random moments: another one for each slice of a long run."""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0"


def missing() -> list[str]:
    """Why nothing of this can be done here."""
    needs = ("mmdebstrap", "systemd-nspawn", "dpkg-deb", "nsenter")
    found = [f"{name} is not installed" for name in needs if shutil.which(name) is None]
    return found if os.geteuid() == 0 else [*found, "this needs root"]


def base(suite: str, architecture: str, more: str = "", following: str = "") -> Path:
    """An empty machine as a tar file, made when it is not there; `more`: packages beside those INCLUDED;
    `following`: the suite after it, whose packages lie ready for `apt-get dist-upgrade`.
    """
    kept = (
        ROOTS
        / f"base-{suite}-{architecture}{more and '-'}{more.replace(',', '-')}{following and '-'}{following}.tar"
    )
    if not kept.exists():
        ROOTS.mkdir(parents=True, exist_ok=True)
        included = INCLUDED.replace("libzbar0", "libzbar0t64") if suite == "trixie" else INCLUDED
        included += more and f",{more}"
        part = kept.with_suffix(".part")
        command = ["mmdebstrap", "--quiet", "--mode=root", "--format=tar", "--variant=minbase"]
        command += [f"--architectures={architecture}", f"--include={included}"]
        if following:
            fetch = f'sed -i s/{suite}/{following}/ "$1/etc/apt/sources.list"'
            fetch += '; export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"'
            fetch += "; apt-get -q update"
            fetch += " && apt-get -q -y -o APT::Install-Recommends=true --download-only dist-upgrade"
            command += ["--skip=cleanup/apt", f"--customize-hook={fetch}"]
        command += [suite, str(part)]
        subprocess.run(command, check=True)
        part.rename(kept)
    return kept


class Found:
    """What holds and what does not, printed as it is found."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.passed = self.failed = 0

    def check(self, claim: str, holds: object, note: object = "") -> None:
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        spent_s = time.monotonic() - self.began_s
        shown = str(note).strip()[-600 if holds else -2000 :]
        print(f"{'pass' if holds else 'FAIL'} {spent_s:6.1f} s  {claim}  {shown}", flush=True)


class Machine:
    """A booted container: systemd as process 1, a network of its own with nothing in it but loopback."""

    def __init__(self, folder: Path, network: str = "") -> None:
        """`network`: the path of a network namespace to share; empty for one of its own."""
        self.folder = folder
        self._network = f"--network-namespace-path={network}" if network else "--private-network"
        self._container: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def start(self, limit_s: float = 60) -> None:
        command = ["systemd-nspawn", "-q", "--register=no", "--keep-unit", self._network, "-b"]
        command += ["--capability=all", "-D", str(self.folder)]
        self._container = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._find_leader, limit_s)
        until(lambda: self.sh("systemctl is-system-running") in {"running", "degraded"}, limit_s)

    def _find_leader(self) -> int:
        assert self._container is not None
        pid = self._container.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    self._leader = int(child)
        return self._leader

    def run(self, command: str, limit_s: float = 120) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", "-t", str(self._leader), "-a", "/bin/sh", "-c", command]
        return subprocess.run(
            words, capture_output=True, text=True, timeout=limit_s, check=False, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip

    def sh(self, command: str, limit_s: float = 120) -> str:
        done = self.run(command, limit_s)
        return (done.stdout + done.stderr).strip()

    def put(self, text: str, place: str, mode: str = "640", group: str = "gatepost") -> None:
        target = self.folder / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        self.sh(f"chgrp {group} {place}; chmod {mode} {place}")

    def cut(self) -> None:
        """Take the power away: every process at once; what the kernel has not written yet is kept, though. Process
        1 ends when all the others have: nothing of them writes any more then.
        """
        if self._container is not None:
            self._container.kill()
            if self._leader:  # 0 would be all of us
                with contextlib.suppress(ProcessLookupError):
                    leader = os.pidfd_open(self._leader)
                    signal.pidfd_send_signal(leader, signal.SIGKILL)
                    select.select([leader], [], [], 60)
                    os.close(leader)
            self._container.wait()
        self._container, self._leader = None, 0

    def processes(self) -> list[int]:
        """All that run there, as this machine numbers them."""
        return family(self._leader)

    def report(self) -> dict[str, Any]:
        text = self.run("cat /run/gatepost/status.json").stdout
        return json.loads(text) if text.startswith("{") else {}


def until(holds: Callable[[], Any], limit_s: float = 60) -> Any:
    end_s = time.monotonic() + limit_s
    while not (found := holds()) and time.monotonic() < end_s:
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def machine(
    suite: str,
    packages: Sequence[Path],
    network: str = "",
    more: str = "",
    following: str = "",
    prepare: Callable[[Path], None] = lambda _: None,
    root: Path | None = None,
) -> Iterator[Machine]:
    """An empty machine with packages in /debs, booted; gone afterwards. `prepare`: its files, before it starts;
    `root`: a tar file of one that is not empty.
    """
    with tempfile.TemporaryDirectory(prefix="gatepost-deb-") as folder:
        root = root or base(suite, "amd64", more, following)
        subprocess.run(["tar", "-C", folder, "--numeric-owner", "-xf", str(root)], check=True)
        for package in packages:
            target = Path(folder) / "debs" / package.parent.name / package.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(package, target)
        (Path(folder) / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        prepare(Path(folder))
        booted = Machine(Path(folder), network)
        try:
            booted.start()
            yield booted
        finally:
            booted.cut()


@contextlib.contextmanager
def installed(suite: str, first: Path) -> Iterator[Machine]:
    """A machine on which the packages were installed; kept beside packages that are kept, as it takes a minute."""
    kept = first.with_name(f"installed-{suite}-{first.name}.tar")
    if not kept.exists():
        with machine(suite, packages_of(first)) as kiosk:
            kiosk.run(f"{APT} install /debs/{first.name}/*.deb", 900)
            kiosk.sh("systemctl stop gatepost")
            kiosk.cut()
            tar = ["tar", "-C", str(kiosk.folder), "--numeric-owner", "--exclude=./debs"]
            subprocess.run([*tar, "-cf", f"{kept}.part", "."], check=True)
            Path(f"{kept}.part").rename(kept)
    with machine(suite, [], root=kept) as kiosk:
        yield kiosk


def packages_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.deb"))


def version_of(packages: Sequence[Path]) -> str:
    return next(path.name.split("_")[1] for path in packages if path.name.startswith("gatepost-release_"))


BROKER = "systemctl stop mosquitto; systemd-run -q --unit=broker mosquitto -c /etc/broker.conf"
SUBSCRIBER = (
    "systemd-run -q --unit=hear sh -c"
    " 'exec mosquitto_sub -h 127.0.0.1 -i hear -c -q 1 -v -t gatepost/# >> /var/tmp/heard'"
)


def configure(kiosk: Machine, *, extra: str = '[codes]\nkeys = "issuers.toml"\n', loop: bool = True) -> None:
    """A kiosk with simulated devices, to which somebody comes every 6 s; beside it a broker, which keeps what
    nobody has fetched yet.
    """
    kiosk.sh(
        "cd /var/tmp && gatepost keys new shop --keys /etc/gatepost/issuers.toml; chgrp gatepost /etc/gatepost/*"
    )
    kiosk.sh("chmod 640 /etc/gatepost/*")
    code = kiosk.sh("cd /var/tmp && gatepost issue --key shop.key --issuer shop --colour green --subject anna")
    shown = [{"s": 1.0 + n / 10, "payload": code.encode().hex()} for n in range(20)]
    shown += [{"s": at_s, "gone": True} for at_s in (3.5, 5.9)]
    skin = [{"s": n / 10, "surface_c": 34.5 + n % 7 / 100 if n < 40 else 22.0, "u_c": 0.2} for n in range(60)]
    for place, kind, driver, items in (
        ("codes.jsonl", "scanners", "replayed", shown),
        ("skin.jsonl", "thermometers", "replayed", skin),
    ):
        head = {"recording": 1, "kind": kind, "driver": driver}
        kiosk.put("".join(json.dumps(item) + "\n" for item in (head, *items)), f"/etc/gatepost/{place}")
    config = CONFIG.replace("loop = true", f"loop = {str(loop).lower()}")
    kiosk.put(config.replace('[codes]\nkeys = "issuers.toml"\n', extra), "/etc/gatepost/agent.toml")
    broker = "listener 1883 127.0.0.1\nallow_anonymous true\npersistence true\n"
    broker += "persistence_location /var/lib/mosquitto/\nmax_queued_messages 0\n"
    kiosk.put(broker + "autosave_on_changes true\nautosave_interval 1\n", "/etc/broker.conf", "644", "root")
    kiosk.sh("mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")
    kiosk.sh(BROKER)
    until(lambda: kiosk.run("mosquitto_pub -h 127.0.0.1 -t up -m up").returncode == 0)
    kiosk.sh(SUBSCRIBER)


def heard(kiosk: Machine, kind: str) -> list[dict[str, Any]]:
    lines = kiosk.run("cat /var/tmp/heard").stdout.splitlines()
    return [json.loads(line.partition(" ")[2]) for line in lines if f"/event/{kind} " in line]


def heard_all(kiosk: Machine) -> list[dict[str, Any]]:
    lines = kiosk.run("cat /var/tmp/heard").stdout.splitlines()
    return [json.loads(line.partition(" ")[2]) for line in lines if "/event/" in line.partition(" ")[0]]


def numbers_heard(kiosk: Machine) -> dict[str, list[int]]:
    """Epoch → sequence of each event at the broker."""
    numbers: dict[str, list[int]] = {}
    for event in heard_all(kiosk):
        numbers.setdefault(event["epoch"], []).append(int(event["sequence"]))
    return numbers


def missing_events(numbers: dict[str, list[int]]) -> dict[str, list[int]]:
    """Epoch → sequences between the first and the last that never came."""
    return {epoch: sorted(set(range(min(each), max(each) + 1)) - set(each)) for epoch, each in numbers.items()}


def start_again(kiosk: Machine) -> None:
    """After a cut: the machine, with time, broker and subscriber as before."""
    kiosk.cut()
    kiosk.start()
    kiosk.sh("mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")
    kiosk.sh(f"{BROKER}; {SUBSCRIBER}")


def installs(found: Found, suite: str, first: Path, second: Path) -> None:
    """From an empty machine to an event at a broker; another release, back, removed, purged."""
    one, two = packages_of(first), packages_of(second)
    with machine(suite, [*one, *two]) as kiosk:
        began_s = time.monotonic()
        done = kiosk.run(f"{APT} install /debs/{first.name}/*.deb", 300)
        taken_s = time.monotonic() - began_s
        found.check(f"{suite}: installs offline", done.returncode == 0, f"{taken_s:.1f} s {done.stderr}")
        found.check(f"{suite}: asks for a configuration", "install.md" in done.stdout)
        waits = until(lambda: "invitation" in kiosk.sh("systemctl status gatepost"), 20)
        found.check(f"{suite}: waits for an invitation", waits, kiosk.sh("systemctl status gatepost | head -8"))
        found.check(f"{suite}: nothing has failed", "0 loaded" in kiosk.sh("systemctl --failed --no-pager"))
        configure(kiosk)
        check = kiosk.run("gatepost check")
        found.check(f"{suite}: check", check.returncode == 0, check.stderr)
        started_s = time.monotonic()
        kiosk.sh("systemctl restart gatepost")
        found.check(f"{suite}: the service runs", kiosk.sh("systemctl is-active gatepost") == "active",
                    kiosk.sh("journalctl -u gatepost -o cat -n 9"))  # fmt: skip
        passages = until(lambda: heard(kiosk, "passage"), 60)
        first_s = time.monotonic() - started_s
        note = f"{first_s:.1f} s after the start, {taken_s + first_s:.1f} s with the installation"
        found.check(f"{suite}: first passage at the broker", passages and taken_s + first_s < 60, note)
        kiosk.sh("cd /var/tmp && gatepost support")
        packed = kiosk.sh("cd /var/tmp && tar -xzOf gatepost-support.tar.gz; rm gatepost-support.tar.gz")
        code = bytes.fromhex(re.findall(r'"payload": "([0-9a-f]+)"', kiosk.sh("cat /etc/gatepost/codes.jsonl"))[0])
        found.check(f"{suite}: the support file tells of passages", '"event": "passage"' in packed, packed[:200])
        personal = [word for word in ("anna", "Anna", code.decode()) if word in packed]
        found.check(f"{suite}: and of nobody", not personal, personal)
        exposure = kiosk.sh("systemd-analyze security gatepost --no-pager | tail -1")
        found.check(f"{suite}: is locked up", float(exposure.split(":")[1].split()[0]) <= 1.5, exposure)

        before = kiosk.sh("sha256sum /etc/gatepost/agent.toml")
        done = kiosk.run(f"{APT} install /debs/{second.name}/*.deb", 300)
        found.check(f"{suite}: a second release", done.returncode == 0, done.stderr)
        found.check(
            f"{suite}: asks nothing, keeps agent.toml", kiosk.sh("sha256sum /etc/gatepost/agent.toml") == before
        )
        found.check(
            f"{suite}: it runs",
            until(lambda: kiosk.report().get("version") == version_of(two)),
            kiosk.sh("gatepost-release list"),
        )
        kiosk.sh("gatepost-release back")
        found.check(f"{suite}: goes back", until(lambda: kiosk.report().get("version") == version_of(one)))
        done = kiosk.run(f"{APT} purge gatepost-release-{version_of(one)}", 300)
        found.check(
            f"{suite}: without the one in use the other runs",
            until(lambda: kiosk.report().get("version") == version_of(two)),
            done.stderr,
        )

        done = kiosk.run(f"{APT} remove gatepost 'gatepost-release-*'", 300)
        found.check(f"{suite}: remove", done.returncode == 0 and "not empty" not in done.stderr, done.stderr)
        found.check(f"{suite}: is stopped", kiosk.sh("systemctl is-active gatepost") != "active")
        done = kiosk.run(f"{APT} purge gatepost 'gatepost-release-*'", 300)
        left = kiosk.sh(
            "find / -xdev -name '*gatepost*' -not -path '/proc/*' -not -path '/debs*' -not -path '/var/log/*'"
            " -not -path '/var/cache/*' -not -path '/etc/gatepost/*' -not -path '/var/lib/gatepost/*'"
            " -not -path '/var/lib/apt/*' -not -path '/run/*'"
        ).split()
        found.check(
            f"{suite}: purge leaves what is the owner's",
            sorted(left) == ["/etc/gatepost", "/var/lib/gatepost"],
            left,
        )
        kept = kiosk.sh("ls /etc/gatepost/agent.toml /var/lib/gatepost/outbox.db").splitlines()
        found.check(f"{suite}: configuration and events are there", len(kept) == 2, kept)


NEXT = {"bookworm": "trixie"}
"""Debian → the one after it."""


def next_debian(found: Found, suite: str, first: Path) -> None:
    """The step to the next Debian, with its other Python, while the service runs: configuration, data and the
    numbers of events are kept. Nothing is tried where there is no next one.
    """
    if suite not in NEXT:
        return
    following, version = NEXT[suite], version_of(packages_of(first))
    step = f"{suite} to {following}"
    with machine(suite, packages_of(first), following=following) as kiosk:
        kiosk.run(f"{APT} install /debs/{first.name}/*.deb", 300)
        configure(kiosk)
        kiosk.sh("systemctl mask mosquitto; systemctl restart gatepost")
        served = until(lambda: heard(kiosk, "passage"))
        found.check(f"{step}: it runs with Python {SUITES[suite]}", served, python_of(kiosk))
        before, began_s = kiosk.sh("sha256sum /etc/gatepost/*"), time.monotonic()
        done = kiosk.run(f"{APT} -o Dpkg::Options::=--force-confold --no-download dist-upgrade", 500)
        note = f"{time.monotonic() - began_s:.0f} s {done.stderr}"
        found.check(f"{step}: Debian's upgrade goes through", done.returncode == 0, note)
        audit = kiosk.sh("dpkg --audit")
        found.check(f"{step}: nothing is half configured", not audit, audit)
        runs = kiosk.sh("systemctl is-active gatepost")
        found.check(f"{step}: the service has gone on meanwhile", runs == "active", runs)
        kiosk.sh("systemctl stop gatepost")
        count, epochs = len(heard(kiosk, "passage")), set(numbers_heard(kiosk))
        start_again(kiosk)
        until(lambda: kiosk.report().get("version") == version)
        python = python_of(kiosk)
        note = python if python.endswith(SUITES[following]) else kiosk.sh("journalctl -u gatepost -o cat -n 9")
        found.check(f"{step}: it starts with Python {SUITES[following]}", note == python, note)
        found.check(f"{step}: the settings are the same", kiosk.sh("sha256sum /etc/gatepost/*") == before)
        check = kiosk.run("gatepost check")
        found.check(f"{step}: check", check.returncode == 0, check.stderr)
        served = until(lambda: len(heard(kiosk, "passage")) > count)
        found.check(f"{step}: people are served", served, f"{len(heard(kiosk, 'passage'))} passages")
        numbers = numbers_heard(kiosk)
        lost = missing_events(numbers)
        note = f"{sum(map(len, numbers.values()))} events, missing {lost}"
        found.check(f"{step}: events are numbered on", set(numbers) == epochs and not any(lost.values()), note)
        done = kiosk.run(f"{APT} purge gatepost 'gatepost-release-*'", 300)
        found.check(f"{step}: purge", done.returncode == 0 and "not empty" not in done.stderr, done.stderr)
        kept = kiosk.sh("ls /etc/gatepost/agent.toml /var/lib/gatepost/outbox.db").splitlines()
        found.check(f"{step}: configuration and events are there", len(kept) == 2, kept)


def python_of(kiosk: Machine) -> str:
    """The program that the service runs."""
    return kiosk.sh("readlink /proc/$(systemctl show -p MainPID --value gatepost)/exe")


BAD = {
    "crashes": ("import os, threading; threading.Timer(4, os.abort).start()", "fell 3 times"),
    "hangs": ("import time; time.sleep(10**6)", "not ready within 60 s"),
    "ends": ("return 78", "not ready within 60 s"),
    "eats memory": ("globals().update(eaten=[bytes(1 << 20) for _ in range(290)])", "too much memory"),
}
"""What is wrong with a release on the kiosk alone, so that its self-test cannot know → why it is taken back."""


def _without_a_library(home: Path) -> None:
    shutil.rmtree(home / "lib/common/paho")


def _of_another_processor(home: Path) -> None:
    for library in home.rglob("*.so"):
        library.write_bytes(b"\x7fELF of another processor")


def _never_opening(home: Path) -> None:
    driver = home / "lib/common/drivers/outputs/simulated.py"
    driver.write_text(driver.read_text() + "\n\ndel Driver.pulse\n")


def _torn(home: Path) -> None:
    os.truncate(home / "lib/common/agent/app.py", 100)


BROKEN = {
    "lacks a library": _without_a_library,
    "is of another processor": _of_another_processor,
    "never opens": _never_opening,
    "is torn": _torn,
}
"""What is wrong with a release itself: it is never used."""


def another_release(kiosk: Machine, version: str, name: str) -> Path:
    """A release beside the one that is installed, compiled as that is, the same but for its name; its folder."""
    place = f"/usr/lib/gatepost/releases/{name}"
    kiosk.sh(f"cp -a /usr/lib/gatepost/releases/{version} {place}")
    home = kiosk.folder / place.lstrip("/")
    for file in (home / "bin/gatepost", home / "lib/common/agent/__init__.py"):
        file.write_text(file.read_text().replace(version, name))
    return home


@contextlib.contextmanager
def serving(suite: str, first: Path) -> Iterator[Machine]:
    """A kiosk at which one is let in after the other."""
    with installed(suite, first) as kiosk:
        configure(kiosk, extra='[codes]\nkeys = "issuers.toml"\nbundles = "/var/lib/gatepost/bundles"\n')
        kiosk.sh("systemctl restart gatepost")
        until(lambda: kiosk.report().get("version") == version_of(packages_of(first)) and let_in(kiosk))
        yield kiosk


def let_in(kiosk: Machine) -> int:
    """How many were, as the broker has heard."""
    return sum(event["data"]["gate_opened"] for event in heard(kiosk, "passage"))


def longest_wait_s(kiosk: Machine, count: int) -> float:
    """Between two who were let in, one after the other, from the one of this number on."""
    times = [event["time"] for event in heard(kiosk, "passage") if event["data"]["gate_opened"]]
    at = [datetime.fromisoformat(each) for each in times[count - 1 :]]
    return max((later - earlier).total_seconds() for earlier, later in pairwise(at))


@contextlib.contextmanager
def served_meanwhile(found: Found, claim: str, kiosk: Machine) -> Iterator[None]:
    """See that people are let in during all of this."""
    before, began_s = let_in(kiosk), time.monotonic()
    yield
    served, spent_s = let_in(kiosk) - before, time.monotonic() - began_s
    found.check(f"{claim}: people were served meanwhile", served > 0, f"{served} let in within {spent_s:.0f} s")


def unusable(found: Found, suite: str, first: Path) -> None:
    """Releases that cannot work: none is ever used."""
    with serving(suite, first) as kiosk, served_meanwhile(found, f"{suite}: unusable", kiosk):
        good = version_of(packages_of(first))
        for name, spoil in BROKEN.items():
            bad = "9.0+" + name.replace(" ", "")
            spoil(another_release(kiosk, good, bad))
            done = kiosk.run(f"gatepost-release use {bad}", 180)
            found.check(f"{suite}: a release that {name} is not used", done.returncode == 1, done.stderr[-200:])
            found.check(f"{suite}: the service was not touched", kiosk.report().get("version") == good)


def upgrades(found: Found, suite: str, first: Path) -> None:
    """Releases that do not work: none stays in use, and one that works does."""
    with serving(suite, first) as kiosk:
        good = version_of(packages_of(first))
        for name, (code, why) in BAD.items():
            bad = "9.1+" + name.replace(" ", "")
            program = another_release(kiosk, good, bad) / "lib/common/agent/cli/run.py"
            line = f'    if str(args.config) == "/etc/gatepost/agent.toml":\n        {code}\n'
            program.write_text(program.read_text().replace("    malloc.set_up()\n", f"{line}    malloc.set_up()\n"))
            began_s, taken = time.monotonic(), f"{bad}  taken back"
            before = let_in(kiosk)
            kiosk.run(f"gatepost-release use {bad}", 300)
            back = until(lambda taken=taken: taken in kiosk.sh("gatepost-release list"), 300)
            listed, spent_s = kiosk.sh("gatepost-release list"), time.monotonic() - began_s
            found.check(
                f"{suite}: one that {name} is taken back", back and why in listed, f"{spent_s:.0f} s {listed}"
            )
            again = until(lambda: kiosk.report().get("version") == good)
            found.check(f"{suite}: the one before runs", again, kiosk.report().get("version"))
            up_to = let_in(kiosk) + 1
            until(lambda up_to=up_to: let_in(kiosk) >= up_to)
            longest_s, count = longest_wait_s(kiosk, before), let_in(kiosk) - before
            note = f"{count} let in, {longest_s:.0f} s at most between two; one each 6 s before"
            found.check(f"{suite}: {name}: nobody waits for a minute", longest_s < 60, note)
            told = until(lambda bad=bad: rolled_back(kiosk, bad), 60)
            found.check(f"{suite}: the central server is told", told)
        another_release(kiosk, good, "9.2")
        kiosk.run("gatepost-release use 9.2", 300)
        kept = until(lambda: "9.2  in use" in kiosk.sh("gatepost-release list | grep -v trial"), 120)
        found.check(f"{suite}: one that works is kept", kept, kiosk.sh("gatepost-release list"))


def rolled_back(kiosk: Machine, version: str) -> bool:
    """Whether the central server was told that this release was taken back."""
    told = [event["data"] for event in heard(kiosk, "agent")]
    return any(each["type"] == "release_rolled_back" and version in each["detail"] for each in told)


def signed(kind: str, number: int, content: object, key: PrivateKey) -> str:
    """A bundle of the central server."""
    now, day_s = int(time.time()), 86_400
    members = {"type": kind, "name": "", "fleet": "city", "version": number, "content": content}
    times = {"issued_at": now, "expires_at": now + 90 * day_s, "warn_age_s": day_s, "max_age_s": day_s}
    return bundle.sign(members | times, [key]).decode()


def release_content(version: str, package: bytes, urls: Sequence[str] = ()) -> str:
    """What a release bundle says of one package."""
    file = {"sha256": sha256(package).hexdigest(), "size": len(package), "urls": list(urls)}
    return json.dumps({"version": version, "files": {"amd64": file}})


def bring_bundle(kiosk: Machine, kind: str, text: str) -> None:
    """Into the kiosk's store, as one of the central server's would come."""
    action, place = "install" if kind == "root" else "import-bundle", f"/var/tmp/{kind}.bundle"
    kiosk.put(text, place, "644", "root")
    kiosk.sh(f"gatepost keys {action} {place} --bundles /var/lib/gatepost/bundles")
    kiosk.sh("chown -R gatepost: /var/lib/gatepost/bundles*")


def bring_root(kiosk: Machine, key: PrivateKey) -> None:
    """A root by which one key may sign releases."""
    kid = key.public.kid.hex()
    roles = {kind: {"threshold": 1, "keyids": [kid]} for kind in ("root", "release")}
    root = {"keys": {kid: b64encode(key.public.spki).decode()}, "roles": roles}
    bring_bundle(kiosk, "root", signed("root", 1, root, key))


def signed_release(kiosk: Machine, packages: Path, key: PrivateKey, version: int) -> None:
    """Put a root and a release bundle into the kiosk's store."""
    bring_root(kiosk, key)
    (package,) = packages.glob("gatepost-release_*.deb")
    address = f"http://127.0.0.1:8000/{packages.name}/{package.name}"
    content = release_content(version_of([package]), package.read_bytes(), [address])
    bring_bundle(kiosk, "release", signed("release", version, content, key))


NO_ROOM = "/var/lib/gatepost-release/incoming"
FULL = f"mkdir -p {NO_ROOM}; mount -t tmpfs -o size=1m none {NO_ROOM}"


def refused(found: Found, suite: str, first: Path) -> None:
    """What an agent that is taken over can bring before root's helper: it is refused and told. A full disk is no
    reason to refuse: it puts a release off.
    """
    key, stranger, package = signing.new_private_key(), signing.new_private_key(), bytes(5_000_000)
    cases: list[tuple[str, str, int, PrivateKey, bytes, str]] = [
        ("finds a full disk", FULL, 3, key, package, "put off: /var/lib/gatepost-release/incoming has 1 MB free"),
        ("is no package", f"umount {NO_ROOM}", 3, key, package, "not gatepost-release-9.3"),
        ("came in a part", "true", 3, key, package[:-1], "not the package that was signed"),
        ("has a bad signature", "true", 4, stranger, package, "0 signatures hold"),
        ("is older", "true", 2, key, package, "older"),
    ]
    with serving(suite, first) as kiosk, served_meanwhile(found, f"{suite}: refused", kiosk):
        bring_root(kiosk, key)
        bring_bundle(kiosk, "release", signed("release", 3, release_content("9.3", package), key))
        asked = kiosk.folder / "var/lib/gatepost/upgrade"
        asked.mkdir(exist_ok=True)
        kiosk.sh("chown gatepost: /var/lib/gatepost/upgrade")
        release = kiosk.folder / "var/lib/gatepost/bundles/release.bundle"
        for name, before, number, signer, arrives, why in cases:
            kiosk.sh(before)
            release.write_text(signed("release", number, release_content("9.3", package), signer))
            (asked / "release.deb").write_bytes(arrives)
            request = {"version": "9.3", "package": "release.deb", "digest": sha256(name.encode()).hexdigest()}
            (asked / "request.json").write_text(json.dumps(request))
            until(lambda: not (asked / "request.json").exists())
            told = until(lambda why=why: any(why in detail for detail in (*rejections(kiosk), put_off(kiosk))))
            note = "" if told else kiosk.sh("journalctl -u gatepost-upgrade -o cat -n 5")
            found.check(f"{suite}: a release that {name} is not used, and the agent is told why", told, note)
        runs = kiosk.report().get("version") == version_of(packages_of(first))
        found.check(f"{suite}: the service was not touched", runs)


def put_off(kiosk: Machine) -> str:
    """Why root's helper waits, as the agent may read it."""
    said = kiosk.folder / "var/lib/gatepost-release/postponed.json"
    return f"put off: {json.loads(said.read_text())['detail']}" if said.exists() else ""


def rejections(kiosk: Machine) -> list[str]:
    """Why releases were refused, as the central server was told."""
    told = [event["data"] for event in heard(kiosk, "agent")]
    return [each["detail"] for each in told if each["type"] == "release_rejected"]


def from_afar(found: Found, suite: str, first: Path, second: Path, cuts: int) -> None:
    """A signed release is fetched, verified, used and kept, also with every process killed in between."""
    key, chance = signing.new_private_key(), random.Random(1)
    one, two = version_of(packages_of(first)), version_of(packages_of(second))
    with installed(suite, first) as kiosk:
        served = kiosk.folder / "srv/mirror" / second.name
        served.mkdir(parents=True)
        for package in packages_of(second):
            shutil.copy(package, served)
        configure(
            kiosk, extra='[codes]\nkeys = "issuers.toml"\nbundles = "/var/lib/gatepost/bundles"\n', loop=False
        )
        mirror = "systemd-run -q --unit=mirror python3 -m http.server -d /srv/mirror -b 127.0.0.1 8000"
        kiosk.sh(f"{mirror}; systemctl restart gatepost")
        until(lambda: kiosk.report().get("version") == one)
        before = len(heard(kiosk, "agent"))
        began_s = time.monotonic()
        signed_release(kiosk, second, key, 2)
        for number in range(cuts):
            time.sleep(chance.uniform(1, 60))
            start_again(kiosk)
            kiosk.sh(mirror)
            runs = until(lambda: kiosk.report().get("version") in (one, two), 90)
            note = f"{kiosk.report().get('version')} {kiosk.sh('gatepost-release list')}"
            found.check(f"{suite}: cut {number + 1}: a release that works comes up", runs, note)
        kept = until(lambda: f"{two}  in use" in kiosk.sh("gatepost-release list | grep -v trial"), 300)
        spent_s = time.monotonic() - began_s
        found.check(
            f"{suite}: a signed release is used and kept",
            kept,
            f"{spent_s:.0f} s {kiosk.sh('gatepost-release list')}",
        )
        found.check(f"{suite}: it runs", until(lambda: kiosk.report().get("version") == two))
        told = until(lambda: [e for e in heard(kiosk, "agent") if e["data"]["type"] == "release_applied"], 60)
        found.check(
            f"{suite}: the central server is told", len(told) == 1, told or len(heard(kiosk, "agent")) - before
        )
        gaps = missing_events(numbers_heard(kiosk))
        found.check(f"{suite}: no event is missing", not any(gaps.values()), gaps)


FILL = """
import glob, sys
home = "/usr/lib/gatepost/current/lib"
sys.path[:0] = [f"{home}/common", *glob.glob(f"{home}/python3.{sys.version_info.minor}/site-packages")]
from agent.events import Encoder, Topics
from agent.model import AgentChange, ClockState, Event, TimeBounds
from agent.outbox import Options, Outbox
outbox = Outbox(Options(), Encoder(Topics("site", "empty-card")))
outbox.start()
for _ in range(1000):
    body = AgentChange("started", "1.0")
    outbox.store(Event(body, 0.0, TimeBounds(0.0, 1.0, ClockState.SYNCED)))
sys.exit(not outbox.flush(60))
"""
"""Puts 1,000 events into the store of a kiosk that is stopped."""


def power_cuts(found: Found, suite: str, first: Path, second: Path, cuts: int) -> None:
    """At a random moment of a switch, up and down, the power goes, or all of Gatepost is killed; 1,000 events wait.
    A release that works comes up each time, and in the end every event is at the broker.
    """
    chance, one, two = random.Random(SEED), version_of(packages_of(first)), version_of(packages_of(second))
    with installed(suite, first) as kiosk:
        another_release(kiosk, one, two)
        configure(kiosk)
        kiosk.sh("systemctl restart gatepost")
        until(lambda: kiosk.report().get("version") == one)
        kiosk.sh("systemctl stop gatepost broker; systemctl mask mosquitto")  # Debian's own would take the events
        kiosk.put(FILL, "/var/tmp/fill.py", "644", "root")
        filled = kiosk.run("runuser -u gatepost -- python3 -I /var/tmp/fill.py")
        kiosk.sh("systemctl start gatepost")
        waiting = until(lambda: kiosk.report().get("outbox", {}).get("waiting", 0) >= 1000)
        found.check(f"{suite}: 1,000 events wait", waiting, filled.stderr)
        up, taken_s, on_trial = 0, [], 0
        for number in range(cuts):
            other = two if kiosk.sh("readlink /usr/lib/gatepost/current").endswith(f"/{one}") else one
            kiosk.sh(f"systemd-run -q gatepost-release use {other}")
            time.sleep(chance.uniform(0, 20))
            on_trial += "on trial" in kiosk.sh("gatepost-release list")
            began_s = time.monotonic()
            if number % 2:
                kiosk.sh("pkill -9 -f /usr/lib/gatepost; pkill -9 -f gatepost-release")
            else:
                kiosk.cut()
                kiosk.start()
                kiosk.sh("mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")
            works = until(lambda: kiosk.report().get("version") == current(kiosk) and is_fresh(kiosk), 60)
            up += bool(works)
            taken_s.append(time.monotonic() - began_s)
            if not works:
                print(kiosk.sh("gatepost-release list; systemctl status gatepost | head -20"))
        note = f"slowest {max(taken_s):.1f} s, {on_trial} with a release on trial"
        found.check(f"{suite}: {up} of {cuts} come up", up == cuts, note)
        kiosk.sh(f"systemctl stop gatepost; {BROKER}")
        until(lambda: kiosk.run("mosquitto_pub -h 127.0.0.1 -t up -m up").returncode == 0)
        kiosk.sh(SUBSCRIBER)
        subscribed = "ss -tn state established | grep -q 127.0.0.1:1883"
        until(lambda: kiosk.run(subscribed).returncode == 0)
        kiosk.sh("sleep 1; systemctl start gatepost")
        delivered = until(lambda: is_delivered(kiosk.report().get("outbox", {})), 120)
        found.check(f"{suite}: what waited is delivered", delivered, kiosk.report().get("outbox"))
        kiosk.sh("systemctl stop gatepost; sleep 1")
        numbers = numbers_heard(kiosk)
        lost = missing_events(numbers)
        count = sum(len(set(each)) for each in numbers.values())
        found.check(
            f"{suite}: no event is missing",
            count > 1000 and not any(lost.values()) and {min(each) for each in numbers.values()} == {1},
            f"{count} events, missing {lost}",
        )


def document(word: str) -> str:
    """The indented block of docs/fleet.md in which this stands."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", (ROOT / "docs/fleet.md").read_text(), re.MULTILINE)
    return re.sub(r"^    ", "", next(each for each in blocks if word in each), flags=re.MULTILINE)


def deployed(found: Found, suite: str, first: Path) -> None:
    """The playbook and the cloud-init file of docs/fleet.md, as they stand there but for the processor."""
    with machine(suite, packages_of(first), more="ansible-core") as kiosk:
        place = kiosk.folder / "var/tmp/deployer"
        (place / "invitations").mkdir(parents=True)
        (place / "invitations/k01").write_text("no invitation, but brought to its place")
        (place / "hosts").write_text("[kiosks]\nk01 ansible_connection=local\n")
        (place / "kiosks.yml").write_text(
            document("- hosts: kiosks").replace("dist/deb/arm64", f"/debs/{first.name}")
        )
        play = "cd /var/tmp/deployer && HOME=/root ansible-playbook -i hosts kiosks.yml"
        done = kiosk.run(play, 400)
        found.check(f"{suite}: the playbook runs", done.returncode == 0, done.stdout + done.stderr)
        runs = until(lambda: kiosk.sh("systemctl is-active gatepost") == "active", 20)
        found.check(f"{suite}: the service runs", runs, kiosk.sh("systemctl status gatepost | head -9"))
        rights = kiosk.sh("stat -c '%a %G' /etc/gatepost/invitation")
        found.check(f"{suite}: the invitation is in its place", rights == "640 gatepost", rights)
        again = kiosk.run(play, 400)
        found.check(f"{suite}: twice changes nothing", "changed=0" in again.stdout, again.stdout[-300:])

    def card(root: Path) -> None:
        seed, boot = root / "var/lib/cloud/seed/nocloud", root / "boot/firmware"
        seed.mkdir(parents=True)
        boot.mkdir(parents=True)
        (seed / "meta-data").write_text("instance-id: k01\n")
        (seed / "user-data").write_text(document("#cloud-config"))
        for package in packages_of(first):
            shutil.copy(package, boot)
        tool = root / "usr/bin/raspi-config"
        tool.write_text("#!/bin/sh\n")  # Raspberry Pi OS has it
        tool.chmod(0o755)

    with machine(suite, [], more="cloud-init", prepare=card) as kiosk:
        log = "/var/log/cloud-init-output.log"
        ends = until(lambda: "finished at" in kiosk.sh(f"cat {log}"), 240)
        found.check(f"{suite}: cloud-init ends", ends, kiosk.sh(f"tail -5 {log}"))
        errors = kiosk.sh("cloud-init status --long")  # a container has no disk to grow, so it is never without one
        found.check(f"{suite}: every command of the file is done", "scripts-user" not in errors, errors)
        found.check(
            f"{suite}: the service runs", until(lambda: kiosk.sh("systemctl is-active gatepost") == "active", 20)
        )
        waits = until(lambda: "invitation" in kiosk.sh("systemctl status gatepost"), 20)
        found.check(f"{suite}: it waits for an invitation", waits, kiosk.sh("systemctl status gatepost | head -9"))
        watchdog = kiosk.sh("systemctl show -p RuntimeWatchdogUSec; cat /etc/systemd/system.conf.d/watchdog.conf")
        found.check(f"{suite}: the watchdog is set", "RuntimeWatchdogSec=14" in watchdog, watchdog)


WIRE = """
import fcntl, os, pty, pwd, time, tty
reader, port = pty.openpty()
tty.setraw(port)
os.chown(os.ttyname(port), pwd.getpwnam("gatepost").pw_uid, -1)
os.symlink(os.ttyname(port), "/run/gate-wire")
with open("/var/tmp/opened", "w", buffering=1) as out:
    while data := os.read(reader, 64):
        for _ in range(data.count(bytes.fromhex("a00101a2"))):
            print(time.monotonic(), file=out)
"""
"""The wire of a gate: a relay board on a serial port, which writes down when it is switched on."""
BUSY_EXIT = """
[kiosk]
id = "busy"
[codes]
keys = "issuers.toml"
[mqtt]
host = "127.0.0.1"
port = 1883
[checkpoint]
rescan_after_admit_s = 0.1
[lanes.exit]
direction = "exit"
release_s = 0.1
scanner = { driver = "replayed", file = "codes.jsonl", loop = true }
thermometer = { driver = "replayed", file = "skin.jsonl", loop = true }
gate = { driver = "serial_relay", port = "/run/gate-wire" }
"""


def downtime(found: Found, suite: str, first: Path, second: Path) -> None:
    """How long a lane is away while one release takes another's place: seen at the gate's wire."""
    one, two = version_of(packages_of(first)), version_of(packages_of(second))
    with installed(suite, first) as kiosk:
        another_release(kiosk, one, two)
        configure(kiosk)
        codes = [
            kiosk.sh(f"cd /var/tmp && gatepost issue --key shop.key --issuer shop --colour green --subject p{n}")
            for n in range(8)
        ]
        head = {"recording": 1, "kind": "scanners", "driver": "replayed"}
        shown: list[dict[str, Any]] = [head]
        for turn in range(400):
            shown.append({"s": turn * 0.3, "payload": codes[turn % len(codes)].encode().hex()})
            shown.append({"s": turn * 0.3 + 0.1, "gone": True})
        kiosk.put("".join(json.dumps(item) + "\n" for item in shown), "/etc/gatepost/codes.jsonl")
        kiosk.put(BUSY_EXIT, "/etc/gatepost/agent.toml")
        kiosk.put(WIRE, "/var/tmp/wire.py", "644", "root")
        kiosk.sh("systemd-run -q --unit=wire python3 /var/tmp/wire.py; sleep 1; systemctl restart gatepost")
        opens = until(lambda: len(openings(kiosk)) > 20, 60)
        found.check(f"{suite}: the gate opens", opens, kiosk.sh("journalctl -u gatepost -o cat -n 5"))
        for other in (two, one):
            measure_switch(found, suite, kiosk, other)
            until(lambda: "on trial" not in kiosk.sh("gatepost-release list"), 120)
        kiosk.sh("systemctl kill -s STOP broker")
        measure_switch(found, f"{suite}, with a broker that stands still", kiosk, two)
        kiosk.sh("systemctl stop gatepost")
        result = kiosk.sh("systemctl show -p Result -p ExecMainStatus gatepost")
        found.check(f"{suite}: a release that took over stops as ever", "Result=success" in result, result)


def measure_switch(found: Found, claim: str, kiosk: Machine, other: str) -> None:
    """The longest time without an opening while a release takes over, and until ten people were served by it."""
    before = len(openings(kiosk))
    with MemoryOfReleases(kiosk) as memory:
        kiosk.run(f"gatepost-release use {other}", 180)
        until(lambda: kiosk.report().get("version") == other, 60)
        up_to = len(openings(kiosk)) + 10
        until(lambda: len(openings(kiosk)) >= up_to)
    at_s = openings(kiosk)
    usual_s = sorted(b - a for a, b in pairwise(at_s[:before]))[before // 2]
    longest_s = max(b - a for a, b in pairwise(at_s[before - 1 :]))
    note = f"{longest_s:.2f} s without an opening; one each {usual_s:.2f} s before; load {os.getloadavg()[0]:.0f}"
    is_short = longest_s - usual_s <= 3
    log = "" if is_short else kiosk.sh("journalctl -u 'gatepost*' -o short-monotonic --no-pager -n 16")
    found.check(f"{claim}: a lane is away for up to 3 s", is_short, f"{note} {log}")
    both = memory.most(2)
    found.check(f"{claim}: there is memory for both releases", 0 < sum(both) < MEMORY_HIGH_MB, memory)


MEMORY_HIGH_MB = int(re.findall(r"MemoryHigh=(\d+)M", (ROOT / "systemd/gatepost.service").read_text())[0])


class MemoryOfReleases:
    """What each agent takes (PSS), looked at twenty times a second while a release takes another's place."""

    def __init__(self, kiosk: Machine) -> None:
        self._agents = [pid for pid in kiosk.processes() if is_agent(pid)]
        self._looks: list[list[float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            started = [child for pid in self._agents for child in children_of(pid) if is_agent(child)]
            self._agents += [pid for pid in started if pid not in self._agents]
            taken: list[float] = []
            for pid in self._agents:
                with contextlib.suppress(OSError, KeyError):  # it has ended
                    if Path(f"/proc/{pid}/comm").read_text() != "sh\n":  # the launcher
                        taken.append(memory_mb(pid)[1])
            self._looks.append(taken)

    def most(self, agents: int) -> list[float]:
        """MB of each in the look at which so many took most together; the one that serves is the first."""
        return max((look for look in self._looks if len(look) == agents), key=sum, default=[])

    def __str__(self) -> str:
        alone, both = (", ".join(f"{each:.1f}" for each in self.most(agents)) for agents in (1, 2))
        count = sum(len(look) == 2 for look in self._looks)
        return f"PSS alone {alone} MB at most, both {both} MB ({count} of {len(self._looks)} looks)"


def is_agent(pid: int) -> bool:
    """Whether this process is `gatepost run`, or the launcher of one."""
    with contextlib.suppress(OSError):
        return b"/bin/gatepost\0run\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def children_of(pid: int) -> list[int]:
    """What a process's threads have started."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, children.read_text().split())
    return found


def openings(kiosk: Machine) -> list[float]:
    """When the gate's relay was switched on, by the wire."""
    return [float(line) for line in kiosk.run("cat /var/tmp/opened").stdout.split()]


def is_delivered(outbox: dict[str, Any]) -> bool:
    """Whether next to nothing waits any more, by the report of an agent that has read its store."""
    return bool(outbox.get("epoch")) and outbox["waiting"] < 10


def current(kiosk: Machine) -> str:
    return kiosk.sh("readlink /usr/lib/gatepost/current").rpartition("/")[2]


def is_fresh(kiosk: Machine) -> bool:
    """Whether the report is of a process that runs now."""
    age = kiosk.sh("echo $(( $(date +%s) - $(stat -c %Y /run/gatepost/status.json) ))")
    return age.lstrip("-").isdecimal() and int(age) < 3


class Emulated:
    """A machine of another processor: no systemd, all of the agent, no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command: str, limit_s: float = 600) -> subprocess.CompletedProcess[str]:
        terminals = "mkdir -p /dev/pts /dev/shm; mount -t devpts -o ptmxmode=666 devpts /dev/pts"
        terminals += "; ln -sf pts/ptmx /dev/ptmx"
        inside = f"mount -t proc proc /proc; {terminals}; ip link set lo up; {command}"
        apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        words = [*apart, "chroot", str(self.folder), "sh", "-c", inside]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=limit_s,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "QEMU_CPU": "cortex-a72"},
        )  # fmt: skip


@contextlib.contextmanager
def emulated(found: Found, suite: str, first: Path) -> Iterator[Emulated]:
    """With the packages installed, which takes minutes; what is installed is kept beside packages that are kept."""
    kept = first.with_name(f"installed-{suite}.tar")
    with tempfile.TemporaryDirectory(prefix="gatepost-deb-") as folder:
        tar = ["tar", "-C", folder, "--numeric-owner"]
        machine = Emulated(Path(folder))
        if kept.exists():
            subprocess.run([*tar, "-xf", str(kept)], check=True)
        else:
            subprocess.run([*tar, "-xf", str(base(suite, "arm64"))], check=True)
            for package in packages_of(first):
                shutil.copy(package, folder)
            Path(folder, "usr/sbin/policy-rc.d").unlink(missing_ok=True)
            began_s = time.monotonic()
            done = machine.run(f"{APT} install /*.deb", 1800)
            note = f"{time.monotonic() - began_s:.1f} s {done.stderr}"
            found.check(f"{suite} arm64: installs offline", done.returncode == 0, note)
            if done.returncode == 0:
                subprocess.run([*tar, "--exclude=./*.deb", "-cf", f"{kept}.part", "."], check=True)
                Path(f"{kept}.part").rename(kept)
        yield machine


def arm64_demo(found: Found, suite: str, first: Path) -> None:
    """The whole demonstration: what is decided, stored, delivered and what arrives must agree. It is tried again
    where the simulated devices miss the times of their wires, so slow is the emulation.
    """
    with emulated(found, suite, first) as kiosk:
        for number in range(1, DEMOS + 1):
            began_s = time.monotonic()
            done = kiosk.run("cd /tmp && gatepost demo", 1800)
            note = f"try {number}, {time.monotonic() - began_s:.0f} s, load {os.getloadavg()[0]:.0f}"
            if done.returncode != NOT_HELD:
                break
            print(f"{note}: not held {done.stdout[-500:]} {done.stderr[-300:]}", flush=True)
        if done.returncode:
            print(done.stdout, flush=True)
        recap = done.stdout[-500:].strip()
        claim = f"{suite} arm64: the demonstration agrees"
        found.check(claim, done.returncode == 0, f"{note} {recap} {done.stderr[-300:]}")


DEMOS, NOT_HELD = 3, 2
"""Tries, and the exit status of a demonstration that says nothing."""


def arm64_tests(found: Found, suite: str, first: Path, rooms: Collection[str]) -> None:
    """The tests of pure rooms, against the release that the package brought: all but NOT_EMULATED, with a fifth of
    the random examples, but for tests that name their own number.
    """
    with emulated(found, suite, first) as kiosk:
        python, tree = SUITES[suite], kiosk.folder / "var/tmp/tree"
        for name in ("tests", "config", "docs"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
            shutil.copy(ROOT / name, tree)
        bring_test_libraries(tree / "libraries", python)
        home = "/usr/lib/gatepost/current/lib"
        path = f"{home}/common:{home}/python{python}/site-packages:/var/tmp/tree/libraries"
        tests = " ".join(f"tests/agent/{name}" for name in PURE if name in rooms)
        left_out = " ".join(f"--deselect {name}" for name in NOT_EMULATED)
        began_s = time.monotonic()
        done = kiosk.run(
            f"cd /var/tmp/tree && export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={path} && "
            "python3 -m pytest -p no:cacheprovider -p pytest_timeout --timeout=1800 --durations=5 "
            f"--hypothesis-profile=emulated {left_out} {tests}",
            3600,
        )
        note = [f"{time.monotonic() - began_s:.0f} s", *done.stdout.strip().splitlines()[-1:]]
        note += [] if done.returncode == 0 else [(done.stdout + done.stderr)[-500:]]
        found.check(f"{suite} arm64: the tests of {', '.join(rooms)} pass", done.returncode == 0, note)


def bring_test_libraries(libraries: Path, python: str) -> None:
    """What tests need: this machine's where nothing is compiled, hypothesis for that processor and Python."""
    libraries.mkdir()
    for name in TEST_LIBRARIES:
        source = Path(sysconfig.get_path("purelib"), name)
        if source.is_dir():
            shutil.copytree(source, libraries / name)
        else:
            shutil.copy(source, libraries)
    locked = re.search(r"^hypothesis==(?:.*\\\n)*.*$", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE)
    assert locked is not None
    lock = libraries / "hypothesis.lock"
    lock.write_text(locked[0])
    words = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--target", str(libraries)]
    words += ["--implementation", "cp", "--python-version", python, "-r", str(lock)]
    words += [word for name in (28, 17) for word in ("--platform", f"manylinux_2_{name}_aarch64")]
    subprocess.run([sys.executable, "-m", "pip", "-q", "install", *words], check=True, stderr=subprocess.DEVNULL)


TEST_LIBRARIES = (
    "pytest", "_pytest", "py.py", "pluggy", "iniconfig", "packaging", "pygments", "pytest_timeout.py",
    "sortedcontainers", "jinja2", "markupsafe",
)  # fmt: skip
"""Of this machine's: they work without what is compiled in them. What is tested comes from the package."""
NOT_EMULATED = (
    "tests/agent/events/test_events.py::test_the_published_contract_is_what_the_code_says",
    "tests/agent/policy/test_table.py::test_a_proof_takes_no_time",
    "tests/agent/checkpoint/test_hall_days.py::test_the_days_find_an_agent_that_is_wrong",
    "tests/agent/checkpoint/test_days.py::test_the_days_find_an_agent_to_which_leaving_is_nothing",
)
"""The version of a package has its commit in it; the time of an emulated processor says nothing; and tests of tests
say nothing about a processor, but take minutes there.
"""
PURE = ("crypto", "checkpoint", "policy", "privacy", "screening", "events", "outbox", "credentials")
"""Rooms whose tests need no processes: what must be the same on every processor."""

ROOMS = set(PURE)
"""Those that are tried: all, but where some are named."""
PARTS: dict[str, Callable[[Found, str, dict[str, Path]], None]] = {
    "installs": lambda found, suite, built: installs(found, suite, built["amd64"], built["second"]),
    "unusable": lambda found, suite, built: unusable(found, suite, built["amd64"]),
    "refused": lambda found, suite, built: refused(found, suite, built["amd64"]),
    "upgrades": lambda found, suite, built: upgrades(found, suite, built["amd64"]),
    "from_afar": lambda found, suite, built: from_afar(found, suite, built["amd64"], built["second"], 1),
    "power_cuts": lambda found, suite, built: power_cuts(found, suite, built["amd64"], built["second"], CUTS),
    "downtime": lambda found, suite, built: downtime(found, suite, built["amd64"], built["second"]),
    "next_debian": lambda found, suite, built: next_debian(found, suite, built["amd64"]),
    "deployed": lambda found, suite, built: deployed(found, suite, built["amd64"]),
    "arm64_demo": lambda found, suite, built: arm64_demo(found, suite, built["arm64"]),
    "arm64_tests": lambda found, suite, built: arm64_tests(found, suite, built["arm64"], sorted(ROOMS)),
}
"""What is tried; `make deb-test ARGS="trixie power_cuts"` for one of it."""


ARM64 = {name for name in PARTS if name.startswith("arm64")}


def main(words: Sequence[str]) -> int:
    if unknown := set(words) - set(SUITES) - set(PARTS) - set(PURE):
        known = ", ".join([*SUITES, *PARTS, *PURE])
        print(f"unknown: {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    ROOMS.intersection_update(set(words) & set(PURE) or PURE)
    if found := missing():
        print(f"skipped: {'; '.join(found)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # machines that were started are stopped
    result = Found()
    with tempfile.TemporaryDirectory(prefix="gatepost-deb-") as folder:
        chosen = set(words) & set(PARTS) or set(PARTS)
        emulates = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists() and chosen & ARM64
        built = build(Path(folder), arm64=bool(emulates))
        for suite in set(words) & set(SUITES) or SUITES:
            for name, part in PARTS.items():
                if name in chosen and (name not in ARM64 or "arm64" in built):
                    part(result, suite, built)
    print(f"{result.passed} passed, {result.failed} failed")
    return result.failed > 0


def build(out: Path, *, arm64: bool) -> dict[str, Path]:
    """The packages of this tree, and a second release that differs in its version. With GATEPOST_DEBS they are made
    once and kept in that folder: for anyone who tries a part again and again.
    """
    out = Path(os.environ.get("GATEPOST_DEBS", out))
    program = [sys.executable, str(ROOT / "systemd/build_deb.py")]
    wanted = ["amd64", *(["arm64"] if arm64 else [])]
    if not (out / "second").exists():
        subprocess.run([*program, str(out), *wanted, "--fast"], check=True)
        later = {**os.environ, "GATEPOST_VERSION": f"{version_of(packages_of(out / 'amd64'))}.2"}
        subprocess.run([*program, str(out / "later"), "amd64", "--fast"], check=True, env=later)
        (out / "later/amd64").rename(out / "second")
    return {"second": out / "second"} | {name: out / name for name in wanted}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
