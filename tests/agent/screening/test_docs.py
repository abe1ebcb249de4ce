"""What docs/screening.md tells is so."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from agent import checkpoint, config
from agent.analysis import evaluation
from agent.model import Screening
from agent.screening import Options
from agent.screening.calibration import MOST_DRIFT_C, MOST_ZERO_C

TEXT = (Path(__file__).parents[3] / "docs" / "screening.md").read_text(encoding="utf-8")


def test_every_outcome_is_explained() -> None:
    assert all(f"| `{outcome}` |" in TEXT for outcome in Screening)


def test_the_settings_it_names_are_there() -> None:
    owners = (Options, checkpoint.Options)
    fields = {entry.name: entry.default for owner in owners for entry in dataclasses.fields(owner)}
    settings = set(re.findall(r"`(\w+_(?:c|s|hours|people|flagged|file|mm))`", TEXT))
    assert settings - set(fields) == {"surface_c", "estimate_c", "uncertainty_c"}
    assert (fields["baseline_people"], fields["calibrated_threshold_c"], fields["threshold_c"]) == (30, 37.3, 35.6)
    assert (MOST_ZERO_C, MOST_DRIFT_C) == (0.5, 0.3)
    assert ", ".join(evaluation.COLUMNS) in TEXT


def test_the_section_of_the_room_is_right() -> None:
    (section,) = re.findall(r"(?:^    .*\n)+", TEXT.split("## The room")[1].split("## ")[0], re.MULTILINE)
    lane = '[lanes.entry]\ndirection = "entry"\n' + "".join(
        f"[lanes.entry.{part}]\n{text}\n"
        for part, text in {
            "scanner": 'driver = "line"\nport = "a"',
            "thermometer": 'driver = "gy_mcu"\nport = "b"',
            "gate": 'driver = "simulated"',
        }.items()
    )
    text = '[kiosk]\nid = "k"\n' + lane + re.sub(r"^    ", "", section, flags=re.MULTILINE)
    assert config.parse(text, Path("agent.toml")).lanes["entry"].room is not None
