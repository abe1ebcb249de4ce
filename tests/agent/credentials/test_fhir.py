"""Observations of health cards: a test only if it is known to be one; a positive one in any spelling."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credentials import fhir
from agent.model import ClockState, TimeBounds
from agent.policy.facts import TestFact, best_test

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
NEWER, OLDER = "2021-01-02T08:00:00Z", "2021-01-01T20:00:00Z"
NOW = TimeBounds(1_609_578_000.0, 1_609_578_000.0, ClockState.SYNCED)  # 2021-01-02T09:00Z


def coded(system: str, code: str, **more: object) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **more}


PCR = coded(LOINC, "94500-6")
NEGATIVE = {"valueCodeableConcept": coded(SNOMED, "260415000")}


def observation(code: object = PCR, status: str = "final", at: str = NEWER, **value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": status, "code": code, "effectiveDateTime": at, **value}


def best(*observations: dict[str, Any]) -> TestFact:
    return best_test(fhir.tests(observations), NOW)


@pytest.mark.parametrize(
    "value",
    [
        NEGATIVE,
        {"valueCodeableConcept": coded(SNOMED, "260385009")},
        {"valueCodeableConcept": coded(LOINC, "LA6577-6")},
        {"valueCodeableConcept": coded(LOINC, "LA11883-8", text="SARS-CoV-2 RNA not detected")},
        {"valueCodeableConcept": {"text": "Not detected"}},
        {"valueCodeableConcept": coded("https://lab.example", "N1", text="Negative")},
        {"valueString": "阴性"},
    ],
)
def test_negative(value: dict[str, Any]) -> None:
    assert best(observation(**value)) is TestFact.PCR_24H
    assert best(observation(coded(LOINC, "94558-4"), **value)) is TestFact.ANTIGEN_24H


@pytest.mark.parametrize(
    "value",
    [
        {"valueCodeableConcept": coded(SNOMED, "260373001")},
        {"valueCodeableConcept": coded(SNOMED, "10828004")},
        {"valueCodeableConcept": coded(LOINC, "LA6576-8")},
        {"valueCodeableConcept": coded(SNOMED, "419984006")},
        {"valueCodeableConcept": coded("https://lab.example", "X7")},
        {"valueCodeableConcept": coded(SNOMED, "260415000", text="Positive")},
        {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "260415000", "display": "Detected"}]}},
        {"valueCodeableConcept": {"coding": [NEGATIVE["valueCodeableConcept"]["coding"][0], {"code": "10828004"}]}},
        {"valueCodeableConcept": {"text": "DETECTED"}},
        {"valueCodeableConcept": {}},
        {"valueString": "Positive"},
        {"valueString": "阳性"},
        {"valueString": "not negative"},
        {"valueString": "unheard of"},
        {"valueQuantity": {"value": 21.5, "unit": "Ct"}},
        {"valueInteger": 1},
        {"valueBoolean": True},
        {"valueBoolean": False},
        {"interpretation": [coded("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "POS")]},
        {**NEGATIVE, "interpretation": [{"text": "Positive"}]},
        {},
    ],
)
def test_what_is_not_negative_outweighs_an_older_negative(value: dict[str, Any]) -> None:
    assert best(observation(at=OLDER, **NEGATIVE), observation(**value)) is TestFact.POSITIVE


OTHERS = [
    coded(LOINC, "94563-4"),  # antibodies
    coded(LOINC, "80382-5", text="Influenza virus A Ag"),
    coded(LOINC, "75622-1"),  # HIV
    coded("https://other.example", "94500-6"),
    {"text": "SARS-CoV-2 antibody"},
    {"coding": [PCR["coding"][0], {"system": LOINC, "code": "94563-4"}]},
    {"coding": []},
    {"text": " "},
    {},
    None,
]


@pytest.mark.parametrize("code", OTHERS)
def test_another_test_is_none(code: object) -> None:
    assert best(observation(code, **NEGATIVE)) is TestFact.NONE
    assert best(observation(at=OLDER, **NEGATIVE), observation(code, **NEGATIVE)) is TestFact.PCR_24H


@pytest.mark.parametrize("code", [None, {}, {"text": "COVID"}, coded(LOINC, "99999-9")])
def test_a_positive_result_of_who_knows_what_counts(code: object) -> None:
    assert best(observation(at=OLDER, **NEGATIVE), observation(code, valueString="positive")) is TestFact.POSITIVE


@pytest.mark.parametrize(
    "status", ["cancelled", "entered-in-error", "preliminary", "registered", "unknown", "", None]
)
def test_a_negative_result_that_is_not_final_is_none(status: Any) -> None:
    assert best(observation(status=status, **NEGATIVE)) is TestFact.NONE


def test_a_result_to_come_takes_nothing_away_and_a_positive_one_need_not_be_final() -> None:
    older = observation(at=OLDER, **NEGATIVE)
    assert best(older, observation(status="registered")) is TestFact.PCR_24H
    assert best(older, observation(status="preliminary", valueString="positive")) is TestFact.POSITIVE
    assert best(older, observation(status="entered-in-error", valueString="positive")) is TestFact.PCR_24H


def test_the_time_is_the_worst_that_is_written() -> None:
    (day,) = fhir.tests([observation(at="2021-01-02", **NEGATIVE)])
    assert (day.taken_utc, day.latest) == (1_609_495_200.0, 1_609_675_200.0)
    period = observation(effectivePeriod={"start": "2021-01-01T00:00:00Z"}, **NEGATIVE)
    del period["effectiveDateTime"]
    (span,) = fhir.tests([period])
    assert (span.taken_utc, span.latest) == (1_609_459_200.0, math.inf)


@pytest.mark.parametrize("at", ["", "yesterday", None])
def test_without_a_time_negative_is_old_and_positive_is_new(at: Any) -> None:
    assert best(observation(at=at, **NEGATIVE)) is TestFact.OLDER
    assert best(observation(**NEGATIVE), observation(at=at, valueString="positive")) is TestFact.POSITIVE


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["coding", "code", "system", "text", "start"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(observation(valueString="", interpretation=""))), JUNK))
def test_junk_is_never_a_test(fields: dict[str, Any]) -> None:
    for test in fhir.tests([{**fields, "resourceType": "Observation"}]):
        assert test.positive or test.kind in {"pcr", "antigen"}


def shot(code: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"resourceType": "Immunization", "status": status, "vaccineCode": code}


def test_a_vaccination_is_one_against_covid_that_was_given() -> None:
    covid, measles = coded("http://hl7.org/fhir/sid/cvx", "208"), coded("http://hl7.org/fhir/sid/cvx", "03")
    assert fhir.kind([shot(covid)]) == "vaccination"
    for other in ([shot(covid, "not-done")], [shot(measles)], [shot(covid), shot(measles)], [shot({})]):
        assert fhir.kind(other) == "other"
    assert fhir.kind([observation()]) == "test"


def test_doses_that_do_not_count() -> None:
    covid = coded("http://hl7.org/fhir/sid/cvx", "208")
    later = {"occurrenceDateTime": "2021-01-04"}
    for more in (
        {"isSubpotent": True},
        {"modifierExtension": [{"url": "https://x"}]},
        {"implicitRules": "x"},
        later,
    ):
        assert fhir.kind([shot(covid) | more], NOW.latest_utc) == "other"
    assert fhir.kind([shot(covid) | later], NOW.latest_utc + 3 * 86_400) == "vaccination"
    assert fhir.kind([shot(covid) | {"occurrenceDateTime": "2021-01-02"}], NOW.latest_utc) == "vaccination"


@pytest.mark.parametrize("form", ["PositiveInt", "String"])
def test_a_series_is_as_long_as_it_says(form: str) -> None:
    covid = coded("http://hl7.org/fhir/sid/cvx", "208")

    def dose(number: int, doses: int) -> dict[str, Any]:
        as_told = int if form == "PositiveInt" else str
        told = {f"doseNumber{form}": as_told(number), f"seriesDoses{form}": as_told(doses)}
        return shot(covid) | {"protocolApplied": [told]}

    assert fhir.kind([dose(1, 2)]) == "other"
    assert fhir.kind([dose(1, 2), dose(2, 2)]) == "vaccination"
    assert fhir.kind([dose(2, 2)]) == "vaccination"
    assert fhir.kind([dose(3, 2)]) == "vaccination"
    assert fhir.kind([dose(1, 1)]) == "vaccination"


POSITIVE = {"valueCodeableConcept": coded(SNOMED, "260373001")}
PANEL = coded(LOINC, "95380-2")


def test_a_result_counts_wherever_it_stands() -> None:
    """In a part of a panel, in a resource within another one, in the conclusion of a report."""
    older, part = observation(at=OLDER, **NEGATIVE), {"code": PCR, **POSITIVE}
    report = {**observation(PANEL), "resourceType": "DiagnosticReport"}
    for each in (
        observation(PANEL, component=[part]),
        {"resourceType": "Bundle", "contained": [observation(**POSITIVE)]},
        observation(PANEL, component=[{"code": PCR, **NEGATIVE}, {"code": {}, "valueString": "positif"}]),
        {**report, "conclusion": "SARS-CoV-2 DETECTED"},
        {**report, "conclusionCode": [coded(SNOMED, "840533007")]},
    ):
        assert best(older, each) is TestFact.POSITIVE
    assert best(observation(PANEL, component=[{"code": PCR, **NEGATIVE}])) is TestFact.PCR_24H
    assert best({**report, "conclusion": "negative"}) is TestFact.NONE


def test_a_panel_without_a_result_of_its_own_is_none() -> None:
    older = observation(at=OLDER, **NEGATIVE)
    assert best(older, observation(component=[{"code": PCR, **NEGATIVE}])) is TestFact.PCR_24H
    assert best(older, observation(hasMember=[{"reference": "resource:1"}])) is TestFact.PCR_24H
    assert best(older, observation(valueString="?", hasMember=[{}])) is TestFact.POSITIVE


def test_a_result_about_somebody_else_is_none_unless_it_is_positive() -> None:
    focus = {"focus": [{"reference": "resource:3"}]}
    assert best(observation(**NEGATIVE, **focus)) is TestFact.NONE
    assert best(observation(at=OLDER, **NEGATIVE), observation(**POSITIVE, **focus)) is TestFact.POSITIVE
    assert best(observation(component=[{"code": PCR, **NEGATIVE}], **focus)) is TestFact.NONE


@pytest.mark.parametrize("name", ["modifierExtension", "implicitRules"])
def test_what_may_mean_the_opposite_is_not_negative(name: str) -> None:
    one = observation(**NEGATIVE, **{name: [{"url": "https://example.org/not"}]})
    assert best(observation(at=OLDER, **NEGATIVE), one) is TestFact.POSITIVE


@pytest.mark.parametrize(
    "word",
    ["positif", "Positiv", "POZİTİF", "pozytywny", "dodatni", "положительный", "θετικό", "양성", "Dương tính"],
)
def test_positive_in_other_languages_counts_of_any_kind(word: str) -> None:
    code = {"text": "COVID"}
    assert best(observation(at=OLDER, **NEGATIVE), observation(code, valueString=word)) is TestFact.POSITIVE
