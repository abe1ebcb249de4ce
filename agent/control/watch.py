"""The socket for screens: which picture each lane shows, and which of them a screen has painted.

Everything here may be read by anybody who stands in the queue: the picture is a cue, or a code of the texts on
`picture`, and the hint one of the closed list of public hints. No reason, name or temperature comes this way.

    → {"lanes": {"entry": {…its panel…}}}                                             once, at the beginning
    → {"lane": "entry", "number": 7, "picture": "refer", "hint": "", "for_ms": 5000, "rest_s": 0}
                                                             for_ms 0: until the next one; rest_s: to count down
    → {"beat": true}                                         four times a second, while the agent's loop moves
    → {"lane": "entry", "number": 8, "picture": "pair", "pairing": [link, number, fingerprint], …}
    ← {"lane": "entry", "painted": 7}                        the screen shows it; again twice a second
    ← {"port": 8470}                         where a browser on this machine finds the pages

A screen that gets no beat shows that nobody is let in. One that does not say what it has painted is down. What it
says is read in small pieces with pauses: one that says too much, or reads nothing, costs the agent no time.
"""

from __future__ import annotations

import json
import math
import os
import select
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.control.socket_server import SocketServer, line_of, send
from agent.indicators import LampPanel
from agent.model.effects import Cue, ShowCue
from agent.model.lazy import dataclass
from agent.texts import CATALOGUE
from agent.web.options import LOCAL_PORT, PORTS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agent.web.options import PanelOptions

NAME = "watch.sock"
MODE = 0o660
MAX_CLIENTS = 8
PAIR = "pair"
"""The picture with the code for a tablet of the staff."""
REST = "rest"
"""The picture that counts down until the next reading."""
BEAT_S = 0.25
STARTING_S = 10.0
"""So long after its start a lane that is not ready yet is starting, not out of service."""
LATE_S = 1.0
"""A picture that is not painted by then is not to be relied on."""
SILENT_S = 1.5
"""Nor is one that the screen has not confirmed again: two confirmations were missed."""
_MOST_BYTES = 1024
"""Of one read: what all lanes of a kiosk say at once."""
_READ_EVERY_S = 0.02
"""A client that says more is read no faster, and has to wait."""
_LOOK_S = 0.05
"""How soon it is noticed that the loop moves again."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What one lane's screen shows."""

    lane: str
    number: int
    picture: str
    """A cue, or a code of the texts on `picture`."""
    hint: str
    for_ms: int
    """0: until another comes."""
    rest_s: int = 0
    """What is to be counted down; 0: nothing."""


class LanePictures:
    """One lane's pictures in time, numbered. Pure; time is an argument."""

    def __init__(self, lane: str, panel: LampPanel, began_s: float) -> None:
        """`panel`: of this screen alone; `began_s`: when the agent started."""
        self._lane, self._panel, self._began_s = lane, panel, began_s
        self._number, self._shown = 0, ("", "", -math.inf)
        self._was_ready = False
        self._rest_until_s = -math.inf
        self.pair_until_s = -math.inf
        self.changed_s = began_s
        """When the latest picture came."""

    def show(self, effect: ShowCue, at_s: float) -> None:
        """A new cue."""
        self._was_ready |= effect.cue is not Cue.FAULT
        if effect.cue not in (Cue.READY, Cue.FAULT):  # how the lane stands cuts no answer short
            self._rest_until_s = at_s + effect.rest_s
        self._panel.show(effect.cue, at_s, effect.hint)

    def now(self, at_s: float) -> Picture:
        """The picture of this moment; a new number whenever it is another one."""
        change = self._panel.showing(at_s)
        picture, hint = str(change.cue), change.hint
        if hint in CATALOGUE["picture"]:
            picture, hint = hint, ""
        elif change.cue is Cue.RETRY:
            picture = "once_more"
        elif change.cue is Cue.FAULT and not self._was_ready and at_s - self._began_s < STARTING_S:
            picture = "starting"
        until_s, rest_s = change.until_s, 0
        if change.cue is Cue.REFER and at_s < self._rest_until_s:
            picture, hint, rest_s = REST, "", math.ceil(self._rest_until_s - at_s)
        if at_s < self.pair_until_s and change.cue in (Cue.READY, Cue.FAULT):
            picture, hint, until_s = PAIR, "", self.pair_until_s
        if (shown := (picture, hint, change.since_s if picture != PAIR else self.pair_until_s)) != self._shown:
            self._shown, self._number, self.changed_s = shown, self._number + 1, at_s
        left_s = 0.0 if until_s == math.inf else max(0.001, until_s - at_s)
        return Picture(self._lane, self._number, picture, hint, round(1000 * left_s), rest_s)


class Watch:
    """Serves the pictures of all lanes; `on_effect` is called by the loop and never blocks."""

    def __init__(
        self,
        path: Path,
        panels: Mapping[str, LampPanel],
        screens: Mapping[str, PanelOptions],
        moves: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`panels`: lane → when its cues end; `screens`: the lanes that have a screen, and its size; `moves`:
        whether the loop does.
        """
        self._clock, self._moves = clock, moves
        self._lanes = {lane: LanePictures(lane, panel, clock()) for lane, panel in panels.items()}
        self._hello = {"lanes": {lane: asdict(screens[lane]) if lane in screens else {} for lane in panels}}
        self._lock = threading.Lock()
        self._wakers: set[int] = set()
        """One for each client: it looks up when something was written there."""
        self._painted: dict[str, tuple[int, float]] = {}
        self._local_port = LOCAL_PORT
        self._pairing: tuple[str, str, str] = ("", "", "")
        """The link that a tablet of the staff is to open, the number to type, and the certificate's fingerprint."""
        self._server = SocketServer(path, MODE, MAX_CLIENTS, self._serve)

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self, _limit_s: float = 0.0) -> None:
        """Hang up."""
        self._server.stop()

    def on_effect(self, effect: object) -> None:
        """Show a cue; other effects are nothing to the public."""
        if isinstance(effect, ShowCue):
            with self._lock:
                self._lanes[effect.lane].show(effect, self._clock())
                for waker in self._wakers:
                    os.eventfd_write(waker, 1)

    def show_pairing(self, link: str, number: str, fingerprint: str, for_s: float) -> None:
        """Show what a tablet of the staff is to give, where nobody is being answered; for no time: take it off."""
        with self._lock:
            self._pairing = link, number, fingerprint
            for lane in self._lanes.values():
                lane.pair_until_s = self._clock() + for_s
            for waker in self._wakers:
                os.eventfd_write(waker, 1)

    def trouble(self, lane: str) -> str:
        """Why a lane's screen cannot be relied on; `` while it paints."""
        with self._lock:
            at_s = self._clock()
            picture = self._lanes[lane].now(at_s)
            number, painted_s = self._painted.get(lane, (0, -math.inf))
            changed_s = self._lanes[lane].changed_s
        if at_s - painted_s > SILENT_S:
            return "shows nothing"
        if number != picture.number and at_s - changed_s > LATE_S:
            return f"has not painted the last picture within {LATE_S:.0f} s"
        return ""

    @property
    def local_port(self) -> int:
        """Where a browser on this machine finds the pages, as their process said last."""
        return self._local_port

    def has_screen(self) -> bool:
        """Whether any lane's screen paints."""
        return any(not self.trouble(lane) for lane in self._lanes)

    def _serve(self, client: socket.socket) -> None:
        """Serve one screen process until it has gone."""
        waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with self._lock:
            self._wakers.add(waker)
        try:
            self._follow(client, waker)
        finally:
            with self._lock:
                self._wakers.discard(waker)
            os.close(waker)

    def _follow(self, client: socket.socket, waker: int) -> None:
        send(client, self._hello)
        told: dict[str, int] = {}
        beat_s, may_read_s, unread = -math.inf, 0.0, b""
        while self._server.is_open:
            at_s = self._clock()
            news, ends_s = self._news(told, at_s)
            if at_s >= beat_s + BEAT_S and self._moves():
                beat_s = at_s
                news += _BEAT
            if news:
                client.sendall(news)
            wait_s = min(ends_s - at_s, beat_s + BEAT_S - at_s if at_s < beat_s + BEAT_S else _LOOK_S)
            sources, pause_s = [waker, client.fileno()], may_read_s - time.monotonic()
            if pause_s > 0:
                sources, wait_s = [waker], min(wait_s, pause_s)
            ready, _, _ = select.select(sources, [], [], max(0.0, wait_s))
            if waker in ready:
                os.eventfd_read(waker)
            if client.fileno() in ready:
                may_read_s = time.monotonic() + _READ_EVERY_S
                if not (got := client.recv(_MOST_BYTES)) or len(unread) > _MOST_BYTES:
                    return
                *lines, unread = (unread + got).split(b"\n")
                for line in lines:
                    self._on_line(line)

    def _news(self, told: dict[str, int], at_s: float) -> tuple[bytes, float]:
        """Lines of the pictures that the client was not told yet, and when the first picture ends."""
        with self._lock:
            pictures, pairing = [lane.now(at_s) for lane in self._lanes.values()], self._pairing
        news = b""
        for picture in pictures:
            if told.get(picture.lane) != picture.number:
                more = {"pairing": pairing} if picture.picture == PAIR else {}
                news += line_of(asdict(picture) | more)
                told[picture.lane] = picture.number
        return news, min((at_s + each.for_ms / 1000 for each in pictures if each.for_ms), default=math.inf)

    def _on_line(self, line: bytes) -> None:
        try:
            said: Any = json.loads(line)
        except (ValueError, RecursionError):
            return
        match said:
            case {"lane": str() as lane, "painted": int() as number} if lane in self._lanes:
                with self._lock:
                    self._painted[lane] = (number, self._clock())
            case {"port": int() as port} if port in PORTS:
                self._local_port = port


_BEAT = line_of({"beat": True})
