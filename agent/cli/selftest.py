"""`gatepost selftest`: test that this release admits, refuses and stores, with simulated devices.

gatepost selftest

A green code with normal skin must open a gate; a red code must not. It may run beside the agent, uses no device and
no broker, writes below a folder of its own, and takes a few seconds. An upgrade runs it before a release is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import keys
from agent.config.toml_text import toml_text
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import Colour

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_LIMIT_S = 60.0
_LOOK_S = 0.2
_SKIN_C = 34.5
_PROGRAM = "import sys; from agent.cli import main; sys.exit(main())"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """No arguments."""
    subparsers.add_parser("selftest", description=__doc__)


def run(_args: argparse.Namespace) -> int:
    """0 when it works; 1 with what does not on standard error."""
    with tempfile.TemporaryDirectory(prefix="gatepost-selftest-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103, PTH101 - nothing secret: keys of a minute
        kiosk = _Kiosk(Path(folder))
        try:
            kiosk.start()
            fault = kiosk.fault()
        finally:
            kiosk.stop()
    if fault:
        print(f"The self-test failed: {fault}", file=sys.stderr)
        return 1
    print("The self-test passed: a green code opens, a red one does not, and both are stored.")
    return 0


class _Kiosk:
    """An agent with two simulated lanes, one for each code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        key, folder = signing.new_private_key(), self._folder
        (folder / "issuers.toml").write_text(keys.key_table("selftest", key.public))
        lanes: dict[str, Any] = {}
        for colour in (Colour.GREEN, Colour.RED):
            claims = gatepost.claims(
                "selftest",
                f"a {colour} one",
                colour,
                issued_utc=int(time.time()),
                expires_utc=int(time.time()) + 3600,
            )
            text = gatepost.issue(key, claims)
            shown = [{"s": 1.0 + n / 10, "payload": text.encode().hex()} for n in range(15)]
            _record(folder / f"{colour}.jsonl", "scanners", [*shown, {"s": 4.0, "gone": True}])
            lanes[f"{colour}"] = {
                "direction": "entry",
                "scanner": {"driver": "replayed", "file": f"{colour}.jsonl", "loop": True},
                "thermometer": {"driver": "replayed", "file": "skin.jsonl", "loop": True},
                "gate": {"driver": "simulated"},
            }
        skin = [{"s": n / 10, "surface_c": _SKIN_C + n % 7 / 100, "u_c": 0.2} for n in range(60)]
        _record(folder / "skin.jsonl", "thermometers", skin)
        (folder / "agent.toml").write_text(toml_text(self._settings(lanes)))
        words = [sys.executable, "-P", "-c", _PROGRAM, "run", "--config", str(folder / "agent.toml")]
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="backslashreplace",
            env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
        )  # fmt: skip

    def _settings(self, lanes: dict[str, Any]) -> dict[str, Any]:
        folder = str(self._folder)
        return {
            "kiosk": {"id": "selftest", "simulated": True},
            "runtime": {"directory": folder, "log_level": "warning"},
            "clock": {"source": "system", "last_known_time_file": f"{folder}/clock"},
            "outbox": {"path": f"{folder}/outbox.db"},
            "screening": {"baseline_file": f"{folder}/baseline.json"},
            "commands": {"journal_file": f"{folder}/command-journal.json"},
            "mqtt": {"host": "127.0.0.1", "port": 9},
            "lanes": lanes,
        }

    def fault(self) -> str:
        """What does not work; empty when everything does."""
        gates: dict[str, int] = {}
        stored = 0

        def done() -> bool:
            nonlocal stored
            report = self._report()
            gates.update(
                {each["lane"]: each["items"] for each in report.get("devices", ()) if each["role"] == "gate"}
            )
            stored = report.get("outbox", {}).get("stored", 0)
            return gates.get("green", 0) > 0 and stored >= _EVENTS

        if not self._until(done):
            return self._last_words() or f"within {_LIMIT_S:.0f} s gates opened {gates}, events stored {stored}"
        return f"the gate opened {gates['red']} times for a red code" if gates.get("red", 0) else ""

    def _report(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            report: dict[str, Any] = json.loads((self._folder / "status.json").read_text())
            return report
        return {}

    def _until(self, holds: Callable[[], bool]) -> bool:
        end_s = time.monotonic() + _LIMIT_S
        while time.monotonic() < end_s and self._process is not None and self._process.poll() is None:
            if holds():
                return True
            time.sleep(_LOOK_S)
        return False

    def _last_words(self) -> str:
        if self._process is None or self._process.poll() is None or self._process.stderr is None:
            return ""
        lines = self._process.stderr.read().strip().splitlines()[-3:]
        return f"the agent ended with {self._process.returncode}: {' '.join(lines)}"

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


_EVENTS = 6
"""Started, devices up, and a passage at each lane: more than came before anybody passed."""


def _record(file: Path, kind: str, items: list[dict[str, Any]]) -> None:
    head = {"recording": 1, "kind": kind, "driver": "replayed"}
    file.write_text("".join(json.dumps(item) + "\n" for item in (head, *items)))
