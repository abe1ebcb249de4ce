"""`gatepost screening`: how many fevers a limit finds and misses, from people with a reference temperature.

`fit` chooses a limit for a specificity and tries it on people it was not chosen on; `evaluate` tries the limits of
the skin, of the baseline and of a calibration. The file is CSV with the columns time, lane, site, surface_c,
ambient_c, reference_c; ambient_c may be empty.

    gatepost screening evaluate people.csv
    gatepost screening fit people.csv --specificity 0.95 --svg limits.svg
"""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.analysis import evaluation
from agent.cli import given
from agent.cli.help import fever_c, share, skin_c
from agent.cli.screening_plot import strips, svg
from agent.ruleset import calibration_files
from agent.screening import BadCalibration, Options, ThermometerSite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from agent.screening.calibration import Model

_PREVALENCES = (0.002, 0.01, 0.05)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `screening`."""
    parser = subparsers.add_parser("screening", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fit = actions.add_parser("fit", help="choose a limit for a specificity, and try it on the other half")
    fit.add_argument("--specificity", type=share, default=evaluation.SPECIFICITY, help="(default: %(default)s)")
    fit.add_argument("--calibration", type=Path, help="calibration file to write the result into")
    fit.add_argument("--reference", default="reference thermometer", help="the instrument, for the file")
    evaluate = actions.add_parser("evaluate", help="try the limits of the baseline, of the skin, of a calibration")
    evaluate.add_argument("--limit", type=skin_c, help="fixed limit on the skin, °C (default: the configuration's)")
    evaluate.add_argument("--calibration", type=Path, help="calibration file to try")
    for action in (fit, evaluate):
        action.add_argument("file", type=Path, help="CSV of people")
        action.add_argument("--site", help="only this site of the face")
        action.add_argument(
            "--fever", type=fever_c, default=evaluation.FEVER_C, help="fever by the reference, °C (38.0)"
        )
        action.add_argument("--svg", type=Path, help="write the plot into this file as well")


def run(args: argparse.Namespace) -> int:
    """0 when the figures could be told; 1 with one sentence on standard error."""
    try:
        chosen = _people(args.file, args.site)
        told = _fit(chosen, args) if args.action == "fit" else _evaluate(chosen, args)
        print("\n".join(told))
    except evaluation.BadStudy as error:
        print(f"{args.file}: {error}", file=sys.stderr)
    except (BadCalibration, ValueError) as error:
        print(error, file=sys.stderr)
    else:
        return 0
    return 1


def _people(file: Path, site: str | None) -> list[evaluation.MeasuredPerson]:
    rows = io.StringIO(given.text(file), newline="")
    people = [person for person in evaluation.parse(rows) if site in (None, person.site)]
    if not people:
        raise evaluation.BadStudy("no people" if site is None else f"no people with site {site}")
    return people


@dataclass(frozen=True, slots=True)
class _Tried:
    """One rule, tried."""

    name: str
    people: Sequence[evaluation.MeasuredPerson]
    flags: Sequence[bool]


def _fit(people: Sequence[evaluation.MeasuredPerson], args: argparse.Namespace) -> Iterator[str]:
    """One model per lane and site, each tried on the half it was not chosen on."""
    yield from _heading(people, args)
    groups = list(_groups(people))
    if (args.calibration or args.svg) and len(groups) > len({lane for (lane, _), _ in groups}):
        raise evaluation.BadStudy("a lane was measured at several sites of the face: say which with --site")
    models = {}
    for (lane, site), group in groups:
        models[lane] = model = evaluation.fit(
            group,
            fever_c=args.fever,
            specificity=args.specificity,
            reference=args.reference,
            date=time.strftime("%Y-%m-%d"),
        )
        yield f"\n{' · '.join(part for part in (lane, site) if part) or 'all'}: {len(group)} people"
        yield from _describe_model(group, model, args)
    if args.calibration is not None:
        sites = calibration_files.load_sites(args.calibration) if args.calibration.exists() else {}
        sites.update(
            {lane: replace(sites.get(lane, ThermometerSite()), model=model) for lane, model in models.items()}
        )
        calibration_files.save_sites(args.calibration, sites)
        yield f"\n{args.calibration}: written; name it as `calibration` in [screening]"


def _describe_model(
    group: Sequence[evaluation.MeasuredPerson], model: Model, args: argparse.Namespace
) -> Iterator[str]:
    """The model, and how its limit fares."""
    limit_c = model.limit_c or 0.0
    low_c, high_c = evaluation.bootstrap(group, lambda drawn: _limit_c(drawn, model, args))
    yield f"  estimate = {model.a:.2f} + {model.b:.3f} · skin {model.c:+.3f} · (room - 23)"
    rooms = f"{model.ambient_from_c} to {model.ambient_to_c} °C"
    yield f"  within ± {2 * model.residual_sd_c:.1f} °C (k = 2); valid in rooms of {rooms}"
    yield f"  limit on that scale {limit_c:.2f} °C ({low_c:.2f} … {high_c:.2f}),"
    yield f"  chosen so that {args.specificity:.0%} of those without fever pass"
    if sum(person.reference_c >= args.fever for person in group) < evaluation.LEAST_FEVERS:
        yield "  too few fevers to say how many it finds"
        return
    scores = evaluation.cross_validated(group, fever_c=args.fever, specificity=args.specificity)
    sensitivity, specificity = evaluation.mean(scores)
    yield f"  chosen on one half, tried on the other ({evaluation.SPLITS} random splits):"
    yield f"    finds {sensitivity:.0%} of the fevers, passes {specificity:.1%} of the others"
    yield "  all people, tried on themselves (flattering):"
    yield from _figures(_Tried("", group, evaluation.flags_of_model(group, model, limit_c)), args.fever)
    yield from _plot(group, evaluation.estimates(group, model), limit_c, args)


def _limit_c(people: Sequence[evaluation.MeasuredPerson], model: Model, args: argparse.Namespace) -> float:
    """The limit that these people would have given."""
    return evaluation.limit_on(
        people, evaluation.estimates(people, model), fever_c=args.fever, specificity=args.specificity
    )


def _evaluate(people: Sequence[evaluation.MeasuredPerson], args: argparse.Namespace) -> Iterator[str]:
    options = Options()
    limit_c = options.threshold_c if args.limit is None else args.limit
    yield from _heading(people, args)
    tried = [_Tried(f"fixed limit on the skin, {limit_c:.1f} °C", people, [p.surface_c >= limit_c for p in people])]
    flags = evaluation.flags_of_baseline(people, options)
    judged = [(person, flag) for person, flag in zip(people, flags, strict=True) if flag is not None]
    unjudged = len(people) - len(judged)
    if judged:
        tried.append(_Tried(f"baseline ({unjudged} people before it was known)", *zip(*judged, strict=True)))
    else:
        yield f"\nbaseline: never known among these {len(people)} people; the skin limit stands in for it"
    if args.calibration is not None:
        tried.append(_calibrated(people, args.calibration, options))
    for one in tried:
        yield f"\n{one.name}"
        yield from _figures(one, args.fever)
    yield from _plot(people, [person.surface_c for person in people], limit_c, args)


def _calibrated(people: Sequence[evaluation.MeasuredPerson], file: Path, options: Options) -> _Tried:
    """The file's model of each lane; lanes without one, and rooms outside its window, are left out."""
    sites = calibration_files.load_sites(file)
    judged, flags = [], []
    for person in people:
        model = sites.get(person.lane, ThermometerSite()).model
        if model is None or (person.ambient_c is not None and not model.covers(person.ambient_c)):
            continue
        limit_c = options.calibrated_threshold_c if model.limit_c is None else model.limit_c
        judged.append(person)
        flags += evaluation.flags_of_model([person], model, limit_c)
    return _Tried(f"calibration {file} ({len(people) - len(judged)} people outside it)", judged, flags)


def _heading(people: Sequence[evaluation.MeasuredPerson], args: argparse.Namespace) -> Iterator[str]:
    fevers = sum(person.reference_c >= args.fever for person in people)
    yield f"{args.file}: {len(people)} people, {fevers} with {args.fever:.1f} °C or more by the reference."
    yield "Screening is not a diagnosis: each figure is followed by its 95 % confidence interval."


def _figures(tried: _Tried, fever_c: float) -> Iterator[str]:
    """What was found and missed, in words."""
    score = evaluation.count(tried.people, tried.flags, fever_c)
    fevers, others = score.found + score.missed, score.passed + score.false_alarms
    found, passed = evaluation.wilson(score.found, fevers), evaluation.wilson(score.passed, others)
    if fevers:
        share = f"{score.sensitivity:.0%} ({found[0]:.0%} … {found[1]:.0%})"
        yield f"    found {score.found} of {fevers} fevers: {share}"
        yield f"    missed {score.missed}: expect {1 - found[1]:.0%} … {1 - found[0]:.0%} of fevers to pass unseen"
    if others:
        share = f"{score.specificity:.1%} ({passed[0]:.1%} … {passed[1]:.1%})"
        yield f"    passed {score.passed} of {others} others: {share}; {score.false_alarms} false alarms"
    if fevers and others:
        rates = ", ".join(
            f"{score.predictive(prevalence):.0%} when {prevalence:.1%} have one" for prevalence in _PREVALENCES
        )
        yield f"    of those flagged, this share has a fever: {rates}"


def _plot(
    people: Sequence[evaluation.MeasuredPerson], values: Sequence[float], limit_c: float, args: argparse.Namespace
) -> Iterator[str]:
    """On the terminal, and into a file if one is named."""
    sick = [value for person, value in zip(people, values, strict=True) if person.reference_c >= args.fever]
    well = [value for person, value in zip(people, values, strict=True) if person.reference_c < args.fever]
    yield ""
    yield from strips(well, sick, limit_c)
    if args.svg is not None:
        args.svg.write_text(svg(well, sick, limit_c, args.fever), encoding="utf-8")
        yield f"\n{args.svg}: plot"


def _groups(
    people: Sequence[evaluation.MeasuredPerson],
) -> Iterator[tuple[tuple[str, str], list[evaluation.MeasuredPerson]]]:
    for place in sorted({(person.lane, person.site) for person in people}):
        yield place, [person for person in people if (person.lane, person.site) == place]
