"""TOML → Config. Every error at once, with its line, its path and the nearest valid key.

Each room that can be configured has a frozen dataclass `Options`; each driver has one too. This file composes them:
a section of the file is one dataclass, a key is one field, and the field's type and constraints are the check.
"""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
import typing
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from agent import checkpoint, commands, credentials, mqtt, outbox, policy
from agent import screening as thermal
from agent.config import errors, outputs, overlay, typed
from agent.config.outputs import Device, Lamp
from agent.config.overlay import Overlay
from agent.config.toml_lines import lines_of
from agent.config.typed import Matches, Misfits
from agent.events import Topics
from agent.indicators import HOLD_S
from agent.model import Direction, LaneTickets, LaneType
from agent.model.bounds import Ge, Gt, Le
from agent.model.lazy import dataclass
from agent.platform import clock
from agent.platform.files import read_text, state_folder
from agent.ruleset.venue_files import VenueOptions
from agent.texts import did_you_mean
from agent.tickets import register as tickets
from agent.web import options as web
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

_BELOW, _DROP_IN = "\x1ebelow:", "\x1edrop-in:"
"""Begin the line before the text of another file. No TOML text holds them: control characters are not allowed."""
Name = Annotated[str, Matches(errors.NAME)]


@dataclass(frozen=True, slots=True)
class KioskOptions:
    """Who this kiosk is; both names are part of every topic."""

    id: Name
    """Unique among all kiosks of the site: letters, digits, `.`, `_`, `-`."""
    site: Name = "site"
    """The place where it stands."""
    groups: tuple[Name, ...] = ()
    """Groups that it belongs to beside its site, for commands and bundles to many: a region, a wave."""
    place_code: Annotated[str, Matches(r"^([ -~]{1,1000}|)$")] = ""
    """Address in the 场所码 of this place, as the authority gave it: people scan it with their phones.
    `gatepost show --place-code` draws it, to print and hang up. The kiosk never opens it."""
    simulated: bool = False
    """Mark every event as simulated, whatever the devices are: for trials and demonstrations."""

    @property
    def targets(self) -> tuple[str, ...]:
        """What a command or a bundle may name as its target to count here."""
        return Topics(self.site, self.id, self.groups).targets


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Where the agent writes its status, and what it logs."""

    directory: Path = Path("/run/gatepost")
    """`status.json` is written here once a second; should be in memory (tmpfs)."""
    log_level: Annotated[str, Matches(errors.LEVEL)] = "info"
    """Least level that is logged: debug, info, warning or error."""


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """Trials of configurations, and counters for monitoring."""

    last_good_after_s: Annotated[float, Gt(0), Le(86_400)] = 300.0
    """A configuration that has run for so long is kept as the last good one, seconds."""
    rollout_timeout_s: Annotated[float, Gt(0), Le(3600)] = 180.0
    """Time in which, with a configuration from the central server, everything must work again that worked before;
    else it is rolled back, seconds."""
    rollout_stable_s: Annotated[float, Ge(0), Le(600)] = 30.0
    """Time for which everything must have worked before the configuration is kept, seconds."""
    metrics_file: Path | None = None
    """Write counters here for Prometheus' node exporter (`*.prom`, in its textfile folder), every 15 s; better in
    memory (tmpfs)."""


@dataclass(frozen=True, slots=True)
class VehicleOptions:
    """The vehicle that the kiosk stands in: with one of these set, a driver's badge begins a trip."""

    plate: Annotated[str, Matches(r"^(\S{2,16}|)$")] = ""
    """Number plate, for example "沪A12345". It is sealed to the central server with each trip, and told to nobody
    else."""
    seats: Annotated[int, Ge(0), Le(1000)] = 0
    """Seats for passengers: the most people inside where venue.toml names no capacity; 0: it does not say."""


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """One way through: a scanner, a thermometer, a gate; where there are, sensors of room and distance."""

    direction: Direction
    release_s: float
    scanner: Device | None = None
    card: Device | None = None
    """A second scanner, mostly for cards."""
    thermometer: Device | None = None
    gate: Device | None = None
    room: Device | None = None
    """A thermometer of the room's air or of a wall; serves all lanes that have none of their own."""
    range: Device | None = None
    """Tells how far somebody stands from the thermometer."""
    button: Device | None = None
    """The person who presses it wants to leave."""
    location: Device | None = None
    """Tells where the vehicle is; serves all lanes."""
    lamp: Lamp | None = None
    buzzer: Device | None = None
    screen: web.PanelOptions | None = None
    """Size of the person's screen; None: this lane has none."""
    indication_s: float = 5.0
    lane_type: LaneType = LaneType.PEDESTRIAN
    places: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    tolerance_min: float = 15.0
    time_zone: str = "UTC"
    use_once: bool = True
    counts: str = ""


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """Settings of a lane; its devices have sections of their own."""

    direction: Direction
    """`entry` (fails to staff), `exit` (always opens) or `check` (a counter, a ward: there is no gate)."""
    release_s: Annotated[float, Gt(0), Le(30)] = 3.0
    """How long the gate is released for one person, seconds. A lamp's green lasts as long."""
    indication_s: Annotated[float, Gt(0), Le(30)] = 5.0
    """How long a lamp shows any other answer, seconds."""
    lane_type: LaneType = LaneType.PEDESTRIAN
    """`pedestrian` or `vehicle`: who uses the lane, for the policy."""
    places: tuple[str, ...] = ()
    """Places for which a ticket must be valid to be accepted here (docs/tickets.md): ["concert/12"]. Empty: no
    ticket is for here."""
    services: tuple[str, ...] = ()
    """What leaves or begins here each day, and when: ["ICE 77 18:05", "S 3 18:12"]. For tickets of one train,
    flight or show only."""
    tolerance_min: Annotated[float, Ge(0), Le(720)] = 15.0
    """How long before and after its time a service is boarded, minutes."""
    time_zone: str = "UTC"
    """Time zone of `services`: "Europe/Berlin"."""
    counts: Annotated[str, Matches("^(in|out|none|)$")] = ""
    """How an opening changes the number of people inside: in, out or none; empty: as for the direction."""
    use_once: bool = True
    """A ticket for one entry lets somebody in here once. Set it to false at inner doors."""

    def __post_init__(self) -> None:
        """Refuse a service or a time zone that cannot be read."""
        lane_tickets(self)


def lane_tickets(lane: LaneOptions | LaneConfig) -> LaneTickets:
    """What a lane knows of tickets. Raises ValueError with a sentence."""
    try:
        zone = ZoneInfo(lane.time_zone)
    except (ValueError, OSError, KeyError):
        raise ValueError(
            f'time_zone {lane.time_zone!r} is none that this system knows, for example "Europe/Berlin"'
        ) from None
    services = tuple(policy.parse_service(text) for text in lane.services)
    return LaneTickets(frozenset(lane.places), services, lane.tolerance_min * 60, zone, lane.use_once)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, checked."""

    kiosk: KioskOptions
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)
    clock: clock.Options = field(default_factory=clock.Options)
    screening: thermal.Options = field(default_factory=thermal.Options)
    checkpoint: checkpoint.Options = field(default_factory=checkpoint.Options)
    codes: credentials.Options = field(default_factory=credentials.Options)
    policy: policy.Options = field(default_factory=policy.Options)
    outbox: outbox.Options = field(default_factory=outbox.Options)
    mqtt: mqtt.Options = field(default_factory=mqtt.Options)
    health: HealthOptions = field(default_factory=HealthOptions)
    commands: commands.Options = field(default_factory=commands.Options)
    tickets: tickets.Options = field(default_factory=tickets.Options)
    venue: VenueOptions = field(default_factory=VenueOptions)
    vehicle: VehicleOptions = field(default_factory=VehicleOptions)
    web: web.Options = field(default_factory=web.Options)
    lanes: dict[str, LaneConfig] = field(default_factory=dict)
    file: Path = Path()
    """Where it was read."""
    said: Mapping[tuple[str, ...], SourceLine] = field(default_factory=dict, compare=False, repr=False)
    """Each setting that is not the default → where it is set."""

    @property
    def folder(self) -> Path:
        """Where relative paths start from."""
        return self.file.parent

    @property
    def bundle_folder(self) -> Path:
        """Where the central server's bundles are kept."""
        return self.folder / (self.codes.bundles or "bundles")

    def fault(self, path: tuple[str, ...], what: str) -> ConfigError:
        """That something is wrong with a setting; a default stands on no line, so the first is named."""
        return ConfigError(self.said.get(path) or SourceLine(str(self.file), 1), ".".join(path), what)


class SourceLine(NamedTuple):
    """A line of a text."""

    text: str
    """File, or name of a text that is in none."""
    line: int

    def __str__(self) -> str:
        return f"{self.text}:{self.line}"


SECTIONS: dict[str, type] = {
    "kiosk": KioskOptions,
    "runtime": RuntimeOptions,
    "clock": clock.Options,
    "screening": thermal.Options,
    "checkpoint": checkpoint.Options,
    "codes": credentials.Options,
    "policy": policy.Options,
    "outbox": outbox.Options,
    "mqtt": mqtt.Options,
    "health": HealthOptions,
    "commands": commands.Options,
    "tickets": tickets.Options,
    "venue": VenueOptions,
    "vehicle": VehicleOptions,
    "web": web.Options,
}
PARTS = {
    "scanner": "scanners",
    "card": "scanners",
    "thermometer": "thermometers",
    "gate": "outputs",
    "room": "thermometers",
    "range": "ranging",
    "button": "inputs",
    "location": "positioning",
    "lamp": "outputs",
    "buzzer": "outputs",
}
NEEDED_PARTS = {"entry": ("gate",), "exit": ("gate",)}
"""Direction → what a lane cannot do without; an entry or a check also needs a scanner, a card reader or a
thermometer."""
SCREEN = "screen"
"""The part of a lane that has no driver: another process paints it."""


class BadConfig(Exception):
    """All that is wrong with a configuration; `str()` is one line per fault."""

    def __init__(self, faults: list[ConfigError]) -> None:
        """`faults`: at least one."""
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One thing that is wrong."""

    place: SourceLine
    path: str
    text: str

    def __str__(self) -> str:
        """For a person: file, line, setting, sentence."""
        return f"{self.place}: {self.path}: {self.text}" if self.path else f"{self.place}: {self.text}"


def load(file: Path, above: Overlay | None = None) -> Config:
    """Read and check a configuration file. Raises BadConfig with every fault, or OSError."""
    return parse(read(file), file, above)


def read(file: Path) -> str:
    """Its text, then what lies below and over it (`identity`, `drop_ins`), each after a line that names it; bytes
    that are no UTF-8 are found by `parse`. Raises OSError.
    """
    below = identity(file)
    # what the enrolment brought may be all that there is
    texts = [""] if below.exists() and not file.exists() else [read_text(file, "surrogateescape")]
    if below.exists():
        texts += [f"{_BELOW}{below}", read_text(below, "surrogateescape")]
    for part in drop_ins(file):
        texts.append(f"{_DROP_IN}{part.relative_to(file.parent)}")
        texts.append(read_text(part, "surrogateescape"))
    return "\n".join(texts) if len(texts) > 1 else texts[0]


def identity(file: Path) -> Path:
    """What an enrolment wrote of the kiosk that a configuration file describes; the file goes before it."""
    return state_folder(file.absolute().parent) / "identity.toml"


def drop_ins(file: Path) -> list[Path]:
    """The files of FILE.d that are read after it, in their order: what one says takes the place of what was said
    before. Relative paths in them start from the folder of `file`. Raises OSError.
    """
    folder = file.parent / f"{file.name}.d"  # "/" and "." have no name
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def parse(text: str, file: Path, above: Overlay | None = None) -> Config:
    """Check a configuration's text, with the central server's laid over it; `file` gives relative paths their
    folder. Raises BadConfig.
    """
    tree, places = _whole(text, file)
    reader = _ConfigReader(places, file)
    if above is not None:
        over, over_places = _toml(above.text, above.name)
        places.update(over_places)
        for path, what in overlay.faults(tree, over):
            reader.fault(path, what)
        tree = overlay.laid_over(tree, over)
    config = reader.config(tree, file)
    if reader.faults:
        raise BadConfig(sorted(reader.faults))
    return dataclasses.replace(config, said={path: reader.place(path) for path in overlay.leaves(tree)})


def _whole(text: str, file: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], SourceLine]]:
    """The tree of a file with its drop-ins, as `read` gives them. Raises BadConfig with the faults of all parts."""
    own, *parts = re.split(rf"\n({_BELOW}|{_DROP_IN})(.*)\n", text)
    layers = [(str(file), own)]
    for kind, name, part in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        layers.insert(0 if kind == _BELOW else len(layers), (str(file.parent / name), part))
    tree: dict[str, Any] = {}
    places: dict[tuple[str, ...], SourceLine] = {}
    faults: list[ConfigError] = []
    for name, part in layers:
        try:
            found, found_places = _toml(part, name)
        except BadConfig as error:
            faults += error.faults
            continue
        tree = overlay.laid_over(tree, found)
        places.update(found_places)
    if faults:
        raise BadConfig(sorted(faults))
    return tree, places


def _toml(text: str, name: str) -> tuple[dict[str, Any], dict[tuple[str, ...], SourceLine]]:
    """The tree, and where each key stands. Raises BadConfig."""
    text = text.removeprefix("\ufeff")  # what Windows' editors begin a file with
    if strange := re.search("[\ud800-\udfff]", text):
        line = 1 + text[: strange.start()].count("\n")
        raise BadConfig([ConfigError(SourceLine(name, line), "", "is not UTF-8 text: save the file as UTF-8")])
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line, what = errors.syntax(str(error), text)
        raise BadConfig([ConfigError(SourceLine(name, line), "", what)]) from None
    except ValueError:  # Python's own limit for whole numbers
        found = re.search(r"[0-9_]{4000,}", text)
        line = 1 + text[: found.start() if found else 0].count("\n")
        what = "a number with thousands of digits: no setting takes one"
        raise BadConfig([ConfigError(SourceLine(name, line), "", what)]) from None
    return tree, {path: SourceLine(name, line) for path, line in lines_of(text).items()}


def device(kind: str, driver: str, values: dict[str, Any]) -> Device:
    """A device that no file configures. Raises ValueError with a sentence, KeyError for an unknown driver."""
    reader = _ConfigReader({}, Path("-"))
    options = reader.options((), registry.options_class(kind, driver), values)
    if reader.faults:
        raise ValueError("; ".join(" ".join(filter(None, (fault.path, fault.text))) for fault in reader.faults))
    return Device(kind, driver, options)


class _ConfigReader:
    """Walks the tree once and collects faults."""

    def __init__(self, places: Mapping[tuple[str, ...], SourceLine], file: Path) -> None:
        self.faults: list[ConfigError] = []
        self._places = places
        self._file, self._folder = str(file), file.parent

    def config(self, tree: dict[str, Any], file: Path) -> Config:
        self._unknown((), tree, [*SECTIONS, "lanes"])
        sections = {name: self._section(name, cls, tree.get(name, {})) for name, cls in SECTIONS.items()}
        lanes = self._table(("lanes",), tree.get("lanes", {}))
        if not lanes and not self.faults:
            self.fault(("lanes",), "a kiosk needs at least one lane, for example [lanes.entry]")
        built = {name: self._lane(name, self._table(("lanes", name), lane)) for name, lane in lanes.items()}
        self._share({name: lane for name, lane in built.items() if lane is not None})
        return Config(**sections, lanes=typing.cast("dict[str, LaneConfig]", built), file=file)

    def _section(self, name: str, cls: type, table: object) -> Any:
        return self.options((name,), cls, self._table((name,), table))

    def _lane(self, name: str, table: dict[str, Any]) -> LaneConfig | None:
        path = ("lanes", name)
        if not re.fullmatch(errors.NAME, name):
            self.fault(
                path, f"{name!r} is no name of a lane: it has {errors.NAME_FORM}, for example [lanes.main-entry]"
            )
        own = {key: value for key, value in table.items() if key not in (*PARTS, SCREEN)}
        options = self.options(path, LaneOptions, own, also=(*PARTS, SCREEN))
        screen = None
        if SCREEN in table:
            place = (*path, SCREEN)
            screen = self.options(place, web.PanelOptions, self._table(place, table[SCREEN]))
        needed = NEEDED_PARTS.get(str(own.get("direction")), ())
        given = {part: kind for part, kind in PARTS.items() if part in table or part in needed}
        devices = {part: self._device((*path, part), kind, table) for part, kind in given.items()}
        if options is None or None in devices.values() or (SCREEN in table and screen is None):
            return None
        if misfit := _misfit(name, options, devices.keys()):
            self.fault((*path, *misfit[0]), misfit[1])
            return None
        for part, least_s in (("gate", 0.0), ("lamp", HOLD_S)):
            longest_s = getattr(getattr(devices.get(part), "options", None), "longest_s", math.inf)
            if (release_s := options.release_s) > longest_s:
                self.fault(
                    (*path, "release_s"), f"{release_s} s is longer than the {part}'s longest_s, {longest_s} s"
                )
            elif least_s > longest_s:
                self.fault((*path, part, "longest_s"), f"should be at least {least_s} s, not {longest_s} s")
        return LaneConfig(**typing.cast("Any", {**_fields(options), **devices}), screen=screen)

    def _share(self, lanes: Mapping[str, LaneConfig]) -> None:
        """Parts on one board or port must get along."""
        parts: dict[tuple[str, ...], Device] = {
            ("lanes", name, part): device
            for name, lane in lanes.items()
            for part in PARTS
            if (device := getattr(lane, part)) is not None
        }
        for path, what in outputs.faults(parts):
            self.fault(path, what)

    def _device(self, path: tuple[str, ...], kind: str, lane: dict[str, Any]) -> Device | None:
        part = path[-1]
        known = registry.names(kind)
        if part not in lane:
            self.fault(path[:-1], f"has no {part}: add a section [{'.'.join(path)}] with a driver")
            return None
        table = self._table(path, lane[part])
        driver = table.get("driver")
        if driver not in known:
            what = f"unknown driver {driver!r}" if driver else "no driver named"
            near = did_you_mean(str(driver), known) or "."
            self.fault((*path, "driver"), f"{what}{near} There are {', '.join(known)}")
            return None
        own = {key: value for key, value in table.items() if key != "driver"}
        cls = registry.options_class(kind, driver)
        made, cls = (Lamp, outputs.lamp_class(cls)) if part == "lamp" else (Device, cls)
        options = self.options(path, cls, own, also=("driver",))
        return None if options is None else made(kind, driver, options)

    def options(
        self, path: tuple[str, ...], cls: type, table: dict[str, Any], also: typing.Iterable[str] = ()
    ) -> Any:
        """An instance of `cls`, or None with its faults noted."""
        before = len(self.faults)
        fields = {entry.name: entry for entry in dataclasses.fields(cls)}
        self._unknown(path, table, [*fields, *also])
        known = {key: value for key, value in table.items() if key in fields}
        beyond = list(errors.beyond(cls, known))
        for name in beyond:
            self.fault((*path, name), errors.should_be(cls, name, known.pop(name)))
        for name, what in errors.bad_texts(cls, known):
            self.fault((*path, name), what)
        try:
            value = typed.made_of(cls, known)
        except Misfits as misfits:
            for misfit in misfits.each:
                if misfit.path not in {(name,) for name in beyond}:  # told already
                    what = errors.sentence(misfit, cls, known)
                    place = misfit.path or errors.subject(what, cls, known)
                    self.fault((*path, *map(str, place)), what)
            return None
        return self._from_folder(value) if len(self.faults) == before else None

    def _from_folder(self, options: Any) -> Any:
        """Relative paths start from the configuration's folder; options whose texts may be paths know which are."""
        if hasattr(options, "in_folder"):
            options = options.in_folder(self._folder)
        moved = {name: self._folder / value for name, value in _fields(options).items() if isinstance(value, Path)}
        return dataclasses.replace(options, **moved) if moved else options

    def _unknown(self, path: tuple[str, ...], table: dict[str, Any], known: list[str]) -> None:
        for key in table.keys() - set(known):
            near = did_you_mean(key, known) or f"; there are {', '.join(known)}"
            self.fault((*path, key), f"unknown setting{near}")

    def _table(self, path: tuple[str, ...], value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.fault(path, f"is a section: write [{'.'.join(path)}]")
        return {}

    def fault(self, path: tuple[str, ...], what: str) -> None:
        """Note a fault at its place."""
        self.faults.append(ConfigError(self.place(path), ".".join(path), what))

    def place(self, path: tuple[str, ...]) -> SourceLine:
        """The line of `path`, or of the nearest thing above it that stands in the file; else the first line."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path) or SourceLine(self._file, 1)


def _misfit(name: str, lane: LaneOptions, parts: typing.Collection[str]) -> tuple[tuple[str, ...], str] | None:
    """Where and why the parts of a lane do not fit what it is for."""
    direction = lane.direction
    if direction is not Direction.EXIT and not {"scanner", "card", "thermometer"} & {*parts}:
        return (), f"has neither scanner nor thermometer: add a section [lanes.{name}.scanner] with a driver"
    if direction is Direction.EXIT and not {"scanner", "card", "thermometer", "button"} & {*parts}:
        return (), f"would never open: add a section [lanes.{name}.button], or a scanner, card or thermometer"
    if "button" in parts and direction is not Direction.EXIT:
        return ("button",), 'is for those who leave: the lane needs direction = "exit"'
    if direction is Direction.CHECK and "gate" in parts:
        return ("gate",), 'has no place in a lane with direction = "check": leave it out, or say entry'
    if direction is Direction.CHECK and lane.counts in ("in", "out"):
        return ("counts",), 'counts openings, and a lane with direction = "check" has no gate: leave it out'
    return None


def _fields(options: Any) -> dict[str, Any]:
    return {entry.name: getattr(options, entry.name) for entry in dataclasses.fields(options)}
