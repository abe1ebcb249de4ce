"""`gatepost upgrade`: make the content of a release bundle from packages, roll out waves, verify a package.

gatepost upgrade content gatepost-release_0.2.0_arm64.deb --url https://mirror.example/ --permille 50

Sign what it prints (`keys sign --type release`) and send it as any bundle. Or sign several waves, and one that
stops them (`--permille 0`): each is sent when the one before it is well, and the stop when too many kiosks fail.

gatepost upgrade rollout wave-1.bundle wave-2.bundle all.bundle --stop stop.bundle --broker broker.example:8883
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import broker_login, given
from agent.cli.help import number, version
from agent.credentials import bundle
from agent.credentials.bundle import BadBundle, Root, VersionFloor
from agent.events.state import ALL_STATES
from agent.model import ClockState, TimeBounds
from agent.mqtt import LinkLost, ShortConnection
from agent.platform import access
from agent.platform.files import replace_file
from agent.ruleset.bundle_store import BundleStore
from agent.texts import did_you_mean
from agent.upgrade import waves
from agent.upgrade.release import ALL_PERMILLE, ARCHITECTURES, BadRelease, Release, is_in, parse_release
from agent.upgrade.waves import Fleet, Step, Wave, WaveLimits

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

_EVER = 4e9
_READ_S = 1.0
_STOPPED = 3
_SAY_AFTER_S = 60.0
"""After so long without a change it is said which kiosks a wave waits for."""
_MOST_NAMED = 20
_ROOT = "/gatepost/v1/"
_LEAVE_OUT = (
    "  Is one gone for good? Remove its retained state (docs/fleet.md, The end). Does one come back later? Start"
    " again without the waves that are done, and with --without SITE/KIOSK."
)

_PACKAGE = re.compile(r"[^_]+_([^_]+)_([^_]+)\.deb")
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
        help="for how many of a thousand kiosks (default: 1000)",
    )
    content.add_argument(
        "--salt", default="", help="a text that chooses which kiosks come first: with the same one, the same kiosks"
    )
    content.add_argument(
        "--spread-s",
        type=_SPREAD_S,
        default=3600,
        help="kiosks begin to fetch within so many seconds (default: 3600)",
    )
    rollout = actions.add_parser("rollout", help="send wave after wave, and stop when too many kiosks fail")
    _register_rollout(rollout)
    verify = actions.add_parser("verify", help="is this package the signed one, and for whom is it?")
    for name, what in (
        ("trusted", "file of the root that root's helper trusts; made when it is not there"),
        ("store", "folder of bundles; that of a kiosk's agent also says who this kiosk is"),
        ("package", "gatepost-release_VERSION_ARCHITECTURE.deb"),
    ):
        verify.add_argument(f"--{name}", type=Path, required=True, help=what)
    verify.add_argument(
        "--architecture", default=ARCHITECTURES.get(platform.machine(), "?"),
        help="amd64 or arm64 (this machine's: %(default)s)",
    )  # fmt: skip
    verify.add_argument("--floor", type=version, default=0, help="version of the bundle that was used last")


def _register_rollout(rollout: argparse.ArgumentParser) -> None:
    rollout.add_argument("waves", nargs="+", type=Path, help="signed release bundles, the smallest wave first")
    rollout.add_argument(
        "--stop", type=Path, required=True, help="signed bundle of the same release with permille 0"
    )
    rollout.add_argument(
        "--without", action="append", default=[], metavar="SITE/KIOSK",
        help="SITE/KIOSK that is switched off or gone: no wave waits for it; may be repeated",
    )  # fmt: skip
    rollout.add_argument("--broker", required=True, help="HOST:PORT")
    broker_login.add_arguments(rollout)
    limits = WaveLimits()
    rollout.add_argument(
        "--failed-permille", type=_PERMILLE, default=limits.failed_permille,
        help="stop when more of a thousand in a wave fail (default: %(default)s)",
    )  # fmt: skip
    rollout.add_argument(
        "--enough-permille", type=_PERMILLE, default=limits.enough_permille,
        help="of a thousand in a wave, how many run it before the next begins (default: %(default)s)",
    )  # fmt: skip
    rollout.add_argument(
        "--settle-s",
        type=_SPREAD_S,
        default=int(limits.settle_s),
        help="and for how many seconds all must be well (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """0 when it is right; 1 with one sentence on standard error; 3 when a rollout has stopped itself; 75 when the
    disk kept `verify` from finding out.
    """
    try:
        return {"content": _content, "verify": _verify, "rollout": _rollout}[args.action](args)
    except OSError as error:
        print(access.why(error), file=sys.stderr)
        return os.EX_TEMPFAIL if args.action == "verify" else 1
    except (BadBundle, BadRelease, LinkLost, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


def _content(args: argparse.Namespace) -> int:
    files: dict[str, Any] = {}
    versions = set()
    for package in args.packages:
        if (named := _PACKAGE.fullmatch(package.name)) is None:
            raise BadRelease(f"{package.name} is not the name of a package, such as gatepost_1.2.0_arm64.deb")
        version, architecture = named.groups()
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


def _rollout(args: argparse.Namespace) -> int:
    found = [_wave(path) for path in args.waves]
    stop = _wave(args.stop)
    waves.demand_order(found, stop)
    limits = WaveLimits(args.failed_permille, args.enough_permille, args.settle_s)
    fleet = Fleet(left_out=frozenset(map(waves.source_of, args.without)))
    with broker_login.connect(args) as connection:
        connection.subscribe(["gatepost/v1/+/+/event/agent"])
        _read(connection.read_retained(ALL_STATES), fleet, found[0], found[0].version)
        _demand_known(fleet)
        waves.demand_kiosks(found[0], fleet)
        for place, wave in enumerate(found, 1):
            name = f"wave {place} of {len(found)} ({wave.release.permille} ‰)"
            connection.publish(wave.topic, wave.data, retain=True)
            print(f"{name}: sent to {len(fleet.members(wave))} kiosks", flush=True)
            if _follow(connection, fleet, wave, limits, found[0].version) is Step.STOP:
                connection.publish(stop.topic, stop.data, retain=True)
                failed = [source for source in fleet.members(wave) if source in fleet.failed]
                print(f"{name}: STOPPED, {len(failed)} kiosks failed:", flush=True)
                print(*(f"  {source}: {fleet.failed[source]}" for source in failed[:20]), sep="\n", flush=True)
                return _STOPPED
            print(f"{name}: well", flush=True)
    return 0


def _demand_known(fleet: Fleet) -> None:
    """Who is left out must be one of the fleet, or a wave waits for the one that was meant. Raises BadRelease."""
    known = [each.removeprefix(_ROOT) for each in fleet.targets]
    for name in sorted(each.removeprefix(_ROOT) for each in fleet.left_out.difference(fleet.targets)):
        why = "no kiosk of this name has told the broker of itself, so no wave waits for it"
        raise BadRelease(f"--without {name}: {why}{did_you_mean(name, known)}")


def _follow(connection: ShortConnection, fleet: Fleet, wave: Wave, limits: WaveLimits, since: int) -> Step:
    """Watch a wave until it is well or has failed. `since`: version of the first bundle."""
    well_since_s: float | None = None
    told, changed_s = None, time.monotonic()
    waits: list[str] = []
    while True:
        _read(connection.read(_READ_S), fleet, wave, since)
        found, now_s = waves.count(fleet, wave), time.monotonic()
        if found != told:
            print(
                f"  {found.done} of {found.members} run {wave.release.version}, {found.failed} failed", flush=True
            )
            told, changed_s = found, now_s
        if now_s - changed_s >= _SAY_AFTER_S and waits != (waits := _waits(fleet, wave, limits)) and waits:
            print(*waits, sep="\n", flush=True)
        well_since_s = (well_since_s or now_s) if waves.is_enough(found, limits) else None
        step = waves.step(found, limits, now_s - well_since_s if well_since_s else 0.0)
        if step is not Step.WAIT:
            return step


def _waits(fleet: Fleet, wave: Wave, limits: WaveLimits) -> list[str]:
    """Lines that say which kiosks a wave waits for; none when enough run the release."""
    if not (needed := waves.missing(waves.count(fleet, wave), limits)):
        return []
    found = sorted(waves.waited_for(fleet, wave))
    lines = [f"  {each.removeprefix(_ROOT)}: {fleet.waits[each]}" for each in found[:_MOST_NAMED]]
    more = [f"  and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return [f"  waiting for {needed} more of these {len(found)} kiosks:", *lines, *more, _LEAVE_OUT]


def _read(messages: Iterable[tuple[str, bytes]], fleet: Fleet, wave: Wave, since: int) -> None:
    for topic, payload in messages:
        fleet.read(topic, payload, wave.release.version, since)


def _wave(path: Path) -> Wave:
    """Raises BadRelease, BadBundle, OSError."""
    data = given.data(path)
    try:
        said = bundle.unverified_header(data)
        return waves.read_wave(said.type, said.version, said.target, said.content, data)
    except (BadBundle, BadRelease) as error:
        raise BadRelease(f"{path}: {error}") from None


def _verify(args: argparse.Namespace) -> int:
    """By the root that root keeps; those that the agent has taken since are followed one by one."""
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
    plain = {"version": release.version, "bundle": found.version, "digest": release.rollout}
    plain |= {"target": found.target or "*/*", "permille": release.permille, "architectures": sorted(release.files)}
    print(json.dumps(plain | _here(args.store, found, release)))
    return 0


def _here(store: Path, found: bundle.Bundle, release: Release) -> dict[str, Any]:
    """Whether this kiosk takes the release, and if not, why; nothing where the folder of bundles is not an agent's.
    Raises BadBundle, OSError.
    """
    bundles = BundleStore(store)
    why, kiosk = bundles.why_not_ours(found), bundles.kiosk()
    if why is None or not kiosk:
        return {}
    if not why and not is_in(release, waves.source_of(kiosk)):
        why = f"its wave has {release.permille} of a thousand kiosks, and this is none of them"
    return {"kiosk": kiosk, "takes": not why, **({"why": why} if why else {})}


def _root(trusted: Path, beside: Path) -> Root:
    """The root that counts. The first one seen is trusted: it came with the enrolment, or by a technician."""
    newest = beside.read_bytes()
    if not trusted.exists():
        bundle.first_root(newest)
        replace_file(trusted, (newest,))
    root = bundle.first_root(trusted.read_bytes())
    while True:  # each root names the next one; all that came since are kept beside it
        step = beside.with_name(f"root-{root.bundle.version + 1}.bundle")
        data = step.read_bytes() if step.exists() else newest
        try:
            root = bundle.next_root(root, data)
        except BadBundle:
            return root
        replace_file(trusted, (data,))
