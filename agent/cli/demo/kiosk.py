"""A kiosk with simulated lanes: its configuration, and the agent as a process of its own.

Nothing is shared with the agent but the wires: pseudo-terminals, I²C nodes, a camera's stream, the broker's port.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from agent.cli.demo import child
from agent.supervisor import read_report
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.state_files import StateFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from drivers.simulators.lane import Lane

START_S = 90.0
_STOP_S = 60.0
_LOOK_EVERY_S = 0.05

Report = dict[str, Any]


def is_online(report: Report) -> bool:
    """Every device answers and the broker holds `online`."""
    return bool(report["link"]["connected"]) and has_devices(report)


def has_devices(report: Report) -> bool:
    """Every device answers."""
    return all(device["up"] for device in report["devices"])


class DemoKiosk:
    """The lanes and the agent. The agent may be started, stopped, killed and started again."""

    def __init__(self, folder: Path, lanes: Mapping[str, Lane], hear: Callable[[dict[str, Any]], None]) -> None:
        """`hear`: gets each line of the agent's log, from a thread of its own; lines that are no JSON go to
        standard error.
        """
        self.folder = folder
        self.lanes = lanes
        self._hear = hear
        self._agent: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

    @property
    def config(self) -> Path:
        """The agent's configuration file."""
        return self.folder / "agent.toml"

    def configure(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the configuration: `settings` by section, and what the plugged lanes say of themselves."""
        tree = {**settings}
        for name, lane in self.lanes.items():
            direction = "exit" if name.startswith("exit") else "entry"
            tree[f"lanes.{name}"] = {"direction": direction, "release_s": 1.0, **settings.get(f"lanes.{name}", {})}
            for part, table in lane.tables().items():
                tree[f"lanes.{name}.{part}"] = {**table, **settings.get(f"lanes.{name}.{part}", {})}
        self.config.write_text("\n".join(_toml(tree)), encoding="utf-8")

    def start(self, until: Callable[[Report], bool] = is_online, **environment: str) -> float:
        """Start the agent and wait `until` its report says so; returns the seconds that took.

        Raises TimeoutError when it ends or does not come so far.
        """
        begun_s = time.monotonic()
        self.launch(**environment)
        self.wait(until)
        return time.monotonic() - begun_s

    def launch(self, **environment: str) -> None:
        """Start the agent and wait for nothing. It ends with the thread that calls this."""
        for lane in self.lanes.values():
            lane.world.forget_looks()
        mounts = [
            word for lane in self.lanes.values() for node, path in lane.mounts.items() for word in (path, node)
        ]
        self._agent = subprocess.Popen(  # noqa: S603 - our own words
            child.words(
                *(sys.executable, "-m", "drivers.simulators.i2c_host", *mounts, "--"),
                *("gatepost", "run", "--config", str(self.config)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            process_group=0,  # a Ctrl-C is for the parent process
        )
        self._listener = threading.Thread(
            target=self._listen, args=(self._agent.stderr,), name="hear agent", daemon=True
        )
        self._listener.start()

    def wait(self, until: Callable[[Report], bool], limit_s: float = START_S) -> Report:
        """Wait until the running agent's report says so. Raises TimeoutError."""
        deadline_s = time.monotonic() + limit_s
        while time.monotonic() < deadline_s and self.is_running:
            report = self.report()
            if report is not None and until(report):
                return report
            time.sleep(_LOOK_EVERY_S)
        report = self.report() or {}
        raise TimeoutError(
            f"the agent ended with status {self.status}"
            if self.status is not None
            else f"the agent does not come so far; problems: {report.get('problems', 'not told yet')}"
        )

    @property
    def pid(self) -> int | None:
        """Of the agent that was started last."""
        return None if self._agent is None else self._agent.pid

    @property
    def is_running(self) -> bool:
        """The agent was started and has not ended."""
        return self._agent is not None and self._agent.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status of the agent that was started last; None before it has ended."""
        return None if self._agent is None else self._agent.poll()

    def report(self) -> Report | None:
        """How the running agent says it is; None when this one has not said anything yet."""
        report = read_report(self.folder / "run")
        return report if report is not None and report["pid"] == self.pid else None

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Send a signal that ends the agent, and its exit status, once all that it said was heard.

        One that is killed here has not fallen by itself: it is not held against it, or the fifth in a row would be
        in safe mode.
        """
        if self._agent is None or self._listener is None:
            raise RuntimeError("the agent was not started")
        if self._agent.poll() is None:
            self._agent.send_signal(with_signal)
        try:
            status = self._agent.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
            raise TimeoutError(f"the agent did not end within {_STOP_S:.0f} s") from None
        self._listener.join(_STOP_S)
        if with_signal == signal.SIGKILL:
            StateFiles(self.config).count(StartHistory.ended)
        return status

    def close(self) -> None:
        """End the agent, hard, and clear the lanes away; may be called twice."""
        if self.is_running:
            self.stop(signal.SIGKILL)
        for lane in self.lanes.values():
            lane.close()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                try:
                    said = json.loads(line)
                except ValueError:
                    said = None
                if isinstance(said, dict):
                    self._hear(said)
                else:
                    sys.stderr.write(line.decode(errors="replace"))


def _toml(tree: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Sections of strings, numbers and flags: as JSON writes them, TOML reads them."""
    for section, table in tree.items():
        yield f"[{section}]"
        yield from (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items())
