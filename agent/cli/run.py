"""`gatepost run`: the agent itself, until SIGTERM or Ctrl-C.

gatepost run --config config/agent.toml
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from agent import app, config, credentials, log, policy
from agent.cli import configuration
from agent.cli.help import number
from agent.platform import malloc, systemd
from agent.platform.files import state_folder
from agent.ruleset.venue_files import BadVenueFile
from agent.screening import BadCalibration
from agent.supervisor import handover, startup
from agent.supervisor.crash_loop import StartHistory

if TYPE_CHECKING:
    from pathlib import Path


SWITCH_S = 0.001
"""So long one thread may compute while others wait for the interpreter. A code passes three of them on its way to
the gate, and each may have to wait for those that store and send what another lane has decided: Python's own 5 ms
add up.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `run`."""
    parser = subparsers.add_parser("run", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument(
        "--after", type=number(1, 1 << 22, 4711), help=argparse.SUPPRESS
    )  # of a release that this one takes over from


def run(args: argparse.Namespace) -> int:
    """0 after a clean stop; 75 when the agent asks to be restarted (`app.RESTART`); 78 (EX_CONFIG, which systemd
    does not retry) for a wrong configuration.
    """
    log.configure("info")
    malloc.set_up()
    sys.setswitchinterval(SWITCH_S)
    if args.after is not None:
        with suppress(config.BadConfig, OSError):  # said below, once it is our turn
            config.load(args.config)  # and with it the drivers
        if not handover.await_turn(args.after):
            return 0
    if systemd.is_service() and not args.config.exists() and not config.identity(args.config).exists():
        return _enrol(args.config)
    began = configuration.load_or_print_errors(startup.begin, args.config)
    agent = None
    while began is not None and agent is None:
        log.configure(began.config.runtime.log_level)
        try:
            agent = app.App(began.config, began)
        except (credentials.BadTrustStore, policy.BadTable, BadCalibration, BadVenueFile) as error:
            print(f"{error}. `gatepost check` finds every fault.", file=sys.stderr)
            began = startup.fallback(began, str(error))
    if began is None or agent is None:
        return 78
    agent.obey_signals()
    log.install_excepthooks()
    agent.run()
    if began.memory is not None:
        began.memory.count(StartHistory.ended)
    if agent.successor is not None:
        agent.successor.hand_over()
    return agent.status


def _enrol(file: Path) -> int:
    """A kiosk that was never configured waits for an invitation, by a file or before a camera; then 75."""
    from agent.cli import invitation_camera  # noqa: PLC0415 - a kiosk has this once in its life, and its start daily
    from agent.enrolment import service  # noqa: PLC0415 - the same

    stopping = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopping.set())

    def hint() -> str:
        """Somebody configures it by hand."""
        return f"{file} is there now: sudo gatepost check; sudo systemctl restart gatepost" if file.exists() else ""

    eyes = invitation_camera.Cameras()
    try:
        done = service.run(
            state_folder(file.absolute().parent), stopping.is_set, (service.files, eyes.read), stopping.wait, hint
        )
    finally:
        eyes.close()
    return app.RESTART if done else 0
