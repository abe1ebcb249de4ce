"""A running agent at the door of a venue: codes only, no thermometer; what staff type follows the day."""

from __future__ import annotations

import csv
import gc
import io
import json
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agent import cli, credentials
from agent.app import App
from agent.cli import duty, report, running
from agent.cli.roster import read_table
from agent.config import Config, parse
from agent.control import local_socket
from agent.credentials import bundle
from agent.credentials.formats import gatepost
from agent.crypto import signing
from agent.model import (
    Attestation,
    AttestationResult,
    ClockState,
    CodeStatus,
    Colour,
    Item,
    Observation,
    RemeasureResult,
    Role,
    SentAway,
    TimeBounds,
    WhoWaits,
)
from agent.model.reasons import LocalRefusal
from agent.privacy import hpke, opened
from agent.ruleset import load
from agent.ruleset.bundle_store import BundleStore
from agent.ruleset.venue_files import BadVenueFile
from agent.venue import Vehicle
from agent.venue.permits import KEY_BYTES, BadRoster
from drivers.simulators.cards import Em4100Reader, SdtModule
from drivers.simulators.pty import Port
from drivers.simulators.scan_engines import LineScanner
from tests.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG = """\
[kiosk]
id = "door-1"
[runtime]
directory = "run"
[clock]
source = "system"
last_known_time_file = "clock"
[screening]
baseline_file = "baseline.json"
[outbox]
path = "outbox.db"
[commands]
journal_file = "command-journal.json"
[mqtt]
host = "127.0.0.1"
port = 1
[policy]
table = "door.toml"
[venue]
file = "venue.toml"
roster = "roster.json"
[lanes.entry]
direction = "entry"
scanner = {{ driver = "line", port = "{folder}/scanner" }}
gate = {{ driver = "simulated" }}
"""
DOOR = """
[table]
name = "door"
version = 1
extends = "guards"
[[row]]
name = "codes only"
when = { code = "green", temperature = ["normal", "unasked"] }
outcome = "admit"
reasons = ["code_green"]
[[row]]
name = "else"
outcome = "refer"
reasons = ["code_undecided"]
actions = ["staff_check"]
"""
VENUE = """
name = "library"
utc_offset_min = 480
register = true
room = {capacity = 3}
duty = [{name = "disinfect", every_h = 4}]
"""
LIMIT_S = 90.0


class Door:
    """A running agent with one lane: a scanner and a gate."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder, self.engine = folder, LineScanner()
        trust = ["--private", str(folder / "x.key"), "--keys", str(folder / "issuers.toml")]
        if not (folder / "x.key").exists():
            assert cli.main(["keys", "new", "x", *trust]) == 0
        self.key = signing.private_key((folder / "x.key").read_bytes())
        for name, text in (
            ("agent.toml", config.format(folder=folder)),
            ("door.toml", DOOR),
            ("venue.toml", VENUE),
        ):
            (folder / name).write_text(text)
        (folder / "readers.csv").write_text("issuer,subject,role,number,group\nx,anna,visitor,7,readers\n")
        table = ["roster", "build", str(folder / "readers.csv"), "--out", str(folder / "roster.json")]
        assert cli.main(table) == 0
        self.app = App(parse((folder / "agent.toml").read_text(), folder / "agent.toml"))
        self.scanner = Port(folder / "scanner", self.engine)
        self._thread = threading.Thread(target=self.app.run)

    def start(self) -> None:
        self.scanner.plug()
        self._thread.start()
        wait_for(lambda: all(worker.status().up for worker in self.app._workers))
        wait_for((self.folder / "run" / local_socket.NAME).exists)
        if (self.folder / "venue.toml").exists() and "[venue]" in (self.folder / "agent.toml").read_text():
            wait_for(lambda: self.view is not None and self.view["occupancy"]["exact"])

    def stop(self) -> None:
        self.app.stop()
        self._thread.join(LIMIT_S)
        self.scanner.close()
        assert not self._thread.is_alive()

    @property
    def view(self):
        return self.app._loop._ledger.view

    def show(self, holder: str, colour: Colour = Colour.GREEN) -> None:
        now_utc = int(time.time())
        claims = gatepost.claims("x", holder, colour, issued_utc=now_utc - 60, expires_utc=now_utc + 600)
        decided = self.app._loop.decided
        self.scanner.send(self.engine.encode(gatepost.issue(self.key, claims).encode()))
        wait_for(lambda: self.app._loop.decided == decided + 1)
        wait_for(self.app._outbox.has_ledger)  # until then the place of the next one is not known: staff count

    def last(self) -> tuple[str, ...]:
        """Whom staff mean: who was decided last."""
        return "--lane", "entry", "--for", str(self.app._loop._checkpoint._lanes["entry"].last_number)

    def opened(self) -> int:
        (gate,) = [worker.status() for worker in self.app._workers if worker.status().role is Role.GATE]
        return gate.items

    def type(self, *words: str) -> int:
        return cli.main([words[0], "--config", str(self.folder / "agent.toml"), *words[1:]])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    made.start()
    yield made
    made.stop()


SERVER = signing.new_private_key()
ROLE = {"threshold": 1, "keyids": [SERVER.public.kid.hex()]}
BUNDLES = """[codes]
bundles = "bundles"
"""


def sent(kind: str, content: object, version: int = 1) -> bytes:
    """A bundle of the central server."""
    now_utc = int(time.time())
    members = {
        "type": kind, "name": "", "fleet": "city", "version": version, "issued_at": now_utc - 10,
        "expires_at": now_utc + 86_400, "warn_age_s": 43_200, "max_age_s": 86_400, "content": content,
    }  # fmt: skip
    return bundle.sign(members, [SERVER])


def root() -> bytes:
    keys = {SERVER.public.kid.hex(): b64encode(SERVER.public.spki).decode()}
    return sent(
        "root", {"keys": keys, "roles": dict.fromkeys(("root", "venue", "roster", "zones", "privacy"), ROLE)}
    )


def test_the_first_venue_that_is_sent_counts_at_once_and_a_later_one_too(tmp_path: Path) -> None:
    config = CONFIG.partition("[venue]")[0] + BUNDLES + CONFIG[CONFIG.index("[lanes.entry]") :]
    store = BundleStore(tmp_path / "bundles")
    store.install(root())
    door = Door(tmp_path, config)
    door.start()
    try:
        door.show("anna")
        wait_for(lambda: door.opened() == 1)
        assert door.view is None
        assert door.type("count", "120") == 1
        for version, capacity, come, let_in in ((1, 2, "abc", 2), (2, 0, "d", 1), (3, 1, "e", 0)):
            offset_min = 0 if version == 3 else 480
            text = f'name = "library"\nutc_offset_min = {offset_min}\nroom = {{capacity = {capacity}}}\n'
            now_utc = time.time()
            store.accept(sent("venue", text, version), TimeBounds(now_utc, now_utc + 1, ClockState.SYNCED))
            wait_for(lambda limit=capacity or None: door.view and door.view["occupancy"]["capacity"] == limit)
            wait_for(lambda: door.view["occupancy"]["exact"])
            opened = door.opened()
            for holder in come:
                door.show(holder)
            wait_for(lambda was=opened, more=let_in: door.opened() == was + more)
        wait_for(lambda: door.view["occupancy"]["inside"] == 3)
        assert door.view["occupancy"]["room"] == "full"
        assert door.type("count", "0") == 0
    finally:
        door.stop()


def test_a_day_at_the_door_is_followed_from_the_command_line(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    door.show("anna")
    wait_for(lambda: door.opened() == 1)
    door.show("stranger")
    assert door.opened() == 1, "on no roster, and not recorded"
    capsys.readouterr()
    assert door.type("record", "mask", "worn", "--lane", "entry") == 1
    assert "say under which number" in capsys.readouterr().err, "nothing here sees who stands there"
    assert door.type("record", "mask", "worn", *door.last()) == 0
    assert "refer" in capsys.readouterr().out, "a mask is not what was missing"
    assert door.type("record", "record", "done", *door.last(), "--by", "G07") == 0
    assert "admit, the gate opens" in capsys.readouterr().out
    wait_for(lambda: door.opened() == 2)
    door.show("rita", Colour.RED)
    assert door.type("record", "record", "done", *door.last()) == 0
    assert "refuse, the gate stays shut" in capsys.readouterr().out, "no word of staff lifts a red code"
    wait_for(lambda: door.view["cases"])
    case = door.view["cases"][0]["case"]
    assert door.type("case") == 0
    assert f"{case}  red  entry" in capsys.readouterr().out
    assert door.type("case", case.lower(), "isolated") == 0
    assert door.type("case", case, "cleared") == 1
    assert "is not open" in capsys.readouterr().err
    assert door.type("count", "3") == 0
    assert "3 inside; +1 against the count so far" in capsys.readouterr().out
    door.show("anna2")
    assert door.type("record", "record", "done", "--lane", "entry") == 1
    assert "Several people wait" in capsys.readouterr().err
    door.type("record", "record", "done", *door.last())
    assert "no room" in capsys.readouterr().out
    assert door.opened() == 2
    assert door.type("duty", "disinfect") == 0
    assert door.type("duty", "dance") == 1
    assert "there are: disinfect" in capsys.readouterr().err
    wait_for(lambda: door.view["report"]["duties"]["disinfect"]["done"])
    assert door.type("report") == 0
    said = capsys.readouterr().out
    assert "people: 2 came, 0 left, 3 inside" in said
    assert "cases: 1 opened, 1 answered, 0 open" in said
    state = door.app._state().venue
    assert state is not None
    assert (state.inside, state.cases) == (3, 0)


def test_what_is_not_known_is_not_told_as_if_it_were(door: Door) -> None:
    wait_for(lambda: door.view["report"])
    view = {**door.view, "duties": {"disinfect": None}}
    assert duty._lines(view) == ["disinfect: not done today"]
    assert duty._lines({**view, "report": None}) == ["disinfect: unknown: the kiosk does not know the time yet"]
    assert "entries were lost" not in "".join(report.lines(view))
    assert "entries were lost" in "".join(report.lines({**view, "report": {**view["report"], "exact": False}}))


def test_of_what_staff_state_only_what_was_asked_for_is_kept_and_a_badge_is_a_number(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[str] = []
    store = door.app._loop._to_outbox
    monkeypatch.setattr(door.app._loop, "_to_outbox", lambda event: (kept.append(repr(event)), store(event)))
    door.show("stranger")
    capsys.readouterr()
    for words in (("duty", "disinfect"), ("record", "document", "seen", *door.last())):
        assert door.type(*words, "--by", NAME) == 1
        assert "A badge is shown by its number" in capsys.readouterr().err
    number, more = int(door.last()[-1]), {"form": NAME, "group": NAME, "case": NAME, "answers": {"name": NAME}}
    asked = {"do": "attest", "type": "document", "value": "seen", "lane": "entry", "number": number, **more}
    assert running.send_request(door.folder / "run", asked)["decision"] == "refer"
    wait_for(lambda: any("AttestationRecord" in each for each in kept))
    assert not [each for each in kept if NAME in each]


def test_the_ledger_is_folded_when_the_agent_starts_again(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.start()
    door.show("anna")
    door.show("rita", Colour.RED)
    wait_for(lambda: door.view["cases"])
    case = door.view["cases"][0]["case"]
    door.stop()
    again = Door(tmp_path)
    again.start()
    wait_for(lambda: again.view["report"] is not None)
    assert (again.view["occupancy"]["inside"], again.view["occupancy"]["came"]) == (1, 1)
    assert [each["case"] for each in again.view["cases"]] == [case]
    again.stop()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("subject,role\nanna,pupil\n", "line 2: it has neither"),
        (
            "issuer,subject,role,number\nx,anna,pupil,7\nx,bert,pupil,7\n",
            "line 3: two people have the number 7, the other is on line 2",
        ),
        ("issuer,subject,role,number\nx,anna,pupil,7\nx,anna,pupil,8\n", "line 3: the same person as on line 2"),
        ("issuer,subject,role\nx,anna,king\n", "resident"),
        ("issuer,subject,role,from,until\nx,anna,pupil,09:00,08:00\n", "ends before it begins"),
        ("name,role\nAnna,pupil\n", "there is no column 'name'; columns are"),
    ],
)
def test_a_roster_that_is_wrong_is_told_by_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, part: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert cli.main(["roster", "build", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r.json")]) == 1
    assert part in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


def test_a_roster_and_codes_have_the_same_names() -> None:
    """A slash and accents of their own make no other holder; letters of two alphabets are nobody."""
    lines = ["issuer,subject,role", "https://Lab.example/,jose\u0301,staff"]
    (permit,) = read_table(csv.DictReader(lines))
    assert permit.key == gatepost.subject_key("https://lab.example", "jos\u00e9")[:KEY_BYTES]
    with pytest.raises(BadRoster, match="line 2: letters of CYRILLIC and LATIN"):
        read_table(csv.DictReader(["issuer,subject,role", "lab,\u0430nna,staff"]))


def test_a_packed_roster_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("issuer,subject,role,number,group\nx,Li Wei,pupil,7,class-1\n")
    assert cli.main(["roster", "build", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r.json")]) == 0
    assert "1 pupil class-1" in capsys.readouterr().out
    assert "Li" not in (tmp_path / "r.json").read_text()
    assert cli.main(["roster", "show", str(tmp_path / "r.json")]) == 0


def test_a_lane_that_is_shut_lets_nobody_in_and_shows_so(door: Door) -> None:
    request = Observation("", Role.CLINICAL, Attestation(time.monotonic(), "shut", "entry", 30))
    assert door.app._loop.request(request, 5.0).reason is None
    wait_for(lambda: door.view["shut"] == ["entry"])
    wait_for(lambda: door.app._loop._checkpoint._lanes["entry"].closed)
    door.show("anna")
    assert door.opened() == 0
    request = Observation("", Role.CLINICAL, Attestation(time.monotonic(), "shut", "entry", 0))
    door.app._loop.request(request, 5.0)
    wait_for(lambda: not door.app._loop._checkpoint._lanes["entry"].closed)


PRIVATE = "reason=visit\nname=王小明\ntelephone=139 1234 5678\n"


def with_privacy(folder: Path) -> BundleStore:
    """A store whose privacy rules seal to the central server."""
    store = BundleStore(folder / "bundles")
    store.install(root())
    now_utc = time.time()
    begins, ends = (datetime.fromtimestamp(now_utc + s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for s in (-60, 86_400))
    public = b64encode(hpke.public_bytes(SEAL)).decode()
    text = f'mode = "trace"\n[[key]]\nkeyid = "k"\npublic = "{public}"\nfrom = {begins}\nuntil = {ends}\n'
    store.accept(sent("privacy", text), TimeBounds(now_utc, now_utc + 1, ClockState.SYNCED))
    return store


SEAL = hpke.new_private_key()


class ClosedTerminal(io.StringIO):
    """A terminal at which nobody types."""

    def isatty(self) -> bool:
        return True


class SlowGuard(ClosedTerminal):
    """A terminal at which the questions of a form are answered; after the first one, something else happens."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__("visit\n\n王小明\n139 1234 5678\n")
        self._meanwhile, self._asked = meanwhile, False

    def readline(self, *limit: int) -> str:
        if not self._asked:
            self._asked = True
            self._meanwhile()
        return super().readline(*limit)


def test_a_form_is_of_the_person_for_whom_it_was_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_privacy(tmp_path)
    door = Door(tmp_path, CONFIG.replace("[venue]", BUNDLES + "[venue]"))

    def ask(item: Item) -> RemeasureResult:
        answer = door.app._loop.request(Observation("entry", Role.CLINICAL, item), LIMIT_S)
        assert isinstance(answer, RemeasureResult)
        return answer

    def another_comes_in_his_place() -> None:
        ask(SentAway(time.monotonic(), first))
        door.show("another")

    door.start()
    try:
        door.show("stranger")
        first = ask(WhoWaits(time.monotonic())).waiting[0].number
        monkeypatch.setattr("sys.stdin", SlowGuard(another_comes_in_his_place))
        assert door.type("record", "visitor", "--lane", "entry") == 1
        assert f"somebody waits at entry: say whom the form is about, --for NUMBER ({first})" in (
            capsys.readouterr().err
        )
        assert door.type("record", "visitor", "--lane", "entry", "--for", str(first)) == 0
        assert "Form visitor is kept. Nobody waits here" in capsys.readouterr().out
        monkeypatch.undo()
        form = {
            "form": "visitor",
            "answers": {"reason": "visit"},
            "private": {"name": "王小明", "telephone": "13912345678"},
        }
        said = door.app._loop.request(
            Observation("entry", Role.CLINICAL, Attestation(time.monotonic(), "form", **form)), LIMIT_S
        )
        assert isinstance(said, AttestationResult)
        assert said.text.endswith("Nobody counts as recorded by it: say the number of whom it is about.")
        assert door.opened() == 0
    finally:
        door.stop()


def test_a_visitor_who_is_recorded_on_a_form_is_let_in_and_his_answers_are_sealed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_privacy(tmp_path)
    door = Door(tmp_path, CONFIG.replace("[venue]", BUNDLES + "[venue]"))
    door.start()
    try:
        door.show("stranger")
        assert door.opened() == 0, "who is on no roster is to be recorded"
        (tmp_path / "answers").write_text(PRIVATE)
        asked = Observation("entry", Role.CLINICAL, WhoWaits(time.monotonic()))
        number = str(door.app._loop.request(asked, LIMIT_S).waiting[0].number)
        answers = ("--answers", str(tmp_path / "answers"))
        assert door.type("record", "visitor", *answers, "--lane", "entry", "--for", number) == 0
        wait_for(lambda: door.opened() == 1)
        assert door.type("record", "visitor", "reason=visit", "--answers", str(tmp_path / "answers")) == 0
        assert door.type("record", "visitor", "reason=gossip", "--answers", str(tmp_path / "answers")) == 0
        assert door.type("record", "visitor", "reason=visit") == 1
        assert "name is not answered" in capsys.readouterr().err
        monkeypatch.setattr("sys.stdin", ClosedTerminal())
        assert door.type("record", "visitor") == 1
        assert "standard input ended before the question was answered" in capsys.readouterr().err
        assert door.type("record", "gossip", "reason=visit") == 1
        assert "there is no statement or form 'gossip'; there are mask" in capsys.readouterr().err
        assert door.type("record", "visitor", "王小明") == 1
        told = capsys.readouterr().err
        assert "an answer is NAME=VALUE" in told
        assert "王" not in told
    finally:
        door.stop()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("outbox*"))
    for secret in ("王小明", "139 1234", "13912345678"):
        assert secret.encode() not in kept


def test_a_permit_from_the_command_line_is_one_that_a_kiosk_takes(tmp_path: Path, capsys) -> None:
    keys = ["--private", str(tmp_path / "x.key"), "--keys", str(tmp_path / "issuers.toml")]
    assert cli.main(["keys", "new", "x", *keys, "--formats", "permit"]) == 0
    capsys.readouterr()
    words = ["issue", "--key", str(tmp_path / "x.key"), "--permit", "visitor", "--subject", "2026-0017"]
    more = ["--hours", "00:00-24:00", "--weekdays", "1234567", "--uses", "1", "--group", "ward-3", "--number", "12"]
    assert cli.main([*words, *more, "--issuer", "x"]) == 0
    code = capsys.readouterr().out.strip().encode()
    now = TimeBounds(time.time(), time.time() + 1, ClockState.SYNCED)
    found = credentials.check(code, load.load_trust(credentials.Options(), tmp_path), now)
    permit = found.permit
    assert (found.status, permit.kind.role, permit.kind.uses) == (CodeStatus.VALID, "visitor", 1)
    assert (permit.group, permit.number) == ("ward-3", 12)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--hours", "17:00-09:00"], "ends before it begins"),
        (["--hours", "noon"], "FROM-UNTIL, for example 09:00-17:00"),
        (["--weekdays", "8"], "weekdays are digits from 1 (Monday) to 7, for example 12345, not '8'"),
        (["--weekdays", "1-5"], "not '1-5'"),
        (["--days", "5000"], "for example --days 1"),
    ],
)
def test_what_is_wrong_with_a_permit_is_one_sentence(tmp_path: Path, capsys, more, sentence) -> None:
    (tmp_path / "x.key").write_bytes(signing.new_private_key().pem())
    assert (
        cli.main(["issue", "--key", str(tmp_path / "x.key"), "--permit", "visitor", "--subject", "1", *more]) == 1
    )
    assert sentence in capsys.readouterr().err


def test_each_refusal_of_the_agent_is_told_in_words() -> None:
    for why in LocalRefusal:
        with pytest.raises(running.RequestRefused) as caught:
            running._answer(json.dumps({"refused": why}).encode())
        assert " " in str(caught.value), why


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        (
            "from,until",
            "12:00,09:00",
            (
                "line 2: a window ends before it begins: until (09:00) must be later than from (12:00),"
                " for example from 09:00 until 12:00"
            ),
        ),
        ("weekdays", "1-5", "line 2: weekdays are digits from 1 (Monday) to 7, for example 12345, not '1-5'"),
        ("number", "70000", "line 2: number '70000' should be a whole number from 0 to 65535, for example 17"),
        ("uses", "some", "line 2: uses 'some' should be a whole number from 0 to 100, for example 1"),
        ("party", "0", "line 2: party '0' should be a whole number from 1 to 100, for example 2"),
    ],
)
def test_what_is_wrong_with_a_table_of_people_is_one_sentence(
    tmp_path: Path, capsys, column, value, sentence
) -> None:
    (tmp_path / "people.csv").write_text(f"issuer,subject,role,{column}\nx,anna,visitor,{value}\n")
    table = ["roster", "build", str(tmp_path / "people.csv"), "--out", str(tmp_path / "roster.json")]
    assert cli.main(table) == 1
    assert capsys.readouterr().err.strip() == f"{tmp_path / 'people.csv'}: {sentence}"


def test_the_code_of_the_place_is_drawn_for_print(tmp_path: Path, capsys) -> None:
    door = Door(tmp_path, CONFIG)
    assert door.type("show", "--place-code", str(tmp_path / "place.png")) == 1
    assert "[kiosk] place_code is not set" in capsys.readouterr().err
    url = "https://place.example/q?c=0123"
    door = Door(tmp_path, CONFIG.replace('id = "door-1"', f'id = "door-1"\nplace_code = "{url}"'))
    assert door.type("show", "--place-code", str(tmp_path / "place.png")) == 0
    assert (tmp_path / "place.png").read_bytes().startswith(b"\x89PNG")


def test_forms_of_the_venue_itself(tmp_path: Path) -> None:
    (tmp_path / "forms").mkdir()
    (tmp_path / "forms" / "tour.toml").write_text(TOUR)
    door = Door(tmp_path, CONFIG.replace('file = "venue.toml"', 'file = "venue.toml"\nforms = "forms"'))
    door.start()
    try:
        assert door.type("record", "tour", "language=zh") == 0
        assert door.type("record", "tour", "language=xx") == 1
        assert door.type("record", "inspection", "subject=masks", "finding=mend") == 0
    finally:
        door.stop()
    (tmp_path / "forms" / "bad.toml").write_text("name = 7")
    with pytest.raises(BadVenueFile, match=r"needs title\.en and title\.zh"):
        Door(tmp_path, CONFIG.replace('file = "venue.toml"', 'file = "venue.toml"\nforms = "forms"'))


TOUR = """
name = "tour"
title.en = "Tour"
title.zh = "导览"
[[field]]
name = "language"
choices = ["zh", "en"]
clear = true
"""


# -- names, numbers and plates: nowhere on disk, in the log, on the wire in the clear, in memory

NAME, PHONE, PLATE = "王小明CANARY", "13912345678", "沪A88CANARY"
DOCUMENT, FOB = "11010519491231002X", "0FCA9A4100"
SECRETS = (NAME, PHONE, PLATE, DOCUMENT, FOB)
CARD_READERS = f"""
[vehicle]
plate = "{PLATE}"
seats = 45
[lanes.second]
direction = "entry"
card = {{{{ driver = "id_card", port = "{{folder}}/sdt", period_s = 0.02, away_s = 0.01 }}}}
gate = {{{{ driver = "simulated" }}}}
[lanes.third]
direction = "entry"
card = {{{{ driver = "em4100", port = "{{folder}}/fob", away_s = 0.01 }}}}
gate = {{{{ driver = "simulated" }}}}
[checkpoint]
temperature_timeout_s = 0.3
"""
FORGOTTEN_S = 3.0
"""The person who waits for staff is remembered for `clinical_timeout_s`, here a second."""


def found_in(text: bytes | str) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    return [secret for secret in SECRETS if secret.encode() in data]


def reachable(*roots: object) -> list[str]:
    """Secrets in any text that can be reached, but for the configuration: that names the plate."""
    seen: set[int] = set()
    pending, found = list(roots), []
    while pending:
        each = pending.pop()
        if id(each) in seen or isinstance(each, Config | Vehicle | type):
            continue
        seen.add(id(each))
        if isinstance(each, str | bytes | bytearray):
            found += found_in(each if isinstance(each, str) else bytes(each))
        elif type(each).__name__ not in ("module", "function", "builtin_function_or_method", "frame"):
            pending += gc.get_referents(each)
    return found


def state_everything(door: Door) -> None:
    """What staff type, right and wrong."""
    private = {"name": NAME, "telephone": PHONE}
    for what, value, more in (
        ("form", "", {"form": "visitor", "answers": {"reason": "visit"}, "private": private}),
        ("trip", "begin", {}),
        ("form", "", {"form": "visitor", "answers": {"reason": NAME}, "private": private}),
        ("form", "", {"form": "visitor", "answers": {"reason": "visit", NAME: PHONE}}),
        ("badge", PHONE, {}),
        ("badge", "", {}),
    ):
        item = Attestation(time.monotonic(), what, value, **more)
        door.app._loop.request(Observation("", Role.CLINICAL, item), 5.0)


@pytest.mark.parametrize("documents", [False, True])
def test_names_numbers_and_plates_are_nowhere_in_the_clear(
    tmp_path: Path, broker, caplog: pytest.LogCaptureFixture, documents: bool
) -> None:
    caplog.set_level("DEBUG")
    store, now_utc = with_privacy(tmp_path), time.time()
    if documents:
        text = "documents = true\n" + str(store.current("privacy").content)
        store.accept(sent("privacy", text, 2), TimeBounds(now_utc, now_utc + 1, ClockState.SYNCED))
    heard = broker.subscriber()
    config = (CONFIG.replace("[venue]", BUNDLES + "[venue]") + CARD_READERS).replace(
        "port = 1\n", f"port = {broker.port}\n"
    )
    config = config.replace("[screening]", "[screening]\nclinical_timeout_s = 1.0")
    door, module, reader = Door(tmp_path, config), SdtModule(), Em4100Reader()
    with Port(tmp_path / "sdt", module), Port(tmp_path / "fob", reader):
        door.start()
        try:
            for lay in (lambda: module.lay(DOCUMENT.encode()), lambda: reader.lay(bytes.fromhex(FOB))):
                decided = door.app._loop.decided
                lay()
                wait_for(lambda decided=decided: door.app._loop.decided > decided)
            reader.lay(b"")
            state_everything(door)
            for number in range(3):
                door.show(f"other{number}")
            wait_for(lambda: door.app._outbox.status().waiting == 0)
            wait_for(lambda: {"attestation", "passage"} <= {each["type"].split(".")[1] for each in heard.events()})
            time.sleep(FORGOTTEN_S)
        finally:
            door.stop()
    kept = {
        path.name: words for path in tmp_path.rglob("*") if path.is_file() if (words := found_in(path.read_bytes()))
    }
    assert {name: words for name, words in kept.items() if name != "agent.toml"} == {}
    assert found_in(caplog.text) in ([], [PHONE]), "a badge is typed to be told: it is no secret of anybody"
    clear = [
        event for event in heard.events() if found_in(json.dumps(event, ensure_ascii=False)) not in ([], [PHONE])
    ]
    assert clear == []
    sealed = [opened(event, SEAL) for event in heard.events() if event["data"].get("sealed")]
    told = json.dumps(sealed, ensure_ascii=False)
    assert all(secret in told for secret in (NAME, PLATE)), "the central server opens what was sealed"
    door.app._loop._ledger.view = None
    gc.collect()
    assert reachable(door.app._loop._checkpoint, door.app._loop._ledger, door.app._outbox) == []


def test_the_number_of_an_identity_card_goes_no_further_than_the_reader(tmp_path: Path) -> None:
    """Without the right to it, not even the verdict on it is another one: all such cards look the same."""
    door, module = Door(tmp_path, CONFIG + CARD_READERS), SdtModule()
    seen: list[bytes] = []
    check = door.app._loop._checkpoint._rules.check
    object.__setattr__(
        door.app._loop._checkpoint._rules,
        "check",
        lambda payloads, now: seen.extend(payloads) or check(payloads, now),
    )
    with Port(tmp_path / "sdt", module), Port(tmp_path / "fob", Em4100Reader()):
        door.start()
        try:
            module.lay(DOCUMENT.encode())
            wait_for(lambda: seen)
        finally:
            door.stop()
    assert set(seen) == {b"card:prc-id:"}
