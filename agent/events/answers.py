"""Which kiosks have answered a command or have a bundle, from retained states and events. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agent.events import VERSION, Topics
from agent.events.fleet import KioskRow, row_of
from agent.model import ReleaseStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EVENT = re.compile(rf"(gatepost/v{VERSION}/([^/+#$]+/[^/+#$]+))/event/(command_result|agent)")
_ONE_KIOSK = re.compile(r"[^/*@]+/[^/*]+")
_NAMES_WIDTH = 32


class AnswerStatus(StrEnum):
    """What is known of one kiosk."""

    SUCCEEDED = "succeeded"
    """It has done the command; the bundle is in force there."""
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It was stopped in the midst of it."""
    PENDING = "pending"
    """It has the bundle, and is not through with it: a base is awaited, a configuration or release is on trial."""
    NO_ANSWER = "no_answer"
    OFFLINE = "offline"


_ON_TRIAL = "on_trial"
_RELEASE = {
    ReleaseStatus.NOT_IN_WAVE: AnswerStatus.SUCCEEDED,
    ReleaseStatus.IN_USE: AnswerStatus.SUCCEEDED,
    ReleaseStatus.WAITING: AnswerStatus.PENDING,
    ReleaseStatus.ON_TRIAL: AnswerStatus.PENDING,
    ReleaseStatus.REJECTED: AnswerStatus.REJECTED,
    ReleaseStatus.ROLLED_BACK: AnswerStatus.FAILED,
}
"""What a kiosk's state says of a release that it holds."""
_TRIAL_ENDS = {
    "config_applied": AnswerStatus.SUCCEEDED,
    "config_rejected": AnswerStatus.REJECTED,
    "config_rolled_back": AnswerStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class KioskAnswer:
    """Of one kiosk. `reason` is one of the contract's; `result` what a command gave back."""

    status: AnswerStatus
    reason: str = ""
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command or a bundle that was published, and whom it is for."""

    target: str
    """`library/gate-3`, `library/*`, `@north`, or `*/*` and none for all."""
    command_id: str = ""
    """Of a command; empty for a bundle."""
    bundle: str = ""
    """`type` or `type/name`."""
    version: int = 0

    @property
    def topics(self) -> tuple[str, list[str]]:
        """Filters for the states and the answers of those whom it is for."""
        who = self.target if _ONE_KIOSK.fullmatch(self.target) else "+/+"
        if self.target.endswith("/*") and self.target != "*/*":
            who = self.target.replace("*", "+")
        kinds = ["command_result", "agent"] if self.bundle == "config" else ["command_result"]
        return f"gatepost/v{VERSION}/{who}/state", [f"gatepost/v{VERSION}/{who}/event/{kind}" for kind in kinds]


@dataclass(slots=True)
class FleetAnswers:
    """What kiosks have said so far of what was sent."""

    sent: Delivery
    answers: dict[str, KioskAnswer] = field(default_factory=dict)
    """`<site>/<kiosk>` → its answer; NO_ANSWER and OFFLINE of those that are known by their states alone."""

    def __post_init__(self) -> None:
        """One kiosk is awaited though it has no state."""
        if _ONE_KIOSK.fullmatch(self.sent.target):
            self.answers[self.sent.target] = KioskAnswer(AnswerStatus.NO_ANSWER)

    def read(self, topic: str, payload: bytes) -> None:
        """A state or an answer; anything else is passed over."""
        if (row := row_of(topic, payload)) is not None:
            self._read_state(row)
        elif (found := _EVENT.fullmatch(topic)) is not None:
            root, kiosk, kind = found.groups()
            self._read_event(kiosk, f"/{root}", kind, payload)

    @property
    def is_complete(self) -> bool:
        """Everybody who is known and online has answered, and somebody is known."""
        waiting = {AnswerStatus.NO_ANSWER, AnswerStatus.PENDING}
        return bool(self.answers) and not any(each.status in waiting for each in self.answers.values())

    @property
    def have_all_succeeded(self) -> bool:
        """Whether nobody is missing, who is known."""
        return bool(self.answers) and all(each.status is AnswerStatus.SUCCEEDED for each in self.answers.values())

    def _read_state(self, row: KioskRow) -> None:
        before, sent = self.answers.get(row.kiosk), self.sent
        if before is None and not self._is_addressed(row):
            return
        if before is not None and before.reason == _ON_TRIAL and sent.bundle == "config":
            return  # it is in force meanwhile
        if sent.bundle and (held := dict(row.held).get(sent.bundle, 0)) >= sent.version:
            newer = f"has version {held}" if held > sent.version else ""
            is_release = sent.bundle == "release" and not newer
            self.answers[row.kiosk] = _of_release(row) if is_release else KioskAnswer(AnswerStatus.SUCCEEDED, newer)
        elif before is None or before.status in (AnswerStatus.NO_ANSWER, AnswerStatus.OFFLINE):
            is_online = row.state == "online"
            self.answers[row.kiosk] = KioskAnswer(AnswerStatus.NO_ANSWER if is_online else AnswerStatus.OFFLINE)

    def _is_addressed(self, row: KioskRow) -> bool:
        """By what its state says: an offline kiosk does not tell its groups."""
        site, kiosk = row.kiosk.split("/")
        try:
            return (self.sent.target or "*/*") in Topics(site, kiosk, row.groups).targets
        except ValueError:
            return False

    def _read_event(self, kiosk: str, source: str, kind: str, payload: bytes) -> None:
        try:
            body = json.loads(payload)
            if body["source"] != source:
                return
            before = self.answers.get(kiosk)
            is_told = before is not None and before.status not in (AnswerStatus.NO_ANSWER, AnswerStatus.OFFLINE)
            data = body["data"]
            answer = self._trial_end(data) if kind == "agent" else self._result(data, is_told=is_told)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            return
        if answer is not None:
            self.answers[kiosk] = answer

    def _result(self, data: Mapping[str, Any], *, is_told: bool) -> KioskAnswer | None:
        """`is_told`: its state has answered already, and knows more of a release."""
        if not self._is_of_ours(data):
            return None
        answer = KioskAnswer(AnswerStatus(data["status"]), str(data["reason"]), data["result"])
        if self.sent.bundle == "release" and answer.status is AnswerStatus.SUCCEEDED:
            return None if is_told else KioskAnswer(AnswerStatus.PENDING, ReleaseStatus.WAITING)
        if self.sent.bundle and (answer.reason == "base_awaited" or (answer.result or {}).get("on_trial")):
            return KioskAnswer(AnswerStatus.PENDING, answer.reason or _ON_TRIAL, answer.result)
        return answer

    def _trial_end(self, data: Mapping[str, Any]) -> KioskAnswer | None:
        """Of a configuration: whether it has passed."""
        if self.sent.bundle != "config" or data.get("config_version") != self.sent.version:
            return None
        status = _TRIAL_ENDS.get(data["type"])
        reason = "" if status is AnswerStatus.SUCCEEDED else data["type"]
        return None if status is None else KioskAnswer(status, reason, {"detail": str(data.get("detail", ""))})

    def _is_of_ours(self, data: Mapping[str, Any]) -> bool:
        if self.sent.command_id:
            return bool(data["command_id"] == self.sent.command_id)
        if data["command"] != "bundle" or data["command_id"] is not None:
            return False
        told = data["result"]
        name = f"{told['type']}/{told['name']}" if told["name"] else told["type"]
        return bool((name, told["version"]) == (self.sent.bundle, self.sent.version))


def _of_release(row: KioskRow) -> KioskAnswer:
    """What a kiosk says of the release of this bundle; an older agent says nothing."""
    try:
        status = ReleaseStatus(row.release_status)
    except ValueError:
        return KioskAnswer(AnswerStatus.PENDING, ReleaseStatus.WAITING)
    reason = "" if status is ReleaseStatus.IN_USE else status
    result = {"release": row.release, "detail": row.release_detail}
    return KioskAnswer(_RELEASE[status], reason, {name: value for name, value in result.items() if value})


def as_json(found: FleetAnswers) -> dict[str, Any]:
    """For programs."""
    return {
        "sent": {name: value for name, value in asdict(found.sent).items() if value},
        "counts": _counts(found),
        "kiosks": {kiosk: asdict(answer) for kiosk, answer in sorted(found.answers.items())},
    }


def table(found: FleetAnswers) -> list[str]:
    """For people: the counts, then a line for each kiosk, those that have not succeeded first."""
    sent = found.sent
    what = f"{sent.bundle} version {sent.version}" if sent.bundle else f"command {sent.command_id}"
    counts = ", ".join(f"{count} {status}" for status, count in _counts(found).items())
    lines = [f"{what}: {counts or 'nobody is known to be there, and nobody has answered'}"]
    for kiosk, answer in sorted(found.answers.items(), key=_worst_first):
        lines.append(f"{kiosk:<{_NAMES_WIDTH}} {answer.status:<10} {_more(answer)}".rstrip())
    return lines


def _counts(found: FleetAnswers) -> dict[str, int]:
    statuses: Sequence[AnswerStatus] = [answer.status for answer in found.answers.values()]
    return {status.value: statuses.count(status) for status in AnswerStatus if status in statuses}


def _worst_first(entry: tuple[str, KioskAnswer]) -> tuple[bool, str]:
    return entry[1].status is AnswerStatus.SUCCEEDED, entry[0]


def _more(answer: KioskAnswer) -> str:
    """Reason, and what a command gives back that fits in a line."""
    shown = {} if answer.result is None else answer.result
    short = " ".join(
        f"{name}={value}"
        for name, value in shown.items()
        if isinstance(value, str | int) and "\n" not in str(value)
    )
    return f"{answer.reason} {short}".strip()
