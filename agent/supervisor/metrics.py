"""The running agent in numbers, as Prometheus' node exporter collects them from a file. Nothing names a person.

Source: Prometheus text exposition format 0.0.4; node exporter's textfile collector (reads `*.prom`, wants each file
replaced in one step).
"""

from __future__ import annotations

import logging
import math
import resource
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent import __version__
from agent.model import ClockState
from agent.model.lazy import dataclass
from agent.platform.files import replace_file
from agent.supervisor.health import Condition

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.platform.histogram import Histogram
    from agent.supervisor.health import Health
    from agent.supervisor.report import HealthReport

log = logging.getLogger(__name__)

EVERY_S = 15.0
_MODE = 0o644
"""The collector is another user."""
_SELF = Path("/proc/self")
_PAGE_BYTES = resource.getpagesize()

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its samples."""

    name: str
    kind: Kind
    meaning: str
    samples: tuple[tuple[str, Labels, float], ...]
    """Suffix of the name, labels, value."""


class Metrics:
    """Writes the file; a job of housekeeping, for the disk may be slow and health must not wait."""

    def __init__(self, file: Path, report: HealthReport, health: Callable[[], Health]) -> None:
        self._file, self._report, self._health = file, report, health
        self._started_s = time.monotonic()
        self._fault = ""

    def refresh(self) -> None:
        """Write; that it cannot be done is logged once."""
        try:
            self.write()
            self._fault = ""
        except OSError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("metrics cannot be written: %s", error)

    def remove(self) -> None:
        """Take the file away: what does not run has no numbers."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def write(self) -> None:
        """Replace the file in one step; it need not survive a power cut. Raises OSError."""
        found = families(self._report, self._health(), time.monotonic() - self._started_s)
        page = "".join(map(text, found)).encode()
        replace_file(self._file, (page,), _MODE, durable=False, exact_mode=True)


def text(family: Family) -> str:
    """A family as the format has it."""
    lines = [f"# HELP {family.name} {_escaped(family.meaning, quote=False)}", f"# TYPE {family.name} {family.kind}"]
    for suffix, labels, value in family.samples:
        inner = ",".join(f'{name}="{_escaped(said)}"' for name, said in labels)
        lines.append(f"{family.name}{suffix}{f'{{{inner}}}' if inner else ''} {_number(value)}")
    return "\n".join(lines) + "\n"


def families(report: HealthReport, health: Health, up_s: float) -> Iterator[Family]:
    """Everything there is to count."""
    kiosk = {"kiosk": report.kiosk.id, "site": report.kiosk.site, "version": __version__}
    yield _one("gatepost_info", "gauge", "Which kiosk, which release; always 1.", 1, kiosk)
    yield _one("gatepost_up_seconds", "gauge", "Since the agent started.", up_s)
    yield _of(
        "gatepost_health_state", "The state of health: 1 for the one that holds.", health.condition, Condition
    )
    yield _one("gatepost_safe_mode", "gauge", "1: everybody at an entry is left to staff.", bool(report.began.safe))
    yield _one(
        "gatepost_config_version",
        "gauge",
        "Version of the configuration from the central server; 0: none.",
        report.began.version,
    )
    yield _of("gatepost_clock_state", "What the kiosk knows of the time.", report.clock.now().state, ClockState)
    yield from _events(report)
    yield _commands(report)
    yield from _devices(report)
    yield from _lists(report)
    yield from _process()


def _events(report: HealthReport) -> Iterator[Family]:
    outbox, link, decisions = report.outbox(), report.link(), report.decisions
    for name in ("decided", "stored", "delivered", "lost"):
        yield _one(
            f"gatepost_events_{name}_total", "counter", f"Events {name} since the start.", getattr(outbox, name)
        )
    yield _one("gatepost_events_waiting", "gauge", "Events not acknowledged yet.", outbox.waiting)
    yield _one("gatepost_outbox_bytes", "gauge", "Room that waiting events take.", outbox.bytes_held)
    yield _one("gatepost_outbox_ok", "gauge", "1: the disk takes events.", not outbox.fault)
    yield _one("gatepost_link_connected", "gauge", "1: connected with the broker.", link.connected)
    yield _one("gatepost_link_connections_total", "counter", "Connections since the start.", link.connections)
    yield _one("gatepost_events_rejected_total", "counter", "Events that the broker rejected.", link.refused)
    yield _one(
        "gatepost_receipts_rejected_total", "counter", "Receipts that were not accepted; strangers may send some.",
        link.refused_receipts,
    )  # fmt: skip
    yield _one(
        "gatepost_internal_errors_total",
        "counter",
        "Internal errors in deciding that were caught.",
        decisions.internal_errors,
    )
    yield _by_lane(
        "gatepost_passages_total", "decision", "People decided upon, by lane and decision.", decisions.passages
    )
    yield _by_lane(
        "gatepost_temperatures_total",
        "outcome",
        "People by what their temperature was, of those whose events tell it.",
        decisions.temperatures,
    )
    if (venue := report.venue()) is not None:
        yield _one("gatepost_people_inside", "gauge", "People inside the venue, as counted.", venue.inside)
        yield _one("gatepost_cases_open", "gauge", "Cases without feedback.", venue.cases)
        yield _one("gatepost_cases_overdue", "gauge", "Cases open for longer than the venue allows.", venue.overdue)
    yield _histogram(
        "gatepost_decision_seconds", "From the last thing seen to the decision.", decisions.decision_times
    )
    yield _histogram("gatepost_commit_seconds", "Writing events to the disk.", report.commit_times)


def _commands(report: HealthReport) -> Family:
    """Commands of the central server, and messages of strangers."""
    status = report.commands()
    results = {
        "succeeded": status.succeeded,
        "rejected": status.rejected,
        "unauthenticated": status.unauthenticated,
        "dropped": status.dropped,
    }
    samples = tuple(("", (("result", name),), float(count)) for name, count in results.items())
    return Family("gatepost_commands_total", "counter", "Commands and bundles, by result.", samples)


def _devices(report: HealthReport) -> Iterator[Family]:
    found = [({"lane": one.lane, "role": str(one.role), "driver": one.driver}, one) for one in report.devices()]
    columns: tuple[tuple[str, Kind, str, str], ...] = (
        ("up", "gauge", "up", "1: the device works."),
        ("items_total", "counter", "items", "Items read, or commands carried out."),
        ("faults_total", "counter", "faults", "Times it went down."),
        ("restarts_total", "counter", "restarts", "Times it hung and was restarted."),
        ("lost_threads", "gauge", "abandoned", "Threads that hang in its driver."),
    )
    for name, kind, field, meaning in columns:
        samples = tuple(("", tuple(labels.items()), float(getattr(one, field))) for labels, one in found)
        yield Family(f"gatepost_device_{name}", kind, meaning, samples)


def _lists(report: HealthReport) -> Iterator[Family]:
    now = report.clock.now()
    ages = [((("list", age.name),), age.age_s(now), age.fault(now)) for age in report.list_ages()]
    aged = tuple(("", labels, age_s) for labels, age_s, _ in ages if age_s is not None)
    yield Family(
        "gatepost_list_age_seconds", "gauge", "Age of a list, or of the keys from the central server.", aged
    )
    fresh = tuple(("", labels, float(not fault)) for labels, _, fault in ages)
    yield Family("gatepost_list_ok", "gauge", "1: it is there and not too old.", fresh)


def _process() -> Iterator[Family]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    yield _one("gatepost_process_cpu_seconds_total", "counter", "CPU time of the agent.", seconds)
    yield _one("gatepost_process_resident_bytes", "gauge", "Memory of the agent.", _resident_bytes())
    yield _one("gatepost_process_threads", "gauge", "Threads of the agent.", threading.active_count())
    yield _one("gatepost_process_open_files", "gauge", "Open files of the agent.", _open_files())


def _open_files() -> int:
    return sum(1 for _ in _SELF.joinpath("fd").iterdir())


def _resident_bytes() -> int:
    return int(_SELF.joinpath("statm").read_text().split()[1]) * _PAGE_BYTES


def _by_lane(name: str, label: str, meaning: str, counted: Counter[tuple[str, str]]) -> Family:
    samples = sorted(counted.copy().items())
    return Family(
        name, "counter", meaning, tuple(("", (("lane", lane), (label, word)), n) for (lane, word), n in samples)
    )


def _one(name: str, kind: Kind, meaning: str, value: float, labels: Mapping[str, str] | None = None) -> Family:
    return Family(name, kind, meaning, (("", tuple((labels or {}).items()), float(value)),))


def _of(name: str, meaning: str, holds: str, words: Iterable[str]) -> Family:
    """One sample a word, 1 for the one that holds."""
    label = name.rpartition("_")[2]
    return Family(
        name, "gauge", meaning, tuple(("", ((label, str(word)),), float(word == holds)) for word in words)
    )


def _histogram(name: str, meaning: str, tally: Histogram) -> Family:
    classes = list(tally.up_to())
    buckets = tuple(("_bucket", (("le", _number(bound)),), float(count)) for bound, count in classes)
    total = classes[-1][1]
    return Family(name, "histogram", meaning, (*buckets, ("_sum", (), tally.sum_s), ("_count", (), float(total))))


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value == int(value) else repr(value)


def _escaped(said: str, *, quote: bool = True) -> str:
    plain = said.replace("\\", "\\\\").replace("\n", "\\n")
    return plain.replace('"', '\\"') if quote else plain
