"""Run a program that ends with its parent, however the parent ends: a closed terminal, `kill -9`.

    python -I -S child.py PARENT PROGRAM [ARGUMENT …]

PARENT is the process id of who starts it. The kernel kills the program at once (PR_SET_PDEATHSIG, which survives
exec): one that went on would find other people's terminals under the numbers of the simulated devices. The signal
belongs to the thread that starts the program, so that one must last. Needs nothing but Python's own library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def words(*command: str) -> list[str]:
    """What to start in place of `command`; the process id and all else stay the same."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> None:
    """Become the command. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it has ended before it could be heard of
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - the parent's command line


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
