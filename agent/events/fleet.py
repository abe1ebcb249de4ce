"""A fleet as its retained states describe it: a row for each kiosk, and what they have in common. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent.events.state import kiosk_of
from agent.model import ReleaseStatus
from agent.model.problems import ProblemCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LISTS = {ProblemCode.LIST_MISSING, ProblemCode.LIST_EXPIRED, ProblemCode.LIST_STALE, ProblemCode.LIST_FETCH_FAILED}
_CERTIFICATES = {ProblemCode.CERTIFICATE_EXPIRING, ProblemCode.CERTIFICATE_EXPIRED}
_OWN = {"venue", "roster", "zones", "staff", "release"}
"""Bundles that sites and groups have of their own: another version elsewhere says nothing."""
_RELEASE_FAILED = {ReleaseStatus.REJECTED, ReleaseStatus.ROLLED_BACK}
_NAMES_WIDTH = 32
_VERSION_MOST = 40


@dataclass(frozen=True, slots=True)
class KioskRow:
    """One kiosk. What an offline kiosk does not tell is None or empty."""

    kiosk: str
    """`<site>/<kiosk>`, by the topic: a broker guards that."""
    state: str
    software_version: str
    mode: str = ""
    config_version: int | None = None
    groups: tuple[str, ...] = ()
    waiting: int | None = None
    """Events that are still to be delivered."""
    lost: int | None = None
    inside: int | None = None
    cases: int | None = None
    """Alerts that staff have not answered."""
    overdue: int | None = None
    held: tuple[tuple[str, int], ...] = ()
    """Bundles in force, `type` or `type/name`, and their versions; built in ones are left out."""
    lists: tuple[str, ...] = ()
    """What is wrong with lists and keys: too old, or a base that does not come."""
    certificates: tuple[str, ...] = ()
    """Certificates that end soon or have ended."""
    problems: tuple[str, ...] = ()
    """All other problems, code and part."""
    release: str = ""
    """The release that was signed last for it; empty: none."""
    release_status: str = ""
    """What has become of it: a ReleaseStatus."""
    release_detail: str = ""


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """What the rows have in common."""

    kiosks: int
    online: int
    software_versions: Mapping[str, int]
    """Version → kiosks that are online with it."""
    held: Mapping[str, Mapping[int, int]]
    """Bundle → version → kiosks that are online with it."""
    safe_mode: int
    cases: int
    overdue: int
    waiting: int


_MOST = 1 << 53
"""No counter comes so far, and each program reads it exactly."""


def row_of(topic: str, payload: bytes) -> KioskRow | None:
    """The row of a retained state; None for what is none, or says to be another kiosk's."""
    named = kiosk_of(topic)
    try:
        body = json.loads(payload)
        if named is None or (body["type"], body["kiosk"]) != ("gatepost.state.v1", named[1]):
            return None
        return _row("/".join(named), body)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None  # a state is not signed: whatever is wrong with one must not hide the others


def _row(kiosk: str, body: Mapping[str, Any]) -> KioskRow:
    venue, counts, problems = body.get("venue", {}), body.get("counts", {}), body.get("problems", ())
    release = body.get("release", {})
    return KioskRow(
        kiosk=kiosk,
        state="online" if body["state"] == "online" else "offline",
        software_version=str(body["software_version"]),
        mode=str(body.get("mode", "")),
        config_version=_number(body.get("config_version")),
        groups=tuple(map(str, body.get("groups", ()))),
        waiting=_number(counts.get("waiting")),
        lost=_number(counts.get("lost")),
        inside=_number(venue.get("inside")),
        cases=_number(venue.get("cases")),
        overdue=_number(venue.get("overdue")),
        held=tuple(
            (f"{each['type']}/{each['name']}" if each["name"] else str(each["type"]), int(each["version"]))
            for each in body.get("in_force", ())
            if each["source"] == "bundle"
        ),
        lists=tuple(str(each["text"]) for each in problems if each["code"] in _LISTS),
        certificates=tuple(str(each["text"]) for each in problems if each["code"] in _CERTIFICATES),
        problems=tuple(
            f"{each['code']} {each['part']}".strip()
            for each in problems
            if each["code"] not in _LISTS | _CERTIFICATES
        ),
        release=str(release.get("version", "")),
        release_status=str(release.get("status", "")),
        release_detail=str(release.get("detail", "")),
    )


def _number(value: object) -> int | None:
    """None for what counts nothing: sums of what a stranger has made up would have no end."""
    return value if type(value) is int and abs(value) <= _MOST else None


def summary(rows: Iterable[KioskRow]) -> FleetSummary:
    """Of all rows. Versions are counted where a kiosk is online: an offline one may have changed since."""
    rows = list(rows)
    online = [row for row in rows if row.state == "online"]
    held: dict[str, Counter[int]] = {}
    for row in online:
        for bundle, version in row.held:
            held.setdefault(bundle, Counter())[version] += 1
    return FleetSummary(
        kiosks=len(rows),
        online=len(online),
        software_versions=dict(Counter(row.software_version for row in online).most_common()),
        held={bundle: dict(sorted(counts.items(), reverse=True)) for bundle, counts in sorted(held.items())},
        safe_mode=sum(row.mode == "safe" for row in online),
        cases=sum(row.cases or 0 for row in online),
        overdue=sum(row.overdue or 0 for row in online),
        waiting=sum(row.waiting or 0 for row in online),
    )


def behind(row: KioskRow, whole: FleetSummary) -> list[str]:
    """Bundles of which another kiosk has a newer version: a wave is not through, or this one has missed it."""
    return [
        bundle
        for bundle, version in row.held
        if bundle not in _OWN and version < max(whole.held.get(bundle, {version: 0}))
    ]


def as_json(rows: Sequence[KioskRow], since: Mapping[str, float]) -> dict[str, Any]:
    """For programs. `since`: from when on an offline kiosk was seen to be so, POSIX seconds."""
    whole = summary(rows)
    return {
        "summary": asdict(whole),
        "kiosks": [
            {
                **asdict(row),
                "held": dict(row.held),
                "behind": behind(row, whole),
                "offline_since": since.get(row.kiosk),
            }
            for row in rows
        ],
    }


def table(rows: Sequence[KioskRow], since: Mapping[str, float], now_utc: float) -> list[str]:
    """For people: the summary, then a line for each kiosk, those that need somebody first."""
    whole = summary(rows)
    versions = ", ".join(f"{version}: {count}" for version, count in whole.software_versions.items())
    counted = (
        f"{whole.kiosks} kiosks, {whole.online} online, {whole.safe_mode} in safe mode, "
        f"{whole.waiting} events wait, {whole.cases} cases open, {whole.overdue} overdue"
    )
    lines = [counted, f"software  {versions or 'none is online'}"]
    for bundle, counts in whole.held.items():
        held = ", ".join(f"version {version}: {count}" for version, count in counts.items())
        lines.append(f"{bundle:<{_NAMES_WIDTH}} {held}")
    width = min(max((len(row.software_version) for row in rows), default=0), _VERSION_MOST)
    lines += ["", _line("KIOSK", "STATE", f"{'SOFTWARE':<{width}}", "CONFIG", "WAIT", "CASES", "WHAT IS WRONG")]
    told = [(_faults(row, whole, since, now_utc), row) for row in rows]
    for faults, row in sorted(told, key=lambda each: (not each[0], each[1].kiosk)):
        config, waiting, cases = (
            "-" if each is None else str(each) for each in (row.config_version, row.waiting, row.cases)
        )
        software = f"{row.software_version:<{width}}"
        lines.append(_line(row.kiosk, row.state, software, config, waiting, cases, "; ".join(faults)))
    return lines


def _line(kiosk: str, state: str, software: str, config: str, waiting: str, cases: str, faults: str) -> str:
    left = f"{kiosk:<{_NAMES_WIDTH}} {state:<8} {software:<10}"
    return f"{left} {config:>6} {waiting:>6} {cases:>5}  {faults}".rstrip()


def _faults(row: KioskRow, whole: FleetSummary, since: Mapping[str, float], now_utc: float) -> list[str]:
    if row.state != "online":
        seen_utc = since.get(row.kiosk)
        return ["offline" if seen_utc is None else f"offline for {max(0, now_utc - seen_utc):.0f} s"]
    return [
        *(["safe mode"] if row.mode == "safe" else []),
        *([f"{row.overdue} cases overdue"] if row.overdue else []),
        *([f"{row.lost} events lost"] if row.lost else []),
        *(f"{bundle} is older than elsewhere" for bundle in behind(row, whole)),
        *row.lists, *row.certificates, *row.problems,
        *([f"release {row.release} {row.release_status}: {row.release_detail}".rstrip(": ")]
          if row.release_status in _RELEASE_FAILED else []),
    ]  # fmt: skip
