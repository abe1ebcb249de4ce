"""Tables: read with every fault at once, proved before they are used, and never a wrong green."""

from __future__ import annotations

import itertools
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import policy
from agent.model import CodeProof, Decision, Direction, Outcome, Screening, Tristate, WatchClass
from agent.platform.packaged import packaged
from agent.policy.facts import DIMENSIONS, CodeFact, CredentialKind, Facts, LaneType, Series, TestFact, Zone
from agent.policy.table import ALWAYS, BadTable, _TableReader, read, row_of
from agent.ruleset import load
from tests.profiles import PROFILES, profile

RED = {"direction": "entry", "code": "red", "temperature": "normal"}
FACTS = st.builds(Facts, *(st.sampled_from(values) for values in DIMENSIONS.values()))


def document(**changes: Any) -> dict[str, Any]:
    """The smallest table that may be used."""
    good = {"direction": "entry", "code": "green", "temperature": "normal", "test": ["none", "pcr_24h"]}
    good |= {"list_age": ["fresh"], "watch": "clear"}
    return {
        "table": {"name": "small", "version": 1},
        "row": [
            {"name": "exit", "when": {"direction": "exit"}, "outcome": "admit", "reasons": ["egress_free"]},
            {"name": "green", "when": good, "outcome": "admit", "reasons": ["code_green"]},
            {"name": "rest", "outcome": "refer", "reasons": ["code_yellow"]},
        ],
    } | changes


def problems(changed: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(BadTable) as caught:
        read(changed)
    return caught.value.problems


def with_rows(*rows: dict[str, Any]) -> dict[str, Any]:
    return document(row=[*document()["row"][:-1], *rows])


def row(outcome: str, **when: Any) -> dict[str, Any]:
    return {"name": "new", "when": when, "outcome": outcome, "reasons": ["code_green"]}


def test_eight_kinds_of_venue_and_three_more() -> None:
    practice = {
        "residential",
        "office",
        "construction_site",
        "retail",
        "public_place",
        "port_of_entry",
        "transport",
        "medical",
    }
    assert set(PROFILES) == practice | {"school", "care_home", "default", "event", "platform"}


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_proved_and_speaks_both_languages(name: str) -> None:
    found = profile(name)
    assert found.name == name
    assert found.situations > 20
    assert set(found.title) == {"en", "zh"}
    assert found.tests


def opening(facts: Facts) -> list[tuple[str, Decision]]:
    """The profiles that let somebody with these facts pass, and how."""
    decisions = ((name, policy.decide(profile(name), facts)) for name in PROFILES)
    opens = {Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE}
    return [(name, decision) for name, decision in decisions if decision.outcome in opens]


@settings(max_examples=300)
@given(facts=FACTS)
def test_never_a_wrong_green(facts: Facts) -> None:
    """Said again without the masks that decide: by looking at one decision at a time."""
    found = opening(facts)
    if facts.direction is Direction.EXIT:
        assert [name for name, _ in found] == list(PROFILES)
        return
    for _, decision in found:
        assert facts.code in {CodeFact.GREEN, CodeFact.CERTIFICATE, CodeFact.VOUCHED}
        assert facts.code is not CodeFact.VOUCHED or decision.outcome is Outcome.ADMIT_WITH_NOTICE
        assert facts.room not in {"full", "unknown"}
        assert facts.permit in {"unasked", "valid", "missing"}
        assert facts.mask != "missing"
        assert facts.temperature is Screening.NORMAL
        assert facts.test != "positive"
        assert facts.list_age != "refer"
        assert facts.watch == "clear"


TICKETS = st.builds(
    Facts,
    st.sampled_from([Direction.ENTRY]),
    st.sampled_from([CodeFact.CERTIFICATE, CodeFact.UNDECIDED]),
    st.sampled_from([Screening.NORMAL]),
    kind=st.sampled_from([CredentialKind.TICKET, CredentialKind.IDENTITY]),
    proof=st.sampled_from(CodeProof),
    **{
        fact: st.sampled_from(Tristate)
        for fact in ("ticket_here", "ticket_now", "ticket_service", "of_age", "already_used")
    },
)


@settings(max_examples=300)
@given(facts=TICKETS)
def test_a_ticket_opens_only_where_and_when_it_counts(facts: Facts) -> None:
    for name, decision in opening(facts):
        assert name in {"event", "platform"}
        assert (facts.ticket_here, facts.ticket_now, facts.ticket_service) == ("yes", "yes", "yes")
        assert facts.already_used != "yes"
        assert facts.proof != "none"
        assert decision.outcome is not Outcome.ADMIT or facts.already_used == "no"


@pytest.mark.parametrize("name", PROFILES)
def test_a_proof_takes_no_time(name: str) -> None:
    def once() -> float:
        began_s = time.thread_time()
        load.load_table(policy.Options(name))
        return time.thread_time() - began_s

    assert min(once() for _ in range(3)) < 0.05


@pytest.mark.parametrize("name", PROFILES)
def test_the_masks_decide_as_reading_the_rows_would(name: str) -> None:
    found, source = profile(name), random.Random(2)
    for _ in range(2000):
        facts = Facts(*(source.choice(list(values)) for values in DIMENSIONS.values()))
        by_reading = next(
            row for row in found.rows if all(getattr(facts, name) in values for name, values in row.when.items())
        )
        assert row_of(found, facts) is by_reading


def some(name: str) -> st.SearchStrategy[list[str]]:
    return st.lists(
        st.sampled_from(list(DIMENSIONS[name])), min_size=1, max_size=len(DIMENSIONS[name]), unique=True
    )


ASKED = ("direction", "code", "temperature", "test")
EVERY = {name: list(DIMENSIONS[name]) for name in ASKED} | {
    "list_age": ["fresh", "expired"],
    "watch": ["clear", "hit"],
}
CONDITIONS = st.fixed_dictionaries({}, optional={name: some(name) for name in ASKED})


@given(st.lists(st.tuples(CONDITIONS, st.sampled_from(Outcome)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_proof_finds_what_trying_everything_finds(rules: list[tuple[dict[str, list[str]], Outcome]]) -> None:
    """Random tables: gaps, dead rows and broken invariants, against every combination of the facts they ask for."""
    rows = [row(outcome, **when) | {"name": f"row {number}"} for number, (when, outcome) in enumerate(rules)]
    refined = {each.name: each.when.items() for each in _TableReader(document(row=rows)).rows()}
    alive, gap, broken = set(), False, set()
    for values in itertools.product(*EVERY.values()):
        facts = dict(zip(EVERY, values, strict=True))
        first = next((each for each in rows if all(facts[n] in asked for n, asked in refined[each["name"]])), None)
        if first is None:
            gap = True
            continue
        alive.add(first["name"])
        for never in ALWAYS:
            if first["outcome"] in never.forbidden and all(facts[n] in asked for n, asked in never.when.items()):
                broken.add((first["name"], never.name))
    found = problems(document(row=rows)) if gap or broken or len(alive) < len(rows) else ()
    if not found:
        read(document(row=rows))
    assert any("no row decides" in problem for problem in found) is gap
    dead = {problem.split("'")[1] for problem in found if "can never be reached" in problem}
    assert dead == {each["name"] for each in rows} - alive
    assert {tuple(problem.split("'")[1:4:2]) for problem in found if " breaks " in problem} == broken


def test_a_gap_in_one_of_all_combinations() -> None:
    """A gap in exactly one of all combinations of four facts."""
    gap = {"direction": "entry", "code": "green", "temperature": "normal", "zone": "high"}
    rows = [document()["row"][0]]
    for name, value in gap.items():
        others = [other for other in DIMENSIONS[name] if other != value]
        rows.append(row("refer", **{name: others}) | {"name": f"not {name}"})
    del rows[1]  # the first row takes all that leaves
    for problem in problems(document(row=rows)):
        assert "no row decides" in problem
        assert all(f"{name} {value}" in problem for name, value in gap.items())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (with_rows(), "no row decides"),
        (with_rows(row("refer"), row("refuse", code="red")), "can never be reached"),
        (with_rows(row("admit", code="red"), row("refer")), "no entry without a valid code"),
        (with_rows(row("admit", code="expired"), row("refer")), "no entry without a valid code"),
        (with_rows(row("admit_with_notice", code="time_unknown"), row("refer")), "no entry without a valid code"),
        (with_rows(row("admit", temperature="elevated"), row("refer")), "no entry without a normal temperature"),
        (with_rows(row("admit", temperature="device_fault"), row("refer")), "without a normal temperature"),
        (
            with_rows(row("admit", code="green", temperature="normal"), row("refer")),
            "no entry with a positive test",
        ),
        (document(row=[row("refer")]), "nobody is kept in"),
        (document(invariant=[{"name": "mine", "when": {"code": "green"}, "outcomes": ["admit"]}]), "breaks 'mine'"),
        (
            document(
                test=[
                    {
                        "name": "c",
                        "facts": {"direction": "entry", "code": "red", "temperature": "normal"},
                        "outcome": "admit",
                    }
                ]
            ),
            "test 'c' gives refer, not admit",
        ),
        (document(table={}), "needs a name"),
        (document(table={"name": "x"}), "needs a version"),
        (document(table={"name": "x", "version": 0}), "needs a version"),
        (document(table={"name": "x", "version": 1, "extends": "guards"}), "unknown key 'extends'"),
        (document(table={"name": "x", "version": 1, "title": {"en": "a\nb"}}), "a text of one line per language"),
        ({"row": document()["row"]}, "[table] is missing"),
        (document(row=[]), "needs 1 to 200 rows"),
        (document(row=document()["row"] * 70), "needs 1 to 200 rows"),
        (document(row=[7]), "is a list of tables"),
        (document(extra=1), "unknown key 'extra'"),
        (with_rows(row("refer", colour="red")), "unknown key 'colour'"),
        (with_rows(row("refer", code="blue")), "code is one of"),
        (with_rows(row("refer", code=[])), "code is one of"),
        (with_rows(row("refer", code=[["green"]])), "code is one of"),
        (with_rows(row("open")), "an outcome is one of"),
        (with_rows(row("refer") | {"reasons": ["because"]}), "unknown code 'because'"),
        (with_rows(row("refer") | {"reasons": []}), "needs at least one reason"),
        (with_rows(row("refer") | {"reasons": "fever"}), "reasons is a list of texts"),
        (with_rows(row("refer") | {"when": 7}), "when is a table"),
        (with_rows(row("refer") | {"whenn": {}}), "unknown key 'whenn'"),
        (document(invariant=[{"name": "n", "outcomes": []}]), "outcomes is a list"),
        (
            document(test=[{"name": "c", "facts": {"code": "red"}, "outcome": "refer"}]),
            "facts needs direction, temperature",
        ),
    ],
    ids=range(33),
)
def test_what_may_not_be_used(changed: dict[str, Any], sentence: str) -> None:
    found = problems(changed)
    assert any(sentence in problem for problem in found), found


def test_the_smallest_table() -> None:
    found = read(document())
    assert policy.decide(found, Facts(Direction.ENTRY, CodeFact.GREEN, Screening.NORMAL)).rule == "green"


def test_every_fault_at_once() -> None:
    changed = with_rows(row("open", code="blue") | {"reasons": ["because"]}, row("refer", weather="rain"))
    assert len(problems(changed | {"extra": 1})) >= 5


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_written_out_whole_is_the_same_table(name: str) -> None:
    text = load.whole_table(packaged(f"policy/{name}.toml"))
    assert policy.parse_table(text, name) == profile(name)


def test_a_table_from_the_server_must_be_whole() -> None:
    text = '[table]\nname = "x"\nversion = 1\nextends = "guards"\n[[row]]\noutcome = "refer"\nreasons = ["fever"]\n'
    with pytest.raises(BadTable):
        policy.parse_table(text, "server")


@pytest.mark.parametrize("name", ['"\\u0000"', '"a\\nb"', '"../guards"', "7", '["guards"]'])
def test_a_beginning_that_is_no_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'[table]\nname = "x"\nversion = 1\nextends = {name}\n')
    with pytest.raises(BadTable, match="extends is a name of small letters"):
        load.load_table(policy.Options(str(tmp_path / "x.toml")))


@pytest.mark.parametrize("text", ["[[[", "x = ", "\0"])
def test_text_that_is_no_toml(text: str) -> None:
    with pytest.raises(BadTable):
        policy.parse_table(text, "server")


def test_nothing_depends_on_temperature_where_the_code_already_refuses() -> None:
    """Otherwise a red code would have to wait for the thermometer."""
    for name, code in itertools.product(PROFILES, ["red", "expired", "bad_signature", "revoked"]):
        decisions = {
            policy.decide(profile(name), Facts(Direction.ENTRY, CodeFact(code), screening))
            for screening in Screening
        }
        assert len(decisions) == 1


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(
    ("fact", "order"),
    [
        ("test", ["pcr_24h", "pcr_48h", "pcr_72h", "older", "none", "positive"]),
        ("test", ["pcr_24h", "antigen_24h", "older"]),
        ("test_series", ["met", "insufficient"]),
        ("list_age", ["fresh", "stale", "expired"]),
        ("code", ["green", "yellow", "red"]),
        ("passback", ["none", "recent"]),
        ("watch", ["clear", "hit"]),
    ],
)
def test_whoever_has_less_to_show_is_not_better_off(name: str, fact: str, order: list[str]) -> None:
    found = profile(name)
    strictness = (Outcome.ADMIT, Outcome.ADMIT_WITH_NOTICE, Outcome.REFER, Outcome.REFUSE)
    others: dict[str, Any] = {
        "zone": Zone,
        "test": TestFact,
        "test_series": Series,
        "kind": CredentialKind,
        "lane_type": LaneType,
    }
    others["code"] = [CodeFact.GREEN, CodeFact.YELLOW, CodeFact.CERTIFICATE]
    others.pop(fact, None)
    for values in itertools.product(*others.values()):
        facts = Facts(Direction.ENTRY, CodeFact.GREEN, Screening.NORMAL)._replace(
            **dict(zip(others, values, strict=True))
        )
        outcomes = [policy.decide(found, facts._replace(**{fact: value})).outcome for value in order]
        assert outcomes == sorted(outcomes, key=strictness.index), (facts, order)


@pytest.mark.parametrize("named", [{}, {"watch": "contact"}, {"watch": ["hit", "contact"]}])
def test_an_invariant_that_names_a_special_case_takes_it_from_no_row(named: dict[str, Any]) -> None:
    never = [{"name": "never", "when": {**named, "direction": "entry"}, "outcomes": ["admit_with_notice"]}]
    hit = row("refuse", watch="hit", direction="entry") | {"name": "hit"}
    exit_first, *others = document()["row"]
    table = read(document(row=[exit_first, hit, *others], invariant=never))
    facts = Facts(Direction.ENTRY, CodeFact.GREEN, Screening.NORMAL, watch=WatchClass.CONTACT)
    assert row_of(table, facts).name == "hit"
