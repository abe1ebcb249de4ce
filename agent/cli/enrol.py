"""`gatepost enrol`: make this kiosk a member of a fleet, by an invitation; with or without a network.

sudo gatepost enrol invitation.txt            by the network; the service does the same by itself
sudo gatepost enrol invitation.txt --request /media/stick/request.json
sudo gatepost enrol --answer /media/stick/answer.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.cli import configuration, given
from agent.enrolment import certificates, exchange, service
from agent.enrolment.invitation import BadInvitation
from agent.enrolment.kiosk import Enrolment, EnrolmentError
from agent.platform.files import replace_file, state_folder

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `enrol`."""
    parser = subparsers.add_parser("enrol", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("invitation", nargs="?", help="a file with an invitation, or - for standard input")
    parser.add_argument("--request", type=Path, help="write the request to this file instead of sending it")
    parser.add_argument("--answer", type=Path, help="install this answer to a request that was written to a file")


def run(args: argparse.Namespace) -> int:
    """0 when the kiosk has its identity, or the request is written."""
    enrolment = Enrolment(state_folder(args.config.absolute().parent))
    if enrolment.identity.exists() and not (args.invitation or args.answer):
        print(f"This kiosk is enrolled: {enrolment.identity}. A new invitation enrols it again.")
        return 0
    try:
        if args.invitation:
            data = sys.stdin.buffer.read() if args.invitation == "-" else given.data(Path(args.invitation))
            enrolment.follow(data)
        invited = enrolment.invitation()
        if invited is None:
            print("There is no invitation yet: gatepost enrol FILE", file=sys.stderr)
            return 1
        print(f"This kiosk shows {certificates.spoken(enrolment.fingerprint)}")
        if args.request:
            replace_file(args.request, (enrolment.request(__version__, service.serial()),))
            print(f"Wrote {args.request}: gatepost authority answer {args.request} on the authority's machine.")
            return 0
        if args.answer and not invited.token:
            told = "an answer in a file needs a token to prove it: have this kiosk invited by its name, SITE/KIOSK"
        elif args.answer:
            request = enrolment.request(__version__, service.serial())
            found = exchange.parse_answer(given.data(args.answer), request, invited.token)
            told = "" if found.status == "issued" else exchange.REASONS.get(found.reason, found.status)
            if not told:
                enrolment.install(found)
        else:
            told = service.once(enrolment, invited)
    except (BadInvitation, EnrolmentError, exchange.BadExchange) as error:
        told = str(error)
    if told:
        print(f"Not enrolled: {told}", file=sys.stderr)
        return 1
    print(f"Enrolled. Its names and broker: {enrolment.identity}. Next: sudo systemctl restart gatepost")
    return 0
