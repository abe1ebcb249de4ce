"""`gatepost show`: the configuration in force, secrets masked; `--manual`: every setting there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent import manual
from agent.cli import configuration
from agent.effective import effective

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `show`."""
    parser = subparsers.add_parser("show", help="print the effective configuration", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--manual", action="store_true", help="print the commented default configuration")


def run(args: argparse.Namespace) -> int:
    """0, or 1 with all faults of the configuration on standard error."""
    if args.manual:
        print(manual.manual(), end="")
        return 0
    config = configuration.read(args.config)
    if config is None:
        return 1
    tree = effective(config)
    if args.json:
        print(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_toml("", tree)).lstrip("\n"))
    return 0


def _toml(path: str, table: dict[str, Any]) -> Iterator[str]:
    """TOML again: scalars first, then the sections below."""
    scalars = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and scalars:
        yield f"\n[{path}]"
    for key, value in scalars.items():
        yield f"# {key} is not set" if value is None else f"{key} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(f"{path}.{key}".lstrip("."), value)
