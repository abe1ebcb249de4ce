"""`gatepost recover`: leave safe mode. The running agent restarts within a second.

sudo gatepost recover
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import configuration
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.state_files import StateFiles

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `recover`."""
    parser = subparsers.add_parser("recover", description=__doc__)
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0, also when there was nothing to leave. Raises OSError when that cannot be known, or is not on disk."""
    args.config.stat()  # a mistyped name has no safe mode
    memory = StateFiles(args.config)
    was = memory.starts.safe
    if memory.failure is None:
        memory.count(StartHistory.recovered)
    if memory.failure is not None:
        raise memory.failure
    print(f"was in safe mode: {was}\nThe agent restarts if it runs." if was else "not in safe mode")
    return 0
