"""Flexible content of rail tickets (UIC 918-9, FCB versions 1 to 3): what one gives a right to, and no name.

Source: UIC, `uicRailTicketData` 1.3.5, 2.0.3 and 3.0.5, whose field order stands in `_GRAMMAR`. A line that begins
with `1|` or `23|` is of these versions alone; words in braces are ranges in which they differ.

| of a ticket | read as |
|---|---|
| stations from and to | places `uic/NUMBER`; else `uic-res/`, `era/`, `local/ISSUER/`, `issuer/ISSUER/` |
| zones | places `zone/CARRIER/ZONE` |
| product | place `product/OWNER/PRODUCT` |
| countries of a pass | places `country/NUMBER` |
| linked trains, the train of a reservation | services, each with its local date |
| day of issue, UTC | the days of validity count from it; their times are local |

Without an offset from UTC the zone is not known: in Europe it is one from UTC to UTC+3, and near its ends nobody
can tell whether such a ticket counts. What this reader cannot weigh is undecided, and staff look at it: several
tickets in one code, travel days that are activated one by one, a pass for some of its days, hours or trips, a
reservation alone, a specimen, one of which its issuer is to be asked (`onlineValidationRequired`).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from agent.credentials.wallclock import day_of_year
from agent.crypto import uper
from agent.crypto.refusal import Malformed
from agent.model import Entitlement, TicketService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_RANGES = {
    1: {
        "time": "int(0..1440)", "from": "int(-1..700)", "until": "int(0..370)", "days": "int(0..370)",
        "product": "int(0..32000)", "trip": "int(-1..370)", "park": "int(-1..370)", "issued": "int(0..1440)?",
        "arrive": "int(0..20)", "traveler": "int(0..254)", "class": "enum(8…)",
    },
    2: {
        "time": "int(0..1439)", "from": "int(-1..700)", "until": "int(-1..370)", "days": "int(0..370)",
        "product": "int(0..65535)", "trip": "int(-1..370)", "park": "int(-1..370)", "issued": "int(0..1439)?",
        "arrive": "int(-1..20)", "traveler": "int(1..254)", "class": "enum(12…)",
    },
    3: {
        "time": "int(0..1439)", "from": "int(-367..700)", "until": "int(-1..500)", "days": "int(0..500)",
        "product": "int(0..65535)", "trip": "int(-1..500)", "park": "int(-367..370)", "issued": "int(0..1439)",
        "arrive": "int(-1..20)", "traveler": "int(1..254)", "class": "enum(12…)",
    },
}  # fmt: skip
_REFERENCE = "referenceIA5:ia5? referenceNum:int?"
_OWNER = "productOwnerNum:int(1..32000)? productOwnerIA5:ia5? productIdNum:{product}? productIdIA5:ia5?"
_FROM_TO = (
    "fromStationNum:int(1..9999999)? fromStationIA5:ia5? toStationNum:int(1..9999999)? toStationIA5:ia5?"
    " fromStationNameUTF8:utf8? toStationNameUTF8:utf8?"
)
_UNTIL = "validUntilDay:{until}=0 validUntilTime:{time}? validUntilUTCOffset:int(-60..60)?"
_VALID = "validFromDay:{from}=0 validFromTime:{time}? validFromUTCOffset:int(-60..60)? " + _UNTIL
_CARRIERS = "carrierNum:[int(1..32000)]? carrierIA5:[ia5]?"
_BRANDS = "includedServiceBrands:[int(1..32000)]? excludedServiceBrands:[int(1..32000)]?"
_VIA = (
    "ViaStation = stationCodeTable:enum(5)=0 stationNum:int(1..9999999)? stationIA5:ia5?"
    f" alternativeRoutes:[ViaStation]? route:[ViaStation]? border:bool {_CARRIERS} seriesId:int? routeId:int?"
)
_LINE = (
    "Line = carrierNum:int(1..32000)? carrierIA5:ia5? lineId:[int]? stationCodeTable:enum(5)=0"
    " entryStationNum:int(1..9999999)? entryStationIA5:ia5? terminatingStationNum:int(1..9999999)?"
    " terminatingStationIA5:ia5? "
)
_LIMITS = (
    "includedCarrierNum:[int(1..32000)]? includedCarrierIA5:[ia5]? excludedCarrierNum:[int(1..32000)]?"
    f" excludedCarrierIA5:[ia5]? {_BRANDS}"
)
_OPEN = (
    "Open = referenceNum:int? referenceIA5:ia5? {owner} extIssuerId:int? issuerAuthorizationId:int?"
    f" returnIncluded:bool stationCodeTable:enum(5)=0 {_FROM_TO} validRegionDesc:utf8? validRegion:[Region]?"
    f" returnDescription:Return? {_VALID} activatedDay:[{{days}}]? classCode:{{class}}=2 serviceLevel:ia5(1..2)?"
    f" {_CARRIERS} {_BRANDS} tariffs:[Tariff]? price:int? vatDetail:[Vat]? infoText:utf8? includedAddOns:[AddOn]?"
    " luggage:Luggage?"
)
_PASS = (
    "Pass = referenceNum:int? referenceIA5:ia5? {owner} passType:int(1..250)? passDescription:utf8?"
    f" classCode:{{class}}=2 {_VALID} validityPeriodDetails:Periods? numberOfValidityDays:{{days}}?"
)
_PASS_END = (
    " numberOfPossibleTrips:int(1..250)? numberOfDaysOfTravel:int(1..250)? activatedDay:[{days}]?"
    f" countries:[int(1..250)]? {_LIMITS} validRegion:[Region]? tariffs:[Tariff]? price:int? vatDetail:[Vat]?"
    " infoText:utf8? extension:Extension? …"
)
_ADD_ON = (
    "AddOn = {owner} externalIssuerId:int? issuerAuthorizationId:int? stationCodeTable:enum(5)=0"
    f" validRegion:[Region]? {_VALID} classCode:{{class}}? serviceLevel:ia5(1..2)? {_CARRIERS} {_BRANDS}"
    " tariffs:[Tariff]? infoText:utf8?"
)
_TRAVELER = (
    "Traveler = firstName:utf8? secondName:utf8? lastName:utf8? idCard:ia5? passportId:ia5? title:ia5(1..3)?"
    " gender:enum(4…)? customerIdIA5:ia5? customerIdNum:int? yearOfBirth:int(1901..2155)?"
)
_TRAVELER_END = (
    " ticketHolder:bool passengerType:enum(8…)? passengerWithReducedMobility:bool? countryOfResidence:int(1..999)?"
    " countryOfPassport:int(1..999)? countryOfIdCard:int(1..999)? status:[Status]? …"
)
_TRANSPORT = " includedTransportType:[int(0..31)]? excludedTransportType:[int(0..31)]? extension:Extension? …"

_GRAMMAR = f"""
Ticket = issuingDetail:Issuing travelerDetail:Travelers? transportDocument:[Document]? controlDetail:Control? extension:[Extension]? …
Document = token:Token? ticket:Kind …
Kind = | reservation:Reservation carCarriageReservation:Car openTicket:Open pass:Pass voucher:Voucher customerCard:Card counterMark:Countermark parkingGround:Parking fipTicket:Fip stationPassage:Passage extension:Extension delayConfirmation:Delay …
Extension = extensionId:ia5 extensionData:bytes
Token = tokenProviderNum:int? tokenProviderIA5:ia5? tokenSpecification:ia5? token:bytes
Issuing = securityProviderNum:int(1..32000)? securityProviderIA5:ia5? issuerNum:int(1..32000)? issuerIA5:ia5? issuingYear:int(2016..2269) issuingDay:int(1..366) issuingTime:{{issued}} issuerName:utf8? specimen:bool securePaperTicket:bool activated:bool currency:ia5(3)=0 currencyFract:int(1..3)=2 issuerPNR:ia5? extension:Extension? issuedOnTrainNum:int? issuedOnTrainIA5:ia5? issuedOnLine:int? pointOfSale:Geo? …
Control = identificationByCardReference:[CardReference]? identificationByIdCard:bool identificationByPassportId:bool identificationItem:int? passportValidationRequired:bool onlineValidationRequired:bool randomDetailedValidationRequired:int(0..99)? ageCheckRequired:bool reductionCardCheckRequired:bool infoText:utf8? includedTickets:[Link]? extension:Extension? …
Travelers = traveler:[Traveler]? preferredLanguage:ia5(2)? groupName:utf8? …
1|{_TRAVELER} dayOfBirth:int(0..370)?{_TRAVELER_END}
23|{_TRAVELER} monthOfBirth:int(1..12)? dayOfBirthInMonth:int(1..31)?{_TRAVELER_END}
Status = statusProviderNum:int(1..32000)? statusProviderIA5:ia5? customerStatus:int? customerStatusDescr:ia5?
Reservation = trainNum:int? trainIA5:ia5? departureDate:{{trip}}=0 {_REFERENCE} {{owner}} serviceBrand:int(0..32000)? serviceBrandAbrUTF8:utf8? serviceBrandNameUTF8:utf8? service:enum(4)=0 stationCodeTable:enum(5)=1 {_FROM_TO} departureTime:{{time}} departureUTCOffset:int(-60..60)? arrivalDate:{{arrive}}=0 arrivalTime:{{time}}? arrivalUTCOffset:int(-60..60)? {_CARRIERS} classCode:{{class}}=2 serviceLevel:ia5(1..2)? places:Places? additionalPlaces:Places? bicyclePlaces:Places? compartmentDetails:Compartment? numberOfOverbooked:int(0..200)=0 berth:[Berth]? tariff:[Tariff]? priceType:enum(4)=3 price:int? vatDetail:[Vat]? typeOfSupplement:int(0..9)=0 numberOfSupplements:int(0..200)=0 luggage:Luggage? infoText:utf8? extension:Extension? …
Vat = country:int(1..999) percentage:int(0..999) amount:int? vatId:ia5?
Car = trainNum:int? trainIA5:ia5? beginLoadingDate:{{trip}}=0 beginLoadingTime:{{time}}? endLoadingTime:{{time}}? loadingUTCOffset:int(-60..60)? {_REFERENCE} {{owner}} serviceBrand:int(1..32000)? serviceBrandAbrUTF8:utf8? serviceBrandNameUTF8:utf8? stationCodeTable:enum(5)=1 {_FROM_TO} coach:ia5? place:ia5? compartmentDetails:Compartment? numberPlate:ia5 trailerPlate:ia5? carCategory:int(0..9) boatCategory:int(0..6)? textileRoof:bool roofRackType:enum(9…)=0 roofRackHeight:int(0..99)? attachedBoats:int(0..2)? attachedBicycles:int(0..4)? attachedSurfboards:int(0..5)? loadingListEntry:int(0..999)? loadingDeck:enum(3)=1 {_CARRIERS} tariff:Tariff priceType:enum(4)=3 price:int? vatDetail:[Vat]? infoText:utf8? extension:Extension? …
1|{_OPEN} extension:Extension? …
23|{_OPEN}{_TRANSPORT}
12|{_PASS}{_PASS_END}
3|{_PASS} trainValidity:TrainValidity?{_PASS_END}
TrainValidity = {_VALID} {_LIMITS} boardingOrArrival:enum(2)=0 …
Periods = validityPeriod:[Period]? excludedTimeRange:[TimeRange]?
Period = {_VALID}
TimeRange = fromTime:{{time}} untilTime:{{time}}
Voucher = {_REFERENCE} {{owner}} validFromYear:int(2016..2269) validFromDay:{{days}} validUntilYear:int(2016..2269) validUntilDay:{{days}} value:int=0 type:int(1..32000)? infoText:utf8? extension:Extension? …
Fip = {_REFERENCE} {{owner}} validFromDay:{{from}}=0 validUntilDay:{{until}}=0 activatedDay:[{{days}}]? {_CARRIERS} numberOfTravelDays:int(1..200) includesSupplements:bool classCode:{{class}}=2 extension:Extension? …
Passage = {_REFERENCE} {{owner}} productName:utf8? stationCodeTable:enum(5)=0 stationNum:[int]? stationIA5:[ia5]? stationNameUTF8:[utf8]? areaCodeNum:[int]? areaCodeIA5:[ia5]? areaNameUTF8:[utf8]? validFromDay:{{from}} validFromTime:{{time}}? validFromUTCOffset:int(-60..60)? {_UNTIL} numberOfDaysValid:int? extension:Extension? …
Card = customer:Traveler? cardIdIA5:ia5? cardIdNum:int? validFromYear:int(2016..2269) validFromDay:{{days}}? validUntilYear:int(0..250)=0 validUntilDay:{{days}}? classCode:{{class}}? cardType:int(1..1000)? cardTypeDescr:utf8? customerStatus:int? customerStatusDescr:ia5? includedServices:[int]? extension:Extension? …
Parking = {_REFERENCE} parkingGroundId:ia5 fromParkingDate:{{park}} untilParkingDate:{{days}}=0 {{owner}} accessCode:ia5? location:utf8 stationCodeTable:enum(5)=0 stationNum:int? stationIA5:utf8? specialInformation:utf8? entryTrack:utf8? numberPlate:ia5? price:int? vatDetail:[Vat]? extension:Extension? …
Countermark = {_REFERENCE} {{owner}} ticketReferenceIA5:ia5? ticketReferenceNum:int? numberOfCountermark:int(1..200) totalOfCountermarks:int(1..200) groupName:utf8 stationCodeTable:enum(5)=0 {_FROM_TO} validRegionDesc:utf8? validRegion:[Region]? returnIncluded:bool returnDescription:Return? {_VALID} classCode:{{class}}=2 {_CARRIERS} {_BRANDS} infoText:utf8? extension:Extension? …
Delay = {_REFERENCE} trainNum:int? trainIA5:ia5? departureYear:int(2016..2269)? departureDay:int(1..366)? departureTime:{{time}}? departureUTCOffset:int(-60..60)? stationCodeTable:enum(5)=0 stationNum:int(1..9999999)? stationIA5:ia5? delay:int(1..999) trainCancelled:bool confirmationType:enum(3…)=1 affectedTickets:[Link]? infoText:utf8? extension:Extension? …
1|{_ADD_ON} extension:Extension? …
23|{_ADD_ON}{_TRANSPORT}
Tariff = numberOfPassengers:int(1..200)=1 passengerType:enum(8…)? ageBelow:int(1..64)? ageAbove:int(1..128)? travelerid:[{{traveler}}]? restrictedToCountryOfResidence:bool restrictedToRouteSection:Section? seriesDataDetails:Series? tariffIdNum:int? tariffIdIA5:ia5? tariffDesc:utf8? reductionCard:[CardReference]? …
Series = supplyingCarrier:int(1..32000)? offerIdentification:int(1..99)? series:int?
Section = stationCodeTable:enum(5)=0 {_FROM_TO}
CardReference = cardIssuerNum:int(1..32000)? cardIssuerIA5:ia5? cardIdNum:int? cardIdIA5:ia5? cardName:utf8? cardType:int? leadingCardIdNum:int? leadingCardIdIA5:ia5? trailingCardIdNum:int? trailingCardIdIA5:ia5? …
Return = {_FROM_TO} validReturnRegionDesc:utf8? validReturnRegion:[Region]? …
Region = | trainLink:TrainLink viaStations:ViaStation zones:Zone lines:Line polygone:Polygon …
TrainLink = trainNum:int? trainIA5:ia5? travelDate:{{trip}} departureTime:{{time}} departureUTCOffset:int(-60..60)? {_FROM_TO}
1|{_LINE}city:int(1..9999999)? binaryZoneId:bytes? …
23|{_LINE}city:int? …
Zone = carrierNum:int(1..32000)? carrierIA5:ia5? stationCodeTable:enum(5)=0 entryStationNum:int(1..9999999)? entryStationIA5:ia5? terminatingStationNum:int(1..9999999)? terminatingStationIA5:ia5? city:int? zoneId:[int]? binaryZoneId:bytes? nutsCode:ia5? …
12|{_VIA} …
3|{_VIA} {_BRANDS} …
Polygon = firstEdge:Geo edges:[Delta]
Link = {_REFERENCE} issuerName:utf8? issuerPNR:ia5? productOwnerNum:int(1..32000)? productOwnerIA5:ia5? ticketType:enum(4…)=0 linkMode:enum(2…)=0 …
Places = coach:ia5? placeString:ia5? placeDescription:utf8? placeIA5:[ia5]? placeNum:[int(1..254)]?
Berth = berthType:enum(6) numberOfBerths:int(1..999) gender:enum(5…)=1 …
Compartment = coachType:int(1..99)? compartmentType:int(1..99)? specialAllocation:int(1..99)? coachTypeDescr:utf8? compartmentTypeDescr:utf8? specialAllocationDescr:utf8? position:enum(3)=0 …
Luggage = maxHandLuggagePieces:int(0..99)=3 maxNonHandLuggagePieces:int(0..99)=1 registeredLuggage:[Registered]? …
Registered = registrationId:ia5? maxWeight:int(1..99)? maxSize:int(1..300)? …
Geo = geoUnit:enum(5)=2 coordinateSystem:enum(2)=0 hemisphereLongitude:enum(2)=0 hemisphereLatitude:enum(2)=0 longitude:int latitude:int accuracy:enum(5)?
Delta = longitude:int latitude:int
"""  # noqa: E501 - a type a line
_WANTED = """
    issuingDetail transportDocument securityProviderNum securityProviderIA5 issuingYear issuingDay specimen
    activated issuerPNR ticket reservation openTicket pass stationPassage referenceNum referenceIA5
    productOwnerNum productIdNum stationCodeTable fromStationNum fromStationIA5 toStationNum toStationIA5
    stationNum stationIA5 validRegion trainLink zones carrierNum zoneId trainNum trainIA5 travelDate
    departureDate departureTime departureUTCOffset arrivalDate arrivalTime arrivalUTCOffset priceType
    classCode validFromDay validFromTime validFromUTCOffset validUntilDay validUntilTime validUntilUTCOffset
    activatedDay validityPeriodDetails trainValidity numberOfDaysOfTravel numberOfPossibleTrips countries
    controlDetail onlineValidationRequired
"""
_TABLES = ("uic", "uic-res", "era", "local", "issuer")
_OWN_TABLES = 3
_PASS_LIMITS = (
    "activatedDay", "validityPeriodDetails", "trainValidity", "numberOfDaysOfTravel", "numberOfPossibleTrips",
)  # fmt: skip
"""One of them is enough, whatever stands in it: a pass then counts on some of its days, hours or trips."""
_MARK = re.compile(r"(?:([123]+)\|)?(.*)")
SLACK_S = 1.5 * 3600
"""Half the width of the zones of Europe, from UTC to UTC+3."""
_MINUTE_S, _QUARTER_S, _DAY_S = 60, 900, 86_400
_FIRST_DAY = date(1970, 1, 1).toordinal()
_FARE_PAID = 3
_MOST_TEXT = 40
CLASSES = {1: "1", 2: "2"}
"""Class of travel, by its number in a ticket of any form."""


@dataclass(frozen=True, slots=True)
class RailContent:
    """What a ticket says, as far as a gate needs it."""

    entitlement: Entitlement
    references: tuple[str, ...]
    """Numbers under which its issuer may block it."""
    doubt: str = ""
    """Why it is for staff, as a phrase; empty: it is not."""


@functools.cache
def grammar(version: int) -> Mapping[str, uper.Read]:
    """Readers of all types of a version."""
    return uper.compile_grammar(grammar_text(version), frozenset(_WANTED.split()))


def grammar_text(version: int) -> str:
    """The grammar of a version: 1, 2 or 3."""
    ranges = _RANGES[version]
    marked = [_MARK.match(line) for line in _GRAMMAR.splitlines()]
    kept = [mark[2] for mark in marked if mark is not None and (not mark[1] or str(version) in mark[1])]
    text = "\n".join(kept).replace("{owner}", _OWNER)
    for name, kind in ranges.items():
        text = text.replace(f"{{{name}}}", kind)
    return text


def read(data: bytes, version: int, key: bytes) -> RailContent:
    """Content of version 1, 2 or 3; `key` is that of the ticket in the list of used ones. Raises Malformed."""
    ticket = uper.decode(grammar(version)["Ticket"], data)
    issuing = ticket["issuingDetail"]
    issued = day_of_year(issuing["issuingYear"], issuing["issuingDay"])
    if issued is None:
        raise Malformed("a day of issue that is none")
    documents = [document["ticket"] for document in ticket.get("transportDocument", ())]
    travel = [(kind, content) for kind, content in documents if content is not None]
    references = [issuing.get("issuerPNR", "")]
    for _, content in travel:
        references += [str(content.get(name, "")) for name in ("referenceNum", "referenceIA5")]
    if len(travel) == 1:
        kind, content = travel[0]
        entitlement, doubt = _READERS[kind](content, _Issue(issued, _issuer(issuing), key))
    else:
        entitlement = Entitlement(has_all_places=False, key=key)
        doubt = "several tickets in one code" if travel else "no ticket that this gate can weigh"
    if issuing["specimen"]:
        doubt = "a specimen"
    elif not issuing["activated"]:
        doubt = "not activated"
    elif ticket.get("controlDetail", {}).get("onlineValidationRequired"):
        doubt = "it counts only once its issuer was asked"
    return RailContent(entitlement, tuple(dict.fromkeys(filter(None, references))), doubt)


@dataclass(frozen=True, slots=True)
class _Issue:
    day: date
    issuer: str
    key: bytes


def _issuer(issuing: Mapping[str, Any]) -> str:
    return str(issuing.get("securityProviderNum") or issuing.get("securityProviderIA5", ""))


def _open(content: Mapping[str, Any], issue: _Issue) -> tuple[Entitlement, str]:
    regions = content.get("validRegion", ())
    services = tuple(_service(link, "travelDate", issue) for kind, link in regions if kind == "trainLink")
    doubt = "travel days that are activated one by one" if "activatedDay" in content else ""
    return _entitlement(content, issue, (*_stations(content, issue.issuer), *_zones(regions)), services), doubt


def _pass(content: Mapping[str, Any], issue: _Issue) -> tuple[Entitlement, str]:
    countries = (f"country/{number}" for number in content.get("countries", ()))
    doubt = "a pass for some of its days, hours or trips" if any(part in content for part in _PASS_LIMITS) else ""
    places = (*countries, *_zones(content.get("validRegion", ())))
    return _entitlement(content, issue, places), doubt


def _passage(content: Mapping[str, Any], issue: _Issue) -> tuple[Entitlement, str]:
    table = content["stationCodeTable"]
    stations = (*content.get("stationNum", ()), *content.get("stationIA5", ()))
    places = [_place(table, station, issue.issuer) for station in stations]
    return _entitlement(content, issue, places), ""


def _reservation(content: Mapping[str, Any], issue: _Issue) -> tuple[Entitlement, str]:
    leaves = _day(issue.day, content["departureDate"])
    arrives = _day(leaves, content["arrivalDate"])
    offset = content.get("departureUTCOffset")
    arrival = content.get("arrivalTime")
    ends_at = (arrives, 0) if arrival is not None else (_day(arrives, 1), 0)
    entitlement = Entitlement(
        places=(*_stations(content, issue.issuer), *_product(content)),
        has_all_places=False,
        services=(_service(content, "departureDate", issue),),
        starts_utc=local_utc(leaves, 0, offset),
        ends_utc=local_utc(ends_at[0], arrival or 0, content.get("arrivalUTCOffset", offset)),
        slack_s=SLACK_S if offset is None else 0.0,
        travel_class=_class(content),
        key=issue.key,
    )
    return entitlement, "" if content["priceType"] == _FARE_PAID else "a reservation alone"


_READERS: dict[str, Callable[[Mapping[str, Any], _Issue], tuple[Entitlement, str]]] = {
    "openTicket": _open,
    "pass": _pass,
    "stationPassage": _passage,
    "reservation": _reservation,
}


def _entitlement(
    content: Mapping[str, Any], issue: _Issue, places: Iterable[str], services: tuple[TicketService, ...] = ()
) -> Entitlement:
    """A ticket with days of validity."""
    first = _day(issue.day, content["validFromDay"])
    last = _day(first, content["validUntilDay"])
    until, offset = content.get("validUntilTime"), content.get("validFromUTCOffset")
    end_day, end_minute = (last, until) if until is not None else (_day(last, 1), 0)
    return Entitlement(
        places=(*places, *_product(content)),
        has_all_places=False,
        services=services,
        starts_utc=local_utc(first, content.get("validFromTime", 0), offset),
        ends_utc=local_utc(end_day, end_minute, content.get("validUntilUTCOffset", offset)),
        slack_s=SLACK_S if offset is None else 0.0,
        travel_class=_class(content),
        key=issue.key,
    )


def _day(day: date, count: int) -> date:
    return day + timedelta(days=count)


def local_utc(day: date, minute: int, offset: int | None) -> float:
    """POSIX seconds of a local time; without its offset in quarters of an hour, of the middle of Europe's zones."""
    midnight = _DAY_S * (day.toordinal() - _FIRST_DAY)
    return midnight + _MINUTE_S * minute + (-SLACK_S if offset is None else _QUARTER_S * offset)


def _service(content: Mapping[str, Any], day: str, issue: _Issue) -> TicketService:
    name = content.get("trainIA5") or content.get("trainNum", "")
    return TicketService(str(name)[:_MOST_TEXT], _day(issue.day, content[day]).isoformat())


def _stations(content: Mapping[str, Any], issuer: str) -> list[str]:
    table = content["stationCodeTable"]
    names = ("fromStationNum", "fromStationIA5", "toStationNum", "toStationIA5")
    return [_place(table, content[name], issuer) for name in names if name in content]


def _place(table: int, station: int | str, issuer: str) -> str:
    """A station in the words of its table: two tables may number different stations alike."""
    owner = f"{issuer}/" if table >= _OWN_TABLES else ""
    return f"{_TABLES[table]}/{owner}{str(station)[:_MOST_TEXT]}"


def _zones(regions: Iterable[tuple[str, Mapping[str, Any] | None]]) -> list[str]:
    return [
        f"zone/{zone.get('carrierNum', '')}/{number}"
        for kind, zone in regions
        if kind == "zones" and zone is not None
        for number in zone.get("zoneId", ())
    ]


def _product(content: Mapping[str, Any]) -> list[str]:
    owner, product = content.get("productOwnerNum"), content.get("productIdNum")
    return [f"product/{owner}/{product}"] if owner is not None and product is not None else []


def _class(content: Mapping[str, Any]) -> str:
    """`1` or `2`; empty for another one, and for a station, which has none."""
    return CLASSES.get(content.get("classCode", 0), "")
