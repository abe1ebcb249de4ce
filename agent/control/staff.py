"""The socket for the guards' pages: what staff see, and what they may do. The agent decides; a page only requests.

One request a connection, in one line of JSON. `device` and `session` are what the page's two cookies hold; address
and name of the machine give no rights.

    {"do": "pair", "secret": …, "number": "042137"}                → {"device": …}       the code on screen, once
    {"do": "await_pairing"}                                        → {"awaited": true}   until a badge is shown
    {"do": "login", "device": …, "staff": "G07", "pin": …}         → {"session": …}      or {"do": "badge"}
    {"do": "view", "device": …, "session": …}                      → {"at_s": …, "waiting": […], …}
    {"do": "override", "device": …, "session": …, "id": …, "at_s": …, "lane": "entry", "number": 7, "reason": …,
     "seen": [reasons on the card]}                                → {"done": true}, or {"refused": "invariant"}

An action is refused when it names no view of the last seconds, when its `id` was used, when the role may not, when
the card has got other reasons, and when the lane does not let it. What is done is an event that says who did it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import screening
from agent.control import rights, staff_state
from agent.control.badges import LAPSE_S, Badges, BadgeUse, StaffAction
from agent.control.sessions import Refused, StaffSessions, key_of
from agent.control.socket_server import SocketServer, read_line, send
from agent.control.staff_context import WAIT_S
from agent.control.staff_view import StaffView, entries_of
from agent.credentials.staff_list import BADGE_PREFIX
from agent.crypto import strict_json
from agent.crypto.refusal import Malformed
from agent.model import (
    Attestation,
    AttestationRecord,
    AttestationResult,
    Component,
    Direction,
    LaneClosure,
    LaneCommand,
    LaneCommandRequest,
    Observation,
    OpenOnce,
    Override,
    Recorded,
    RemeasureResult,
    Role,
    SentAway,
)
from agent.model.problems import ProblemCode, found
from agent.texts import CATALOGUE
from agent.venue.attestations import ABOUT_A_PERSON, BadAttestation, check_person
from agent.web.options import guard_address
from drivers.contract import Reading, Sighting

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from agent.control.sessions import StaffSession
    from agent.control.staff_context import StaffContext

log = logging.getLogger(__name__)

NAME = "staff.sock"
MODE = 0o660
MAX_CLIENTS = 16
MOST_BYTES = 32_768
FRESH_S = 10.0
"""An action names the view that it follows from; that view must not be older."""
ROUNDED_S = 0.01
CLOSED_S = 2.0
"""So long after a lane was closed nobody reopens it: the button that closes it becomes the one that reopens it,
also under the finger of who wanted to close it too, or taps twice."""
ID_BYTES = 32
MOST_IDS = 512
LONGEST_WORDS = 120
OVERRIDE_REASONS = tuple(CATALOGUE["override"])


class StaffSocket:
    """Serves the pages of guards and technicians, by way of the process of the screens."""

    def __init__(
        self, path: Path, state_file: Path, context: StaffContext, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`path`: of the socket; `state_file`: what must outlive a restart."""
        self._context, self._clock, self._file = context, clock, staff_state.StateFile(state_file)
        self.state, self._lost = self._file.read(entries_of(context.lanes))
        if self._lost:
            log.warning("%s", self._lost)
        self._sessions = StaffSessions(self.state.devices)
        self._lock = threading.RLock()
        self._view = StaffView(context, self.state, clock)
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._badges = Badges()
        self._closed_s: dict[str, float] = {}
        """Lane → when it was closed last."""
        self._relieved: set[str] = set()
        """Who was on duty since a shift was accepted last."""
        self._server = SocketServer(path, MODE, MAX_CLIENTS, self._serve)

    # -- start and stop

    def start(self) -> None:
        """Listen; lanes that were closed stay closed."""
        self._context.staff()  # read from disk here: the scanners' threads get what was read
        self._server.start()

    def closures(self) -> list[Observation]:
        """What the loop is to be told before anybody comes."""
        closed = sorted(self.state.closed & self._context.lanes.keys())
        return [
            Observation(lane, Role.CLINICAL, LaneClosure(self._clock(), closed=True, by="staff")) for lane in closed
        ]

    def stop(self, _limit_s: float = 0.0) -> None:
        """Hang up."""
        self._server.stop()

    def health(self) -> Iterator[Component]:
        """Whether what staff had arranged is lost: while a lane is still closed for that."""
        yield Component("staff", findings=found(ProblemCode.STATE_LOST, self._lost if self.state.closed else ""))

    def on_effect(self, effect: object) -> None:
        """For the view. Called by the loop; does not block."""
        self._view.on_effect(effect)

    # -- badges

    def on_observation(self, seen: Observation) -> None:
        """Take badges out of what the scanners read; all else goes on. At an exit a badge opens as a code does, and
        is for nothing else: its holder leaves.
        """
        item = seen.item
        if not (isinstance(item, Sighting) and item.payload.startswith(BADGE_PREFIX.encode())):
            self._context.record(seen)
            return
        spec = self._context.lanes[seen.lane]
        member = self._context.known_staff().with_badge(item.payload.decode("ascii", "replace"))
        if member is None or spec.direction is Direction.EXIT:
            self._context.record(seen)
        else:  # in a thread of its own: no scanner waits for a disk
            shown = (member.id, seen.lane, item.at_s)
            threading.Thread(target=self._on_badge, args=shown, name="badge", daemon=True).start()

    def _on_badge(self, who: str, lane: str, shown_s: float) -> None:
        """One that comes late lapses: what a page has asked after it was shown, it does not answer."""
        with self._lock:
            is_news = self._clock() - shown_s <= LAPSE_S and self._note_badge(who, lane)
        if not is_news:
            return
        if self._context.venue() is None:
            self._record_action("badge", who, lane, value=who)
            return
        with contextlib.suppress(TimeoutError):
            seen = Observation(lane, Role.CLINICAL, Attestation(self._clock(), "badge", who, by=who))
            self._context.ask(seen, WAIT_S)

    def _note_badge(self, who: str, lane: str) -> bool:
        """A badge is before a scanner; whether somebody else is on duty from now on."""
        member, before = self._context.known_staff().people.get(who), self.state.on_duty
        may_connect = member is not None and member.role in rights.VERBS["pair"]
        use = self._badges.show(who, before, self._clock(), may_connect=may_connect)
        if use is BadgeUse.TABLET:
            self.begin_pairing()
            self._record_action("pair", who, lane, value="badge")
        if use is not BadgeUse.SHIFT or member is None or member.role not in rights.VERBS["accept"]:
            return False
        try:
            self._save_state(on_duty=who, handed_by=before)
        except OSError as error:
            log.warning("who is on duty cannot be kept: %s", error.strerror)
            return False
        self._relieved.add(before)
        self._view.forget()
        return True

    # -- one request

    def _serve(self, client: socket.socket) -> None:
        line = read_line(client, MOST_BYTES)
        try:
            said = strict_json.decode(line)
            answer = self.answer(said) if isinstance(said, dict) else {"refused": "bad_arguments"}
        except (Malformed, ValueError):
            answer = {"refused": "bad_arguments"}
        send(client, answer)

    def answer(self, said: dict[str, Any]) -> dict[str, Any]:
        """What is said to a request."""
        try:
            return self._answer(said)
        except Refused as refusal:
            return {"refused": str(refusal)}
        except TimeoutError:
            return {"refused": "timeout"}
        except OSError:
            log.exception("what staff have arranged cannot be kept")
            return {"refused": "not_kept"}

    def _answer(self, said: dict[str, Any]) -> dict[str, Any]:
        match said:
            case {"do": "hello"}:
                return dict(self._context.hello())
            case {"do": "pair", "secret": str(secret), "number": str(number)}:
                return self._pair(secret, number)
            case {"do": "await_pairing"}:
                return self._await_pairing()
            case {"do": str(verb), "device": str(device), "session": str(session), **rest}:
                return self._for_page(verb, device, session, rest)
        raise Refused("bad_arguments")

    def _for_page(self, verb: str, device: str, session: str, rest: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911
        match verb, rest:
            case "who", _:
                return self._who(device, session)
            case "login", {"staff": str(who), "pin": str(pin)}:
                return self._login(device, who, pin)
            case "badge", _:
                return self._by_badge(device, session)
            case "unlock", {"pin": str(pin)}:
                return self._unlock(device, session, pin)
            case "logout", _:
                with self._lock:
                    self._sessions.logout(session)
                return {"done": True}
            case "second", _:
                with self._lock:
                    found = self._sessions.find(self._context.staff(), session, device, self._clock())
                    return self._await_second(rest, found)
            case "view", _:
                with self._lock:
                    found = self._sessions.find(self._context.staff(), session, device, self._clock())
                return self._view_for(found)
            case "status", _:
                with self._lock:
                    self._sessions.find(self._context.staff(), session, device, self._clock())
                return dict(self._context.health())
        return self._action(verb, device, session, rest)

    # -- access

    def begin_pairing(self) -> dict[str, Any]:
        """Show a code on the screens of the lanes; for root, and supervisors."""
        secret, number = secrets.token_urlsafe(16), f"{secrets.randbelow(10**6):06d}"
        with self._lock:
            pairing = self._sessions.begin_pairing(secret, number, self._clock())
        seconds = pairing.until_s - self._clock()
        pages = self._context.hello()
        link = f"{guard_address(pages)}/guard#pair={secret}"
        self._context.show_pairing(link, number, pages.get("fingerprint", ""), seconds)
        return {"secret": secret, "link": link, "number": number, "seconds": round(seconds)}

    def _await_pairing(self) -> dict[str, Any]:
        """A device that is not connected asks to be. It gets no right by that, and nothing is shown yet: the next
        badge of somebody who may connect it shows the code on the screen.
        """
        if not self._context.has_screen():
            raise Refused("no_screen")
        with self._lock:
            self._badges.await_tablet(self._clock())
        return {"awaited": True}

    def _pair(self, secret: str, number: str) -> dict[str, Any]:
        token = secrets.token_urlsafe(ID_BYTES)
        with self._lock:
            self._sessions.pair(secret, number, token, self._clock(), self._context.now().earliest_utc)
        self._context.show_pairing("", "", "", 0.0)
        self._record_action("paired", "", "")
        return {"device": token}

    def _who(self, device: str, session: str) -> dict[str, Any]:
        with self._lock:
            if not self._sessions.is_paired(device, self._context.now().earliest_utc):
                return {"paired": False}
            try:
                found = self._sessions.find(self._context.staff(), session, device, self._clock())
            except Refused:
                return {"paired": True}
            locked = found.is_locked(self._clock())
        return {"paired": True, "staff": found.staff, "role": found.role, "locked": locked}

    def _login(self, device: str, who: str, pin: str) -> dict[str, Any]:
        token = secrets.token_urlsafe(ID_BYTES)
        with self._lock, self._pin_of(who, key_of(device)):
            before = dict(self.state.devices)
            found = self._sessions.login(
                self._context.staff(), who, pin, device, token, self._clock(), self._context.now().earliest_utc
            )
            self._badges.end_login(device)
            try:
                if self.state.devices != before:
                    self._save_state()
            except OSError:
                self.state.devices.clear()
                self.state.devices.update(before)
                raise
        self._record_action("login", found.staff, "")
        return {"session": token, "staff": found.staff}

    def _unlock(self, device: str, session: str, pin: str) -> dict[str, Any]:
        with self._lock:
            who = self._sessions.find(self._context.staff(), session, device, self._clock()).staff
            with self._pin_of(who, key_of(device)):
                self._sessions.unlock(self._context.staff(), session, device, pin, self._clock())
        return {"done": True}

    @contextlib.contextmanager
    def _pin_of(self, who: str, device: str) -> Iterator[None]:
        """A PIN is tried at a device, known by its digest: record when it was one wrong PIN too many. What is no id
        of the list may be anything that was typed, a PIN too.
        """
        try:
            yield
        except Refused as refusal:
            if str(refusal) == "login_wrong" and self._sessions.is_closed(who, device, self._clock()):
                known = who if who in self._context.known_staff().people else ""
                self._record_action("login_closed", known, "")
            raise

    def _by_badge(self, device: str, session: str) -> dict[str, Any]:
        """Where somebody is logged in, by PIN meanwhile, no badge is waited for: it would be another's session."""
        token, at_s = secrets.token_urlsafe(ID_BYTES), self._clock()
        with self._lock:
            with contextlib.suppress(Refused):
                found = self._sessions.find(self._context.staff(), session, device, at_s)
                self._badges.end_login(device)
                return {"staff": found.staff}
            self._sessions.demand_proved(device, self._context.now().earliest_utc)
            who = self._badges.login(device, at_s)
            member = self._context.staff().people.get(who)
            if member is None:
                self._badges.await_login(device, at_s)
                return {"awaited": True}
            self._sessions.login_by_badge(member, device, token, at_s, self._context.now().earliest_utc)
        self._record_action("login", who, "", value="badge")
        return {"session": token, "staff": who}

    # -- what is seen

    def _view_for(self, session: StaffSession) -> dict[str, Any]:
        at_s = self._clock()
        made = self._view.current()
        made["you"] = {
            "staff": session.staff, "role": session.role, "locked": session.is_locked(at_s),
            "may": sorted(verb for verb, roles in rights.VERBS.items() if session.role in roles),
        }  # fmt: skip
        return made

    # -- what is done

    def _action(self, verb: str, device: str, session: str, rest: dict[str, Any]) -> dict[str, Any]:
        allowed = rights.VERBS.get(verb)
        if allowed is None:
            raise Refused("bad_arguments")
        asked_s = self._clock()
        with self._lock:
            by = self._sessions.act(self._context.staff(), session, device, allowed, self._clock())
            if verb in rights.ADMITS and not (verb == "open" and self._is_exit(rest)):
                if not self._context.is_staff_certain():
                    raise Refused("time_unknown")
                if self._clock() - asked_s > WAIT_S:  # the page may have said that nothing was done
                    raise TimeoutError
            self._check_fresh(rest)
            try:
                return self._do(verb, rest, by)
            finally:
                self._view.forget()

    def _do(self, verb: str, rest: dict[str, Any], by: StaffSession) -> dict[str, Any]:  # noqa: PLR0911 - one an action
        match verb, rest:
            case "close" | "reopen", {"lane": str(lane)}:
                return self._close(self._known_lane(lane), by, closed=verb == "close")
            case "all_out", _:
                return self._all_out(by)
            case "step", {"case": str(case), "step": str(step)}:
                return self._step(case.upper(), step, by)
            case "accept" | "pair" | "unpair", _:
                return self._arrange(verb, by)
            case "state", {"type": str(what)} if what in rights.STATEMENTS:
                return self._attest_venue(what, rest, by)
            case "open", {"lane": str(lane), "reason": str(reason)}:
                words, second = (
                    _words(reason, rest),
                    self._second_person(rest, by, StaffAction(by.staff, "open", lane)),
                )
                seen = Observation(self._known_lane(lane), Role.CLINICAL, OpenOnce(self._clock()))
                return self._request(seen, self._as_action("open", by, lane, reason, words, second))
            case _, {"lane": str(lane)}:
                return self._about_a_person(verb, self._known_lane(lane), rest, by)
        raise Refused("bad_arguments")

    def _arrange(self, verb: str, by: StaffSession) -> dict[str, Any]:
        """What concerns the pages themselves."""
        said: dict[str, Any] = {"done": True}
        match verb:
            case "accept":
                return self._accept(by)
            case "pair":
                said["seconds"] = self.begin_pairing()["seconds"]
            case _:
                self._sessions.unpair_all()
                self._save_state()
        self._record_action(verb, by.staff, "")
        return said

    def _accept(self, by: StaffSession) -> dict[str, Any]:
        """Whose badge was shown takes over from the one before: open cases are theirs now."""
        if by.staff != self.state.on_duty:
            raise Refused("not_on_duty")
        if not self.state.handed_by:
            raise Refused("repeated")
        before, now = self.state.handed_by, self._view.current()
        cases = [each["case"] for each in now["venue"]["cases"]] if now["venue"] is not None else []
        for each in {before, *self._relieved} - {by.staff}:
            self._sessions.lock(each)
        self._relieved.clear()
        done = {case: self.state.steps.get(case, {}).get("done", {}) for case in cases}
        self._save_state(handed_by="", steps={case: {"owner": by.staff, "done": done[case]} for case in cases})
        answers = {"from": before, "cases": str(len(cases)), "faults": str(len(now["faults"]))}
        self._context.record(AttestationRecord("handover", answers=answers, by=by.staff))
        return {"done": True, "cases": cases}

    def _about_a_person(self, verb: str, lane: str, rest: dict[str, Any], by: StaffSession) -> dict[str, Any]:
        at_s, answers = self._clock(), {"number": str(rest.get("number", ""))}
        match verb, rest:
            case "retest", _:
                number = rest.get("number", 0)
                if type(number) is not int or number < 0:
                    raise Refused("bad_arguments")
                seen = Observation(lane, Role.CLINICAL, LaneCommandRequest(at_s, LaneCommand.RETEST, number))
                return self._request(seen, self._as_action("retest", by, lane))
            case "remeasure", {"number": int(number), "tenths": int(tenths)} if number > 0:
                celsius = tenths / 10
                if not screening.is_of_a_body(celsius):
                    raise Refused("out_of_range")
                reading = Reading(celsius, at_s, self._context.clinical_uncertainty_c)
                instrument = rest.get("instrument", "")
                if isinstance(instrument, str) and instrument.isalnum() and len(instrument) <= 16:  # noqa: PLR2004
                    answers["instrument"] = instrument
                action = self._as_action("remeasure", by, lane, more=answers)
                return self._request(Observation(lane, Role.CLINICAL, Recorded(reading, number)), action)
            case "attest", {"number": int(number), "type": str(what), "value": str(value)} if (
                number > 0 and what in ABOUT_A_PERSON
            ):
                item = Attestation(at_s, what, value, number, by=by.staff)
                try:
                    check_person(item)
                except BadAttestation as error:
                    raise Refused(error.reason) from None
                has_event = self._context.venue() is not None
                stated = None if has_event else self._as_action(what, by, lane, value, more=answers)
                return self._request(Observation(lane, Role.CLINICAL, item), stated)
            case "left", {"number": int(number)}:
                action = self._as_action("left", by, lane, more=answers)
                return self._request(Observation(lane, Role.CLINICAL, SentAway(at_s, number)), action)
            case "override", {"number": int(number), "reason": str(reason), "seen": list(seen)}:
                words = _words(reason, rest)
                second = self._second_person(rest, by, StaffAction(by.staff, "override", lane, number))
                action = self._as_action("override", by, lane, reason, words, second, answers)
                override = Override(self._clock(), number, tuple(map(str, seen)))
                return self._request(Observation(lane, Role.CLINICAL, override), action)
        raise Refused("bad_arguments")

    def _request(self, seen: Observation, action: AttestationRecord | None) -> dict[str, Any]:
        answer = self._context.ask(seen, WAIT_S, action)
        if answer.reason:
            raise Refused(answer.reason)
        said: dict[str, Any] = {"done": True}
        if isinstance(answer, RemeasureResult | AttestationResult) and answer.passage is not None:
            passage = answer.passage
            said |= {
                "outcome": passage.decision.outcome, "reasons": list(passage.decision.reasons),
                "actions": list(passage.decision.actions), "gate_opened": passage.gate_opened,
                "threshold_c": passage.temperature.threshold_c,
            }  # fmt: skip
        return said

    def _check_fresh(self, rest: dict[str, Any]) -> None:
        """Each action follows from a view of the last seconds, and is done once."""
        match rest:
            case {"id": str(identity), "at_s": int() | float() as seen_s} if 8 <= len(identity) <= 64:  # noqa: PLR2004
                if not -ROUNDED_S <= self._clock() - seen_s <= FRESH_S:
                    raise Refused("too_late")
                if identity in self._ids:
                    raise Refused("repeated")
                self._ids[identity] = None
                if len(self._ids) > MOST_IDS:
                    self._ids.popitem(last=False)
            case _:
                raise Refused("bad_arguments")

    def _second_person(self, rest: dict[str, Any], by: StaffSession, action: StaffAction) -> str:
        """Who confirms this action as the second person; `` where nobody must."""
        match rest.get("second"):
            case {"staff": str(who), "pin": str(pin)}:
                staff, allowed = self._context.staff(), rights.SECONDS
                with self._pin_of(who, by.device):
                    return self._sessions.confirm(staff, who, pin, by, allowed, self._clock())
            case {"badge": True}:
                who = self._second_badge(by, action)
                if not who:
                    raise Refused("second_needed")
                self._badges.end_second(by.device)
                return who
        if self._context.second_person:
            raise Refused("second_needed")
        return ""

    def _await_second(self, rest: dict[str, Any], by: StaffSession) -> dict[str, Any]:
        """The page of `by` waits for a second person's badge for one action, or no longer."""
        match rest:
            case {"over": True}:
                self._badges.end_second(by.device)
                return {"awaited": True}
            case {"for": "open", "lane": str(lane)}:
                action = StaffAction(by.staff, "open", lane)
            case {"for": "override", "lane": str(lane), "number": int(number)}:
                action = StaffAction(by.staff, "override", lane, number)
            case _:
                raise Refused("bad_arguments")
        if who := self._second_badge(by, action):
            return {"seen": who}
        self._badges.await_second(by.device, action, self._clock())
        return {"awaited": True}

    def _second_badge(self, by: StaffSession, action: StaffAction) -> str:
        """Whose badge was shown for this action, if that may confirm it; `` if not."""
        who = self._badges.second(by.device, action, self._clock())
        member = self._context.staff().people.get(who)
        return who if member is not None and member.role in rights.SECONDS else ""

    def _known_lane(self, lane: str) -> str:
        if lane not in self._context.lanes:
            raise Refused("no_such_lane")
        return lane

    def _is_exit(self, rest: dict[str, Any]) -> bool:
        spec = self._context.lanes.get(str(rest.get("lane")))
        return spec is not None and spec.direction is Direction.EXIT

    def _close(self, lane: str, by: StaffSession, *, closed: bool) -> dict[str, Any]:
        if self._context.lanes[lane].direction is Direction.EXIT:
            raise Refused("not_allowed")
        seen = Observation(lane, Role.CLINICAL, LaneClosure(self._clock(), closed=closed, by="staff"))
        if not closed:
            if self._clock() - self._closed_s.get(lane, -math.inf) < CLOSED_S:
                raise Refused("just_closed")
            return self._reopen(seen, by)
        self._closed_s[lane] = self._clock()
        self._context.record(seen)  # without an answer: whatever happens, it becomes closed
        self._record_action("close", by.staff, lane)
        try:
            self._save_state(closed=self.state.closed | {lane})
        except OSError as error:
            log.warning("that %s is closed cannot be kept: %s", lane, error.strerror)
            self.state.closed = self.state.closed | {lane}
            raise Refused("closed_not_kept") from None
        return {"done": True}

    def _reopen(self, seen: Observation, by: StaffSession) -> dict[str, Any]:
        """What the disk does not take is not done; what it took and could not make durable is taken back there."""
        said = self._request(seen, self._as_action("reopen", by, seen.lane))
        try:
            self._save_state(closed=self.state.closed - {seen.lane})
        except OSError:
            self._context.record(replace(seen, item=LaneClosure(self._clock(), closed=True, by="staff")))
            with contextlib.suppress(OSError):
                self._save_state()
            raise
        return said

    def _all_out(self, by: StaffSession) -> dict[str, Any]:
        """Open every exit once, all at the same time; entries stay as they are. Says of each whether it opened."""
        exits = [lane for lane, spec in self._context.lanes.items() if spec.direction is Direction.EXIT]
        if not exits:
            raise Refused("no_such_lane")

        def open_exit(lane: str) -> str:
            action = self._as_action("all_out", by, lane)
            try:
                self._request(Observation(lane, Role.CLINICAL, OpenOnce(self._clock())), action)
            except Refused as refusal:
                return str(refusal)
            except TimeoutError:
                return "timeout"
            return ""

        with ThreadPoolExecutor(len(exits), "all out") as threads:
            why = dict(zip(exits, threads.map(open_exit, exits), strict=True))
        shut = {lane: reason for lane, reason in why.items() if reason}
        said: dict[str, Any] = {"opened": [lane for lane in exits if lane not in shut]}
        return {**said, "refused": "exits_shut", "shut": shut} if shut else {**said, "done": True}

    def _step(self, case: str, step: str, by: StaffSession) -> dict[str, Any]:
        venue = self._context.venue()
        if venue is None:
            raise Refused("no_venue")
        known = {each["case"] for each in venue["cases"]}
        if case not in known:
            raise Refused("case_closed")
        if step not in rights.STEPS[:-1]:
            raise Refused("bad_value")
        before = self.state.steps.get(case, {"owner": "", "done": {}})
        done = {"owner": by.staff, "done": {**before["done"], step: by.staff}}
        self._save_state(
            steps={**{name: each for name, each in self.state.steps.items() if name in known}, case: done}
        )
        self._record_action("step", by.staff, "", value=step, case=case)
        return {"done": True}

    def _attest_venue(self, what: str, rest: dict[str, Any], by: StaffSession) -> dict[str, Any]:
        """Of the venue: the ledger judges it and keeps the event."""
        match {"value": "", "case": "", "group": "", "form": "", "number": 0, "answers": {}, "lane": "", **rest}:
            case {
                "value": str(value), "case": str(case), "group": str(group), "form": str(form),
                "number": int(number), "answers": dict(answers), "lane": str(lane),
            } if all(isinstance(text, str) for pair in answers.items() for text in pair):  # fmt: skip
                at_s = rest["at_s"] if what == "count" else self._clock()
                item = Attestation(
                    at_s, what, value, number, case, group, form, {}, answers, by.staff
                )  # every answer as a private one: the form says which may stay clear
            case _:
                raise Refused("bad_arguments")
        answer = self._context.ask(Observation(lane, Role.CLINICAL, item), WAIT_S)
        if not isinstance(answer, AttestationResult):
            raise Refused("timeout")
        if answer.reason:
            return {"refused": answer.reason, "text": answer.text}
        return {"done": True, "text": answer.text}

    # -- what is kept

    def _save_state(self, **changed: Any) -> None:
        """Write it, then it counts. Raises OSError, and all stays as it was."""
        new = replace(self.state, **changed)
        self._file.write(new)
        for name, value in changed.items():
            setattr(self.state, name, value)

    @staticmethod
    def _as_action(
        what: str,
        by: StaffSession,
        lane: str,
        value: str = "",
        words: str = "",
        second: str = "",
        more: Mapping[str, str] | None = None,
    ) -> AttestationRecord:
        answers = {**(more or {}), **({"second": second} if second else {})}
        private = {"words": words} if words else {}
        return AttestationRecord(what, lane, "", value, "", "", answers, by.staff, private=private)

    def _record_action(
        self,
        what: str,
        by: str,
        lane: str,
        *,
        value: str = "",
        case: str = "",
    ) -> None:
        self._context.record(AttestationRecord(what, lane, case, value, by=by))


def _words(reason: str, rest: dict[str, Any]) -> str:
    """The words to a reason: sealed, or dropped where there is no key."""
    words = rest.get("words", "")
    if reason not in OVERRIDE_REASONS or not isinstance(words, str) or len(words) > LONGEST_WORDS:
        raise Refused("bad_arguments")
    if reason == "other" and not words.strip():
        raise Refused("bad_arguments")
    return words.strip()
