"""The site's file: what it says, what it may not say, and what follows for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Screening
from agent.ruleset import calibration_files
from agent.screening import BadCalibration, Baseline, Estimate, Options, ScreeningContext, ThermometerSite, screen
from agent.screening.calibration import MOST_DRIFT_C, Model, ReferenceCheck, Zero, parse, to_text
from drivers.contract import Reading

if TYPE_CHECKING:
    from pathlib import Path

MODEL = Model(
    a=14.0, b=0.66, c=-0.08, people=120, residual_sd_c=0.3, ambient_from_c=18.0, ambient_to_c=27.0,
    reference="oral thermometer 12345", date="2026-11-22",
)  # fmt: skip
ZERO = Zero(0.12, 1_790_000_000.0, "black body 7", "Li Wei")
CHECK = ReferenceCheck(-0.05, 1_790_000_000.0, "black body 7", "Li Wei")
HOUR_S = 3600.0


def look(surface_c: float, u_c: float = 0.3) -> list[Reading]:
    return [Reading(surface_c, 0.1 * i, u_c) for i in range(5)]


def test_the_file_says_what_was_found() -> None:
    sites = {"entry": ThermometerSite(MODEL, ZERO, CHECK), "side door": ThermometerSite(zero=ZERO)}
    assert parse(to_text(sites), "x") == sites


@given(
    st.builds(Zero, st.floats(-0.5, 0.5), st.floats(0, 1e11), st.text(max_size=30), st.text(max_size=30)),
    st.text(min_size=1, max_size=20),
)
def test_any_name_and_note_survives_the_file(zero: Zero, lane: str) -> None:
    assert parse(to_text({lane: ThermometerSite(zero=zero)}), "x") == {lane: ThermometerSite(zero=zero)}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("b = 0.66", "b = -0.66", "b is in 0"),
        ("b = 0.66", 'b = "high"', "lanes.entry.model.b: is of the wrong type"),
        ("b = 0.66", "b = nan", "is no number"),
        ("b = 0.66", "", "lanes.entry.model.b: is missing"),
        ("b = 0.66", "b = 0.66\nbody = 37.0", "unknown setting body"),
        ("b = 0.66", "b = 0.66\nlimit_c = 373.0", "limit_c is of a body in °C"),
        ("b = 0.66", "b = 0.66\nlimit_c = 99", "limit_c is of a body in °C"),
        ("ambient_to_c = 27.0", "ambient_to_c = 17.0", "must lie below"),
        ("a = 14.0", "a = 4.0", "of 36 °C of skin it makes 27.4 to 28.2 °C"),
        ("a = 14.0", "a = -14.0", "which is no body"),
        ("b = 0.66", "b = 0.066", "which is no body"),
        ("c = -0.08", "c = 0.8", "of 36 °C of skin it makes 33.8 to 41.0 °C"),
        ("offset_c = 0.12", "offset_c = 0.8", "is a fault of the thermometer"),
        ("[lanes", "[lanes\n", "is not a calibration file"),
        (".check]", ".chekc]", "has the sections"),
    ],
)
def test_a_slip_of_the_hand_is_refused(old: str, new: str, says: str) -> None:
    text = to_text({"entry": ThermometerSite(MODEL, ZERO, CHECK)})
    assert old in text
    with pytest.raises(BadCalibration, match=says) as error:
        parse(text.replace(old, new), "site.toml")
    assert str(error.value).startswith("site.toml: ")


def test_a_digit_that_has_changed_is_no_calibration() -> None:
    """By rot it would be another limit; who edits the file takes its digest off."""
    text = to_text({"entry": ThermometerSite(replace(MODEL, limit_c=37.3), ZERO, CHECK)})
    body, mark, digest = text.rpartition("# sha256 ")
    digits = [at for at, each in enumerate(body) if each.isdigit()]
    for at in digits:
        with pytest.raises(BadCalibration):
            parse(body[:at] + str(int(body[at]) ^ 1) + body[at + 1 :] + mark + digest, "x")
    edited = body.replace("limit_c = 37.3", "limit_c = 36.9")
    with pytest.raises(BadCalibration, match="take off its last line"):
        parse(edited + mark + digest, "x")
    assert parse(edited, "x")["entry"].model == replace(MODEL, limit_c=36.9)


def test_the_estimate_is_compared_on_its_own_scale() -> None:
    around = ScreeningContext(ThermometerSite(MODEL), ambient_c=23.0)
    normal, fever = (screen(look(surface_c), Options(), around) for surface_c in (34.4, 35.5))
    assert (normal.outcome, fever.outcome) == (Screening.NORMAL, Screening.ELEVATED)
    assert (fever.basis, fever.threshold_c, fever.estimate_c) == ("calibrated", 37.3, 37.43)
    assert fever.surface_c == 35.5
    assert fever.ambient_c == 23.0


def test_the_uncertainty_holds_sensor_scatter_and_residual() -> None:
    found = screen(look(34.4), Options(), ScreeningContext(ThermometerSite(MODEL), ambient_c=23.0))
    assert found.uncertainty_c == pytest.approx(((0.66 * 0.3) ** 2 + 0.6**2) ** 0.5, abs=0.01)


def test_a_limit_in_the_file_goes_before() -> None:
    around = ScreeningContext(ThermometerSite(replace(MODEL, limit_c=36.9)), ambient_c=23.0)
    assert screen(look(34.9), Options(), around).outcome is Screening.ELEVATED


@pytest.mark.parametrize(
    ("ambient_c", "why"),
    [(None, "room_unknown"), (17.9, "room_outside_calibration"), (31.0, "room_outside_calibration")],
)
def test_without_a_room_that_it_knows_nothing_is_said(ambient_c: float | None, why: str) -> None:
    found = screen(look(34.4), Options(), ScreeningContext(ThermometerSite(MODEL), ambient_c=ambient_c))
    assert (found.outcome, found.reason, found.estimate_c) == (Screening.INDETERMINATE, why, None)


def test_the_warm_room_lowers_the_estimate() -> None:
    cold, warm = (
        screen(look(35.3), Options(), ScreeningContext(ThermometerSite(MODEL), ambient_c=c)) for c in (20.0, 26.0)
    )
    assert (cold.outcome, warm.outcome) == (Screening.ELEVATED, Screening.NORMAL)


def test_the_zero_is_added_first() -> None:
    found = screen(look(35.5), Options(), ScreeningContext(ThermometerSite(zero=ZERO)))
    assert (found.surface_c, found.outcome) == (35.62, Screening.ELEVATED)


@pytest.mark.parametrize("surface_c", [20.0, 34.4, 36.8])
def test_after_a_drift_nothing_is_measured(surface_c: float) -> None:
    drifted = ThermometerSite(check=replace(CHECK, error_c=MOST_DRIFT_C + 0.01))
    found = screen(look(surface_c), Options(), ScreeningContext(drifted))
    assert (found.outcome, found.reason, found.surface_c) == (Screening.DEVICE_FAULT, "drift", None)


@pytest.mark.parametrize(
    ("site", "age_h", "overdue"),
    [
        (ThermometerSite(check=CHECK), 23.0, False),
        (ThermometerSite(check=CHECK), 25.0, True),
        (ThermometerSite(), 0.0, True),
        (ThermometerSite(check=CHECK), -1000.0, True),
    ],
)
def test_a_check_that_is_demanded_must_be_recent(site: ThermometerSite, age_h: float, overdue: bool) -> None:
    around = ScreeningContext(site, now_hi_utc=CHECK.at_utc + age_h * HOUR_S)
    found = screen(look(34.4), Options(check_hours=24.0), around)
    assert (found.reason == "check_overdue") is overdue
    assert (found.outcome is Screening.DEVICE_FAULT) is overdue


def test_with_a_clock_that_knows_no_upper_bound_the_check_is_overdue() -> None:
    assert (
        screen(look(34.4), Options(check_hours=24.0), ScreeningContext(ThermometerSite(check=CHECK))).reason
        == "check_overdue"
    )


def test_cold_skin_is_never_normal_on_any_scale() -> None:
    baseline = Baseline()
    for _ in range(60):
        baseline = baseline.after(31.0, 23.0, baseline.seen_utc + 20, Options())
    for around in (
        ScreeningContext(),
        ScreeningContext(ThermometerSite(MODEL), ambient_c=23.0),
        ScreeningContext(baseline=baseline, ambient_c=23.0),
    ):
        found = screen(look(31.0), Options(), around)
        assert (found.outcome, found.reason) == (Screening.INDETERMINATE, "cold_skin")


def test_a_certain_fever_is_elevated_whatever_the_baseline_says() -> None:
    baseline = Baseline()
    for _ in range(60):
        baseline = baseline.after(38.6, 23.0, baseline.seen_utc + 20, Options())
    assert (
        screen(look(38.5), Options(), ScreeningContext(baseline=baseline, ambient_c=23.0)).outcome
        is Screening.ELEVATED
    )


def test_the_baseline_is_asked_only_when_it_is_known() -> None:
    baseline = Baseline()
    scales = []
    for number in range(40):
        baseline = baseline.after(34.0 + 0.1 * (number % 8), 23.0, baseline.seen_utc + 20, Options())
        scales.append(screen(look(35.5), Options(), ScreeningContext(baseline=baseline, ambient_c=23.0)))
    assert [found.basis for found in scales] == ["fixed"] * 29 + ["population"] * 11
    assert scales[0].outcome is Screening.NORMAL
    assert scales[-1].outcome is Screening.ELEVATED
    assert scales[-1].uncertainty_c is not None
    assert scales[-1].uncertainty_c > 0.3
    off = screen(look(35.5), Options(baseline=False), ScreeningContext(baseline=baseline, ambient_c=23.0))
    assert off.basis == "fixed"


def test_peak_parts_give_the_hot_end_of_a_look() -> None:
    samples = [Reading(surface_c, 0.1 * i, 0.3) for i, surface_c in enumerate((34.2, 34.6, 34.3, 34.5, 34.4, 34.3))]
    assert screen(samples, Options()).surface_c == 34.35
    assert screen(samples, Options(estimate=Estimate.PEAK)).surface_c == 34.5


def test_the_files_on_disk(tmp_path: Path) -> None:
    assert calibration_files.load_sites(None) == {}
    with pytest.raises(BadCalibration, match="gatepost calibrate"):
        calibration_files.load_sites(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadCalibration, match="not UTF-8"):
        calibration_files.load_sites(tmp_path / "bytes.toml")
    calibration_files.save_sites(tmp_path / "site.toml", {"entry": ThermometerSite(MODEL)})
    assert calibration_files.load_sites(tmp_path / "site.toml") == {"entry": ThermometerSite(MODEL)}


def test_the_baseline_is_kept_and_a_broken_file_costs_patience_only(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    baselines = {"entry": Baseline().after(34.4, 23.0, 1000.0, Options())}
    keeper = calibration_files.BaselineSaver(file, lambda: baselines)
    keeper.save_if_changed()
    assert not file.exists(), "nothing new, nothing written"
    baselines["entry"] = baselines["entry"].after(34.6, 23.0, 1020.0, Options())
    keeper.save_if_changed()
    assert calibration_files.load_baselines(file, Options()) == baselines
    assert b"34.6" not in file.read_bytes(), "sums, not people"
    whole = file.read_text()
    digits = [at for at, each in enumerate(whole) if each in "0123456789"]
    rotten = [whole[:at] + chr(ord(whole[at]) ^ 1) + whole[at + 1 :] for at in digits]
    for junk in ("", "[]", '{"entry": {}}', '{"entry": 5}', "[" * 100_000, *rotten):
        file.write_text(junk)
        assert calibration_files.load_baselines(file, Options()) == {}
    assert calibration_files.load_baselines(tmp_path / "none", Options()) == {}


def test_a_baseline_that_cannot_be_kept_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    baselines: dict[str, Baseline] = {}
    (tmp_path / "none").write_text("in the way")
    keeper = calibration_files.BaselineSaver(tmp_path / "none" / "baseline.json", lambda: baselines)
    baselines["entry"] = Baseline().after(34.4, 23.0, 1000.0, Options())
    keeper.save_if_changed()
    keeper.save_if_changed()
    assert caplog.text.count("cannot be kept") == 1
