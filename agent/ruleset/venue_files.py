"""What a venue is run by, on disk: `venue.toml`, roster, zones; files beside the configuration, or bundles."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agent.credentials.bundle import BadBundle
from agent.credentials.freshness import missing
from agent.model import InForce
from agent.model.lazy import dataclass
from agent.platform import access
from agent.platform.files import read_text
from agent.platform.packaged import packaged, packaged_text
from agent.ruleset.bundle_store import bundle_store
from agent.ruleset.hand_kept import version_of
from agent.venue import VenueInForce
from agent.venue.forms import BadForm, Form, parse_form
from agent.venue.permits import BadRoster, parse_roster
from agent.venue.rules import BadVenue, parse_venue
from agent.venue.zones import BadZones, parse_zones

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.credentials.bundle import Bundle
    from agent.credentials.freshness import Age

KINDS: tuple[Literal["venue", "roster", "zones"], ...] = ("venue", "roster", "zones")


@dataclass(frozen=True, slots=True)
class VenueOptions:
    """The venue that this kiosk serves."""

    file: str = ""
    """How the venue is run (venue.toml, see docs/venue.md); relative to the configuration file. Empty: what the
    central server sends, or no venue at all."""
    roster: str = ""
    """Who belongs to the venue: a file that `gatepost roster build` made; empty: what the central server sends."""
    forms: str = ""
    """Folder with forms of your own, one .toml file each, beside those that come with the agent (docs/venue.md)."""
    region: tuple[str, ...] = ()
    """Codes of the divisions in which the kiosk stands, the largest first, for example ["53", "5323", "532301"]:
    by them it finds its level among the zones that the central server sends."""


@dataclass(frozen=True, slots=True)
class FoundVenue:
    """What there is."""

    in_force: VenueInForce | None
    """None: no venue is configured, and none was sent."""
    ages: tuple[Age, ...] = ()
    """Of the bundles; what was sent and is gone or damaged is too old at any time."""
    versions: tuple[InForce, ...] = ()
    """Of what there is, from bundles and files."""


class BadVenueFile(ValueError):
    """A file of the venue that cannot be used; `str()` is one sentence."""


def load_venue(options: VenueOptions, root: Path, bundles: str = "") -> FoundVenue:
    """The venue's rules, roster and zones. Raises BadVenueFile for a configured file that cannot be used.

    What the central server has sent comes before the files. If that is damaged here, everybody goes to staff, as
    with lists.
    """
    store = bundle_store(root / bundles) if bundles else None
    found: dict[str, Any] = {}
    ages: list[Age] = []
    versions: list[InForce] = []
    for kind in KINDS:
        try:
            sent = store.current(kind) if store is not None else None
            if sent is not None:
                found[kind] = parse_sent(sent)
                ages.append(sent.age)
                versions.append(InForce(kind, version=sent.version))
        except (BadBundle, OSError, ValueError) as error:
            ages.append(missing(f"{kind} from the central server", str(error)))
    if "venue" not in found and options.file:
        found["venue"], version = _file(root / options.file, _with_version(parse_venue))
        versions.append(InForce("venue", version=version, source="file"))
    if "roster" not in found and options.roster:
        roster = _with_version(lambda text, _: parse_roster(json.loads(text)))
        found["roster"], version = _file(root / options.roster, roster)
        versions.append(InForce("roster", version=version, source="file"))
    if not found and not ages:
        return FoundVenue(None)
    in_force = VenueInForce(region=options.region, roster=found.get("roster"), forms=load_forms(options, root))
    if "venue" in found:
        in_force = replace(in_force, rules=found["venue"])
    if "zones" in found:
        in_force = replace(in_force, zones=found["zones"])
    return FoundVenue(in_force, tuple(ages), tuple(versions))


def load_forms(options: VenueOptions, root: Path) -> dict[str, Form]:
    """The forms that come with the agent, and those of the venue. Raises BadVenueFile."""
    if not options.forms:
        return _forms()
    folder = root / options.forms
    if not folder.is_dir():
        raise BadVenueFile(f"{folder}: is no folder; it holds forms of your own, one .toml file each")
    made = [_file(path, parse_form) for path in form_files(folder)]
    return {**_forms(), **{form.name: form for form in made}}


def form_files(folder: Path) -> list[Path]:
    """Those of a folder; none when it is not there."""
    return sorted(folder.glob("*.toml"))


@cache
def _forms() -> dict[str, Form]:
    """The forms that come with the agent."""
    made = [parse_form(packaged_text(path), path.name) for path in sorted(packaged("forms").glob("*.toml"))]
    return {form.name: form for form in made}


def parse_sent(sent: Bundle) -> object:
    """The content of a venue's bundle. Raises ValueError with one sentence."""
    match sent.type:
        case "venue":
            return parse_venue(sent.content, "bundle")
        case "roster":
            return parse_roster(sent.content, sent.issued_utc)
        case "zones":
            return parse_zones(sent.content)
    raise ValueError(f"{sent.type} is no bundle of a venue")


def _with_version(parse: Callable[[str, str], Any]) -> Callable[[str, str], tuple[Any, int]]:
    return lambda text, name: (parse(text, name), version_of(text))


def _file(path: Path, parse: Callable[[str, str], Any]) -> Any:
    try:
        return parse(read_text(path), str(path))
    except FileNotFoundError:
        raise BadVenueFile(f"{path}: is not there") from None
    except OSError as error:
        raise BadVenueFile(access.why(error, path)) from None
    except (BadVenue, BadRoster, BadZones, BadForm) as error:
        text = str(error)
        raise BadVenueFile(text if str(path) in text else f"{path}: {text}") from None
    except (ValueError, RecursionError):
        raise BadVenueFile(f"{path}: is not what it should be: see docs/venue.md") from None
