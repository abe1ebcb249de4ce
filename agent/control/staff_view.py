"""What a guard's page shows: lanes, people who wait with their reasons, cases, passages, problems. It changes
nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.control import rights
from agent.control.staff_context import WAIT_S
from agent.model import Direction, Observation, Passage, RemeasureResult, Role, WhoWaits
from agent.venue import NUMBER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.control.staff_context import StaffContext
    from agent.control.staff_state import StaffState
    from agent.model import LaneSpec
    from agent.policy.explain import Explanation
    from agent.venue.forms import Form

VIEW_S = 0.3
"""The view is made once in so long, however many pages look."""
MOST_PASSAGES, MOST_EXPLAINED, MOST_PEOPLE = 20, 64, 256


@dataclass(slots=True)
class _WaitingPerson:
    """Somebody who waits or has waited."""

    case: str = ""
    """Of the latest passage; empty when it has none."""
    attempts_c: list[float] = field(default_factory=list)
    """What each attempt has measured, °C."""
    decided_s: float = 0.0
    """Of the latest passage."""


class StaffView:
    """Of one kiosk; any thread may ask for it."""

    def __init__(self, context: StaffContext, state: StaffState, clock: Callable[[], float]) -> None:
        """`state`: what staff have arranged; it is read, and changed elsewhere."""
        self._context, self._state, self._clock = context, state, clock
        self._entries = entries_of(context.lanes)
        self._lock = threading.Lock()
        self._made: tuple[float, dict[str, Any]] = (float("-inf"), {})
        self._passages: deque[dict[str, Any]] = deque(maxlen=MOST_PASSAGES)
        self._people: OrderedDict[tuple[str, int], _WaitingPerson] = OrderedDict()
        """Lane and number → what their passages were so far."""
        self._explained: OrderedDict[tuple[str, int, float], Explanation] = OrderedDict()

    def on_effect(self, effect: object) -> None:
        """Remember the last passages, and whose case is which. Called by the loop; does not block."""
        if isinstance(effect, Passage):
            if effect.number:
                self._remember(effect)
            self._passages.appendleft({
                "at_s": effect.decided_s, "lane": effect.lane, "outcome": effect.decision.outcome,
                "reasons": list(effect.decision.reasons), "gate_opened": effect.gate_opened,
            })  # fmt: skip

    def _remember(self, passage: Passage) -> None:
        """Which case somebody's latest passage belongs to, and what each attempt has measured."""
        key = passage.lane, passage.number
        person = self._people.pop(key, None)
        if person is None or passage.decided_s - person.decided_s > NUMBER_S:
            person = _WaitingPerson()
        person.decided_s = passage.decided_s
        person.case = passage.venue.case if passage.venue is not None else ""
        surface_c = passage.temperature.surface_c
        if surface_c is not None and surface_c not in person.attempts_c[-1:]:
            person.attempts_c.append(surface_c)
        if person.case or person.attempts_c:  # of one code after the other there is nothing to remember
            self._people[key] = person
        if len(self._people) > MOST_PEOPLE:
            self._people.popitem(last=False)

    def current(self) -> dict[str, Any]:
        """The view, made again when it is old. Raises TimeoutError."""
        at_s = self._clock()
        with self._lock:
            if at_s - self._made[0] >= VIEW_S:
                self._made = at_s, self._make()
            return dict(self._made[1])

    def forget(self) -> None:
        """Something was done: the next view is made again."""
        self._made = float("-inf"), {}

    def _make(self) -> dict[str, Any]:
        health = self._context.health()
        venue = self._context.venue()
        at_s = self._clock()
        return {
            "at_s": round(at_s, 2),
            "kiosk": health.get("kiosk", {}).get("id", ""),
            "safe": bool(health.get("safe")),
            "lanes": [self._lane(name, spec, health, venue) for name, spec in self._context.lanes.items()],
            "waiting": [card for lane in self._entries for card in self._cards(lane)],
            "passages": [
                {**each, "ago_s": round(at_s - each["at_s"])} for each in list(self._passages)
            ],
            "faults": [
                {"part": each["part"], "code": each["code"], "text": each["text"]}
                for each in health.get("problems", [])
            ],
            "on_duty": self._state.on_duty,
            "handed_by": self._state.handed_by,
            "venue": None if venue is None else {**venue, "cases": self._cases(venue)},
            "forms": [_form(each) for each in self._context.forms().values()] if venue is not None else [],
            "second_person": self._context.second_person,
            "seals": self._context.can_seal(),
            "waiting_events": health.get("outbox", {}).get("waiting", 0),
            "online": bool(health.get("link", {}).get("connected")),
            "lists": health.get("lists", []),
        }  # fmt: skip

    def _lane(
        self, name: str, spec: LaneSpec, health: Mapping[str, Any], venue: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """`shut`: by the venue, as commanded or until staff have counted; `closed`: by staff."""
        down = [each["role"] for each in health.get("devices", []) if each["lane"] == name and not each["up"]]
        return {
            "lane": name, "direction": spec.direction, "closed": name in self._state.closed, "down": down,
            "shut": venue is not None and spec.direction is not Direction.EXIT and name in venue["shut"],
            "gate": Role.GATE in spec.parts, "scanner": Role.SCANNER in spec.parts,
        }  # fmt: skip

    def _cards(self, lane: str) -> list[dict[str, Any]]:
        told = self._context.ask(Observation(lane, Role.CLINICAL, WhoWaits(at_s := self._clock())), WAIT_S)
        if not isinstance(told, RemeasureResult):
            return []
        made = []
        for waits, given in zip(told.waiting, told.inputs, strict=True):
            key = lane, waits.number, waits.since_s
            explanation = self._explained.pop(key, None) or self._context.explain(given)
            self._explained[key] = explanation
            may = self._context.may_override(given)
            ago_s = at_s - waits.since_s
            person = self._people.get((lane, waits.number)) or _WaitingPerson()
            card = rights.card(lane, waits, person.case, explanation, ago_s, may_override=may)
            made.append({**card, "attempts_c": list(person.attempts_c)})
        while len(self._explained) > MOST_EXPLAINED:
            self._explained.popitem(last=False)
        return made

    def _cases(self, venue: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Open cases with owner and steps."""
        none: dict[str, Any] = {"owner": "", "done": {}}
        return [{**case, **self._state.steps.get(case["case"], none)} for case in venue["cases"]]


def entries_of(lanes: Mapping[str, LaneSpec]) -> list[str]:
    """The lanes at which somebody may wait for staff."""
    return [name for name, spec in lanes.items() if spec.direction is not Direction.EXIT]


def _form(form: Form) -> dict[str, Any]:
    return {
        "name": form.name,
        "title": dict(form.title),
        "fields": [
            {
                "name": each.name, "title": dict(each.title), "choices": list(each.choices),
                "choice_titles": {language: list(words) for language, words in each.choice_titles.items()},
                "optional": each.optional, "private": not each.clear,
            }
            for each in form.fields
        ],
        "records": form.records,
    }  # fmt: skip
