"""Requests of guard and technician to the running agent, over a socket of this machine.

One request a connection, in one line of JSON; root and the agent's user may connect. A thermometer that
is lent out is down for its lane: people go to staff until it is given back, or the client that borrowed it has
gone.

    {"do": "remeasure", "lane": "entry", "celsius": 36.8}
                                                        → {"decision": "admit", "reasons": [...], "actions": [],
                                                           "gate_opened": true}, or {"refused": "no_candidate"}
    {"do": "remeasure", "lane": "entry", "celsius": 36.8, "number": 7}
                                                        → the same, about the person who waits under this number
    {"do": "waiting", "lane": "entry"}                  → {"waiting": [{"number": 7, "ago_s": 12.0, "outcome":
                                                           "elevated", "with_code": true}]}, the latest first
    {"do": "attest", "type": "mask", "value": "worn", "lane": "entry", "number": 7}
                                                        → {"text": "…", "decision": "admit", …}, or {"refused": …}
    {"do": "attest", "type": "form", "form": "visitor", "answers": {…}, "lane": "entry", "number": 7}
                                                        → the same; without a number nobody counts as recorded
    {"do": "venue"}                                     → {"occupancy": …, "cases": […], "report": …, …}
    {"do": "pair"}                                      → {"secret": …, "number": "042137", "seconds": 120}
    {"do": "borrow", "lane": "entry"}                   → what its sensors say, a line each, until hung up
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import select
import socket
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent import screening
from agent.control.socket_server import SocketServer, read_line
from agent.devices.sensor_tap import LaneBusy
from agent.model import (
    Attestation,
    AttestationResult,
    DeviceDown,
    DeviceUp,
    Observation,
    Passage,
    Recorded,
    RemeasureResult,
    Role,
    WhoWaits,
)
from agent.model.reasons import LocalRefusal
from agent.venue.attestations import ABOUT_A_PERSON, BadAttestation, check_badge, check_person
from drivers.contract import Distance, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from agent.devices.sensor_tap import Readings, SensorTap
    from agent.model import LaneCommandResult

log = logging.getLogger(__name__)

NAME = "control.sock"
MODE = 0o600
"""What is asked here can open a gate: for root and the agent's own user, not for anyone who may read its
counters."""
MOST_BYTES = 8000
MAX_CLIENTS = 8
WAIT_S = 5.0
"""For a request, and for its answer."""
_TURN_S = 0.5
_KINDS = {kind.__name__: kind for kind in (Reading, Distance, DeviceUp, DeviceDown)}


class LocalSocket:
    """One thread accepts clients; each client is served by a thread of its own."""

    def __init__(
        self,
        path: Path,
        lanes: Collection[str],
        tap: SensorTap,
        request: Callable[[Observation, float], LaneCommandResult | RemeasureResult | AttestationResult],
        clinical_uncertainty_c: float,
        venue: Callable[[], Mapping[str, Any] | None] = lambda: None,
        pair: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """`path`: of the socket; `request`: the loop's answer to a recorded temperature, or TimeoutError;
        `clinical_uncertainty_c`: of staff's own thermometer; `venue`: how the venue is; `pair`: shows the code for
        a tablet of the staff.
        """
        self._path = path
        self._lanes = frozenset(lanes)
        self._tap = tap
        self._request = request
        self._clinical_uncertainty_c = clinical_uncertainty_c
        self._venue = venue
        self._pair = pair
        self._server = SocketServer(path, MODE, MAX_CLIENTS, self._serve, WAIT_S)

    # -- start and stop

    def start(self) -> None:
        """Open the control socket. Without it the agent works on; the log says why there is none."""
        with contextlib.suppress(OSError):  # then the socket says why
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._server.start()

    def stop(self, limit_s: float = 2 * _TURN_S) -> None:
        """Close the socket and wait for its clients: what they did last reaches the loop. May be called although it
        was never opened.
        """
        self._server.stop(limit_s)

    def _serve(self, client: socket.socket) -> None:
        match _request(client):
            case {"do": "attest", **stated}:
                _send_line(client, self._attest({str(name): value for name, value in stated.items()}))
            case {"do": "venue"}:
                _send_line(client, dict(self._venue() or {"refused": LocalRefusal.NO_VENUE}))
            case {"do": "pair"}:
                _send_line(client, dict(self._pair()))
            case {"lane": lane} if not isinstance(lane, str) or lane not in self._lanes:
                _send_line(client, {"refused": LocalRefusal.NO_SUCH_LANE})
            case {
                "do": "remeasure",
                "lane": lane,
                "celsius": float() | int() as celsius,
                "number": int() as number,
            } if number > 0:
                _send_line(client, self._record(lane, celsius, number))
            case {"do": "remeasure", "number": _}:
                _send_line(client, {"refused": LocalRefusal.NO_SUCH_NUMBER})
            case {"do": "remeasure", "lane": lane, "celsius": float() | int() as celsius}:
                _send_line(client, self._record(lane, celsius))
            case {"do": "waiting", "lane": lane}:
                _send_line(client, self._waiting(lane))
            case {"do": "borrow", "lane": lane}:
                self._lend(client, lane)

    # -- what can be asked

    def _waiting(self, lane: str) -> dict[str, Any]:
        """Whom staff may measure."""
        try:
            told = self._request(Observation(lane, Role.CLINICAL, WhoWaits(time.monotonic())), WAIT_S)
        except TimeoutError:
            return {"refused": LocalRefusal.TIMEOUT}
        waiting = told.waiting if isinstance(told, RemeasureResult) else ()
        shown = ("number", "ago_s", "outcome", "with_code")
        return {"waiting": [{name: getattr(each, name) for name in shown} for each in waiting]}

    def _attest(self, stated: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - one for each refusal
        """What staff state: about somebody who waits on a lane, or about the venue."""
        match {"lane": "", "value": "", "number": 0, "case": "", "group": "", "form": "", "by": "", **stated}:
            case {
                "type": str(what), "lane": str(lane), "value": str(value), "number": int(number), "case": str(case),
                "group": str(group), "form": str(form), "by": str(by), **rest,
            } if rest.keys() <= {"answers", "private"} and _are_texts(rest):  # fmt: skip
                item = Attestation(
                    time.monotonic(), what, value, number, case, group, form,
                    rest.get("answers", {}), rest.get("private", {}), by,
                )  # fmt: skip
            case _:
                return {"refused": LocalRefusal.BAD_ARGUMENTS}
        if what in ABOUT_A_PERSON and lane not in self._lanes:
            return {"refused": LocalRefusal.NO_SUCH_LANE}
        try:
            if by:
                check_badge(by)
            if what in ABOUT_A_PERSON:
                check_person(item)
        except BadAttestation as error:
            return {"refused": error.reason, "text": str(error)}
        try:
            answer = self._request(Observation(lane, Role.CLINICAL, item), WAIT_S)
        except TimeoutError:
            return {"refused": LocalRefusal.TIMEOUT}
        if not isinstance(answer, AttestationResult):
            return {"refused": LocalRefusal.TIMEOUT}
        if answer.reason is not None:
            return {"refused": answer.reason, "text": answer.text}
        said: dict[str, Any] = {"text": answer.text}
        if answer.passage is not None:
            said |= _decision(answer.passage)
        return said

    def _record(self, lane: str, celsius: float, number: int = 0) -> dict[str, Any]:
        """Staff's own thermometer; `number`: of whom, 0 for the person who was decided last."""
        if not screening.is_of_a_body(celsius):
            return {"refused": LocalRefusal.OUT_OF_RANGE}
        reading = Reading(celsius, time.monotonic(), self._clinical_uncertainty_c)
        measured = Observation(lane, Role.CLINICAL, Recorded(reading, number) if number else reading)
        try:
            settled = self._request(measured, WAIT_S)
        except TimeoutError:
            return {"refused": LocalRefusal.TIMEOUT}
        if not isinstance(settled, RemeasureResult) or settled.passage is None:
            return {"refused": settled.reason}
        return _decision(settled.passage)

    def _lend(self, client: socket.socket, lane: str) -> None:
        """Stream the lane's sensors to the client; until it has gone the checkpoint gets no thermometer."""
        try:
            with self._tap.divert(lane) as readings:
                log.info("the thermometer of %s is lent out", lane)
                try:
                    self._stream(client, readings)
                finally:
                    log.info("the thermometer of %s is back", lane)
        except LaneBusy:
            _send_line(client, {"refused": LocalRefusal.BUSY})

    def _stream(self, client: socket.socket, readings: Readings) -> None:
        while self._server.is_open and not _has_gone(client):
            with contextlib.suppress(queue.Empty):
                seen = readings.get(timeout=_TURN_S)
                if _is_writable(client):  # else its operator is being asked: what is old then is of no use
                    _send_line(client, _plain(seen))


def read(line: bytes) -> Observation:
    """A reading, from a line of a sensor stream. Raises ValueError."""
    try:
        told = json.loads(line)
        return Observation(told["lane"], Role(told["role"]), _KINDS[told["kind"]](**told["item"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a line of a sensor stream: {error}") from None


def _decision(passage: Passage) -> dict[str, Any]:
    return {
        "decision": passage.decision.outcome,
        "reasons": passage.decision.reasons,
        "actions": passage.decision.actions,
        "gate_opened": passage.gate_opened,
    }


def _are_texts(members: dict[str, Any]) -> bool:
    """Whether each of them holds texts by name."""
    return all(
        isinstance(each, dict) and all(isinstance(text, str) for pair in each.items() for text in pair)
        for each in members.values()
    )


def _plain(seen: Observation) -> dict[str, Any]:
    item: Any = seen.item
    return {"lane": seen.lane, "role": seen.role, "kind": type(item).__name__, "item": asdict(item)}


def _send_line(client: socket.socket, words: dict[str, Any]) -> None:
    client.sendall(json.dumps(words).encode() + b"\n")


def _request(client: socket.socket) -> Any:
    """What is asked; None when it is no request."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(read_line(client, MOST_BYTES))


def _is_writable(client: socket.socket) -> bool:
    _, ready, _ = select.select([], [client], [], 0)
    return bool(ready)


def _has_gone(client: socket.socket) -> bool:
    """A client that has asked has no more to say: anything to be read is its end."""
    ready, _, _ = select.select([client], [], [], 0)
    return bool(ready)
