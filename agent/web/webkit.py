"""WebKitGTK on a lane's screen: a window in a process of the system's Python, half as large as a Chromium."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.web.browser import BrowserGone, PipedProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PYTHON = "/usr/bin/python3"
_WINDOW = Path(__file__).with_name("webkit_window.py")
_TYPELIBS = "/usr/lib"
_NEEDED = ("*/girepository-1.0/WebKit2-4.1.typelib", "python3/dist-packages/gi/__init__.py")
PACKAGES = "gir1.2-webkit2-4.1 python3-gi"


def is_installed(libraries: Path = Path(_TYPELIBS)) -> bool:
    """Whether the packages are on this machine."""
    return all(any(libraries.glob(pattern)) for pattern in _NEEDED)


class WebKit(PipedProcess):
    """One window. Every call that waits is bounded by its argument."""

    def __init__(self, compositor: Sequence[str], environment: Mapping[str, str]) -> None:
        """`compositor`: what it runs in; empty for the session that is there."""
        super().__init__([*compositor, PYTHON, "-I", str(_WINDOW)], environment)

    def open(self, url: str, limit_s: float) -> None:
        """Show a page. Raises TimeoutError or BrowserGone."""
        self._call({"open": url}, limit_s)

    def paint(self, expression: str, limit_s: float) -> Any:
        """Wait for a frame on the screen; then what `expression` is there. Raises TimeoutError or BrowserGone."""
        return self._call({"paint": expression}, limit_s).get("value")

    def _call(self, said: dict[str, str], limit_s: float) -> dict[str, Any]:
        self.send(json.dumps(said).encode() + b"\n")
        line = self.read_until(b"\n", time.monotonic() + limit_s)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise BrowserGone(str(error)) from None
        return answer if isinstance(answer, dict) else {}
