"""`gatepost homeassistant`: let Home Assistant find the kiosks of a broker by themselves; for the central server.

It reads each kiosk's retained state and leaves, retained, what Home Assistant's discovery reads. The kiosks know
nothing of it. Run it again when kiosks or lanes have come; --remove takes everything back. See docs/monitoring.md.

    gatepost homeassistant broker.example --username wall --password-file wall.password
    gatepost homeassistant localhost:1883 --plain --print
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent.cli import broker_login
from agent.events.homeassistant import PREFIX, config_topic, discovery
from agent.events.state import ALL_STATES, kiosk_of
from agent.mqtt import LinkLost

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `homeassistant`."""
    parser = subparsers.add_parser("homeassistant", description=__doc__)
    parser.add_argument("broker", help="HOST or HOST:PORT; 8883 is usual with TLS")
    broker_login.add_arguments(parser)
    parser.add_argument("--prefix", default=PREFIX, help=f"Home Assistant's discovery prefix (default: {PREFIX})")
    parser.add_argument("--print", action="store_true", help="show what would be published, and publish nothing")
    parser.add_argument("--remove", action="store_true", help="take the kiosks out of Home Assistant again")


def run(args: argparse.Namespace) -> int:
    """0 when every kiosk that is online is told of; 1 when there is none, or the broker cannot be used."""
    if not args.prefix.isprintable() or {*"+#"} & {*args.prefix}:
        print(f"--prefix {args.prefix}: a topic without + and #, for example {PREFIX}", file=sys.stderr)
        return 1
    try:
        with broker_login.connect(args) as connection:
            states = dict(connection.read_retained(ALL_STATES))
            messages = dict(_removals(states, args.prefix) if args.remove else _configs(states, args.prefix))
            for topic, payload in messages.items():
                if args.print:
                    print(topic, payload.decode())
                else:
                    connection.publish(topic, payload, retain=True)
                    print(f"{'removed' if args.remove else 'told of'} {topic}")
    except (LinkLost, OSError, ValueError) as error:
        print(f"{args.broker}: {error}", file=sys.stderr)
        return 1
    if not messages:
        remedy = f"does one run, and may {args.username or 'we'} read {ALL_STATES}?"
        print(f"{args.broker}: no state of a kiosk that is online ({remedy})", file=sys.stderr)
    return 0 if messages else 1


def _configs(states: dict[str, bytes], prefix: str) -> Iterator[tuple[str, bytes]]:
    for topic, payload in sorted(states.items()):
        try:
            yield discovery(topic, payload, prefix)
        except ValueError as error:
            print(f"{topic}: {error}", file=sys.stderr)


def _removals(states: dict[str, bytes], prefix: str) -> Iterator[tuple[str, bytes]]:
    for named in filter(None, map(kiosk_of, states)):
        yield config_topic(*named, prefix), b""
