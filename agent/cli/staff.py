"""`gatepost staff pair`: connect a tablet. `gatepost staff new`: an entry of the staff list.

gatepost staff pair                   link and number, once, for two minutes
gatepost staff new G07 --role guard   asks for a PIN; prints entry and badge
"""

from __future__ import annotations

import getpass
import secrets
import sys
from typing import TYPE_CHECKING

from agent.cli import configuration, running
from agent.credentials.staff_list import BADGE_PREFIX, ID, StaffRole, hash_badge, hash_pin, parse

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `staff`."""
    parser = subparsers.add_parser("staff", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    configuration.add_argument(verbs.add_parser("pair", help="connect a tablet"))
    new = verbs.add_parser("new", help="make an entry of the staff list")
    new.add_argument("id", help="number of the badge, 1 to 16 letters and digits: G07")
    new.add_argument("--role", choices=list(StaffRole), required=True)


def run(args: argparse.Namespace) -> int:
    """0 done, 1 refused, 3 not running."""
    return _pair(args) if args.verb == "pair" else _new(args.id, args.role)


def _pair(args: argparse.Namespace) -> int:
    config = configuration.read(args.config)
    if config is None:
        return 1
    return running.print_answer(
        lambda: running.send_request(config.runtime.directory, {"do": "pair"}),
        lambda shown: (shown["link"], f"number {shown['number']}, for {shown['seconds']} s, once"),
    )


def _new(who: str, role: str) -> int:
    if not ID.fullmatch(who):
        print(f"{who!r} is no number of a badge: 1 to 16 letters and digits, for example G07", file=sys.stderr)
        return 1
    badge = BADGE_PREFIX + secrets.token_urlsafe(16)
    try:
        pin = hash_pin(getpass.getpass("PIN (6 to 64 characters): "), secrets.token_bytes(16))
        entry = f'[[person]]\nid = "{who}"\nrole = "{role}"\npin = "{pin}"\nbadge = "{hash_badge(badge)}"\n'
        parse(entry)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(entry)
    print(f"# text of the badge, for its QR code; keep it secret: {badge}")
    return 0
