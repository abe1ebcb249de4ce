"""Who may act at a page, and for how long: devices, logins, locks. Time is an argument; nothing waits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.control.sessions import (
    DEVICE_DAYS,
    FIRST_LOGIN_S,
    FREE_MISSES,
    FREE_MISSES_OF_A_DEVICE,
    IDLE_S,
    LOCK_S,
    LONGEST_LOCK_S,
    MAX_DEVICES,
    PAIRING_S,
    SESSION_S,
    Refused,
    StaffSessions,
    key_of,
)
from agent.credentials.staff_list import StaffList, StaffMember, StaffRole, hash_pin

PIN = "135790"
GUARD = StaffMember("G07", StaffRole.GUARD, hash_pin(PIN, b"0" * 16, cost=10), "badge")
STAFF = StaffList({"G07": GUARD, "S1": StaffMember("S1", StaffRole.SUPERVISOR, GUARD.pin, "other")})
ALL = frozenset(StaffRole)
DAY_S = 86_400.0
UTC = 1_800_000_000.0


@pytest.fixture
def sessions() -> StaffSessions:
    """A paired device, `tablet`, at which somebody was logged in."""
    made = StaffSessions()
    connect(made, "tablet", UTC)
    return made


def connect(sessions: StaffSessions, device: str, utc: float) -> None:
    sessions.begin_pairing("secret", "042137", 0.0)
    sessions.pair("secret", "042137", device, 1.0, utc)
    sessions.login(STAFF, "G07", PIN, device, "first token", 1.0, utc)
    sessions.logout("first token")


def logged_in(sessions: StaffSessions) -> str:
    sessions.login_by_badge(GUARD, "tablet", "token", 0.0, UTC)
    return "token"


# -- devices


@pytest.mark.parametrize("at_s", [PAIRING_S, PAIRING_S + 1, 1e9])
def test_a_pairing_is_over_in_two_minutes(at_s: float) -> None:
    sessions = StaffSessions()
    sessions.begin_pairing("secret", "042137", 0.0)
    for _ in range(2):  # and a clock that is set back brings it no more
        with pytest.raises(Refused, match="pairing_over"):
            sessions.pair("secret", "042137", "tablet", at_s, UTC)
        at_s = 0.0
    assert not sessions.devices


@pytest.mark.parametrize(
    ("secret", "number"),
    [("", ""), ("secret", ""), ("", "042137"), ("secre", "042137"), ("secret ", "042137"), ("SECRET", "042137"),
     ("secret", "42137"), ("secret", "0421370"), ("secret", "042138"), ("sécret", "042137")],
)  # fmt: skip
def test_a_pairing_takes_the_whole_secret_and_the_whole_number(secret: str, number: str) -> None:
    sessions = StaffSessions()
    sessions.begin_pairing("secret", "042137", 0.0)
    with pytest.raises(Refused, match="pairing_wrong"):
        sessions.pair(secret, number, "tablet", 1.0, UTC)
    assert not sessions.devices


def test_a_new_code_ends_the_one_before() -> None:
    sessions = StaffSessions()
    sessions.begin_pairing("first", "111111", 0.0)
    sessions.begin_pairing("second", "222222", 1.0)
    with pytest.raises(Refused, match="pairing_wrong"):
        sessions.pair("first", "111111", "tablet", 2.0, UTC)
    with pytest.raises(Refused, match="pairing_wrong"):
        sessions.pair("first", "222222", "tablet", 2.0, UTC)


def test_a_device_is_paired_for_so_many_days_and_can_be_ended(sessions: StaffSessions) -> None:
    assert sessions.is_paired("tablet", UTC + DEVICE_DAYS * DAY_S - 1)
    assert not sessions.is_paired("tablet", UTC + DEVICE_DAYS * DAY_S)
    assert not sessions.is_paired("", UTC)
    token = logged_in(sessions)
    sessions.unpair_all()
    assert not sessions.is_paired("tablet", UTC)
    with pytest.raises(Refused, match="not_logged_in"):
        sessions.act(STAFF, token, "tablet", ALL, 1.0)


def test_there_are_not_more_devices_than_that_and_old_ones_make_room() -> None:
    sessions = StaffSessions()
    for number in range(1, MAX_DEVICES):
        connect(sessions, f"tablet {number}", UTC)
    for name in ("not proved", "one more"):
        sessions.begin_pairing("secret", "042137", 0.0)
        if name == "not proved":
            sessions.pair("secret", "042137", name, 1.0, UTC)
    with pytest.raises(Refused, match="too_many_devices"):
        sessions.pair("secret", "042137", "one more", 1.0, UTC)
    connect(sessions, "in its place", UTC + FIRST_LOGIN_S)
    connect(sessions, "later", UTC + DEVICE_DAYS * DAY_S)
    assert len(sessions.devices) == 2


def test_a_device_is_kept_and_badges_count_there_once_somebody_has_logged_in_by_pin() -> None:
    """Anybody may read the code on a lane's screen, and wait for the badge that is shown next."""
    sessions = StaffSessions()
    sessions.begin_pairing("secret", "042137", 0.0)
    sessions.pair("secret", "042137", "tablet", 1.0, UTC)
    assert sessions.is_paired("tablet", UTC)
    with pytest.raises(Refused, match="pin_first"):
        logged_in(sessions)
    with pytest.raises(Refused, match="login_wrong"):
        sessions.login(STAFF, "G07", "000000", "tablet", "token", 1.0, UTC)
    with pytest.raises(Refused, match="pin_first"):
        logged_in(sessions)
    assert not sessions.devices, "nothing to keep"
    assert not sessions.is_paired("tablet", UTC + FIRST_LOGIN_S)
    sessions.login(STAFF, "G07", PIN, "tablet", "token", 1.0, UTC)
    assert logged_in(sessions)
    assert sessions.is_paired("tablet", UTC + FIRST_LOGIN_S)


# -- people


@pytest.mark.parametrize(
    "pin", ["", PIN[:-1], PIN + "0", PIN + " ", "0" + PIN, PIN * 20, "１３５７９０", PIN + "\0"]
)
def test_a_pin_is_taken_whole(sessions: StaffSessions, pin: str) -> None:
    with pytest.raises(Refused, match="login_wrong"):
        sessions.login(STAFF, "G07", pin, "tablet", "token", 0.0, UTC)


@pytest.mark.parametrize("who", ["", "g07", "G07 ", "G7", "nobody", "S2"])
def test_whom_nobody_knows_is_refused_like_a_wrong_pin(sessions: StaffSessions, who: str) -> None:
    with pytest.raises(Refused, match="login_wrong"):
        sessions.login(STAFF, who, PIN, "tablet", "token", 0.0, UTC)
    assert not sessions.is_closed(who, key_of("tablet"), 0.0)


def test_nobody_logs_in_on_a_device_that_is_not_paired(sessions: StaffSessions) -> None:
    with pytest.raises(Refused, match="not_paired"):
        sessions.login(STAFF, "G07", PIN, "elsewhere", "token", 0.0, UTC)
    with pytest.raises(Refused, match="not_paired"):
        sessions.login_by_badge(GUARD, "tablet", "token", 0.0, UTC + DEVICE_DAYS * DAY_S)


def test_wrong_pins_close_the_login_twice_as_long_each_time_and_for_that_person_alone(
    sessions: StaffSessions,
) -> None:
    at_s, waits_s = 0.0, []
    sessions.devices |= {key_of(f"tablet {number}"): math.inf for number in range(14)}
    for miss in range(14):
        with pytest.raises(Refused, match="login_wrong"):
            sessions.login(STAFF, "G07", "000000", f"tablet {miss}", "token", at_s, UTC)
        until_s = sessions._misses["G07"][1]
        assert sessions.is_closed("G07", key_of("tablet"), at_s) is (miss >= FREE_MISSES)
        if miss >= FREE_MISSES:
            waits_s.append(until_s - at_s)
            with pytest.raises(Refused, match="login_closed"):
                sessions.login(STAFF, "G07", PIN, "tablet", "token", until_s - 0.1, UTC)
        at_s = until_s
    assert waits_s[:3] == [LOCK_S, 2 * LOCK_S, 4 * LOCK_S]
    assert waits_s[-1] == LONGEST_LOCK_S
    assert sessions.login(STAFF, "S1", PIN, "tablet", "other", 0.0, UTC).staff == "S1"
    assert sessions.login(STAFF, "G07", PIN, "tablet", "token", at_s, UTC).staff == "G07"
    assert not sessions.is_closed("G07", key_of("tablet"), at_s), "the right one forgives"


def test_wrong_pins_at_a_device_close_it_for_everybody_also_those_of_strangers(sessions: StaffSessions) -> None:
    for number in range(FREE_MISSES_OF_A_DEVICE + 1):
        with pytest.raises(Refused, match="login_wrong"):
            sessions.login(STAFF, f"ghost{number}", "000000", "tablet", "token", 0.0, UTC)
    for who in ("ghost99", "G07"):  # which of them is on the list shows in nothing
        with pytest.raises(Refused, match="login_closed"):
            sessions.login(STAFF, who, PIN, "tablet", "token", LOCK_S - 1, UTC)
    assert sessions.login(STAFF, "G07", PIN, "tablet", "token", LOCK_S, UTC).staff == "G07"


def test_a_page_that_does_nothing_is_locked_and_sees_on(sessions: StaffSessions) -> None:
    token = logged_in(sessions)
    sessions.act(STAFF, token, "tablet", ALL, IDLE_S - 1)
    sessions.act(STAFF, token, "tablet", ALL, 2 * IDLE_S - 2)
    with pytest.raises(Refused, match="locked"):
        sessions.act(STAFF, token, "tablet", ALL, 3 * IDLE_S)
    assert sessions.find(STAFF, token, "tablet", 3 * IDLE_S).is_locked(3 * IDLE_S)
    with pytest.raises(Refused, match="login_wrong"):
        sessions.unlock(STAFF, token, "tablet", "000000", 3 * IDLE_S)
    sessions.unlock(STAFF, token, "tablet", PIN, 3 * IDLE_S)
    sessions.act(STAFF, token, "tablet", ALL, 3 * IDLE_S)


def test_a_session_ends_however_busy_it_is(sessions: StaffSessions) -> None:
    token = logged_in(sessions)
    for at_s in range(0, int(SESSION_S), int(IDLE_S) - 1):
        sessions.act(STAFF, token, "tablet", ALL, float(at_s))
    with pytest.raises(Refused, match="not_logged_in"):
        sessions.act(STAFF, token, "tablet", ALL, SESSION_S)
    with pytest.raises(Refused, match="not_logged_in"):
        sessions.find(STAFF, token, "tablet", 0.0)


def test_a_role_is_that_of_the_list_in_force(sessions: StaffSessions) -> None:
    token = logged_in(sessions)
    leader = replace(GUARD, role=StaffRole.SUPERVISOR)
    assert sessions.find(StaffList({"G07": leader}), token, "tablet", 1.0).role is StaffRole.SUPERVISOR
    with pytest.raises(Refused, match="not_allowed"):
        sessions.act(STAFF, token, "tablet", frozenset({StaffRole.SUPERVISOR}), 1.0)


@pytest.mark.parametrize(
    "staff",
    [StaffList(), StaffList({"G07": replace(GUARD, pin=hash_pin("246801", b"0" * 16, cost=10))}),
     StaffList({"G07": replace(GUARD, badge="another")}), StaffList({"G8": replace(GUARD, id="G8")})],
    ids=["no list", "another PIN", "another badge", "off the list"],
)  # fmt: skip
def test_another_list_ends_a_session_for_good(sessions: StaffSessions, staff: StaffList) -> None:
    token = logged_in(sessions)
    with pytest.raises(Refused, match="not_logged_in"):
        sessions.find(staff, token, "tablet", 1.0)
    with pytest.raises(Refused, match="not_logged_in"):
        sessions.find(STAFF, token, "tablet", 1.0)


def test_a_shift_that_is_over_needs_the_pin(sessions: StaffSessions) -> None:
    token, other = logged_in(sessions), "other"
    sessions.login(STAFF, "S1", PIN, "tablet", other, 0.0, UTC)
    sessions.lock("G07")
    with pytest.raises(Refused, match="locked"):
        sessions.act(STAFF, token, "tablet", ALL, 0.0)
    sessions.act(STAFF, other, "tablet", ALL, 0.0)
    sessions.unlock(STAFF, token, "tablet", PIN, 0.0)
    sessions.act(STAFF, token, "tablet", ALL, 0.0)


@pytest.mark.parametrize("who", ["G07", "", "S2", "g07"])
def test_nobody_confirms_what_they_do_themselves(sessions: StaffSessions, who: str) -> None:
    by = sessions.find(STAFF, logged_in(sessions), "tablet", 0.0)
    with pytest.raises(Refused, match="second_needed"):
        sessions.confirm(STAFF, who, PIN, by, ALL, 0.0)
    assert sessions.confirm(STAFF, "S1", PIN, by, ALL, 0.0) == "S1"


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: who acts is on the list, logged in there, lately, on a paired device."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions, self.at_s, self.listed = StaffSessions(), 0.0, True
        self.paired = self.proved = False
        self.since_s = self.active_s = -math.inf

    @property
    def staff(self) -> StaffList:
        return STAFF if self.listed else StaffList()

    @rule(seconds=st.sampled_from([0.0, 1.0, IDLE_S - 1, IDLE_S, PAIRING_S, SESSION_S]))
    def wait(self, seconds: float) -> None:
        self.at_s += seconds

    @rule(late=st.booleans())
    def pair(self, late: bool) -> None:
        self.sessions.begin_pairing("secret", "042137", self.at_s)
        self.at_s += PAIRING_S if late else 1.0
        try:
            self.sessions.pair("secret", "042137", "tablet", self.at_s, UTC)
        except Refused:
            assert late
        else:
            assert not late
            self.paired = True

    @rule()
    def unpair(self) -> None:
        self.sessions.unpair_all()
        self.paired, self.proved, self.since_s = False, False, -math.inf

    @rule()
    def log_in_by_pin(self) -> None:
        try:
            self.sessions.login(STAFF, "G07", PIN, "tablet", "token", self.at_s, UTC)
        except Refused:
            assert not self.paired
        else:
            assert self.paired
            self.proved, self.since_s, self.active_s = True, self.at_s, self.at_s

    @rule()
    def log_in(self) -> None:
        try:
            self.sessions.login_by_badge(GUARD, "tablet", "token", self.at_s, UTC)
        except Refused:
            assert not self.proved
        else:
            assert self.proved
            self.since_s = self.active_s = self.at_s

    @rule()
    def log_out(self) -> None:
        self.sessions.logout("token")
        self.since_s = -math.inf

    @precondition(lambda self: self.since_s > -math.inf)
    @rule()
    def hand_over(self) -> None:
        self.sessions.lock("G07")
        self.active_s = -math.inf

    @rule()
    def off_the_list_and_on_it(self) -> None:
        self.listed = not self.listed

    @rule(device=st.sampled_from(["tablet", "elsewhere", ""]), leaders=st.booleans())
    def act(self, device: str, leaders: bool) -> None:
        is_in = device == "tablet" and self.listed and self.paired and self.at_s - self.since_s < SESSION_S
        allowed = frozenset({StaffRole.SUPERVISOR}) if leaders else ALL
        may = is_in and not leaders and self.at_s - self.active_s < IDLE_S
        try:
            self.sessions.act(self.staff, "token", device, allowed, self.at_s)
        except Refused:
            assert not may
        else:
            assert may
            self.active_s = self.at_s
        if not is_in:
            self.since_s = -math.inf  # who is refused so is out for good

    @invariant()
    def no_token_is_kept(self) -> None:
        assert "token" not in repr(self.sessions._sessions) + repr(self.sessions.devices)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
