"""`gatepost run`: the agent itself, until SIGTERM or Ctrl-C.

gatepost run --config config/agent.toml
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import app, credentials, log, policy
from agent.cli import configuration
from agent.platform import malloc
from agent.screening import BadCalibration
from agent.supervisor import startup
from agent.supervisor.crash_loop import StartHistory

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
    log.configure("info")
    malloc.set_up()
    began = configuration.load_or_print_errors(startup.begin, args.config)
    agent = None
    while began is not None and agent is None:
        log.configure(began.config.run.log)
        try:
            agent = app.App(began.config, began)
        except (credentials.BadTrustStore, policy.BadTable, BadCalibration) as error:
            print(f"{error}. `gatepost check` finds every fault.", file=sys.stderr)
            began = startup.fallback(began, str(error))
    if began is None or agent is None:
        return 78
    agent.obey_signals()
    log.install_excepthooks()
    agent.run()
    if began.memory is not None:
        began.memory.count(StartHistory.ended)
    return agent.status
