"""`gatepost schema`: write the schemas of all messages, and the AsyncAPI document.

gatepost schema docs/contract
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.events import schemas

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `schema`."""
    parser = subparsers.add_parser("schema", description=__doc__)
    parser.add_argument("directory", type=Path, help="where to write them, for example docs/contract")


def run(args: argparse.Namespace) -> int:
    """0 when all are written. Raises OSError."""
    args.directory.mkdir(parents=True, exist_ok=True)
    for name, text in schemas.documents(__version__).items():
        (args.directory / name).write_text(text, encoding="utf-8")
        print(args.directory / name)
    return 0
