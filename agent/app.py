"""The composition root: builds every part from the configuration, starts them in order, stops them in reverse."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
import time
import zlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from agent import __version__, indicators, log, mqtt
from agent.checkpoint import Checkpoint, DecisionRules
from agent.checkpoint.lanes import MOST_WAITING
from agent.config import identity, lane_tickets
from agent.control import BundleReceiver, CommandReceiver, local_socket, staff, staff_state, watch
from agent.control.commands import Commands
from agent.control.inbox import MessageInbox
from agent.control.local_socket import LocalSocket
from agent.control.staff import StaffSocket
from agent.control.staff_context import StaffContext
from agent.control.watch import Watch
from agent.credentials.bundle import BadBundle
from agent.credentials.formats import card
from agent.devices import LATE_ENTRY_S, LATE_EXIT_S, GateWorker, SensorWorker
from agent.devices.indicator_worker import IndicatorWorker
from agent.devices.screen_worker import ScreenWorker
from agent.devices.sensor_tap import SensorTap
from agent.devices.workers import Workers
from agent.events import CHANNELS, Encoder, Topics
from agent.events.state import Counts, DeviceState, LaneCounts, State, VenueState
from agent.indicators import Light
from agent.loop import IDLE_TURN_S, Loop
from agent.loop.inbox import Inbox
from agent.loop.ledger import LedgerKeeper
from agent.model import AgentChange, Component, Direction, InForce, LaneSpec, Role
from agent.model.lazy import dataclass, make_some
from agent.outbox import Outbox
from agent.outbox.retention import Retention
from agent.platform import malloc, systemd
from agent.platform.clock import Clock, boot_id
from agent.platform.files import state_folder, was_written_since
from agent.platform.periodic import Housekeeping, Job, aligned_wait_s
from agent.privacy import Redaction
from agent.ruleset import Ruleset, calibration_files
from agent.ruleset.base_fetch import BaseFetcher
from agent.ruleset.base_siblings import SiteSharing
from agent.ruleset.calibration_files import BaselineSaver, load_baselines
from agent.ruleset.load import bundle_store
from agent.ruleset.staff_file import StaffFile
from agent.ruleset.venue_files import load_venue
from agent.supervisor import HealthMonitor, metrics
from agent.supervisor.crash_loop import StartHistory
from agent.supervisor.handover import NotLoadedError, Successor, load_successor
from agent.supervisor.lane_status import LaneStatusKeeper
from agent.supervisor.metrics import Metrics
from agent.supervisor.report import HealthReport
from agent.supervisor.rollout import ConfigRollout
from agent.supervisor.startup import Startup
from agent.supervisor.upgrade import NOTICE, Upgrades
from agent.tickets.register import UsedTickets
from agent.venue import Vehicle, Venue, VenueInForce
from agent.web.options import PublicDetail
from drivers import registry
from drivers.contract import Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from agent.config import Config, LaneConfig
    from agent.config.outputs import Device
    from agent.devices.workers import Worker
    from agent.enrolment.renewal import Renewal
    from agent.model import Observation, TimeBounds
    from agent.model.effects import Cue, Effect
    from agent.model.problems import Finding
    from agent.model.status import OutboxStatus
    from agent.mqtt.peers import PeerChannel
    from agent.ruleset.bundle_store import BundleStore
    from agent.tickets.exchange import Use
    from drivers.contract import Sink

journal = logging.getLogger(__name__)

RESTART = 75
"""Exit status: start me again (EX_TEMPFAIL of sysexits.h)."""
STOP_S = 5.0
"""Each service gets so long to stop; most need a moment."""
SWITCH_STOP_S = 0.5
"""So long the link may still send while another release waits to take over, with the gate shut: what is left leaves
with that one.
"""
LOOK_EVERY_S = 1.0
CLASSES_AT_ONCE = 2
"""Classes whose methods are made in one go, once a second: a millisecond or two, for somebody may come."""
_MEASURING = (Role.THERMOMETER, Role.ROOM, Role.RANGE)
_NO_VENUE = VenueInForce(is_served=False)
TICKETS_EVERY_S = 10.0
"""How often the store of used tickets is looked after where no other kiosk is told of them."""
_VENUE_S = 0.25
_MOVES_S = 0.8
"""The loop comes round at least twice a second; one that has not for so long stands still."""
_LAG_FILE = "ledger-lags"
"""In the runtime directory, which is in memory and outlives the agent, not the boot."""


def channels(config: Config) -> list[str]:
    """What this kiosk shares with the others of its site, of a configuration without faults (`events.CHANNELS`)."""
    venue = load_venue(config.venue, config.folder, config.codes.bundles).in_force
    shares_tickets = any(lane.places for lane in config.lanes.values()) and set(config.tickets.kiosks) - {
        config.kiosk.id
    }
    shares_room = venue is not None and venue.rules.room.kiosks
    return [name for name, is_shared in zip(CHANNELS, (shares_tickets, shares_room), strict=True) if is_shared]


class Service(Protocol):
    """A part of the agent that is started and stopped."""

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self, limit_s: float) -> None:
        """End within `limit_s`; also when it was never started."""


def _bundles(config: Config) -> BundleStore:
    """The central server's bundles, of which those count that are for this kiosk."""
    store = bundle_store(config.bundle_folder)
    if config.codes.bundles:
        store.serve(config.kiosk.targets)
    return store


class App:
    """The agent, whole. `run` blocks until `stop`, SIGTERM or SIGINT."""

    status = 0
    """What the process is to end with."""
    _successor: Successor | None = None
    _is_loading = _is_ended = False

    def __init__(self, config: Config, began: Startup | None = None) -> None:
        """Build everything; nothing is opened yet. Raises BadTrustStore, BadTable, BadCalibration; none in safe
        mode.
        """
        began = began or Startup(config)
        self._bundles = _bundles(config)
        # first, so that its errors are raised before any file or device is open
        self._ruleset = Ruleset(
            config.codes,
            config.policy,
            config.folder,
            config.screening.calibration,
            careful=bool(began.safe),
            venue=config.venue,
        )
        self._began = began
        self._stopping = threading.Event()
        self._clock = clock = Clock(config.clock)
        self._staff_file = StaffFile(self._bundles, clock.now)
        topics = Topics(config.kiosk.site, config.kiosk.id, config.kiosk.groups)
        self._health = HealthMonitor(config.runtime.directory, self.restart)
        retention = Retention(lambda now: self._ruleset.privacy_rules(now).retention_s, clock.now, boot_id())
        lag_file = config.runtime.directory / _LAG_FILE
        self._outbox = Outbox(config.outbox, Encoder(topics), retention.too_old, lag_file=lag_file)

        # from the devices to the decision, and back to gate, lamp and buzzer
        inbox = Inbox(name for name, lane in config.lanes.items() if lane.direction is Direction.EXIT)
        tap = SensorTap(
            _without_documents(
                lambda seen: self._staff.on_observation(seen),  # noqa: PLW0108 - it is made below
                lambda: self._ruleset.privacy_rules(clock.now()).documents,
            )
        )
        self._watch = _watch(config, began, lambda: time.monotonic() - self._loop.last_step_s < _MOVES_S)
        lanes = {
            name: _lane_workers(name, lane, began, tap, inbox, self._watch) for name, lane in config.lanes.items()
        }
        self._workers = Workers(worker for lane in lanes.values() for worker in lane.all())
        tickets = _tickets(config, lambda second, first: inbox.add(_used_twice(second, first)))
        if tickets is not None:
            self._outbox.on_older = tickets.note_older
        venue = _venue(config, self._ruleset, clock.now)
        ledger = LedgerKeeper(
            venue,
            lambda entries, replaces: self._outbox.store_entries(entries, replaces=replaces),
            lambda: self._link.status().connected,
        )
        self._outbox.on_ledger = ledger.found
        venue.is_kept, venue.is_lag_known = self._outbox.has_ledger, self._outbox.remembers_lag
        ledger.call_staff = partial(_call_staff, list(lanes.values()))
        self._groups, self._lane_names = topics.groups, tuple(config.lanes)
        self._ledger, self._region = ledger, config.venue.region[-1] if config.venue.region else ""
        checkpoint = _checkpoint(config, self._ruleset, clock.now(), tickets, venue)
        self._lane_status = LaneStatusKeeper(config.lanes, lambda: checkpoint.is_busy, time.monotonic())
        self._loop = Loop(
            checkpoint,
            inbox,
            open_gate={name: lane.open_gate for name, lane in lanes.items()},
            show={name: lane.show for name, lane in lanes.items()},
            store=self._outbox.store,
            log_event=log.log_event,
            redact=Redaction(topics.source, self._ruleset.privacy_rules),
            now=clock.now,
            ruleset_generation=self._ruleset.generation,
            boot_id=boot_id(),
            simulated=config.kiosk.simulated,
            ledger=ledger,
            discreet=config.web.public is PublicDetail.DISCREET,
            observe=self._observe,
        )

        self._upgrades = self._releases(config, topics)

        # commands: from the central server and from technicians
        messages = MessageInbox(topics.commands)
        self._link = mqtt.Link(
            config.mqtt, topics, self._outbox, self._state, messages, self._verify_receipt, clock.now
        )
        self._room = _Room(self._link, ledger)
        self._commands = self._kiosk_commands(config)
        store = self._bundles if config.codes.bundles else None
        self._receiver = CommandReceiver(
            config.commands,
            topics,
            messages,
            store,
            self._commands.table,
            BundleReceiver(store, self._commands.apply_bundle, clock.now, topics.targets),
            inbox.add,
            clock.now,
            self._link.refetch_retained,
        )
        self._local_socket = LocalSocket(
            config.runtime.directory / local_socket.NAME,
            config.lanes,
            tap,
            self._loop.request,
            config.screening.clinical_uncertainty_c,
            lambda: ledger.view,
            lambda: self._staff.begin_pairing(),  # noqa: PLW0108 - the same
        )
        self._staff = self._staff_socket(config, lambda: ledger.view)
        for closure in (*ledger.closures(), *self._staff.closures()):
            inbox.add(closure)

        # housekeeping, health and the report
        self._report = self._health_report(config)
        self._tickets = tickets
        baselines = BaselineSaver(config.screening.baseline_file, lambda: checkpoint.screens.baselines)
        self._rollout = self._config_rollout()
        self._housekeeping = Housekeeping(self._jobs(config, baselines))
        self._register(lambda: checkpoint.screens.findings)
        bases = self._base_fetcher(config, topics, lambda: checkpoint.is_busy)
        self._health.register(bases.health)
        self._services: tuple[Service, ...] = (
            self._health,  # the watchdog is fed from before the first to after the last
            self._outbox,
            self._link,
            self._housekeeping,
            *([] if tickets is None else [self._sharing(tickets, clock)]),
            *self._renewal(config, clock.now),
            self._room,
            *([] if self._upgrades is None else [self._upgrades]),
            _Lifetime(self._loop, began),
            self._workers,
            self._receiver,
            bases,
            self._local_socket,
            self._watch,
            self._staff,
        )

    def _kiosk_commands(self, config: Config) -> Commands:
        """What the commands of the central server may do."""
        return Commands(
            config.lanes,
            self._workers,
            self._ruleset,
            self._link,
            ask=self._loop.request,
            flush=self._outbox.flush,
            waiting=lambda: self._outbox.status().waiting,
            report=self._health.report,
            recent_log=log.recent,
            restart=self.restart,
            now=self._clock.now,
            recover=self._recover,
            folder=state_folder(config.folder),
            venue_day=lambda: (self._ledger.view or {}).get("report"),
            tries_config=self._began.memory is not None,
            installs_releases=self._upgrades is not None,
            read_staff=self._staff_file.read,
        )

    def _health_report(self, config: Config) -> HealthReport:
        """What `gatepost status` and the metrics show beside the health of the parts."""
        return HealthReport(
            config.kiosk,
            self._began,
            self._clock,
            self._loop,
            devices=self._workers.status,
            outbox=self._outbox.status,
            commit_times=self._outbox.took,
            link=self._link.status,
            commands=self._receiver.status,
            list_ages=lambda: self._ruleset.ages,
            venue=self._venue,
            lanes=self._lane_status,
            in_force=lambda: list(self._in_force()),
            recent_log=log.recent,
        )

    def _config_rollout(self) -> ConfigRollout | None:
        """The trial of a configuration from the central server; None on a kiosk that remembers none."""
        memory = self._began.memory
        if memory is None:
            return None
        return ConfigRollout(
            self._began,
            memory,
            lambda: self._loop.internal_errors,
            self._loop.inbox.add,
            lambda: self._health.health,
            self.restart,
        )

    def _base_fetcher(self, config: Config, topics: Topics, is_busy: Callable[[], bool]) -> BaseFetcher:
        """Fetches the bases of lists."""
        return BaseFetcher(
            self._ruleset.wanted_bases,
            self._ruleset.generation,
            self._link.fetch,
            is_busy=is_busy,
            paths=[config.folder / name for name in config.codes.lists],
            ca_file=config.mqtt.ca_file,
            source=topics.source,
            sharing=SiteSharing(config.codes.share_port) if config.codes.share_port else None,
            held=self._ruleset.held_bases,
        )

    def _sharing(self, tickets: UsedTickets, clock: Clock) -> _Tickets:
        """The used tickets, shared with the other kiosks of the site."""
        used = _Tickets(tickets, self._link, clock)
        self._health.register(tickets.health)
        if used.channel is not None:
            self._health.register(used.channel.health)
        return used

    def _observe(self, effect: Effect) -> None:
        """Every effect of the checkpoint: for screens and pages."""
        self._watch.on_effect(effect)
        self._staff.on_effect(effect)
        self._lane_status.on_effect(effect)

    def _staff_socket(self, config: Config, venue: Callable[[], Mapping[str, Any] | None]) -> StaffSocket:
        """The socket for the pages of guards."""
        folder = state_folder(config.folder)
        context = StaffContext(
            {name: _lane_spec(lane) for name, lane in config.lanes.items()},
            self._loop.request,
            self._loop.inbox.add,
            self._staff_file.read,
            self._staff_file.known,
            self._staff_file.is_certain,
            self._clock.now,
            self._ruleset.explain,
            self._ruleset.may_override,
            venue,
            lambda: here.forms if (here := self._ruleset.venue()) is not None else {},
            self._health.report,
            self._watch.show_pairing,
            self._watch.has_screen,
            config.screening.clinical_uncertainty_c,
            config.web.second_person,
            lambda: self._ruleset.privacy_rules(at := self._clock.now()).key_at(at) is not None,
            lambda: {**_pages(config, self._clock.now()), "local_port": self._watch.local_port},
        )
        return StaffSocket(config.web.directory / staff.NAME, folder / staff_state.NAME, context)

    def _renewal(self, config: Config, now: Callable[[], TimeBounds]) -> Iterator[Renewal]:
        """Of the certificate of a kiosk that was enrolled."""
        pairs = self._link.pairs
        if pairs is not None and identity(config.file).exists():
            from agent.enrolment.renewal import Renewal  # noqa: PLC0415 - most starts need none of it

            yield Renewal(pairs, self._link.requests().request, now, self._link.renew)

    def _releases(self, config: Config, topics: Topics) -> Upgrades | None:
        """Of a kiosk that takes bundles and was installed as packages."""
        if not config.codes.bundles or not NOTICE.parent.exists():
            return None
        folder, record = state_folder(config.folder), self._loop.inbox.add
        return Upgrades(
            folder, self._bundles, topics.source, record, self._lane_status.quiet_s, config.mqtt.ca_file
        )

    def run(self) -> None:
        """Start, step until told to stop, stop. An error that ends the loop is raised after the stopping."""
        try:
            for service in self._services:
                service.start()
            systemd.notify("READY=1")
            while not self._stopping.is_set():
                self._loop.step(aligned_wait_s(IDLE_TURN_S))
        finally:
            self._shut_down()

    def _shut_down(self) -> None:
        """Stop every service in reverse order: sockets, devices, the last event, then the link that sends it."""
        if self.successor is None:
            systemd.notify("STOPPING=1")
        self._health.ending()
        for service in reversed(self._services):
            try:
                service.stop(SWITCH_STOP_S if service is self._link and self.successor else STOP_S)
            except Exception:  # noqa: BLE001 - whatever one does, the others must stop
                journal.exception("%s did not stop; the others are stopped", type(service).__name__)
        _log_totals(self._outbox.status())

    def stop(self) -> None:
        """Ask `run` to end; from any thread or signal handler."""
        self._stopping.set()
        self._loop.wake()

    def restart(self, why: str) -> None:
        """Stop as usual, with a status that makes the service manager start the agent again. Any thread."""
        if not self._stopping.is_set():
            journal.warning("the agent restarts: %s", why)
            self.status = RESTART
            self.stop()

    def obey_signals(self) -> None:
        """SIGTERM and SIGINT stop the agent; SIGHUP of root's helper lets another release take over. Main thread
        only.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        if systemd.is_service():
            signal.signal(signal.SIGHUP, lambda *_: self._hand_over())

    def _end(self) -> None:
        """Stop, and let nobody take over."""
        self._is_ended = True
        self.stop()

    @property
    def successor(self) -> Successor | None:
        """Another release that is loaded, and takes over when this one has stopped."""
        return None if self._is_ended else self._successor

    def _hand_over(self) -> None:
        """Have the release that the link names by now load itself, and then take over. Returns at once."""
        if not self._is_loading:
            self._is_loading = True
            threading.Thread(target=self._load_successor, name="handover", daemon=True).start()

    def _load_successor(self) -> None:
        journal.info("another release is loaded, to take over")
        try:
            self._successor = load_successor()
            self.stop()
        except NotLoadedError as error:
            journal.error("the other release does not take over: %s", error)
            if not error.knows_how:
                self.restart("the other release has to be started in the usual way")
        finally:
            self._is_loading = False

    def _jobs(self, config: Config, baselines: BaselineSaver) -> Iterator[Job]:
        """What is done again and again."""
        yield Job("rules", LOOK_EVERY_S, self._ruleset.refresh_and_scrub)
        yield Job("clock", LOOK_EVERY_S, self._clock.save_if_due, self._clock.save)
        yield Job("baseline", calibration_files.EVERY_S, baselines.save_if_changed, baselines.save_if_changed)
        yield Job("room", LOOK_EVERY_S, self._room.open_channel_if_named)
        yield Job("staff list", LOOK_EVERY_S, self._staff_file.read)
        if (tickets := self._tickets) is not None and not tickets.has_peers:
            yield Job("tickets", TICKETS_EVERY_S, lambda: tickets.tick(self._clock.now()))
        yield Job("memory", malloc.EVERY_S, malloc.give_back)
        yield Job("classes", LOOK_EVERY_S, partial(make_some, CLASSES_AT_ONCE))
        if self._rollout is not None:
            yield Job("configuration", LOOK_EVERY_S, self._rollout.check)
        if config.health.metrics_file is not None:
            written = Metrics(config.health.metrics_file, self._report, lambda: self._health.health)
            yield Job("metrics", metrics.EVERY_S, written.refresh, written.remove)

    def _register(self, screening: Callable[[], Mapping[str, tuple[Finding, ...]]]) -> None:
        """Every part tells the supervisor how it is."""
        for probe in (
            self._loop.health, self._outbox.health, self._link.health, self._receiver.health, self._room.health,
            self._staff.health,
        ):  # fmt: skip
            self._health.register(probe)
        self._health.register(lambda: self._ruleset.health(self._clock.now()))
        self._health.register(self._clock.health)
        self._health.register(lambda: (Component("root", findings=self._bundles.root_findings(self._clock.now())),))
        self._health.register(self._began.health)
        self._health.register(
            lambda: [Component(f"{lane} screening", findings=found) for lane, found in screening().items()]
        )
        self._health.register(self._housekeeping.health)
        self._health.register(self._workers.health, self._workers.replace_hung)
        self._health.publish(self._report.sections)

    def _recover(self) -> bool:
        """Leave safe mode, as the central server commands it; whether there was anything to leave."""
        memory = self._began.memory
        if memory is None or not memory.starts.safe:
            return False
        memory.count(StartHistory.recovered)  # the watch over the configuration sees it, and starts the agent again
        return True

    def _verify_receipt(self, receipt: bytes) -> dict[str, Any]:
        """What the central server has signed of a receipt. Raises BadBundle, or OSError when there is no root."""
        return self._bundles.verify_statement(receipt, "receipt", self._clock.now())

    def _state(self) -> State:
        """What the retained state says."""
        found = self._workers.status()
        outbox = self._outbox.status()
        devices = tuple(
            DeviceState(one.lane, one.role, one.driver, one.up, one.error, one.simulated) for one in found
        )
        return State(
            software_version=__version__,
            groups=self._groups,
            simulated=any(one.simulated for one in found),
            devices=devices,
            problems=self._health.health.problems,
            clock_state=self._clock.now().state,
            counts=Counts(outbox.decided, outbox.stored, outbox.delivered, outbox.lost, outbox.waiting),
            safe=bool(self._began.safe),
            config_version=self._began.version,
            in_force=tuple(self._in_force()),
            release=None if self._upgrades is None else self._upgrades.release,
            venue=self._venue(),
            lanes=tuple(_lane_counts(lane, self._loop) for lane in self._lane_names),
        )

    def _venue(self) -> VenueState | None:
        return _venue_state(self._ledger.view, self._region)

    def _in_force(self) -> Iterator[InForce]:
        """The version in force of everything that the central server may send."""
        with contextlib.suppress(OSError, BadBundle):  # no root, or one that the problems tell of
            yield InForce("root", version=self._bundles.root().bundle.version)
        yield from self._ruleset.in_force()
        yield from self._staff_file.in_force
        yield from () if self._upgrades is None else self._upgrades.in_force
        version = self._began.version
        yield InForce("config", version=version, source="bundle" if version else "file")


class _Lifetime:
    """The first and the last event of a run."""

    def __init__(self, loop: Loop, began: Startup) -> None:
        self._loop = loop
        self._began = began

    def start(self) -> None:
        """Record that the agent has started, perhaps in safe mode."""
        self._loop.record(AgentChange("started", __version__, config_version=self._began.version))
        if self._began.safe:
            self._loop.record(AgentChange("safe_mode", __version__, detail=self._began.safe))

    def stop(self, _limit_s: float) -> None:
        """Handle what waits in the inbox, then record that the agent has stopped."""
        self._loop.finish()
        self._loop.record(AgentChange("stopped", __version__))


class _Tickets:
    """The used tickets, shared with the other kiosks of the site."""

    def __init__(self, tickets: UsedTickets, link: mqtt.Link, clock: Clock) -> None:
        self._tickets = tickets
        self.channel: PeerChannel | None = None
        if tickets.has_peers:
            self.channel = link.share("used", tickets, lambda: tickets.tick(clock.now()))
            tickets.send = self.channel.send

    def start(self) -> None:
        """Report tickets that were used twice, and connect to the other kiosks."""
        self._tickets.report_late()
        if self.channel is not None:
            self.channel.start()

    def stop(self, limit_s: float) -> None:
        """Disconnect from the other kiosks, and close the file."""
        if self.channel is not None:
            self.channel.stop(limit_s)
        self._tickets.close()


class _Room:
    """The other kiosks that share the places of this venue, once its rules name any."""

    def __init__(self, link: mqtt.Link, ledger: LedgerKeeper) -> None:
        self._link, self._ledger = link, ledger
        self._channel: PeerChannel | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Connect to the other kiosks, where the rules name any."""
        self.open_channel_if_named()

    def open_channel_if_named(self) -> None:
        """Connect when new rules name other kiosks. Any thread."""
        with self._lock:
            if self._channel is not None or self._is_over or not self._ledger.venue.rules.room.kiosks:
                return
            self._channel = self._link.share("tally", self._ledger)
            self._ledger.send = self._channel.send
            self._channel.start()

    def health(self) -> Iterator[Component]:
        """Whether the channel to the other kiosks works."""
        if self._channel is not None:
            yield from self._channel.health()

    def stop(self, limit_s: float) -> None:
        """Disconnect from the other kiosks."""
        with self._lock:
            self._is_over = True
        if self._channel is not None:
            self._channel.stop(limit_s)


@dataclass(frozen=True, slots=True)
class _LaneWorkers:
    """The device workers of one lane."""

    sensors: Sequence[SensorWorker]
    gate: GateWorker | None
    indicators: Sequence[IndicatorWorker]
    screens: Sequence[ScreenWorker]

    def all(self) -> Iterator[Worker]:
        """Every worker of the lane, the gate after the scanner."""
        yield from self.sensors[:1]
        if self.gate is not None:
            yield self.gate
        yield from self.sensors[1:]
        yield from self.indicators
        yield from self.screens

    def open_gate(self) -> Future[bool] | None:
        """Command one opening; where there is no gate, none."""
        return None if self.gate is None else self.gate.open_gate()

    def show(self, cue: Cue, after: Future[bool] | None) -> None:
        """Show a cue on lamp, buzzer and screen, after an opening of the gate."""
        for worker in self.indicators:
            worker.show(cue, after)


def _lane_workers(
    name: str, lane: LaneConfig, began: Startup, tap: SensorTap, inbox: Inbox, pictures: Watch
) -> _LaneWorkers:
    sensors = {
        Role.SCANNER: lane.scanner,
        Role.CARD: lane.card,
        Role.THERMOMETER: lane.thermometer,
        Role.ROOM: lane.room,
        Role.RANGE: lane.range,
        Role.BUTTON: lane.button,
        Role.LOCATION: lane.location,
    }

    def nap(role: Role, seconds: float) -> bool:
        """Whether a sensor may rest: nobody is there, and no technician reads it."""
        return role in _MEASURING and not tap.diverted and inbox.nap(seconds)

    return _LaneWorkers(
        [
            SensorWorker(name, role, device.driver, _maker(device), tap.publish, partial(nap, role))
            for role, device in sensors.items()
            if device is not None
        ],
        None if lane.gate is None else _gate(name, lane, lane.gate, inbox),
        list(_indicators(name, lane, began, inbox)),
        [] if lane.screen is None else [ScreenWorker(name, partial(pictures.trouble, name), inbox.add)],
    )


def _gate(name: str, lane: LaneConfig, gate: Device, inbox: Inbox) -> GateWorker:
    lapse_s = LATE_EXIT_S if lane.direction is Direction.EXIT else LATE_ENTRY_S
    return GateWorker(
        name, Role.GATE, gate.driver, _maker(gate), inbox.add, release_s=lane.release_s, lapse_s=lapse_s
    )


def _indicators(name: str, lane: LaneConfig, began: Startup, inbox: Inbox) -> Iterator[IndicatorWorker]:
    """The workers of the lane's lamp and buzzer, where it has them."""
    if (lamp := lane.lamp) is not None:
        lights = {light: _maker(output) for light, output in lamp.lights.items()}
        yield IndicatorWorker(name, Role.LAMP, lamp.driver, lights, inbox.add, _lamp_panel(lane, began))
    if (buzzer := lane.buzzer) is not None:
        sound: dict[str, Callable[[], Sink]] = {Light.SOUND: _maker(buzzer)}
        yield IndicatorWorker(name, Role.BUZZER, buzzer.driver, sound, inbox.add, indicators.BuzzerPanel())


def _lamp_panel(lane: LaneConfig, began: Startup) -> indicators.LampPanel:
    in_service = lane.direction is Direction.EXIT or not began.safe
    return indicators.LampPanel(lane.release_s, lane.indication_s, in_service=in_service)


def _call_staff(lanes: Iterable[_LaneWorkers], is_on: bool) -> None:
    """Make every lamp call the staff, or stop calling."""
    for lane in lanes:
        for worker in lane.indicators:
            worker.call_staff(is_on=is_on)


def _watch(config: Config, began: Startup, moves: Callable[[], bool]) -> Watch:
    """The socket for screens. Beats stop with the loop, and every screen then sends people to the staff."""
    return Watch(
        config.web.directory / watch.NAME,
        {name: _lamp_panel(lane, began) for name, lane in config.lanes.items()},
        {name: lane.screen for name, lane in config.lanes.items() if lane.screen is not None},
        moves,
    )


def _without_documents(
    put: Callable[[Observation], None], are_allowed: Callable[[], bool]
) -> Callable[[Observation], None]:
    """Numbers of identity cards go no further than the reader's thread, unless the privacy rules allow them."""

    def passed(seen: Observation) -> None:
        item = seen.item
        if isinstance(item, Sighting) and item.payload.startswith(card.DOCUMENT) and not are_allowed():
            seen = replace(seen, item=replace(item, payload=card.without_number(item.payload)))
        put(seen)

    return passed


def _pages(config: Config, now: TimeBounds) -> Mapping[str, Any]:
    """What the process of the pages needs to listen on the network."""
    if not config.web.listen:
        return {"listen": ""}
    from agent.enrolment import page_certificate  # noqa: PLC0415 - most kiosks need none of it

    return page_certificate.for_pages(config.web, state_folder(config.folder), now.earliest_utc)


def _log_totals(kept: OutboxStatus) -> None:
    totals = {name: getattr(kept, name) for name in ("decided", "stored", "delivered", "waiting")}
    journal.info(
        "stopped: %d events decided, %d delivered, %d waiting",
        *(kept.decided, kept.delivered, kept.waiting),
        extra={"facts": {"stopped": True, **totals}},
    )


def _used_twice(second: Use, first: Use) -> AgentChange:
    """Two kiosks let somebody in on one ticket."""
    detail = f"ticket {second.key.hex()[:8]}: {first.kiosk} first, then {second.kiosk}"
    return AgentChange("ticket_used_twice", __version__, detail=detail)


def _tickets(config: Config, report: Callable[[Use, Use], None]) -> UsedTickets | None:
    """The used tickets; None where no lane has places for them."""
    if not any(lane.places for lane in config.lanes.values()):
        return None
    return UsedTickets(config.kiosk.id, config.tickets, report)


def _venue(config: Config, ruleset: Ruleset, now: Callable[[], TimeBounds]) -> Venue:
    """The venue; its rules may also come later, and count from then on."""
    found: tuple[object, float, VenueInForce] = (None, 0.0, _NO_VENUE)

    def in_force() -> VenueInForce:
        """The rules in force: made again when they change, or after 0.25 s, as each person needs them often."""
        nonlocal found
        here, at_s = ruleset.venue(), time.monotonic()
        if here is not found[0] or at_s >= found[1]:
            found = here, at_s + _VENUE_S, _NO_VENUE if here is None else made_of(here)
        return found[2]

    def made_of(here: VenueInForce) -> VenueInForce:
        kept = ruleset.privacy_rules(at := now())
        if vehicle is not None and vehicle.seats and not here.rules.room.capacity:
            room = replace(here.rules.room, capacity=vehicle.seats)
            here = replace(here, rules=replace(here.rules, room=room))
        can_seal = kept.key_at(at) is not None
        return replace(here, vehicle=vehicle, remembers=kept.remembers, can_seal=can_seal)

    options, has_place = config.vehicle, any(lane.location for lane in config.lanes.values())
    is_vehicle = bool(options.plate or options.seats or has_place)
    vehicle = Vehicle(options.plate, options.seats) if is_vehicle else None
    lanes = {name: _lane_spec(lane) for name, lane in config.lanes.items()}
    parts: dict[tuple[str, str], int] = {(name, role): index for name in lanes for index, role in enumerate(Role)}
    return Venue(config.kiosk.id, lanes, in_force, parts)


def _lane_counts(lane: str, loop: Loop) -> LaneCounts:
    counted = (loop.passages.copy(), loop.temperatures.copy())
    passages, temperatures = ({word: n for (at, word), n in each.items() if at == lane} for each in counted)
    return LaneCounts(lane, passages, temperatures)


def _venue_state(view: Mapping[str, Any] | None, region: str) -> VenueState | None:
    """The venue's part of the retained state; None until the ledger has been read."""
    if view is None:
        return None
    cases = [case for case in view["cases"] if not case["drill"]]
    ages = [case["age_s"] for case in cases if case["age_s"] is not None]
    overdue = sum(bool(case["overdue"]) for case in cases)
    return VenueState(view["occupancy"]["inside"], len(cases), overdue, max(ages, default=None), region)


def _checkpoint(
    config: Config,
    ruleset: Ruleset,
    now: TimeBounds,
    tickets: UsedTickets | None = None,
    venue: Venue | None = None,
) -> Checkpoint:
    judgements = rules(config, ruleset, venue)
    return Checkpoint(
        {name: _lane_spec(lane) for name, lane in config.lanes.items()},
        judgements if tickets is None else replace(judgements, tickets=tickets),
        config.checkpoint,
        load_baselines(config.screening.baseline_file, config.screening),
        first_number=zlib.crc32(boot_id().encode()) % MOST_WAITING,
        restarted_s=time.monotonic() if _ran_lately(config, now) else -math.inf,
    )


def _ran_lately(config: Config, now: TimeBounds) -> bool:
    """Whether somebody who was turned away by an agent before this one may still wait here."""
    store = config.outbox.path
    written = (store, store.with_name(f"{store.name}-wal"), config.runtime.directory / "status.json")
    return was_written_since(written, now.earliest_utc - config.screening.clinical_timeout_s)


def rules(config: Config, ruleset: Ruleset, venue: Venue | None = None) -> DecisionRules:
    """The functions by which the checkpoint decides, for this configuration."""
    made = DecisionRules(
        ruleset.check,
        ruleset.decide,
        config.screening,
        ruleset.thermometer,
        may_override=ruleset.may_override,
    )
    return made if venue is None else replace(made, venue=venue.facts_now)


def _lane_spec(lane: LaneConfig) -> LaneSpec:
    fitted = {
        Role.SCANNER: lane.scanner,
        Role.CARD: lane.card,
        Role.THERMOMETER: lane.thermometer,
        Role.GATE: lane.gate,
    }
    return LaneSpec(
        lane.direction,
        lane.lane_type,
        ranged=lane.range is not None,
        tickets=lane_tickets(lane),
        parts=frozenset(role for role, device in fitted.items() if device is not None),
        counts=lane.counts,
        release_s=lane.release_s,
    )


def _maker(device: Device) -> Callable[[], Any]:
    """Builds the driver; called in the device's own thread, so that slow imports delay nobody else."""
    return lambda: registry.load(device.kind, device.driver).Driver(device.options)
