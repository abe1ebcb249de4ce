"""Which release runs: the link, what is remembered, and what a release that does not fit changes: nothing."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.upgrade import root_helper
from agent.upgrade.root_helper import (
    HelperState,
    Layout,
    Releases,
    ReleaseTrial,
    Sight,
    UpgradeError,
    is_well,
    order_of,
    verdict,
)


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
    assert releases.state() == HelperState()


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


def test_a_package_that_the_helper_installs_leaves_the_moment_of_the_switch_to_it(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be people at the gate, and one switch is enough."""
    monkeypatch.setenv("GATEPOST_UPGRADING", "1")
    for version in ("1.0", "1.1"):
        add(releases, version)
        root_helper.on_installed(releases, version)
    assert releases.current() == "1.0", "the first one on an empty card is used"
    assert releases.state() == HelperState()


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


def test_a_trial_ends_when_the_release_before_it_goes(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        add(releases, version)
        releases.use(version)
    root_helper.begin_trial(releases, TRIAL)
    root_helper.on_removing(releases, "1.0")
    assert releases.current() == "1.1"
    assert releases.state().trial is None
    assert not releases.layout.on_trial.exists()


def test_the_last_one_goes(releases: Releases) -> None:
    add(releases, "1.0")
    root_helper.choose(releases)
    root_helper.on_removing(releases, "1.0")
    assert not releases.layout.current.is_symlink()
    with pytest.raises(UpgradeError, match="no release before"):
        root_helper.go_back(releases)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"previous": "1", "trial": 3}', b"\xff\xfe"])
def test_a_damaged_memory_is_an_empty_one(releases: Releases, content: bytes) -> None:
    releases.layout.state.parent.mkdir(parents=True)
    releases.layout.state.write_bytes(content)
    assert releases.state() == HelperState()


def test_what_is_remembered_is_for_root_alone(releases: Releases) -> None:
    releases.remember(HelperState("1.0"))
    assert stat.S_IMODE(releases.layout.state.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert releases.state() == HelperState("1.0")


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


TRIAL = ReleaseTrial("1.1", "1.0", ("device_down entry.scanner",))
WELL = Sight(active=True, version="1.1")


@pytest.mark.parametrize(
    ("sight", "elapsed_s", "well_s", "says"),
    [
        (WELL, 31, 30, ""),
        (WELL, 20, 18, None),
        (Sight(active=True, version="1.1", falls=3), 20, 0, "fell 3 times"),
        (Sight(failed=True), 5, 0, "ended for good"),
        (Sight(active=True), 61, 0, "not ready within 60 s"),
        (Sight(), 59, 0, None),
        (Sight(active=True, version="1.0"), 181, 0, "not ready"),
        (
            Sight(active=True, version="1.1", problems=frozenset({"broker_not_connected"})),
            181,
            0,
            "broker_not_connected",
        ),
        (Sight(active=True, version="1.1", memory_share=0.95), 181, 0, "too much memory"),
        (Sight(True, False, 0, "1.1", frozenset({"x"}), 0.95), 181, 0, "too much memory, x"),
        (WELL, 185, 5, None),
        (WELL, 211, 5, "not well within 180 s"),
    ],
)
def test_a_trial_ends_as_the_service_does(sight: Sight, elapsed_s: float, well_s: float, says: str | None) -> None:
    found = verdict(TRIAL, sight, elapsed_s, well_s)
    assert found == says or (says and found and says in found)


def test_what_was_wrong_before_is_no_fault_of_the_release() -> None:
    before = frozenset({"device_down entry.scanner"})
    assert is_well(Sight(active=True, version="1.1", problems=before), TRIAL)
    assert not is_well(Sight(active=True, version="1.1", problems=before | {"storage_error"}), TRIAL)
    assert not is_well(Sight(active=True, version="1.0"), TRIAL)
    assert not is_well(Sight(version="1.1"), TRIAL)


@given(st.booleans(), st.booleans(), st.integers(0, 5), st.sampled_from(["", "1.0", "1.1"]), st.floats(0, 1))
def test_no_trial_goes_on_for_ever(active: bool, failed: bool, falls: int, version: str, share: float) -> None:
    sight = Sight(active, failed, falls, version, frozenset(), share)
    assert verdict(TRIAL, sight, 1000, 0) is not None
    assert verdict(TRIAL, sight, 1000, 900) is not None


def on_trial(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        add(releases, version)
    releases.use("1.0")
    root_helper.begin_trial(releases, TRIAL)
    releases.use("1.1")


def test_a_release_that_works_is_kept(releases: Releases) -> None:
    on_trial(releases)
    root_helper.end_trial(releases, "")
    assert (releases.current(), releases.state().trial, releases.state().previous) == ("1.1", None, "1.0")
    assert not releases.layout.on_trial.exists()


def package(folder: Path, version: str, depends: str = "", size: int = 0) -> Path:
    """A release as a package, with so many bytes of zeros in it."""
    built = folder / f"built-{version}"
    program = built / f"usr/lib/gatepost/releases/{version}/bin/gatepost"
    program.parent.mkdir(parents=True)
    found = json.dumps({"version": "1.1", "bundle": 4, "digest": "ab"})
    program.write_text(f"#!/bin/sh\n[ \"$1 $2\" = 'upgrade verify' ] && echo '{found}'\nexit 0\n")
    program.chmod(stat.S_IRWXU)
    with (program.parent / "zeros").open("wb") as zeros:
        zeros.truncate(size)
    return build(built, f"gatepost-release-{version}", version, depends)


def build(built: Path, name: str, version: str, depends: str = "", postinst: str = "") -> Path:
    """A package of what lies in a folder."""
    (built / "DEBIAN").mkdir(parents=True)
    head = f"Package: {name}\nVersion: {version}\nArchitecture: all\n{depends and f'Depends: {depends}'}".rstrip()
    (built / "DEBIAN/control").write_text(f"{head}\nMaintainer: x <x@example.org>\nDescription: x\n")
    if postinst:
        (built / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{postinst}\n")
        (built / "DEBIAN/postinst").chmod(0o755)
    deb = built.with_name(f"{version}.deb")
    subprocess.run(["dpkg-deb", "-Zgzip", "--build", built, deb], check=True, capture_output=True)
    return deb


def with_dpkg(folder: Path) -> Releases:
    """A machine on which dpkg has never installed anything."""
    releases = Releases(Layout(folder / "root"))
    database = releases.layout.root / "var/lib/dpkg"
    (database / "info").mkdir(parents=True)
    (database / "updates").mkdir()
    (database / "status").touch()
    releases.layout.releases.mkdir(parents=True)
    return releases


needs_dpkg = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dpkg"), reason="needs root and dpkg")


@needs_dpkg
def test_old_releases_go_and_the_last_good_one_stays(tmp_path: Path) -> None:
    releases = with_dpkg(tmp_path)
    for version in ("0.8", "0.9", "1.0", "1.1"):
        root_helper.install(releases, package(tmp_path, version), version)
    add(releases, "0.7")  # brought by no package
    releases.use("1.0")
    root_helper.begin_trial(releases, TRIAL)
    releases.use("1.1")
    assert releases.installed() == ["0.7", "0.8", "0.9", "1.0", "1.1"], "nothing goes while a release is on trial"
    root_helper.end_trial(releases, "")
    assert releases.installed() == ["0.7", "1.0", "1.1"]
    root_helper.go_back(releases)
    assert releases.current() == "1.0"


def test_one_that_does_not_is_taken_back_and_said(releases: Releases, capsys: pytest.CaptureFixture[str]) -> None:
    on_trial(releases)
    root_helper.end_trial(releases, "it fell 3 times")
    assert (releases.current(), releases.state().trial) == ("1.0", None)
    root_helper.show(releases)
    assert "1.1  taken back: it fell 3 times" in capsys.readouterr().out


def test_two_bad_releases_in_a_row_do_not_cost_the_good_one(releases: Releases) -> None:
    on_trial(releases)
    add(releases, "1.2")
    trial = root_helper.trial_of(releases, "1.2")
    assert trial is not None
    assert (trial.before, trial.problems) == ("1.0", TRIAL.problems), "not 1.1, which has shown nothing yet"
    root_helper.begin_trial(releases, trial)
    releases.use("1.2")
    root_helper.end_trial(releases, "it fell 3 times")
    assert releases.current() == "1.0"


def test_the_good_one_needs_no_trial_to_come_back(releases: Releases) -> None:
    on_trial(releases)
    assert root_helper.trial_of(releases, "1.0") is None
    root_helper.switch(releases, "1.0")
    assert (releases.current(), releases.state().trial) == ("1.0", None)
    assert not releases.layout.on_trial.exists()


def test_what_is_not_installed_ends_no_trial(releases: Releases) -> None:
    on_trial(releases)
    with pytest.raises(UpgradeError, match="not installed"):
        root_helper.switch(releases, "0.2.0")
    assert releases.state().trial == TRIAL


def test_going_back_ends_a_trial(releases: Releases) -> None:
    on_trial(releases)
    root_helper.go_back(releases)
    assert (releases.current(), releases.state().trial) == ("1.0", None)
    assert not releases.layout.on_trial.exists()


def test_one_that_never_gets_as_far_as_a_verdict_goes_after_three_boots(releases: Releases) -> None:
    on_trial(releases)
    for _ in range(root_helper.TRIES):
        root_helper.on_boot(releases)
        assert releases.current() == "1.1"
    root_helper.on_boot(releases)
    assert releases.current() == "1.0"


class PowerCutError(BaseException):
    """The machine is off."""


def cut_power(monkeypatch: pytest.MonkeyPatch, after: int, *, programs: bool = False) -> None:
    """From that many changes of names on; `programs`: and programs that are run."""
    count = 0

    def cutting(real: Callable[..., object]) -> Callable[..., object]:
        def cut(*words: object, **named: object) -> object:
            nonlocal count
            if count == after:
                raise PowerCutError
            count += 1
            return real(*words, **named)

        return cut

    for name in ("replace", "unlink", "symlink_to"):
        monkeypatch.setattr(Path, name, cutting(getattr(Path, name)))
    if programs:
        monkeypatch.setattr(subprocess, "run", cutting(subprocess.run))


@pytest.mark.parametrize("action", ["begin", "keep", "take back"])
@pytest.mark.parametrize("cut_after", range(8))
def test_after_a_power_cut_one_whole_release_is_in_use(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, action: str, cut_after: int
) -> None:
    """Cut before any rename or removal; then the machine starts, and each trial comes to its end."""
    for version in ("1.0", "1.1"):
        add(releases, version)
    releases.use("1.0")
    if action != "begin":
        root_helper.begin_trial(releases, TRIAL)
        releases.use("1.1")
    cut_power(monkeypatch, cut_after)
    with suppress(PowerCutError):
        if action == "begin":
            root_helper.begin_trial(releases, TRIAL)
            releases.use("1.1")
        else:
            root_helper.end_trial(releases, "" if action == "keep" else "it fell 3 times")
    monkeypatch.undo()

    assert releases.current() in ("1.0", "1.1"), "there is one whole release at any time"
    for _ in range(5):
        if releases.layout.on_trial.exists():
            root_helper.on_boot(releases)
    if releases.current() == "1.1":
        assert releases.state().trial is None, "one that was not kept is gone after so many boots"
    root_helper.choose(releases)
    assert releases.current() in ("1.0", "1.1")


@needs_dpkg
def test_a_package_that_does_not_fit_or_is_another_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = with_dpkg(tmp_path)
    deb = package(tmp_path, "1.1")
    with pytest.raises(UpgradeError, match=r"is gatepost-release-1\.1, not gatepost-release-1\.2"):
        root_helper.install(releases, deb, "1.2")
    torn = tmp_path / "torn.deb"
    torn.write_bytes(deb.read_bytes()[:-40])
    with pytest.raises(UpgradeError):
        root_helper.install(releases, torn, "1.1")
    assert releases.installed() == []
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=deb.stat().st_size * 5))
    with pytest.raises(UpgradeError, match=r"MB free, \d+ MB are needed"):
        root_helper.install(releases, deb, "1.1")
    assert releases.installed() == []


def test_the_agent_cannot_read_what_root_copies(tmp_path: Path) -> None:
    """The agent may make its folder a link to one of root's, and name a file there as its package."""
    secrets, agent, kept = tmp_path / "secrets", tmp_path / "agent", tmp_path / "kept/incoming"
    secrets.mkdir()
    (secrets / "shadow").write_text("secret")
    agent.symlink_to(secrets)
    copied = root_helper.copy_beyond_reach(agent / "shadow", kept / "bundles/x")
    assert (copied.stat().st_mode & 0o077, kept.stat().st_mode & 0o077) == (0, 0)


def test_root_reads_no_more_of_the_agents_than_a_release_has(tmp_path: Path) -> None:
    sparse, pipe, link = tmp_path / "sparse", tmp_path / "pipe", tmp_path / "link"
    with sparse.open("wb") as made:
        made.truncate((1 << 30) + 1)
    os.mkfifo(pipe)
    link.symlink_to("/etc/passwd")
    for source in (sparse, pipe, Path("/dev/zero")):
        with pytest.raises(UpgradeError, match="is no file of up to 1073741824 bytes"):
            root_helper.copy_beyond_reach(source, tmp_path / "kept/x")
    with pytest.raises(OSError, match="symbolic links"):
        root_helper.copy_beyond_reach(link, tmp_path / "kept/x")


def ready_for_upgrade(folder: Path, **of_package: Any) -> Releases:
    """Release 1.0 is in use, and the agent asks for 1.1."""
    releases = with_dpkg(folder)
    root_helper.install(releases, package(folder, "1.0"), "1.0")
    releases.use("1.0")
    asked = releases.layout.agent / "upgrade/request.json"
    (releases.layout.agent / "bundles").mkdir(parents=True)
    asked.parent.mkdir()
    for name in ("release.bundle", "root.bundle", "root-2.bundle"):
        (releases.layout.agent / "bundles" / name).write_text("signed")
    shutil.copy(package(folder, "1.1", **of_package), asked.parent / "ab.deb")
    ask(releases)
    return releases


def ask(releases: Releases) -> None:
    asked = releases.layout.agent / "upgrade/request.json"
    asked.write_text(json.dumps({"version": "1.1", "package": "ab.deb", "digest": "ab"}))


def is_put_off(releases: Releases) -> str:
    """Why; fails where it was refused, or done."""
    assert (releases.current(), releases.state().done) == ("1.0", ())
    assert not releases.layout.notice.exists()
    assert not (releases.layout.agent / "upgrade/request.json").exists()
    assert not (releases.layout.state.parent / "incoming").exists()
    file = releases.layout.state.with_name("postponed.json")
    assert file.stat().st_mode & 0o777 == 0o644, "the agent may read it"
    said = json.loads(file.read_text())
    assert said["version"] == "1.1"
    return str(said["detail"])


@needs_dpkg
def test_a_torn_package_of_the_release_that_runs_stays(tmp_path: Path) -> None:
    """Somebody's `apt install --reinstall` was cut off: its files must not go from under the agent."""
    releases = ready_for_upgrade(tmp_path)
    for version in ("1.0", "1.2"):
        deb = tmp_path / f"{version}.deb" if version == "1.0" else package(tmp_path, version)
        unpack = ["dpkg", f"--root={releases.layout.root}", "--unpack", deb]
        subprocess.run(unpack, check=True, capture_output=True)
    root_helper.purge_torn(releases)
    assert releases.installed() == ["1.0"]


@needs_dpkg
@pytest.mark.parametrize("cut_after", range(0, 40, 2))
def test_after_a_power_cut_an_upgrade_is_begun_again_and_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    """Cut before any change of names or program of the whole way from the request on; then the machine starts, and
    what was asked for is still there, or done.
    """
    releases = ready_for_upgrade(tmp_path)
    asked = releases.layout.agent / "upgrade/request.json"
    cut_power(monkeypatch, cut_after, programs=True)
    with suppress(PowerCutError):
        root_helper.upgrade(releases)
    monkeypatch.undo()

    assert releases.current() in ("1.0", "1.1"), "there is one whole release at any time"
    assert releases.current() in releases.installed()
    if asked.exists():
        root_helper.upgrade(releases)
    assert releases.current() == "1.1"
    assert json.loads(releases.layout.notice.read_text())["type"] == "release_applied"
    assert not asked.exists()
    assert releases.state().bundle == 4


def test_the_report_of_an_agent_that_is_gone_does_not_count(releases: Releases) -> None:
    status = releases.layout.status
    assert root_helper.report(releases.layout) == ("", frozenset())
    status.parent.mkdir(parents=True)
    problems = [
        {"code": "device_down", "part": "entry.gate", "severity": "error"},
        {"code": "x", "severity": "warning"},
    ]
    status.write_text(json.dumps({"version": "1.1", "problems": problems}))
    assert root_helper.report(releases.layout) == ("1.1", frozenset({"device_down entry.gate"}))
    os.utime(status, (0, 0))
    assert root_helper.report(releases.layout) == ("", frozenset())


def test_what_was_wrong_with_the_configuration_before_does_not_hold_a_release_up(releases: Releases) -> None:
    releases.layout.configuration.parent.mkdir(parents=True)
    releases.layout.configuration.touch()
    add(releases, "1.0", accepts=False)
    releases.use("1.0")
    add(releases, "1.1", accepts=False)
    program = releases.layout.releases / "1.1/bin/gatepost"
    lines = program.read_text().replace("exit 1", '[ "$1" = check ] && exit 1; exit 0')
    program.write_text(lines)
    assert releases.why_not("1.1") == ""
    program.write_text(lines.replace("echo '", "echo 'something new'; echo '").replace("new';", "new' >&2;"))
    assert releases.why_not("1.1") == "something new"


@pytest.mark.parametrize(
    ("says", "found"),
    [
        (("agent.toml:7: codes.lists: a.gpl is not there, says a newer release", "1 fault, looked at as x."), ""),
        (("agent.toml:7: codes.keys: cannot be read", "1 fault, looked at as x."), "codes.keys: cannot be read"),
        (("agent.toml:7: codes.lists: is missing", "agent.toml: web: a fault", "2 faults, looked at as x."), "web"),
    ],
)
def test_a_release_that_words_the_same_fault_otherwise_or_finds_fewer_is_used(
    releases: Releases, says: tuple[str, ...], found: str
) -> None:
    releases.layout.configuration.parent.mkdir(parents=True)
    releases.layout.configuration.touch()
    known = (
        "agent.toml:7: codes.lists: a.gpl is missing",
        "agent.toml:9: mqtt.ca_file: x",
        "2 faults, looked at as x.",
    )
    for version, lines in (("1.0", known), ("1.1", says)):
        add(releases, version)
        told = "".join(f"echo '{line}' >&2\n" for line in lines)
        program = releases.layout.releases / version / "bin/gatepost"
        program.write_text(f'#!/bin/sh\n[ "$1" = check ] || exit 0\n{told}exit 1\n')
    releases.use("1.0")
    assert found in releases.why_not("1.1") if found else not releases.why_not("1.1")
    assert "fault," not in releases.why_not("1.1")


class Gate:
    """What the agent's report says, second by second; the last stays."""

    def __init__(self, layout: Layout, *reports: object) -> None:
        self._file, self._reports, self.now_s = layout.status, list(reports), 0.0
        self._file.parent.mkdir(parents=True)
        self._write()

    def _write(self) -> None:
        report = self._reports.pop(0) if len(self._reports) > 1 else self._reports[0]
        self._file.write_text(json.dumps(report))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self._write()


@pytest.mark.parametrize(
    ("reports", "waits_s", "goes"),
    [
        ([{"quiet_s": 5.0}], 0, True),
        ([{"quiet_s": 0.0}, {"quiet_s": 4.9}, {"quiet_s": 5.9}], 2, True),
        ([{"quiet_s": 0.3}], root_helper.MOST_WAIT_S, False),
        ([{}], 0, True),  # a release from before it was said
        ([{"quiet_s": "x"}], 0, True),
        ([{"quiet_s": float("nan")}], 0, True),
        ([{"quiet_s": 0.0}, [1]], 1, True),  # no report at all
    ],
)
def test_a_switch_waits_until_nobody_stands_at_a_gate(
    releases: Releases, reports: list[object], waits_s: float, goes: bool
) -> None:
    gate = Gate(releases.layout, *reports)
    assert root_helper.wait_until_quiet(releases.layout, gate.pass_time, lambda: gate.now_s) is goes
    assert gate.now_s == waits_s


@needs_dpkg
def test_an_upgrade_that_is_put_off_changes_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    releases = ready_for_upgrade(tmp_path)
    asked = releases.layout.agent / "upgrade/request.json"
    request = asked.read_bytes()
    Gate(releases.layout, {"version": "1.0", "quiet_s": 0.0})
    monkeypatch.setattr(root_helper, "MOST_WAIT_S", 0.0)
    root_helper.upgrade(releases)
    assert (releases.current(), releases.state().digest, releases.state().done) == ("1.0", "", ())
    assert not asked.exists()
    assert not releases.layout.notice.exists()
    assert "release 1.1 waits: people were at the gate" in capsys.readouterr().out
    releases.layout.status.write_text(json.dumps({"version": "1.0", "quiet_s": 70.0}))
    asked.write_bytes(request)
    root_helper.upgrade(releases)
    assert releases.current() == "1.1"


@needs_dpkg
def test_a_rollout_that_is_stopped_while_people_are_at_the_gate_changes_nothing(tmp_path: Path) -> None:
    releases = ready_for_upgrade(tmp_path)
    Gate(releases.layout, {"version": "1.0", "quiet_s": 0.0})

    def stop() -> None:
        while "1.1" not in releases.installed():
            time.sleep(0.01)
        (releases.layout.agent / "bundles/release.bundle").write_text("signed, and it stops")
        releases.layout.status.write_text(json.dumps({"version": "1.0", "quiet_s": 70.0}))

    stopping = threading.Thread(target=stop)
    stopping.start()
    root_helper.upgrade(releases)
    stopping.join()
    assert is_put_off(releases) == "another release bundle has come meanwhile"
    ask(releases)
    root_helper.upgrade(releases)
    assert releases.current() == "1.1", "asked for once more, by the bundle of now"


@needs_dpkg
def test_what_a_power_cut_leaves_of_a_request_is_not_done_once_its_rollout_is_stopped(tmp_path: Path) -> None:
    releases = ready_for_upgrade(tmp_path)
    program = releases.layout.releases / "1.0/bin/gatepost"
    program.write_text(program.read_text().replace('"bundle": 4', '"bundle": 5, "permille": 0'))
    root_helper.upgrade(releases)
    assert is_put_off(releases) == "its rollout was stopped"


_INSTALLER = """
import fcntl, sys
lock = open(sys.argv[1], "ab")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@needs_dpkg
def test_a_release_that_comes_while_apt_installs_something_is_not_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    releases = ready_for_upgrade(tmp_path)
    asked = releases.layout.agent / "upgrade/request.json"
    request, lock = asked.read_bytes(), releases.layout.root / "var/lib/dpkg/lock-frontend"
    words = [sys.executable, "-c", _INSTALLER, str(lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as apt:
        assert apt.stdout is not None
        assert apt.stdout.readline() == b"locked\n"
        root_helper.upgrade(releases)
        apt.communicate()
    assert (releases.current(), releases.state().digest, releases.state().done) == ("1.0", "", ())
    assert not releases.layout.notice.exists()
    assert "release 1.1 waits: another program installs packages" in capsys.readouterr().out
    asked.write_bytes(request)
    root_helper.upgrade(releases)
    assert releases.current() == "1.1"


@needs_dpkg
def test_a_full_disk_puts_a_release_off_until_there_is_room(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", room], check=False).returncode:
        pytest.skip("this test may mount nothing")
    try:
        releases = ready_for_upgrade(room, size=60_000_000)
        root_helper.upgrade(releases)
        assert "No space left on device" in is_put_off(releases), (
            "what it takes when unpacked is more than its size"
        )
        assert releases.installed() == ["1.0"], "and what dpkg has begun is gone"
        subprocess.run(["mount", "-o", "remount,size=200m", room], check=True)
        ask(releases)
        root_helper.upgrade(releases)
        assert releases.current() == "1.1"
    finally:
        subprocess.run(["umount", room], check=True)


@needs_dpkg
def test_a_disk_with_too_little_room_puts_a_release_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    releases = ready_for_upgrade(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    root_helper.upgrade(releases)
    assert "0 MB free" in is_put_off(releases)


@needs_dpkg
@pytest.mark.parametrize("mends", [True, False])
def test_what_a_power_cut_has_left_to_dpkg_is_no_fault_of_a_release(tmp_path: Path, mends: bool) -> None:
    """The machine lost power while apt brought what the release needs."""
    releases = ready_for_upgrade(tmp_path, depends="base")
    base = build(tmp_path / "base", "base", "5", postinst="" if mends else "exit 1")
    unpack = ["dpkg", f"--root={releases.layout.root}", "--unpack", base]
    subprocess.run(unpack, check=True, capture_output=True)
    root_helper.upgrade(releases)
    if not mends:
        why = is_put_off(releases)
        assert "gatepost-release-1.1 depends on base; however: Package base is not configured yet" in why
        assert why.endswith("dpkg was interrupted with base: sudo dpkg --configure -a")
    else:
        assert releases.current() == "1.1"


@needs_dpkg
def test_what_is_wrong_with_the_package_itself_is_refused(tmp_path: Path) -> None:
    releases = ready_for_upgrade(tmp_path, depends="what-nobody-has")
    root_helper.upgrade(releases)
    assert (releases.current(), releases.state().done) == ("1.0", ("ab",))
    told = json.loads(releases.layout.notice.read_text())
    assert (told["type"], "Package what-nobody-has is not installed" in told["detail"]) == (
        "release_rejected",
        True,
    )


@pytest.mark.parametrize(
    ("said", "code", "passes"),
    [
        ("dpkg-deb: error: failed to write: No space left on device", 1, True),
        (
            "cannot copy extracted data for './x' to './x.dpkg-new': failed to write (No space left on device)",
            1,
            True,
        ),
        ("unable to create: Read-only file system", 2, True),
        ("error reading: Input/output error", 2, True),
        ("xz: Cannot allocate memory", 1, True),
        ("dpkg-deb --control subprocess was killed by signal (Killed)", 2, True),
        ("Traceback (most recent call last):\nMemoryError", 1, True),
        ("", -9, True),
        ("", 75, True),
        ("dependency problems - leaving unconfigured", 1, False),
        ("trying to overwrite './x', which is also in package y", 1, False),
        ("bundle refused: signature", 1, False),
        ("", -11, False),
    ],
)
def test_only_what_is_wrong_with_a_release_is_lasting(said: str, code: int, passes: bool) -> None:
    assert isinstance(root_helper.refusal("x", said, code), root_helper.PostponedError) is passes


@needs_dpkg
def test_a_package_that_is_not_there_any_more_is_no_refusal(tmp_path: Path) -> None:
    releases = ready_for_upgrade(tmp_path)
    (releases.layout.agent / "upgrade/ab.deb").unlink()
    root_helper.upgrade(releases)
    assert "No such file" in is_put_off(releases)


def test_what_a_power_cut_leaves_of_a_request_is_removed(releases: Releases) -> None:
    """Also when the release is on trial already: the machine starts with the request and its copy still there."""
    on_trial(releases)
    left = releases.layout.state.parent / "incoming/bundles"
    left.mkdir(parents=True)
    (left / "release.bundle").write_text("signed")
    (releases.layout.agent / "upgrade").mkdir(parents=True)
    ask(releases)
    root_helper.upgrade(releases)
    assert not left.parent.exists()
    assert not (releases.layout.agent / "upgrade/request.json").exists()
    assert releases.state().trial == TRIAL


@pytest.mark.parametrize("chosen", ["1.0", "1.2"])
def test_a_release_that_was_sent_does_not_come_again_when_somebody_has_chosen_another(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setattr(root_helper, "is_running", lambda _layout: True)
    for version in ("1.0", "1.1", "1.2"):
        add(releases, version)
    releases.use("1.0")
    root_helper.activate(releases, "1.1", "ab")
    root_helper.switch(releases, chosen)
    told = json.loads(releases.layout.notice.read_text())
    assert (told["type"], told["done"]) == ("release_rolled_back", ["ab"])
    assert releases.state().digest == ""


def test_a_release_that_was_sent_is_that_also_when_somebody_installs_it_once_more(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_helper, "is_running", lambda _layout: True)
    for version in ("1.0", "1.1"):
        add(releases, version)
    releases.use("1.0")
    root_helper.activate(releases, "1.1", "ab")
    root_helper.switch(releases, "1.1")
    root_helper.end_trial(releases, "it fell 3 times")
    assert releases.state().done == ("ab",)


def torn(releases: Releases, version: str) -> None:
    """A release as a power cut leaves it in the middle of its files: apt installs nothing any more."""
    status = releases.layout.root / "var/lib/dpkg/status"
    name = f"gatepost-release-{version}"
    entry = f"Package: {name}\nStatus: install reinstreq half-installed\nMaintainer: x <x@example.org>\n"
    status.write_text(f"{status.read_text()}{entry}Architecture: all\nVersion: {version}\nDescription: x\n\n")
    (releases.layout.root / f"var/lib/dpkg/info/{name}.list").write_text("/.\n")


@needs_dpkg
@pytest.mark.parametrize("version", ["1.0.5", "1.1"])
def test_a_release_that_a_power_cut_has_torn_holds_up_neither_apt_nor_the_next_one(
    tmp_path: Path, version: str
) -> None:
    """Also when it is not the one that comes next."""
    releases = ready_for_upgrade(tmp_path)
    torn(releases, version)
    root_helper.upgrade(releases)
    assert releases.current() == "1.1"
    assert root_helper.unfinished(releases.layout.root) == []


@needs_dpkg
def test_a_wrong_release_is_refused_also_where_another_package_is_broken_for_good(tmp_path: Path) -> None:
    releases = ready_for_upgrade(tmp_path)
    base = build(tmp_path / "base", "base", "5", postinst="exit 1")
    subprocess.run(["dpkg", f"--root={releases.layout.root}", "--unpack", base], check=True, capture_output=True)
    other = tmp_path / "other"
    taken = other / "usr/lib/gatepost/releases/1.1/bin/gatepost"
    taken.parent.mkdir(parents=True)
    taken.write_text("of another package")
    deb = build(other, "other", "7")
    subprocess.run(["dpkg", f"--root={releases.layout.root}", "-i", deb], check=True, capture_output=True)
    root_helper.upgrade(releases)
    assert "trying to overwrite" in json.loads(releases.layout.notice.read_text())["detail"]
    assert releases.state().done == ("ab",)


@needs_dpkg
def test_the_release_before_stays_when_it_cannot_be_installed_once_more(tmp_path: Path) -> None:
    releases = with_dpkg(tmp_path)
    for version in ("1.0", "1.1"):
        root_helper.install(releases, package(tmp_path, version), version)
        releases.use(version)
    other = tmp_path / "other/usr/lib/gatepost/releases/1.0/bin"
    other.mkdir(parents=True)
    (other / "more").write_text("of another package")
    deb = build(tmp_path / "other", "other", "7")
    subprocess.run(["dpkg", f"--root={releases.layout.root}", "-i", deb], check=True, capture_output=True)
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "built-1.0", again, ignore=lambda *_: ["DEBIAN"])
    (again / "usr/lib/gatepost/releases/1.0/bin/more").write_text("of this one")
    with pytest.raises(UpgradeError, match="trying to overwrite"):
        root_helper.install(releases, build(again, "gatepost-release-1.0", "1.0+again"), "1.0")
    assert releases.installed() == ["1.0", "1.1"]
    root_helper.go_back(releases)
    assert releases.current() == "1.0"
