"""`gatepost screen`: serves the screens of a running agent, on this machine. What gatepost-screen.service starts.

gatepost screen                      http://127.0.0.1:8470/lanes/entry is the page of the lane `entry`
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.help import port
from agent.web.options import LOCAL_PORT

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `screen`."""
    parser = subparsers.add_parser("screen", description=__doc__)
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path("/run/gatepost-web"),
        help="folder of the agent's sockets, `directory` in [web] (default: /run/gatepost-web)",
    )
    parser.add_argument("--port", type=port, default=LOCAL_PORT, help=f"port on 127.0.0.1 (default: {LOCAL_PORT})")


def run(args: argparse.Namespace) -> int:
    """0 after Ctrl-C or SIGTERM, 1 when the port is taken or a package is missing."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        from agent.web import server  # noqa: PLC0415 - the packages come with the extra `screen`
    except ModuleNotFoundError as error:
        print(f"gatepost screen needs the package {error.name}: pip install 'gatepost[screen]'", file=sys.stderr)
        return 1
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(server.serve(args.directory, args.port))
    return 0
