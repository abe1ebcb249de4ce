"""Output of the demonstration: a live page on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.cli.demo.record import DemoPassage, DemoTally
    from agent.cli.demo.scenario import Person

_ROOMY, _TIGHT = 128, 100
"""Columns of a terminal from which everything is shown, and below which only what decides."""
_DEVICES_A_LINE = 3
_AROUND_ROWS = 12
"""Lines of the page that are not passages, and one for the cursor."""
_STYLES = {
    "admit": ("✓ ADMIT", "bold green"),
    "admit_with_notice": ("✓! ADMIT, NOTICE", "bold cyan"),
    "refer": ("? TO STAFF", "bold yellow"),
    "refuse": ("✗ REFUSE", "bold red"),
}
_LIGHTS = {"red": ("✗", "bold red"), "amber": ("◆", "bold yellow"), "green": ("✓", "bold green")}
"""The lights of a lamp from above: shown from the left, each with a sign of its own."""

Report: TypeAlias = "Mapping[str, Any]"
Shown: TypeAlias = "Mapping[str, frozenset[str]]"
"""Lane → what of its lamp and buzzer is on."""


class View(Protocol):
    """Both views."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; the terminal is as before."""

    def came(self, at: float, person: Person) -> None:
        """Somebody arrives."""

    def left(self, person: Person) -> None:
        """Somebody goes."""

    def note(self, at: float, text: str) -> None:
        """Something happened to a device or the broker."""

    def decided(self, row: DemoPassage) -> None:
        """The agent decided."""

    def arrived(self, at: float, row: DemoPassage) -> None:
        """The broker's subscriber has the event."""

    def refresh(self, at: float, report: Report | None, shown: Shown, *, broker_up: bool) -> None:
        """Time passes."""


def describe(person: Person) -> str:
    """What the person does."""
    code = "no code" if person.code == "none" else f"{person.code} code"
    return f"{person.who}: {code}, skin {person.skin_c:.1f} °C"


def _is_withheld(row: DemoPassage) -> bool:
    """By the central server's word on privacy the agent says nothing of code, temperature and reasons."""
    return "screening" not in row.facts


def _measured(row: DemoPassage) -> str:
    facts = row.facts
    if _is_withheld(row):
        return "withheld"
    if facts["surface_c"] is None:
        words = {"indeterminate": "not measured", "device_fault": "device down"}
        return words.get(facts["screening"], "measured by staff")
    return f"{facts['surface_c']:.1f} ± {facts['uncertainty_c']:.1f} °C {facts['screening']}"


def _code(row: DemoPassage) -> str:
    facts = row.facts
    if _is_withheld(row):
        return "withheld"
    return (
        "none"
        if facts["credential"] is None
        else f"{facts['colour'] or ''} {facts['credential']}".strip().replace("_", " ")
    )


def _why(row: DemoPassage) -> str:
    return "details withheld" if _is_withheld(row) else ", ".join(row.facts["reasons"])


def _briefly(row: DemoPassage) -> str:
    if _is_withheld(row):
        return "–"
    surface_c = row.facts["surface_c"]
    return (
        ("down" if row.facts["screening"] == "device_fault" else "–") if surface_c is None else f"{surface_c:.1f}"
    )


def _lamp(on: frozenset[str]) -> Text:
    """The lamp as it is at this moment, and a note while the buzzer sounds."""
    signs = [_LIGHTS[light] if light in on else ("·", "dim") for light in _LIGHTS]
    return Text(" ").join([Text("lamp"), *(Text(*sign) for sign in signs), Text("♪" if "sound" in on else " ")])


def _event(row: DemoPassage) -> Text:
    return Text(f"→ {row.arrived.rpartition(':')[2]}", "green") if row.arrived else Text("waits", "yellow")


class Plain:
    """One line for each thing that happens."""

    def start(self) -> None:
        """Say how to read it."""
        self._print(0.0, "·", "a person arrives   ✓ ? ✗ the agent decides   → the event is at the broker")

    def stop(self) -> None:
        """Nothing to tidy."""

    def came(self, at: float, person: Person) -> None:
        """Somebody arrives."""
        self._print(at, "·", f"{person.lane:<6}{describe(person)}")

    def left(self, person: Person) -> None:
        """Not worth a line."""

    def note(self, at: float, text: str) -> None:
        """A device or the broker."""
        self._print(at, "!", text)

    def decided(self, row: DemoPassage) -> None:
        """The agent decided."""
        mark, _, word = _STYLES[row.facts["decision"]][0].partition(" ")
        opened = ", gate opens" if row.facts["gate_opened"] else ""
        self._print(
            row.at, mark, f"{row.facts['lane']:<6}{row.who}: {word} – {_measured(row)} – {_why(row)}{opened}"
        )

    def arrived(self, at: float, row: DemoPassage) -> None:
        """At the broker."""
        self._print(at, "→", f"{row.facts['lane']:<6}{row.who}: event {row.arrived}")

    def refresh(self, at: float, report: Report | None, shown: Shown, *, broker_up: bool) -> None:
        """Nothing moves in a pipe."""

    @staticmethod
    def _print(at: float, mark: str, text: str) -> None:
        print(f"{at:6.1f} s  {mark:<2} {text}", flush=True)


class Page:
    """A page that is drawn again: lanes, devices, the latest passages, the way to the broker."""

    def __init__(self, record: DemoTally, end: float) -> None:
        """`end`: seconds the scenario takes."""
        self._record = record
        self._end = end
        self._there: dict[str, str] = {}
        self._notes: list[str] = []
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, screen=False)
        self._report: Report = {}
        self._shown: Shown = {}
        self._broker_up = True
        self._at = 0.0

    def start(self) -> None:
        """Take the terminal."""
        self._live.start()

    def stop(self) -> None:
        """Leave the last page standing."""
        self._draw()
        self._live.stop()

    def came(self, at: float, person: Person) -> None:  # noqa: ARG002 - the page shows now
        """Somebody arrives."""
        self._there[person.lane] = describe(person)

    def left(self, person: Person) -> None:
        """Somebody goes."""
        if self._there.get(person.lane) == describe(person):
            del self._there[person.lane]

    def note(self, at: float, text: str) -> None:
        """A device or the broker."""
        self._notes = [*self._notes, f"{at:5.1f} s  {text}"][-3:]

    def decided(self, row: DemoPassage) -> None:
        """Drawn with the record."""

    def arrived(self, at: float, row: DemoPassage) -> None:
        """Drawn with the record."""

    def refresh(self, at: float, report: Report | None, shown: Shown, *, broker_up: bool) -> None:
        """Draw."""
        self._at, self._report, self._shown, self._broker_up = at, report or self._report, shown, broker_up
        self._draw()

    def _draw(self) -> None:
        parts: list[RenderableType] = [
            self._head(),
            self._lanes(),
            self._passages(),
            Text("\n".join(self._notes), style="dim"),
        ]
        self._live.update(Group(*parts), refresh=True)

    def _head(self) -> Text:
        outbox = self._report.get("outbox", {})
        broker = ("up", "green") if self._broker_up else ("DOWN", "bold red")
        return Text.assemble(
            ("Gatepost demo ", "bold"),
            f"{min(self._at, self._end):.0f} of {self._end:.0f} s   simulated devices, real wires",
            "   " if self._console.width >= _ROOMY else "\n",
            "broker ",
            broker,
            f"   events: {outbox.get('stored', 0)} stored → {outbox.get('delivered', 0)} delivered,"
            f" {outbox.get('waiting', 0)} waiting",
        )

    def _lanes(self) -> Table:
        table = Table.grid(expand=True)
        cells = []
        roomy = self._console.width >= _ROOMY
        for lane in ("entry", "exit"):
            table.add_column(ratio=1)
            lines = Text(self._there.get(lane, "nobody there") + "\n", no_wrap=True, overflow="ellipsis")
            devices = [device for device in self._report.get("devices", []) if device["lane"] == lane]
            for count, device in enumerate(devices):
                if count == _DEVICES_A_LINE:
                    lines.append("\n")
                mark, style = ("✓", "green") if device["up"] else ("✗", "bold red")
                lines.append(f"{mark} ", style)
                lines.append(device["role"])
                lines.append(f" {device['driver']}" if roomy else "", "dim")
                lines.append("" if device["up"] else " DOWN", "bold red")
                lines.append("   " if roomy else " ")
            cells.append(
                Panel(
                    lines,
                    title=f"lane {lane}",
                    title_align="left",
                    subtitle=_lamp(self._shown.get(lane, frozenset())),
                    subtitle_align="left",
                )
            )
        table.add_row(*cells)
        return table

    def _passages(self) -> Table:
        """What decides stands on every terminal; the code and how sure the temperature is, where there is room."""
        width = self._console.width
        columns: dict[str, Callable[[DemoPassage], str | Text]] = {
            "time": lambda row: f"{row.at:.1f}",
            "lane": lambda row: str(row.facts["lane"]),
            "who": lambda row: row.who,
            "code": _code,
            "skin": _measured if width >= _ROOMY else _briefly,
            "decision": lambda row: Text(*_STYLES[row.facts["decision"]]),
            "why": lambda row: _why(row).replace("_", " "),
            "at the broker" if width >= _ROOMY else "event": _event,
        }
        if width < _TIGHT:
            del columns["code"]
        table = Table(box=None, padding=(0, 2 if width >= _ROOMY else 1, 0, 0), pad_edge=False)
        for name in columns:
            table.add_column(name, no_wrap=True)
        for row in self._record.rows[-max(3, self._console.height - _AROUND_ROWS) :]:
            table.add_row(*(show(row) for show in columns.values()))
        return table


def view_for(record: DemoTally, end: float) -> View:
    """A page on a terminal, lines elsewhere."""
    return Page(record, end) if sys.stdout.isatty() else Plain()
