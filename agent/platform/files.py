"""Replace a file so that after a power cut there is the old one or the new one, whole."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

MOST_TEXT_BYTES = 16 << 20
"""No settings, keys or tables are as long: a device, or the wrong file, is not read into memory."""
_MOST_WRITERS = 16
"""So many may write one file at once."""
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Of a file system that knows no locks: there two who write at once are in each other's way."""
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""They say nothing of the file: this process, or the machine, has no room for one more."""
_ETC, _VAR = Path("/etc/gatepost"), Path("/var/lib/gatepost")


def replace_file(
    path: Path,
    chunks: Iterable[bytes | memoryview],
    mode: int = 0o666,
    *,
    durable: bool = True,
    exact_mode: bool = False,
    modified_utc: float | None = None,
) -> None:
    """Write beside, make durable, rename over. Raises OSError; then the old file stays. Of several who write one
    file at once, the last one's is whole in its place; nobody waits for another.

    `mode`: less the umask, unless `exact_mode`. `durable=False`: whole at any time, but it need not survive a power
    cut. `modified_utc`: its modification time, POSIX seconds; None for now.

    What root writes belongs to the owner of the folder, and whatever root's umask is, the group may read it: the
    service must be able to. A link in place of the file is replaced, not followed. A device (/dev/null, a terminal,
    /dev/stdout) is written to: as root it would be gone else, for every program of the machine.
    """
    if is_device(path):
        with path.open("wb") as device:
            device.writelines(chunks)
        return
    try:
        _replace(path, chunks, mode, durable=durable, exact_mode=exact_mode, modified_utc=modified_utc)
    except OSError as error:
        if error.filename is not None:  # of the file beside: nobody knows that name
            error.filename, error.filename2 = str(path), None
        raise


def _replace(
    path: Path,
    chunks: Iterable[bytes | memoryview],
    mode: int,
    *,
    durable: bool,
    exact_mode: bool,
    modified_utc: float | None,
) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    beside, descriptor = _create_beside(path, mode)
    with os.fdopen(descriptor, "wb") as file:  # closing it gives up the lock, after the renaming
        hand_over(file.fileno(), path.parent, mode)
        if exact_mode:
            os.fchmod(file.fileno(), mode)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        if modified_utc is not None:
            os.utime(file.fileno(), (modified_utc, modified_utc))
        if durable:
            os.fsync(file.fileno())
        beside.replace(path)
    if durable:
        sync_folder(path.parent)


def _create_beside(path: Path, mode: int) -> tuple[Path, int]:
    """A new file beside, and its descriptor. It is locked while it is written, so that nobody who writes the same
    file at the same time takes its name: the next name is free. What a power cut left there is locked by nobody.
    Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    for number in range(_MOST_WRITERS):
        beside = _beside(path, number)
        if not _is_free(beside):
            continue
        with suppress(FileExistsError):
            descriptor = os.open(beside, flags, mode)
            if _lock_or_close(descriptor, beside):
                with suppress(OSError):  # a power cut left it, of two who wrote at once
                    _is_free(_beside(path, number + 1))
                return beside, descriptor
    raise BlockingIOError(errno.EAGAIN, "too many write it at once", str(path))


def _is_free(beside: Path) -> bool:
    """Whether nobody writes this file, for certain; then it is removed. Raises OSError."""
    try:
        descriptor = os.open(beside, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in _OURS:
            raise
        if error.errno != errno.ELOOP:
            return False
        beside.unlink(missing_ok=True)  # a link: nobody writes through it
        return True
    if not _lock_or_close(descriptor, beside):
        return False
    try:
        beside.unlink()
    finally:
        os.close(descriptor)
    return True


def _lock_or_close(descriptor: int, path: Path) -> bool:
    """Lock a file, if nobody else has and it still has this name; else close it. Never waits. Raises OSError."""
    is_ours = False
    try:
        is_ours = _may_lock(descriptor) and os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        pass
    finally:
        if not is_ours:
            os.close(descriptor)
    return is_ours


def _may_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@lru_cache(32)
def _beside(path: Path, number: int) -> Path:
    """Kept: some files are written every second, and each new name of a Path goes through a table of Python's that
    grows with the names it has seen.
    """
    return path.with_name(f"{path.name}.new{number or ''}")


def is_device(path: Path) -> bool:
    """Whether it is a character device, or a name that /dev has for one."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or (stat.S_ISLNK(mode) and path.parent == Path("/dev"))


def read_text(path: Path, errors: str = "strict") -> str:
    """Text of a file of settings, keys or rules. Raises OSError, also for one that is far too long;
    UnicodeDecodeError.
    """
    data = read_bytes(path, MOST_TEXT_BYTES)
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors=errors).read()


def read_bytes(path: Path, most: int) -> bytes:
    """A file that has no business to be longer than that. Raises OSError, also for one that is, and for what is no
    file: nobody may ever write into a pipe.
    """
    with os.fdopen(open_file(path), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, "too long", str(path))
    return data


def open_file(path: Path) -> int:
    """Descriptor of a file, or of a device, to read it; never waits. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        os.close(descriptor)
        is_folder = stat.S_ISDIR(mode)
        raise OSError(errno.EISDIR if is_folder else errno.EINVAL, "no plain file", str(path))
    return descriptor


def move_file(source: Path, target: Path) -> None:
    """Put a file that is whole in another's place, durably. Raises OSError; then both stay."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which files are in a folder. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def was_written_since(paths: Iterable[Path], since_utc: float) -> bool:
    """Whether one of these files was written since then, or this cannot be known."""
    for path in paths:
        try:
            if path.stat().st_mtime >= since_utc:
                return True
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return True
    return False


def state_folder(settings: Path) -> Path:
    """Where the agent whose configuration lies in `settings` keeps what it writes itself."""
    settings = settings.absolute()
    return _VAR if settings == _ETC else settings


def open_to_append(path: Path, mode: int = 0o640) -> TextIO:
    """Open a text file to read and append, made when it is missing. Raises OSError, also for a link: who may
    write to the folder must not be able to lead root to another file.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, mode), "a+", encoding="utf-8", newline="")
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        file.close()
        raise OSError(errno.ELOOP, "it is no plain file, or has a second name", str(path))
    hand_over(file.fileno(), path.parent, mode)
    return file


def hand_over(descriptor: int, folder: Path, mode: int) -> None:
    """What root makes in a folder of the service is the service's."""
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | mode & 0o440)
