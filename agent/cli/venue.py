"""What the commands of a venue share: they ask the running agent, over its local socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.cli import configuration, running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_badge(parser: argparse.ArgumentParser) -> None:
    """`--by`: who states it."""
    parser.add_argument("--by", default="", metavar="BADGE", help="number of your badge: G07")


def show(args: argparse.Namespace, lines: Callable[[dict[str, Any]], list[str]]) -> int:
    """Print what the venue is like; 0 done, 1 refused, 3 not running."""
    return _request(args, {"do": "venue"}, lines)


def state(args: argparse.Namespace, what: str, **more: object) -> int:
    """State something; 0 taken, 1 refused, 3 not running."""
    language = getattr(args, "language", "en")
    return _request(
        args, {"do": "attest", "type": what, "by": args.by, **more}, lambda said: [_format_answer(said, language)]
    )


def _request(
    args: argparse.Namespace, request: dict[str, Any], lines: Callable[[dict[str, Any]], list[str]]
) -> int:
    config = configuration.read(args.config)
    if config is None:
        return 1
    return running.print_answer(lambda: running.send_request(config.runtime.directory, request), lines)


def _format_answer(answer: dict[str, Any], language: str) -> str:
    if "decision" not in answer:
        return answer["text"] or "Noted."
    return running.format_decision(answer, language)
