"""A monitor without hardware: the frame buffer of an X server, read as a monitor would show it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 640, 400
_MAIN = "import sys; from agent.cli import main; sys.exit(main())"
_HEAD = struct.Struct(">25I")  # XWDFileHeader: of these, how long the head is, bytes a row, and colours in a table


class Monitor:
    """An X server of its own, and `gatepost display` on it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gp-"))
        read, write = os.pipe()
        with (self.folder / "x.log").open("wb") as log:
            self._server = subprocess.Popen(
                ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-br",
                 "-nolisten", "tcp", "-fbdir", str(self.folder)],
                pass_fds=[write], stdout=log, stderr=log,
            )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as told:
            self.display = f":{told.readline().strip()}"
        self.launcher: subprocess.Popen[bytes] | None = None

    def launch(self, lane: str, port: int, browser: str = "chromium") -> None:
        """Start a browser on it."""
        words = [sys.executable, "-c", _MAIN, "display", lane, "--port", str(port), "--compositor", ""]
        words += ["--browser", browser]
        environment = os.environ | {"DISPLAY": self.display, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        self._start = partial(subprocess.Popen, words, cwd=Path(__file__).parents[3], env=environment)
        self.launcher = self._start()

    def is_kept(self) -> bool:
        """True. A browser that a busy machine has held up for long was killed: its service starts it again."""
        if self.launcher is not None and self.launcher.poll() is not None:
            self.launcher = self._start()
        return True

    def pixels(self) -> np.ndarray:
        """Rows of red, green and blue."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        head = _HEAD.unpack_from(data)
        start, row = head[0] + head[19] * 12, head[12]
        rows = np.frombuffer(data, np.uint8, count=row * HEIGHT, offset=start).reshape(HEIGHT, row)
        return rows[:, : WIDTH * 4].reshape(HEIGHT, WIDTH, 4)[:, :, 2::-1]

    def is_green(self) -> bool:
        """Whether anybody could take it for a yes: some part of it is more green than anything else."""
        red, green, blue = (self.pixels()[::8, ::8, channel].astype(int) for channel in range(3))
        return bool(((green > red + 20) & (green > blue + 10)).mean() > 0.05)

    def processes(self, kind: str) -> list[int]:
        """Processes of the browser by their `--type` or name; `` for all that belong to it, the compositor too."""
        assert self.launcher is not None
        children = Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text().split()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                if str(os.getpgid(int(entry.name))) in children and (
                    not kind or f"--type={kind}" in words or kind in words
                ):
                    found.append(int(entry.name))
        return found

    @staticmethod
    def left_behind(processes: list[int]) -> list[str]:
        """What still runs of a browser that was killed."""
        found = []
        for process in processes:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
                if words and "crashpad" not in words:
                    found.append(words)
        return found

    def stop(self, kind: str) -> None:
        """Let all processes of a kind stand still."""
        found = self.processes(kind)
        assert found, kind
        for process in found:
            os.kill(process, signal.SIGSTOP)

    def close(self) -> None:
        if self.launcher is not None:
            self.launcher.terminate()
            self.launcher.wait()
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
