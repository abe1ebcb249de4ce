"""Requests of the command line to the running agent, over its control socket."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from agent.cli.service import how_to_start
from agent.control import local_socket
from agent.model import DeviceDown, DeviceUp
from agent.model.reasons import LocalRefusal
from agent.texts import sentence
from drivers.contract import DeviceGone, Distance, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from agent.model import Observation
    from drivers.contract import Item

_T = TypeVar("_T")
_WAIT_S = local_socket.WAIT_S + 2.0


class NotRunning(Exception):
    """No agent runs here; `str()` says how to start it."""

    def __str__(self) -> str:
        return f"no agent runs here. {how_to_start()}"


class RequestRefused(Exception):
    """The agent will not; `str()` is a sentence with the remedy."""


REFUSED = {
    LocalRefusal.NO_SUCH_LANE: "the running agent has no such lane; restart it after a change of its configuration",
    LocalRefusal.NO_CANDIDATE: "nobody waits for this: the last one here was let in, or was decided"
    " too long ago. Have the code shown again, then measure",
    LocalRefusal.AMBIGUOUS_PERSON: "several people wait, another stands there, or the agent was restarted"
    " lately: say whom you have measured with --for NUMBER; `gatepost remeasure LANE` lists them, the latest first."
    " Have the code of that person shown again to see which it is",
    LocalRefusal.NO_SUCH_NUMBER: "nobody waits under that number on this lane (1 to 999):"
    " `gatepost remeasure LANE` lists who does",
    LocalRefusal.LANE_BUSY: "somebody else is being decided on this lane: wait until that is done,"
    " then have the code of whom you have measured shown again",
    LocalRefusal.OUT_OF_RANGE: "that is no temperature of a body in °C (34 to 43): read it again",
    LocalRefusal.BUSY: "another calibration of this lane is under way",
    LocalRefusal.TIMED_OUT: "the agent could not turn to it in time: say it again",
    LocalRefusal.TIMEOUT: "the agent does not answer: gatepost status",
    LocalRefusal.NO_VENUE: "this kiosk serves no venue: name its file in agent.toml, as"
    ' [venue] file = "venue.toml", and restart the agent',
    LocalRefusal.BAD_ARGUMENTS: "the running agent is of another version than this command: restart it",
}


def is_running(directory: Path) -> bool:
    """Whether an agent runs here, and we may ask it."""
    with contextlib.suppress(NotRunning, RequestRefused):
        _connected(directory, {}).close()
        return True
    return False


def send_request(directory: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The agent's answer to a request. Raises NotRunning or RequestRefused."""
    with _connected(directory, request) as asked:
        asked.settimeout(_WAIT_S)
        return _answer(asked.makefile("rb").readline())


def waiting(directory: Path, lane: str) -> list[dict[str, Any]]:
    """People whom staff may measure again, the latest first. Raises NotRunning or RequestRefused."""
    found: list[dict[str, Any]] = send_request(directory, {"do": "waiting", "lane": lane})["waiting"]
    return found


def temperature(directory: Path, lane: str, celsius: float, number: int = 0) -> dict[str, Any]:
    """The decision about a person with this temperature. `number`: which person; 0: the one who was decided last.
    Raises NotRunning or RequestRefused.
    """
    request: dict[str, Any] = {"do": "remeasure", "lane": lane, "celsius": celsius}
    return send_request(directory, request | ({"number": number} if number else {}))


def print_answer(request: Callable[[], _T], lines: Callable[[_T], Iterable[str]]) -> int:
    """Print the agent's answer, or why there is none; the exit status: 0 done, 1 refused, 3 not running."""
    try:
        answer = request()
    except NotRunning as error:
        print(error, file=sys.stderr)
        return 3
    except RequestRefused as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines(answer)))
    return 0


def format_decision(decided: dict[str, Any], language: str) -> str:
    """Decision, gate and reasons, in one line."""
    texts = [sentence("reason", code, language) for code in (*decided["reasons"], *decided["actions"])]
    gate = "the gate opens" if decided["gate_opened"] else "the gate stays shut"
    return f"{decided['decision']}, {gate}. {' '.join(texts)}"


class SensorStream:
    """A lane's sensors, lent by the running agent. A context manager. Raises NotRunning or RequestRefused."""

    def __init__(self, directory: Path, lane: str) -> None:
        self._asked = _connected(directory, {"do": "borrow", "lane": lane})
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asked.close()

    def read(self, limit_s: float) -> Observation | None:
        """What a sensor says; None when none does within `limit_s`. Raises RequestRefused."""
        while b"\n" not in self._unread:
            self._asked.settimeout(limit_s)
            try:
                got = self._asked.recv(65536)
            except TimeoutError:
                return None
            if not got:
                raise RequestRefused("the agent has stopped meanwhile")
            self._unread += got
        line, _, self._unread = self._unread.partition(b"\n")
        if b'"refused"' in line:
            _answer(line)
        return local_socket.read(line)


class StreamedDevices:
    """One of a lane's sensors, lent by the running agent, as its driver would be. Raises as SensorStream does."""

    PARTS = ("thermometer", "room", "range")

    def __init__(self, directory: Path, lane: str, part: str) -> None:
        self.simulated = False
        self._place = (lane, part)
        self._borrowed = SensorStream(directory, lane)

    def open(self) -> None:
        """It is open already."""

    def read(self, limit_s: float) -> Item | None:
        """What the sensor says; None when nothing comes within `limit_s`. Raises DeviceGone when it is down."""
        seen = self._borrowed.read(limit_s)
        if seen is None or (seen.lane, seen.role) != self._place:
            return None
        match seen.item:
            case Reading() | Distance() as item:
                return item
            case DeviceUp(simulated=simulated):
                self.simulated = simulated
            case DeviceDown(error=why):
                raise DeviceGone("/".join(self._place), why)
        return None

    def close(self) -> None:
        """Give it back."""
        self._borrowed.__exit__(None, None, None)


def _connected(directory: Path, request: dict[str, Any]) -> socket.socket:
    path = directory / local_socket.NAME
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        asked.connect(str(path))
        asked.sendall(json.dumps(request).encode() + b"\n")
    except (FileNotFoundError, ConnectionRefusedError):
        asked.close()
        raise NotRunning from None
    except OSError as error:
        with contextlib.suppress(OSError):
            asked.close()
        remedy = "use sudo, or sudo -u gatepost"
        raise RequestRefused(f"{path}: {error.strerror} ({remedy})") from None
    return asked


def _answer(line: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise RequestRefused(REFUSED[LocalRefusal.TIMEOUT]) from None
    if why := answer.get("refused"):
        raise RequestRefused(answer.get("text") or _in_words(str(why)))
    return answer


def _in_words(why: str) -> str:
    """A sentence for people at a terminal; else what staff read on their page."""
    return REFUSED[LocalRefusal(why)] if why in REFUSED else sentence("refusal", why)
