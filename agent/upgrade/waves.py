"""How an upgrade goes from wave to wave, and when it stops by itself. Pure.

The bundles of all waves are signed beforehand, and one that stops it (`permille` 0): no key is needed meanwhile.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agent.events import Topics, root_of_target
from agent.events.fleet import KioskRow, row_of
from agent.events.state import kiosk_of
from agent.model import ReleaseStatus
from agent.upgrade.release import BadRelease, Release, is_in, parse_release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_EVENT = re.compile(r"(gatepost/v1/[^/]+/[^/]+)/event/agent")
_KIOSK = re.compile(r"([^/]+)/([^/]+)")
_EVENTS = {"release_applied": True, "release_rolled_back": False, "release_rejected": False}
_FAILED = {ReleaseStatus.REJECTED, ReleaseStatus.ROLLED_BACK}


class Step(StrEnum):
    """What to do with a wave now."""

    WAIT = "wait"
    NEXT = "next"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Wave:
    """One signed bundle."""

    release: Release
    version: int
    """Of the bundle."""
    target: str
    topic: str
    """Where it is published."""
    data: bytes


@dataclass(frozen=True, slots=True)
class WaveLimits:
    """When a wave is done, and when it has failed."""

    failed_permille: int = 10
    """More kiosks of a wave than this take the release back or refuse it: stop. One of a few always counts."""
    enough_permille: int = 950
    """So many have to run it before the next wave begins; the others may be switched off."""
    settle_s: float = 600.0
    """So long it then has to go well."""


@dataclass(slots=True)
class Fleet:
    """What kiosks have told so far."""

    running: dict[str, str] = field(default_factory=dict)
    """Source → release that it runs; empty while it is offline, or has it on trial."""
    targets: dict[str, frozenset[str]] = field(default_factory=dict)
    """Source → targets that it belongs to. Who goes offline no longer tells its groups: those told before stay."""
    failed: dict[str, str] = field(default_factory=dict)
    """Source → why it did not keep the release."""
    has_bundle: set[str] = field(default_factory=set)
    """Sources that are online with a bundle of this rollout: an event of another may be of a rollout before."""
    waits: dict[str, str] = field(default_factory=dict)
    """Source → what it does instead of running a release."""
    left_out: frozenset[str] = frozenset()
    """Sources that no wave waits for: the operator has said so."""

    def read(self, topic: str, payload: bytes, release: str, since: int = 0) -> None:
        """Take a kiosk's state or event; what is neither is passed over. `release`: the one that is brought out;
        `since`: version of the first bundle of its rollout. Who has failed before, or while it was away, says so
        in its state only. A retained state that is removed takes its kiosk out of the fleet.
        """
        try:
            if (event := _EVENT.fullmatch(topic)) is not None:
                self._read_event(f"/{event[1]}", json.loads(payload)["data"], release)
            elif not payload and (named := kiosk_of(topic)) is not None:
                gone = Topics(*named).source
                self.has_bundle.discard(gone)
                for each in (self.running, self.targets, self.waits):
                    each.pop(gone, None)
            elif (row := row_of(topic, payload)) is not None:
                site, kiosk = row.kiosk.split("/")
                here = Topics(site, kiosk, row.groups)
                works = row.state == "online" and row.release_status != ReleaseStatus.ON_TRIAL
                self.running[here.source] = row.software_version if works else ""
                self.waits[here.source] = _why_waited_for(row, release)
                is_of_now = _bundle_of(row) >= since
                self.has_bundle.discard(here.source)
                if is_of_now and row.state == "online":
                    self.has_bundle.add(here.source)
                if row.release == release and row.release_status in _FAILED and is_of_now:
                    self.failed[here.source] = row.release_detail or row.release_status
                if row.state == "online" or here.source not in self.targets:
                    self.targets[here.source] = frozenset(here.targets)
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def _read_event(self, source: str, told: Mapping[str, Any], release: str) -> None:
        kind, (version, _, why) = told["type"], str(told["detail"]).partition(": ")
        if kind not in _EVENTS or version != release:
            return
        if _EVENTS[kind]:
            self.failed.pop(source, None)
        elif source in self.has_bundle:
            self.failed[source] = why or kind

    def members(self, wave: Wave) -> list[str]:
        """Kiosks that a wave is for, of those that have told of themselves."""
        return [
            source
            for source, targets in self.targets.items()
            if source not in self.left_out
            and (not wave.target or wave.target in targets)
            and is_in(wave.release, source)
        ]


def _bundle_of(row: KioskRow) -> int:
    """Version of the release bundle that a kiosk holds; what it says of an older one is of another rollout."""
    return dict(row.held).get("release", 0)


def _why_waited_for(row: KioskRow, release: str) -> str:
    """What a kiosk does that is not done with its wave."""
    if row.state != "online":
        return "offline"
    if row.release != release:
        return f"runs {row.software_version}, and has not said that it knows {release}"
    status = row.release_status.replace("_", " ")
    return f"{status}: {row.release_detail}" if row.release_detail else status


@dataclass(frozen=True, slots=True)
class Count:
    """How far a wave has come."""

    members: int
    done: int
    failed: int


def count(fleet: Fleet, wave: Wave) -> Count:
    """How far a wave has come."""
    members = fleet.members(wave)
    failed = sum(source in fleet.failed for source in members)
    return Count(len(members), len(members) - failed - len(waited_for(fleet, wave)), failed)


def waited_for(fleet: Fleet, wave: Wave) -> list[str]:
    """Kiosks of a wave that neither run the release nor have failed."""
    return [
        source
        for source in fleet.members(wave)
        if source not in fleet.failed and fleet.running[source] != wave.release.version
    ]


def missing(found: Count, limits: WaveLimits) -> int:
    """How many kiosks more have to run the release before enough do."""
    return max(0, -(-(found.members - found.failed) * limits.enough_permille // 1000) - found.done)


def source_of(kiosk: str) -> str:
    """From `SITE/KIOSK`. Raises BadRelease."""
    if (named := _KIOSK.fullmatch(kiosk)) is None:
        raise BadRelease(f"{kiosk!r} is no kiosk: write SITE/KIOSK, for example east-gate/k01")
    return Topics(named[1], named[2]).source


def has_failed(found: Count, limits: WaveLimits) -> bool:
    """Whether more have failed than may."""
    return found.failed * 1000 > found.members * limits.failed_permille


def step(found: Count, limits: WaveLimits, well_s: float) -> Step:
    """What to do; `well_s`: since when enough kiosks run it."""
    if has_failed(found, limits):
        return Step.STOP
    return Step.NEXT if is_enough(found, limits) and well_s >= limits.settle_s else Step.WAIT


def is_enough(found: Count, limits: WaveLimits) -> bool:
    """Whether enough kiosks of the wave run the release."""
    return not missing(found, limits)


def topic_of(target: str) -> str:
    """Where a release bundle for these kiosks is retained."""
    return f"{root_of_target(target)}/bundle/release"


def read_wave(kind: str, version: int, target: str, content: object, data: bytes) -> Wave:
    """A wave from what its bundle says, and its bytes. Raises BadRelease."""
    if kind != "release":
        raise BadRelease(f"it is a bundle of type {kind}, not release")
    return Wave(parse_release(content), version, target, topic_of(target), data)


def demand_order(waves: Sequence[Wave], stop: Wave) -> None:
    """Each wave must take the place of the one before, and the stop that of all. Raises BadRelease."""
    versions = [wave.version for wave in (*waves, stop)]
    if sorted(set(versions)) != versions:
        raise BadRelease(
            f"the bundles have versions {_listed(versions)}: each must be higher than the one before, "
            "and the one that stops the highest, for example 4, 5, 6 and 7"
        )
    if stop.release.permille:
        raise BadRelease(f"the bundle that stops has permille {stop.release.permille}: it needs 0")
    if len({wave.release.version for wave in waves}) > 1:
        raise BadRelease(
            f"the waves bring {_listed(wave.release.version for wave in waves)}: one release at a time"
        )
    if any(wave.topic != stop.topic for wave in waves):
        raise BadRelease("all bundles need the same target: one that stops reaches only whom it is for")


def demand_kiosks(first: Wave, fleet: Fleet) -> None:
    """The first wave must reach somebody, or it tries nothing before the next one. Raises BadRelease."""
    if not fleet.members(first):
        raise BadRelease(
            f"the first wave ({first.release.permille} ‰) reaches none of the {len(fleet.targets)} kiosks"
            " that the broker knows: nothing is sent. Sign it with a larger --permille, for example 500,"
            " or another --salt"
        )


def _listed(each: Iterable[object]) -> str:
    return ", ".join(map(str, each))
