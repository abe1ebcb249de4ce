"""`gatepost push`: publish signed bundles, retained, and see which kiosks have them; for the central server.

A bundle says in its signed part for whom it is: all, a site, a group or a kiosk. With --to a bundle that is for
all is published to fewer kiosks, as a trial. It waits until every kiosk that is online has answered, and shows
which have it, which refused it and why; one that is offline gets it when it is back. It ends with 0 when all
have it, 3 when some do not: docs/commands.md.

    gatepost push keys.bundle policy.bundle --broker broker.example --username deployer --password-file d.password
    gatepost push status.bundle --base status.gpl --broker localhost:1883 --plain --wait 120 --json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import broker_login, delivery, given
from agent.control.verification import TARGET
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Bundle
from agent.events import base_chunk_topic, root_of_target
from agent.events.answers import Delivery
from agent.mqtt import LinkLost
from agent.ruleset import load

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent.mqtt import ShortConnection


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `push`."""
    parser = subparsers.add_parser("push", description=__doc__)
    parser.add_argument(
        "bundles", nargs="+", type=Path, metavar="BUNDLE", help="made by `keys sign`; in this order"
    )
    parser.add_argument("--broker", required=True, help="HOST or HOST:PORT; 8883 is usual with TLS")
    broker_login.add_arguments(parser)
    parser.add_argument("--to", default="", metavar="WHOM", help="publish only to SITE/KIOSK, SITE/* or @GROUP")
    parser.add_argument(
        "--base",
        type=Path,
        help="of a list: publish the pieces of this base first, for kiosks that fetch it by MQTT",
    )
    parser.add_argument(
        "--wait", type=delivery.wait_s, default=30.0, metavar="SECONDS",
        help="wait so long for answers; 0: only publish (default: 30)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """0 when all have it; 3 when some do not; 1 when it cannot be published."""
    try:
        read = [(file, given.data(file)) for file in args.bundles]
        found = [(_header(file, data), data) for file, data in read]
        pieces = list(_pieces(args.base, found))
        targets = [_target(args.to, said) for said, _ in found]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with broker_login.connect(args) as connection:
            for file, topic, start, size in pieces:
                _publish_piece(connection, file, topic, start, size)
            answers = [
                delivery.publish_and_wait(
                    connection, _sent(said, target), [(_topic(said, target), data)], retain=True, within_s=args.wait
                )
                for (said, data), target in zip(found, targets, strict=True)
            ]
            topics = [_topic(said, target) for (said, _), target in zip(found, targets, strict=True)]
            kept = [_is_retained(connection, topic) for topic in topics]
    except (LinkLost, OSError, ValueError) as error:
        print(f"{args.broker}: {error}", file=sys.stderr)
        return 1
    if not all(kept):
        print(
            f"{args.broker} does not give back {topics[kept.index(False)]} to a wildcard: it keeps nothing retained"
            f" for one (RabbitMQ), or {args.username or 'we'} may not read it. Kiosks that are away get nothing:"
            " let the central server send what their state lacks (docs/server/README.md, --bundles)",
            file=sys.stderr,
        )
    return delivery.show(answers, is_json=args.json) if args.wait else 0


def _is_retained(connection: ShortConnection, topic: str) -> bool:
    """Whether a kiosk that comes later gets it, which subscribes with a wildcard."""
    return bool(connection.read_retained(topic.replace("/bundle/", "/+/")))


def _header(file: Path, data: bytes) -> Bundle:
    try:
        return bundle.unverified_header(data)
    except BadBundle as error:
        raise ValueError(f"{file}: {error.fact}: give what `gatepost keys sign` has printed") from None


def _target(asked: str, said: Bundle) -> str:
    """Where it is published. Raises ValueError."""
    if not asked:
        return said.target or "*/*"
    if not TARGET.fullmatch(asked):
        raise ValueError(f"--to {asked!r}: SITE/KIOSK, SITE/* or @GROUP, for example library/gate-3")
    if said.target not in ("", asked):
        raise ValueError(
            f"--to {asked}: {_named(said)} is signed for {said.target}, others refuse it: leave --to out"
        )
    return asked


def _named(said: Bundle) -> str:
    return f"{said.type}/{said.name}" if said.name else said.type


def _sent(said: Bundle, target: str) -> Delivery:
    return Delivery(target, bundle=_named(said), version=said.version)


def _topic(said: Bundle, target: str) -> str:
    """Each root has a topic of its own: who was away long goes through all of them."""
    what = f"root-{said.version}" if said.type == "root" else _named(said)
    if said.type == "list" and load.list_word(said.content).after is not None:
        what += "/increment"  # beside the whole bundle, which stays retained for those who lack it
    return f"{root_of_target(target)}/bundle/{what}"


def _pieces(base: Path | None, found: list[tuple[Bundle, bytes]]) -> Iterator[tuple[Path, str, int, int]]:
    """File, topic, start and size of each piece of a base. Raises ValueError when no bundle is of this base."""
    if base is None:
        return
    for said, _ in found:
        chunks = load.list_word(said.content).chunks if said.type == "list" else None
        if chunks is not None and load.chunks_of(base, chunks.chunk_bytes).digests == chunks.digests:
            size = base.stat().st_size
            for index in range(len(chunks)):
                start, end = chunks.span(index, size)
                yield base, base_chunk_topic(chunks.id, index), start, end - start
            return
    raise ValueError(f"--base {base}: no bundle here was signed of this base: sign the list again, push both")


def _publish_piece(connection: ShortConnection, file: Path, topic: str, start: int, size: int) -> None:
    with file.open("rb") as opened:
        opened.seek(start)
        connection.publish(topic, opened.read(size), retain=True)
