"""`gatepost upgrade`: what a release bundle says, made from packages; what root's helper asks before it uses one.

gatepost upgrade content gatepost-release_0.2.0_arm64.deb --url https://mirror.example/ --permille 50

Sign what it prints (`keys sign --type release`) and send it as any bundle.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.help import number, version
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Root, VersionFloor
from agent.model import ClockState, TimeBounds
from agent.platform.files import replace_file
from agent.upgrade.release import ALL_PERMILLE, BadRelease, parse_release

if TYPE_CHECKING:
    import argparse

_EVER = 4e9

_PERMILLE, _SPREAD_S = number(0, ALL_PERMILLE, 100), number(0, 604_800, 3600)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Arguments of `upgrade`."""
    parser = subparsers.add_parser("upgrade", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    content = actions.add_parser("content", help="print what is to be signed, from the packages of one release")
    content.add_argument("packages", nargs="+", type=Path, help="gatepost-release_VERSION_ARCHITECTURE.deb")
    content.add_argument(
        "--url", action="append", default=[], help="folder where kiosks find them; may be repeated"
    )
    content.add_argument(
        "--permille",
        type=_PERMILLE,
        default=ALL_PERMILLE,
        help="how many of a thousand kiosks (1000)",
    )
    content.add_argument("--salt", default="", help="another salt, other kiosks first; the same, the same")
    content.add_argument("--spread-s", type=_SPREAD_S, default=3600, help="begin to fetch within so many seconds")
    verify = actions.add_parser("verify", help="for root's helper: is this package the signed one?")
    for name in ("trusted", "store", "package"):
        verify.add_argument(f"--{name}", type=Path, required=True, help="a file or folder")
    verify.add_argument("--architecture", required=True, help="amd64 or arm64")
    verify.add_argument("--floor", type=version, default=0, help="version of the bundle that was used last")


def run(args: argparse.Namespace) -> int:
    """0 when it is right; 1 with one sentence on standard error."""
    try:
        return _content(args) if args.action == "content" else _verify(args)
    except (BadBundle, BadRelease, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _content(args: argparse.Namespace) -> int:
    files: dict[str, Any] = {}
    versions = set()
    for package in args.packages:
        _, version, architecture = package.name.removesuffix(".deb").split("_")
        versions.add(version)
        data = package.read_bytes()
        urls = [f"{url.rstrip('/')}/{package.name}" for url in args.url]
        files[architecture] = {"sha256": sha256(data).hexdigest(), "size": len(data), "urls": urls}
    if len(versions) != 1:
        raise BadRelease(f"these are packages of several releases: {', '.join(sorted(versions))}")
    plain = {"version": versions.pop(), "files": files, "spread_s": args.spread_s}
    plain["wave"] = {"salt": args.salt, "permille": args.permille}
    text = json.dumps(plain, indent=1)
    parse_release(text)
    print(text)
    return 0


def _verify(args: argparse.Namespace) -> int:
    """By the root that root keeps; the agent's own is followed where it comes right after it."""
    data = (args.store / "release.bundle").read_bytes()
    root = _root(args.trusted, args.store / "root.bundle")
    claimed = bundle.unverified_header(data)
    now = TimeBounds(0.0, _EVER, ClockState.FLOOR)  # the agent has judged the time, by a clock that it knows
    floor = VersionFloor(args.floor, claimed.digest if args.floor == claimed.version else "", 0.0)
    found = bundle.accept(data, root, floor if args.floor else None, now, kind="release", name=claimed.name)
    release = parse_release(found.content)
    file = release.files.get(args.architecture)
    if file is None:
        raise BadRelease(f"release {release.version} has no package for {args.architecture}")
    if sha256(args.package.read_bytes()).hexdigest() != file.sha256:
        raise BadRelease(f"{args.package} is not the package that was signed")
    print(json.dumps({"version": release.version, "bundle": found.version, "digest": found.digest}))
    return 0


def _root(trusted: Path, beside: Path) -> Root:
    """The root that counts. The first one seen is trusted: it came with the enrolment, or by a technician."""
    newer = beside.read_bytes()
    if not trusted.exists():
        bundle.first_root(newer)
        replace_file(trusted, (newer,))
    root = bundle.first_root(trusted.read_bytes())
    try:
        after = bundle.next_root(root, newer)
    except BadBundle:
        return root
    replace_file(trusted, (newer,))
    return after
