"""A day of each venue profile that comes with the agent, from the code that is shown to the report at its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from venue_site import FEVER_C, LANES, ROOT, Site

from agent.model import Colour, Direction, LaneSpec, LaneType, Outcome, PermitState, Role
from agent.venue import Vehicle

S, C, T, G = Role.SCANNER, Role.CARD, Role.THERMOMETER, Role.GATE
ADMIT, NOTICE, REFER, REFUSE = Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE, Outcome.REFER, Outcome.REFUSE
SCENARIOS = {
    "school", "kindergarten", "care_home", "prison", "psychiatric_hospital", "medical", "residential", "office",
    "construction_site", "retail", "public_place", "port_of_entry", "transport",
}  # fmt: skip


def test_there_is_a_scenario_for_each_profile() -> None:
    assert {path.stem for path in (ROOT / "config" / "venue").glob("*.toml")} == SCENARIOS
    names = {name.removeprefix("test_").partition("__")[0] for name in globals()}
    assert names >= SCENARIOS


def outcomes(*passages) -> list[Outcome]:
    return [passage.decision.outcome for passage in passages]


def test_school__a_morning_round_an_absence_a_contact_and_the_days_report(tmp_path: Path) -> None:
    """一所学校: 晨检, 因病缺勤, 推送—比对—排查—反馈, 日报告."""
    pupils = [(f"pupil{n}", "pupil", n, "class-1" if n < 4 else "class-2") for n in range(1, 7)]
    site = Site(tmp_path, "school", people=pupils, lists={"watched": {"pupil5": 2}})
    site.at("07:10")
    assert outcomes(*(site.comes(site.code(f"pupil{n}")) for n in (1, 2, 3))) == [ADMIT] * 3
    fever = site.comes(site.code("pupil4"), celsius=FEVER_C)
    contact = site.comes(site.code("pupil5"))
    assert outcomes(fever, contact) == [REFER, REFER]
    assert fever.venue.case
    assert contact.venue.case
    assert site.state("absence", "ill", number=6).reason is None
    stranger = site.comes(site.code("aunt"))
    assert (stranger.decision.outcome, stranger.decision.actions) == (REFER, ("register",))
    assert site.state("record", "done").passage.decision.outcome is ADMIT
    site.at("08:40")
    morning = site.round("morning")
    assert (morning.expected, morning.checked, morning.unmeasured) == (6, 4, 1), (
        "the contact came, and is not absent"
    )
    assert (morning.absent, morning.absent_ill) == (1, 1)
    assert morning.groups["class-2"] == {
        "expected": 3, "checked": 1, "unmeasured": 1, "absent": 1, "absent_ill": 1
    }  # fmt: skip
    for case, feedback in ((fever.venue.case, "sent_home"), (contact.venue.case, "handed_over")):
        assert site.state("feedback", feedback, case=case, by="G07").reason is None
    site.state("duty", "disinfect")
    for _ in range(4):
        site.leaves()
    day = site.day()
    assert (day.came, day.left, day.most, day.inside) == (4, 4, 4, 0)
    assert (day.cases["opened"], day.cases["answered"], day.cases["unanswered"]) == (2, 2, 0)
    assert day.duties["disinfect"] == {"asked": 4, "done": 1, "missed": 3}
    assert day.rounds["morning"]["absent_ill"] == 1
    assert day.rounds["noon"]["checked"] == 0, "zero is reported too"


def test_kindergarten__every_child_morning_and_after_the_nap_and_a_cluster_of_two(tmp_path: Path) -> None:
    """幼儿园: 晨检, 午检; two with one symptom in one group are told."""
    children = [(f"#0A0000000{n}", "pupil", n, "bears") for n in range(1, 5)]
    lanes = {
        **LANES,
        "in": LaneSpec(Direction.ENTRY, parts=frozenset({S, C, T, G})),
        "ward": LaneSpec(Direction.CHECK, parts=frozenset({C, T})),
    }
    green = {f"#0A0000000{n}": 1 for n in range(1, 5)}
    site = Site(tmp_path, "kindergarten", "school", people=children, lanes=lanes, lists={"status:card": green})
    site.at("07:45")
    assert outcomes(*(site.comes(f"#0A0000000{n}") for n in (1, 2, 3))) == [ADMIT] * 3
    parent = site.comes(site.code("mother"))
    assert (parent.decision.outcome, parent.venue.role) == (REFER, "unknown")
    site.at("14:40")
    checks = [
        site.comes(f"#0A0000000{n}", lane="ward", celsius=c) for n, c in ((1, 34.4), (2, FEVER_C), (3, FEVER_C))
    ]
    assert [each.gate_opened for each in checks] == [False] * 3
    site.at("15:40")
    noon = site.round("noon")
    assert (noon.expected, noon.checked, noon.absent) == (4, 3, 1)
    assert noon.clusters == ({"group": "bears", "symptom": "fever", "count": 2},)
    day = site.day()
    assert (day.rounds["morning"]["checked"], day.cases["opened"], day.cases["unanswered"]) == (3, 2, 2)


def test_care_home__two_visitors_of_a_resident_with_a_test_and_masks_confirmed(tmp_path: Path) -> None:
    """养老院探视: booked, tested, two at a time, masks confirmed by the guard."""
    people = [
        ("res1", "resident", 1, "floor-1"),
        ("nurse", "staff", 90, "care"),
        ("son", "visitor", 0, "", "14:00", "16:00"),
    ]
    site = Site(tmp_path, "care_home", people=people)
    site.at("07:30")
    nurse = site.comes(site.code("nurse", pcr_h=20))
    assert nurse.decision.reasons == ("mask_missing",)
    assert site.state("mask", "worn").passage.decision.outcome is ADMIT
    early = site.comes(site.code("son", pcr_h=20))
    assert early.venue.permit == "early"
    assert site.state("mask", "worn").passage.decision.outcome is REFER, "no word of staff opens before its time"
    site.at("14:10")
    visit = site.permit("res1-visit", "visitor", party=2, windows=[{"from": "14:00", "until": "16:00"}])
    for holder, outcome in (("son2", ADMIT), ("daughter", ADMIT), ("cousin", REFER)):
        site.comes(visit, site.code(holder, pcr_h=20))
        answer = site.state("mask", "worn")
        site.wait(6.0)
        assert answer.passage.decision.outcome is outcome
    assert answer.passage.facts.permit is PermitState.USED
    assert site.comes(site.code("walkin", pcr_h=20)).venue.permit == "missing"
    assert site.comes(visit, site.code("untested")).decision.outcome is REFER
    day = site.day()
    assert (day.came, day.rounds["evening"]["expected"], day.rounds["evening"]["checked"]) == (3, 1, 0)
    assert day.decisions["visitor"]["admit"] == 2


def test_prison__staff_on_shift_a_visitor_with_a_permit_and_residents_twice_a_day(tmp_path: Path) -> None:
    people = [
        ("guard1", "staff", 1, "shift-a"),
        ("res1", "resident", 101, "wing-a"),
        ("res2", "resident", 102, "wing-a"),
    ]
    lanes = {**LANES, "wing": LaneSpec(Direction.CHECK, parts=frozenset({S, T}))}
    site = Site(tmp_path, "prison", "care_home", people=people, lanes=lanes)
    site.at("06:30")
    site.comes(site.code("guard1", pcr_h=10))
    assert site.state("mask", "worn").passage.gate_opened
    for resident in ("res1", "res2"):
        assert not site.comes(site.code(resident, pcr_h=10), lane="wing").gate_opened
    site.at("08:10")
    assert (site.round("morning").expected, site.round("morning").checked) == (3, 3)
    elsewhere = site.permit("v1", "visitor", place="other-prison")
    shown = site.comes(elsewhere, site.code("lawyer", pcr_h=10))
    site.state("mask", "worn")
    assert (shown.venue.permit, site.passages[-1].gate_opened) == ("elsewhere", False)
    site.comes(site.permit("v2", "visitor", place="prison"), site.code("lawyer2", pcr_h=10))
    assert site.state("mask", "worn").passage.gate_opened
    for time in ("09:00", "11:00", "13:00"):
        site.at(time)
        site.state("duty", "patrol")
    site.at("20:10")
    assert site.round("evening").checked == 0
    assert site.day().duties["patrol"] == {"asked": 12, "done": 3, "missed": 9}


def test_psychiatric_hospital__patients_twice_a_day_and_an_escort_by_permit(tmp_path: Path) -> None:
    people = [("pat1", "patient", 1, "ward-1"), ("pat2", "patient", 2, "ward-1")]
    lanes = {**LANES, "ward": LaneSpec(Direction.CHECK, parts=frozenset({S, T}))}
    site = Site(tmp_path, "psychiatric_hospital", "medical", people=people, lanes=lanes)
    site.at("06:20")
    site.comes(site.code("pat1"), lane="ward")
    fever = site.comes(site.code("pat2"), lane="ward", celsius=FEVER_C)
    assert (fever.decision.outcome, fever.decision.actions[0]) == (REFER, "fever_clinic")
    red = site.comes(site.code("escort", Colour.RED))
    assert (red.decision.outcome, red.gate_opened) == (REFER, False), "nobody ill is turned away, and nobody let in"
    site.comes(site.permit("e1", "escort"), site.code("escort2"))
    assert site.state("mask", "worn").passage.decision.outcome is NOTICE
    for case in site.venue.open_cases(site.at_s):
        site.state("feedback", "fever_clinic", case=str(case["case"]))
    day = site.day()
    assert (day.rounds["morning"]["checked"], day.rounds["evening"]["checked"]) == (2, 0)
    assert (day.cases["opened"], day.cases["answered"]) == (2, 2)
    assert site.written[-1].body is day


def test_medical__nobody_ill_is_sent_away_and_an_escort_without_a_phone_is_vouched_for(tmp_path: Path) -> None:
    """医院: 不得拒诊; 不得将健康码作为通行的唯一凭证."""
    site = Site(tmp_path, "medical")
    site.at("09:00")
    for shown, celsius in ((site.code("ill", Colour.RED), 34.4), (site.code("hot"), FEVER_C)):
        passage = site.comes(shown, celsius=celsius)
        assert (passage.decision.outcome, "fever_clinic" in passage.decision.actions) == (REFER, True)
    granny = site.comes()
    assert granny.decision.outcome is REFER
    site.state("document", "seen")
    site.state("record", "done")
    assert site.state("mask", "worn").passage.decision.reasons[0] == "vouched"
    assert site.opened == ["in"]
    day = site.day()
    assert (day.came, day.cases["opened"], day.decisions["visitor"]["admit_with_notice"]) == (1, 2, 1)


def test_residential__residents_pass_a_courier_is_recorded_and_a_locked_area_is_followed(tmp_path: Path) -> None:
    """小区: residents by roster, everybody else recorded; 封控区."""
    site = Site(tmp_path, "residential", people=[("res1", "resident", 1, "house-1")])
    site.at("08:00")
    assert site.comes(site.code("res1")).decision.outcome is ADMIT
    assert site.comes(site.code("courier")).decision.actions == ("register",)
    assert site.state("record", "done").passage.gate_opened
    travel = b"https://trip.example/t1"
    joined = site.comes(travel, site.code("res1b"))
    assert joined.verdict.colour is Colour.GREEN
    day = site.day()
    assert (day.came, day.decisions["resident"]["admit"], day.decisions["unknown"]["admit"]) == (2, 1, 1)

    other = tmp_path / "locked"
    other.mkdir()
    locked = Site(other, "residential", people=[("res1", "resident", 1, "house-1")], zone="locked")
    locked.at("08:00")
    assert locked.comes(locked.code("res1")).decision.reasons == ("area_locked",)
    gone = locked.leaves()
    assert (gone.decision.outcome, gone.gate_opened, bool(gone.venue.case)) == (NOTICE, True, False)
    assert "area_locked" in gone.decision.reasons


def test_office__badge_and_code_together_and_visitors_recorded(tmp_path: Path) -> None:
    """写字楼: the badge says who is expected, the code that he is well."""
    lanes = {**LANES, "in": LaneSpec(Direction.ENTRY, parts=frozenset({S, C, T, G}))}
    site = Site(tmp_path, "office", people=[("#04A1B2C3", "staff", 7, "sales")], lanes=lanes)
    site.at("08:00")
    together = site.comes("#04A1B2C3", site.code("anyone"))
    assert (together.decision.outcome, together.venue.role) == (ADMIT, "staff")
    assert site.comes("#04A1B2C3").decision.outcome is REFER, "a badge alone is no health code"
    assert site.comes(b"card:em4100:04A1B2C3").verdict.format != "card", "a printed badge is none"
    site.at("10:10")
    assert (site.round("morning").expected, site.round("morning").checked) == (1, 1)
    assert site.day().came == 1


def test_construction_site__workers_by_roster_tests_in_a_row_and_lorries(tmp_path: Path) -> None:
    """工地: 实名制, 两天一检, vehicles with a notice."""
    lanes = {**LANES, "lorry": LaneSpec(Direction.ENTRY, LaneType.VEHICLE)}
    people = [("w1", "staff", 1, "gang-1"), ("w2", "staff", 2, "gang-1"), ("d1", "driver", 9, "")]
    site = Site(tmp_path, "construction_site", people=people, lanes=lanes, series_tests=1, series_days=2.0)
    site.at("06:00")
    assert site.comes(site.code("w1", pcr_h=20)).decision.outcome is ADMIT
    assert site.comes(site.code("w2", pcr_h=60)).decision.reasons == ("series_short",)
    assert site.comes(site.code("w3", pcr_h=20)).venue.permit == "missing"
    assert site.comes(site.code("d1", pcr_h=20), lane="lorry").decision.outcome is NOTICE
    site.at("08:10")
    morning = site.round("morning")
    assert (morning.expected, morning.checked, morning.absent) == (2, 2, 0)
    day = site.day()
    assert (day.came, day.rounds["evening"]["absent"]) == (2, 2)


def test_retail__a_full_shop_one_out_one_in_and_a_fever_register(tmp_path: Path) -> None:
    """商场, 药店: 限流, 出一进一, 退热药登记."""
    site = Site(tmp_path, "retail")
    site.at("10:00")
    site.state("count", number=299)
    assert site.comes(site.code("c1")).decision.outcome is ADMIT
    full = site.comes(site.code("c2"))
    assert (full.decision.reasons, full.decision.actions) == (("room_full",), ("wait_outside",))
    site.leaves()
    assert site.comes(site.code("c2")).decision.outcome is ADMIT
    sold = {"medicine": "6901234567890", "reason": "fever"}
    form = site.venue.forms["fever_drug"]
    answers = {field.name: (field.choices or (sold.get(field.name, "13912345678"),))[0] for field in form.fields}
    kept = site.state("form", form="fever_drug", private=answers)
    assert kept.reason is None, kept.text
    bare = site.comes(site.code("c3"))
    site.state("mask", "missing")
    assert bare.decision.reasons == ("room_full",)
    day = site.day()
    assert (day.came, day.left, day.most, day.inside) == (2, 1, 300, 0)
    assert day.drift == 299 - 300, "counted in the morning, and all gone at closing time"
    assert day.decisions["visitor"]["refer"] >= 2


def test_public_place__bookings_the_days_cap_and_zero_on_a_day_without_people(tmp_path: Path) -> None:
    """图书馆: 预约, 每日限额, 零报告."""
    site = Site(tmp_path, "public_place")
    site.at("09:05")
    ticket = site.permit("b1", "visitor", uses=1, windows=[{"from": "09:00", "until": "12:00"}])
    assert site.comes(ticket, site.code("reader")).venue.permit == "valid"
    site.wait(130)
    again = site.comes(ticket, site.code("friend"))
    assert again.venue.permit == "used"
    assert not again.gate_opened
    site.at("13:00")
    assert (
        site.comes(
            site.permit("b2", "visitor", windows=[{"from": "09:00", "until": "12:00"}]), site.code("late")
        ).venue.permit
        == "late"
    )
    assert site.day().came == 1
    empty = site.day()
    assert (empty.came, empty.left, empty.complete, empty.powered_s) == (0, 0, True, 86_400)


def test_port_of_entry__arrivals_with_a_test_a_watch_hit_and_a_drill(tmp_path: Path) -> None:
    """口岸: 48 h, those on a watch list followed to the end, a drill that cannot hide the real one."""
    site = Site(tmp_path, "port_of_entry", lists={"watched": {"wanted": 1}})
    site.at("12:00")
    assert site.comes(site.code("p1", pcr_h=30)).decision.outcome is ADMIT
    assert site.comes(site.code("p2")).decision.reasons == ("test_missing",)
    drill = site.comes(site.code("actor", Colour.RED, drill=True))
    real = site.comes(site.code("wanted", pcr_h=30))
    assert (drill.venue.drill, real.venue.drill) == (True, False)
    assert (drill.gate_opened, real.gate_opened) == (False, False)
    for case, feedback in ((drill.venue.case, "isolated"), (real.venue.case, "handed_over")):
        site.wait(60)
        assert site.state("feedback", feedback, case=case).reason is None
    again = site.state("feedback", "cleared", case=real.venue.case)
    assert again.text == f"Case {real.venue.case} is not open: it was closed, or never opened."
    day = site.day()
    assert (day.came, day.cases["opened"], day.cases["drills"]) == (1, 1, 1)
    assert day.cases["drill_answer_s"] > 0
    assert "refuse" not in day.decisions["visitor"]


def test_transport__a_trip_by_the_drivers_badge_seats_place_and_a_long_time_offline(tmp_path: Path) -> None:
    """长途客车: the driver's badge, a seat for each, where somebody boarded."""
    lanes = {"in": LaneSpec(Direction.ENTRY, parts=frozenset({S, C, T, G})), "out": LANES["out"]}
    people = [("#0D00000001", "driver", 1, ""), ("p17", "passenger", 17, ""), ("p18", "passenger", 18, "")]
    status = {"#0D00000001": 1}
    site = Site(
        tmp_path,
        "transport",
        people=people,
        lanes=lanes,
        vehicle=Vehicle("沪A12345", 2),
        lists={"status:card": status},
    )
    site.at("06:00")
    driver = site.comes("#0D00000001")
    assert (driver.decision.outcome, bool(driver.venue.trip)) == (ADMIT, True)
    site.leaves()
    site.drives(31.2304, 121.4737)
    boarded = site.comes(site.code("p17"))
    assert (boarded.venue.trip, boarded.venue.seat) == (driver.venue.trip, 17)
    assert (boarded.venue.place.lat, boarded.venue.place.u_m) == (31.2304, 4.2)
    assert boarded.venue.place.age_s < 60
    site.comes(site.code("p18"))
    assert site.comes(site.code("p19")).decision.reasons == ("room_full",), "two seats"
    site.at("06:00")
    site.at("06:00")
    later = site.comes(site.code("p17"))
    assert later.venue.trip == driver.venue.trip, "days offline, one trip"
    assert later.venue.place is None, "a place of days ago is none"
    first = next(each for each in site.reports if each.type == "day")
    assert (first.trips, first.came, first.left) == (1, 3, 1)
    (record,) = [each.body for each in site.written if getattr(each.body, "type", "") == "trip"]
    assert record.private == {"plate": "沪A12345"}


@pytest.mark.parametrize("zone", ["low", "high"])
@pytest.mark.parametrize("venue", sorted(SCENARIOS))
def test_at_no_venue_do_red_fever_or_nobody_come_in(tmp_path: Path, venue: str, zone: str) -> None:
    tables = {"kindergarten": "school", "prison": "care_home", "psychiatric_hospital": "medical"}
    site = Site(tmp_path, venue, tables.get(venue), zone=zone)
    site.at("10:00")
    red = site.comes(site.permit("r", "staff"), site.code("r", Colour.RED, pcr_h=5))
    hot = site.comes(site.permit("h", "staff"), site.code("h", pcr_h=5), celsius=FEVER_C)
    nobody = site.comes()
    assert REFUSE not in outcomes(hot, nobody)
    for lane_number in range(3):
        for what, value in (("document", "seen"), ("record", "done"), ("mask", "worn"), ("travel", "clear")):
            number = (
                site.checkpoint._lanes["in"].waiting[lane_number].number
                if lane_number < len(site.checkpoint._lanes["in"].waiting)
                else 0
            )
            if number:
                site.state(what, value, number=number)
    let_in = {
        passage.verdict.subject if passage.verdict else b"" for passage in site.passages if passage.gate_opened
    }
    assert not let_in & {red.verdict.subject, hot.verdict.subject}


def test_a_permit_for_several_counts_out_as_many_as_are_inside_with_it(tmp_path: Path) -> None:
    lanes = {"in": LaneSpec(Direction.ENTRY), "out": LaneSpec(Direction.EXIT, parts=frozenset({S, G}))}
    site = Site(tmp_path, "retail", lanes=lanes)
    site.at("10:00")
    family = site.permit("family", "visitor", party=2)
    for who, codes in (("anna", [family]), ("bert", [family]), ("carl", []), ("dora", [])):
        assert site.comes(*codes, site.code(who)).decision.outcome is ADMIT
    insides = []
    for _ in range(4):
        site.show(family, "out")
        site.wait(8.0)
        insides.append(site.inside)
    assert insides == [3, 2, 2, 2]
    site.wait(120.0)
    site.show(family, "out")  # shown by one who came in by another kiosk
    assert site.inside == 1


@pytest.mark.parametrize(("venue_asks", "permit_asks", "asks"), [(0, 2, 2), (0, 0, 0), (2, 1, 2), (1, 0, 1)])
def test_a_permit_may_ask_for_more_tests_than_the_venue_and_never_for_fewer(
    tmp_path: Path, venue_asks: int, permit_asks: int, asks: int
) -> None:
    site = Site(tmp_path, "retail", series_tests=venue_asks)
    site.at("10:00")
    visit = site.permit("visit", "visitor", tests=permit_asks)
    taken_h = (10, 40)
    for shown in range(asks + 1):
        codes = [site.code(f"guest{shown}", pcr_h=ago_h) for ago_h in taken_h[:shown]]
        passage = site.comes(visit, *(codes or [site.code(f"guest{shown}")]))
        told = (passage.decision.outcome, passage.decision.reasons[0])
        assert told == ((ADMIT, "code_green") if shown >= asks else (REFER, "series_short"))
