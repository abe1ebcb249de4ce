"""`gatepost check`: is the configuration right? Every fault at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent import app
from agent.cli import configuration
from agent.config import PARTS

if TYPE_CHECKING:
    import argparse

_STAND_INS = ("simulated", "replayed")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `check`."""
    parser = subparsers.add_parser("check", help="check the configuration", description=__doc__)
    configuration.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """0 when everything is right; 1 with all faults on standard error."""
    config = configuration.read(args.config)
    if config is None:
        return 1
    faults = app.faults_beyond_syntax(config)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        return 1
    print(f"{args.config}: right. Kiosk {config.kiosk.id} at {config.kiosk.site}")
    for name, lane in config.lanes.items():
        parts = {part: device for part in PARTS if (device := getattr(lane, part)) is not None}
        print(f"  {name} ({lane.direction}): {', '.join(f'{part} {parts[part].driver}' for part in parts)}")
        for part, device in parts.items():
            if device.driver in _STAND_INS or getattr(device.options, "simulated", False):
                print(f"  ! {name}.{part} is not real: what it takes part in is marked as simulated")
    return 0
