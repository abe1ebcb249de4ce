"""What people type. Each command is a module with `register(subparsers)` and `run(args) -> int`.

Only the module of the command that was typed is imported, so that `gatepost run` starts fast.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from agent import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": "run the agent",
    "check": "check the configuration: every error with its line",
    "show": "print the effective configuration, secrets masked, or the manual of all settings",
    "status": "how the running agent is, and what to do about it",
    "recover": "back from safe mode to work",
    "keys": "make and list issuer keys",
    "order": "make and sign an order for a kiosk",
    "issue": "make a signed code, as text or QR picture",
    "verify": "what is this code, who signed it, what would this kiosk do",
    "policy": "check a policy table, or explain a decision",
    "lists": "build, verify and query code lists",
    "devices": "list ports, buses and cameras with what answers there",
    "camera": "aim the camera: what it sees, in the terminal",
    "privacy": "for the centre: make sealing keys, check a word on personal data, open what was sealed",
    "contract": "write the schemas of what is published",
    "record": "staff's own thermometer decides of whoever was measured last",
    "calibrate": "a thermometer against a reference: people, zero, daily check",
    "screening": "what a temperature limit finds and misses",
    "demo": "run a simulated kiosk against a private broker and show what happens",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="gatepost", description="Edge checkpoint agent: codes, temperatures, gates, events."
    )
    parser.add_argument("--version", action="version", version=f"gatepost {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = words[0] if words and words[0] in COMMANDS else None
    for name, line in COMMANDS.items():
        if name != chosen:
            commands.add_parser(name, help=line)
    if chosen is None:
        parser.parse_args(words)
        return 2
    module = importlib.import_module(f"agent.cli.{chosen}")
    module.register(commands)
    try:
        status = int(module.run(parser.parse_args(words)))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has left; nothing more to say
        return 0
    except OSError as error:
        print(f"{error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    return status
