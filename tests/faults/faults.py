"""What goes wrong with a card and a clock: for tests and measurements of the agent as a process of its own.

`Shim` is preloaded (any user, needs a C compiler); `Card` is a small ext4 of its own (root, a loop device).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FOR_EVER = 1 << 62
_NUMBERS = struct.Struct("=5q")
_MB = 1 << 20


class NotPossibleHere(Exception):
    """This machine or user cannot make such a fault; `str()` says what is missing."""


class Shim:
    """Syncs and wall clock of the processes that are started with `environment`, changed while they run."""

    def __init__(self, folder: Path) -> None:
        """Compile it into `folder`. Raises NotPossibleHere."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise NotPossibleHere("no C compiler")
        library, self._file = folder / "shim.so", folder / "faults"
        source = Path(__file__).with_name("shim.c")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self._file.write_bytes(bytes(_NUMBERS.size))
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "FAULTS": str(self._file)}

    @classmethod
    def inside(cls) -> Shim:
        """The one that was preloaded into this very process."""
        shim = cls.__new__(cls)
        shim.environment = {name: os.environ[name] for name in ("LD_PRELOAD", "FAULTS")}
        shim._file = Path(os.environ["FAULTS"])
        return shim

    def slow(self, ms: int) -> None:
        """Every sync takes so long from now on."""
        self._write(0, ms)

    def fail(self, syncs: int = FOR_EVER, after: int = 0) -> None:
        """The next `syncs` give EIO, `after` so many that work; 0: no more of that."""
        first = self.syncs + after
        self._write(2, 0)  # between the two writes none may fail that should not
        self._write(1, first)
        self._write(2, min(first + syncs, FOR_EVER) if syncs else 0)

    def jump(self, seconds: float) -> None:
        """The wall clock is off by so much from now on."""
        self._write(3, int(seconds * 1e9))

    @property
    def syncs(self) -> int:
        """How many there were."""
        return int(_NUMBERS.unpack(self._file.read_bytes())[4])

    def _write(self, place: int, value: int) -> None:
        with self._file.open("r+b", buffering=0) as file:
            file.seek(place * 8)
            file.write(struct.pack("=q", value))


class Card:
    """A small ext4 of its own under `path`. Raises NotPossibleHere where there is no root or no loop device."""

    def __init__(self, folder: Path, megabytes: int = 16) -> None:
        self.path = folder / "card"
        self.path.mkdir()
        self._image = folder / "card.img"
        if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
            raise NotPossibleHere("a card of its own needs root and a loop device")
        with self._image.open("wb") as image:
            image.truncate(megabytes * _MB)
        _run("chattr", "+i", str(self.path))  # nobody may take the bare mount point for the card
        _run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-J", "size=4", str(self._image))
        self._mount()

    def _mount(self) -> None:
        try:
            _run("mount", "-o", "loop,noatime,errors=remount-ro", str(self._image), str(self.path))
            _run("mount", "--make-shared", str(self.path))  # an unmount holds for other mount namespaces as well
        except subprocess.CalledProcessError as error:
            raise NotPossibleHere(f"no loop device: {error.stderr.strip()}") from None

    def fill(self, leave_kb: int = 0) -> None:
        """Use up all room but this."""
        room = os.statvfs(self.path)
        size = max(0, room.f_bavail * room.f_frsize - leave_kb * 1024)
        with (self.path / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while size > 0 or not leave_kb:
                size -= filler.write(bytes(min(size, _MB) if size > 0 else 4096))

    def clear(self) -> None:
        """Give the room back."""
        (self.path / "filler").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Writers wait until `thaw`."""
        _run("fsfreeze", "-f", str(self.path))

    def thaw(self) -> None:
        """Go on."""
        _run("fsfreeze", "-u", str(self.path))

    def give_up(self) -> None:
        """What ext4 does on a card with errors: it makes itself read-only, files open for writing included."""
        device = Path(_run("findmnt", "-no", "SOURCE", str(self.path)).strip()).name
        trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
        if not trigger.exists():
            raise NotPossibleHere("this kernel cannot make an ext4 give up")
        with contextlib.suppress(OSError):  # "read-only file system" is how it says that it has
            trigger.write_text("1")

    @property
    def is_read_only(self) -> bool:
        """Whether it has made itself so."""
        return any(f" {self.path} " in line and "emergency_ro" in line for line in _mounts())

    def repair(self, limit_s: float = 60.0) -> None:
        """Unmount once nobody holds a file open, mend, mount again: what a restart of the machine would do."""
        until_s = time.monotonic() + limit_s
        while subprocess.run(["umount", str(self.path)], capture_output=True, check=False).returncode:
            if time.monotonic() > until_s:
                raise TimeoutError(f"files on the card are still open after {limit_s:g} s")
            time.sleep(0.1)
        while _run("losetup", "-j", str(self._image)):
            if time.monotonic() > until_s:
                raise TimeoutError("somebody else keeps the card mounted, in a mount namespace of his own")
            time.sleep(0.1)
        subprocess.run(["fsck.ext4", "-fy", str(self._image)], capture_output=True, check=False)
        self._mount()

    def close(self) -> None:
        """Away with it."""
        for words in (["fsfreeze", "-u"], ["umount", "-l"], ["chattr", "-i"]):
            subprocess.run([*words, str(self.path)], capture_output=True, check=False)


def _mounts() -> list[str]:
    return Path("/proc/mounts").read_text().splitlines()


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
