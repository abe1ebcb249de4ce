"""Handover to another release: it loads itself before this one ends, so that no gate waits for it.

Root's helper has changed the link to the release in use, and sends SIGHUP. This process starts the program again,
which loads all that it needs and then waits. Only now this one stops, tells systemd that the other is
the service from here on (sd_notify(3), MAINPID), lets it go on, and ends. A release that does not get as far as
that never had the gate: this one stays.

A launcher starts it and ends once it is loaded, which makes it a child of systemd's. It has to be one when it is
named: systemd does not wait for a main process that is the child of another, but kills it at once at every stop.

They speak by a pair of sockets, whose number the other release is given by `gatepost run --after`:

| who | says |
|---|---|
| the one that comes | `loaded` and its process number |
| the one that goes | `go`; nothing, and hangs up: it has ended in another way, and the other ends too |
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.platform import systemd

if TYPE_CHECKING:
    from collections.abc import Sequence

LOAD_S = 50.0
"""A slow card needs half a minute to load a release that was never loaded before; root's helper waits for 60 s."""
_USAGE = 2
"""Exit status of a release from before `--after`."""
_LOADED, _GO = b"loaded", b"go"
_MOST_BYTES = 32
_LAUNCHER = ("/bin/sh", "-c", """"$@" & trap "kill -9 $!" TERM; wait $!; exit $?""", "sh")
"""Waits for a program, and ends as it does; one that is told to end kills it, one that is killed does not."""
_NOT_FOUND = (126, 127)
"""Exit statuses of the launcher for a program that cannot be started."""


class NotLoadedError(Exception):
    """The other release cannot take over; `str()` says why."""

    def __init__(self, why: str, *, knows_how: bool = True) -> None:
        """`knows_how`: False for one that has to be started in the usual way."""
        super().__init__(why)
        self.knows_how = knows_how


@dataclass(frozen=True, slots=True)
class Successor:
    """The program that takes over; it is loaded, and waits."""

    pid: int
    line: socket.socket

    def hand_over(self) -> None:
        """Make it the service, once everything is closed here. Then this process has only to end."""
        systemd.notify(f"MAINPID={self.pid}")
        with suppress(OSError):
            self.line.send(_GO)


def load_successor(words: Sequence[str] = (), limit_s: float = LOAD_S) -> Successor:
    """Start the program that the link names by now, and wait until it has loaded itself. Raises NotLoadedError.

    `words`: how to start it; as this one was started, if there are none.
    """
    line, far = socket.socketpair()
    with far:
        command = [*_LAUNCHER, *(words or sys.argv), "--after", str(far.fileno())]
        launcher = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(far.fileno(),))  # noqa: S603 - ourselves
    line.settimeout(limit_s)
    with suppress(OSError, ValueError):
        word, _, pid = line.recv(_MOST_BYTES).partition(b" ")
        if word == _LOADED:
            successor = Successor(int(pid), line)
            launcher.kill()
            launcher.wait()
            return successor
    line.close()
    with suppress(subprocess.TimeoutExpired):
        code = launcher.wait(1.0)
        raise NotLoadedError(f"it has ended with {code}", knows_how=code not in (_USAGE, *_NOT_FOUND))
    launcher.terminate()
    launcher.wait()
    raise NotLoadedError(f"it was not ready after {limit_s:.0f} s")


def await_turn(descriptor: int) -> bool:
    """In the one that comes, when all is loaded: wait; False when it is not to go on."""
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as line:
        line.send(b"%s %d" % (_LOADED, os.getpid()))
        goes_on = line.recv(len(_GO)) == _GO
    if goes_on:
        systemd.notify("WATCHDOG=1")
    return goes_on
