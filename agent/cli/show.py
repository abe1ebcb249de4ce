"""`gatepost show`: the configuration in force, with the file and line of each value; `--manual`: every setting.

sudo gatepost show              each value with its file and line; secrets are masked
gatepost show --manual | less   every setting of every driver, with default, unit and meaning
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agent.cli import configuration, issue
from agent.config import manual
from agent.config.effective import effective
from agent.supervisor import startup

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from agent.config import SourceLine


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `show`."""
    parser = subparsers.add_parser("show", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--place-code",
        nargs="?",
        const="",
        metavar="FILE",
        help="draw the 场所码 of this place here, or as FILE.png",
    )
    parser.add_argument("--manual", action="store_true", help="print the commented default configuration")


def run(args: argparse.Namespace) -> int:
    """0, or 1 with all faults of the configuration on standard error."""
    if args.manual:
        print(manual.manual(), end="")
        return 0
    config = configuration.load_or_print_errors(startup.effective_config, args.config)
    if config is None:
        return 1
    tree = effective(config)
    if args.place_code is not None:
        return _draw(config.kiosk.place_code, args.place_code)
    if args.json:
        print(json.dumps(tree, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_toml((), tree, config.said)).lstrip("\n"))
    return 0


def _draw(code: str, file: str) -> int:
    """The place's code, on the terminal or as a picture."""
    if not code:
        print(
            "[kiosk] place_code is not set: it takes the address that the authority gave for this place",
            file=sys.stderr,
        )
        return 1
    try:
        picture = issue.picture(code)
        if file:
            picture.save(file, scale=8, border=4)
        else:
            picture.terminal(compact=True)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _toml(
    path: tuple[str, ...], table: dict[str, Any], said: Mapping[tuple[str, ...], SourceLine]
) -> Iterator[str]:
    """TOML again: scalars first, each with who says it if it is no default; then the sections below."""
    scalars = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and scalars:
        yield f"\n[{'.'.join(path)}]"
    for key, value in scalars.items():
        if value is None:
            yield f"# {key} is not set"
        else:
            place = said.get((*path, key))
            written = hex(value) if key == "address" else json.dumps(value, ensure_ascii=False)
            yield f"{key} = {written}" + (f"  # {place}" if place else "")
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml((*path, key), value, said)
