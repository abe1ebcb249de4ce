"""Which release runs: the link, what is remembered, and what a release that does not fit changes: nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.upgrade import root_helper
from agent.upgrade.root_helper import Layout, Releases, State, UpgradeError, order_of


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(Layout(tmp_path))


def add(releases: Releases, version: str, *, accepts: bool = True) -> None:
    """A release whose `check` says yes or no."""
    program = releases.layout.releases / version / "bin/gatepost"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'agent.toml:1: not for this release' >&2\nexit {0 if accepts else 1}\n")
    program.chmod(stat.S_IRWXU)


def test_the_first_release_is_used(releases: Releases) -> None:
    add(releases, "1.0")
    root_helper.on_installed(releases, "1.0")
    assert releases.current() == "1.0"
    assert str(releases.layout.current.readlink()) == "releases/1.0"
    assert releases.state() == State()


def test_the_newest_is_chosen_when_none_is_in_use(releases: Releases) -> None:
    for version in ("0.9", "0.10", "0.10~rc1"):
        add(releases, version)
    root_helper.choose(releases)
    assert releases.current() == "0.10"
    add(releases, "0.11")
    root_helper.choose(releases)
    assert releases.current() == "0.10", "choosing again changes nothing"


def test_another_release_takes_its_place_and_goes_back(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("1.0", "1.1"):
        add(releases, version)
        root_helper.on_installed(releases, version)
    assert (releases.current(), releases.state().previous) == ("1.1", "1.0")
    root_helper.go_back(releases)
    assert (releases.current(), releases.state().previous) == ("1.0", "1.1")
    root_helper.show(releases)
    assert capsys.readouterr().out.splitlines()[-2:] == ["1.0  in use", "1.1  the one before"]


def test_one_that_does_not_accept_the_configuration_is_not_used(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    add(releases, "1.0")
    root_helper.on_installed(releases, "1.0")
    releases.layout.configuration.parent.mkdir(parents=True)
    releases.layout.configuration.touch()
    add(releases, "1.1", accepts=False)
    root_helper.on_installed(releases, "1.1")
    assert releases.current() == "1.0"
    said = capsys.readouterr().err
    assert "release 1.1 is not used" in said
    assert "agent.toml:1: not for this release" in said
    with pytest.raises(UpgradeError, match="does not accept"):
        root_helper.switch(releases, "1.1")


def test_one_that_cannot_be_run_is_not_used(releases: Releases) -> None:
    add(releases, "1.0")
    root_helper.on_installed(releases, "1.0")
    add(releases, "1.1")
    program = releases.layout.releases / "1.1/bin/gatepost"
    program.write_bytes(b"\x7fELF another processor's")
    root_helper.on_installed(releases, "1.1")
    assert releases.current() == "1.0"


@pytest.mark.parametrize("version", ["9.9", "../../../bin", "", "releases"])
def test_what_is_not_installed_is_not_used(releases: Releases, version: str) -> None:
    add(releases, "1.0")
    root_helper.choose(releases)
    with pytest.raises(UpgradeError, match=r"not installed; there are 1\.0"):
        releases.use(version)
    assert releases.current() == "1.0"


def test_the_one_in_use_goes_and_another_is_used(releases: Releases) -> None:
    for version in ("1.0", "1.1", "1.2"):
        add(releases, version)
        root_helper.on_installed(releases, version)
    root_helper.on_removing(releases, "1.0")
    assert releases.current() == "1.2"
    root_helper.on_removing(releases, "1.2")
    assert releases.current() == "1.1", "the one before, not the newest"


def test_the_last_one_goes(releases: Releases) -> None:
    add(releases, "1.0")
    root_helper.choose(releases)
    root_helper.on_removing(releases, "1.0")
    assert not releases.layout.current.is_symlink()
    with pytest.raises(UpgradeError, match="no release before"):
        root_helper.go_back(releases)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"previous": 1, "x": 2}', b"\xff\xfe"])
def test_a_damaged_memory_is_an_empty_one(releases: Releases, content: bytes) -> None:
    releases.layout.state.parent.mkdir(parents=True)
    releases.layout.state.write_bytes(content)
    assert releases.state() == State()


def test_what_is_remembered_is_for_root_alone(releases: Releases) -> None:
    releases.remember(State("1.0"))
    assert stat.S_IMODE(releases.layout.state.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert releases.state() == State("1.0")


@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_versions_are_ordered_by_their_numbers(one: list[int], other: list[int]) -> None:
    first, second = (".".join(map(str, numbers)) for numbers in (one, other))
    assert (order_of(first) < order_of(second)) == (one < other)


def test_a_commit_after_a_release_is_newer_and_a_candidate_is_older() -> None:
    names = ["0.2.0", "0.1.0+20261129032219.86b8bcd1", "0.1.0~rc1", "0.1.0", "0.1.0+20261130000000.00000000"]
    assert sorted(names, key=order_of) == [
        "0.1.0~rc1", "0.1.0", "0.1.0+20261129032219.86b8bcd1", "0.1.0+20261130000000.00000000", "0.2.0",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [[], ["use"], ["use", "1", "2"], ["drop", "1"]])
def test_words_that_mean_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert root_helper.main(words) == 2
    assert "gatepost-release use VERSION" in capsys.readouterr().err
