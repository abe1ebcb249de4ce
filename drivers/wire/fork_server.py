"""Processes that share what they have imported: each is forked from one that has imported it.

    agent                         fork server                          child
      request: modules, work   →    imports the modules, once
      the far end of a pipe    →    forks                          →     sends the number of its process,
                                                                         then runs the work, which gets the pipe

A child starts in milliseconds and shares the pages of OpenCV and numpy with the others until it writes to them.
The server has one thread and does nothing else, so that a fork is safe, and it ends with the agent. When nobody has
asked for `SPARE_S`, it forgets what it has imported (8 MB that only it still has), until the next request. A child
that crashes or hangs takes nobody with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

SPARE_S = 30.0
"""Cameras that are opened at the start, or again after a fault, come within so long of each other."""
_SEND_LIMIT_S = 2.0
_MOST_BYTES = 65_536
_lock = threading.Lock()
_server: tuple[subprocess.Popen[bytes], socket.socket] | None = None


class Process:
    """A process, held by its descriptor: its number may be another's once it has ended."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def end(self, limit_s: float) -> None:
        """Kill it and wait for its end, `limit_s` seconds at most: one may be stuck in the kernel."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        ended = select.poll()
        ended.register(self._descriptor, select.POLLIN)
        ended.poll(limit_s * 1000)
        self.let_go()

    def let_go(self) -> None:
        """Hold it no longer; it runs on."""
        os.close(self._descriptor)


def start(modules: tuple[str, ...], work: Callable[..., None], *arguments: Any) -> tuple[int, Connection[Any, Any]]:
    """Run `work(pipe, *arguments)` in a new child: the number of the server's process, and our end of the pipe.

    `modules`: what all children share. `work` and `arguments` are pickled. The child first sends the number of its
    own process. Raises OSError when no server can be started.
    """
    request = pickle.dumps((modules, pickle.dumps((work, arguments))))
    near, far = os.pipe()
    try:
        with _lock:
            pid = _send(request, far)
    except OSError:
        os.close(near)
        raise
    finally:
        os.close(far)
    return pid, Connection(near, writable=False)


def _send(request: bytes, pipe: int) -> int:
    """To the server, or to a new one where there is none."""
    global _server  # noqa: PLW0603 - one for the whole program, as it is there to be shared
    if _server is not None:
        process, line = _server
        with contextlib.suppress(OSError):
            socket.send_fds(line, [request], [pipe])
            return process.pid
        line.close()
        process.kill()
        process.wait()
    process, line = _server = _start_server()
    socket.send_fds(line, [request], [pipe])
    return process.pid


def _start_server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.settimeout(_SEND_LIMIT_S)
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    # numpy's matrices here are small: threads for large ones would only spin, 0.1 s of CPU at the start
    environment = {"OPENBLAS_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        process = subprocess.Popen(  # noqa: S603 - our own module
            _command(far.fileno()), stdin=subprocess.DEVNULL, pass_fds=(far.fileno(),), env=environment
        )
    except OSError:
        near.close()
        raise
    finally:
        far.close()
    return process, near


def _command(descriptor: int) -> list[str]:
    return [sys.executable, "-c", f"from {__name__} import serve; serve({descriptor}, {SPARE_S})"]


def serve(descriptor: int, spare_s: float) -> None:
    """The server: fork a child for each request that comes by the socket, until the agent is gone."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, signal.SIG_IGN)  # the agent ends it; the kernel forgets its children by itself
    with socket.socket(fileno=descriptor) as line:
        while select.select([line], [], [], spare_s)[0]:
            request, pipes, _, _ = socket.recv_fds(line, _MOST_BYTES, 1)
            if not pipes:
                return
            modules, work = pickle.loads(request)  # noqa: S301 - from our own parent
            for name in modules:
                with contextlib.suppress(ImportError):  # the work meets it again, and can say so
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()  # the collector would write to every page that is shared
            try:
                if os.fork() == 0:
                    line.close()
                    _run(pipes[0], work)
            except OSError as error:
                sys.stderr.write(f"no process for a device can be started: {error}\n")
            os.close(pipes[0])
        _forget(line)


def _forget(line: socket.socket) -> NoReturn:
    """Go on as a bare Python that waits for the next request, and becomes the server again."""
    line.set_inheritable(True)
    wait = f"import os, select; select.select([{line.fileno()}], [], []); os.execv({sys.executable!r}, "
    os.execv(sys.executable, [sys.executable, "-ISc", f"{wait}{_command(line.fileno())!r})"])  # noqa: S606 - ourselves


def _run(descriptor: int, work: bytes) -> NoReturn:
    """The child."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        pipe: Connection[Any, Any] = Connection(descriptor, readable=False)
        pipe.send(os.getpid())
        run, arguments = pickle.loads(work)  # noqa: S301 - from our own parent
        run(pipe, *arguments)
    except BrokenPipeError:
        pass  # the agent is gone, or wants no more
    except BaseException:  # noqa: BLE001 - the process ends here, however
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)  # a thread that hangs in a driver must not hold the end
