"""`gatepost run`: the agent itself, until SIGTERM or Ctrl-C.

gatepost run --config config/agent.toml
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import app, codes, log, policy
from agent.cli import configuration
from agent.config import startup
from agent.pulse import heap
from agent.thermal import BadCalibration
from agent.vault.starts import Starts

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `run`."""
    parser = subparsers.add_parser("run", description=__doc__)
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0 after a clean stop; 75 when the agent asks to be started anew (`app.RESTART`); 78 (EX_CONFIG, which systemd
    does not retry) for a wrong configuration.
    """
    log.set_up("info")
    heap.set_up()
    began = configuration.tried(startup.begin, args.config)
    agent = None
    while began is not None and agent is None:
        log.set_up(began.config.run.log)
        try:
            agent = app.App(began.config, began)
        except (codes.BadTrust, policy.BadTable, BadCalibration) as error:
            print(f"{error}. `gatepost check` finds every fault.", file=sys.stderr)
            began = startup.otherwise(began, str(error))
    if began is None or agent is None:
        return 78
    agent.obey_signals()
    log.catch_all()
    agent.run()
    if began.memory is not None:
        began.memory.count(Starts.ended)
    return agent.status
