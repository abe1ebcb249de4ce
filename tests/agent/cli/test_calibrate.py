"""`gatepost calibrate` against simulated thermometers on real pseudo-terminals."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent import cli, config
from agent.analysis import evaluation
from agent.cli.instrument import Instrument, Unsteady
from agent.ruleset import calibration_files
from agent.screening import Options, ReferenceCheck, ThermometerSite
from drivers.simulators.pty import Port
from drivers.simulators.uart_thermometers import GyMcu90615
from drivers.simulators.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
[kiosk]
id = "k1"
[runtime]
directory = "run"
[screening]
calibration = "site.toml"
[lanes.entry]
direction = "entry"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
thermometer = {{ driver = "gy_mcu", port = "{folder}/thermometer", baud = 115200 }}
gate = {{ driver = "simulated" }}
{room}
"""


class Board(GyMcu90615):
    """A quicker board that counts its frames."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.period_s = 0.02
        self.spoken = 0
        self.speaks = threading.Condition()

    def speak(self) -> bytes:
        with self.speaks:
            self.spoken += 1
            self.speaks.notify_all()
        return super().speak()

    def wait(self, frames: int) -> None:
        with self.speaks:
            wanted = self.spoken + frames
            assert self.speaks.wait_for(lambda: self.spoken >= wanted, timeout=120)


@dataclass
class Bench:
    """A lane's thermometer before a black body, or before people."""

    folder: Path
    world: World

    def calibrate(self, action: str, *words: str) -> int:
        given = ["--config", str(self.folder / "agent.toml"), "--lane", "entry", "--reference", "black body 7"]
        return cli.main(["calibrate", action, *given, *words])

    def black_body(self, action: str, reference_c: float) -> int:
        return self.calibrate(action, "--reference-c", str(reference_c), "--operator", "Li Wei")

    @property
    def site(self) -> ThermometerSite:
        return calibration_files.load_sites(self.folder / "site.toml")["entry"]

    def configure(self, room: str = "") -> None:
        (self.folder / "agent.toml").write_text(CONFIG.format(folder=self.folder, room=room))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    world = World(noise_c=0.02, seed=1)
    world.stand(37.0)
    with Port(tmp_path / "thermometer", Board(world)):
        made = Bench(tmp_path, world)
        made.configure()
        yield made


def test_zero_then_check_then_drift_then_zero_again(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.black_body("zero", 37.2) == 0
    assert bench.site.offset_c == pytest.approx(0.2, abs=0.03)
    assert bench.black_body("check", 37.2) == 0
    assert bench.site.check is not None
    assert not bench.site.check.drifted
    assert bench.site.check.operator == "Li Wei"
    assert bench.site.check.at_utc == pytest.approx(time.time(), abs=60)
    bench.world.stand(37.4)
    assert bench.black_body("check", 37.2) == 1
    assert "drifted" in capsys.readouterr().out
    assert bench.site.why_unusable(0.0, 0.0) == "drift"
    assert bench.black_body("zero", 37.2) == 0
    assert bench.site.why_unusable(0.0, 0.0) == ""
    assert bench.site.offset_c == pytest.approx(-0.2, abs=0.03)


def test_a_thermometer_that_is_far_off_goes_to_service(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.black_body("zero", 37.7) == 1
    assert "serviced" in capsys.readouterr().err
    assert not (bench.folder / "site.toml").exists()


def test_other_lanes_stay_as_they_are(bench: Bench) -> None:
    other = ThermometerSite(check=ReferenceCheck(0.1, 5.0, "black body 8", "Anna"))
    calibration_files.save_sites(bench.folder / "site.toml", {"exit": other})
    assert bench.black_body("check", 37.0) == 0
    assert calibration_files.load_sites(bench.folder / "site.toml")["exit"] == other


def test_people_are_measured_one_by_one_and_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = [34.0 + 0.05 * number for number in range(evaluation.LEAST_PEOPLE)]
    rows = [f"{n},entry,,{skin_c:.2f},22.5,{36.4 + 0.7 * (skin_c - 34):.2f}" for n, skin_c in enumerate(earlier)]
    (bench.folder / "site.people.csv").write_text("\n".join((",".join(evaluation.COLUMNS), *rows, "")))
    people = [34.2, 34.8]
    answers = iter(
        [word for skin_c in people for word in ("", "22,5", "warm", f"{36.4 + 0.7 * (skin_c - 34):.2f}")]
    )
    upcoming = iter(people)

    def answer(question: str) -> str:
        """The operator: the next person steps up when asked for, and leaves when all are done."""
        if question.startswith("Next"):
            skin_c = next(upcoming, None)
            if skin_c is None:
                return "q"
            bench.world.stand(skin_c)
        return next(answers)

    monkeypatch.setattr("builtins.input", answer)
    assert bench.calibrate("people") == 0
    model = bench.site.model
    assert model is not None
    assert model.people == len(earlier) + len(people), "those of earlier sessions count too"
    assert model.b == pytest.approx(0.7, abs=0.05)
    kept = (bench.folder / "site.people.csv").read_text().splitlines()
    assert len(kept) == 1 + model.people
    assert "should be a number from 0 to 60, for example 35.6 (°C)" in capsys.readouterr().out


def test_the_room_comes_from_its_sensor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.configure(f'room = {{ driver = "gy_mcu", port = "{bench.folder}/room", baud = 115200 }}')
    bench.world.stand(34.4)
    answers = iter(["", "36.8", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    with Port(bench.folder / "room", GyMcu90615(World(ambient_c=21.0, noise_c=0.02))):
        assert bench.calibrate("people") == 1, "one person is too few, but is kept"
    (kept,) = evaluation.parse((bench.folder / "site.people.csv").read_text().splitlines())
    assert kept.ambient_c == pytest.approx(21.0, abs=0.1)
    assert kept.reference_c == 36.8


def test_stopping_half_way_keeps_those_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.world.stand(34.4)
    answers = iter(["", "22.5", "36.8", "", "22.5"])

    def answer(_: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    assert bench.calibrate("people") == 1
    assert "those before are kept" in capsys.readouterr().err
    assert len((bench.folder / "site.people.csv").read_text().splitlines()) == 2


def test_people_from_a_file(bench: Bench) -> None:
    file = bench.folder / "people.csv"
    rows = [f"{n},entry,canthi,{34 + 0.02 * n:.2f},23.0,{36.4 + 0.014 * n:.2f}" for n in range(60)]
    file.write_text("\n".join((",".join(evaluation.COLUMNS), *rows, "0,other,canthi,20,23,42")))
    assert bench.calibrate("people", "--csv", str(file)) == 0
    assert bench.site.model is not None
    assert bench.site.model.people == 60


def test_without_the_device_the_remedy_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(tmp_path, World())
    bench.configure()
    assert bench.black_body("check", 37.0) == 1
    assert "entry/thermometer" in (said := capsys.readouterr().err)
    assert "no such port" in said


def test_wrong_lane_and_wrong_files(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.calibrate("check", "--lane", "attic", "--reference-c", "37", "--operator", "x") == 1
    assert "there are entry" in capsys.readouterr().err
    (bench.folder / "site.toml").write_text("lanes = 5")
    assert bench.black_body("check", 37.0) == 1
    assert "not a calibration file" in capsys.readouterr().err
    (bench.folder / "site.toml").unlink()
    assert bench.calibrate("people", "--csv", str(bench.folder / "none.csv")) == 1
    assert "none.csv is not there" in capsys.readouterr().err


def held(bench: Bench, lane: config.LaneConfig) -> Instrument:
    return Instrument("entry", lane, Options(), bench.folder)


def test_nothing_steady_is_said_within_the_limit(bench: Bench) -> None:
    bench.world.leave()
    lane = config.load(bench.folder / "agent.toml").lanes["entry"]
    with held(bench, lane) as thermometer, pytest.raises(Unsteady, match="hold still"):
        thermometer.surface_c(presence_c=30.0, limit_s=0.6)


def test_what_was_measured_before_the_question_does_not_count(tmp_path: Path) -> None:
    world = World(noise_c=0.02, seed=1)
    world.stand(34.0)
    board = Board(world)
    bench = Bench(tmp_path, world)
    bench.configure()
    lane = config.load(bench.folder / "agent.toml").lanes["entry"]
    with Port(tmp_path / "thermometer", board), held(bench, lane) as thermometer:
        board.wait(40)
        world.stand(37.0)
        assert thermometer.surface_c(presence_c=30.0) == pytest.approx(37.0, abs=0.1)


@pytest.mark.parametrize("action", ["zero", "check", "people"])
def test_a_lane_without_a_thermometer_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    file = tmp_path / "agent.toml"
    text = CONFIG.format(folder=tmp_path, room="")
    file.write_text("".join(line for line in text.splitlines(keepends=True) if "thermometer" not in line))
    more = [] if action == "people" else ["--reference-c", "36.5", "--operator", "li"]
    words = ["calibrate", action, "--lane", "entry", "--reference", "BB 7", "-c", str(file), *more]
    assert cli.main(words) == 1
    assert capsys.readouterr().err == "the lane entry has no thermometer: [lanes.entry.thermometer]\n"
