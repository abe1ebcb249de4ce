"""`gatepost calibrate`: calibrate one lane's thermometer against a reference. The agent may run: meanwhile it
sends the people of that lane to staff.

`people`: the calibrated scale, from people measured here and with a reference thermometer, one by one or from a CSV
file. `zero`: the thermometer against a black body, up to 0.5 °C. `check`: the daily check against that black body;
if it is 0.3 °C off, the lane measures nobody until it is zeroed. A result is in force within a second.

    sudo gatepost calibrate check --lane entry --reference-c 36.5 --reference "BB 7, 2026-03" --operator li
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.analysis import evaluation
from agent.cli import configuration, given
from agent.cli.help import fever_c, share, skin_c
from agent.cli.instrument import Instrument, Lost, Unsteady
from agent.cli.running import RequestRefused
from agent.platform import access
from agent.platform.files import open_to_append
from agent.ruleset import calibration_files
from agent.screening import BadCalibration, ThermometerSite
from agent.screening.calibration import MOST_DRIFT_C, MOST_ZERO_C, ReferenceCheck, Zero

if TYPE_CHECKING:
    from agent.config import Config

DEFAULT_FILE = "calibration.toml"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `calibrate`."""
    parser = subparsers.add_parser("calibrate", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    people = actions.add_parser("people", help="the calibrated scale, from people")
    people.add_argument("--csv", type=Path, help="people already measured (columns as for `screening`)")
    people.add_argument("--specificity", type=share, default=evaluation.SPECIFICITY, help="(default: %(default)s)")
    people.add_argument("--fever", type=fever_c, default=evaluation.FEVER_C, help="fever by the reference, °C (38)")
    zero = actions.add_parser("zero", help="set the zero against a black body")
    check = actions.add_parser("check", help="the daily check against the black body")
    for action in (zero, check):
        action.add_argument("--reference-c", type=skin_c, required=True, help="temperature of the black body, °C")
        action.add_argument("--operator", required=True, help="who does it; written into the file")
    for action in (people, zero, check):
        configuration.add_argument(action)
        action.add_argument("--lane", required=True, help="lane whose thermometer it is")
        action.add_argument("--reference", required=True, help="the instrument: kind, serial number, certificate")
        action.add_argument("--file", type=Path, help="calibration file (default: the configuration's)")


def run(args: argparse.Namespace) -> int:
    """0 when done; 1 with one sentence on standard error, also when a check finds a drift."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    if args.lane not in config.lanes:
        print(f"no lane {args.lane}; there are {', '.join(config.lanes)}", file=sys.stderr)
        return 1
    if getattr(args, "csv", None) is None and config.lanes[args.lane].thermometer is None:
        print(f"the lane {args.lane} has no thermometer: [lanes.{args.lane}.thermometer]", file=sys.stderr)
        return 1
    file = args.file or config.screening.calibration or args.config.parent / DEFAULT_FILE
    try:
        sites = calibration_files.load_sites(file) if file.exists() else {}
        site = sites.get(args.lane, ThermometerSite())
        site = {"people": _people, "zero": _zero, "check": _check}[args.action](args, config, site, file)
        calibration_files.save_sites(file, {**sites, args.lane: site})
    except (BadCalibration, evaluation.BadStudy, Unsteady, Lost, RequestRefused) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(access.why(error), file=sys.stderr)
    else:
        named = config.screening.calibration is not None and file == config.screening.calibration
        print(f"{file}: written" + ("" if named else f'; name it in [screening]: calibration = "{file}"'))
        return 1 if args.action == "check" and site.check is not None and site.check.drifted else 0
    return 1


def _zero(args: argparse.Namespace, config: Config, site: ThermometerSite, _file: Path) -> ThermometerSite:
    """The offset that brings the thermometer to the reference; the check starts over."""
    surface_c = _of_black_body(args, config)
    offset_c = round(args.reference_c - surface_c, 2)
    print(f"{args.lane}: measured {surface_c:.2f} °C, reference {args.reference_c:.2f} °C: zero {offset_c:+.2f} °C")
    if abs(offset_c) > MOST_ZERO_C:
        raise BadCalibration(f"more than {MOST_ZERO_C} °C is a fault: clean the window, then have it serviced")
    now_utc = time.time()
    return replace(
        site,
        zero=Zero(offset_c, now_utc, args.reference, args.operator),
        check=ReferenceCheck(0.0, now_utc, args.reference, args.operator),
    )


def _check(args: argparse.Namespace, config: Config, site: ThermometerSite, _file: Path) -> ThermometerSite:
    """How far off the thermometer is today, its zero counted in."""
    surface_c = _of_black_body(args, config) + site.offset_c
    check = ReferenceCheck(round(surface_c - args.reference_c, 2), time.time(), args.reference, args.operator)
    print(f"{args.lane}: {surface_c:.2f} °C, reference {args.reference_c:.2f} °C: off by {check.error_c:+.2f} °C")
    if check.drifted:
        print(
            f"drifted by more than {MOST_DRIFT_C} °C: no temperatures on this lane until `gatepost calibrate zero`"
        )
    return replace(site, check=check)


def _of_black_body(args: argparse.Namespace, config: Config) -> float:
    """What the thermometer says of the black body before it."""
    with _instrument(args.lane, config) as thermometer:
        _wait_for(f"Put the black body at {args.reference_c:.1f} °C before the thermometer of {args.lane}, Enter: ")
        return thermometer.surface_c(presence_c=-50.0)


def _people(args: argparse.Namespace, config: Config, site: ThermometerSite, file: Path) -> ThermometerSite:
    """The calibrated scale."""
    if args.csv is not None:
        try:
            rows = io.StringIO(given.text(args.csv), newline="")
            people = [person for person in evaluation.parse(rows) if person.lane == args.lane]
        except (evaluation.BadStudy, ValueError) as error:
            named = "" if isinstance(error, ValueError) else f"{args.csv}: "
            raise evaluation.BadStudy(f"{named}{error}") from None
    else:
        people = _measured(args, config, site, file.with_suffix(".people.csv"))
    model = evaluation.fit(
        people,
        fever_c=args.fever,
        specificity=args.specificity,
        reference=args.reference,
        date=time.strftime("%Y-%m-%d"),
    )
    print(
        f"{args.lane}: {model.people} people, estimate within ± {2 * model.residual_sd_c:.1f} °C, limit "
        f"{model.limit_c:.2f} °C, valid in rooms of {model.ambient_from_c} to {model.ambient_to_c} °C"
    )
    return replace(site, model=model)


def _measured(
    args: argparse.Namespace, config: Config, site: ThermometerSite, keep: Path
) -> list[evaluation.MeasuredPerson]:
    """People, one by one; each is kept in a CSV file at once, and those of earlier sessions count too."""
    with open_to_append(keep) as lines:
        if lines.tell() == 0:
            lines.write(",".join(evaluation.COLUMNS) + "\n")
    print(
        f"At least {evaluation.LEAST_PEOPLE} people, at all the room temperatures of a day; all are kept in {keep}."
    )
    with _instrument(args.lane, config) as thermometer:
        while _answer("Next person before the thermometer, Enter (q: enough): ") != "q":
            try:
                surface_c = thermometer.surface_c(presence_c=config.screening.presence_c) + site.offset_c
            except Unsteady as error:
                print(error)
                continue
            ambient_c = _room_c(thermometer)
            reference_c = _number(
                f"  skin {surface_c:.2f} °C, room {ambient_c:.1f} °C. Reference thermometer, °C: "
            )
            with open_to_append(keep) as lines:
                person = (round(time.time()), args.lane, "", round(surface_c, 2), round(ambient_c, 2), reference_c)
                csv.writer(lines).writerow(person)
    with open_to_append(keep) as lines:
        lines.seek(0)
        return [person for person in evaluation.parse(lines) if person.lane == args.lane]


def _instrument(lane: str, config: Config) -> Instrument:
    return Instrument(lane, config.lanes[lane], config.screening, config.runtime.directory)


def _room_c(thermometer: Instrument) -> float:
    """From the lane's sensor of the room, or as the operator reads it."""
    ambient_c = thermometer.room_c()
    return _number("  room, °C: ") if ambient_c is None else ambient_c


def _number(question: str) -> float:
    while True:
        answer = _answer(question).replace(",", ".")
        if answer == "q":
            raise evaluation.BadStudy("stopped before this person was complete; those before are kept")
        try:
            return float(skin_c(answer))
        except argparse.ArgumentTypeError as error:
            print(f"  {error} (°C)")


def _wait_for(question: str) -> None:
    if sys.stdin.isatty():
        _answer(question)


def _answer(question: str) -> str:
    """One line from the operator; the end of the input means enough."""
    try:
        return input(question).strip()
    except EOFError:
        return "q"
