"""`gatepost command`: make and sign a command for one kiosk, or a harmless one for many; for the central server.

It is printed; with --broker it is published instead, and with --wait the answers are shown: it ends with 0 when
every kiosk that it is for has succeeded, 3 when one has not, or has not answered in time. See docs/commands.md.

    gatepost command open lane=entry --to library/gate-3 --fleet city --key o.key
    gatepost command flush --to @north --fleet city --key o.key --broker localhost:1883 --plain --wait 30
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from agent.cli import broker_login, delivery, given
from agent.cli.help import number
from agent.cli.key_files import server_key
from agent.commands import COMMANDS, CommandSpec
from agent.control.verification import LONGEST_LIFE_S, TARGET, is_broadcast
from agent.credentials import bundle
from agent.enrolment import certificates
from agent.enrolment.certificates import BadCertificate
from agent.events import root_of_target
from agent.events.answers import Delivery
from agent.model import Role
from agent.model.bounds import COMMAND_ID
from agent.mqtt import LinkLost
from agent.texts import did_you_mean
from agent.venue.attestations import MOST_PEOPLE, MOST_SHUT_MIN
from agent.venue.cases import parse_case
from agent.venue.entries import FEEDBACK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence


_LIFE_S = number(1, LONGEST_LIFE_S, 60)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `command`."""
    parser = subparsers.add_parser("command", description=__doc__)
    parser.add_argument("command", metavar="COMMAND", choices=sorted(COMMANDS), help=", ".join(sorted(COMMANDS)))
    parser.add_argument(
        "arguments", nargs="*", metavar="NAME=VALUE", help="for example lane=in; NAME=@FILE: the text of a file"
    )
    parser.add_argument(
        "--to", required=True, metavar="SITE/KIOSK", help="for a harmless command also SITE/*, @GROUP or */*"
    )
    parser.add_argument("--fleet", required=True, help="as in the root")
    parser.add_argument(
        "--seconds", type=_LIFE_S, default=60, help="the command expires after so many seconds (default: 60)"
    )
    parser.add_argument("--id", default="", help="commands with one id are carried out once (default: a new id)")
    parser.add_argument("--key", type=Path, action="append", required=True, help="private key; may be repeated")
    parser.add_argument("--broker", default="", help="HOST or HOST:PORT: publish it there")
    broker_login.add_arguments(parser)
    parser.add_argument(
        "--wait",
        type=delivery.wait_s,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for answers, with --broker",
    )
    parser.add_argument("--json", action="store_true", help="answers for programs")


def run(args: argparse.Namespace) -> int:
    """0 when printed, published, or done by all; 3 when not by all; 1 with one sentence on standard error."""
    try:
        _demand_broker(args)
        arguments = _arguments(args.arguments)
        keys = [server_key(file) for file in args.key]
        members = members_of(
            args.command, arguments, target=args.to, fleet=args.fleet, life_s=args.seconds, command_id=args.id
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    envelope = bundle.sign(members, keys, "command")
    if args.broker:
        return _publish(args, str(members["id"]), envelope)
    print(envelope.decode())
    return 0


def _demand_broker(args: argparse.Namespace) -> None:
    """Refuse options that say nothing without a broker. Raises ValueError."""
    names = ("wait", "json", "ca", "cert", "cert_key", "username", "password_file", "plain")
    lone = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name)]
    if lone and not args.broker:
        raise ValueError(f"{', '.join(lone)}: of a connection: add --broker, for example localhost:1883")


def _publish(args: argparse.Namespace, command_id: str, envelope: bytes) -> int:
    message = (f"{root_of_target(args.to)}/command", envelope)
    try:
        with broker_login.connect(args) as connection:
            sent = Delivery(args.to, command_id)
            answers = delivery.publish_and_wait(connection, sent, [message], retain=False, within_s=args.wait)
    except (LinkLost, OSError, ValueError) as error:
        print(f"{args.broker}: {error}", file=sys.stderr)
        return 1
    return delivery.show([answers], is_json=args.json) if args.wait else 0


def _demand_values(command: str, arguments: Mapping[str, str]) -> None:
    """Refuse values that no kiosk takes. Raises ValueError."""
    for name, most, unit in (("minutes", MOST_SHUT_MIN, "minutes"), ("inside", MOST_PEOPLE, "people")):
        text = arguments.get(name, "0")
        if not (text.isascii() and text.isdecimal() and int(text) <= most):
            raise ValueError(f"{name}={text}: a whole number from 0 to {most} ({unit}), for example {name}=30")
    if "feedback" in arguments and arguments["feedback"] not in FEEDBACK[1:]:
        raise ValueError(f"feedback={arguments['feedback']}: one of {', '.join(FEEDBACK[1:])}")
    _demand_words(arguments)
    if command == "close" and parse_case(arguments["case"]) is None:
        raise ValueError(f"case={arguments['case']}: five letters, for example KTRWA")


def _demand_words(arguments: Mapping[str, str]) -> None:
    if "events" in arguments and arguments["events"] not in ("deliver", "discard"):
        raise ValueError(f"events={arguments['events']}: one of deliver, discard")
    if "role" in arguments:
        roles = [str(role) for role in Role if role is not Role.CLINICAL]
        if arguments["role"] not in roles:
            raise ValueError(f"role={arguments['role']}: one of {', '.join(roles)}")
        if "lane" not in arguments:
            raise ValueError(f"role={arguments['role']}: of which lane? Add it, for example lane=entry")
    if "certificate" in arguments:
        try:
            certificates.load(arguments["certificate"])
        except BadCertificate as error:
            raise ValueError(f"certificate=…: {error}; for example certificate=@k01.crt") from None


def _wrong_names(known: CommandSpec, arguments: Mapping[str, str]) -> str:
    """What is missing, and what there is not."""
    names = sorted(known.needs | known.may)
    missing = [f"; {name}=… is missing" for name in sorted(known.needs - arguments.keys())]
    unknown = [
        f"; there is no argument {name}{did_you_mean(name, names)}" for name in sorted(arguments.keys() - {*names})
    ]
    return "".join([*missing, *unknown])


def members_of(
    command: str, arguments: Mapping[str, str], *, target: str, fleet: str, life_s: int = 60, command_id: str = ""
) -> dict[str, object]:
    """What is signed as a command, valid from now for `life_s`. Raises ValueError for what no kiosk would do."""
    known = COMMANDS[command]
    if not known.needs <= arguments.keys() <= known.needs | known.may:
        asked = ", ".join((*sorted(known.needs), *(f"[{name}]" for name in sorted(known.may)))) or "no argument"
        raise ValueError(f"{command} takes {asked}{_wrong_names(known, arguments)}")
    _demand_values(command, arguments)
    if not TARGET.fullmatch(target):
        raise ValueError(f"--to {target!r}: SITE/KIOSK, for example library/gate-3; many: SITE/*, @GROUP or */*")
    if is_broadcast(target) and not known.harmless:
        raise ValueError(f"{command} is for one kiosk at a time")
    if not fleet.strip():
        raise ValueError("--fleet: the name of the fleet, as in the root, for example city")
    if command_id and not re.fullmatch(COMMAND_ID, command_id):
        raise ValueError(f"--id {command_id!r}: 1 to 64 letters, digits and ._:-, for example 2026-01-31-7")
    if not 0 < life_s <= LONGEST_LIFE_S:
        raise ValueError(f"a command lives for up to {LONGEST_LIFE_S} seconds")
    now = int(time.time())
    return {
        "id": command_id or uuid4().hex,
        "fleet": fleet,
        "target": target,
        "issued_at": now,
        "expires_at": now + life_s,
        "command": command,
        "arguments": dict(arguments),
    }


def _arguments(texts: Sequence[str]) -> dict[str, str]:
    """The arguments by name. Raises ValueError."""
    arguments = dict(_argument(text) for text in texts)
    if len(arguments) < len(texts):
        raise ValueError(f"{' '.join(texts)}: an argument is given twice")
    return arguments


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r}: an argument is NAME=VALUE")
    return name, given.text(Path(value[1:])) if value.startswith("@") else value
