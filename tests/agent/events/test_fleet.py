"""A fleet's table from its retained states."""

import json
import math
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from agent.events import Topics
from agent.events.fleet import as_json, behind, row_of, summary, table
from agent.events.state import Counts, ReleaseState, State, VenueState, offline_payload, state_payload
from agent.model import InForce, ReleaseStatus
from agent.model.problems import Problem, ProblemCode


def row(number=1, **how):
    topics = Topics("library", f"gate-{number}")
    return row_of(topics.state, state_payload(topics, State("1.0", **how)))


def held(version):
    return (InForce("list", "status", version, "bundle"), InForce("policy", "office", 1, "built_in"))


def test_a_row_says_what_the_state_says():
    problems = (
        Problem(ProblemCode.LIST_EXPIRED, "", "status is 4 days old"),
        Problem(ProblemCode.CERTIFICATE_EXPIRING, "mqtt", "the kiosk's own certificate ends in 6 days"),
        Problem(ProblemCode.DEVICE_DOWN, "in thermometer", "no answer"),
    )
    venue = VenueState(inside=12, cases=2, overdue=1)
    found = row(in_force=held(7), problems=problems, venue=venue, counts=Counts(5, 5, 3, 1, 2), safe=True)
    assert (found.kiosk, found.state, found.mode) == ("library/gate-1", "online", "safe")
    assert (found.waiting, found.lost, found.inside, found.cases, found.overdue) == (2, 1, 12, 2, 1)
    assert found.held == (("list/status", 7),), "what is built in is no bundle"
    assert found.lists == ("status is 4 days old",)
    assert found.certificates == ("the kiosk's own certificate ends in 6 days",)
    assert found.problems == ("device_down in thermometer",)


def test_who_is_behind_and_who_is_away_stand_first():
    topics = Topics("library", "gate-0")
    away = row_of(topics.state, offline_payload(topics, "0.9"))
    rows = [away, row(1, in_force=held(8)), row(2, in_force=held(7)), row(3, in_force=held(8))]
    whole = summary(rows)
    assert (whole.kiosks, whole.online, whole.held) == (4, 3, {"list/status": {8: 2, 7: 1}})
    assert [behind(each, whole) for each in rows] == [[], [], ["list/status"], []]
    lines = table(rows, {"library/gate-0": 100.0}, 160.0)
    kiosks = [line for line in lines if line.startswith("library/")]
    assert kiosks[0].endswith("offline for 60 s")
    assert kiosks[1].endswith("list/status is older than elsewhere")
    assert kiosks[2].startswith("library/gate-1")
    told = json.loads(json.dumps(as_json(rows, {"library/gate-0": 100.0})))
    assert told["kiosks"][0]["offline_since"] == 100.0
    assert told["kiosks"][2]["behind"] == ["list/status"]


def test_columns_stay_below_each_other_whatever_a_version_is_called():
    rows = [
        replace(row(number, safe=True), software_version=version)
        for number, version in enumerate(("1.0", "0.1.0+20261130021340.bac05088"))
    ]
    first, *kiosks = table(rows, {}, 0.0)[-3:]
    assert [line.index("safe mode") for line in kiosks] == 2 * [first.index("WHAT IS WRONG")]


def test_what_became_of_a_release_is_said_and_its_bundle_is_not_compared():
    def kiosk(number, status, version):
        release = ReleaseState("0.2.0", ReleaseStatus(status), "it fell 3 times")
        return row(
            number, in_force=(InForce("release", "", version), InForce("roster", "", version)), release=release
        )

    rows = [kiosk(1, "on_trial", 6), kiosk(2, "rolled_back", 5)]
    lines = [line for line in table(rows, {}, 0.0) if line.startswith("library/")]
    assert lines[0].startswith("library/gate-2")
    assert lines[0].endswith("  release 0.2.0 rolled_back: it fell 3 times")
    assert "older" not in "".join(lines)
    assert "release" not in lines[1]


@given(st.binary(max_size=200) | st.from_regex(rb'\{"type": ?"gatepost.state.v1", "kiosk": "gate-1".*\}'))
def test_what_is_no_state_is_no_row(payload):
    assert row_of(Topics("library", "gate-1").state, payload) is None or b"software_version" in payload


def test_a_kiosk_cannot_speak_for_another():
    payload = state_payload(Topics("library", "gate-2"), State("1.0"))
    assert row_of(Topics("library", "gate-1").state, payload) is None


WHOLE = json.loads(state_payload(Topics("library", "gate-1"), State("1.0", in_force=held(7), venue=VenueState(3))))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.sampled_from(sorted(WHOLE)), JSON)
@example("in_force", [{"type": "list", "name": "", "version": math.inf, "source": "bundle"}])
@example("problems", [{"code": ["no", "code"], "part": "", "text": ""}])
def test_a_forged_state_hides_no_other_kiosk(name, value):
    forged = json.dumps(WHOLE | {name: value}).encode()
    topics = Topics("library", "gate-1")
    rows = [found for found in (row_of(topics.state, forged),) if found is not None]
    other = row_of(Topics("library", "gate-2").state, state_payload(Topics("library", "gate-2"), State("1.0")))
    lines = table([*rows, other], {}, 0.0)
    assert any(line.startswith("library/gate-2") for line in lines)
    json.dumps(as_json([*rows, other], {}))


def test_numbers_that_strangers_have_made_up_spoil_no_sum():
    """Python prints no number of more than 4,300 digits: two such states, and the fleet could not be shown."""
    most = (
        json.dumps(WHOLE)
        .replace('"waiting": 0', f'"waiting": {"9" * 4300}')
        .replace('"waiting":0', f'"waiting":{"9" * 4300}')
    )
    topics = Topics("library", "gate-1")
    rude = row_of(topics.state, most.encode())
    assert rude is not None
    assert rude.waiting is None
    assert any(line.startswith("library/gate-2") for line in table([rude, rude, row(2)], {}, 0.0))
