"""The composition root: builds every part from the configuration, starts them in order, stops them in reverse."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import __version__, credentials, indicators, log, mqtt, policy
from agent.checkpoint import Checkpoint, DecisionRules
from agent.config import lane_tickets
from agent.control import BundleReceiver, CommandOutput, CommandReceiver, local_socket
from agent.control.commands import Commands
from agent.control.local_socket import LocalSocket
from agent.credentials.bundle import BadBundle
from agent.devices import GateWorker, SensorWorker
from agent.devices.indicator_worker import IndicatorWorker, Worker
from agent.events import Encoder, Topics
from agent.events.state import Counts, DeviceState, State
from agent.indicators import Light
from agent.loop import Loop
from agent.model import AgentEvent, Direction, InForce, LaneSpec, Role
from agent.mqtt.peers import PeerLink
from agent.outbox import Outbox
from agent.outbox.retention import Retention
from agent.platform import systemd
from agent.platform.clock import Clock, ClockSaver, boot_id
from agent.privacy import Redaction
from agent.ruleset import Ruleset
from agent.ruleset import load as vault
from agent.ruleset.calibration_files import BaselineSaver, load_baselines, load_sites
from agent.screening import BadCalibration
from agent.state.crash_loop import StartHistory
from agent.supervisor import HealthMonitor
from agent.supervisor.metrics import Metrics
from agent.supervisor.report import HealthReport
from agent.supervisor.rollout import ConfigRollout
from agent.supervisor.startup import Startup
from agent.tickets.register import UsedTickets
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.config import Config, ConfigError, LaneConfig
    from agent.config.outputs import Device
    from agent.credentials.bundle import Bundle
    from agent.health import Health
    from agent.indicators import Cue
    from agent.tickets.exchange import Use
    from drivers.contract import Sink

journal = logging.getLogger(__name__)

RESTART = 75
"""Exit status: start me again (EX_TEMPFAIL of sysexits.h)."""
_DRAIN_S = 5.0
_JOIN_S = 1.0


def faults_beyond_syntax(config: Config) -> list[ConfigError]:
    """What a configuration names but does not fit: keys, policy table, calibration, who signs receipts."""
    proofs: dict[tuple[str, str], Callable[[], object]] = {
        ("codes", "keys"): lambda: vault.load_trust(config.codes, _folder(config)),
        ("policy", "table"): lambda: _table(config),
        ("screening", "calibration"): lambda: load_sites(config.screening.calibration),
        ("mqtt", "delivery"): lambda: _know_who_confirms(config),
    }
    faults = []
    for path, load in proofs.items():
        try:
            load()
        except (credentials.BadTrustStore, policy.BadTable, BadCalibration) as error:
            faults.append(config.fault(path, str(error)))
    return faults


class App:
    """The agent, whole. `run` blocks until `stop`, SIGTERM or SIGINT."""

    def __init__(self, config: Config, began: Startup | None = None) -> None:
        """Build everything; nothing is opened yet. Raises BadTrust, BadTable, BadCalibration, but in safe mode."""
        self._began = began = began or Startup(config)
        # first: what is wrong with these must be said before anything is held
        careful = bool(began.safe)
        self._rulebook = Ruleset(
            config.codes, config.policy, _folder(config), config.screening.calibration, careful=careful
        )
        self._clock = Clock(config.clock)
        self._floor = ClockSaver(self._clock)
        self._stopping = threading.Event()
        topics = Topics(config.kiosk.site, config.kiosk.id)
        retention = Retention(lambda now: self._rulebook.privacy_rules(now).retention_s, self._clock.now, boot_id())
        self._outbox = Outbox(config.outbox, Encoder(topics), retention.too_old)
        self._bundles = _bundles(config)
        self._link = mqtt.Link(
            config.mqtt, topics, self._outbox, self._state, self._hear, self._vouch, self._clock.now
        )
        self._tickets = _tickets(config, self._report_double)
        checkpoint = _checkpoint(config, self._rulebook, self._tickets)
        self._peers = None
        if self._tickets is not None and self._tickets.has_peers:
            tickets = self._tickets
            self._peers = PeerLink(config.mqtt, topics, tickets, lambda: tickets.tick(self._clock.now()))
            tickets.send = self._peers.send
        self._crowds = BaselineSaver(config.screening.crowd_file, lambda: checkpoint.screens.crowds)
        self._gates: dict[str, Callable[[], None]] = {}
        self._shows: dict[str, Callable[[Cue], None]] = {}
        self._loop = self._looping(config, checkpoint, topics)
        inbox, socket = self._loop.inbox.put, config.run.directory / local_socket.NAME
        self._desk = LocalSocket(socket, config.lanes, inbox, self._loop.request, config.screening.second_u_c)
        self._feeds = [feed for name, lane in config.lanes.items() for feed in self._devices(name, lane)]
        self._do: dict[str, Callable[[Mapping[str, str]], CommandOutput]] = {}
        self._then: dict[str, Callable[[Bundle], Mapping[str, object]]] = {}
        self._orders = self._ordered(config, topics)
        self._vitals = HealthReport(
            config.kiosk, self._feeds, self._outbox, self._link, self._loop, self._clock, self._rulebook,
            self._orders, began, self._bundles.root_findings, lambda: checkpoint.screens.findings,
        )  # fmt: skip
        self._pulse = HealthMonitor(self._vitals, config.run.directory, self.restart)
        self._commands = self._commanded(config)
        self._beside = list(self._watchers(config, began))
        self.status = 0
        """What the process is to end with."""

    def run(self) -> None:
        """Start, turn until told to stop, drain, stop. A defect that ends the loop is raised after the draining."""
        self._outbox.open()
        self._link.start()
        self._loop.record(AgentEvent("started", __version__, config_version=self._began.version))
        if self._began.safe:
            self._loop.record(AgentEvent("safe_mode", __version__, detail=self._began.safe))
        for feed in self._feeds:
            feed.start()
        self._pulse.start()
        self._crowds.start()
        self._floor.start()
        self._rulebook.start()
        if self._tickets is not None:
            self._tickets.report_late()
        if self._peers is not None:
            self._peers.start()
        self._orders.start()
        self._desk.start()
        for thread in self._beside:
            thread.start()
        systemd.notify("READY=1")
        try:
            while not self._stopping.is_set():
                self._loop.step()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Ask `run` to end; from any thread or signal handler."""
        self._stopping.set()
        self._loop.wake()

    def restart(self, why: str) -> None:
        """Stop as ever, with a status that tells whoever looks after the agent to start it anew. Any thread."""
        if not self._stopping.is_set():
            journal.warning("the agent starts anew: %s", why)
            self.status = RESTART
            self.stop()

    def obey_signals(self) -> None:
        """SIGTERM and SIGINT stop the agent. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def _shut_down(self) -> None:
        """Gates and devices first, then the last word, then what is still to be sent."""
        systemd.notify("STOPPING=1")
        self._pulse.ending()
        self._desk.stop()
        self._orders.stop(_JOIN_S)
        for feed in self._feeds:
            feed.request_stop()
        deadline_s = time.monotonic() + _JOIN_S
        for feed in self._feeds:
            feed.join(max(0.0, deadline_s - time.monotonic()))
        self._loop.finish()
        self._loop.record(AgentEvent("stopped", __version__))
        self._floor.stop()
        self._crowds.stop()
        self._rulebook.stop()
        if self._peers is not None:
            self._peers.stop()
        if self._tickets is not None:
            self._tickets.close()
        for thread in self._beside:
            thread.stop()
        self._outbox.flush(_DRAIN_S)
        self._link.stop(_DRAIN_S)
        self._outbox.close(_DRAIN_S)
        self._pulse.stop()
        kept = self._outbox.status()
        journal.info(
            "stopped: %d events decided, %d delivered, %d waiting",
            *(kept.decided, kept.delivered, kept.waiting),
            extra={
                "facts": {
                    "stopped": True,
                    "decided": kept.decided,
                    "stored": kept.stored,
                    "delivered": kept.delivered,
                    "waiting": kept.waiting,
                }
            },
        )

    def _hear(self, topic: str, payload: bytes) -> None:
        self._orders.on_message(topic, payload)

    def _watchers(self, config: Config, began: Startup) -> Iterator[ConfigRollout | Metrics]:
        """The threads that there may be beside."""
        if began.memory is not None:
            yield ConfigRollout(began, began.memory, self._loop, self._health, faults_beyond_syntax, self.restart)
        if config.health.metrics_file is not None:
            yield Metrics(config.health.metrics_file, self._vitals, self._health)

    def _report_double(self, second: Use, first: Use) -> None:
        """Two kiosks let somebody in on one ticket; any thread."""
        detail = f"ticket {second.key.hex()[:8]}: {first.kiosk} first, then {second.kiosk}"
        self._loop.inbox.put(AgentEvent("ticket_used_twice", __version__, detail=detail))

    def _health(self) -> Health:
        return self._pulse.health

    def _recover(self) -> bool:
        """Leave safe mode, as the centre orders it; whether there was anything to leave."""
        memory = self._began.memory
        if memory is None or not memory.starts.safe:
            return False
        memory.count(StartHistory.recovered)  # the watch over the configuration sees it, and starts the agent anew
        return True

    def _looping(self, config: Config, checkpoint: Checkpoint, topics: Topics) -> Loop:
        """The loop; the gates and lamps that it orders are filled in as they are built."""
        return Loop(
            checkpoint,
            open_gate=self._gates,
            show=self._shows,
            keep=self._outbox.put,
            tell=log.log_event,
            withhold=Redaction(topics.source, self._rulebook.privacy_rules),
            now=self._clock.now,
            edition=self._rulebook.generation,
            boot_id=boot_id(),
            trial=config.kiosk.trial,
        )

    def _devices(self, name: str, lane: LaneConfig) -> Iterator[Worker]:
        """The feeds of a lane, its gate and its lamp among what the loop may order."""
        gate = self._gate(name, lane)
        self._gates[name] = gate.open_gate
        yield self._source(name, Role.SCANNER, lane.scanner)
        yield gate
        yield self._source(name, Role.THERMOMETER, lane.thermometer)
        for part, device in ((Role.ROOM, lane.room), (Role.RANGE, lane.range)):
            if device is not None:
                yield self._source(name, part, device)
        told = self._signals(name, lane)
        self._shows[name] = _all_of([feed.show for feed in told])
        yield from told

    def _ordered(self, config: Config, topics: Topics) -> CommandReceiver:
        """What hears the centre; how a command is done, and what follows a bundle of a type, is learnt later."""
        store = self._bundles if config.codes.bundles else None
        deliveries = BundleReceiver(store, self._then, self._clock.now)
        tell, recall = self._loop.inbox.put, self._link.refetch_retained
        return CommandReceiver(config.orders, topics, store, self._do, deliveries, tell, self._clock.now, recall)

    def _commanded(self, config: Config) -> Commands:
        """How orders are done, and what follows a bundle: by parts that know of the orders already."""
        commands = Commands(
            config.lanes,
            self._feeds,
            self._outbox,
            self._rulebook,
            self._link,
            ask=self._loop.request,
            report=self._pulse.report,
            restart=self.restart,
            now=self._clock.now,
            recover=self._recover,
        )
        self._do.update(commands.table)
        self._then.update(dict.fromkeys(("root", "keys", "policy", "list", "privacy"), commands.apply_bundle))
        self._then["config"] = lambda _: {"in_use": False, "on_trial": self._began.memory is not None}
        return commands

    def _source(self, lane: str, part: Role, device: Device) -> SensorWorker:
        return SensorWorker(lane, part, device.driver, _maker(device), self._desk.put)

    def _gate(self, lane: str, options: LaneConfig) -> GateWorker:
        device = options.gate
        return GateWorker(
            lane, Role.GATE, device.driver, _maker(device), self._loop.inbox.put, pulse_s=options.pulse_s
        )

    def _signals(self, name: str, lane: LaneConfig) -> list[IndicatorWorker]:
        """What tells people: the lamp and the buzzer, where there are."""
        parts: list[tuple[Role, str, dict[str, Callable[[], Sink]], indicators.Panel]] = []
        if (lamp := lane.lamp) is not None:
            lights = {light: _maker(output) for light, output in lamp.lights.items()}
            in_service = lane.direction is Direction.EXIT or not self._began.safe
            panel = indicators.LampPanel(lane.pulse_s, lane.answer_s, in_service=in_service)
            parts.append((Role.LAMP, lamp.driver, lights, panel))
        if (buzzer := lane.buzzer) is not None:
            parts.append((Role.BUZZER, buzzer.driver, {Light.SOUND: _maker(buzzer)}, indicators.BuzzerPanel()))
        put = self._loop.inbox.put
        return [IndicatorWorker(name, part, driver, makes, put, panel) for part, driver, makes, panel in parts]

    def _vouch(self, receipt: bytes) -> dict[str, Any]:
        """What the centre has signed of a receipt. Raises BadBundle, or OSError when there is no root."""
        return self._bundles.verify_statement(receipt, "receipt", self._clock.now())

    def _state(self) -> State:
        """What the retained state says."""
        feeds = [feed.status() for feed in self._feeds]
        outbox = self._outbox.status()
        devices = tuple(
            DeviceState(feed.lane, feed.role, feed.driver, feed.up, feed.error, feed.simulated) for feed in feeds
        )
        return State(
            software_version=__version__,
            simulated=any(feed.simulated for feed in feeds),
            devices=devices,
            problems=self._pulse.health.problems,
            clock_state=self._clock.now().state,
            counts=Counts(outbox.decided, outbox.stored, outbox.delivered, outbox.lost, outbox.waiting),
            safe=bool(self._began.safe),
            config_version=self._began.version,
            in_force=tuple(self._in_force()),
        )

    def _in_force(self) -> Iterator[InForce]:
        """The version in force of everything that the central server may send."""
        with contextlib.suppress(OSError, BadBundle):  # no root, or one that the problems tell of
            yield InForce("root", version=self._bundles.root().bundle.version)
        yield from self._rulebook.in_force()
        version = self._began.version
        yield InForce("config", version=version, source="bundle" if version else "file")


def _tickets(config: Config, report: Callable[[Use, Use], None]) -> UsedTickets | None:
    """The used tickets; None where no lane has places for them. Raises OSError, sqlite3.Error."""
    if not any(lane.places for lane in config.lanes.values()):
        return None
    return UsedTickets(config.kiosk.id, config.tickets, report)


def _checkpoint(config: Config, rulebook: Ruleset, tickets: UsedTickets | None = None) -> Checkpoint:
    judgements = rules(config, rulebook)
    return Checkpoint(
        {name: _way(lane) for name, lane in config.lanes.items()},
        judgements if tickets is None else replace(judgements, tickets=tickets),
        config.checkpoint,
        load_baselines(config.screening.crowd_file, config.screening),
    )


def rules(config: Config, rulebook: Ruleset) -> DecisionRules:
    """The checkpoint's judgements as this configuration wants them."""
    return DecisionRules(rulebook.check, rulebook.decide, config.screening, rulebook.thermometer)


def _way(lane: LaneConfig) -> LaneSpec:
    return LaneSpec(lane.direction, lane.traveller, ranged=lane.range is not None, tickets=lane_tickets(lane))


def _table(config: Config) -> policy.Table:
    return vault.load_table(config.policy, _folder(config), config.codes.bundles)


def _know_who_confirms(config: Config) -> None:
    """With delivery `receipt` somebody must be allowed to sign receipts, or no event leaves. Raises BadTrust."""
    if config.mqtt.delivery != "receipt":
        return
    try:
        roles = _bundles(config).root().roles
    except (ValueError, OSError) as error:
        raise credentials.BadTrustStore(f"receipts need a root in the folder codes.bundles: {error}") from None
    if "receipt" not in roles:
        raise credentials.BadTrustStore("the root names nobody with the role `receipt`")


def _bundles(config: Config) -> vault.BundleStore:
    return vault.BundleStore(_folder(config) / (config.codes.bundles or "bundles"))


def _folder(config: Config) -> Path:
    return config.file.parent


def _maker(device: Device) -> Callable[[], Any]:
    """Builds the driver; called in the device's own thread, so that slow imports delay nobody else."""
    return lambda: registry.load(device.kind, device.driver).Driver(device.options)


def _all_of(shows: Sequence[Callable[[Cue], None]]) -> Callable[[Cue], None]:
    def show(cue: Cue) -> None:
        for each in shows:
            each(cue)

    return show
