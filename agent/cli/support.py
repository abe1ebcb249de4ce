"""`gatepost support`: one file for the support: the state of the kiosk, its machine and its log.

sudo gatepost support                    gatepost-support.tar.gz
sudo gatepost support --out /media/stick/k01.tar.gz

Passwords are masked as in `gatepost show`; events, lists, keys and codes are left out, and the log never holds any.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import platform
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.cli import configuration, given
from agent.platform import site

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

_LIMIT_S = 20.0
_UNITS = [f"--unit=gatepost{name}" for name in ("", "-screen", "-release", "-upgrade", "-wipe")]
_PLACES = ("/", "/boot/firmware", "/var/lib/gatepost")
"""No others: a stick is mounted under the name of a person, such as /media/anna."""
_COMMANDS = {
    "journal.txt": ["journalctl", *_UNITS, "--lines=3000", "--output=short-iso", "--no-pager"],
    "unit.txt": ["systemctl", "show", "gatepost.service", "--no-pager"],
    "clock.txt": ["timedatectl"],
    "disk.txt": ["df", "-h", *_PLACES],
    "releases.txt": ["gatepost-release", "list"],
    "usb.txt": ["lsusb"],
}
"""File in the archive → what prints it; what is not installed is left out."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `support`."""
    parser = subparsers.add_parser("support", description=__doc__)
    configuration.add_argument(parser)
    parser.add_argument("--out", type=Path, default=Path("gatepost-support.tar.gz"), help="the file to write")


def run(args: argparse.Namespace) -> int:
    """0 when the file is written."""
    try:
        given.demand_own(args.out, b"\x1f\x8b", "support file")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    with tarfile.open(args.out, "w:gz") as archive:
        for name, text in parts(args.config):
            data = text.encode(errors="backslashreplace")
            entry = tarfile.TarInfo(f"gatepost-support/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
    args.out.chmod(0o600)
    print(f"Wrote {args.out}, {args.out.stat().st_size // 1000 + 1} kB. It holds no names, codes or passwords.")
    return 0


def parts(file: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    about = {"release": __version__, "python": platform.python_version(), "machine": platform.machine()}
    about |= {"kernel": platform.release(), "system": _text(Path("/etc/os-release"))}
    yield "about.json", json.dumps(about, indent=1)
    yield "site.txt", "".join(f"{each.grade:8} {each.what}: {each.text}\n" for each in site.checks())
    for command in ("show", "check"):
        yield f"{command}.txt", printed(lambda command=command: _run(command, file))  # type: ignore[misc]
    yield "status.json", printed(lambda: _run("status", file, "--json"))
    for name, words in _COMMANDS.items():
        try:
            done = subprocess.run(  # noqa: S603 - our own words
                words, capture_output=True, text=True, errors="backslashreplace", check=False, timeout=_LIMIT_S
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        yield name, done.stdout + done.stderr


def _run(command: str, file: Path, *words: str) -> object:
    from agent.cli import parser_of  # noqa: PLC0415 - that module imports this one's commands

    args = parser_of(command).parse_args([command, "-c", str(file), *words])
    return importlib.import_module(f"agent.cli.{command}").run(args)


def printed(say: Callable[[], object]) -> str:
    """What something prints, on both outputs."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        say()
    return out.getvalue()


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "backslashreplace")
    except OSError:
        return ""
