"""What a release bundle says, and who belongs to a wave."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.upgrade.release import BadRelease, File, Release, is_in, moment_s, parse_release

FILE = {"sha256": "ab" * 32, "size": 7, "urls": ["https://mirror.example/x.deb"]}
SOURCES = [f"/gatepost/v1/site-{n % 40}/k{n}" for n in range(10_000)]


def text(**changes: object) -> str:
    return json.dumps({"version": "0.2.0", "files": {"arm64": FILE}, **changes})


def wave(permille: int, salt: str = "tuesday") -> set[str]:
    release = Release("0.2.0", {}, salt, permille)
    return {source for source in SOURCES if is_in(release, source)}


@pytest.mark.parametrize("permille", [0, 5, 50, 500, 1000])
def test_a_wave_is_as_large_as_it_says(permille: int) -> None:
    share = permille / 1000
    spread = 3 * math.sqrt(len(SOURCES) * share * (1 - share))
    assert abs(len(wave(permille)) - len(SOURCES) * share) <= spread


def test_waves_of_one_salt_are_nested_and_another_salt_begins_elsewhere() -> None:
    assert wave(5) < wave(50) < wave(500) < wave(1000) == set(SOURCES)
    assert wave(50, "wednesday") != wave(50)


def test_kiosks_begin_at_moments_of_their_own() -> None:
    release = Release("0.2.0", {}, spread_s=3600)
    moments = [moment_s(release, source) for source in SOURCES]
    assert 0 <= min(moments) < 60
    assert 3540 < max(moments) <= 3600
    assert moment_s(Release("0.2.0", {}), SOURCES[0]) == 0


def test_a_release_is_read() -> None:
    found = parse_release(text(wave={"salt": "s", "permille": 50}, spread_s=60))
    assert found.files == {"arm64": File("ab" * 32, 7, ("https://mirror.example/x.deb",))}
    assert (found.salt, found.permille, found.spread_s) == ("s", 50, 60)
    assert parse_release(text()).permille == 1000


@pytest.mark.parametrize(
    "wrong",
    [
        text(version="../x"), text(version=""), text(files={}), text(files={"riscv": FILE}), text(more=1),
        text(files={"arm64": {**FILE, "size": 0}}), text(files={"arm64": {**FILE, "size": 1 << 40}}),
        text(files={"arm64": {**FILE, "sha256": "AB" * 32}}), text(files={"arm64": {**FILE, "urls": ["file:///etc/passwd"]}}),
        text(files={"arm64": {**FILE, "urls": "https://a"}}), text(wave={"salt": "s", "permille": 1001}),
        text(wave={"permille": 5}), text(spread_s=-1), text(spread_s="1"), "", "[]", "{", "null",
    ],
)  # fmt: skip
def test_what_is_no_release_is_refused(wrong: str) -> None:
    with pytest.raises(BadRelease):
        parse_release(wrong)


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(BadRelease):
        parse_release(junk)
