"""What a run of the measurements found, in a file, and beside another run's."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rows import Row

VERSION = 1
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when it was measured."""

    model: str
    cores: int
    load: float
    python: str

    @classmethod
    def now(cls) -> Machine:
        """This machine."""
        return cls(_model(), os.cpu_count() or 1, round(os.getloadavg()[0], 2), platform.python_version())

    def sentence(self) -> str:
        """For the head of the table."""
        quiet = "" if self.load < self.cores / 4 else ": not quiet, times are worth little"
        return f"{self.model}, {self.cores} cores, load {self.load:.1f}{quiet}, Python {self.python}"


@dataclass(slots=True)
class Results:
    """The rows of one run, by measurement."""

    machine: Machine
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, name: str, row: Row) -> None:
        """Note a row."""
        self.rows.setdefault(name, []).append(row)

    def row(self, name: str, what: str) -> Row | None:
        """The row of that measurement that says the same."""
        return next((row for row in self.rows.get(name, []) if row.what == what), None)

    def bars(self) -> int:
        """How many rows have a bar that could be tried."""
        return sum(row.met is not None for rows in self.rows.values() for row in rows)

    def missed(self) -> list[str]:
        """A line for each bar that is not met."""
        return [
            f"{name}: {row.what}: {row.here}, for {row.bar}"
            for name, rows in self.rows.items()
            for row in rows
            if row.met is False
        ]

    def save(self, file: Path) -> None:
        """Write them."""
        rows = {name: [asdict(row) for row in rows] for name, rows in self.rows.items()}
        said = {"version": VERSION, "machine": asdict(self.machine), "rows": rows}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(file: Path) -> Results:
    """What `save` wrote. Raises OSError, ValueError."""
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if said["version"] != VERSION:
            raise ValueError(f"{file}: version {said['version']} of the file; {VERSION} is read here")
        rows = {name: [Row(**row) for row in rows] for name, rows in said["rows"].items()}
        return Results(Machine(**said["machine"]), rows)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} is no file of an earlier `make bench`: {error}") from error


def beside(now: Row, before: Row | None) -> str:
    """What an earlier run found, and by how much the first figure has moved since."""
    if before is None:
        return "-"
    figures = [_NUMBER.search(row.here) for row in (before, now)]
    was, is_now = (float(each[0].replace(",", "")) if each else 0.0 for each in figures)
    return f"{before.here} ({100 * (is_now / was - 1):+.0f} %)" if was and all(figures) else before.here


def _model() -> str:
    """What the board or the processor is called."""
    for file, mark in (("/sys/firmware/devicetree/base/model", ""), ("/proc/cpuinfo", "model name")):
        try:
            lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(mark):
                return line.rpartition(":")[2].strip("\0\n ")
    return platform.machine()
