"""Every problem that `gatepost status` or the retained state can show: its code and its severity. Pure.

A code keeps its meaning, for programs; the text beside it is for people and may change. A new problem is one
member here with a sentence, from which docs/reference.md is made, and the part that finds it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from agent.model.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Severity(StrEnum):
    """How soon somebody must act."""

    CRITICAL = "critical"
    """Nobody is admitted without staff, or the agent does not work at all."""
    ERROR = "error"
    """Something does not work: people may go to staff, events wait, or what was sent is not in force."""
    WARNING = "warning"
    """Everything works now, but something will stop working unless somebody acts."""


class ProblemCode(StrEnum):
    """What is wrong."""

    AGENT_STUCK = "agent_stuck"
    """A vital part makes no progress: the watchdog restarts the agent."""
    PART_HANGS = "part_hangs"
    """A part makes no progress for longer than it may."""
    INTERNAL_ERROR = "internal_error"
    """An error of the agent was caught; its log says more."""
    SAFE_MODE = "safe_mode"
    """Everybody at an entry goes to staff until the kiosk is told to recover."""
    CONFIG_NOT_IN_FORCE = "config_not_in_force"
    """The configuration from the central server cannot be used; the kiosk's own file is in force alone."""
    DEVICE_DOWN = "device_down"
    """A device is not there, or answers wrongly."""
    STORAGE_FULL = "storage_full"
    """The disk is full: events wait in memory."""
    STORAGE_NOT_WRITABLE = "storage_not_writable"
    """The store of events cannot be written: events wait in memory."""
    STORAGE_LOCKED = "storage_locked"
    """Another process has the store of events open."""
    STORAGE_ERROR = "storage_error"
    """The disk fails: events wait in memory."""
    TICKETS_NOT_KEPT = "tickets_not_kept"
    """The use of a ticket cannot be written to the disk: a person who shows a ticket goes to staff."""
    STATE_LOST = "state_lost"
    """A file that the kiosk keeps for itself is gone, damaged or an older copy: the stricter counts."""
    BROKER_NOT_CONNECTED = "broker_not_connected"
    """There is no connection to the broker; the text says why, and what to do. Only in `gatepost status`."""
    BROKER_TERMS = "broker_terms"
    """The broker denies something other than events: the last will, the retained state, a QoS, a subscription."""
    SECOND_KIOSK = "second_kiosk"
    """Another machine connects by the name of this kiosk, a copied card perhaps: each ends the other's link."""
    EVENTS_REJECTED = "events_rejected"
    """The broker refuses events; they are kept."""
    SUBSCRIPTION_DENIED = "subscription_denied"
    """The broker does not let the kiosk subscribe: no command and no bundle arrives."""
    PEERS_NOT_HEARD = "peers_not_heard"
    """Used tickets or shared places are not exchanged: the broker does not let us, or another kiosk is silent."""
    BROKER_CERTIFICATE_UNDATED = "broker_certificate_undated"
    """The clock cannot tell whether the broker's certificate has ended: events wait."""
    RECEIPTS_OVERDUE = "receipts_overdue"
    """The central server does not confirm events."""
    RECEIPT_MISMATCH = "receipt_mismatch"
    """The central server has signed a receipt for events that this kiosk has not made."""
    CERTIFICATE_EXPIRING = "certificate_expiring"
    """A certificate of the link ends within 30 days."""
    CERTIFICATE_EXPIRED = "certificate_expired"
    """A certificate of the link has ended."""
    CLOCK_UNKNOWN = "clock_unknown"
    """The time is not known: people whose code can expire go to staff."""
    CLOCK_SUSPECT = "clock_suspect"
    """The time contradicts itself, or a time that was certain before."""
    KEYS_REJECTED = "keys_rejected"
    """New keys or lists cannot be used; the old ones stay in force."""
    POLICY_REJECTED = "policy_rejected"
    """A new policy table cannot be used; the old one stays in force."""
    CALIBRATION_REJECTED = "calibration_rejected"
    """A new calibration cannot be used; the old one stays in force."""
    VENUE_REJECTED = "venue_rejected"
    """New rules, a roster or zones of the venue cannot be used; the old ones stay in force."""
    LIST_MISSING = "list_missing"
    """A list or a file to judge by is missing, damaged, of unknown age or an older one: everybody goes to staff."""
    LIST_EXPIRED = "list_expired"
    """A list or the keys are older than `max_age_s`: everybody goes to staff."""
    LIST_STALE = "list_stale"
    """A list or the keys are older than `warn_age_s`, or a newer base is awaited: people get a notice."""
    LIST_FETCH_FAILED = "list_fetch_failed"
    """The base of a newer list cannot be fetched; the list before stays in force within its age."""
    PRIVACY_NOT_IN_FORCE = "privacy_not_in_force"
    """The privacy bundle cannot be used or has expired: nothing personal is kept."""
    SEALING_KEY_MISSING = "sealing_key_missing"
    """No sealing key is valid now: nothing personal is kept."""
    ROOT_INVALID = "root_invalid"
    """The installed root cannot be used: nothing from the central server is accepted."""
    ROOT_EXPIRED = "root_expired"
    """The root has ended: nothing from the central server is accepted but the next root."""
    ROOT_EXPIRING = "root_expiring"
    """The root ends within 14 days: send the next one."""
    SENSOR_BLOCKED = "sensor_blocked"
    """Something stays in front of a sensor of the lane."""
    BASELINE_SUSPECT = "baseline_suspect"
    """The threshold that follows people has reached a bound, or rests on too few people."""


_CRITICAL = (ProblemCode.AGENT_STUCK, ProblemCode.SAFE_MODE)
_WARNING = (
    ProblemCode.BROKER_TERMS,
    ProblemCode.CERTIFICATE_EXPIRING,
    ProblemCode.LIST_STALE,
    ProblemCode.LIST_FETCH_FAILED,
    ProblemCode.ROOT_EXPIRING,
    ProblemCode.BASELINE_SUSPECT,
)
SEVERITY: Mapping[ProblemCode, Severity] = {
    code: Severity.CRITICAL if code in _CRITICAL else Severity.WARNING if code in _WARNING else Severity.ERROR
    for code in ProblemCode
}


class Finding(NamedTuple):
    """One thing that is wrong with a part: its code, and a text that says what to do."""

    code: ProblemCode
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding, with the part that it is about."""

    code: ProblemCode
    part: str
    text: str

    @property
    def severity(self) -> Severity:
        """How soon somebody must act."""
        return SEVERITY[self.code]

    def __str__(self) -> str:
        return f"{self.part}: {self.text}"


def found(code: ProblemCode, text: str) -> tuple[Finding, ...]:
    """One finding with this text; none when the text is empty."""
    return (Finding(code, text),) if text else ()


def in_words(findings: Iterable[Finding]) -> str:
    """All of them in one line; empty when there are none."""
    return "; ".join(finding.text for finding in findings)
