"""What people type. Each command is a module with `register(subparsers)` and `run(args) -> int`.

Only the module of the command that was typed is imported, so that `gatepost run` starts fast.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import sys
from typing import TYPE_CHECKING

from agent import __version__
from agent.cli import terminal
from agent.cli.help import Parser
from agent.platform import access
from agent.texts import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUPS = {
    "On the kiosk": {
        "setup": "a first configuration by a few questions",
        "enrol": "make this kiosk a member of a fleet",
        "check": "validate the configuration: every error with its fix",
        "show": "the settings in force; --manual: every setting there is",
        "status": "the state of the running agent; how to fix each problem",
        "log": "the service's log in readable lines",
        "watch": "the state of the whole kiosk on one screen",
        "recover": "leave safe mode",
        "devices": "what is plugged in; test it, record it, switch it off",
        "camera": "aim the camera: what it sees, in the terminal",
        "support": "one file for the person who helps, without personal data",
        "wipe": "delete everything that this kiosk knows",
        "selftest": "test this release with simulated devices",
        "screen": "the pages of the running agent (a second service)",
        "display": "a lane's page on the monitor of this machine (a service)",
        "run": "the agent itself (what the service starts)",
    },
    "At the gate": {
        "remeasure": "re-decide the last person with a clinical thermometer reading",
        "record": "what staff state of somebody who waits, or of the venue",
        "case": "open cases; close one by feedback",
        "count": "how many are inside; set it right",
        "staff": "connect a tablet; make an entry of the staff list",
        "duty": "a duty was done, for example disinfection",
        "report": "the venue's day so far",
    },
    "Codes and rules": {
        "verify": "what a code is, who signed it, what this kiosk would do",
        "policy": "prove a table of who may pass, or explain a decision",
        "lists": "revoked, coloured and watched codes: build, check, query",
        "roster": "who belongs to a venue: pack a table for kiosks",
    },
    "Thermometers": {
        "calibrate": "a thermometer against a reference: people, zero, daily check",
        "screening": "what a temperature limit finds and misses",
    },
    "Central server and issuers": {
        "keys": "keys, the root, and bundles for the kiosks",
        "issue": "make a signed code, as text or QR picture",
        "command": "make, sign and send a command; wait for answers",
        "push": "publish bundles; see which kiosks have or refuse them",
        "privacy": "make sealing keys; unseal what kiosks have sealed",
        "authority": "certificates for kiosks: invite, answer, confirm, revoke",
        "upgrade": "make release bundles; roll them out in waves",
        "config": "configurations of a fleet from one table",
        "fleet": "the state of all kiosks at a broker",
        "homeassistant": "let Home Assistant find the kiosks",
        "schema": "write the schemas of all messages",
    },
    "To see it work": {
        "demo": "a simulated kiosk and its broker, for a minute",
        "simulate": "many simulated kiosks at a broker",
    },
}
_INTERRUPTED = 130
EX_CONFIG = 78
"""Of sysexits.h; systemd does not start it again."""
DRAWS = {"demo", "display", "run", "screen", "watch"}
"""They write to the terminal by means of their own: a view, a log."""
_ENDED: dict[type[Exception], str] = {
    EOFError: "standard input ended before the question was answered",
    MemoryError: "this takes more memory than there is: is one of the files a device, or the wrong one?",
    UnicodeEncodeError: "a word that was typed, or the name of a file, is not UTF-8 text",
}
"""What is told of it."""
COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        status = _main(argv)
    except KeyboardInterrupt:  # also while its module is loaded
        status = _INTERRUPTED
    except SystemExit as ended:  # of argparse: help, or wrong words
        written = _flush_output()
        raise SystemExit(ended.code or written) from None
    written = _flush_output()
    return status or written


def _main(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = words[0] if words and words[0] in COMMANDS else None
    terminal.stand_in_for_closed()
    terminal.spell_out()
    gc.disable()
    try:
        parser = parser_of(chosen)
    except ImportError as error:
        terminal.complain(f"This installation is not complete: {error}")
        return EX_CONFIG
    gc.freeze()  # modules stay for good: to look through them again and again would hold up everybody at the gate
    gc.enable()
    if chosen is None:
        return _run_and_tell(lambda: _no_command(parser, words))
    module = importlib.import_module(f"agent.cli.{chosen}")
    with contextlib.nullcontext() if chosen in DRAWS else terminal.printable_only():
        return _run_and_tell(lambda: module.run(parser.parse_args(words)))


def _run_and_tell(run: Callable[[], int]) -> int:
    """The exit status; what ends a command early is told in a sentence."""
    try:
        return int(run())
    except (OSError, EOFError, MemoryError, UnicodeEncodeError) as error:
        if isinstance(error, BrokenPipeError) and terminal.has_reader_left():
            return 0  # nothing more to say
        terminal.complain(access.why(error) if isinstance(error, OSError) else _ENDED[type(error)])
        return 1


def _flush_output() -> int:
    """What becomes of the exit status of a command that has done its work: whether what it printed was taken."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return 0
        terminal.complain(access.why(error))
        return 1
    finally:
        terminal.let_go()
    return 0


def _no_command(parser: Parser, words: Sequence[str]) -> int:
    """Help and version; nothing, or a word that is no command."""
    if words and not words[0].startswith("-"):
        near = did_you_mean(words[0], COMMANDS) or "."
        terminal.complain(f"There is no command {words[0]}{near} All of them: gatepost --help")
    elif words:
        parser.parse_args(words)
    else:
        parser.print_help(sys.stderr)
    return 2


def parser_of(chosen: str | None) -> Parser:
    """What reads the words of one command; None: of no command, but `--help` and `--version`."""
    parser = Parser(prog="gatepost", usage="gatepost COMMAND …", description=_overview())
    parser.add_argument("--version", action="version", version=f"gatepost {__version__}")
    commands = parser.add_subparsers(
        prog="gatepost", dest="name", metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    if chosen is not None:
        importlib.import_module(f"agent.cli.{chosen}").register(commands)
    return parser


def _overview() -> str:
    """The commands by who needs them."""
    wide = max(map(len, COMMANDS))
    blocks = [
        "\n".join((f"{group}:", *(f"    {name:<{wide}}  {line}" for name, line in commands.items())))
        for group, commands in GROUPS.items()
    ]
    return "\n\n".join(["The agent of a checkpoint kiosk. Each COMMAND has --help.", *blocks])
