"""Files that root writes into a folder of the service: readable to it under any umask, and never through a link."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.platform.files import is_device, open_to_append, read_bytes, read_text, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
SERVICE = 65_534


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@needs_root
@pytest.mark.usefixtures("umask")
def test_the_service_may_read_what_root_writes(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, SERVICE)  # as /etc/gatepost
    replace_file(tmp_path / "calibration.toml", (b"x",))
    open_to_append(tmp_path / "people.csv").close()
    replace_file(tmp_path / "secret", (b"x",), 0o600)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["calibration.toml"] & 0o440 == modes["people.csv"] & 0o440 == 0o440
    assert modes["secret"] == 0o600
    assert {path.stat().st_gid for path in tmp_path.iterdir()} == {SERVICE}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    for name in ("site.toml", "site.toml.new"):
        (tmp_path / name).symlink_to(other)
    replace_file(tmp_path / "site.toml", (b"fresh",))
    assert other.read_text() == "precious"
    assert not (tmp_path / "site.toml").is_symlink()
    assert (tmp_path / "site.toml").read_text() == "fresh"


def test_nothing_is_appended_through_a_link_or_to_a_second_name(tmp_path: Path) -> None:
    other, link, name = (tmp_path / each for each in ("other", "link.csv", "name.csv"))
    other.write_text("precious")
    link.symlink_to(other)
    name.hardlink_to(other)
    for file in (link, name):
        with pytest.raises(OSError, match=r".csv"):
            open_to_append(file)
    assert other.read_text() == "precious"


def test_appending_goes_on_where_it_was(tmp_path: Path) -> None:
    for line in ("a\n", "b\n"):
        with open_to_append(tmp_path / "people.csv") as lines:
            lines.write(line)
    assert (tmp_path / "people.csv").read_text() == "a\nb\n"


def test_a_device_is_written_to_and_not_replaced() -> None:
    """`--out /dev/null` as root would take it away from every program of the machine."""
    near, far = os.openpty()
    terminal = Path(os.ttyname(far))
    replace_file(terminal, (b"a ", b"line\n"))
    assert os.read(near, 100) == b"a line\r\n"
    assert stat.S_ISCHR(terminal.stat().st_mode)
    os.close(near)
    os.close(far)
    assert is_device(Path("/dev/null"))
    assert is_device(Path("/dev/stdout"))
    assert not is_device(Path("/dev/shm"))
    assert not is_device(Path("/dev/not-there"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "issuers.toml")
    with pytest.raises(OSError, match="no plain file"):
        read_text(tmp_path / "issuers.toml")
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)
    assert read_text(Path("/dev/null")) == ""
    with pytest.raises(OSError, match="too long"):
        read_bytes(Path("/dev/zero"), 1000)


def test_what_a_power_cut_left_of_two_who_wrote_at_once_goes_with_the_next_writing(tmp_path: Path) -> None:
    """It may be a list of a hundred megabytes, or a key."""
    path, left = tmp_path / "client.pem", tmp_path / "client.pem.new1"
    left.write_bytes(b"secret")
    replace_file(path, (b"new",))
    assert list(tmp_path.iterdir()) == [path]
    with left.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        replace_file(path, (b"newer",))
        assert left.exists(), "somebody writes it now"
    assert path.read_bytes() == b"newer"


def test_two_who_write_one_file_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    """The agent, and a command that was stopped in the middle."""
    path, found = tmp_path / "accepted.json", []

    def halves(mine: bytes, meanwhile: Callable[[], None]) -> Iterator[bytes]:
        yield mine[: len(mine) // 2]
        meanwhile()
        found.append(path.read_bytes() if path.exists() else b"")
        yield mine[len(mine) // 2 :]

    def second() -> None:
        replace_file(path, halves(b"second " * 9000, third))

    def third() -> None:
        replace_file(path, (b"third",))

    replace_file(path, halves(b"first " * 9000, second))
    assert found == [b"third", b"second " * 9000]
    assert path.read_bytes() == b"first " * 9000
    assert list(tmp_path.iterdir()) == [path]


def test_who_writes_at_once_puts_nothing_half_written_in_place(tmp_path: Path) -> None:
    path, half, goes_on = tmp_path / "accepted.json", threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"half"
        half.set()
        goes_on.wait()
        yield b" and half"

    def meanwhile() -> Iterator[bytes]:
        yield b"whole"
        slow.append(other.submit(replace_file, path, slowly()))
        half.wait()

    slow: list[Future[None]] = []
    with ThreadPoolExecutor(1) as other:
        replace_file(path, meanwhile())
        found = path.read_bytes()
        goes_on.set()
        slow[0].result()
    assert found == b"whole"
    assert path.read_bytes() == b"half and half"


@pytest.mark.parametrize("left", ["file", "link", "pipe"])
def test_what_was_left_beside_is_in_nobodys_way(tmp_path: Path, left: str) -> None:
    path, beside, precious = tmp_path / "site.toml", tmp_path / "site.toml.new", tmp_path / "precious"
    precious.write_text("precious")
    match left:
        case "file":
            beside.write_text("half")
        case "link":
            beside.symlink_to(precious)
        case "pipe":
            os.mkfifo(beside)
    for content in (b"one", b"two"):
        replace_file(path, (content,))
        assert path.read_bytes() == content
    assert precious.read_text() == "precious"
    assert not beside.exists()


def test_a_process_without_room_for_one_more_file_says_that(tmp_path: Path) -> None:
    """It is no fault of the file, and nobody else writes it."""
    (tmp_path / "state.new").write_text("left by a power cut")
    code = """if True:
        import os, resource, sys
        from pathlib import Path
        from agent.platform.files import replace_file
        resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), 64))
        try:
            replace_file(Path(sys.argv[1]), [b"new"])
        except OSError as error:
            print(error.errno == 24, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "state"], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("True [Errno 24] Too many open files"), done
