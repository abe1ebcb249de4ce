"""What the FHIR resources of a health card are worth: only what is known to be against, or a test for, COVID-19.

Source: HL7 FHIR R4, Observation and Immunization; "SMART Health Cards: Vaccination & Testing" for the codings.
Codes of LOINC, SNOMED CT, CVX and ATC; the terminologies' addresses must be the right ones where they are given.

| of an observation | counts |
|---|---|
| `status` | negative: final, amended or corrected. Positive: also before; cancelled and entered in error never |
| `code` | a SARS-CoV-2 nucleic acid or antigen test. What is known to be another (antibodies, influenza) never |
| `value…`, `interpretation` | negative: a code or a word for it, none against it. Else positive |
| `effective…` | negative: the earliest that it can mean. Positive: the latest |
| `component`, `contained` | observations of their own, with the status and the time of the whole |
| `modifierExtension`, `implicitRules` | may mean the opposite: a negative one cannot be read |
| `focus` | it is about somebody else than its subject: a negative one is none |

A report (`DiagnosticReport`) counts where its conclusion is positive. An immunisation counts if it was completed,
is not dated ahead, has its whole strength, and no dose of its series is missing.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from agent.credentials import lab
from agent.credentials.lab import ResultMeaning
from agent.credentials.wallclock import Moment, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.model import LabResult

_LOINC, _SNOMED, _CVX = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/cvx"
_ATC = "http://www.whocc.no/atc"
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TESTS = {
    "pcr": _codes("""
        94306-8 94307-6 94308-4 94309-2 94314-2 94315-9 94316-7 94500-6 94531-1 94533-7 94534-5 94559-2 94565-9
        94639-8 94640-6 94641-4 94660-8 94756-4 94757-2 94759-8 94760-6 94765-5 94766-3 94767-1 94822-4 94845-5
        95406-5 95409-9 95425-5 95608-6 95609-4 96091-4 96120-1 96121-9 96122-7 96123-5 96448-6 97098-8 97104-4
    """),
    "antigen": _codes("94558-4 95209-3 96119-3 97097-0"),
}
"""LOINC: SARS-CoV-2 by nucleic acid or antigen, present or not."""
_ANTIBODIES = _codes("""
    94503-0 94504-8 94505-5 94506-3 94507-1 94508-9 94547-7 94562-6 94563-4 94564-2 94661-6 94720-0 94761-4 94762-2
    94768-9 94769-7 95125-1 95410-7 95411-5 95416-4 95427-1 95428-9 95429-7 95542-7 95825-6 96118-5 96603-6 96742-2
    98069-8 98732-1 98733-9 98734-7 99596-9 99597-7
""")
_OTHER = re.compile(
    r"antibod|immunoglobulin|\big[gma]\b|\bab\b|serolog|influenza|\bflu\b|\bhiv\b|immunodeficiency|\brsv\b|syncytial"
    r"|hepatitis|抗体|流感|艾滋"
)
"""Words of other tests: they say nothing of an infection with SARS-CoV-2, whatever they found."""
_NEGATIVE = {
    _SNOMED: frozenset({"260415000", "260385009", "895231008"}),
    _LOINC: frozenset({"LA6577-6", "LA11883-8"}),
    _INTERPRETATION: frozenset({"NEG", "ND"}),
}
_FINAL = ("final", "amended", "corrected")
_UNREADABLE = ("modifierExtension", "implicitRules")
"""Who does not know what these say must not use what they stand in (FHIR R4, Extensibility)."""
_WITHDRAWN = ("cancelled", "entered-in-error")

_CVX_COVID = _codes("""
    207 208 210 211 212 213 217 218 219 221 225 226 227 228 229 230 300 301 302 308 309 310 311 312 313
    500 501 502 503 504 505 506 507 508 509 510 511 512 513 514 515 516 517 518 519 520 521
""")
_SNOMED_COVID = _codes("""
    840534001 1119305005 1119349007 1157024006 1162643001 28531000087107 28571000087109 28581000087106
    28761000087108 28951000087107 28961000087105 28971000087104 29171000087106 30141000087107
""")


def tests(resources: Iterable[Mapping[str, Any]]) -> tuple[LabResult, ...]:
    """The results of all observations that are known to be negative, or may be positive."""
    found: list[LabResult | None] = []
    for each in with_contained(resources):
        match each.get("resourceType"):
            case "Observation":
                parts = _dicts(each.get("component"))
                is_panel = bool(parts or each.get("hasMember")) and not any(map(_tells_result, each))
                if not is_panel:  # else its results stand in its parts
                    found.append(_test(each))
                whole = {name: value for name, value in each.items() if name.startswith(_OF_THE_WHOLE)}
                found += [_test({**whole, **part}) for part in parts]
            case "DiagnosticReport":
                said = {"valueString": each.get("conclusion"), "interpretation": each.get("conclusionCode")}
                if _finding(said) is ResultMeaning.POSITIVE:
                    found.append(_test({**each, **said}))
    return tuple(test for test in found if test is not None)


def kind(resources: Sequence[Mapping[str, Any]], passed_utc: float = math.inf) -> str:
    """`vaccination` if all immunisations in it are known to be done and against COVID-19, `test`, or `other`.

    `passed_utc`: the time that has passed for certain; what is dated after it is not known to be done.
    """
    given = [each for each in resources if each.get("resourceType") == "Immunization"]
    if given:
        is_worth = all(_is_against_covid(each, passed_utc) for each in given) and _is_whole_series(given)
        return "vaccination" if is_worth else "other"
    return "test" if any(each.get("resourceType") == "Observation" for each in resources) else "other"


_OF_THE_WHOLE = ("status", "effective", "focus", *_UNREADABLE)


def _tells_result(name: str) -> bool:
    return name.startswith(("value", "interpretation"))


def with_contained(resources: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The resources, and those within them."""
    for each in resources:
        yield each
        yield from _dicts(each.get("contained"))


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _is_whole_series(given: Sequence[Mapping[str, Any]]) -> bool:
    """Whether as many doses are told of as one of them says that its series has."""
    protocols = [part for each in given for part in _dicts(each.get("protocolApplied"))]
    asked = max((_count(part, "seriesDoses") for part in protocols), default=0)
    return asked <= max((len(given), *(_count(part, "doseNumber") for part in protocols)))


def _count(protocol: Mapping[str, Any], name: str) -> int:
    """0 where it is not told as a number."""
    value = protocol.get(f"{name}PositiveInt") or protocol.get(f"{name}String")
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value.strip()[:9])
    return value if type(value) is int else 0


def _is_against_covid(immunization: Mapping[str, Any], passed_utc: float) -> bool:
    if immunization.get("status") != "completed" or any(immunization.get(name) for name in _UNREADABLE):
        return False
    given = moment(immunization.get("occurrenceDateTime"))
    if immunization.get("isSubpotent") or (given is not None and given.earliest_utc > passed_utc):
        return False
    return any(
        (_is_of(system, _CVX) and code in _CVX_COVID)
        or (_is_of(system, _SNOMED) and code in _SNOMED_COVID)
        or (system == _ATC and code.startswith("J07BN"))
        for system, code, _ in _codings(immunization.get("vaccineCode"))
    )


def _test(observation: Mapping[str, Any]) -> LabResult | None:
    status = observation.get("status")
    test = _kind_of_test(observation.get("code"))
    if test is None or status in _WITHDRAWN:
        return None
    found = _finding(observation)
    if found is ResultMeaning.NEGATIVE and any(observation.get(name) for name in _UNREADABLE):
        found = ResultMeaning.UNKNOWN
    if found is not ResultMeaning.POSITIVE and (status not in _FINAL or observation.get("focus")):
        return None  # no result as yet, or another's
    return lab.result(test, _sampling_time(observation), found)


def _kind_of_test(concept: object) -> str | None:
    """`pcr`, `antigen`, `` when nothing says what it is, None when it is known to be something else."""
    codings = list(_codings(concept))
    if any(_is_of(system, _LOINC) and code in _ANTIBODIES for system, code, _ in codings):
        return None
    for test in ("antigen", "pcr"):
        if any(_is_of(system, _LOINC) and code in _TESTS[test] for system, code, _ in codings):
            return test
    return None if any(_OTHER.search(text.casefold()) for text in _texts(concept)) else ""


def _finding(observation: Mapping[str, Any]) -> ResultMeaning:
    """Negative if a code or word says so and none says otherwise."""
    values = [value for name, value in observation.items() if name.startswith("value")]
    interpretations = observation.get("interpretation")
    said = [each for value in values for each in _findings(value)]
    for each in interpretations if isinstance(interpretations, list) else [interpretations]:
        said += [found for found in _findings(each) if found is not ResultMeaning.UNKNOWN]
    if ResultMeaning.POSITIVE in said:
        return ResultMeaning.POSITIVE
    return ResultMeaning.NEGATIVE if said and ResultMeaning.UNKNOWN not in said else ResultMeaning.UNKNOWN


def _findings(value: object) -> list[ResultMeaning]:
    """What a value says, by each of its codes and words; `[UNKNOWN]` for one that cannot be read."""
    if isinstance(value, bool):
        return [ResultMeaning.POSITIVE if value else ResultMeaning.UNKNOWN]
    if isinstance(value, str):
        return [lab.finding(value)]
    coded = [_coded(system, code) for system, code, _ in _codings(value)]
    words = [lab.finding(text) for text in _texts(value)]
    if ResultMeaning.NEGATIVE in coded:  # words beside a code explain it; they may contradict, and need not repeat
        words = [found for found in words if found is not ResultMeaning.UNKNOWN]
    elif ResultMeaning.NEGATIVE in words:  # a code of the laboratory's own beside the word for it
        coded = [found for found in coded if found is not None]
    found = [
        each or ResultMeaning.UNKNOWN for each in coded if each is not None or ResultMeaning.NEGATIVE not in coded
    ] + words
    return found or ([] if value is None else [ResultMeaning.UNKNOWN])


def _coded(system: str, code: str) -> ResultMeaning | None:
    """What a code says; None for one of a terminology that is not known."""
    for address, negative in _NEGATIVE.items():
        if _is_of(system, address) and code in negative:
            return ResultMeaning.NEGATIVE
    if code in _POSITIVE:
        return ResultMeaning.POSITIVE
    return ResultMeaning.UNKNOWN if system in _NEGATIVE else None


_POSITIVE = _codes("260373001 10828004 52101004 462371000124108 LA6576-8 LA11882-0 POS DET A AA H HH RR 840533007")


def _sampling_time(observation: Mapping[str, Any]) -> Moment | None:
    """From the earliest to the latest of what is written of its time."""
    period = observation.get("effectivePeriod")
    ends = period if isinstance(period, dict) else {}
    written = [observation.get("effectiveDateTime"), observation.get("effectiveInstant"), ends.get("start")]
    found = [time for time in map(moment, written) if time is not None]
    if not found:
        return None
    end = moment(ends.get("end")) if ends else None
    latest = (
        math.inf if ends and end is None else max(time.latest_utc for time in (*found, *([end] if end else ())))
    )
    return Moment(min(time.earliest_utc for time in found), latest)


def _codings(concept: object) -> Iterable[tuple[str, str, str]]:
    """System, code and words of each coding."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict):
            yield tuple(str(coding.get(name) or "") for name in ("system", "code", "display"))  # type: ignore[misc]


def _texts(concept: object) -> list[str]:
    text = concept.get("text") if isinstance(concept, dict) else None
    own = [text] if isinstance(text, str) else []
    return [each for each in (*own, *(display for _, _, display in _codings(concept))) if each.strip()]


def _is_of(system: str, address: str) -> bool:
    return system.rstrip("/") in ("", address)
