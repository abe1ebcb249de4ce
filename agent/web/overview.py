"""The whole kiosk on one screen, for the technician: the same for the terminal (`gatepost watch`) and for the page.

Made from the agent's report (status.json) alone. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drivers.contract import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Report = dict[str, Any]
OLD_S = 5.0
"""A report that is older: the agent has stopped or hangs."""


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device."""

    up: bool
    lane: str
    role: str
    driver: str
    items: int
    rate: float | None
    """Items a second since the report before; None for the first."""
    text: str
    """Why it is down, and the remedy; empty while it works."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown, in this order."""

    title: str
    condition: str
    head: str
    warnings: tuple[str, ...]
    lanes: tuple[str, ...]
    devices: tuple[DeviceRow, ...]
    """Those that are down first."""
    facts: tuple[tuple[str, str], ...]
    """Name, what there is to say."""
    problems: tuple[str, ...]
    log: tuple[str, ...]


class Rates:
    """How many items a second each device gives, from one report to the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[float, int]] = {}

    def of(self, report: Report) -> dict[tuple[str, str], float]:
        """(lane, role) → items a second since the report before; nothing for a device that is new."""
        at_s, found = float(report["at_s"]), {}
        for device in report["devices"]:
            key = (device["lane"], device["role"])
            before_s, items = self._before.get(key, (at_s, device["items"]))
            if at_s > before_s:
                found[key] = max(0, device["items"] - items) / (at_s - before_s)
            if at_s > before_s or key not in self._before:
                self._before[key] = (at_s, device["items"])
        return found


def overview(report: Report, rates: Mapping[tuple[str, str], float], now_s: float) -> Overview:
    """`now_s`: of the clock that the report's `at_s` is read from."""
    kiosk, age_s = report["kiosk"], now_s - float(report["at_s"])
    devices = [_device(each, rates) for each in report["devices"]]
    return Overview(
        title=f"{printable(kiosk['id'])} at {printable(kiosk['site'])}",
        condition=str(report["condition"]),
        head=f"gatepost {report['version']}, clock {report['clock']}, {report['decided']} decided",
        warnings=tuple(_warnings(report, age_s)),
        lanes=tuple(_lane(each, now_s) for each in report.get("lanes", ())),
        devices=tuple(sorted(devices, key=lambda row: row.up)),
        facts=tuple(_facts(report)),
        problems=tuple(_format_problem(each) for each in report["problems"]),
        log=tuple(printable(str(line)) for line in report.get("log", ())),
    )


def span(seconds: float) -> str:
    """A duration in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _warnings(report: Report, age_s: float) -> Iterator[str]:
    if age_s > OLD_S:
        yield f"This is {age_s:.0f} s old: the agent has stopped or hangs (journalctl -u gatepost)"
    if report["safe"]:
        yield f"SAFE MODE, everybody at an entry goes to staff: {printable(str(report['safe']))}"


def _lane(lane: Mapping[str, Any], now_s: float) -> str:
    """One line: what it shows, its last decision, limit and room of its thermometer."""
    told = [f"{printable(lane['lane']):<8} {lane['cue'] or '-':<9}"]
    if lane["decided_s"] is not None:
        ago = span(max(0.0, now_s - lane["decided_s"]))
        told.append(f"{lane['outcome']} {ago} ago in {lane['duration_ms']} ms")
    if lane["limit_c"] is not None:
        told.append(f"limit {lane['limit_c']:.1f} °C ({lane['basis']})")
    if lane["room_c"] is not None:
        told.append(f"room {lane['room_c']:.1f} °C")
    return "  ".join(told)


def _device(device: Mapping[str, Any], rates: Mapping[tuple[str, str], float]) -> DeviceRow:
    rate = rates.get((device["lane"], device["role"]))
    text = "" if device["up"] else printable(str(device["error"]))
    return DeviceRow(
        device["up"], printable(device["lane"]), device["role"], device["driver"], device["items"], rate, text
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    outbox, link = report["outbox"], report["link"]
    counts = ", ".join(f"{outbox[name]} {name}" for name in ("stored", "delivered", "waiting", "lost"))
    yield "outbox", counts + _took(report.get("commit_p99_ms"), ", disk")
    wait_s = link.get("next_try_s")
    trying = "trying now" if wait_s is None else f"next try in {wait_s:.0f} s"
    yield "link", "connected" if link["connected"] else f"not connected, {trying}"
    yield "lists", "; ".join(_lists(report)) or "none"
    machine = "; ".join(
        f"{each['what']} {each['text']}".replace("power enough", "power ok") for each in report.get("machine", ())
    )
    yield "machine", (machine or "no sensors of its own") + _took(report.get("decision_p99_ms"), "; decisions")


def _lists(report: Report) -> Iterator[str]:
    """Age of each list, and the version in force of what has one."""
    versions = {each["name"] or each["type"]: each["version"] for each in report.get("in_force", ())}
    for kept in report["lists"]:
        name = str(kept["name"])
        version = versions.pop(next((each for each in versions if each in name.split()), ""), 0)
        age = "age unknown" if kept["age_s"] is None else f"{span(kept['age_s'])} old"
        yield printable(f"{name}{f' v{version}' if version else ''} {kept['fault'] or age}")
    yield from (printable(f"{name} v{version}") for name, version in versions.items() if version)


def _took(p99_ms: float | None, what: str) -> str:
    return "" if p99_ms is None else f"{what} p99 ≤ {p99_ms:g} ms"


def _format_problem(problem: object) -> str:
    """A problem in words."""
    text = problem.get("text", "") if isinstance(problem, dict) else problem
    part = problem.get("part", "") if isinstance(problem, dict) else ""
    return printable(f"{part}: {text}" if part and str(part) not in str(text) else str(text))
