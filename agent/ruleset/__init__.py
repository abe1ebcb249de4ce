"""What the checkpoint judges by: keys, lists, policy table, calibration, and new ones as soon as they are there.

Anyone who brings a list, a bundle, a table or a calibration replaces a file; within a second it is read, proved and
put in force between two judgements. What does not hold changes nothing: the old one stays, and says so.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent import credentials, policy, privacy
from agent.credentials.freshness import missing, oldest
from agent.model import CodeStatus, Component, Direction, Outcome, Verdict
from agent.model.lazy import module_later
from agent.model.problems import Finding, ProblemCode, found, in_words
from agent.platform.files import state_folder
from agent.platform.packaged import packaged
from agent.policy.explain import explain
from agent.policy.facts import ListAgeFact
from agent.ruleset import hand_kept, load
from agent.ruleset.calibration_files import load_sites
from agent.ruleset.venue_files import BadVenueFile, FoundVenue, VenueOptions, form_files, load_venue
from agent.screening import BadCalibration, ThermometerSite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.credentials.freshness import Age
    from agent.model import Decision, DecisionInput, InForce, TimeBounds
    from agent.policy.explain import Explanation
    from agent.ruleset.base_assembly import WantedBase
    from agent.venue import VenueInForce

log = logging.getLogger(__name__)

module_later(__name__, "base_download")  # with an HTTP client; most starts fetch nothing

_CODES = {
    credentials.BadTrustStore: ProblemCode.KEYS_REJECTED,
    policy.BadTable: ProblemCode.POLICY_REJECTED,
    BadCalibration: ProblemCode.CALIBRATION_REJECTED,
    BadVenueFile: ProblemCode.VENUE_REJECTED,
}
LOOK_EVERY_S = 1.0
_INTERNAL_ERROR = "an internal error in checking a code: its holder went to staff; see the log"
SCRUB_BUCKETS = 1024
"""A second: ten million keys once in nine minutes."""


class Ruleset:
    """The rules in force. `check` and `decide` may be called from any thread, and are never blocked by a reload."""

    def __init__(
        self,
        judged: credentials.Options,
        decided: policy.Options,
        root: Path,
        calibration: Path | None = None,
        *,
        careful: bool = False,
        venue: VenueOptions | None = None,
    ) -> None:
        """Load everything; paths are relative to `root`. Raises BadTrustStore, BadTable or BadCalibration.

        `careful` is safe mode: everybody at an entry is left to staff, what cannot be read or judged is done
        without, and nothing new is put in force.
        """
        self._judged, self._decided, self._root, self._calibration = judged, decided, root, calibration
        self._site, self._venue_options = policy.site_of(decided), venue or VenueOptions()
        self._site_from_report = replace(self._site, from_report=True)
        self._seen = self._fingerprint()
        self._careful = careful
        self._scrubbed: dict[int, int] = {}
        """Where the scrub of each list file in force goes on."""
        self._is_ready = not (judged.bundles and judged.lists)
        self._refreshing = threading.Lock()
        self.internal_errors = 0
        """Codes that could not be checked for an internal error."""
        self.findings: tuple[Finding, ...] = ()
        """What was refused since, and that the old one stays."""
        self._record = load.AcceptedVersions(state_folder(root) / load.FILES_ACCEPTED)
        try:
            self._venue = load_venue(self._venue_options, root, judged.bundles)
            self._keys = load.load_keys(judged, root)
            self._codes = load.load_trust(judged, root, self._record, self._keys)
            self._table = load.load_table(decided, root, judged.bundles)
            self._thermometers = load_sites(calibration)
        except (credentials.BadTrustStore, policy.BadTable, BadCalibration, BadVenueFile) as error:
            if not careful:
                raise
            self._keys = self._codes = credentials.TrustStore()
            self._table = load.load_table(policy.Options())
            self.findings = found(_CODES[type(error)], str(error))
            self._venue = FoundVenue(None)
            self._thermometers = {}
        self._trust = _with_ages(self._codes, self._venue)
        self._older = self._older_files(self._trust, self._table, self._venue)
        """Ages of files that people keep by hand, and that are older than what was in force."""
        self._privacy = load.load_privacy(judged, root)
        self.findings = (*self.findings, *found(ProblemCode.POLICY_REJECTED, self._table.fault))
        self._remember_accepted()

    def _older_files(
        self, trust: credentials.TrustStore, table: policy.Table, venue: FoundVenue
    ) -> tuple[Age, ...]:
        """Of the files in force that nobody has signed those that went back."""
        in_force = (*trust.in_force, table.in_force, *venue.versions)
        kinds = {each.type for each in in_force if each is not None and each.source == "file"}
        named = hand_kept.named_files(
            self._judged.keys,
            self._decided.table,
            self._venue_options.file,
            self._venue_options.roster,
            self._calibration,
        )
        files = [(kind, self._root / name) for kind, name in named if kind in kinds | {"calibration"}]
        return tuple(hand_kept.older_files(files, self._record))

    def venue(self) -> VenueInForce | None:
        """What the venue is run by; None: this kiosk serves none."""
        return self._venue.in_force

    def generation(self) -> object:
        """Stands for the rules in force: another object whenever they change, also the table or the venue."""
        return self._trust

    @property
    def ages(self) -> Sequence[Age]:
        """Of the lists and keys in force; a list that was found damaged counts as missing."""
        trust = self._trust
        damaged = {each.age.name for each in trust.lists if each.is_damaged}
        return [*(missing(age.name) if age.name in damaged else age for age in trust.ages), *self._older]

    def check(self, payloads: Sequence[bytes], now: TimeBounds) -> Verdict:
        """What all codes say that one person has shown. An internal error is logged, counted, and left to staff."""
        verdict = credentials.check_all(payloads, self._trust, now)
        if verdict.status is CodeStatus.INTERNAL_ERROR:
            self.internal_errors += 1
            log.error("a code could not be checked: %s", verdict.reason)
        return verdict

    def decide(self, case: DecisionInput) -> Decision:
        """What is to happen."""
        decision = policy.decide(self._table, self._facts(case))
        is_left = self._careful and case.lane.direction is not Direction.EXIT
        return policy.left_to_staff(decision) if is_left else decision

    def may_override(self, case: DecisionInput) -> bool:
        """Whether no invariant of the table forbids to let this person in, and the agent trusts itself."""
        return not self._careful and policy.permits(self._table, self._facts(case), Outcome.ADMIT)

    def explain(self, case: DecisionInput) -> Explanation:
        """The row that decides, and which other value of one fact would change the outcome. Takes milliseconds."""
        return explain(self._table, self._facts(case))

    def _facts(self, case: DecisionInput) -> policy.Facts:
        facts = policy.facts_of(
            case.lane.direction,
            case.verdict,
            case.temperature.outcome,
            case.now,
            site=self._site_now(),
            scanner_works=case.scanner_works,
            passback=policy.Passback.RECENT if case.shown_again else policy.Passback.NONE,
            lane_type=case.lane.lane_type,
            tickets=case.lane.tickets,
            used=case.used,
            venue=case.facts,
            has_scanner=case.lane.has_scanner,
            venue_age=oldest(self._venue.ages, case.now),
        )
        return facts._replace(list_age=ListAgeFact.EXPIRED) if self._older else facts

    def _site_now(self) -> policy.SiteFacts:
        """As configured; from what the age of a test is counted the venue may say."""
        here = self._venue.in_force
        return self._site if here is None or here.rules.tests_from == "sampled" else self._site_from_report

    def thermometer(self, lane: str) -> ThermometerSite:
        """What is known of a lane's thermometer: its calibration, its zero, its last check."""
        return self._thermometers.get(lane, ThermometerSite())

    def privacy_rules(self, now: TimeBounds) -> privacy.PrivacyRules:
        """What may be kept of a person."""
        return self._privacy.at(now)

    def in_force(self) -> tuple[InForce, ...]:
        """Versions of the keys, each list, the table, the privacy rules, and what the venue is run by."""
        table = self._table.in_force
        rules = (*self._trust.in_force, *(() if table is None else (table,)), self._privacy.in_force)
        return (*rules, *self._venue.versions)

    @property
    def fault(self) -> str:
        """All findings in words; empty when all is as it should be."""
        return in_words(self.findings)

    def privacy_findings(self, now: TimeBounds) -> tuple[Finding, ...]:
        """Why less is kept than the central server has asked for."""
        return self._privacy.findings(now)

    def refresh_and_scrub(self) -> None:
        """Put in force what is new on disk, and compare a part of the lists with what was proved: once a second."""
        if not self._is_ready:
            credentials.lists.get_ready()
            self._is_ready = True
        self.refresh()
        self.scrub()

    def health(self, now: TimeBounds) -> Iterator[Component]:
        """What is in force, and what is not as it should be."""
        error = found(ProblemCode.INTERNAL_ERROR, _INTERNAL_ERROR if self.internal_errors else "")
        yield Component("rules", findings=(*self.findings, *error))
        yield Component("privacy", findings=self.privacy_findings(now))
        for age in self.ages:
            yield Component(age.name, findings=age.findings(now))

    def uses(self, kind: str, name: str) -> bool:
        """Whether a bundle of this kind and name can change what this kiosk judges by."""
        match kind:
            case "list":
                return any(Path(file).stem == name for file in self._judged.lists)
            case "policy":
                return name == self._decided.table
            case _:
                return kind in {"root", "keys", "privacy", "venue", "roster", "zones", "staff"}

    def lacks(self, kind: str, name: str) -> bool:
        """Whether this list, or the central server's keys, should be in force and are not: what lies there does not
        fit.
        """
        named = {f"list {file}" for file in self._judged.lists if Path(file).stem == name}
        ours = (
            f"{kind} from the central server"
            if kind in ("venue", "roster", "zones")
            else "keys from the central server"
        )
        wanted = named if kind == "list" else {ours}
        return any(age.name in wanted and age.issued_utc == -math.inf for age in self.ages)

    def awaits(self, kind: str, name: str) -> bool:
        """Whether what the central server has sent of this list waits for its base, and the one before is in
        force.
        """
        marks = (each.awaited for each in self._trust.lists)
        return kind == "list" and any(mark is not None and mark.name == name for mark in marks)

    def wanted_bases(self) -> Sequence[WantedBase]:
        """Bases that the central server has signed and says how to fetch, and that are not here."""
        return () if self._careful else load.wanted_bases(self._judged, self._root)

    def held_bases(self) -> Sequence[WantedBase]:
        """Those that are here, to be shared."""
        return () if self._careful else load.wanted_bases(self._judged, self._root, held=True)

    def scrub(self, count: int = SCRUB_BUCKETS) -> None:
        """Compare the next `count` buckets of each list with what was proved when it was opened. A list that has
        changed counts as missing at once, and the next `refresh` reads it again.
        """
        places = {}
        for each in self._trust.lists:
            for file in each.files:
                try:
                    places[id(file)] = file.scrub(self._scrubbed.get(id(file), 0), count)
                except credentials.lists.DamagedList as error:
                    log.warning("%s: %s", each.age.name, error)
        self._scrubbed = places

    def refresh(self) -> bool:
        """Put in force what is new on disk; whether there was anything new. Any thread."""
        with self._refreshing:
            return self._refresh()

    def _refresh(self) -> bool:
        found = self._fingerprint()
        damaged = any(each.is_damaged for each in self._trust.lists)
        if self._careful or (found == self._seen and not damaged):
            return False
        self._seen = found
        faults: list[Finding] = []
        codes, table, venue = self._codes, self._table, self._venue
        try:
            venue = load_venue(self._venue_options, self._root, self._judged.bundles)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, this thread must go on looking
            text = f"the new venue is refused, the old one stays: {_in_words(error)}"
            faults.append(Finding(ProblemCode.VENUE_REJECTED, text))
        try:
            self._keys = load.load_keys(self._judged, self._root)
        except Exception as error:  # noqa: BLE001 - the same
            text = f"new keys are refused, the old ones stay: {_in_words(error)}"
            faults.append(Finding(ProblemCode.KEYS_REJECTED, text))
        try:  # also by the old keys: who has turned red is red
            codes = load.load_trust(self._judged, self._root, self._record, self._keys)
        except Exception as error:  # noqa: BLE001 - the same
            text = f"new lists are refused, the old ones stay: {_in_words(error)}"
            faults.append(Finding(ProblemCode.KEYS_REJECTED, text))
        try:
            table = load.load_table(self._decided, self._root, self._judged.bundles)
            if table.fault:
                faults.append(Finding(ProblemCode.POLICY_REJECTED, table.fault))
        except Exception as error:  # noqa: BLE001 - the same
            text = f"the new table is refused, the old one stays: {_in_words(error)}"
            faults.append(Finding(ProblemCode.POLICY_REJECTED, text))
        try:
            self._thermometers = load_sites(self._calibration)
        except Exception as error:  # noqa: BLE001 - the same
            text = f"the new calibration is refused, the old one stays: {_in_words(error)}"
            faults.append(Finding(ProblemCode.CALIBRATION_REJECTED, text))
        trust = _with_ages(codes, venue)
        older = self._older_files(trust, table, venue)
        self._older = (*self._older, *older)  # the stricter, until all of it is in force
        self._venue, self._codes, self._trust, self._table = venue, codes, trust, table
        self._older = older
        self._privacy = load.load_privacy(self._judged, self._root)
        self.findings = tuple(faults)
        if faults:
            log.warning("rules read again: %s", self.fault)
        else:
            log.info("rules read again")
        return True

    def _remember_accepted(self) -> None:
        """Bundles that came before their versions were remembered count from now on as accepted."""
        if not self._judged.bundles:
            return
        try:
            load.bundle_store(self._root / self._judged.bundles).remember_all()
        except OSError as error:
            log.warning("what was accepted cannot be remembered: %s", error.strerror)

    def _fingerprint(self) -> dict[Path, tuple[int, int, int]]:
        """Which files there are, and which versions of them."""
        marks = {}
        for path in self._files():
            try:
                stat = path.stat()
            except OSError:
                continue
            marks[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return marks

    def _files(self) -> Iterator[Path]:
        yield self._root / self._judged.keys
        for name in self._judged.lists:
            yield self._root / name
            yield self._root / f"{name}.delta"
            yield load.next_path(self._root / name)
        if self._judged.bundles:
            folder = self._root / self._judged.bundles
            yield from folder.glob("*.bundle")
            yield from folder.glob("*.increment")
            yield folder.with_name(folder.name + ".accepted")
        for name in filter(None, (self._venue_options.file, self._venue_options.roster)):
            yield self._root / name
        if self._venue_options.forms:
            yield from form_files(self._root / self._venue_options.forms)
        if self._calibration is not None:
            yield self._calibration
        table = self._decided.table
        yield self._root / table if table.endswith(".toml") else packaged(f"policy/{table}.toml")


def _with_ages(codes: credentials.TrustStore, venue: FoundVenue) -> credentials.TrustStore:
    """What the central server has sent of the venue ages as its lists do."""
    return replace(codes, ages=(*codes.ages, *venue.ages))


def _in_words(error: Exception) -> str:
    """The sentence of our own errors; of any other only what it is: its text could hold anything."""
    expected = isinstance(error, credentials.BadTrustStore | policy.BadTable | BadCalibration | BadVenueFile)
    return str(error) if expected else f"an internal error ({type(error).__name__})"
