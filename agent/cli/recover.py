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
    """0 in any case: also when there was nothing to leave."""
    memory = StateFiles(args.config)
    was = memory.starts.safe
    memory.count(StartHistory.recovered)
    print(f"was in safe mode: {was}\nThe agent restarts." if was else "not in safe mode")
    return 0
