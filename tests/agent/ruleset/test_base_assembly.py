"""A base that comes in pieces is put together whatever comes, in whatever order, however often it is stopped."""

from __future__ import annotations

import errno
import resource
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from base_bench import PIECE, Base
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ruleset import load
from agent.ruleset.base_assembly import Assembly


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base(tmp_path_factory.mktemp("base"))


STEPS = st.lists(
    st.tuples(st.sampled_from(["right", "torn", "flipped", "other", "stop", "rot"]), st.integers(0, 76)),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=30, deadline=None)
def test_it_is_whole_in_the_end_and_never_before(base: Base, steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        wanted = base.wanted.__class__("people", folder / "people.gpl", base.head, base.wanted.chunks)
        made, count = Assembly(wanted), len(base.pieces)
        have: set[int] = set()
        for what, number in steps:
            index = number % count
            piece = base.pieces[index]
            match what:
                case "right":
                    assert made.add_chunk(index, piece)
                    have.add(index)
                case "torn":
                    assert not made.add_chunk(index, piece[:-1])
                case "flipped":
                    assert not made.add_chunk(index, bytes([piece[0] ^ 1]) + piece[1:])
                case "other":
                    another = base.pieces[(index + 1) % count]
                    assert made.add_chunk(index, another) is (another == piece)
                    have |= {index} if another == piece else set()
                case "rot":
                    with (folder / "people.gpl.part").open("r+b") as file:
                        file.seek(index * PIECE)
                        file.write(b"\xff\x00")
                    have.discard(index)
                    made.close()
                    made = Assembly(wanted)
                case "stop":
                    made.close()
                    made = Assembly(wanted)
            same = {at for at in range(count) if base.pieces[at] == bytes(len(base.pieces[at]))}
            assert set(made.missing) - same == set(range(count)) - have - same
            assert made.finish() is (not made.missing)
            if not made.missing:
                break
        for index in reversed(list(made.missing)):
            assert not made.finish()
            assert made.add_chunk(index, base.pieces[index])
        assert made.finish()
        made.close()
        assert load.next_path(wanted.path).read_bytes() == base.data
        assert [file.name for file in folder.iterdir()] == ["people.gpl.next"]


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    base = Base(tmp_path)
    made = Assembly(base.wanted)
    for index in (-1, len(base.pieces), 10**9):
        assert not made.add_chunk(index, base.pieces[-1])
    made.close()


def test_a_disk_without_room_for_the_whole_is_told_before_anything_is_written(tmp_path: Path) -> None:
    base = Base(tmp_path)
    with pytest.raises(OSError, match="must stay free for events") as caught:
        Assembly(base.wanted, reserve_bytes=1 << 60)
    assert caught.value.errno == errno.ENOSPC
    assert base.part.stat().st_size == 0
    made = Assembly(base.wanted)
    made.close()
    Assembly(base.wanted, reserve_bytes=1 << 60).close()


def test_a_file_that_may_not_grow_is_an_error_and_not_a_signal(tmp_path: Path) -> None:
    base = Base(tmp_path)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        with pytest.raises(OSError, match=r".+"):
            Assembly(base.wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not base.next.exists()


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    base = Base(tmp_path)
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    base.part.symlink_to(target)
    with pytest.raises(OSError, match=r".+"):
        Assembly(base.wanted)
    assert target.read_bytes() == b"precious"
