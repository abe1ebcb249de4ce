"""The argument that most commands share: which configuration file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent import config

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

T = TypeVar("T")

DEFAULT = Path("/etc/gatepost/agent.toml")


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--config FILE`."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path(os.environ.get("GATEPOST_CONFIG", DEFAULT)),
        help=f"configuration file (default: $GATEPOST_CONFIG or {DEFAULT})",
    )


def read(file: Path) -> config.Config | None:
    """The checked configuration; None after all its faults were printed to standard error."""
    return tried(config.load, file)


def tried(begin: Callable[[Path], T], file: Path) -> T | None:
    """What `begin` makes of a configuration; None after all its faults were printed to standard error."""
    try:
        return begin(file)
    except config.BadConfig as error:
        print(error, file=sys.stderr)
        count = len(error.faults)
        print(f"{count} fault{'s' * (count > 1)}. `gatepost show --manual` lists every setting.", file=sys.stderr)
    except OSError as error:
        print(f"{file}: cannot be read: {error.strerror}", file=sys.stderr)
        if isinstance(error, FileNotFoundError):
            print("Begin one with `gatepost show --manual`, or name another with --config.", file=sys.stderr)
    return None
