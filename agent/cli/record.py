"""`gatepost record TYPE VALUE`: what staff see and state. It adds a fact, and the signed table decides again.

About somebody who waits on a lane: `mask worn`, `document seen`, `record done`, `travel clear`.
About the venue: `absence ill --number 12`, `symptom cough --group class-1`, `badge G07`, `trip begin`.
A form: its name, then NAME=VALUE for each answer; what is not said is asked for on the terminal. Private answers
are better typed there, or read from a file, than left in the history of a shell. Once a form such as `visitor` is
filled in, the person counts as recorded whose number was given.

    gatepost record document seen --lane entry
    gatepost record record done --lane entry --for 7
    gatepost record absence ill --number 12
    gatepost record visitor reason=visit --lane entry
    gatepost record form absence --answers answers.txt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import configuration, given, running, venue
from agent.cli.help import count
from agent.ruleset.venue_files import BadVenueFile, VenueOptions, load_forms
from agent.texts import LANGUAGES
from agent.venue.attestations import ABOUT_A_PERSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.config import Config
    from agent.venue.forms import Field, Form

_STATEMENTS = (*ABOUT_A_PERSON, "absence", "symptom", "badge", "trip", "form")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `record`."""
    parser = subparsers.add_parser("record", description=__doc__)
    configuration.add_argument(parser)
    kinds = ", ".join(
        [*_STATEMENTS, *(name for name in load_forms(VenueOptions(), Path()) if name not in _STATEMENTS)]
    )
    parser.add_argument("type", help=f"{kinds}, or another form of the venue")
    parser.add_argument(
        "value", nargs="*", help="worn, seen, done, clear, ill, cough, begin … by the type; of a form: NAME=VALUE"
    )
    parser.add_argument(
        "--answers", metavar="FILE", help="of a form: NAME=VALUE on each line; - for standard input"
    )
    parser.add_argument("--lane", default="", help="where the person waits: entry")
    parser.add_argument(
        "--for",
        dest="waits",
        type=count,
        default=0,
        metavar="NUMBER",
        help="number of the person, as `gatepost remeasure LANE` lists it: 7",
    )
    parser.add_argument("--number", type=count, default=0, help="number on the roster: 12")
    parser.add_argument("--group", default="", help="group of the roster: class-1")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="language of the reasons")
    venue.add_badge(parser)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    if args.type == "form" or args.type not in _STATEMENTS:
        return _fill_in(args)
    if len(args.value) > 1 or args.answers:
        print(f"{args.type} takes one value, for example: gatepost record mask worn --lane entry", file=sys.stderr)
        return 1
    number = args.waits if args.type in ABOUT_A_PERSON else args.number
    value = "".join(args.value)
    return venue.state(args, args.type, value=value, lane=args.lane, number=number, group=args.group)


def _fill_in(args: argparse.Namespace) -> int:
    config = configuration.read(args.config)
    if config is None:
        return 1
    name, words = (args.value[:1], args.value[1:]) if args.type == "form" else ([args.type], args.value)
    try:
        forms = load_forms(config.venue, config.folder)
        form = _form("".join(name), forms)
        number = _whose(args, form, config)
        answers = answers_of([*words, *_lines(args.answers)])
        if sys.stdin.isatty() and args.answers != "-":
            answers = _prompt_fields(form, answers)
    except running.NotRunning as error:
        print(error, file=sys.stderr)
        return 3
    except (running.RequestRefused, BadVenueFile, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    clear = {field.name for field in form.fields if field.clear}
    return venue.state(
        args, "form", form=form.name, lane=args.lane, number=number,
        answers={key: text for key, text in answers.items() if key in clear},
        private={key: text for key, text in answers.items() if key not in clear},
    )  # fmt: skip


def _whose(args: argparse.Namespace, form: Form, config: Config) -> int:
    """Under which number the person waits who counts as recorded after the form. 0: nobody waits. Raises ValueError
    if somebody does and no number was given: the form may be about another, who stands there.
    """
    if args.waits or not args.lane or not form.records:
        return int(args.waits)
    numbers = [each["number"] for each in running.waiting(config.runtime.directory, args.lane)]
    if numbers:
        listed = ", ".join(map(str, sorted(numbers)))
        raise ValueError(f"somebody waits at {args.lane}: say whom the form is about, --for NUMBER ({listed})")
    return 0


def _form(name: str, forms: Mapping[str, Form]) -> Form:
    if name in forms:
        return forms[name]
    raise ValueError(
        f"there is no statement or form {name!r}; there are {', '.join((*_STATEMENTS, *sorted(forms)))}"
    )


def answers_of(words: Iterable[str]) -> dict[str, str]:
    """NAME=VALUE of each. Raises ValueError, which repeats no value."""
    answers: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise ValueError("an answer is NAME=VALUE, for example reason=visit")
        answers[name.strip()] = text.strip()
    return answers


def _lines(file: str | None) -> list[str]:
    if file is None:
        return []
    text = sys.stdin.read() if file == "-" else given.text(Path(file))
    return [line for line in text.splitlines() if line.strip()]


def _prompt_fields(form: Form, answers: Mapping[str, str]) -> dict[str, str]:
    """What was not said is asked for."""
    return {field.name: answers.get(field.name) or input(_question(field)) for field in form.fields}


def _question(field: Field) -> str:
    choices = f" ({', '.join(field.choices)})" if field.choices else ""
    return f"{field.name}{choices}{', may be left out' if field.optional else ''}: "
