"""What a venue tells: the data of attestations and reports, as the central server reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.events.contract import ClockJson, SealedJson
    from agent.events.venue import AttestationJson, ReportJson
    from agent.model import AttestationRecord, Report


def attestation_json(stated: AttestationRecord, clock: ClockJson, sealed: SealedJson | None) -> AttestationJson:
    """The data of an attestation."""
    message: AttestationJson = {
        "type": stated.type,
        "lane": stated.lane,
        "case": stated.case,
        "value": stated.value,
        "group": stated.group,
        "form": stated.form,
        "answers": dict(stated.answers),
        "by": stated.by or None,
        "drill": stated.drill,
        "simulated": stated.simulated,
        "clock": clock,
    }
    if sealed is not None:
        message["sealed"] = sealed
    return message


def report_json(report: Report, clock: ClockJson, sealed: SealedJson | None) -> ReportJson:
    """The data of a report."""
    cases: Any = dict(report.cases) if report.cases else None
    message: dict[str, Any] = {
        "type": report.type,
        "name": report.name,
        "day": report.day or None,
        "from_time": _time(report.from_utc),
        "until_time": _time(report.until_utc),
        "complete": report.complete,
        "exact": report.exact,
        "dated": report.dated,
        "came": report.came,
        "left": report.left,
        "most": report.most,
        "inside": report.inside,
        "drift": report.drift,
        "expected": report.expected,
        "checked": report.checked,
        "unmeasured": report.unmeasured,
        "absent": report.absent,
        "absent_ill": report.absent_ill,
        "decisions": {role: dict(counts) for role, counts in report.decisions.items()},
        "groups": {group: dict(counts) for group, counts in report.groups.items()},
        "rounds": {name: dict(counts) for name, counts in report.rounds.items()},
        "clusters": [dict(cluster) for cluster in report.clusters],
        "cases": cases,
        "duties": {name: dict(counts) for name, counts in report.duties.items()},
        "powered_s": report.powered_s,
        "online_s": report.online_s,
        "up_s": dict(report.up_s),
        "simulated": report.simulated,
        "clock": clock,
    }
    if report.trips:
        message["trips"] = report.trips
    if sealed is not None:
        message["sealed"] = sealed
    return message  # type: ignore[return-value]


def _time(utc: float | None) -> str | None:
    if utc is None:
        return None
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
