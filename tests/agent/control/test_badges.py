"""What a badge before a scanner is for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.control.badges import BADGE_S, HELD_S, SECOND_S, Badges, BadgeUse, StaffAction

ACTION = StaffAction("G07", "override", "entry", 7)


def show(badges: Badges, who: str, at_s: float, on_duty: str = "", *, may_connect: bool = False) -> BadgeUse:
    return badges.show(who, on_duty, at_s, may_connect=may_connect)


def test_a_badge_that_no_page_waits_for_is_a_new_shift_once() -> None:
    badges = Badges()
    assert show(badges, "G07", 0.0) is BadgeUse.SHIFT
    assert show(badges, "G07", HELD_S - 0.1) is BadgeUse.NOTHING, "still before the scanner"
    assert show(badges, "G07", HELD_S + 0.1, "G07") is BadgeUse.NOTHING, "on duty already"
    assert show(badges, "G08", HELD_S + 0.2, "G07") is BadgeUse.SHIFT


def test_a_second_persons_badge_is_no_shift_and_counts_for_a_while_and_once() -> None:
    badges = Badges()
    badges.await_second("tablet", ACTION, 0.0)
    assert show(badges, "S1", SECOND_S - 0.1) is BadgeUse.NOTHING
    assert badges.second("tablet", ACTION, SECOND_S + BADGE_S) == ""
    assert badges.second("other", ACTION, SECOND_S) == ""
    assert badges.second("tablet", ACTION, SECOND_S) == "S1"
    badges.end_second("tablet")
    assert badges.second("tablet", ACTION, SECOND_S) == ""


def test_a_badge_confirms_nothing_that_is_asked_after_it_was_shown() -> None:
    badges = Badges()
    assert show(badges, "S1", 0.0) is BadgeUse.SHIFT
    badges.await_second("tablet", ACTION, 0.1)
    assert badges.second("tablet", ACTION, 0.2) == ""
    for at_s in (1.0, 3.0, 5.0):  # it lies before the scanner
        assert show(badges, "S1", at_s) is BadgeUse.NOTHING
        badges.await_second("tablet", ACTION, at_s)
    assert badges.second("tablet", ACTION, 5.0) == ""
    show(badges, "S1", 5.0 + HELD_S)
    assert badges.second("tablet", ACTION, 5.0 + HELD_S) == "S1"


def test_the_badge_of_who_acts_and_one_that_two_pages_wait_for_confirm_nothing() -> None:
    badges = Badges()
    badges.await_second("tablet", ACTION, 0.0)
    assert show(badges, "G07", 1.0) is BadgeUse.NOTHING
    assert badges.second("tablet", ACTION, 1.0) == ""
    badges.await_login("other", 2.0)
    show(badges, "S1", 3.0)
    assert (badges.second("tablet", ACTION, 3.0), badges.login("other", 3.0)) == ("", "")
    badges.end_second("tablet")
    assert show(badges, "S1", 3.0 + HELD_S) is BadgeUse.SHIFT
    assert badges.login("other", 3.0 + HELD_S) == "S1"


def test_a_badge_logs_in_the_one_page_that_waits_and_not_for_ever() -> None:
    badges = Badges()
    badges.await_login("tablet", 0.0)
    show(badges, "G07", 1.0)
    assert badges.login("other", 1.0) == ""
    assert badges.login("tablet", 1.0 + BADGE_S) == "", "nobody finds the page logged in an hour later"
    badges.await_login("tablet", 100.0)
    badges.await_login("other", 100.0)
    show(badges, "G07", 101.0)
    assert {badges.login(each, 101.0) for each in ("tablet", "other")} == {""}, "nobody can tell whose it is"


def test_who_may_connect_tablets_shows_the_code_and_then_takes_over_all_the_same() -> None:
    badges = Badges()
    badges.await_tablet(0.0)
    assert show(badges, "G07", 1.0) is BadgeUse.SHIFT, "a guard may not"
    assert show(badges, "S1", 2.0, may_connect=True) is BadgeUse.TABLET
    badges.await_tablet(3.0)  # as somebody on the network who asks again and again
    assert show(badges, "S1", 2.1 + HELD_S, may_connect=True) is BadgeUse.SHIFT
    badges.await_tablet(4.0 + BADGE_S)
    assert show(badges, "S1", 5.0 + BADGE_S, may_connect=True) is BadgeUse.TABLET


def test_a_badge_for_which_two_actions_of_one_tablet_wait_confirms_neither() -> None:
    badges, other = Badges(), StaffAction("G07", "override", "entry", 8)
    badges.await_second("tablet", ACTION, 0.0)
    badges.await_second("tablet", other, 0.1)
    show(badges, "S1", 1.0)
    assert badges.second("tablet", ACTION, 1.0) == badges.second("tablet", other, 1.0) == ""
    badges.await_second("tablet", other, SECOND_S)
    show(badges, "S1", SECOND_S + HELD_S)
    assert (badges.second("tablet", ACTION, 9.0), badges.second("tablet", other, 9.0)) == ("", "S1")


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 20.0),
            st.sampled_from(["login", "second", "tablet", "over", "G", "S"]),
            st.sampled_from("ab"),
        ),
        max_size=30,
    )
)
def test_no_badge_of_a_guard_ever_shows_a_code_and_no_login_comes_without_a_badge(
    said: list[tuple[float, str, str]],
) -> None:
    badges, at_s, shown = Badges(), 0.0, set()
    asked: dict[tuple[str, StaffAction], set[str]] = {}
    """Page, and for what it asked for a second person's badge → those that were shown since."""
    choices = [
        StaffAction("G", "open", "entry"),
        StaffAction("G", "override", "entry", 1),
        StaffAction("S", "open", "entry"),
    ]
    for after_s, what, device in said:
        at_s += after_s
        match what:
            case "login":
                badges.await_login(device, at_s)
            case "second":
                action = choices[int(at_s) % len(choices)]
                badges.await_second(device, action, at_s)
                asked[device, action] = set()
            case "over":
                badges.end_second(device)
                asked = {each: since for each, since in asked.items() if each[0] != device}
            case "tablet":
                badges.await_tablet(at_s)
            case who:
                shown.add(who)
                for since in asked.values():
                    since.add(who)
                use = show(badges, who, at_s, may_connect=who == "S")
                assert use is not BadgeUse.TABLET or who == "S"
        for action in choices:
            since = asked.get((device, action), set())
            assert badges.second(device, action, at_s) in {"", *since} - {action.by}
        assert badges.login(device, at_s) in {"", *shown}
