"""Every problem that `gatepost status` or the retained state can show: its code and its severity. Pure.

The code is for machines and keeps its meaning; the text beside it is for people and may change. A new problem is
one line here, and the part that finds it.
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
    """Everything works; it will not for ever."""


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
    STORAGE_NOT_WRITABLE = "storage_not_writable"
    STORAGE_LOCKED = "storage_locked"
    """Another process holds the store of events."""
    STORAGE_ERROR = "storage_error"
    """The disk fails: events wait in memory."""
    TICKETS_NOT_KEPT = "tickets_not_kept"
    """The disk does not take used tickets: who shows one goes to staff."""
    BROKER_NOT_CONNECTED = "broker_not_connected"
    BROKER_TERMS = "broker_terms"
    """The broker does not grant something beside events: last will, retained state, a QoS, a subscription."""
    EVENTS_REJECTED = "events_rejected"
    """The broker refuses events; they are kept."""
    SUBSCRIPTION_DENIED = "subscription_denied"
    """The broker does not let the kiosk subscribe: no command and no bundle arrives."""
    PEERS_NOT_HEARD = "peers_not_heard"
    """The broker does not let kiosks tell each other of used tickets or shared places."""
    BROKER_CERTIFICATE_UNDATED = "broker_certificate_undated"
    """The clock cannot tell whether the broker's certificate has ended: events wait."""
    RECEIPTS_OVERDUE = "receipts_overdue"
    """The central server does not confirm events."""
    RECEIPT_MISMATCH = "receipt_mismatch"
    """The central server has signed a receipt for events that this kiosk has not made."""
    CERTIFICATE_EXPIRING = "certificate_expiring"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CLOCK_UNKNOWN = "clock_unknown"
    """The time is not known: codes that end go to staff."""
    CLOCK_SUSPECT = "clock_suspect"
    """The time contradicts itself, or what was certain before."""
    KEYS_REJECTED = "keys_rejected"
    """New keys or lists cannot be used; the old ones stay in force."""
    POLICY_REJECTED = "policy_rejected"
    CALIBRATION_REJECTED = "calibration_rejected"
    VENUE_REJECTED = "venue_rejected"
    """New rules, a roster or zones of the venue cannot be used; the old ones stay in force."""
    LIST_MISSING = "list_missing"
    """A list or the keys are missing, damaged or of unknown age: everybody goes to staff."""
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
    ROOT_EXPIRED = "root_expired"
    """Nothing more from the central server is taken."""
    ROOT_EXPIRING = "root_expiring"
    SENSOR_BLOCKED = "sensor_blocked"
    """Something stays before a sensor of the lane."""
    BASELINE_SUSPECT = "baseline_suspect"
    """What the threshold has learnt from people is pushed, or comes from few."""


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
    """One thing that is wrong with a part: what, and in words with what to do."""

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
    """A finding when there are words for it; none when they are empty."""
    return (Finding(code, text),) if text else ()


def in_words(findings: Iterable[Finding]) -> str:
    """All of them in one line; empty when there are none."""
    return "; ".join(finding.text for finding in findings)
