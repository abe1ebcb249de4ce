"""Three kiosks on one machine by the words of docs/fleet.md and docs/enrolment.md: enrolled, configured, upgraded
in two waves, and one of them wiped.

`make deb-test` runs this after the packages; it needs what that needs. The kiosks are booted containers that share
a network of their own with a broker, a mirror and the authority. What is typed is read from the documents, but for
names and folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packages import APT, ROOT, Found, Machine, build, machine, missing, packages_of, until, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = ROOT / "docs"
KIOSKS = ("east-gate/k01", "east-gate/k02", "west-gate/k01")
COMMON = """
[lanes.exit]
direction = "exit"
scanner = { driver = "replayed", file = "/etc/gatepost/codes.jsonl", loop = true }
thermometer = { driver = "replayed", file = "/etc/gatepost/skin.jsonl", loop = true }
gate = { driver = "simulated" }
"""
CANARY = "canary-of-a-password"
SERVER = "--broker broker.example:8883 --ca broker.crt --cert server.crt --cert-key server.key"


def blocks(page: str, heading: str) -> list[str]:
    """The indented blocks below a heading, up to the next one, without their indentation."""
    text = (DOCS / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in found]


def block(page: str, heading: str, word: str) -> str:
    """The one of them in which a word stands."""
    return next(each for each in blocks(page, heading) if word in each)


class Office:
    """The deployer's machine: a folder, a shell, programs in the background; all in the kiosks' network."""

    def __init__(self, folder: Path, debs: Path) -> None:
        self.folder = folder
        self.space = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        until(self.network_is_apart, 5)
        self.network = f"/proc/{self.space.pid}/ns/net"
        (folder / "dist").mkdir()
        shutil.copytree(debs, folder / "dist/deb/amd64")
        self.path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.sh("ip link set lo up")
        self.background: list[subprocess.Popen[bytes]] = []

    def network_is_apart(self) -> bool:
        own = Path("/proc/self/ns/net").readlink()
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.space.pid}/ns/net").readlink() != own
        return False

    def words(self, command: str) -> list[str]:
        typed = command.replace("broker.example", "127.0.0.1").replace("DNS:127.0.0.1", "IP:127.0.0.1")
        typed = typed.replace("https://mirror.example/", "http://127.0.0.1:8000/")
        return ["nsenter", f"--net={self.network}", "bash", "-euc", typed]

    def sh(self, command: str, limit_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(command), cwd=self.folder, capture_output=True, text=True, check=False, timeout=limit_s,
            env={"PATH": self.path, "LANG": "C.UTF-8", "HOME": str(self.folder)},
        )  # fmt: skip

    def start(self, command: str, out: str) -> subprocess.Popen[bytes]:
        with (self.folder / out).open("ab") as opened:
            self.background.append(
                subprocess.Popen(
                    self.words(f"exec {command}"),
                    cwd=self.folder,
                    stdout=opened,
                    stderr=opened,
                    env={"PATH": self.path, "LANG": "C.UTF-8", "HOME": str(self.folder)},
                )
            )
        return self.background[-1]

    def close(self) -> None:
        for process in (*self.background, self.space):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def states(office: Office) -> dict[str, dict[str, Any]]:
    """What is retained of each kiosk."""
    tls = "--cafile broker.crt --cert server.crt --key server.key"
    done = office.sh(
        f"timeout 3 mosquitto_sub -h 127.0.0.1 -p 8883 {tls} -V mqttv5 -W 2 -v -t 'gatepost/v1/+/+/state' || true"
    )
    found = {}
    for line in done.stdout.splitlines():
        topic, _, text = line.partition(" ")
        with contextlib.suppress(ValueError):
            found["/".join(topic.split("/")[2:4])] = json.loads(text)
    return found


def broker_files(office: Office) -> None:
    """The broker of the documents, in a folder of its own."""
    place = office.folder / "broker"
    place.mkdir()
    events = re.search(r"^    # acl_file\n(?:    .*\n)*", (DOCS / "events.md").read_text(), re.MULTILINE)
    assert events is not None
    authority = block("enrolment.md", "Set up the authority, once", "# acl_file, for the authority")
    (place / "acl_file").write_text(re.sub(r"^    ", "", events[0], flags=re.MULTILINE) + authority)
    (place / "acl_enrol").write_text(block("enrolment.md", "Set up the authority, once", "# acl_enrol"))
    text = block("enrolment.md", "Set up the authority, once", "# mosquitto.conf")
    text = text.replace("/etc/mosquitto/", f"{place}/").replace("/var/lib/mosquitto/", f"{place}/")
    text = re.sub(r"^listener (\d+)$", r"listener \1 127.0.0.1", text, flags=re.MULTILINE)
    (place / "mosquitto.conf").write_text(f"user root\n{text}")
    office.sh("cp broker.crt broker.key authority/ca.pem authority/revoked.crl broker/")


def prepare(found: Found, office: Office) -> None:
    """Keys, root, settings, authority, broker, invitations: once for the fleet."""
    way = blocks("fleet.md", "All steps, in order")
    began_s = time.monotonic()
    (office.folder / "common.toml").write_text(COMMON)
    done = office.sh(way[0])
    found.check("keys and root", done.returncode == 0, done.stderr)
    (office.folder / "fleet.csv").write_text(way[1].partition("\n\n")[0] + "\n")
    done = office.sh(way[1].partition("\n\n")[2])
    found.check("settings from a table", done.returncode == 0, done.stderr)
    lines = block("enrolment.md", "Set up the authority, once", "openssl req").splitlines()
    typed, serve = "\n".join(lines[:-1]), lines[-1]
    done = office.sh(typed)
    found.check("authority", done.returncode == 0, done.stderr)
    broker_files(office)
    office.start("mosquitto -c broker/mosquitto.conf", "mosquitto.log")
    until(lambda: office.sh("mosquitto_pub -h 127.0.0.1 -p 8884 --cafile broker.crt -t x -m x").returncode == 0, 10)
    office.start(serve, "authority.log")
    until(lambda: "Listening" in (office.folder / "authority.log").read_text(), 20)
    listens = "Listening" in (office.folder / "authority.log").read_text()
    log = (office.folder / "authority.log").read_text() + (office.folder / "mosquitto.log").read_text()
    found.check("the authority listens", listens, "" if listens else log)
    done = office.sh(next(each for each in way if "authority invite" in each))
    cards = [office.folder / "cards" / name / "gatepost.invitation" for name in KIOSKS]
    found.check("an invitation for each kiosk", all(card.exists() for card in cards), done.stderr)
    print(f"       the machine's share of preparing: {time.monotonic() - began_s:.1f} s", flush=True)


def plugged_in(office: Office, kiosk: Machine, name: str, folder: str) -> None:
    """What the card does by itself at its first start; then what a person does, where no invitation lies on it."""
    if name not in BY_HAND:
        boot = kiosk.folder / "boot/firmware"
        boot.mkdir(parents=True)
        shutil.copy(office.folder / "cards" / name / "gatepost.invitation", boot)
        (boot / "gatepost.invitation").chmod(0o644)  # as on a FAT partition
    etc = kiosk.folder / "etc/gatepost"
    etc.mkdir()
    for file, kind in (("codes", "scanners"), ("skin", "thermometers")):
        (etc / f"{file}.jsonl").write_text(json.dumps({"recording": 1, "kind": kind, "driver": "replayed"}) + "\n")
    kiosk.sh("chmod 755 /etc/gatepost; mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized")
    kiosk.run(f"{APT} install --no-install-recommends /debs/{folder}/*.deb", 300)
    if name in BY_HAND:
        BY_HAND[name](office, kiosk, office.folder / "cards" / name / "gatepost.invitation")


def by_ssh(_office: Office, kiosk: Machine, invitation: Path) -> None:
    """The invitation at the standard input."""
    shutil.copy(invitation, kiosk.folder / "root")
    print(kiosk.sh("cd /root && gatepost enrol - < gatepost.invitation && rm gatepost.invitation"), flush=True)


def by_stick(office: Office, kiosk: Machine, invitation: Path) -> None:
    """Without a network: the request there, the answer back."""
    stick = kiosk.folder / "root"
    shutil.copy(invitation, stick)
    print(kiosk.sh("cd /root && gatepost enrol gatepost.invitation --request request.json"), flush=True)
    shutil.copy(stick / "request.json", office.folder)
    office.sh("gatepost authority answer request.json --out answer.json")
    shutil.copy(office.folder / "answer.json", stick)
    print(kiosk.sh("cd /root && gatepost enrol --answer answer.json"), flush=True)


BY_HAND = {"east-gate/k02": by_stick, "west-gate/k01": by_ssh}
"""Kiosks whose invitation is brought in another way of docs/enrolment.md than on the card."""


@contextlib.contextmanager
def kiosks(office: Office, packages: Sequence[Path]) -> Iterator[dict[str, Machine]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                machine("bookworm" if name.startswith("east") else "trixie", packages, office.network)
            )
            for name in KIOSKS
        }


def enrolled(found: Found, office: Office, booted: dict[str, Machine], folder: str) -> None:
    """All are plugged in at once."""
    began_s = time.monotonic()
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(plugged_in, office, kiosk, name, folder) for name, kiosk in booted.items()]:
            done.result()
    for name, kiosk in booted.items():
        online = until(lambda name=name: states(office).get(name, {}).get("state") == "online", 60)
        note = "" if online else kiosk.sh("journalctl -u gatepost -o cat -n 15; gatepost check")
        found.check(f"{name}: card to online", online, f"{time.monotonic() - began_s:.1f} s {note}")
    groups = {name: state.get("groups", []) for name, state in states(office).items()}
    found.check("the table's settings are in force", groups.get("east-gate/k01") == ["canary"], groups)
    done = office.sh(f"gatepost command diagnose --to @canary --fleet city --key duty.key --wait 30 {SERVER}")
    only = "east-gate/k01" in done.stdout and "k02" not in done.stdout and "west-gate" not in done.stdout
    found.check("a command reaches a group", done.returncode == 0 and only, done.stdout + done.stderr)
    listed = office.sh("gatepost authority list").stdout
    known = [line for line in listed.splitlines() if line.startswith("kiosk ") and "days left" in line]
    found.check("the authority lists three", len(known) == len(KIOSKS), listed)


def upgraded(found: Found, office: Office, booted: dict[str, Machine], package: Path, version: str) -> None:
    """Two waves of the documents, each signed twice."""
    mirror = office.folder / "mirror"
    mirror.mkdir()
    shutil.copy(package, mirror)
    shutil.copy(package, office.folder)
    office.start("python3 -m http.server -d mirror -b 127.0.0.1 8000", "mirror.log")
    typed = next(each for each in blocks("fleet.md", "All steps, in order") if "upgrade rollout" in each)
    began_s = time.monotonic()
    done = office.sh(typed.replace("--settle-s 60", "--settle-s 1"), 900)
    print(done.stdout)
    ended = done.returncode == 0
    found.check("two waves are well", ended, f"{time.monotonic() - began_s:.0f} s {done.stderr}")
    if not ended:
        for name, kiosk in booted.items():
            print(name, kiosk.sh("journalctl -u gatepost -u gatepost-upgrade -u gatepost-release -o cat -n 20"))
    versions = {name: state.get("software_version") for name, state in states(office).items()}
    found.check("all run the new release", set(versions.values()) == {version}, versions)
    taken = {name: kiosk.sh("journalctl -u gatepost | grep -c 'to take over'") for name, kiosk in booted.items()}
    found.check("each lane was handed over once", set(taken.values()) == {"1"}, taken)


def wiped(found: Found, office: Office, booted: dict[str, Machine]) -> None:
    """The end of one kiosk by command; nothing of its own is left on it."""
    kiosk = booted["east-gate/k01"]
    kiosk.put(
        f'[mqtt]\nusername = "{CANARY}"\npassword = "{CANARY}"\n', "/etc/gatepost/agent.toml.d/10-canary.toml"
    )
    key = kiosk.sh("grep -h -A1 'BEGIN.*PRIVATE KEY' /var/lib/gatepost/client.pem | tail -1")
    serial = kiosk.sh("cat /var/lib/gatepost/identity.toml")
    found.check("there is something to wipe", len(key) > 30 and "east-gate" in serial, key[:5])
    typed = block("fleet.md", "The end", "gatepost command wipe")
    command, revoke, rest = typed.partition("gatepost authority revoke")
    began_s = time.monotonic()
    done = office.sh(command)
    found.check("the command is answered", done.returncode == 0, done.stdout + done.stderr)
    gone = until(lambda: not (kiosk.folder / "var/lib/gatepost/identity.toml").exists(), 120)
    note = "" if gone else kiosk.sh("journalctl -u gatepost -u gatepost-wipe -o cat -n 20")
    found.check("it wipes itself", gone, f"{time.monotonic() - began_s:.1f} s {note}")
    offline = until(lambda: states(office).get("east-gate/k01", {}).get("state") == "offline", 30)
    found.check("its state says so", offline)
    waits = until(lambda: "invitation" in kiosk.sh("systemctl status gatepost"), 30)
    found.check("it waits for an invitation", waits, kiosk.sh("systemctl status gatepost | head -12"))
    places = "/etc /var /run /boot /home /root /tmp"
    left = kiosk.sh(
        f"grep -rlF -e '{key}' -e {CANARY} -e k01 -e east-gate {places} 2>/dev/null | grep -v /var/log/journal"
    )
    found.check("no key, password or name is left", not left, left)
    told = kiosk.sh(f"journalctl --no-pager | grep -F -e '{key}' -e {CANARY}")
    found.check("nor a key or password in the log", not told, told)
    done = office.sh(f"{revoke}{rest}cp authority/revoked.crl broker/")
    office.background[0].send_signal(signal.SIGHUP)  # the broker
    known = states(office)
    found.check("nothing of it is left at the broker", done.returncode == 0 and "east-gate/k01" not in known, known)
    found.check("it is revoked", "revoked" in office.sh("gatepost authority list").stdout)
    others = {name for name, state in states(office).items() if state.get("state") == "online"}
    found.check("the others run on", others == set(KIOSKS) - {"east-gate/k01"}, others)


def main(words: Sequence[str]) -> int:
    del words
    if absent := [
        *missing(),
        *(f"{name} is not installed" for name in ("ip", "openssl", "mosquitto") if not shutil.which(name)),
    ]:
        print(f"skipped: {'; '.join(absent)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # machines that were started are stopped
    found = Found()
    with tempfile.TemporaryDirectory(prefix="gatepost-fleet-") as folder:
        built = build(Path(folder), arm64=False)
        (Path(folder) / "office").mkdir()
        began_s = time.monotonic()
        office = Office(Path(folder) / "office", built["amd64"])
        try:
            prepare(found, office)
            with kiosks(office, packages_of(built["amd64"])) as booted:
                enrolled(found, office, booted, built["amd64"].name)
                (package,) = built["second"].glob("gatepost-release_*.deb")
                upgraded(found, office, booted, package, version_of([package]))
                wiped(found, office, booted)
        finally:
            office.close()
        print(f"{found.passed} passed, {found.failed} failed; {time.monotonic() - began_s:.0f} s without the build")
    return found.failed > 0


if __name__ == "__main__":
    os.environ.setdefault("GATEPOST_CUTS", "1")
    sys.exit(main(sys.argv[1:]))
