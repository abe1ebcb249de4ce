"""A browser on a lane's screen: started here, asked for frames through a pipe, ended with all its processes."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FLAGS = (
    "--kiosk",
    "--log-level=3",
    "--incognito",
    "--no-first-run",
    "--no-default-browser-check",
    "--noerrdialogs",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-dev-tools",
    "--disable-extensions",
    "--disable-pinch",
    "--disable-sync",
    "--disable-translate",
    "--overscroll-history-navigation=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--password-store=basic",
)
"""Nothing but one page of this machine: no other address, no question, no gesture that leads away."""
_FROM_PIPE, _TO_PIPE = 3, 4
"""Where Chromium expects the pipe of its remote control (`--remote-debugging-pipe`)."""
_HIGH = 20
_ONE_FRAME = "new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(() => painted({}))))"
"""The second frame begins when the first is on the screen, so its promise needs script, renderer and compositor."""
_PIECE = 65536
_START_S = 20.0


class BrowserGone(Exception):
    """The browser has ended, or says what nobody can read."""


class PipedProcess:
    """A process with all that it starts, and a pipe each way to it."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError."""
        commands, self._write = _pipe()
        self._read, answers = _pipe()
        self._pid = os.posix_spawnp(
            words[0],
            list(words),
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, _FROM_PIPE),
                (os.POSIX_SPAWN_DUP2, answers, _TO_PIPE),
            ],
            setpgroup=0,
        )
        os.close(commands)
        os.close(answers)
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._unread = b""

    def send(self, message: bytes) -> None:
        """Raises TimeoutError when it reads nothing, or BrowserGone."""
        try:
            os.write(self._write, message)
        except BlockingIOError:
            raise TimeoutError from None
        except OSError as error:
            raise BrowserGone(str(error)) from None

    def read_until(self, end: bytes, until_s: float) -> bytes:
        """Its next message. Raises TimeoutError or BrowserGone."""
        while end not in self._unread:
            ready, _, _ = select.select([self._read], [], [], max(0.0, until_s - time.monotonic()))
            if not ready:
                raise TimeoutError
            got = os.read(self._read, _PIECE)
            if not got:
                raise BrowserGone("it has ended")
            self._unread += got
        message, _, self._unread = self._unread.partition(end)
        return message

    def kill(self) -> None:
        """End it with its compositor and all processes, whatever state they are in."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        os.close(self._read)
        os.close(self._write)


class Browser(PipedProcess):
    """One process of Chromium. Every call that waits is bounded by its argument."""

    def __init__(self, words: Sequence[str], profile: Path, environment: Mapping[str, str]) -> None:
        """`words`: the browser, after its compositor if it needs one; `profile`: an empty folder with a short path
        (it holds a socket), for all that it writes: it is killed, so it removes nothing itself.
        """
        profile.mkdir(parents=True, exist_ok=True)
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium has no sandbox for root
        line = [*words, *_FLAGS, *root, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        super().__init__(line, {**environment, "TMPDIR": str(profile)})
        self._number = 0
        self._session = ""

    def open(self, url: str, limit_s: float) -> None:
        """Show a page. Raises TimeoutError or BrowserGone."""
        until_s = time.monotonic() + limit_s
        while not self._session:
            targets = self._call("Target.getTargets", {}, until_s)["targetInfos"]
            page = next((each["targetId"] for each in targets if each["type"] == "page"), None)
            if page is not None:
                to = {"targetId": page, "flatten": True}
                self._session = self._call("Target.attachToTarget", to, until_s)["sessionId"]
        self._call("Page.navigate", {"url": url}, until_s)

    def paint(self, expression: str, limit_s: float) -> Any:
        """Wait for a frame on the screen; then what `expression` is there. Raises TimeoutError or BrowserGone."""
        script = f"{_ONE_FRAME}.then(() => {expression})"
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self._call("Runtime.evaluate", asked, time.monotonic() + limit_s)
        return answer.get("result", {}).get("value")

    def still(self) -> None:
        """Pages that are opened from now on move nothing. Raises TimeoutError or BrowserGone."""
        wanted = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
        self._call("Emulation.setEmulatedMedia", wanted, time.monotonic() + _START_S)

    def resize(self, width_px: int, height_px: int, limit_s: float) -> None:
        """Lay pages out for this size. Raises TimeoutError or BrowserGone."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", size, time.monotonic() + limit_s)

    def picture(self, width_px: int, height_px: int, limit_s: float) -> bytes:
        """What the page looks like at this size, PNG. Raises TimeoutError or BrowserGone."""
        until_s = time.monotonic() + limit_s
        self.resize(width_px, height_px, limit_s)
        self.paint("true", limit_s)
        wanted = {"format": "png", "optimizeForSpeed": True}
        return base64.b64decode(self._call("Page.captureScreenshot", wanted, until_s).get("data", ""))

    def _call(self, method: str, parameters: Mapping[str, Any], until_s: float) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self.send(json.dumps(message).encode() + b"\0")
        while True:
            said = self._message(until_s)
            if said.get("id") == self._number:
                result = said.get("result", {})
                return result if isinstance(result, dict) else {}

    def _message(self, until_s: float) -> dict[str, Any]:
        """The next message, of whatever kind."""
        try:
            said = json.loads(self.read_until(b"\0", until_s))
        except ValueError as error:
            raise BrowserGone(str(error)) from None
        return said if isinstance(said, dict) else {}


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe, above the numbers that the browser wants for its own."""
    made = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _HIGH) for end in made)
    for end in made:
        os.close(end)
    return high[0], high[1]
