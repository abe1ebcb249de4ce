"""Random lives of a kiosk's clock: boots, power cuts, lost files, false wall clocks, syncs, and people who set it.

`play(seed, folder)` lives one through with the real clock, codes and policy, and knows the true time.
It returns what went wrong. The rules of the game, which say what can be asked of any agent:

- The crystal is off by less than 100 ppm, and the loop looks at the clock before and after whatever happens.
- An honest source that says "synchronised, to within e" is within e. The kernel says "not synchronised" after
  somebody has set the clock; timesyncd's file says nothing of that and goes on as if nothing had happened.
- A lying source (in one script of ten) says that it is synchronised and is not: from then on nothing is asked but
  that `lo` does not fall below what was saved.
- A battery clock that is trusted is right to a second until somebody sets it wrong: that is a lie.
- A clock that is not synchronised says anything at all, also after a boot.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent import credentials, policy
from agent.credentials.formats import gatepost
from agent.credentials.trust import TrustedKey, parse_trust_store
from agent.crypto import signing
from agent.model import ClockState, CodeStatus, Colour, Direction, Outcome, Screening
from agent.platform.clock import BUILT_UTC, Clock, KernelTime, Options, Sources, TimeSource, timesync_error_s
from agent.ruleset import load

if TYPE_CHECKING:
    from pathlib import Path

    from agent.model import TimeBounds

KEY = signing.new_private_key()
TRUST = parse_trust_store([TrustedKey("demo", KEY.public.kid, frozenset({"gatepost"}), KEY.public)])
POLICY = policy.Options()
TABLE = load.load_table(POLICY)
SITE = policy.site_of(POLICY)
GREEN = (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE)
DAY_S = 86_400.0
LOOK_S = 0.5
STEPS = 25
FAR_S = (1.0, 10.0, 600.0, 7200.0, DAY_S, 30 * DAY_S, 400 * DAY_S, 20_000 * DAY_S)


@dataclass
class World:
    """The true time, what the machine believes, and what its source of time says."""

    rng: random.Random
    source: str
    """`kernel` (adjtimex), `timesyncd` (its file), or `battery` (trusted as it is)."""
    true_utc: float
    crystal: float
    here_s: float = 5.0
    wall_utc: float = 0.0
    boot: int = 0
    error_s: float | None = None
    """What the source says, of a kernel's clock."""
    synced_utc: float = 0.0
    """When timesyncd touched its file, by the wall clock."""
    networked: bool = False
    lies: bool = False
    """The source has told what is not so: nothing is sure any more."""

    def pass_time(self, seconds: float) -> None:
        """True seconds; the crystal counts its own. With a network the wall clock is held to the true time."""
        self.true_utc += seconds
        self.here_s += seconds * (1 + self.crystal)
        self.wall_utc += seconds * (1 + self.crystal)
        if self.source == "battery" and not self.lies:
            self.wall_utc = self.true_utc + self.rng.uniform(-0.9, 0.9)
        elif self.networked and not self.lies:
            self.sync()
        elif self.error_s is not None:
            self.error_s += seconds * 500e-6
            if self.error_s > 16:
                self.error_s = None

    def sync(self) -> None:
        """An honest server was reached."""
        error_s = self.rng.choice((0.001, 0.02, 0.3))
        self.wall_utc = self.true_utc + self.rng.uniform(-error_s, error_s)
        self.error_s = error_s
        self.synced_utc = self.wall_utc

    def set_wall(self, utc: float) -> None:
        """Somebody sets the clock, and has pulled the network cable first."""
        self.networked = False
        self.wall_utc = utc
        self.error_s = None
        if self.source == "battery":
            self.lies = True

    def sources(self) -> Sources:
        boot_id = f"boot-{self.boot}"
        return Sources(lambda: self.wall_utc, lambda: self.here_s, self._said, lambda: boot_id)

    def _said(self) -> KernelTime:
        if self.source == "timesyncd":
            return KernelTime(timesync_error_s(self.wall_utc, self.synced_utc), self.synced_utc)
        return KernelTime(self.error_s)


@dataclass
class Life:
    """One script being played."""

    world: World
    options: Options
    clock: Clock
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    lo_utc: float = -math.inf
    saved_utc: float = -math.inf

    def look(self) -> None:
        """As the loop does, and somebody shows codes."""
        world, now = self.world, self.clock.now()
        self.clock.save_if_due()
        self.seen[now.state] += 1
        before_utc = self.saved_utc if world.lies else self.lo_utc
        if now.earliest_utc < before_utc - 1e-6:
            self._fault(f"lo fell by {before_utc - now.earliest_utc:.6f} s", now)
        self.lo_utc = now.earliest_utc
        if world.lies:
            return
        if not now.earliest_utc - 1e-6 <= world.true_utc <= now.latest_utc + 1e-6:
            self._fault("the true time is outside", now)
        if now.state is ClockState.SUSPECT:
            self._fault("an honest source is doubted", now)
        for ends_s in (-1.0, world.rng.uniform(-3, 3), world.rng.choice((-1, 1)) * world.rng.choice(FAR_S[:6])):
            self._show(math.floor(world.true_utc + ends_s), now)

    def _show(self, expires_utc: int, now: TimeBounds) -> None:
        if expires_utc <= BUILT_UTC - 100 * DAY_S:
            return
        claims = gatepost.claims(
            "demo", "anna", Colour.GREEN, issued_utc=expires_utc - 500 * 86_400, expires_utc=expires_utc
        )
        verdict = credentials.check(gatepost.issue(KEY, claims).encode(), TRUST, now)
        facts = policy.facts_of(Direction.ENTRY, verdict, Screening.NORMAL, now, site=SITE, scanner_works=True)
        green = policy.decide(TABLE, facts).outcome in GREEN
        self.seen["shown"] += 1
        self.seen["green"] += green
        if green and expires_utc < self.world.true_utc:
            self._fault(f"WRONG GREEN: ended {self.world.true_utc - expires_utc:.3f} s ago", now)
        sure = now.state is ClockState.SYNCED and expires_utc > now.latest_utc
        if sure and not green:
            self._fault(f"a good code in good time is {verdict.status}", now)
        if (verdict.status is CodeStatus.EXPIRED) and expires_utc > self.world.true_utc:
            self._fault("a good code is called expired", now)

    def _fault(self, what: str, now: TimeBounds) -> None:
        self.wrong.append(f"{what}; true {self.world.true_utc:.3f}, {now}")

    # -- what can happen

    def wait(self) -> None:
        """Some time passes, from a second to months; the loop looks now and then."""
        longest_s = self.world.rng.choice((2.0, 100.0, 7200.0, 5 * DAY_S, 100 * DAY_S))
        self.world.pass_time(self.world.rng.uniform(0.1, longest_s))

    def network(self) -> None:
        """The cable is plugged in: soon the clock is synchronised."""
        self.world.networked = True
        self.world.sync()

    def unplug(self) -> None:
        """No network any more; the source knows it sooner or later."""
        self.world.networked = False

    def set_wall(self) -> None:
        """Somebody sets the clock, forward or back, by a second or by years."""
        by_s = self.world.rng.choice((-1, 1)) * self.world.rng.choice(FAR_S) * self.world.rng.uniform(0.5, 1.5)
        self.world.set_wall(max(0.0, self.world.wall_utc + by_s))

    def restart(self) -> None:
        """The agent ends and starts again; the machine stays up, and meanwhile somebody may set its clock."""
        self.clock.save()
        self._away()
        if self.world.rng.random() < 0.3:
            self.set_wall()
        self._away()
        self._start()

    def kill(self) -> None:
        """The agent is killed and started again: only what was saved within the hour is known."""
        self._away()
        self._start()

    def cut(self) -> None:
        """The power is gone for a while. Then the wall clock says anything, and nobody is trusted yet."""
        world = self.world
        world.true_utc += world.rng.choice((1.0, 60.0, DAY_S, 100 * DAY_S)) * world.rng.random()
        world.boot += 1
        world.here_s = world.rng.uniform(3.0, 60.0)
        world.networked, world.error_s, world.synced_utc = False, None, 0.0
        anything = (0.0, BUILT_UTC, self.saved_utc, world.true_utc, world.rng.uniform(0.0, 4e9))
        world.wall_utc = max(0.0, world.rng.choice(anything))
        if world.source == "battery":
            world.wall_utc = world.true_utc
        if world.rng.random() < 0.15:
            self.options.last_known_time_file.unlink(missing_ok=True)
            self.saved_utc = -math.inf
        self._start()

    def lie(self) -> None:
        """The source says that it is synchronised, and is not."""
        self.set_wall()
        self.world.lies = True
        self.world.error_s, self.world.synced_utc = 0.01, self.world.wall_utc

    def _away(self) -> None:
        self.world.pass_time(self.world.rng.uniform(0.0, 20.0))

    def _start(self) -> None:
        self.clock = Clock(self.options, self.world.sources())
        self.lo_utc = self.saved_utc if self.options.last_known_time_file.exists() else -math.inf

    def live(self) -> None:
        """The whole script."""
        happenings = [self.wait, self.network, self.unplug, self.set_wall, self.restart, self.kill, self.cut]
        if self.world.rng.random() < 0.1:
            happenings.append(self.lie)
        for _ in range(STEPS):
            happening = self.world.rng.choice(happenings)
            self.seen[happening.__name__] += 1
            happening()
            for _ in range(2):
                self.look()
                if self.options.last_known_time_file.exists():
                    self.saved_utc = self.options.last_known_time_file.stat().st_mtime
                self.world.pass_time(LOOK_S)


def play(seed: int, folder: Path) -> tuple[list[str], Counter[str]]:
    """What went wrong in one script, and how often what happened."""
    rng = random.Random(seed)
    source = rng.choice(("kernel", "timesyncd", "battery"))
    begin_utc = BUILT_UTC + rng.uniform(0, 2000 * DAY_S)
    world = World(rng, source, begin_utc, rng.uniform(-99e-6, 99e-6))
    world.wall_utc = begin_utc if source == "battery" else rng.choice((0.0, BUILT_UTC, begin_utc, 3e9))
    options = Options(
        source=TimeSource.SYSTEM if source == "battery" else TimeSource.NTP,
        last_known_time_file=folder / f"clock-{seed}",
    )
    life = Life(world, options, Clock(options, world.sources()))
    life.live()
    options.last_known_time_file.unlink(missing_ok=True)
    return [f"script {seed} ({source}): {wrong}" for wrong in life.wrong], life.seen
