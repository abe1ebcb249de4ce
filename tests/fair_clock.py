"""Time as it passes on a machine that does nothing else: for promises in seconds that a test holds from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

PERIOD_S = 0.05
WORK_S = 0.005
NICE = 5
"""Of the process with the lowest priority that is measured so: systemd/gatepost-screen.service."""
_BYSTANDER = f"""
import os, time
os.nice({NICE})
due_s = time.monotonic()
while True:
    end_s = time.process_time() + {WORK_S}
    while time.process_time() < end_s:
        pass
    os.write(1, b".")
    due_s = max(due_s + {PERIOD_S}, time.monotonic() - {PERIOD_S / 10})
    time.sleep(max(0.0, due_s - time.monotonic()))
"""


class FairClock:
    """Counts the rounds of a process beside the test that has a little work twenty times a second.

    A busy machine does that work later, as it does that of the process that is measured: its rounds are fewer then,
    and this clock is behind by as much. On a machine that has nothing else to do it goes like any other.
    """

    def __init__(self) -> None:
        self._rounds = 0
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BYSTANDER], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._wire = self._process.stdout.fileno()
        self.stand_still()

    def go(self) -> None:
        """Count from now on."""
        self._process.send_signal(signal.SIGCONT)
        os.set_blocking(self._wire, True)
        self._rounds += len(os.read(self._wire, 1))  # it runs
        os.set_blocking(self._wire, False)

    def stand_still(self) -> None:
        """Nobody measures."""
        self._process.send_signal(signal.SIGSTOP)

    def __call__(self) -> float:
        """Seconds that it has gone."""
        with contextlib.suppress(BlockingIOError):
            while got := os.read(self._wire, 4096):
                self._rounds += len(got)
        return self._rounds * PERIOD_S

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
