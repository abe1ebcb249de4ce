"""`gatepost demo`: a private broker, a simulated kiosk with two lanes and the agent, live, with what breaks.

Ends by itself after about a minute. The exit status is 0 when decided = stored = delivered = arrived and all went
as the scenario says, 1 when not, and 2 when it could not be held: also where the simulated devices fail by
themselves, because the machine is too slow for them.

    gatepost demo
    gatepost demo --stay          until Ctrl-C
    gatepost demo --guard         a fever, a visitor, a watch hit, a full place: for the guard's page
    gatepost demo --day school    a venue's day in fast motion
    gatepost demo --day concert   an evening with real tickets: a hall, a tram stop, a platform
    gatepost demo --screens pictures      only write a picture of each cue
"""

from __future__ import annotations

import queue
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app import RESTART
from agent.cli.demo import ticket_day, venue_day
from agent.cli.demo.broker import MissingProgram
from agent.cli.demo.kiosk import has_devices
from agent.cli.demo.record import DemoTally, Recap
from agent.cli.demo.scenario import read
from agent.cli.demo.screens import write_pictures
from agent.cli.demo.stage import Stage
from agent.cli.demo.view import View, view_for
from agent.platform import access
from agent.platform.packaged import packaged
from agent.web.browser import BrowserGone

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from agent.cli.demo.scenario import Person, Scenario, Trouble, Word

_FRAME_S = 0.1
_SETTLE_S = 60.0
_PULSE_END_S = 2.0
_RESTART_S = 2.0
"""RestartSec= of the service."""
_HOLD_S = 30.0
"""How long the scenario's time stands still for an agent that starts or answers, on a slow machine."""
_CLEAN = (0, RESTART)
"""Exit statuses of an agent that has not fallen (SuccessExitStatus=)."""
_WRONG_CONFIGURATION = 78
"""Exit status after which systemd starts nothing (RestartPreventExitStatus=)."""
_COUNTED = ("decided", "stored", "delivered")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `demo`."""
    parser = subparsers.add_parser("demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="begin again and again, until Ctrl-C")
    parser.add_argument("--guard", action="store_true", help="people for the guard's page, until Ctrl-C")
    parser.add_argument(
        "--day", choices=(*venue_day.DAYS, ticket_day.DAY), help="a venue's day in fast motion, without devices"
    )
    parser.add_argument("--screens", type=Path, metavar="FOLDER", help="only write pictures of each cue there")
    parser.add_argument("--scenario", type=Path, help="another scenario (default: the packaged config/demo.toml)")


def run(args: argparse.Namespace) -> int:
    """0 when everything agrees, 1 when it does not, 2 when the demonstration could not be held."""
    if args.day == ticket_day.DAY:
        return ticket_day.show()
    if args.day:
        return venue_day.show(args.day)
    if args.screens is not None:
        return _write_pictures(args.screens)
    try:
        scenario = read(args.scenario or packaged("demo_guard.toml" if args.guard else "demo.toml"))
    except (OSError, ValueError) as error:
        what = access.why(error) if isinstance(error, OSError) else error
        print(f"scenario: {what}", file=sys.stderr)
        return 2
    _clear_away_at((signal.SIGTERM, signal.SIGHUP))
    with tempfile.TemporaryDirectory(prefix="gatepost-demo-") as folder:
        try:
            with Stage(Path(folder), guarded=args.guard, checkpoint=scenario.checkpoint) as stage:
                print("Private broker and simulated devices are ready; starting the agent …", flush=True)
                print(f"Agent online after {stage.start_agent():.1f} s.", flush=True)
                if stage.screens_url:
                    print(f"The lanes' screens, for a browser on this machine: {stage.screens_url}", flush=True)
                    print("The guard's page, the same way:", *stage.invitation(), sep="\n    ", flush=True)
                print("From another terminal:", *stage.hints(), sep="\n    ", flush=True)
                director = _Director(stage, scenario)
                return director.attend() if args.guard else director.direct(stay=args.stay)
        except (MissingProgram, TimeoutError) as error:
            print(error, file=sys.stderr)
            return 2


def _write_pictures(out: Path) -> int:
    """0 when there is a picture of each cue, else 2."""
    with tempfile.TemporaryDirectory(prefix="gatepost-demo-") as sockets:
        try:
            for file in write_pictures(out, Path(sockets)):
                print(file, flush=True)
        except (MissingProgram, TimeoutError, BrowserGone) as error:
            print(error, file=sys.stderr)
            return 2
    return 0


def _clear_away_at(numbers: Iterable[signal.Signals]) -> None:
    """Leave nothing behind at these signals either: told to end, terminal closed. One that is ignored stays so
    (nohup); those that come while everything is cleared away change nothing.
    """

    def end(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


class _Director:
    """Plays the scenario and watches."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self._stage = stage
        self._scenario = scenario
        self._record = DemoTally()
        self._view: View = view_for(self._record, scenario.end)
        self._begun_s = time.monotonic()
        self._people = 0
        self._troubles: list[Trouble] = []
        self._enough = False
        self._there: dict[str, Person] = {}
        self._before: Counter[str] = Counter()
        """Events of agents that have ended."""
        self._now: Counter[str] = Counter()
        """Events of the agent that runs, or has just ended."""
        self._ended_s: float | None = None
        """When the agent was seen to have ended by itself; None while one runs."""
        self._fallen: list[int] = []
        self._unanswered = 0
        """What the central server has said and the agent has not answered."""

    def direct(self, *, stay: bool) -> int:
        """Play, settle, count."""
        self._view.start()
        signal.signal(signal.SIGINT, self._stop)
        try:
            self._play()
            while stay and not self._enough:
                self._play()
            recap = self._settle()
        finally:
            self._view.stop()
        status = self._stage.kiosk.stop()
        fallen = [*self._fallen, *([] if status in _CLEAN or self._ended_s is not None else [status])]
        print("\n".join(("", *recap.lines())))
        for status in fallen:
            print(f"the agent ended with status {status}")
        if not recap.is_held and not fallen:
            return 2
        return 0 if recap.agrees and not fallen else 1

    def attend(self) -> int:
        """Play once, then let the guard work until Ctrl-C: what staff decide cannot be foretold, nor counted."""
        self._view.start()
        signal.signal(signal.SIGINT, self._stop)
        try:
            self._play()
            while not self._enough:
                self._watch()
        finally:
            self._view.stop()
        return 0 if self._stage.kiosk.stop() in _CLEAN else 1

    def _stop(self, *_: object) -> None:
        """The watcher has seen enough: settle and count. A second Ctrl-C ends it at once."""
        self._enough = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _play(self) -> None:
        """The scenario once, or until somebody has seen enough: then what is broken is mended."""
        self._stage.round += 1
        self._begun_s = time.monotonic()
        for at, act in [*self._cues(), (self._scenario.end, lambda: None)]:
            while self._at() < at and not self._enough:
                self._watch()
            if self._enough:
                break
            act()
        for trouble in tuple(self._troubles):
            self._trouble(trouble, begins=False)

    def _cues(self) -> list[tuple[float, Callable[[], None]]]:
        cues: list[tuple[float, Callable[[], None]]] = []
        for person in self._scenario.people:
            cues.append((person.at, partial(self._arrive, person)))
            cues.append((person.at + person.stay_s, partial(self._leave, person)))
        for trouble in self._scenario.troubles:
            cues.append((trouble.at, partial(self._trouble, trouble, begins=True)))
            cues.append((trouble.at + trouble.for_s, partial(self._trouble, trouble, begins=False)))
        cues += [(word.at, partial(self._send, word)) for word in self._scenario.words]
        return sorted(cues, key=lambda cue: cue[0])

    def _arrive(self, person: Person) -> None:
        self._hold(lambda: self._is_awaited() or self._stage.is_open(person.lane))
        if self._enough:
            return
        self._people += 1
        self._record.came(person)
        self._there[person.lane] = person
        self._view.came(self._at(), person)
        self._stage.arrive(person)

    def _hold(self, is_awaited: Callable[[], bool]) -> None:
        """Let the scenario's time stand still while something is awaited that a slow machine does later: the agent
        starts or owes the central server an answer (what was said before somebody arrives counts for that person),
        a gate is still open for the person before, somebody has no decision yet.
        """
        until_s = time.monotonic() + _HOLD_S
        while not self._enough and not self._is_given_up() and is_awaited():
            if (now_s := time.monotonic()) >= until_s:
                break
            self._watch()
            self._begun_s += time.monotonic() - now_s

    def _is_awaited(self) -> bool:
        if not self._stage.broker.is_up:
            return False
        report = self._stage.kiosk.report()
        if self._unanswered > 0 or not self._stage.kiosk.is_running or report is None:
            return True
        return not self._troubles and not has_devices(report)

    def _leave(self, person: Person) -> None:
        self._hold(lambda: self._record.awaits_decision(person))
        if self._enough and self._record.awaits_decision(person):
            return  # who is there when nobody wants to see more is decided upon yet
        self._stage.leave(person)
        if self._there.get(person.lane) is person:
            del self._there[person.lane]
        self._view.left(person)

    def _send(self, word: Word) -> None:
        self._view.note(self._at(), f"the central server: {word.says}")
        self._unanswered += 1
        self._stage.send(word)

    def _trouble(self, trouble: Trouble, *, begins: bool) -> None:
        self._view.note(self._at(), f"{trouble.what}: {'now' if begins else 'over'}")
        if begins:
            self._troubles.append(trouble)
            self._stage.begin(trouble)
        else:
            self._troubles.remove(trouble)
            self._stage.mend(trouble)

    def _is_unplugged(self, lane: str) -> bool:
        """Whether the scenario has taken a device away there: others may hang on it."""
        return any(trouble.what.startswith(f"unplug {lane} ") for trouble in self._troubles)

    def _at(self) -> float:
        return time.monotonic() - self._begun_s

    def _watch(self) -> None:
        """Listen for one frame of the picture."""
        end_s = time.monotonic() + _FRAME_S
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                source, said = self._stage.heard.get(timeout=left_s)
            except queue.Empty:
                break
            if source == "broker":
                if (row := self._record.received(said)) is not None:
                    self._view.arrived(self._at(), row)
            elif said.get("event") == "passage":
                self._view.decided(self._record.decided(self._at(), said))
            elif said.get("stopped"):
                self._now = Counter({name: said[name] for name in _COUNTED})
            elif said.get("event") == "command_result":
                self._unanswered = max(0, self._unanswered - 1)
                self._view.note(self._at(), said["message"])
            elif said.get("event") == "device":
                self._record.failed += not said["up"] and not self._is_unplugged(said["lane"])
                self._view.note(self._at(), said["message"])
            elif said.get("level") not in ("info", "debug"):
                self._view.note(self._at(), said["message"])
        self._restart_if_ended()
        self._view.refresh(
            self._at(), self._stage.kiosk.report(), self._stage.shown(), broker_up=self._stage.broker.is_up
        )

    def _restart_if_ended(self) -> None:
        """Start one that has ended again, as systemd would."""
        kiosk = self._stage.kiosk
        if not kiosk.is_running or kiosk.report() is None:
            for lane in self._there:
                self._record.interrupt(lane)
        if kiosk.is_running:
            self._counts()
        elif self._ended_s is None:
            self._ended_s = time.monotonic()
            status = kiosk.status or 0
            self._fallen += [] if status in _CLEAN else [status]
            then = "not started again" if self._is_given_up() else "started again"
            self._view.note(self._at(), f"the agent has ended with status {status}: {then}, as by systemd")
        elif not self._is_given_up() and time.monotonic() - self._ended_s >= _RESTART_S:
            self._before += self._now
            self._now, self._ended_s = Counter(), None
            kiosk.launch()

    def _is_given_up(self) -> bool:
        return self._stage.kiosk.status == _WRONG_CONFIGURATION

    def _settle(self) -> Recap:
        """Wait until everybody is decided upon, the gates are shut and nothing is on its way; what it is like then.

        The agent reports once a second: of a device that fails just now, the event may be here before its count.
        """
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < _SETTLE_S and not self._is_given_up():
            self._watch()
            report, recap = self._stage.kiosk.report(), self._recap()
            is_waiting = report is None or report["outbox"]["waiting"]
            if recap.is_settled and not is_waiting and time.monotonic() - begun_s > _PULSE_END_S:
                return recap
        return self._recap()

    def _opened(self) -> int:
        return sum(1 for row in self._record.rows if row.facts["gate_opened"])

    def _counts(self) -> Counter[str]:
        """Events of all agents that have run. One that ends says its last counts in its log."""
        kiosk = self._stage.kiosk
        if kiosk.is_running and (report := kiosk.report()) is not None:
            self._now = Counter({name: report["outbox"][name] for name in _COUNTED})
        return self._before + self._now

    def _ids(self) -> set[str]:
        return set(self._record.ids)

    def _recap(self) -> Recap:
        counts = self._counts()
        rows = self._record.rows
        return Recap(
            decided=counts["decided"],
            stored=counts["stored"],
            delivered=counts["delivered"],
            arrived=len(self._ids()),
            repeats=len(self._record.ids) - len(self._ids()),
            people=self._people,
            passages=len(rows),
            wrong=len(self._record.wrong()),
            opened=self._opened(),
            commanded=self._record.commanded,
            pulses=self._stage.pulses(),
            greens=self._stage.greens(),
            not_marked=self._record.not_marked,
            interrupted=self._record.interrupted,
            failed=self._record.failed,
            let_in_wrongly=self._record.let_in_wrongly(),
        )
