"""The argument that most commands share: which configuration file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent import config
from agent.platform import access

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

T = TypeVar("T")

DEFAULT = Path("/etc/gatepost/agent.toml")


def add_argument(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Add `--config FILE`. `again`: to an action of a command that has it too, so that either place is heard."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=argparse.SUPPRESS if again else Path(os.environ.get("GATEPOST_CONFIG", DEFAULT)),
        help=f"configuration file (default: $GATEPOST_CONFIG or {DEFAULT})",
    )


def read(file: Path) -> config.Config | None:
    """The checked configuration; None after all its faults were printed to standard error."""
    return load_or_print_errors(config.load, file)


def load_or_print_errors(begin: Callable[[Path], T], file: Path) -> T | None:
    """What `begin` makes of a configuration; None after all its faults were printed to standard error."""
    try:
        return begin(file)
    except config.BadConfig as error:
        print(error, file=sys.stderr)
        print(f"{counted(error.faults)}. `gatepost show --manual` lists every setting.", file=sys.stderr)
    except OSError as error:
        print(access.why(error, file), file=sys.stderr)
        if isinstance(error, FileNotFoundError):
            print(
                "Make one by `sudo gatepost setup`, or from `gatepost show --manual`; have this kiosk invited"
                " (docs/enrolment.md); or name another with --config.",
                file=sys.stderr,
            )
    return None


def counted(faults: Sized) -> str:
    """How many there are, in words."""
    return f"{len(faults)} fault{'s' * (len(faults) != 1)}"
