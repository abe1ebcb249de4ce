"""The files and folders that a configuration names, checked with the permissions of the caller.

What is read must be there, open to us and whole; where the agent writes, it must be able to. Keys, policy table and
calibration are not looked at here: see `references`.
"""

from __future__ import annotations

import os
import stat
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from agent.credentials.bundle import BadBundle
from agent.credentials.formats import boarding_pass, card, health_card, licence
from agent.credentials.lists import BadList
from agent.credentials.trust import BadTrustStore, issuer_name
from agent.model.problems import in_words
from agent.mqtt import tls, tls_files
from agent.platform import access
from agent.platform.files import read_text, state_folder
from agent.ruleset import hand_kept, load
from drivers.contract import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config import Config, ConfigError
    from agent.model import TimeBounds

    Setting = tuple[str, str]

# A configuration in access.SETTINGS is the service's, which lives behind walls (systemd/gatepost.service):
_UNSEEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - walls, not our files
"""ProtectHome= and PrivateTmp= hide these from the service."""
_WRITABLE = tuple(map(Path, ("/var/lib/gatepost", "/run/gatepost", "/run/gatepost-metrics", "/run/gatepost-web")))
"""All else is read-only to it (ProtectSystem=strict)."""
_TLS_PORT, _PLAIN_PORT = 8883, 1883
_LARGE_FLEET, _FLEET_KEEPALIVE_S, _FLEET_STATE_S = 1000, 30, 120
_MB = 1e6


def faults(config: Config, now: TimeBounds) -> Iterator[ConfigError]:
    """What the agent could not do its work with."""
    for option, what in tls_files.faults(config.mqtt, now.earliest_utc):
        yield config.fault(("mqtt", option), what)
    for setting, path in _read(config):
        if _is_service(config) and _is_in(path, _UNSEEN):
            yield config.fault(
                setting, f"the service cannot see {path}: put it into {access.SETTINGS} (sudo install -m 644)"
            )
    for setting, path in _written(config):
        yield from (config.fault(setting, what) for what in _unusable(path))
    yield from (config.fault(("codes", "lists"), what) for what in _lists(config))
    for name, lane in config.lanes.items():
        if lane.screen is not None:
            yield from (config.fault(("lanes", name, "screen"), what) for what in lane.screen.faults())
    if config.codes.bundles:
        yield from (config.fault(("codes", "bundles"), what) for what in _bundles(config, now))
    yield from _older(config)


def remarks(config: Config, now: TimeBounds) -> Iterator[str]:
    """What works, and may be meant otherwise or will not work for long."""
    mqtt, folder = config.mqtt, config.outbox.path.parent
    if mqtt.port == (_PLAIN_PORT if mqtt.tls else _TLS_PORT):
        usual = "in the clear" if mqtt.tls else "with TLS"
        yield f"mqtt.port: {mqtt.port} is usual {usual}, but tls = {str(mqtt.tls).lower()}"
    yield from _login_remarks(config)
    yield from _fleet_remarks(config)
    if mqtt.tls and (ends_soon := in_words(tls.findings(tls.days_left(tls.ends(mqtt), now)))):
        yield f"mqtt: {ends_soon}"
    if folder.is_dir() and (free_mb := _free_mb(folder)) < config.outbox.limit_mb:
        limit_mb = config.outbox.limit_mb
        yield f"outbox.limit_mb: events may take {limit_mb:g} MB, but {folder} has {free_mb:.0f} MB free"
    yield from _list_remarks(config)
    yield from _no_version(config)
    if config.codes.bundles and not (root := config.folder / config.codes.bundles / "root.bundle").exists():
        yield (
            f"codes.bundles: no root in {root.parent}, nothing from the central server is taken"
            f" (sudo -u {access.user()} gatepost keys install ROOT.bundle --bundles {root.parent})"
        )
    yield from _of_others(config)
    if _is_service(config):
        for setting, path in _written(config):
            if not _is_in(path, _WRITABLE):
                yield (
                    f"{'.'.join(setting)}: the service may write to {_WRITABLE[0]} only; for {path.parent} it needs"
                    f" ReadWritePaths={path.parent} (sudo systemctl edit gatepost)"
                )


def _fleet_remarks(config: Config) -> Iterator[str]:
    """What a broker of many kiosks, or a cluster, does not bear."""
    kiosk, mqtt = config.kiosk, config.mqtt
    for setting, name in (("site", kiosk.site), ("id", kiosk.id), *(("groups", each) for each in kiosk.groups)):
        if "." in name:
            yield (
                f'kiosk.{setting}: "{name}" has a dot: RabbitMQ takes it for a /, and no queue gets this kiosk\'s'
                f' events; with RabbitMQ write "{name.replace(".", "-")}"'
            )
    if mqtt.more_hosts and mqtt.delivery != "receipt":
        yield (
            "mqtt.delivery: some clusters (more_hosts) lose what they have acknowledged when a node falls, as NATS"
            ' does; with delivery = "receipt" the kiosk keeps each event until the central server has it'
        )
    if mqtt.fleet_size > _LARGE_FLEET and mqtt.keepalive_s < _FLEET_KEEPALIVE_S:
        yield (
            f"mqtt.keepalive_s: {mqtt.fleet_size:,} kiosks that ping every {mqtt.keepalive_s} s are"
            f" {mqtt.fleet_size / mqtt.keepalive_s:,.0f} pings a second; for a fleet 60 is usual"
        )
    if mqtt.fleet_size > _LARGE_FLEET and mqtt.state_interval_s < _FLEET_STATE_S:
        yield (
            f"mqtt.state_interval_s: {mqtt.fleet_size:,} kiosks that tell their state every"
            f" {mqtt.state_interval_s:g} s are {mqtt.fleet_size / mqtt.state_interval_s:,.0f} retained messages a"
            " second; for a fleet 300 is usual"
        )


def _login_remarks(config: Config) -> Iterator[str]:
    """With whose name we log in, and who else could."""
    mqtt = config.mqtt
    own = f"{config.kiosk.site}/{config.kiosk.id}"
    if mqtt.username and mqtt.username != own:
        yield (
            f'mqtt.username: "{mqtt.username}" is not this kiosk, "{own}": a broker with the access list of'
            " docs/events.md lets it write the topics of its user name only"
        )
    if mqtt.password and not mqtt.tls and (others := [host for host, _ in mqtt.addresses() if not _is_here(host)]):
        yield f"mqtt.password: goes to {others[0]} without TLS, for everybody on the way to read (tls = true)"
    for name, path in _secret(config):
        if path.exists() and path.stat().st_mode & stat.S_IROTH:
            mode = f"{stat.S_IMODE(path.stat().st_mode):o}"
            yield f"{name}: others may read {path} (mode {mode}), which holds a secret: sudo chmod o= {path}"


def _is_here(host: str) -> bool:
    """Whether nothing leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read(config: Config) -> Iterator[tuple[Setting, Path]]:
    """What is only read, and brought by people."""
    for option in ("ca_file", "cert_file", "key_file"):
        if (path := getattr(config.mqtt, option)) is not None:
            yield ("mqtt", option), path
    yield ("codes", "keys"), config.folder / config.codes.keys
    if config.policy.table.endswith(".toml"):
        yield ("policy", "table"), config.folder / config.policy.table
    if config.screening.calibration is not None:
        yield ("screening", "calibration"), config.screening.calibration


def _secret(config: Config) -> Iterator[tuple[str, Path]]:
    """What nobody else may read: keys, and the configuration when a password stands in it."""
    mqtt = config.mqtt
    for option in ("key_file", "renewed_cert_file"):
        if mqtt.tls and (path := getattr(mqtt, option)) is not None:
            yield f"mqtt.{option}", path
    if mqtt.password:
        yield "mqtt.password", _stands_in(config, ("mqtt", "password"))
    for lane, each in config.lanes.items():
        address = str(getattr(getattr(each.scanner, "options", None), "device", ""))
        if without_secrets(address) != address:
            path = ("lanes", lane, "scanner", "device")
            yield ".".join(path), _stands_in(config, path)


def _stands_in(config: Config, path: tuple[str, ...]) -> Path:
    """The file of a setting: the configuration, a drop-in, or what the enrolment has written."""
    line = config.said.get(path)
    return config.file if line is None else config.file.parent / line.text


def _written(config: Config) -> Iterator[tuple[Setting, Path]]:
    """What the agent writes, and reads again when it starts."""
    yield ("runtime", "directory"), config.runtime.directory / "status.json"
    yield ("outbox", "path"), config.outbox.path
    yield ("clock", "last_known_time_file"), config.clock.last_known_time_file
    yield ("screening", "baseline_file"), config.screening.baseline_file
    yield ("commands", "journal_file"), config.commands.journal_file
    if any(lane.places for lane in config.lanes.values()):
        yield ("tickets", "used_file"), config.tickets.used_file
    if config.mqtt.tls:
        yield ("mqtt", "renewed_cert_file"), config.mqtt.renewed_cert_file
    if config.health.metrics_file is not None:
        yield ("health", "metrics_file"), config.health.metrics_file
    if config.codes.bundles:
        folder = config.folder
        yield ("codes", "bundles"), folder / config.codes.bundles / "root.bundle"
        yield from ((("codes", "lists"), folder / f"{name}.delta") for name in config.codes.lists)


def _unusable(path: Path) -> Iterator[str]:
    """Why a file cannot be kept there."""
    if what := access.unwritable(path.parent):
        yield what
    elif path.is_dir():
        yield f"{path} is a folder, not a file"
    elif path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        name = access.user()
        yield f"{path} is not open to the user {name}, has root written it? (sudo chown {name}: {path})"


def _lists(config: Config) -> Iterator[str]:
    for name in config.codes.lists:
        path = config.folder / name
        what = access.unreadable(path)
        if not what:
            try:
                load.open_list(path)
            except (BadList, OSError) as error:
                what = str(error)
        if what:
            yield f"{what}: until it is whole everybody at an entry goes to staff (gatepost lists check)"


_SETTING: dict[str, Setting] = {
    "keys": ("codes", "keys"),
    "policy": ("policy", "table"),
    "venue": ("venue", "file"),
    "roster": ("venue", "roster"),
    "calibration": ("screening", "calibration"),
}


def _hand_kept(config: Config) -> Iterator[tuple[str, Path]]:
    """Kind and path of the files that people keep by hand."""
    named = hand_kept.named_files(
        config.codes.keys, config.policy.table, config.venue.file, config.venue.roster, config.screening.calibration
    )
    return ((kind, config.folder / name) for kind, name in named)


def _older(config: Config) -> Iterator[ConfigError]:
    """Files that are older than what the agent has had in force."""
    record = load.AcceptedVersions(state_folder(config.folder) / load.FILES_ACCEPTED)
    for kind, path in _hand_kept(config):
        for age in hand_kept.older_files([(kind, path)], record, remember=False):
            yield config.fault(_SETTING[kind], f"{path} {age.why}: everybody at an entry goes to staff")


def _no_version(config: Config) -> Iterator[str]:
    """Files of which an older copy would count without a word."""
    for kind, path in _hand_kept(config):
        try:
            if not hand_kept.version_of(read_text(path)):
                yield (
                    f"{'.'.join(_SETTING[kind])}: {path} has no version: an older copy in its place would not be"
                    " noticed (version = 1 at its top, and a higher one with each change)"
                )
        except (OSError, ValueError, RecursionError):
            continue  # told elsewhere


def _list_remarks(config: Config) -> Iterator[str]:
    """Lists whose issuer nobody here knows: they say nothing of any code."""
    try:
        trust = load.load_trust(config.codes, config.folder)
    except (BadTrustStore, OSError):
        return  # told elsewhere
    for kid in sorted({kid for kid, _ in trust.revoked} - trust.keys.keys()):
        yield (
            f"codes.keys: [[revoked]] of the key {kid.hex()}, which no [[key]] is, revokes nobody (kid is the text"
            " of the key set in hexadecimal)"
        )
    known = {key.issuer for keys in trust.keys.values() for key in keys} | {each.issuer for each in trust.opaque}
    known |= _OF_NO_KEY
    if "" in known:  # a key that may sign for any address
        return
    for each in trust.lists:
        if (issuer := issuer_name(each.head.issuer)) not in known:
            near = "".join(f"; is {name} meant?" for name in known if name.casefold() == issuer.casefold())
            yield (
                f"codes.lists: the {each.head.kind} list of {issuer} speaks of nobody: the keys file names no such"
                f" issuer{near}"
            )


_OF_NO_KEY = frozenset((card.ISSUER, health_card.ISSUER, boarding_pass.ISSUER, licence.ISSUER))
"""Issuers of what nobody has signed."""


def _bundles(config: Config, now: TimeBounds) -> Iterator[str]:
    folder = config.folder / config.codes.bundles
    store = load.bundle_store(folder)
    try:
        store.root()
    except FileNotFoundError:
        return
    except OSError as error:
        yield access.why(error, folder / "root.bundle")
    except BadBundle as error:
        yield f"the root in {folder}: {error} (install it again: gatepost keys install)"
    else:
        if what := in_words(store.root_findings(now)):
            yield f"the root in {folder} {what}"


def _of_others(config: Config) -> Iterator[str]:
    """Bundles of a group, a site or a name that the kiosk has left."""
    if config.codes.bundles:
        try:
            for what in load.bundle_store(config.bundle_folder).of_others(config.kiosk.targets):
                yield f"kiosk.groups: {what}: it does not count here, and people go to staff where it is needed"
        except (BadBundle, OSError):
            return  # told elsewhere


def _is_service(config: Config) -> bool:
    return config.file.absolute().parent == access.SETTINGS


def _is_in(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.absolute().is_relative_to(folder) for folder in folders)


def _free_mb(folder: Path) -> float:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize / _MB
