"""Rail tickets: two real ones, each bit of them; codes of our own for what those do not show."""

from __future__ import annotations

import zlib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import rail_tickets as rails
import vectors_today as vectors
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from agent import credentials
from agent.credentials import fcb, list_text, lists, rail
from agent.credentials.formats import uic
from agent.credentials.trust import BadTrustStore, TrustedKey, TrustStore, parse_keys
from agent.crypto import signing, uper
from agent.crypto.refusal import Malformed
from agent.model import ClockState, CodeStatus, Entitlement, ListAge, TicketService, TimeBounds, Verdict
from tests.damage import flipped

REAL = vectors.rail_trust()
OURS = rails.trust()


def at(moment: str) -> TimeBounds:
    utc = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return TimeBounds(utc, utc, ClockState.SYNCED)


def utc(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


TRAIN_DAY, SMALL_DAY = at("2020-11-05T12:00"), at("2022-07-01T12:00")
NOW = TimeBounds(rails.ISSUED, rails.ISSUED, ClockState.SYNCED)


def with_list(
    trust: TrustStore, now: TimeBounds, *blocked: bytes, issuers: tuple[str, ...] = ("db", "sz", "rail")
) -> TrustStore:
    """Trust with a list of blocked tickets of each issuer."""
    found = []
    for issuer in issuers:
        head = lists.ListHeader("revoked", issuer, 1, now.earliest_utc, 86_400, 259_200)
        found.append(lists.CodeList(lists.parse(b"".join(lists.build(head, b"".join(blocked)).chunks))))
    return replace(trust, lists=lists.gather(found), ages=tuple(each.age for each in found))


def check(payload: bytes, now: TimeBounds = NOW, trust: TrustStore = OURS) -> Verdict:
    return credentials.check(payload, with_list(trust, now), now)


def test_a_real_ticket_of_one_train() -> None:
    verdict = check(vectors.UIC_TICKET, TRAIN_DAY, REAL)
    assert (verdict.status, verdict.format, verdict.kind, verdict.issuer) == (
        CodeStatus.VALID,
        "uic",
        "ticket",
        "db",
    )
    ticket = verdict.entitlement
    assert ticket is not None
    assert ticket.places == ("issuer/1080/8000244", "issuer/1080/8000314")
    assert ticket.services == (TicketService("ICE973", "2020-11-05"),)
    assert ticket.travel_class == "2"
    assert not ticket.has_all_places


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2020-11-04T22:59", CodeStatus.NOT_YET_VALID),
        ("2020-11-04T23:00", CodeStatus.VALID),
        ("2020-11-06T08:59", CodeStatus.VALID),
        ("2020-11-06T09:00", CodeStatus.EXPIRED),
    ],
)
def test_it_counts_to_the_minute_where_it_names_its_zone(moment: str, status: CodeStatus) -> None:
    assert check(vectors.UIC_TICKET, at(moment), REAL).status is status


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2022-06-30T20:00", CodeStatus.NOT_YET_VALID),
        ("2022-06-30T22:30", CodeStatus.TIME_UNKNOWN),
        ("2022-07-01T01:00", CodeStatus.VALID),
        ("2022-07-01T20:59", CodeStatus.VALID),
        ("2022-07-01T22:00", CodeStatus.TIME_UNKNOWN),
        ("2022-07-02T00:30", CodeStatus.EXPIRED),
    ],
)
def test_a_real_small_ticket_near_the_ends_of_a_day_without_a_zone(moment: str, status: CodeStatus) -> None:
    verdict = check(vectors.SSB_TICKET, at(moment), REAL)
    assert (verdict.status, verdict.format) == (status, "uic-small")
    assert verdict.entitlement is not None
    assert verdict.entitlement.places == ("uic/7943100", "uic/8103171")


def test_a_small_ticket_of_which_only_the_last_digit_of_the_year_is_known() -> None:
    (key,) = REAL.keys[b"1179/1"]
    ageless = TrustStore(
        {b"1179/1": (TrustedKey("sz", key.kid, key.formats, key.public, algorithm=key.algorithm),)}
    )
    verdict = check(vectors.SSB_TICKET, SMALL_DAY, ageless)
    assert (verdict.status, verdict.reason.split(":")[0]) == (
        CodeStatus.UNDECIDED,
        "its year is known to the last digit alone",
    )
    assert check(vectors.SSB_TICKET, at("2032-06-25T12:00"), REAL).status is CodeStatus.EXPIRED
    assert check(vectors.SSB_TICKET, at("2032-06-30T12:00"), REAL).status is CodeStatus.UNDECIDED


@pytest.mark.parametrize(
    ("payload", "now"), [(vectors.UIC_TICKET, TRAIN_DAY), (vectors.SSB_TICKET, SMALL_DAY)], ids=["static", "small"]
)
def test_no_byte_may_change_and_nothing_follow(payload: bytes, now: TimeBounds) -> None:
    trust = with_list(REAL, now)
    whole = credentials.check(payload, trust, now)
    assert whole.status is CodeStatus.VALID
    for changed in flipped(payload):
        assert credentials.check(changed, trust, now).status is not CodeStatus.VALID, changed
    for more in (b"\0", b"#UT01", payload):
        assert credentials.check(payload + more, trust, now).status is not CodeStatus.VALID
    assert credentials.check(payload[:-1], trust, now).status is not CodeStatus.VALID


def small_stations(table: int = 1) -> rails.Writer:
    return rails.Writer().flags(False).bits(table, 4).bits(8000105, 28).bits(8000261, 28)


LETTERS = rails.Writer().flags(True).bits(0, 60)
PLACES = ("uic/8000105", "uic/8000261")


@pytest.mark.parametrize(
    ("stations", "places"),
    [
        (small_stations(), PLACES),
        (small_stations(2), ("uic-res/8000105", "uic-res/8000261")),
        (small_stations(3), ()),
        (LETTERS, ()),
    ],
)
def test_a_small_open_ticket(stations: rails.Writer, places: tuple[str, ...]) -> None:
    days = rails.Writer().flags(False).bits(1, 9).bits(2, 9)
    verdict = check(rails.small(2, days.add(stations)), at("2026-10-04T12:00"))
    assert verdict.reason.startswith("its year is known to the last digit alone")
    found = verdict.entitlement
    assert found is not None
    assert (found.places, found.services, found.travel_class) == (places, (), "2")
    assert (found.starts_utc, found.ends_utc) == (utc("2026-10-03T22:30+00:00"), utc("2026-10-05T22:30+00:00"))


def test_a_small_reservation() -> None:
    content = rails.bits(0, 2).add(small_stations()).bits(1, 9).bits(1080, 11).add(rails.six_bits("IC 7", 5))
    day = at("2026-10-04T12:00")
    verdict = check(rails.small(1, content), day)
    assert (verdict.status, verdict.reason) == (CodeStatus.UNDECIDED, "a reservation, maybe alone")
    found = verdict.entitlement
    assert found is not None
    assert (found.places, found.services) == (PLACES, (TicketService("IC 7", "2026-10-04"),))
    assert (found.starts_utc, found.ends_utc) == (utc("2026-10-03T22:30+00:00"), utc("2026-10-05T16:30+00:00"))
    blocked = with_list(OURS, day, list_text.key_of("uic", "rail", "1080:AB12"))
    assert credentials.check(rails.small(1, content), blocked, day).status is CodeStatus.REVOKED


@pytest.mark.parametrize(
    ("payload", "status", "reason"),
    [
        (rails.small(3, rails.Writer()), CodeStatus.UNDECIDED, "a pass or a group's ticket"),
        (rails.small(4, rails.Writer()), CodeStatus.UNDECIDED, "a pass or a group's ticket"),
        (
            rails.small(2, rails.bits(0, 10).bits(2, 9).add(LETTERS), specimen=True),
            CodeStatus.UNDECIDED,
            "a specimen",
        ),
        (rails.small(2, LETTERS, year=10), CodeStatus.MALFORMED, "a day of issue that is none"),
        (rails.small(2, LETTERS, year=5, day=366), CodeStatus.MALFORMED, "a day of issue that is none"),
        (rails.small(2, LETTERS, day=0), CodeStatus.MALFORMED, "a day of issue that is none"),
        (rails.small(2, LETTERS, day=367), CodeStatus.MALFORMED, "a day of issue that is none"),
    ],
)
def test_a_small_ticket_for_staff(payload: bytes, status: CodeStatus, reason: str) -> None:
    verdict = check(payload)
    assert (verdict.status, verdict.reason) == (status, reason)


def test_signed_is_not_valid() -> None:
    verdict = credentials.check(vectors.UIC_TICKET, REAL, TRAIN_DAY)
    assert (verdict.status, verdict.reason.split(":")[0]) == (CodeStatus.UNDECIDED, "signature only")
    old = TimeBounds(TRAIN_DAY.earliest_utc - 400_000, TRAIN_DAY.earliest_utc - 400_000, ClockState.SYNCED)
    assert credentials.check(vectors.UIC_TICKET, with_list(REAL, old), TRAIN_DAY).list_age is ListAge.EXPIRED
    other = with_list(REAL, TRAIN_DAY, issuers=("sz",))
    assert credentials.check(vectors.UIC_TICKET, other, TRAIN_DAY).status is CodeStatus.UNDECIDED


@pytest.mark.parametrize("line", ["1080:CN0CTUMY", "1080:D260V48G", "1080:cn0ctumy", "01080:d260v48g"])
def test_a_ticket_is_blocked_by_the_number_that_is_printed_on_it(line: str) -> None:
    trust = with_list(REAL, TRAIN_DAY, list_text.key_of("uic", "db", line))
    assert credentials.check(vectors.UIC_TICKET, trust, TRAIN_DAY).status is CodeStatus.REVOKED


@pytest.mark.parametrize("listed", ["0012-34ab", "0012-34AB", "001234ab", "1234AB", "12-34ab"])
def test_a_reference_is_blocked_however_a_list_writes_it(listed: str) -> None:
    """In another case, without what separates it, without the zeros that a spreadsheet takes off."""
    assert rail.ticket_key("1080", listed) in {
        rail.ticket_key("1080", each) for each in rail._as_listed(["0012-34Ab"])
    }


def test_nobody_is_named() -> None:
    for payload, now in ((vectors.UIC_TICKET, TRAIN_DAY), (vectors.SSB_TICKET, SMALL_DAY)):
        text = repr(check(payload, now, REAL))
        assert not any(word in text for word in ("Karsten", "Will", "CN0CTUMY", "D260V48G", "6140001343"))


def test_every_field_of_the_grammar_by_another_encoder() -> None:
    names = {field.partition(":")[0] for field in fcb.grammar_text(3).split()}
    read = uper.compile_grammar(fcb.grammar_text(3), names)["Ticket"]
    ticket = uper.decode(read, vectors.FCB3_ALL)
    kinds = [document["ticket"][0] for document in ticket["transportDocument"]]
    assert kinds == [
        "reservation",
        "carCarriageReservation",
        "openTicket",
        "pass",
        "voucher",
        "customerCard",
        "counterMark",
        "parkingGround",
        "fipTicket",
        "stationPassage",
        "extension",
        "delayConfirmation",
    ]
    assert ticket["extension"][1] == {"extensionId": "2", "extensionData": b"\x83\xda"}
    assert ticket["travelerDetail"]["traveler"][0]["lastName"] == "Dow"
    content = fcb.read(vectors.FCB3_ALL, 3, b"")
    assert content.doubt == "a specimen"
    assert "Dow" not in repr(content)


def test_content_of_version_2_by_another_encoder() -> None:
    names = {field.partition(":")[0] for field in fcb.grammar_text(2).split()}
    ticket = uper.decode(uper.compile_grammar(fcb.grammar_text(2), names)["Ticket"], vectors.FCB2_COMPLEX)
    journey, passage = (document["ticket"] for document in ticket["transportDocument"])
    (add_on,) = journey[1]["includedAddOns"]
    assert (add_on["validFromTime"], add_on["validUntilDay"], add_on["infoText"]) == (1000, 1, "included ticket")
    assert passage == ("stationPassage", passage[1])
    assert passage[1]["stationNameUTF8"] == ["Amsterdam"]
    assert fcb.read(vectors.FCB2_COMPLEX, 2, b"").doubt == "a specimen"


def test_trust_alone_makes_a_ticket() -> None:
    assert check(vectors.UIC_TICKET, TRAIN_DAY, TrustStore()).status is CodeStatus.UNKNOWN_ISSUER
    (key,) = REAL.keys[b"1080/2"]
    other = replace(key, algorithm=signing.DSA_SHA1)
    assert (
        check(vectors.UIC_TICKET, TRAIN_DAY, TrustStore({b"1080/2": (other,)})).status is CodeStatus.BAD_SIGNATURE
    )
    unnamed = replace(key, algorithm=None)
    assert (
        check(vectors.UIC_TICKET, TRAIN_DAY, TrustStore({b"1080/2": (unnamed,)})).status is CodeStatus.BAD_SIGNATURE
    )


STATIC = rails.static(rails.records(rails.ticket(rails.open_ticket()), order=b"ORDER1"))


def test_a_ticket_of_today_and_one_of_old() -> None:
    for payload in (STATIC, rails.static(rails.records(rails.ticket(rails.open_ticket())), old=True, key="00009")):
        verdict = check(payload)
        assert (verdict.status, verdict.reason) == (CodeStatus.VALID, "")
        assert verdict.entitlement is not None
        assert verdict.entitlement.places == ("uic/8000105", "uic/8000261")


def test_the_same_ticket_in_two_codes_is_one_ticket() -> None:
    content = rails.ticket(rails.open_ticket())
    codes = [
        rails.static(rails.records(content)),
        rails.static(rails.records(content, order=b"ORDER1"), old=True, key="00009"),
        rails.dynamic(content),
        rails.dynamic(content, phone=None, shown=None),
    ]
    verdicts = [check(code) for code in codes]
    assert {verdict.status for verdict in verdicts} == {CodeStatus.VALID}
    assert len({verdict.entitlement.key for verdict in verdicts if verdict.entitlement is not None}) == 1


def test_another_signature_text_of_a_ticket_is_the_same_ticket() -> None:
    """Of r and s anybody can make r and n - s, which hold as well."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = STATIC[:46] + (order - int.from_bytes(STATIC[46:78])).to_bytes(32) + STATIC[78:]
    assert other != STATIC
    assert check(other) == check(STATIC)


def test_another_packing_of_a_ticket_is_refused() -> None:
    stream = zlib.compress(zlib.decompress(STATIC[82:]), 0)
    other = STATIC[:78] + f"{len(stream):04}".encode() + stream
    assert check(other).status is CodeStatus.BAD_SIGNATURE
    assert check(STATIC[:78] + b" 999" + STATIC[82:]).status is CodeStatus.MALFORMED


def test_a_train_and_its_day_count_from_the_issue() -> None:
    verdict = check(rails.static(rails.records(rails.ticket(rails.open_ticket(train=("ICE 77", 1))))))
    assert verdict.entitlement is not None
    assert verdict.entitlement.services == (TicketService("ICE 77", "2026-10-04"),)


OFFSET = rails.bits(52, 7)  # UTC+2


def entitlement_of(kind: int, document: rails.Writer) -> tuple[Entitlement, str]:
    verdict = check(rails.static(rails.records(rails.ticket(document, kind=kind))))
    assert verdict.entitlement is not None
    return verdict.entitlement, verdict.reason


def test_a_station_to_pass_through() -> None:
    found, reason = entitlement_of(
        rails.PASSAGE,
        rails.sequence(
            "Passage",
            stationNum=rails.Writer().length(1).integer(8000105),
            validFromDay=rails.bits(367, 11),
            validFromUTCOffset=OFFSET,
            validUntilDay=rails.bits(2, 9),
        ),
    )
    assert (found.places, found.travel_class, reason) == (("uic/8000105",), "", "")
    assert (found.starts_utc, found.ends_utc) == (utc("2026-10-03T00:00+02:00"), utc("2026-10-05T00:00+02:00"))


HOURS = rails.sequence("Periods", excludedTimeRange=rails.Writer().length(1).bits(360, 11).bits(540, 11))


SOME_DAYS = "a pass for some of its days, hours or trips"


def a_pass(**more: rails.Writer) -> rails.Writer:
    return rails.sequence(
        "Pass",
        productOwnerNum=rails.bits(1080 - 1, 15),
        productIdNum=rails.bits(9999, 16),
        countries=rails.Writer().length(2).bits(80 - 1, 8).bits(81 - 1, 8),
        validFromUTCOffset=OFFSET,
        validUntilDay=rails.bits(31, 9),
        **more,
    )


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ({}, ""),
        ({"numberOfDaysOfTravel": rails.bits(4, 8)}, SOME_DAYS),
        ({"numberOfPossibleTrips": rails.bits(4, 8)}, SOME_DAYS),
        ({"validityPeriodDetails": rails.sequence("Periods")}, SOME_DAYS),
        ({"validityPeriodDetails": HOURS}, SOME_DAYS),
        ({"activatedDay": rails.Writer().length(0)}, SOME_DAYS),
        ({"trainValidity": rails.sequence("TrainValidity")}, SOME_DAYS),
    ],
)
def test_a_pass_for_countries(more: dict[str, rails.Writer], doubt: str) -> None:
    found, reason = entitlement_of(rails.PASS, a_pass(**more))
    assert (found.places, reason) == (("country/80", "country/81", "product/1080/9999"), doubt)
    assert (found.starts_utc, found.ends_utc) == (utc("2026-10-03T00:00+02:00"), utc("2026-11-03T00:00+02:00"))


@pytest.mark.parametrize(
    ("more", "ends", "doubt"),
    [
        ({}, "2026-10-04T00:00+02:00", ""),
        ({"arrivalTime": rails.bits(1200, 11)}, "2026-10-03T20:00+02:00", ""),
        (
            {
                "arrivalDate": rails.bits(2, 5),
                "arrivalTime": rails.bits(90, 11),
                "arrivalUTCOffset": rails.bits(56, 7),
            },
            "2026-10-04T01:30+01:00",
            "",
        ),
        ({"priceType": rails.bits(1, 2)}, "2026-10-04T00:00+02:00", "a reservation alone"),
    ],
)
def test_a_seat_in_a_train(more: dict[str, rails.Writer], ends: str, doubt: str) -> None:
    found, reason = entitlement_of(
        rails.RESERVATION,
        rails.sequence(
            "Reservation",
            trainIA5=rails.Writer().ia5("ICE 77"),
            fromStationNum=rails.bits(8000105 - 1, 24),
            departureTime=rails.bits(1080, 11),
            departureUTCOffset=OFFSET,
            **more,
        ),
    )
    assert (found.places, found.travel_class, reason) == (("uic-res/8000105",), "2", doubt)
    assert found.services == (TicketService("ICE 77", "2026-10-03"),)
    assert (found.starts_utc, found.ends_utc) == (utc("2026-10-03T00:00+02:00"), utc(ends))


@pytest.mark.parametrize(
    ("content", "doubt"),
    [
        (rails.ticket(rails.open_ticket(), rails.open_ticket()), "several tickets in one code"),
        (rails.ticket(), "no ticket that this gate can weigh"),
        (rails.ticket(rails.open_ticket(), head=rails.issuing(specimen=True)), "a specimen"),
        (rails.ticket(rails.open_ticket(), head=rails.issuing(activated=False)), "not activated"),
        (rails.ticket(rails.open_ticket(activated=[1])), "travel days that are activated one by one"),
    ],
)
def test_what_cannot_be_weighed_is_for_staff(content: bytes, doubt: str) -> None:
    verdict = check(rails.static(rails.records(content)))
    assert (verdict.status, verdict.reason) == (CodeStatus.UNDECIDED, doubt)


def test_content_for_eyes_and_of_other_versions_is_for_staff() -> None:
    later = rails.static(rails.records(rails.ticket(rails.open_ticket()), version=b"04"))
    assert check(later).reason == "a content version that is not read here"
    layout = rails.static(b"U_TLAY010020RCT20001")
    assert check(layout).reason == "a ticket whose content is for eyes alone"


@pytest.mark.parametrize(("asks", "status"), [(0, CodeStatus.VALID), (1, CodeStatus.UNDECIDED)])
def test_a_ticket_of_which_its_issuer_is_to_be_asked(asks: int, status: CodeStatus) -> None:
    others = ("IdCard", "PassportId")
    no = {f"identificationBy{each}": rails.bits(0, 1) for each in others} | {
        f"{each}Required": rails.bits(0, 1) for each in ("passportValidation", "ageCheck", "reductionCardCheck")
    }
    control = rails.sequence("Control", **no, onlineValidationRequired=rails.bits(asks, 1))
    writer = rails.Writer().flags(False, False, True, True, False).add(rails.issuing()).length(1)
    writer.flags(False, False, False).bits(rails.OPEN_TICKET, 4).add(rails.open_ticket()).add(control)
    verdict = check(rails.static(rails.records(writer.bytes())))
    assert verdict.status is status
    assert verdict.reason == ("it counts only once its issuer was asked" if asks else "")


def test_what_a_later_version_adds_is_passed_over() -> None:
    content = rails.ticket(rails.open_ticket(extension=True))
    assert check(rails.static(rails.records(content))).status is CodeStatus.VALID


@pytest.mark.parametrize(
    "data",
    [
        rails.records(rails.ticket(rails.open_ticket())) + b"x",
        rails.records(rails.ticket(rails.open_ticket())) * 2,
        rails.records(rails.ticket(rails.open_ticket())[:-1]),
        rails.records(rails.ticket(rails.open_ticket()) + b"\0"),
        rails.records(rails.ticket(rails.open_ticket(), head=rails.issuing(day=366)))[:-20],
        rails.records(rails.ticket(rails.open_ticket(), head=rails.issuing(year=2025, day=366))),
        b"U_FLEX030011",
        b"U_FLEX039999",
    ],
)
def test_signed_and_yet_broken(data: bytes) -> None:
    assert check(rails.static(data)).status is CodeStatus.MALFORMED


SHOWN = rails.dynamic(rails.ticket(rails.open_ticket()))


@pytest.mark.parametrize(
    ("payload", "after_s", "status"),
    [
        (SHOWN, 0, CodeStatus.VALID),
        (SHOWN, 59, CodeStatus.VALID),
        (SHOWN, -30, CodeStatus.VALID),
        (SHOWN, 61, CodeStatus.EXPIRED),
        (SHOWN, -61, CodeStatus.NOT_YET_VALID),
        (rails.dynamic(rails.ticket(rails.open_ticket()), compressed=False), 0, CodeStatus.VALID),
        (rails.dynamic(rails.ticket(rails.open_ticket()), duration=None), 0, CodeStatus.UNDECIDED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), shown=None), 0, CodeStatus.UNDECIDED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), version=1), 0, CodeStatus.UNDECIDED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), version=1, phone=None, shown=None), 0, CodeStatus.VALID),
        (rails.dynamic(rails.ticket(rails.open_ticket()), phone=None, shown=None), 3600, CodeStatus.VALID),
        (rails.dynamic(rails.ticket(rails.open_ticket()), ends=(2026, 276, 0)), 0, CodeStatus.EXPIRED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), ends=(2026, 365, 0)), 0, CodeStatus.VALID),
        (rails.dynamic(rails.ticket(rails.open_ticket()), ends=(2026, 366, 0)), 0, CodeStatus.MALFORMED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), ends=(None, 275, 0)), 0, CodeStatus.UNDECIDED),
        (rails.dynamic(rails.ticket(rails.open_ticket()), named=False), 0, CodeStatus.BAD_SIGNATURE),
        (
            rails.dynamic(rails.ticket(rails.open_ticket()), phone=None, shown=None, empty_key=True),
            0,
            CodeStatus.BAD_SIGNATURE,
        ),
    ],
)
def test_what_a_phone_shows(payload: bytes, after_s: float, status: CodeStatus) -> None:
    utc = rails.ISSUED + after_s
    verdict = check(payload, TimeBounds(utc, utc, ClockState.SYNCED))
    assert (verdict.status, verdict.format) == (status, "uic-dynamic")


def test_another_phone() -> None:
    content = rails.ticket(rails.open_ticket())
    theirs = rails.dynamic(content, phone=ec.generate_private_key(ec.SECP256R1()))
    assert check(theirs).status is CodeStatus.VALID  # the issuer named that phone
    stolen = SHOWN[: -len(theirs) // 4] + theirs[-len(theirs) // 4 :]
    assert check(stolen).status is not CodeStatus.VALID


def test_no_byte_of_what_a_phone_shows_may_change() -> None:
    trust = with_list(OURS, NOW)
    for changed in flipped(SHOWN):
        assert credentials.check(changed, trust, NOW).status is not CodeStatus.VALID, changed
    assert credentials.check(SHOWN + b"\0", trust, NOW).status is not CodeStatus.VALID


def test_a_weak_key_signs_nothing_else() -> None:
    public = b64encode(vectors.UIC_KEY).decode()
    text = f'[[key]]\nissuer = "x"\nformats = ["uic"]\npublic = "{public}"\nalgorithm = "dsa-sha256"\n'
    assert parse_keys(text, "x").by_format["uic"][0].algorithm == signing.DSA_SHA256
    with pytest.raises(BadTrustStore, match="DSA 2048 is weak: it may sign uic alone"):
        parse_keys(text.replace('"uic"', '"uic", "gatepost"'), "x")
    with pytest.raises(BadTrustStore, match="must be one of es256"):
        parse_keys(text.replace("dsa-sha256", "md5"), "x")


SECP256K1 = (
    ec.derive_private_key(7, ec.SECP256K1())
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)
ED25519 = signing.ed25519_key(bytes.fromhex(vectors.CLAIM169_ED25519_KEY)).spki


@pytest.mark.parametrize(
    ("formats", "key", "sentence"),
    [
        ("vdv-ka", ED25519, 'this key is Ed25519; keys of "vdv-ka" are RSA'),
        ("vdv-ka", vectors.UIC_KEY, 'this key is DSA; keys of "vdv-ka" are RSA'),
        ("aadhaar", ED25519, 'this key is Ed25519; keys of "aadhaar" are RSA'),
        ("pretix", vectors.AADHAAR_KEY, 'this key is RSA; keys of "pretix" are Ed25519'),
        ("claim169", vectors.AADHAAR_KEY, 'this key is RSA; keys of "claim169" are Ed25519 or P-256'),
        ("shc", ED25519, 'this key is Ed25519; keys of "shc" are P-256'),
        ("nzcp", vectors.AADHAAR_KEY, 'this key is RSA; keys of "nzcp" are P-256'),
        ("dcc", ED25519, 'this key is Ed25519; keys of "dcc" are P-256 or P-384 or P-521 or RSA'),
        ("who", SECP256K1, 'this key is secp256k1; keys of "who" are P-256 or P-384 or P-521 or RSA'),
        ("vds-nc", vectors.AADHAAR_KEY, 'this key is RSA; keys of "vds-nc" are P-256 or P-384 or P-521'),
        ("uic", vectors.AADHAAR_KEY, 'this key is RSA; keys of "uic" are DSA or P-256 or P-384 or P-521'),
    ],
)
def test_a_key_of_a_kind_that_its_format_does_not_have_is_refused(formats: str, key: bytes, sentence: str) -> None:
    text = f'[[key]]\nissuer = "x"\nformats = ["{formats}"]\npublic = "{b64encode(key).decode()}"\n'
    with pytest.raises(BadTrustStore) as caught:
        parse_keys(text, "issuers.toml")
    assert str(caught.value) == f"keys file issuers.toml: key 1: {sentence}"


@pytest.mark.parametrize(
    "setting", ["issuer", "formats", "public", "certificate", "kid", "from", "until", "algorithm"]
)
@pytest.mark.parametrize("value", ["7", "true", "2027-12-31", "[]", "{}", '[["dcc"]]', "[{}]", "[7]"])
def test_a_setting_of_a_key_that_is_of_another_kind_is_told_in_a_sentence(setting: str, value: str) -> None:
    entry = {"issuer": '"x"', "public": f'"{b64encode(ED25519).decode()}"', setting: value}
    if setting == "certificate":
        del entry["public"]
    text = "[[key]]\n" + "".join(f"{name} = {content}\n" for name, content in entry.items())
    if (setting, value) in (("from", "2027-12-31"), ("until", "2027-12-31")):
        assert parse_keys(text, "x").keys
    else:
        with pytest.raises(BadTrustStore, match="keys file x: key 1: "):
            parse_keys(text, "x")


def test_key_names() -> None:
    assert rail.key_name("0080", "00006") == rail.key_name("80", "6") == b"80/6"
    assert rail.key_name("1080", "TT005") == b"1080/TT005"


@given(st.binary(max_size=400))
def test_packed_noise(noise: bytes) -> None:
    for version in (1, 2, 3):
        try:
            content = fcb.read(noise, version, b"")
        except Malformed:
            continue
        assert len(content.entitlement.places) <= len(noise)


@given(st.binary(max_size=300))
def test_records_of_noise(noise: bytes) -> None:
    try:
        found = uic.records(noise)
    except Malformed:
        return
    assert sum(len(content) for _, content in found.values()) <= len(noise)


@given(
    st.binary(max_size=300), st.sampled_from([b"#UT01108000009", b"#UT02108000001", SHOWN[:60], b"1" + bytes(113)])
)
def test_no_untyped_exception_from_noise(noise: bytes, head: bytes) -> None:
    verdict = credentials.check(head + noise, OURS, NOW)
    assert verdict.status is not CodeStatus.VALID
    assert verdict.status is not CodeStatus.INTERNAL_ERROR, verdict.reason
