"""A list's base to all kiosks of a site over its one line, with the siblings' help and without; as root.

Each kiosk is a process in a network namespace of its own on the bridge of the site, with the real fetcher; a router
leads to the web server over a line of 10 Mbit/s (tc), whose bytes the kernel counts. It can be set:
KEYS=10000000, KIOSKS=50, ALONE=2 (kiosks of the run without siblings); 0 kiosks leave a run out. With ten million
keys a run takes two minutes for each copy that comes over the line, and 7 GB of memory, or of the disk where there
is less. A long run may be made in parts: with FOLDER=… what is cut off goes on with the next call, where each kiosk
was; bytes and seconds are then of all parts.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from rows import ROOT, Row

from agent.credentials import base_chunks, lists
from agent.ruleset import load
from agent.ruleset.base_assembly import WantedBase
from agent.ruleset.base_fetch import BaseFetcher
from agent.ruleset.base_siblings import SiteSharing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

KIOSKS = int(os.environ.get("KIOSKS", "50"))
ALONE = int(os.environ.get("ALONE", "2"))
KEYS = int(os.environ.get("KEYS", "10000000"))
FOLDER = os.environ.get("FOLDER", "")
LINE_MBIT = 10
BAR = 1.2
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from base_bench import Web
web = Web(address="0.0.0.0", port=80)
web.data = open(sys.argv[2], "rb").read()
print("ready", flush=True)
sys.stdin.readline()
"""
NEIGHBOURS = Path("/proc/sys/net/ipv4/neigh/default")
MOST_NEIGHBOURS = {"gc_thresh1": "8192", "gc_thresh2": "16384", "gc_thresh3": "32768"}
"""All namespaces share this machine's table: 50 kiosks that know each other have more entries than it holds."""
_CLONE_NEWNET = 0x40000000
_FORK = multiprocessing.get_context("fork")


class SiteNetwork:
    """Namespaces: a site's bridge and router, its kiosks, and what lies at the other end of its line."""

    def __init__(self, kiosks: int) -> None:
        self.name = f"gps{os.getpid()}"
        self.kiosks = kiosks
        self._made: list[str] = []

    def __enter__(self) -> Self:
        self._neighbours = {name: (NEIGHBOURS / name).read_text() for name in MOST_NEIGHBOURS}
        try:
            for name, most in MOST_NEIGHBOURS.items():
                (NEIGHBOURS / name).write_text(most)
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._made:
            subprocess.run(["ip", "netns", "del", each], check=False)
        for name, before in self._neighbours.items():
            (NEIGHBOURS / name).write_text(before)

    def words(self, place: str, *words: object) -> list[str]:
        """A command in the namespace of `router`, `server` or a kiosk's number."""
        return ["ip", "netns", "exec", f"{self.name}-{place}", *map(str, words)]

    def line_bytes(self) -> int:
        """What has come over the line to the site."""
        found = self._in("router", "ip", "-s", "-j", "link", "show", "line")
        return int(json.loads(found)[0]["stats64"]["rx"]["bytes"])

    def _in(self, place: str, *words: object) -> str:
        return subprocess.run(self.words(place, *words), check=True, capture_output=True, text=True).stdout

    def _ip(self, place: str, *lines: str) -> None:
        """Many words for `ip` in one process: with fifty kiosks there are hundreds."""
        inside = ["-n", f"{self.name}-{place}"] if place else []
        subprocess.run(["ip", *inside, "-batch", "-"], check=True, text=True, input="\n".join(lines))

    def _build(self) -> None:
        kiosks = [str(number) for number in range(self.kiosks)]
        self._made = [f"{self.name}-{place}" for place in ("router", "server", *kiosks)]
        self._ip("", *(f"netns add {each}" for each in self._made))
        self._ip(
            "router",
            f"link add line type veth peer eth0 netns {self.name}-server",
            "link add site type bridge mcast_snooping 0",
            "address add 10.78.0.1/24 dev line", "link set line up",
            "address add 10.77.0.1/16 dev site", "link set site up",
            *(f"link add k{each} type veth peer name eth0 netns {self.name}-{each}" for each in kiosks),
            *(f"link set k{each} master site up" for each in kiosks),
        )  # fmt: skip
        begin = ("link set lo up", "link set eth0 up")
        self._ip("server", *begin, "address add 10.78.0.2/24 dev eth0", "route add default via 10.78.0.1")
        for number, each in enumerate(kiosks, 1):
            address = f"10.77.{1 + number // 250}.{1 + number % 250}/16"
            self._ip(each, *begin, f"address add {address} dev eth0", "route add default via 10.77.0.1")
        for place, device in (("router", "line"), ("server", "eth0")):
            shape = f"rate {LINE_MBIT}mbit burst 32kbit latency 200ms".split()
            self._in(place, "tc", "qdisc", "add", "dev", device, "root", "tbf", *shape)
        self._in("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")


def run() -> Iterator[Row]:
    """Without siblings a few kiosks, with them all."""
    if os.geteuid():
        raise PermissionError("namespaces are made by root: sudo make bench-site")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the namespaces are taken down
    if FOLDER:
        Path(FOLDER).mkdir(parents=True, exist_ok=True)
        yield from _run(Path(FOLDER))
        return
    with TemporaryDirectory(prefix="gp-site-", dir=_memory((KIOSKS + 2) * KEYS * 15)) as name:
        yield from _run(Path(name))


def _run(folder: Path) -> Iterator[Row]:
    file = folder / "people.gpl"
    if not file.exists():
        head = lists.ListHeader("revoked", "demo", 2, time.time(), 3600.0, 7200.0)
        load.write_list(file, head, os.urandom(16 * KEYS))
    copy = file.stat().st_size
    what = f"a base of {KEYS:,} keys ({copy / 1e6:.1f} MB) over {LINE_MBIT} Mbit/s"
    for kiosks, how in ((ALONE, "alone"), (KIOSKS, "share")):
        if not kiosks:
            continue
        came, took_s, parts = _measure(folder, file, kiosks, how)
        sharing = how == "share"
        yield Row(
            f"{what} to {kiosks} kiosks of a site {'with' if sharing else 'without'} siblings",
            f"{came / copy:.2f} copies over the line, all in {took_s:.0f} s" + f" in {parts} parts" * (parts > 1),
            "",
            f"≤ {BAR:g} copies" if sharing else "",
            came <= BAR * copy if sharing else None,
        )


def _memory(needed_bytes: int) -> str | None:
    """A folder in memory, where there is enough of it."""
    free = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return "/dev/shm" if int(free.split()[1]) * 1024 > 1.5 * needed_bytes else None


def _measure(folder: Path, file: Path, kiosks: int, how: str) -> tuple[int, float, int]:
    """Bytes over the line, and seconds until the last has it whole, and in how many parts."""
    noted = folder / f"{how}.json"
    came, took_s, parts = json.loads(noted.read_text()) if noted.exists() else (0, 0.0, 0)
    with SiteNetwork(kiosks) as site, contextlib.ExitStack() as stack:
        server = subprocess.Popen(
            site.words("server", sys.executable, "-c", SERVER, ROOT / "tests" / "agent" / "ruleset", file),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        stack.callback(server.wait)
        stack.callback(server.kill)
        if server.stdout.readline() != "ready\n":
            raise RuntimeError("the web server does not start")
        chunks = load.chunks_of(file, base_chunks.DEFAULT_BYTES, "http://10.78.0.2/people.gpl")
        head, ends = load.open_list(file).base.head, []
        for number in range(kiosks):
            wanted = WantedBase("people", folder / f"{how}-{number}" / "people.gpl", head, chunks)
            ours, theirs = _FORK.Pipe()
            words = (f"{site.name}-{number}", wanted, how == "share", theirs)
            process = _FORK.Process(target=_kiosk, args=words, daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            ends.append(ours)
        for end in ends:
            end.recv()
        before, begun_s = site.line_bytes(), time.monotonic()
        for end in ends:
            end.send("begin")
        try:
            for number, end in enumerate(ends, 1):
                if not end.recv():
                    raise RuntimeError(f"the base of kiosk {number} is damaged")
                if number % 10 == 0:
                    took = f"{time.monotonic() - begun_s:.0f} s"
                    print(f"  {number} have it after {took}", file=sys.stderr, flush=True)
        finally:
            came, took_s, parts = (
                came + site.line_bytes() - before, took_s + time.monotonic() - begun_s, parts + 1
            )  # fmt: skip
            noted.write_text(json.dumps((came, took_s, parts)))
    return came, took_s, parts


def _kiosk(namespace: str, wanted: WantedBase, share: bool, parent: Connection) -> None:
    """A process: the real fetcher in the network of one kiosk. It serves the others until it is killed."""
    with Path("/run/netns", namespace).open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns", namespace)
    wanted.path.parent.mkdir(exist_ok=True)
    done = load.next_path(wanted.path)
    sharing = SiteSharing(8472) if share else None
    fetcher = BaseFetcher(
        lambda: [] if done.exists() else [wanted], lambda: fetcher, lambda *_: None,
        source=namespace, sharing=sharing, held=lambda: [wanted] if done.exists() else [],
    )  # fmt: skip
    parent.send("ready")
    parent.recv()
    fetcher.start()
    while not done.exists():
        time.sleep(0.1)
    parent.send(load.open_list(done).base.is_sound())
    parent.recv()
