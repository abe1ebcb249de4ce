"""What the watcher sees: a live page on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.cli.demo.record import Record, Row
    from agent.cli.demo.scenario import Person

SHOWN_ROWS = 12
_STYLES = {
    "admit": ("✓ ADMIT", "bold green"),
    "admit_notice": ("✓! ADMIT, NOTICE", "bold cyan"),
    "refer": ("? TO STAFF", "bold yellow"),
    "refuse": ("✗ REFUSE", "bold red"),
}


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

    def decided(self, row: Row) -> None:
        """The agent decided."""

    def arrived(self, at: float, row: Row) -> None:
        """The broker's subscriber has the event."""

    def refresh(self, at: float, report: Mapping[str, Any] | None, *, broker_up: bool) -> None:
        """Time passes."""


def describe(person: Person) -> str:
    """What the person does."""
    code = "no code" if person.code == "none" else f"{person.code} code"
    return f"{person.who}: {code}, skin {person.skin_c:.1f} °C"


def _measured(row: Row) -> str:
    facts = row.facts
    if facts["surface_c"] is None:
        return {"indeterminate": "not measured", "device_fault": "thermometer down"}[facts["screening"]]
    return f"{facts['surface_c']:.1f} ± {facts['u_c']:.1f} °C {facts['screening']}"


class Plain:
    """One line for each thing that happens."""

    def start(self) -> None:
        """Say how to read it."""
        self._say(0.0, "·", "a person arrives   ✓ ? ✗ the agent decides   → the event is at the broker")

    def stop(self) -> None:
        """Nothing to tidy."""

    def came(self, at: float, person: Person) -> None:
        """Somebody arrives."""
        self._say(at, "·", f"{person.lane:<6}{describe(person)}")

    def left(self, person: Person) -> None:
        """Not worth a line."""

    def note(self, at: float, text: str) -> None:
        """A device or the broker."""
        self._say(at, "!", text)

    def decided(self, row: Row) -> None:
        """The agent decided."""
        mark, _, word = _STYLES[row.facts["outcome"]][0].partition(" ")
        opened = ", gate opens" if row.facts["opened"] else ""
        reasons = ", ".join(row.facts["reasons"])
        self._say(row.at, mark, f"{row.facts['lane']:<6}{row.who}: {word} – {_measured(row)} – {reasons}{opened}")

    def arrived(self, at: float, row: Row) -> None:
        """At the broker."""
        self._say(at, "→", f"{row.facts['lane']:<6}{row.who}: event {row.arrived}")

    def refresh(self, at: float, report: Mapping[str, Any] | None, *, broker_up: bool) -> None:
        """Nothing moves in a pipe."""

    @staticmethod
    def _say(at: float, mark: str, text: str) -> None:
        print(f"{at:6.1f} s  {mark:<2} {text}", flush=True)


class Page:
    """A page that is drawn anew: lanes, devices, the latest passages, the way to the broker."""

    def __init__(self, record: Record, end: float) -> None:
        """`end`: seconds the scenario takes."""
        self._record = record
        self._end = end
        self._there: dict[str, str] = {}
        self._notes: list[str] = []
        self._live = Live(console=Console(), auto_refresh=False, screen=False)
        self._report: Mapping[str, Any] = {}
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

    def decided(self, row: Row) -> None:
        """Drawn with the record."""

    def arrived(self, at: float, row: Row) -> None:
        """Drawn with the record."""

    def refresh(self, at: float, report: Mapping[str, Any] | None, *, broker_up: bool) -> None:
        """Draw."""
        self._at, self._report, self._broker_up = at, report or self._report, broker_up
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
            f"{min(self._at, self._end):.0f} of {self._end:.0f} s   simulated devices, real wires   broker ",
            broker,
            f"   events: {outbox.get('stored', 0)} stored → {outbox.get('delivered', 0)} delivered,"
            f" {outbox.get('waiting', 0)} waiting",
        )

    def _lanes(self) -> Table:
        table = Table.grid(expand=True)
        cells = []
        for lane in ("entry", "exit"):
            table.add_column(ratio=1)
            devices = [device for device in self._report.get("devices", []) if device["lane"] == lane]
            lines = Text(self._there.get(lane, "nobody there") + "\n")
            for device in devices:
                mark, style = ("✓", "green") if device["up"] else ("✗", "bold red")
                why = "" if device["up"] else "  DOWN"
                lines.append_text(
                    Text.assemble((f"{mark} ", style), f"{device['part']} ", (device["driver"], "dim"), why)
                )
                lines.append("   ")
            cells.append(Panel(lines, title=f"lane {lane}", title_align="left"))
        table.add_row(*cells)
        return table

    def _passages(self) -> Table:
        table = Table(expand=True, box=None, padding=(0, 1))
        for name, ratio in (("time", 2), ("lane", 2), ("who", 3), ("code", 4), ("measured", 6), ("decision", 5)):
            table.add_column(name, ratio=ratio, no_wrap=True)
        table.add_column("why", ratio=7)
        table.add_column("at the broker", ratio=5, no_wrap=True)
        for row in self._record.rows[-SHOWN_ROWS:]:
            facts = row.facts
            word, style = _STYLES[facts["outcome"]]
            code = "none" if facts["code"] is None else f"{facts['colour'] or ''} {facts['code']}".strip()
            arrived = (
                Text(f"→ {row.arrived.rpartition(':')[2]}", "green") if row.arrived else Text("waits", "yellow")
            )
            table.add_row(
                f"{row.at:.1f}",
                facts["lane"],
                row.who,
                code.replace("_", " "),
                _measured(row),
                Text(word, style),
                ", ".join(facts["reasons"]).replace("_", " "),
                arrived,
            )
        return table


def view_for(record: Record, end: float) -> View:
    """A page on a terminal, lines elsewhere."""
    return Page(record, end) if sys.stdout.isatty() else Plain()
