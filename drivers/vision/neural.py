"""The neural reader of WeChat in a process of its own, which may hang, crash or be absent: the near end.

It runs in another Python, because the build of OpenCV that it needs cannot stand beside ours (docs/camera.md tells
how to make one). A picture is laid into shared memory and asked about; the answer comes some frames later, or not
at all: then the process is killed, and left alone for longer each time. What it reads is a guess, told only when a
second picture says the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drivers.vision import neural_reader
from drivers.vision.code import Code
from drivers.vision.steps import SMALLEST_PX, scaled
from drivers.vision.steps_order import NEURAL

if TYPE_CHECKING:
    from drivers.vision.opencv import Picture

log = logging.getLogger(__name__)

START_S = 15.0
"""For its first answer: it has to load its models."""
ANSWER_S = 2.0
REST_S, LONGEST_REST_S = 5.0, 320.0
LARGEST_SIDE_PX = 1280
"""Larger pictures are shrunk to this: it reads no more of them, and takes seconds."""
_LARGEST_ANSWER = 1 << 17
_END_LIMIT_S = 0.5


class Neural:
    """The process, started when it is first asked."""

    def __init__(self, python: str) -> None:
        """`python`: the interpreter of the venv that has what it needs."""
        self._python = python
        self._child: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._memory = -1
        self._shrunk = 1.0
        self._due_s: float | None = None
        self._is_wanted = True
        self._rest_s = REST_S
        self._rests_until_s = 0.0

    @property
    def is_busy(self) -> bool:
        """It was asked and has not answered yet."""
        return self._due_s is not None

    def offer(self, picture: Picture) -> None:
        """Give it a picture, if it is there and free."""
        now_s = time.monotonic()
        if self.is_busy or now_s < self._rests_until_s or min(picture.shape) < SMALLEST_PX:
            return
        is_fresh = self._child is None
        if is_fresh and not self._start():
            return
        self._shrunk = min(1.0, LARGEST_SIDE_PX / max(picture.shape))
        view = np.ascontiguousarray(scaled(picture, self._shrunk) if self._shrunk < 1 else picture)
        height, width = view.shape
        os.pwrite(self._memory, view.data, 0)
        self._due_s = now_s + (START_S if is_fresh else ANSWER_S)
        self._is_wanted = True
        with contextlib.suppress(OSError):  # it ended: the answer will tell
            self._socket.send(neural_reader.SIZE.pack(width, height))

    def answer(self, limit_s: float = 0.0) -> list[Code]:
        """What it read in the picture it was asked about; empty also while it has not answered within `limit_s`."""
        if self._due_s is None:
            return []
        if not select.select([self._socket], [], [], max(0.0, min(limit_s, self._due_s - time.monotonic())))[0]:
            if time.monotonic() > self._due_s:
                self._give_up("takes too long")
            return []
        self._due_s = None
        try:
            said = json.loads(self._socket.recv(_LARGEST_ANSWER) or b"null")
        except (OSError, ValueError):
            said = None
        if said is None:
            self._give_up("ended")
            return []
        if "absent" in said:
            self._absent(said["absent"])
            return []
        self._rest_s = REST_S
        found = [self._code(text, place) for text, place in said["codes"]]
        return [code for code in found if code is not None and self._is_wanted]

    def forget(self) -> None:
        """What it was asked about is of no interest any more."""
        self._is_wanted = False

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        line, self._line = self._line, None
        self._due_s = None
        if line is not None:
            line.close()
            os.close(self._memory)
        if child is not None:
            child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_END_LIMIT_S)

    @property
    def _socket(self) -> socket.socket:
        assert self._line is not None  # noqa: S101 - there is one while there is a child
        return self._line

    def _start(self) -> bool:
        self._memory = os.memfd_create("picture")
        self._line, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [self._python, "-I", str(Path(neural_reader.__file__)), str(self._memory), str(far.fileno())]
        try:
            with far:
                self._child = subprocess.Popen(  # noqa: S603 - the owner's own interpreter
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    pass_fds=(self._memory, far.fileno()),
                )  # fmt: skip
        except OSError as error:
            self._absent(error.strerror or "cannot be started")
            return False
        return True

    def _give_up(self, fact: str) -> None:
        self.close()
        log.warning("the neural reader %s: it rests for %.0f s", fact, self._rest_s)
        self._rests_until_s = time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)

    def _absent(self, why: str) -> None:
        self.close()
        log.warning("%s: no neural reader there, the others read alone (%s)", self._python, why)
        self._rests_until_s = float("inf")

    def _code(self, text: str, place: Any) -> Code | None:
        """None unless all is printable ASCII: only then are the bytes as coded known from a text."""
        if not (text.isascii() and text.isprintable() and text):
            return None
        a, b, c, d = ((float(x), float(y)) for x, y in place)
        return Code(text.encode(), (a, b, c, d), step=NEURAL, is_guess=True).moved(1 / self._shrunk)
