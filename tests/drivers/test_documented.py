"""README and the page on devices list every driver and no other, with the bus and the proof that it names."""

import re
from pathlib import Path

import pytest

from agent.indicators import FAST, PATTERNS, SLOW, STEADY, TWICE, WINKING
from agent.texts import CATALOGUE
from drivers import registry
from drivers.contract import Proof

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "devices.md").read_text()
SECTIONS = {"thermometers": "Thermometers", "scanners": "Scanners", "ranging": "Ranging", "outputs": "Gates",
            "inputs": "Buttons",
            "positioning": "Positioning"}  # fmt: skip
MODULES = {(kind, name): registry.load(kind, name) for kind in registry.KINDS for name in registry.names(kind)}
PUBLISHED = (ROOT / "tests" / "drivers" / "test_vectors.py").read_text()
"""The golden vectors, each with the driver that is held against it."""
ELSEWHERE = {
    "em4100": "scanners/test_cards.py",
    "id_card": "scanners/test_cards.py",
    "keyboard": "scanners/test_keyboard.py",
    "nmea0183": "positioning/test_nmea0183.py",
    "pn532": "scanners/test_cards.py",
    "mlx90640": "thermometers/test_mlx90640.py",
    "modbus_ir": "thermometers/test_modbus_ir.py",
    "modbus_relay": "outputs/test_modbus_relay.py",
    "serial_relay": "outputs/test_serial_relay.py",
}
"""Whose published frames are in their own tests."""


def rows(text):
    """The cells of every row that begins with a name in backticks."""
    cells = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_readme_lists_them_as_they_are():
    section = README.split("## What it drives")[1].split("\n## ")[0]
    there = {f"{kind}/{name}": [module.BUS, str(module.PROOF)] for (kind, name), module in MODULES.items()}
    assert rows(section) == there


@pytest.mark.parametrize("kind", registry.KINDS)
def test_the_page_lists_them_as_they_are(kind):
    section = PAGE.split(f"## {SECTIONS[kind]}")[1].split("\n## ")[0]
    told = {name: (cells[1], cells[-1]) for name, cells in rows(section).items()}
    assert told == {name: (module.BUS, str(module.PROOF)) for (at, name), module in MODULES.items() if at == kind}


@pytest.mark.parametrize("proof", list(Proof))
def test_readme_says_what_each_proof_is(proof):
    assert f"`{proof}`: " in README


@pytest.mark.parametrize(
    "name", [name for (_, name), m in MODULES.items() if m.PROOF in (Proof.DOCUMENT, Proof.COMPUTED)]
)
def test_who_claims_frames_is_held_against_them(name):
    where = ELSEWHERE.get(name)
    text = PUBLISHED if where is None else (ROOT / "tests" / "drivers" / where).read_text()
    assert re.search(rf"\b{name}\b", text)


PLACES = {"red": "top", "amber": "middle", "green": "bottom"}
RHYTHMS = {
    STEADY: "| steady |",
    SLOW: "| slow |",
    FAST: "| fast |",
    TWICE: "| two and a pause |",
    WINKING: "| winking |",
}
SOUNDS = {
    (): "| |",
    (0.2,): "one short",
    (0.6,): "one long",
    (0.2, 0.2): "two short",
    (0.2, 0.6): "short, long",
    (0.6, 0.6, 0.6): "three long",
}


def test_the_page_tells_what_every_cue_means():
    lines = PAGE.splitlines()
    for cue, (english, chinese) in CATALOGUE["cue"].items():
        (line,) = [line for line in lines if line.endswith(f"| {english} | {chinese} |")]
        assert all(PLACES[light] in line for light in PATTERNS[cue].lights)
        assert RHYTHMS[PATTERNS[cue].rhythm] in line
        assert SOUNDS[PATTERNS[cue].sound[::2]] in line
