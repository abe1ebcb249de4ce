"""`gatepost screening`: plain words, intervals, a plot, and a calibration file."""

from __future__ import annotations

import csv
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from agent import cli
from agent.analysis import evaluation
from agent.ruleset import calibration_files
from agent.screening import Options
from tests.command_line import gatepost

FEVER_DATA = Path(__file__).parents[4] / "shared" / "data" / "fever" / "FLIR_group1.csv"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 people of a lane, one in ten with a fever."""
    chance = random.Random(4)
    file = tmp_path_factory.mktemp("lane") / "people.csv"
    with file.open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(evaluation.COLUMNS)
        for number in range(400):
            body_c = 38.8 if number % 10 == 0 else 36.8
            skin_c = 34.4 + 0.7 * (body_c - 36.8) + chance.gauss(0, 0.3)
            table.writerow([number * 20, "entry", "canthi", round(skin_c, 2), 23 + number % 3, body_c])
    return file


@pytest.fixture(scope="module")
def fitted(people: Path) -> tuple[str, Path]:
    """What `fit` prints of them, and the calibration that it has written: their limit is drawn 500 times."""
    file = people.with_name("site.toml")
    done = gatepost("screening", "fit", people, "--calibration", file, "--reference", "oral 7")
    assert done.returncode == 0
    return done.stdout, file


def test_fit_says_what_the_limit_finds_on_others(fitted: tuple[str, Path]) -> None:
    told, _ = fitted
    assert "400 people, 40 with 38.0 °C or more" in told
    assert "not a diagnosis" in told
    assert "tried on the other" in told
    assert "found 40 of 40 fevers: 100% (91% … 100%)" in told
    assert "expect 0% … 9% of fevers to pass unseen" in told
    assert "when 1.0% have one" in told


def test_fit_writes_a_calibration_that_the_agent_reads(people: Path, fitted: tuple[str, Path]) -> None:
    _, file = fitted
    assert cli.main(["screening", "fit", str(people), "--calibration", str(file), "--reference", "oral 7"]) == 0
    site = calibration_files.load_sites(file)["entry"]
    assert site.model is not None
    assert site.model.reference == "oral 7"
    assert site.model.people == 400
    assert site.model.limit_c is not None
    assert 36.8 < site.model.limit_c < 38.5


def test_evaluate_tries_each_scale(
    people: Path, fitted: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, file = fitted
    assert cli.main(["screening", "evaluate", str(people), "--limit", "35.2", "--calibration", str(file)]) == 0
    told = capsys.readouterr().out
    assert "fixed limit on the skin, 35.2 °C" in told
    assert "people before it was known)" in told
    assert "(0 people outside it)" in told
    assert told.count("found ") == 3


def test_the_plot_is_a_picture(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "plot.svg"
    assert cli.main(["screening", "evaluate", str(people), "--svg", str(file)]) == 0
    root = ET.parse(file).getroot()  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    assert len(root) > 100


def test_a_small_file_is_told_so(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "small.csv"
    small.write_text("".join(people.read_text().splitlines(keepends=True)[:12]))
    assert cli.main(["screening", "evaluate", str(small)]) == 0
    assert "baseline: never known among these 11 people" in capsys.readouterr().out
    assert cli.main(["screening", "fit", str(small)]) == 1
    assert "too few" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "line 1: no column time"),
        (",".join(evaluation.COLUMNS) + "\n", "no people"),
        (",".join(evaluation.COLUMNS) + "\n0,entry,x,warm,23,37\n", "line 2"),
    ],
)
def test_a_wrong_file_is_one_sentence(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(text)
    assert cli.main(["screening", "evaluate", str(file)]) == 1
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    broken = tmp_path / "broken.toml"
    broken.write_text("[lanes.entry.model]\nb = 1")
    for words in (
        ["fit", str(tmp_path / "none.csv")],
        ["fit", str(tmp_path / "bytes.csv")],
        ["fit", str(people), "--site", "forehead"],
        ["evaluate", str(people), "--calibration", str(broken)],
    ):
        assert cli.main(["screening", *words]) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_two_sites_of_one_lane_are_not_mixed(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both.csv"
    both.write_text(people.read_text() + people.read_text().split("\n", 1)[1].replace("canthi", "forehead"))
    assert cli.main(["screening", "fit", str(both), "--calibration", "unused.toml"]) == 1
    assert "--site" in capsys.readouterr().err


@pytest.mark.skipif(not FEVER_DATA.exists(), reason="the fever data set is not beside this checkout")
def test_on_real_people_the_baseline_finds_most_fevers_at_few_false_alarms() -> None:
    with FEVER_DATA.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    tables = [dict(zip(rows[2], row, strict=False)) for row in rows[3:]]
    found = [
        evaluation.MeasuredPerson(
            20.0 * n, "entry", "canthi", float(t["canthiMax1"]), float(t["T_atm"]), float(t["aveOralM"])
        )
        for n, t in enumerate(tables)
        if t["canthiMax1"] and t["canthiMax1"] != "nan"
    ]
    assert len(found) > 500
    options = Options(threshold_c=36.3)
    flags = evaluation.flags_of_baseline(found, options)
    judged = [(person, flag) for person, flag in zip(found, flags, strict=True) if flag is not None]
    score = evaluation.count([person for person, _ in judged], [flag for _, flag in judged])
    assert score.sensitivity > 0.9
    assert score.specificity > 0.9
