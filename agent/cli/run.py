"""`gatepost run`: the agent itself, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import app, codes, log, policy
from agent.cli import configuration

if TYPE_CHECKING:
    import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `run`."""
    parser = subparsers.add_parser("run", help="run the agent", description=__doc__)
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0 after a clean stop; 75 when the agent asks to be started anew (`app.RESTART`); 78 (EX_CONFIG, which systemd
    does not retry) for a wrong configuration.
    """
    config = configuration.read(args.config)
    if config is None:
        return 78
    log.set_up(config.run.log)
    try:
        agent = app.App(config)
    except (codes.BadTrust, policy.BadTable) as error:
        print(error, file=sys.stderr)
        return 78
    agent.obey_signals()
    agent.run()
    return agent.status
